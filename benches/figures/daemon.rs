//! The daemon that is measured, and reading from it as its clients do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::BINARY;

/// How long anything that must come is awaited.
const PATIENCE: Duration = Duration::from_mins(2);

/// A process that ends with the benchmark.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `vnetprobe serve`.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Running,
    /// Where it answers.
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// Starts it after these words, such as `taskset -c 0`, and waits until it says where it is.
    pub(crate) fn start(before: &[&str], config: &Path) -> Self {
        let words = [before, &[BINARY]].concat();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "human", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = lines.find_map(|line| {
            let line = line.expect("text");
            let (_, after) = line.split_once("status page: http://")?;
            after.split_once('/')?.0.parse().ok()
        });
        thread::spawn(move || lines.for_each(drop));
        Self { process: Running(child), address: address.expect("it says where it is") }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Waits for the end of the first round.
    pub(crate) fn ready(&self) {
        let start = Instant::now();
        while !get(self.address, "/-/ready").is_some_and(|text| text.contains(" 200 ")) {
            assert!(start.elapsed() < PATIENCE, "the first round does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its metrics.
    pub(crate) fn metrics(&self) -> String {
        get(self.address, "/metrics").expect("metrics")
    }

    /// How many of its checks pass.
    pub(crate) fn passing(&self) -> u64 {
        value(&self.metrics(), "vnetprobe_checks{status=\"pass\"}")
    }

    /// Waits for the end of the first round, in which all must have passed: failing is cheaper.
    pub(crate) fn well(&self, checks: usize) {
        self.ready();
        let passing = self.passing();
        assert_eq!(passing, checks as u64, "not all passed: {}", self.failure());
    }

    /// What one of those that do not pass says.
    fn failure(&self) -> String {
        let findings = get(self.address, "/api/v1/findings").unwrap_or_default();
        findings.lines().filter(|line| line.contains("title")).collect()
    }
}

/// The value of a series in metrics.
pub(crate) fn value(metrics: &str, series: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{series} is in the metrics"))
}

/// One request and the whole answer, with its head.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// One request: when its first byte came, when its last, and how many there were.
pub(crate) fn timed_get(address: SocketAddr, path: &str) -> (Duration, Duration, usize) {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").expect("it reads");
    let mut buffer = vec![0; 256 * 1024];
    let mut size = stream.read(&mut buffer).expect("it answers");
    let first = start.elapsed();
    loop {
        match stream.read(&mut buffer).expect("it goes on") {
            0 => return (first, start.elapsed(), size),
            length => size += length,
        }
    }
}
