//! Prints how late probes start while 500 clients read the page, the API and metrics.
//!
//! 1,000 checks of one second each against loopback listeners; every client asks again as soon as it
//! was answered. Figures, no assertions. Runs in network namespaces of its own (needs root and
//! iproute2): `cargo bench --bench load`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own that prints figures"
)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_vnetprobe");
/// Tells this program that it is alone in its namespace.
const ALONE: &str = "VNETPROBE_BENCH_ALONE";
const CHECKS: usize = 1_000;
const CLIENTS: usize = 500;
/// How long each of the two measurements lasts.
const MEASURED: Duration = Duration::from_secs(20);
const PATHS: [&str; 4] = ["/", "/api/v1/report", "/metrics", "/api/v1/findings"];

fn main() {
    if std::env::var_os(ALONE).is_none() {
        let me = std::env::current_exe().expect("this program has a path");
        let status = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up; exec \"$0\""])
            .arg(me)
            .env(ALONE, "1")
            .status()
            .expect("unshare runs");
        assert!(status.success(), "{status}");
        return;
    }
    let port = accepting();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("probes.toml");
    std::fs::write(&config, checks(port)).expect("room for a file");
    let mut daemon = Daemon::start(&config);
    let quiet = lateness(&daemon, || thread::sleep(MEASURED));
    println!("{CHECKS} checks a second, nobody reads: {quiet}");
    let (answers, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let busy = lateness(&daemon, || read_for(MEASURED, daemon.address, &answers, &bytes));
    let seconds = MEASURED.as_secs_f64();
    println!(
        "{CHECKS} checks a second, {CLIENTS} clients read ({:.0} answers and {:.1} MB a second): {busy}",
        answers.into_inner() as f64 / seconds,
        bytes.into_inner() as f64 / seconds / 1e6,
    );
    daemon.child.kill().expect("it can be killed");
    daemon.child.wait().expect("it ends");
}

/// A port that accepts everything.
fn accepting() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let port = listener.local_addr().expect("its number").port();
    thread::spawn(move || listener.incoming().for_each(drop));
    port
}

fn checks(port: u16) -> String {
    let mut config = "[workspace]\ncloud = \"none\"\n[schedule]\ninterval = \"1s\"\n".to_owned();
    for n in 0..CHECKS {
        let target = format!("tcp://127.1.{}.{}:{port}", n / 250, n % 250 + 1);
        let _ = write!(config, "[[probe]]\nname = \"p{n}\"\ntarget = \"{target}\"\n");
    }
    config
}

struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start(config: &std::path::Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "human", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let said = lines.find_map(|line| {
            let line = line.expect("text");
            let (_, after) = line.split_once("status page: http://")?;
            after.split_once('/')?.0.parse().ok()
        });
        thread::spawn(move || lines.for_each(drop));
        let daemon = Self { child, address: said.expect("it says where it is") };
        while !get(daemon.address, "/-/ready").is_some_and(|text| text.contains(" 200 ")) {
            thread::sleep(Duration::from_millis(100));
        }
        daemon
    }
}

fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn read_for(time: Duration, address: SocketAddr, answers: &AtomicU64, bytes: &AtomicU64) {
    let stop = AtomicBool::new(false);
    let until = Instant::now() + time;
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let stop = &stop;
            scope.spawn(move || {
                for path in PATHS.iter().cycle().skip(client) {
                    if stop.load(Ordering::Relaxed) || Instant::now() > until {
                        return;
                    }
                    if let Some(text) = get(address, path) {
                        answers.fetch_add(1, Ordering::Relaxed);
                        bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// What the daemon's own histogram says of the starts during some work.
fn lateness(daemon: &Daemon, work: impl FnOnce()) -> String {
    let before = histogram(daemon);
    work();
    let after = histogram(daemon);
    let counts: Vec<(String, u64)> = after
        .iter()
        .zip(&before)
        .map(|((bound, now), (_, then))| (bound.clone(), now - then))
        .collect();
    let all = counts.last().map_or(0, |(_, count)| *count);
    let shares: Vec<String> = counts
        .iter()
        .filter(|(bound, _)| {
            ["0.001", "0.005", "0.02", "0.05", "0.1", "0.5"].contains(&bound.as_str())
        })
        .map(|(bound, count)| {
            format!("{:.2} % within {bound} s", *count as f64 * 100.0 / all.max(1) as f64)
        })
        .collect();
    format!("{all} starts, {}", shares.join(", "))
}

fn histogram(daemon: &Daemon) -> Vec<(String, u64)> {
    let text = get(daemon.address, "/metrics").expect("metrics");
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("vnetprobe_schedule_lateness_seconds_bucket{le=\"")?;
            let (bound, count) = rest.split_once("\"} ")?;
            Some((bound.to_owned(), count.parse().ok()?))
        })
        .collect()
}
