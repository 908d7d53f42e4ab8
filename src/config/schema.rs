//! Which tables and keys `probes.toml` has.

/// Every table with its keys, in the order of the file.
pub(super) const TABLES: &[(&str, &[&str])] = &[
    (
        "workspace",
        &[
            "cloud",
            "region",
            "name",
            "id",
            "storage_account",
            "key_vault",
            "container_registry",
            "compute_instances",
            "online_endpoints",
            "private_endpoint",
            "features",
            "vantage",
        ],
    ),
    ("network", &["private_ranges", "endpoint_subnets", "endpoint_addresses"]),
    ("dns", &["servers", "reference"]),
    ("proxy", &["url", "no_proxy"]),
    ("tls", &["ca_files"]),
    ("schedule", &["interval", "timeout", "concurrency"]),
    ("schedule.timeout", &["dns", "connect", "tls", "http"]),
    (
        "web",
        &[
            "listen",
            "names",
            "cert_file",
            "key_file",
            "client_ca_file",
            "client_auth_type",
            "min_version",
            "basic_auth_users",
            "bearer_tokens",
            "probe_users",
            "probe_suffixes",
        ],
    ),
    ("history", &["path", "retention", "max_size"]),
    ("catalog", &["exclude"]),
    ("probe", &["name", "target", "expect", "subnets", "scenarios"]),
];

/// The keys of a table; none for a table that does not exist.
pub(super) fn keys_of(table: &str) -> &'static [&'static str] {
    TABLES.iter().find(|(name, _)| *name == table).map_or(&[], |(_, keys)| keys)
}

/// The names of the tables at the top of the file.
pub(super) fn tables() -> Vec<&'static str> {
    TABLES.iter().map(|(name, _)| *name).filter(|name| !name.contains('.')).collect()
}

/// A table's header as it stands in the file.
pub(super) fn header(table: &str) -> String {
    if table == "probe" { "[[probe]]".to_owned() } else { format!("[{table}]") }
}

/// The table that has a key of this name, for keys that were put into the wrong one. The phases
/// of a timeout are left out: their names are tables as well.
pub(super) fn home_of(key: &str) -> Option<&'static str> {
    let (name, _) = TABLES
        .iter()
        .filter(|(name, _)| *name != "schedule.timeout")
        .find(|(_, keys)| keys.contains(&key))?;
    Some(name)
}

/// Every key that has a [`home_of`] its own.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let keys = TABLES.iter().flat_map(|(_, keys)| keys.iter().copied());
    keys.filter(|key| home_of(key).is_some())
}
