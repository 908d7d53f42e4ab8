//! `probes.toml`: from text to values that cannot be wrong, or to every mistake at once with its
//! place and what to write instead. Pure: whether files exist is found out elsewhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::de::DeTable;

use crate::limits;
use crate::model::{Cloud, Host, Vantage};
use crate::parameters::{Feature, NetworkFacts, Parameters};
use crate::plan::ExtraProbe;
use crate::proxy::{Named, Source};
use crate::settings::web::Listen;
use crate::settings::{HistorySettings, Settings, Timeouts};
use crate::{suggest, target};

mod address;
mod error;
mod excerpt;
mod pattern;
mod probe;
mod reader;
mod schema;
mod shown;
mod syntax;
mod tree;
mod value;
mod web;

pub use error::{ConfigError, ConfigErrors, ErrorPlace};
pub use pattern::Pattern;
pub use shown::shown;

use reader::{Complaint, Field, Reader, quoted};
use tree::{Entries, Value};

/// The documented default: what runs when there is no file.
pub const DEFAULT: &str = include_str!("../probes.toml");

/// Everything a configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is known of the workspace.
    pub parameters: Parameters,
    /// What is known of the network.
    pub network: NetworkFacts,
    /// Everything that is not about the workspace.
    pub settings: Settings,
    /// The `[[probe]]` entries.
    pub probes: Vec<ExtraProbe>,
    /// Which catalog rows are left out.
    pub exclude: Vec<Pattern>,
}

impl Config {
    /// Whether a requirement is left out.
    pub fn excludes(&self, id: &str) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(id))
    }
}

/// Reads a configuration; what it does not say has the built-in default.
pub fn parse(text: &str) -> Result<Config, ConfigErrors> {
    parse_with(text, &[])
}

/// Reads a configuration with single values replaced (`--set key=value`). A key is dotted
/// (`schedule.interval`) or a bare key of `[workspace]`; a value is TOML, or else a string as it
/// stands.
pub fn parse_with(text: &str, settings: &[(String, String)]) -> Result<Config, ConfigErrors> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let syntax = syntax::explain(text, &errors);
    let mut reader = Reader::new(text, settings);
    let mut root = tree::of_file(table.get_ref());
    for (number, (key, value)) in settings.iter().enumerate() {
        tree::set(&mut root, number, key, value);
    }
    if syntax.structure_lost {
        // What stands where is anyone's guess then, and so would be every further message.
        root.clear();
    }
    let config = config(&mut reader, &root);
    reader.finish(syntax.mistakes)?;
    Ok(config)
}

/// A place to listen at, as `--listen` has it.
pub fn listen(text: &str) -> Result<Listen, String> {
    address::listener(text).map_err(|complaint| complaint.message)
}

fn config(reader: &mut Reader<'_>, root: &Entries) -> Config {
    unknown_tables(reader, root);
    let exclude = reader.table(root, "catalog").field("exclude");
    Config {
        parameters: parameters(reader, root),
        network: network(reader, root),
        settings: settings(reader, root),
        probes: probe::read(reader, root),
        exclude: reader.list(exclude, limits::LIST_ENTRIES, Pattern::parse).unwrap_or_default(),
    }
}

fn unknown_tables(reader: &mut Reader<'_>, root: &Entries) {
    let known = schema::tables();
    for (key, node) in root.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
        let name = quoted(&key.name);
        let complaint = if let Value::Table(_) = node.value {
            Complaint::new(format!("there is no table {name}"))
                .hint(suggest::hint(&key.name, &known))
        } else {
            let complaint = Complaint::new(format!("{name} stands outside of any table"));
            let nearest = suggest::nearest(&key.name, schema::keys());
            match nearest.and_then(|near| Some((near, schema::home_of(near)?))) {
                Some((near, home)) if near == key.name => {
                    complaint.hint(format!("it belongs below `{}`", schema::header(home)))
                }
                Some((near, home)) => complaint
                    .hint(format!("did you mean `{near}` below `{}`?", schema::header(home))),
                None => complaint.hint(format!("known tables: {}", known.join(", "))),
            }
        };
        reader.report(&key.place, complaint);
    }
}

