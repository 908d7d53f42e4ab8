//! Prints how the release binary behaves at its bounds: everything dropped, and many checks.
//!
//! Figures, no assertions. Runs in network namespaces of its own (needs root and iproute2), so no
//! packet leaves them.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own that prints figures"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_vnetprobe");

fn main() {
    let folder = std::env::temp_dir().join(format!("vnetprobe-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    everything_dropped(&folder);
    for checks in [100, 1_000] {
        many_checks(&folder, checks);
    }
    fs::remove_dir_all(&folder).expect("the temporary folder goes");
}

/// A namespace whose default route leads into a device that swallows every packet.
const SWALLOWING: &str = "ip link set lo up; ip link add hole type veth peer name far; ip address add 10.255.0.2/24 dev hole; ip link set far up; \
     ip link set hole up; ip neighbor add 10.255.0.1 lladdr 02:00:00:00:00:01 dev hole; ip route add default via 10.255.0.1; exec \"$@\"";
/// A namespace with loopback only.
const LOOPBACK: &str = "ip link set lo up; exec \"$@\"";

fn within(setup: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", setup, "sh", BINARY]).args(arguments);
    command
}

/// A fully described workspace: every catalog row that can be a check is one.
const WORKSPACE: &str = r#"
[workspace]
cloud = "usgovernment"
region = "usgovvirginia"
name = "mlw-research"
id = "03ce50c0-2e18-48ad-9e4a-ca338f571072"
storage_account = "mlstore"
key_vault = "mlvault"
container_registry = "mlacr"
compute_instances = ["ci-alice"]
online_endpoints = ["score"]
features = ["hbi", "rstudio", "batch_endpoints", "firewall_between_compute_and_storage", "kubernetes"]
"#;

/// `check` of the whole catalog where no packet is ever answered: once with mute DNS, once with
/// names from the hosts file of literal targets, so that every connect is dropped.
fn everything_dropped(folder: &Path) {
    let config = write(
        folder,
        "dropped.toml",
        &format!("{WORKSPACE}\n[dns]\nservers = [\"10.255.0.53\"]\n"),
    );
    let budget = vnetprobe::settings::Timeouts::default().budget();
    report("check, whole catalog, DNS dropped", budget, &config);
    let mut probes = String::from("[workspace]\ncloud = \"none\"\n");
    for n in 0..90 {
        let _ = write!(probes, "[[probe]]\nname = \"p{n}\"\ntarget = \"tls://10.7.0.{n}:443\"\n");
    }
    let config = write(folder, "connects.toml", &probes);
    report("check, 90 TLS targets, every connect dropped", budget, &config);
}

fn report(what: &str, budget: Duration, config: &Path) {
    let started = Instant::now();
    let output =
        within(SWALLOWING, &["check", "--format", "json", "--config", &config.to_string_lossy()])
            .stderr(Stdio::inherit())
            .output()
            .expect("unshare runs");
    let took = started.elapsed();
    let limit = budget + Duration::from_secs(1);
    println!(
        "{what}: {:.2} s, exit {:?}, one check's budget plus one second is {:.0} s ({:.2} of it)",
        took.as_secs_f64(),
        output.status.code(),
        limit.as_secs_f64(),
        took.as_secs_f64() / limit.as_secs_f64()
    );
}

/// `serve` with many distinct checks of one second's interval against loopback.
fn many_checks(folder: &Path, checks: usize) {
    let mut config = String::from("[workspace]\ncloud = \"none\"\n[schedule]\ninterval = \"1s\"\n");
    for n in 0..checks {
        // Nothing listens there: a refused connect is the cheapest full climb, and needs no server.
        let _ = write!(
            config,
            "[[probe]]\nname = \"p{n}\"\ntarget = \"tcp://127.1.{}.{}:9\"\n",
            n / 250,
            n % 250 + 1
        );
    }
    let config = write(folder, "many.toml", &config);
    let mut serve = Running(
        within(
            LOOPBACK,
            &["serve", "--listen", "127.0.0.1:0", "--config", &config.to_string_lossy()],
        )
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare runs"),
    );
    let pid = serve.0.id();
    let lines = BufReader::new(serve.0.stderr.take().expect("piped"));
    // The second line of its log tells that the first round is complete.
    let ready = lines.lines().map_while(Result::ok).find(|line| line.contains("fault"));
    let first = resident(pid);
    std::thread::sleep(Duration::from_secs(30));
    let later = resident(pid);
    println!(
        "serve, {checks} checks a second: resident {first} KiB after the first round, {later} KiB after 30 s ({})",
        ready.unwrap_or_default()
    );
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    let mut file = fs::File::create(&path).expect("a file in the temporary folder");
    file.write_all(text.as_bytes()).expect("room for it");
    path
}

/// A process that ends with the bench.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
