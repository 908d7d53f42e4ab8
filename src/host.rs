//! Reads this machine once: files, environment, resolver configuration, interfaces.
#![expect(clippy::disallowed_methods, reason = "this edge reads files and the environment")]

#[cfg(windows)]
mod windows;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

#[cfg(not(windows))]
use hickory_resolver::config::ResolverConfig;
#[cfg(not(windows))]
use hickory_resolver::system_conf;
use ipnet::IpNet;

use crate::limits;
use crate::machine::{InterfaceAddress, Machine};
use crate::proxy::{Environment, Secret, Variable};

#[cfg(windows)]
pub use windows::data_folder;

/// Where systemd-resolved writes the servers behind its stub.
#[cfg(not(windows))]
const RESOLVED_UPSTREAMS: &str = "/run/systemd/resolve/resolv.conf";
/// Name of the configuration, here or in the system's place for such files.
const CONFIG: &str = "probes.toml";

/// Where the package's unit keeps its state, for people who ask beside it.
const STATE_PLACE: &str = "/var/lib/vnetprobe";

/// The state directory of the systemd unit this runs in; the first one where there are several.
pub fn state_directory() -> Option<PathBuf> {
    let all = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&all).next().filter(|path| path.is_absolute())
}

/// A file in the state directory of this unit, else in that of the package's, if it is there.
pub fn state_file(name: &str) -> Option<PathBuf> {
    let own = state_directory().map(|folder| folder.join(name));
    own.or_else(|| Some(Path::new(STATE_PLACE).join(name)).filter(|path| path.exists()))
}

/// A configuration text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// As shown in messages.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Reads the configuration: the named file, else the first of the usual places, else the embedded
/// default.
pub fn config(named: Option<&Path>, embedded: &str) -> Result<ConfigFile, String> {
    if let Some(path) = named {
        return read_config(path);
    }
    #[cfg(windows)]
    let of_system = data_folder().join(CONFIG);
    #[cfg(not(windows))]
    let of_system = Path::new("/etc/vnetprobe").join(CONFIG);
    match [PathBuf::from(CONFIG), of_system].iter().find(|path| path.is_file()) {
        Some(path) => read_config(path),
        None => Ok(ConfigFile { name: "built-in default".to_owned(), text: embedded.to_owned() }),
    }
}

fn read_config(path: &Path) -> Result<ConfigFile, String> {
    let name = path.display().to_string();
    let bytes = read_bounded(path).map_err(|error| {
        format!("failed to read {name}: {error}; name a readable file with --config")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        format!(
            "failed to read {name}: byte {} is not UTF-8; save the file as UTF-8",
            error.utf8_error().valid_up_to()
        )
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(ConfigFile { name, text })
}

/// A CA file and what is in it, or why it cannot be read.
pub type CaFile = (PathBuf, Result<Vec<u8>, String>);

/// Reads CA files named in the configuration.
pub fn ca_files(paths: &[PathBuf]) -> Vec<CaFile> {
    let read = |path: &PathBuf| {
        read_bounded(path).map_err(|error| {
            format!(
                "failed to read the CA file {}: {error}; correct tls.ca_files, --ca-file or the file's permissions",
                path.display()
            )
        })
    };
    paths.iter().map(|path| (path.clone(), read(path))).collect()
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    let mut bytes = Vec::new();
    file.take(limits::FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limits::FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {} bytes", limits::FILE_BYTES)));
    }
    Ok(bytes)
}

/// Errors that say that this process or the system may open no more files, as texts of errors end.
const NO_FILES: [&str; 2] = ["(os error 23)", "(os error 24)"];

/// Whether something was not read because no file could be opened: that says nothing of what is in it.
pub fn ran_out_of_files(trouble: &str) -> bool {
    NO_FILES.iter().any(|end| trouble.contains(end))
}

/// Reads what the machine says of itself. Never fails: what cannot be read becomes a trouble.
pub fn machine() -> Machine {
    let mut troubles = Vec::new();
    let (dns_servers, dns_upstreams) = dns(&mut troubles);
    Machine {
        hostname: gethostname::gethostname().to_string_lossy().into_owned(),
        addresses: interface_addresses(&mut troubles),
        dns_servers,
        dns_upstreams,
        hosts_file: hosts_file(&mut troubles),
        proxy: None,
        ca_files: Vec::new(),
        troubles,
    }
}

/// The DNS servers of this machine, and those behind a stub among them.
#[cfg(not(windows))]
fn dns(troubles: &mut Vec<String>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let configured = match system_conf::read_system_conf() {
        Ok((config, _)) => servers(&config),
        Err(error) => {
            troubles.push(format!("failed to read the resolver configuration: {error}"));
            Vec::new()
        }
    };
    let upstreams = if configured.iter().any(is_stub) { upstreams(troubles) } else { Vec::new() };
    (configured, upstreams)
}

/// The DNS servers of this machine; Windows asks no stub that has an address.
#[cfg(windows)]
fn dns(troubles: &mut Vec<String>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let configured = windows::dns_servers().unwrap_or_else(|error| {
        troubles
            .push(format!("failed to read the DNS servers of this machine's adapters: {error}"));
        Vec::new()
    });
    (configured, Vec::new())
}

#[cfg(not(windows))]
fn servers(config: &ResolverConfig) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = Vec::new();
    for server in config.name_servers() {
        let port = server.connections.first().map_or(53, |connection| connection.port);
        let address = SocketAddr::new(server.ip, port);
        if !servers.contains(&address) {
            servers.push(address);
        }
    }
    servers
}

/// systemd-resolved listens on 127.0.0.53 and 127.0.0.54.
#[cfg(not(windows))]
fn is_stub(server: &SocketAddr) -> bool {
    matches!(server.ip(), IpAddr::V4(ip) if matches!(ip.octets(), [127, 0, 0, 53 | 54]))
}

#[cfg(not(windows))]
fn upstreams(troubles: &mut Vec<String>) -> Vec<SocketAddr> {
    let parsed = read_bounded(Path::new(RESOLVED_UPSTREAMS))
        .map_err(|error| error.to_string())
        .and_then(|bytes| system_conf::parse_resolv_conf(bytes).map_err(|error| error.to_string()));
    match parsed {
        Ok((config, _)) => servers(&config),
        Err(error) => {
            troubles.push(format!("failed to read the servers behind systemd-resolved from {RESOLVED_UPSTREAMS}: {error}"));
            Vec::new()
        }
    }
}

fn interface_addresses(troubles: &mut Vec<String>) -> Vec<InterfaceAddress> {
    let interfaces = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            troubles.push(format!("failed to list this machine's addresses: {error}"));
            return Vec::new();
        }
    };
    let mut addresses: Vec<InterfaceAddress> = interfaces
        .into_iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .filter_map(|interface| {
            let prefix = match &interface.addr {
                if_addrs::IfAddr::V4(v4) => v4.prefixlen,
                if_addrs::IfAddr::V6(v6) => v6.prefixlen,
            };
            let network = IpNet::new(interface.ip(), prefix).ok()?;
            Some(InterfaceAddress { interface: interface.name, network })
        })
        .collect();
    addresses.sort_by_key(|address| {
        (address.network.addr().is_ipv6(), address.interface.clone(), address.network.addr())
    });
    addresses
}

