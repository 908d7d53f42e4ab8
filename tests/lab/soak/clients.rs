//! Who reads while the daemon is soaked: people, monitoring, event streams, and clients that are
//! slow, impatient or many.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::sleep;
use crate::plan::Plan;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clients that come together.
const CROWD: usize = 50;

/// The clients.
pub(crate) struct Clients {
    socket: PathBuf,
    /// What is read in turn.
    paths: Vec<String>,
    answers: AtomicU64,
}

impl Clients {
    pub(crate) fn new(socket: &Path, plan: &Plan) -> Self {
        let usual = ["/", "/metrics", "/api/v1/report", "/report.md", "/api/v1/findings"];
        let mut paths: Vec<String> = usual.map(str::to_owned).into();
        paths.push("/api/v1/history?limit=200".to_owned());
        for check in plan.checks() {
            paths.push(format!("/checks/{}", check.id.replace('@', "%40").replace(':', "%3A")));
        }
        Self { socket: socket.to_owned(), paths, answers: AtomicU64::new(0) }
    }

    /// How many answers they had.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Each goes on until told to stop.
    pub(crate) fn start<'a>(&'a self, scope: &'a Scope<'a, '_>, stop: &'a AtomicBool) {
        scope.spawn(move || self.read_in_turn(stop));
        scope.spawn(move || self.follow(stop));
        scope.spawn(move || self.dawdle(stop));
        scope.spawn(move || self.crowd(stop));
        scope.spawn(move || self.probe(stop));
    }

    /// While the daemon stands still or this machine is busy there may be no answer: nothing is
    /// asserted here.
    fn note<T>(&self, answer: &Result<T>) {
        self.answers.fetch_add(u64::from(answer.is_ok()), Ordering::Relaxed);
    }

    fn read_in_turn(&self, stop: &AtomicBool) {
        for path in self.paths.iter().cycle() {
            self.note(&ask(&self.socket, path));
            if !sleep(Duration::from_millis(300), stop) {
                return;
            }
        }
    }

    /// Event streams that are left in the middle.
    fn follow(&self, stop: &AtomicBool) {
        loop {
            if let Ok(stream) =
                send(&self.socket, "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
            {
                let lines = BufReader::new(stream).lines().map_while(Result::ok).take(40).count();
                self.answers.fetch_add(u64::from(lines > 0), Ordering::Relaxed);
            }
            if !sleep(Duration::from_secs(1), stop) {
                return;
            }
        }
    }

    /// Half a request, and then nothing for a while.
    fn dawdle(&self, stop: &AtomicBool) {
        loop {
            let stream = send(&self.socket, "GET / HTTP/1.1\r\nhost: loc");
            if !sleep(Duration::from_secs(7), stop) {
                return;
            }
            drop(stream);
        }
    }

    fn crowd(&self, stop: &AtomicBool) {
        while sleep(Duration::from_secs(30), stop) {
            thread::scope(|scope| {
                for path in self.paths.iter().cycle().take(CROWD) {
                    scope.spawn(|| self.note(&ask(&self.socket, path)));
                }
            });
        }
    }

    /// Probes on request, by form and by name.
    fn probe(&self, stop: &AtomicBool) {
        let body = r#"{"targets": ["login.microsoftonline.us:443"]}"#;
        let request = format!(
            "POST /api/v1/probe HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        while sleep(Duration::from_secs(15), stop) {
            self.note(&send(&self.socket, &request).and_then(whole));
            let path = "/probe?target=login.microsoftonline.us:443&module=tcp_connect";
            self.note(&ask(&self.socket, path));
        }
    }
}

/// The body of an answer with status 200.
pub(crate) fn ask(socket: &Path, path: &str) -> Result<String> {
    let text = whole(send(socket, &format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n"))?)?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without a head")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{path}: {head}");
    Ok(body.to_owned())
}

fn send(socket: &Path, request: &str) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn whole(mut stream: UnixStream) -> Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