fn parameters(reader: &mut Reader<'_>, root: &Entries) -> Parameters {
    let section = reader.table(root, "workspace");
    let default = Parameters::default();
    let cloud = reader.parsed(section.field("cloud"), value::word::<Cloud>("a cloud"));
    let features = reader.list(
        section.field("features"),
        limits::LIST_ENTRIES,
        value::word::<Feature>("a feature"),
    );
    let vantage = reader.parsed(section.field("vantage"), value::word::<Vantage>("a vantage"));
    let mut name = |key: &str, rule| reader.optional(section.field(key), value::name(rule));
    let workspace = name("name", &value::WORKSPACE);
    let storage_account = name("storage_account", &value::STORAGE_ACCOUNT);
    let key_vault = name("key_vault", &value::KEY_VAULT);
    let container_registry = name("container_registry", &value::CONTAINER_REGISTRY);
    let mut names = |key: &str, rule| {
        reader.list(section.field(key), limits::LIST_ENTRIES, value::name(rule)).unwrap_or_default()
    };
    Parameters {
        compute_instances: names("compute_instances", &value::COMPUTE_INSTANCE),
        online_endpoints: names("online_endpoints", &value::ONLINE_ENDPOINT),
        cloud: cloud.unwrap_or(default.cloud),
        region: reader.optional(section.field("region"), value::region),
        name: workspace,
        id: reader.optional(section.field("id"), value::guid),
        storage_account,
        key_vault,
        container_registry,
        private_endpoint: reader
            .boolean(section.field("private_endpoint"))
            .unwrap_or(default.private_endpoint),
        features: features.unwrap_or_default().into_iter().collect(),
        vantage: vantage.unwrap_or(default.vantage),
    }
}

fn network(reader: &mut Reader<'_>, root: &Entries) -> NetworkFacts {
    let section = reader.table(root, "network");
    let mut networks =
        |key: &str| reader.list(section.field(key), limits::LIST_ENTRIES, address::network);
    NetworkFacts {
        private_ranges: networks("private_ranges").unwrap_or_else(private_ranges),
        endpoint_subnets: networks("endpoint_subnets").unwrap_or_default(),
        endpoint_addresses: section
            .field("endpoint_addresses")
            .map(|field| endpoint_addresses(reader, &field))
            .unwrap_or_default(),
    }
}

/// What counts as private unless told otherwise: RFC 1918 and RFC 4193.
const PRIVATE_V4: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];
const PRIVATE_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);

fn private_ranges() -> Vec<IpNet> {
    PRIVATE_V4.map(IpNet::V4).into_iter().chain([IpNet::V6(PRIVATE_V6)]).collect()
}

fn endpoint_addresses(reader: &mut Reader<'_>, field: &Field<'_>) -> BTreeMap<Host, Vec<IpAddr>> {
    let mut addresses = BTreeMap::new();
    let Some(entries) = reader.entries(field.node, &field.name) else { return addresses };
    if let Some((key, _)) = entries.get(limits::LIST_ENTRIES) {
        let message = format!("there are more than {} hosts here", limits::LIST_ENTRIES);
        reader.report(&key.place, Complaint::new(message));
    }
    for (key, node) in entries.iter().take(limits::LIST_ENTRIES) {
        if let Value::Table(_) = node.value {
            // A host name without quotes is read as tables in tables.
            let complaint =
                Complaint::new(format!("{} is not a list of addresses", quoted(&key.name)));
            let hint =
                "put the host in quotes: \"mlstore.blob.core.usgovcloudapi.net\" = [\"10.0.0.4\"]";
            reader.report(&key.place, complaint.hint(hint));
            continue;
        }
        let name = format!("the value of {}", quoted(&key.name));
        let list =
            reader.list(Some(Field { name, node }), limits::ADDRESSES_PER_ANSWER, address::address);
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            reader.report(&node.place, Complaint::new("there is no address in this list"));
        }
        let host = match target::host(&key.name) {
            Ok(host @ Host::Name(_)) => host,
            Ok(Host::Ip(_)) => {
                let message = format!("{} is an address, not a host name", quoted(&key.name));
                reader.report(&key.place, Complaint::new(message));
                continue;
            }
            Err(error) => {
                reader.report(&key.place, Complaint::new(error));
                continue;
            }
        };
        if addresses.insert(host, list.unwrap_or_default()).is_some() {
            let message = format!("{} is here already, in another spelling", quoted(&key.name));
            reader.report(&key.place, Complaint::new(message));
        }
    }
    addresses
}

