//! The configuration in use, for people and programs that may read but not learn secrets.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Config;
use crate::plan::ExtraProbe;
use crate::settings::web::{ClientAuth, MinVersion, Web};

/// What stands in the place of a secret.
const MASK: &str = "<secret>";

/// The configuration as JSON with the tables and keys of `probes.toml`, defaults filled in.
pub fn shown(config: &Config) -> String {
    let Config { parameters: p, network: n, settings: s, probes, exclude } = config;
    let addresses: Map<String, Value> =
        n.endpoint_addresses.iter().map(|(host, list)| (host.to_string(), json!(list))).collect();
    let value = json!({
        "workspace": {
            "cloud": p.cloud, "region": p.region, "name": p.name, "id": p.id,
            "storage_account": p.storage_account, "key_vault": p.key_vault,
            "container_registry": p.container_registry,
            "compute_instances": p.compute_instances, "online_endpoints": p.online_endpoints,
            "private_endpoint": p.private_endpoint, "features": p.features, "vantage": p.vantage,
        },
        "network": {
            "private_ranges": n.private_ranges, "endpoint_subnets": n.endpoint_subnets,
            "endpoint_addresses": addresses,
        },
        "dns": {
            "servers": s.dns_servers,
            "reference": s.dns_reference.map(|server| server.to_string()).unwrap_or_default(),
        },
        "proxy": {
            "url": proxy(config),
            "no_proxy": s.no_proxy.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
        "tls": { "ca_files": s.ca_files },
        "schedule": {
            "interval": duration(s.interval),
            "timeout": {
                "dns": duration(s.timeouts.dns), "connect": duration(s.timeouts.connect),
                "tls": duration(s.timeouts.tls), "http": duration(s.timeouts.http),
            },
            "concurrency": s.concurrency,
        },
        "web": web(&s.web),
        "history": {
            "path": s.history.path.clone().unwrap_or_default(),
            "retention": duration(s.history.retention),
            "max_size": format!("{}KiB", s.history.max_bytes / 1024),
        },
        "catalog": { "exclude": exclude.iter().map(ToString::to_string).collect::<Vec<_>>() },
        "probe": probes.iter().map(probe).collect::<Vec<_>>(),
    });
    // A tree of strings, numbers and lists always serializes.
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}

/// Names of users and tokens are no secrets; what proves who they are is.
fn web(web: &Web) -> Value {
    let tls = web.tls.as_ref();
    let masked = |name: &String| (name.clone(), json!(MASK));
    let (client_auth, client_ca) = match tls.map(|tls| &tls.client_auth) {
        None | Some(ClientAuth::None) => ("NoClientCert", None),
        Some(ClientAuth::IfGiven(file)) => ("VerifyClientCertIfGiven", Some(file)),
        Some(ClientAuth::Required(file)) => ("RequireAndVerifyClientCert", Some(file)),
    };
    json!({
        "listen": web.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "names": web.names,
        "cert_file": tls.map(|tls| &tls.cert_file),
        "key_file": tls.map(|tls| &tls.key_file),
        "client_ca_file": client_ca,
        "client_auth_type": client_auth,
        "min_version": match tls.map(|tls| tls.min_version) {
            None | Some(MinVersion::Tls12) => "TLS12",
            Some(MinVersion::Tls13) => "TLS13",
        },
        "basic_auth_users": web.users.keys().map(masked).collect::<Map<_, _>>(),
        "bearer_tokens": web.tokens.keys().map(masked).collect::<Map<_, _>>(),
        "probe_users": web.probe_users,
        "probe_suffixes": web.probe_suffixes,
    })
}

fn proxy(config: &Config) -> String {
    let Some(named) = &config.settings.proxy else { return String::new() };
    match named.proxy.credentials {
        Some(_) => format!("http://{MASK}@{}", named.proxy.authority()),
        None => named.proxy.to_string(),
    }
}

fn probe(probe: &ExtraProbe) -> Value {
    let target = &probe.target;
    let path = if target.path == "/" { "" } else { target.path.as_str() };
    let scheme = match target.kind {
        crate::model::Kind::Websocket => "wss",
        kind => kind.as_str(),
    };
    json!({
        "name": probe.id, "target": format!("{scheme}://{}{path}", target.authority()),
        "expect": probe.expect, "subnets": probe.subnets, "scenarios": probe.scenarios,
    })
}

/// As it is written in the file: `60s`, or `50ms` where it is no whole number of seconds.
fn duration(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, schema};

    #[test]
    fn every_key_is_shown() {
        let config = parse(include_str!("../../tests/good-config/full.toml")).unwrap();
        let value: Value = serde_json::from_str(&shown(&config)).unwrap();
        for (table, keys) in schema::TABLES {
            let pointer = format!("/{}", table.replace('.', "/"));
            let place = value.pointer(&pointer).unwrap_or_else(|| panic!("no {table}"));
            let place = place.get(0).unwrap_or(place);
            for key in *keys {
                assert!(place.get(key).is_some(), "{table}.{key}");
            }
        }
    }

    #[test]
    fn secrets_are_not() {
        let config = parse("[proxy]\nurl = \"http://bob:hunter2@10.0.0.1:3128\"\n").unwrap();
        let text = shown(&config);
        assert!(text.contains("http://<secret>@10.0.0.1:3128"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("bob"), "{text}");
    }
}