fn hosts_file(troubles: &mut Vec<String>) -> BTreeMap<String, Vec<IpAddr>> {
    #[cfg(windows)]
    let path = windows::hosts_file();
    #[cfg(not(windows))]
    let path = PathBuf::from("/etc/hosts");
    match read_bounded(&path) {
        Ok(bytes) => parse_hosts(&String::from_utf8_lossy(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            troubles.push(format!("failed to read {}: {error}", path.display()));
            BTreeMap::new()
        }
    }
}

/// Reads a hosts file as hosts(5) describes it: an address, then names; `#` begins a comment.
fn parse_hosts(text: &str) -> BTreeMap<String, Vec<IpAddr>> {
    let mut hosts: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    let mut entries = 0;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut fields = line.split_whitespace();
        let Some(ip) = fields.next().and_then(|field| field.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in fields {
            entries += 1;
            if entries > limits::HOSTS_FILE_ENTRIES {
                return hosts;
            }
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let addresses = hosts.entry(name).or_default();
            if !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
    }
    hosts
}

/// What the environment says about proxies, and Windows. Upper-case names go before lower-case ones, as in Go.
pub fn proxy_environment() -> Environment {
    fn first(names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
            Some((*name, value.to_string_lossy().into_owned()))
        })
    }
    let variable = |names: &[&'static str]| {
        first(names).map(|(name, value)| Variable { name, value: Secret::new(value) })
    };
    Environment {
        https: variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        http: variable(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
        exceptions: first(&["NO_PROXY", "no_proxy"]),
        #[cfg(windows)]
        system: windows::proxy(),
        #[cfg(not(windows))]
        system: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_files_are_read_as_the_system_does() {
        let hosts = parse_hosts(
            "127.0.0.1 localhost # the loopback\n\n10.0.0.7\tMLStore.blob.core.usgovcloudapi.net. alias\nnot-an-ip x\nfd00::7 alias\n",
        );
        assert_eq!(
            hosts["mlstore.blob.core.usgovcloudapi.net"],
            ["10.0.0.7".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(hosts["alias"].len(), 2);
        assert!(!hosts.contains_key("x"));
    }

    proptest! {
        #[test]
        fn every_name_of_a_hosts_file_has_its_addresses(
            lines in vec((any::<IpAddr>(), vec("[a-z0-9.-]{0,8}[a-z0-9]\\.?", 0..4), "[ \t]{1,3}", "(#\\PC{0,20})?"), 0..30),
            noise in "[^#0-9]\\PC{0,40}",
        ) {
            let line = |text: String, (ip, names, blank, comment): &(IpAddr, Vec<String>, String, String)| {
                format!("{text}{ip}{blank}{}{comment}\n{noise}\n", names.join(blank))
            };
            let text = lines.iter().fold(String::new(), line);
            let hosts = parse_hosts(&text);
            let mut names = std::collections::BTreeSet::new();
            for (ip, known, ..) in &lines {
                for name in known {
                    let name = name.strip_suffix('.').unwrap_or(name);
                    prop_assert!(hosts[name].contains(ip), "{} {:?}", ip, hosts);
                    names.insert(name);
                }
            }
            prop_assert!(hosts.keys().all(|name| names.contains(name.as_str())), "{:?}", hosts);
        }

        #[test]
        fn any_hosts_file_is_read_within_its_limit(text in "(?s).{0,400}") {
            let hosts = parse_hosts(&text);
            let addresses: usize = hosts.values().map(Vec::len).sum();
            prop_assert!(addresses <= limits::HOSTS_FILE_ENTRIES && !hosts.contains_key(""));
        }
    }
}
