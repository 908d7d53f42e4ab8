//! What Windows keeps elsewhere: DNS servers with the adapters, the proxy in the registry, folders in
//! the environment.
#![expect(clippy::disallowed_methods, reason = "this edge reads the environment")]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipconfig::OperStatus;
use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE};

use crate::proxy::System;
use crate::proxy::windows::{self, Values};

const INTERNET: &str = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings";
const CONNECTIONS: &str =
    r"Software\Microsoft\Windows\CurrentVersion\Internet Settings\Connections";
const POLICY: &str = r"Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings";

/// Servers that Windows lists where an adapter has none (RFC 3879 deprecated them).
const PLACEHOLDERS: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfec0, 0, 0, 0xffff, 0, 0, 0, 1),
    Ipv6Addr::new(0xfec0, 0, 0, 0xffff, 0, 0, 0, 2),
    Ipv6Addr::new(0xfec0, 0, 0, 0xffff, 0, 0, 0, 3),
];

/// DNS servers of the adapters that are up, in the order in which Windows prefers the adapters.
pub(super) fn dns_servers() -> Result<Vec<SocketAddr>, ipconfig::error::Error> {
    let mut adapters = ipconfig::get_adapters()?;
    adapters.retain(|adapter| adapter.oper_status() == OperStatus::IfOperStatusUp);
    adapters.sort_by_key(ipconfig::Adapter::ipv4_metric);
    let mut servers = Vec::new();
    for ip in adapters.iter().flat_map(|adapter| adapter.dns_servers()) {
        let server = SocketAddr::new(*ip, 53);
        let placeholder = matches!(ip, IpAddr::V6(ip) if PLACEHOLDERS.contains(&ip));
        if !placeholder && !servers.contains(&server) {
            servers.push(server);
        }
    }
    Ok(servers)
}

/// The proxy of this user, or of the machine where a policy says so; else that of services.
pub(super) fn proxy() -> Option<System> {
    let for_all = LOCAL_MACHINE
        .open(POLICY)
        .and_then(|key| key.get_u32("ProxySettingsPerUser"))
        .is_ok_and(|each_user| each_user == 0);
    let hive = if for_all { LOCAL_MACHINE } else { CURRENT_USER };
    internet(hive).or_else(|| {
        let value = LOCAL_MACHINE.open(CONNECTIONS).ok()?.get_value("WinHttpSettings").ok()?;
        windows::winhttp(&value)
    })
}

fn internet(hive: &Key) -> Option<System> {
    let key = hive.open(INTERNET).ok()?;
    let text = |name| key.get_string(name).unwrap_or_default();
    windows::internet(Values {
        enabled: key.get_u32("ProxyEnable").is_ok_and(|enabled| enabled != 0),
        server: &text("ProxyServer"),
        exceptions: &text("ProxyOverride"),
        script: !text("AutoConfigURL").trim().is_empty(),
    })
}

/// The hosts file.
pub(super) fn hosts_file() -> PathBuf {
    folder("SystemRoot", r"C:\Windows").join(r"System32\drivers\etc\hosts")
}

/// Where configuration and log files of this machine's vnetprobe are.
pub fn data_folder() -> PathBuf {
    folder("ProgramData", r"C:\ProgramData").join("vnetprobe")
}

fn folder(variable: &str, usual: &str) -> PathBuf {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map_or(usual.into(), PathBuf::from)
}
