//! `vnetprobe serve`, with everything it does: schedule, verdicts, history on disk, metrics.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Run;
use crate::figures::{BINARY, processor_time};
use crate::world::{ADDRESSES, DOMAIN, Kind, PORTS, Subject, World};

/// Each check runs once in this time.
const INTERVAL: Duration = Duration::from_secs(1);
/// Intervals that one measurement lasts; the metrics are read in each.
const MEASURED: u32 = 2;

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Load {
    /// Checks, each once a second.
    pub(crate) checks: usize,
    /// `schedule.concurrency`.
    pub(crate) concurrency: usize,
    /// Targets are names, not addresses.
    pub(crate) named: bool,
}

/// One measurement with a daemon of its own.
pub(crate) fn measure(world: &World, subject: &Subject, load: Load) -> Run {
    let config = world.file("probes.toml");
    let history = world.file("history.sqlite");
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", history.display()));
    }
    fs::write(&config, configuration(world, subject, load)).expect("room for a file");
    let daemon = Daemon::start(&config);
    // The first round is hurried, and the second not yet in the rhythm.
    let before = daemon.wait_for(2 * load.checks as u64);
    let (cpu, start) = (processor_time(daemon.child.id()), Instant::now());
    let mut after = before;
    for _ in 0..MEASURED {
        thread::sleep(INTERVAL);
        after = daemon.counted();
    }
    let wall = start.elapsed().as_secs_f64();
    let cpu = processor_time(daemon.child.id()).saturating_sub(cpu);
    // Metrics are those of the last snapshot: its own time tells what had been done when.
    let rate = (after.attempts - before.attempts) as f64 / (after.at - before.at);
    Run {
        microseconds: cpu.as_secs_f64() * 1e6 / (rate * wall),
        rate,
        latencies: daemon.latencies(subject.kind, load.checks),
    }
}

fn configuration(world: &World, subject: &Subject, load: Load) -> String {
    let Load { checks, concurrency, named } = load;
    let mut config = format!(
        "[workspace]\ncloud = \"none\"\n[dns]\nreference = \"\"\n[tls]\nca_files = [\"{}\"]\n\
         [schedule]\ninterval = \"1s\"\nconcurrency = {concurrency}\n[history]\npath = \"{}\"\n",
        world.roots().display(),
        world.file("history.sqlite").display(),
    );
    for n in 0..checks {
        let target = target(subject, named, n);
        let target = match subject.kind {
            Kind::Tls => format!("tls://{target}"),
            Kind::Tcp => format!("tcp://{target}"),
            Kind::Dns => format!("dns://n{n}.{DOMAIN}"),
        };
        let _ = write!(config, "[[probe]]\nname = \"p{n}\"\ntarget = \"{target}\"\n");
    }
    config
}

/// The n-th target of a subject, as host and port.
pub(crate) fn target(subject: &Subject, named: bool, n: usize) -> String {
    let port = subject.port + u16::try_from(n % usize::from(PORTS)).expect("a small number");
    if named {
        format!("n{n}.{DOMAIN}:{port}")
    } else {
        format!("{}:{port}", ADDRESSES[n / usize::from(PORTS) % ADDRESSES.len()])
    }
}

/// What the metrics say at one moment.
#[derive(Debug, Clone, Copy)]
struct Counted {
    attempts: u64,
    failures: u64,
    /// When the newest measurement ended, in seconds.
    at: f64,
}

struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start(config: &std::path::Path) -> Self {
        let mut command = Command::new(BINARY);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env_remove(name);
        }
        let mut child = command
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
        Self { child, address: said.expect("it says where it is") }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("the daemon listens");
        let host = self.address;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers in text");
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.contains(" 200 "), "{head}");
        body.to_owned()
    }

    fn counted(&self) -> Counted {
        let metrics = self.get("/metrics");
        let values = |name: &str| {
            let family = format!("vnetprobe_{name}{{");
            let lines = metrics.lines().filter(|line| line.starts_with(&family));
            let last = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
            lines.map(|line| last(line).expect("a number")).collect::<Vec<f64>>()
        };
        Counted {
            attempts: values("probe_attempts_total").iter().sum::<f64>() as u64,
            failures: values("probe_failures_total").iter().sum::<f64>() as u64,
            at: values("probe_last_run_timestamp_seconds").into_iter().fold(0.0, f64::max),
        }
    }

    /// Waits until so many measurements were made.
    fn wait_for(&self, attempts: u64) -> Counted {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let counted = self.counted();
            if counted.attempts >= attempts {
                return counted;
            }
            assert!(Instant::now() < until, "too slow: {counted:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What the last measurement of each check took, in seconds; all must have passed.
    fn latencies(&self, kind: Kind, checks: usize) -> Vec<f64> {
        let report: Value = serde_json::from_str(&self.get("/api/v1/report")).expect("JSON");
        let seen = report["checks"].as_array().expect("a list");
        assert_eq!(seen.len(), checks);
        if let Some(bad) = seen.iter().find(|check| check["status"] != "pass") {
            panic!("a check did not pass: {} {}", bad["id"], bad["summary"]);
        }
        assert_eq!(self.counted().failures, 0, "some attempts failed");
        let phases: &[&str] = match kind {
            Kind::Tls => &["connect", "tls"],
            Kind::Tcp => &["connect"],
            Kind::Dns => &["dns"],
        };
        let took = |check: &Value| {
            let all = phases.iter().map(|phase| check["phases"][phase].as_f64());
            all.sum::<Option<f64>>().expect("every phase has a time")
        };
        seen.iter().map(took).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
