//! Who reads while the daemon is soaked: people, monitoring, event streams, and clients that are
//! slow, impatient or many.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{Now, meanwhile, sleep};
use crate::locked;
use crate::plan::Plan;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clients that come together.
const CROWD: usize = 50;

/// What the clients had while the process did not stand still.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    /// Answers with status 200, by kind of client.
    pub(crate) by_kind: BTreeMap<&'static str, u64>,
    /// Questions that had another answer or none.
    pub(crate) missing: Vec<String>,
}

impl Default for Answers {
    fn default() -> Self {
        let kinds = ["in turn", "streams", "slow", "by fifty", "probes by form", "probes by name"];
        Self { by_kind: kinds.map(|kind| (kind, 0)).into(), missing: Vec::new() }
    }
}

/// The clients.
pub(crate) struct Clients<'n> {
    socket: PathBuf,
    now: &'n Mutex<Now>,
    /// What is read in turn.
    paths: Vec<String>,
    answers: Mutex<Answers>,
}

impl<'n> Clients<'n> {
    pub(crate) fn new(socket: &Path, plan: &Plan, now: &'n Mutex<Now>) -> Self {
        let usual = ["/", "/metrics", "/api/v1/report", "/report.md", "/api/v1/findings"];
        let mut paths: Vec<String> = usual.map(str::to_owned).into();
        paths.push("/api/v1/history?limit=200".to_owned());
        for check in plan.checks() {
            paths.push(format!("/checks/{}", check.id.replace('@', "%40").replace(':', "%3A")));
        }
        Self { socket: socket.to_owned(), now, paths, answers: Mutex::default() }
    }

    /// What they had.
    pub(crate) fn answers(&self) -> Answers {
        locked(&self.answers).clone()
    }

    /// Each goes on until told to stop.
    pub(crate) fn start<'a>(&'a self, scope: &'a Scope<'a, '_>, stop: &'a AtomicBool) {
        scope.spawn(move || self.read_in_turn(stop));
        scope.spawn(move || self.follow(stop));
        scope.spawn(move || self.dawdle(stop));
        scope.spawn(move || self.crowd(stop));
        scope.spawn(move || self.probe(stop));
    }

    /// Counts what a client of this kind got; while the daemon stands still there is no answer.
    fn note<T>(&self, kind: &'static str, question: impl FnOnce() -> Result<T>) {
        let (answer, then) = meanwhile(self.now, question);
        if then.paused {
            return;
        }
        let mut answers = locked(&self.answers);
        match answer {
            Ok(_) => *answers.by_kind.entry(kind).or_default() += 1,
            Err(error) => answers.missing.push(format!("{kind}: {error:#}")),
        }
    }

    fn read_in_turn(&self, stop: &AtomicBool) {
        for path in self.paths.iter().cycle() {
            self.note("in turn", || ask(&self.socket, path));
            if !sleep(Duration::from_millis(300), stop) {
                return;
            }
        }
    }

    /// Event streams that are left in the middle.
    fn follow(&self, stop: &AtomicBool) {
        let request = "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
        loop {
            self.note("streams", || {
                let mut lines = BufReader::new(send(&self.socket, request)?).lines();
                good(&lines.next().context("no answer")??)?;
                let some = lines.map_while(Result::ok).take(40);
                let events = some.filter(|line| line.starts_with("data:")).count();
                ensure!(events > 0, "no event");
                Ok(())
            });
            if !sleep(Duration::from_secs(1), stop) {
                return;
            }
        }
    }

    /// Half a request, then nothing for a while; the rest only every other time.
    fn dawdle(&self, stop: &AtomicBool) {
        let wait = || sleep(Duration::from_secs(7), stop);
        let half = || send(&self.socket, "GET / HTTP/1.0\r\nhost: loc");
        while !stop.load(Ordering::Relaxed) {
            self.note("slow", || {
                let mut stream = half()?;
                wait();
                stream.write_all(b"alhost\r\n\r\n")?;
                body(&whole(stream)?).map(drop)
            });
            let left = half();
            wait();
            drop(left);
        }
    }

    fn crowd(&self, stop: &AtomicBool) {
        while sleep(Duration::from_secs(30), stop) {
            thread::scope(|scope| {
                for path in self.paths.iter().cycle().take(CROWD) {
                    scope.spawn(|| self.note("by fifty", || ask(&self.socket, path)));
                }
            });
        }
    }

    /// Probes on request, by form and by name.
    fn probe(&self, stop: &AtomicBool) {
        let targets = r#"{"targets": ["login.microsoftonline.us:443"]}"#;
        let request = format!(
            "POST /api/v1/probe HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{targets}",
            targets.len()
        );
        while sleep(Duration::from_secs(15), stop) {
            self.note("probes by form", || {
                body(&whole(send(&self.socket, &request)?)?).map(str::to_owned)
            });
            let path = "/probe?target=login.microsoftonline.us:443&module=tcp_connect";
            self.note("probes by name", || ask(&self.socket, path));
        }
    }
}

/// The body of an answer with status 200.
pub(crate) fn ask(socket: &Path, path: &str) -> Result<String> {
    let text = whole(send(socket, &format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n"))?)?;
    body(&text).map(str::to_owned).with_context(|| path.to_owned())
}

/// What follows the head of an answer with status 200.
fn body(answer: &str) -> Result<&str> {
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    good(head)?;
    Ok(body)
}

fn good(head: &str) -> Result<()> {
    ensure!(head.split(' ').nth(1) == Some("200"), "{head}");
    Ok(())
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