fn settings(reader: &mut Reader<'_>, root: &Entries) -> Settings {
    let default = Settings::default();
    let dns = reader.table(root, "dns");
    let proxy = reader.table(root, "proxy");
    let tls = reader.table(root, "tls");
    let schedule = reader.table(root, "schedule");
    let (least, most) = limits::CONCURRENCY;
    let reference = reader.parsed(dns.field("reference"), |text| match text.trim() {
        "" => Ok(None),
        text => address::dns_server(text).map(Some),
    });
    Settings {
        dns_servers: reader
            .list(dns.field("servers"), limits::DNS_SERVERS, address::dns_server)
            .unwrap_or_default(),
        dns_reference: reference.unwrap_or(default.dns_reference),
        proxy: proxy.field("url").and_then(|field| proxy_url(reader, &field)),
        no_proxy: reader
            .list(proxy.field("no_proxy"), limits::LIST_ENTRIES, address::no_proxy)
            .unwrap_or_default(),
        ca_files: reader
            .list(tls.field("ca_files"), limits::LIST_ENTRIES, file)
            .unwrap_or_default(),
        interval: reader
            .parsed_literal(schedule.field("interval"), value::duration(limits::INTERVAL))
            .unwrap_or(default.interval),
        timeouts: schedule
            .field("timeout")
            .map_or(default.timeouts, |field| timeouts(reader, &field, default.timeouts)),
        concurrency: reader
            .integer(schedule.field("concurrency"), &(least..=most))
            .unwrap_or(default.concurrency),
        web: web::read(reader, root),
        history: history(reader, root),
    }
}

fn history(reader: &mut Reader<'_>, root: &Entries) -> HistorySettings {
    let default = HistorySettings::default();
    let section = reader.table(root, "history");
    HistorySettings {
        path: reader.optional(section.field("path"), file),
        retention: reader
            .parsed_literal(section.field("retention"), value::duration(limits::HISTORY_RETENTION))
            .unwrap_or(default.retention),
        max_bytes: reader
            .parsed_literal(section.field("max_size"), value::size(limits::HISTORY_BYTES))
            .unwrap_or(default.max_bytes),
    }
}

fn timeouts(reader: &mut Reader<'_>, field: &Field<'_>, default: Timeouts) -> Timeouts {
    let section = reader.section(field.node, "schedule.timeout");
    let mut one = |key: &str, default| {
        reader
            .parsed_literal(section.field(key), value::duration(limits::TIMEOUT))
            .unwrap_or(default)
    };
    Timeouts {
        dns: one("dns", default.dns),
        connect: one("connect", default.connect),
        tls: one("tls", default.tls),
        http: one("http", default.http),
    }
}

fn proxy_url(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Named> {
    let text = reader.text(field)?.trim();
    if text.is_empty() {
        return None;
    }
    address::proxy(text)
        .map(|proxy| Named { proxy, by: Source::Configuration })
        .map_err(|complaint| reader.report_secret(&field.node.place, complaint))
        .ok()
}

fn file(text: &str) -> Result<PathBuf, Complaint> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Complaint::new("this is not the name of a file"));
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests;
