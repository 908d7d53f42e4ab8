//! prometheus-blackbox-exporter, as Debian has it.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Bench;
use crate::figures::daemon::{Running, get};
use crate::figures::world::free_port;

/// Its name.
pub(crate) const PROGRAM: &str = "prometheus-blackbox-exporter";

/// Starts it, without waiting for it, and says when, just before its exec. Its module `tls` connects, shakes hands and verifies.
pub(crate) fn start(bench: &Bench) -> (Running, SocketAddr, Instant) {
    let config = format!(
        "modules:\n  tls:\n    prober: tcp\n    timeout: 10s\n    tcp:\n      preferred_ip_protocol: ip4\n\
         \x20     tls: true\n      tls_config:\n        ca_file: {}\n",
        bench.ca.display()
    );
    let config = bench.write("blackbox.yml", &config);
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let start = Instant::now();
    let child = Command::new(PROGRAM)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("blackbox_exporter is installed (scripts/setup)");
    (Running(child), address, start)
}

/// Waits until it answers, without a pause.
pub(crate) fn answers(address: SocketAddr, path: &str) {
    while !get(address, path).is_some_and(|text| text.contains(" 200 ")) {
        std::hint::spin_loop();
    }
}
