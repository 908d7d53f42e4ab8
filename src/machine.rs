//! What the machine says of itself: name, addresses, resolver configuration, hosts file, proxy.
//!
//! Read once per start by [`crate::host`], then a plain value.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Serialize;

/// One address of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub interface: String,
    /// The address with its prefix length.
    pub network: IpNet,
}

impl InterfaceAddress {
    /// A bridge that Docker made.
    pub fn is_docker_bridge(&self) -> bool {
        self.interface.starts_with("docker") || self.interface.starts_with("br-")
    }
}

/// What the machine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub hostname: String,
    /// Its addresses but loopback and link-local ones.
    pub addresses: Vec<InterfaceAddress>,
    /// DNS servers applications here ask, in order.
    pub dns_servers: Vec<SocketAddr>,
    /// Where a local stub among them forwards to.
    pub dns_upstreams: Vec<SocketAddr>,
    /// The hosts file.
    pub hosts_file: BTreeMap<String, Vec<IpAddr>>,
    /// The HTTP proxy that checks go through, without credentials.
    pub proxy: Option<String>,
    /// CA files that the configuration has vnetprobe trust besides this machine's store.
    pub ca_files: Vec<PathBuf>,
    /// What could not be read, in one sentence each.
    pub troubles: Vec<String>,
}
