//! Debian's prometheus-blackbox-exporter, asked over HTTP/1.1 connections that stay open. Who asks is
//! another process: only its own processor time counts.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::daemon::target;
use crate::figures::processor_time;
use crate::world::{ADDRESSES, DOMAIN, Kind, Subject, World, answers, text};
use crate::{Pace, Run, turn};

const LISTEN: &str = "127.0.0.1:9115";

/// A running exporter.
#[derive(Debug)]
pub(crate) struct Exporter {
    child: Child,
}

impl Exporter {
    /// Starts it with one module for each kind of check.
    pub(crate) fn start(world: &World) -> Self {
        let config = world.file("blackbox.yml");
        let modules = format!(
            "modules:\n  tcp:\n    prober: tcp\n    tcp: {{preferred_ip_protocol: ip4}}\n  \
             tls:\n    prober: tcp\n    tcp:\n      preferred_ip_protocol: ip4\n      tls: true\n      \
             tls_config: {{ca_file: {}}}\n  dns:\n    prober: dns\n    dns: \
             {{query_name: n1.{DOMAIN}, query_type: A, preferred_ip_protocol: ip4}}\n",
            world.roots().display()
        );
        fs::write(&config, modules).expect("room for a file");
        let child = Command::new("prometheus-blackbox-exporter")
            .args(["--config.file", text(&config), "--web.listen-address", LISTEN])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus-blackbox-exporter runs");
        answers(LISTEN.parse().expect("an address"));
        Self { child }
    }

    /// So many probes, so many at a time at most.
    pub(crate) fn measure(
        &self,
        subject: &Subject,
        named: bool,
        at_once: usize,
        pace: Pace,
        probes: usize,
    ) -> Run {
        let path = |n| match subject.kind {
            Kind::Tls => format!("/probe?module=tls&target={}", target(subject, named, n)),
            Kind::Tcp => format!("/probe?module=tcp&target={}", target(subject, named, n)),
            Kind::Dns => format!("/probe?module=dns&target={}:53", ADDRESSES[0]),
        };
        let next = AtomicUsize::new(0);
        let (cpu, start) = (processor_time(self.child.id()), Instant::now());
        let latencies = thread::scope(|scope| {
            let client = || {
                let mut connection = Connection::open();
                let mut took = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= probes {
                        return took;
                    }
                    turn(start, n, pace);
                    took.push(connection.probe(&path(n)));
                }
            };
            let clients: Vec<_> = (0..at_once).map(|_| scope.spawn(client)).collect();
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
        });
        let cpu = processor_time(self.child.id()).saturating_sub(cpu);
        Run {
            microseconds: cpu.as_secs_f64() * 1e6 / probes as f64,
            rate: probes as f64 / start.elapsed().as_secs_f64(),
            latencies,
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open() -> Self {
        let stream = TcpStream::connect(LISTEN).expect("the exporter listens");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// Makes one probe, which must succeed; gives `probe_duration_seconds`.
    fn probe(&mut self, path: &str) -> f64 {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {LISTEN}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("it reads");
        let body = self.body();
        let value = |name: &str| {
            let line = body.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<f64>().ok())
        };
        assert_eq!(value("probe_success "), Some(1.0), "{path}: {body}");
        value("probe_duration_seconds ").expect("a time")
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    fn body(&mut self) -> String {
        let mut length = None;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse().expect("a length"));
            }
        }
        let mut body = Vec::new();
        if let Some(length) = length {
            body.resize(length, 0);
            self.0.read_exact(&mut body).expect("a body");
        } else {
            loop {
                let size = usize::from_str_radix(&self.line(), 16).expect("the size of a chunk");
                let at = body.len();
                body.resize(at + size, 0);
                self.0.read_exact(&mut body[at..]).expect("a chunk");
                assert_eq!(self.line(), "");
                if size == 0 {
                    break;
                }
            }
        }
        String::from_utf8(body).expect("text")
    }
}
