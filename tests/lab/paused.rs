//! `vnetprobe serve` that stood still, as on a machine that was suspended.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::daemon::{Daemon, PORT, answer};
use crate::lab::Lab;

/// How long anything here may take to come about.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stops a daemon for so long; the report that it gives to who asked meanwhile, and its exit code
/// when it is told to end after it recovered.
pub(crate) fn ask(lab: &Lab, config: &Path, pause: Duration) -> Result<(Vec<u8>, Option<i32>)> {
    let daemon = Daemon::ready(lab, config)?;
    stop_between_probes(&daemon)?;
    let stopped = Instant::now();
    // Nothing but time makes a result old.
    std::thread::sleep(pause.saturating_sub(stopped.elapsed()));
    // The question is there before the program goes on, so that its first words are heard.
    let asked = daemon.start_get("/api/v1/report")?;
    until("the question has arrived", || Ok(sockets(&daemon)?.iter().any(Socket::has_question)))?;
    daemon.signal("CONT")?;
    let report = answer(asked)?;
    until("all is well again", || Ok(daemon.get("/api/v1/findings")?.trim() == "[]"))?;
    Ok((report.into_bytes(), daemon.end()?))
}

/// Stops it when no probe is under way: one that is would end first and be the only one not late.
fn stop_between_probes(daemon: &Daemon<'_>) -> Result<()> {
    until("no probe is under way", || {
        daemon.signal("STOP")?;
        until("it stands still", || {
            let stat = fs::read_to_string(daemon.proc().join("stat"))?;
            Ok(stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
        })?;
        let idle = !sockets(daemon)?.iter().any(Socket::is_of_probe);
        if !idle {
            daemon.signal("CONT")?;
        }
        Ok(idle)
    })
}

fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !holds()? {
        ensure!(began.elapsed() < PATIENCE, "after {PATIENCE:?} it is not so that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A line of `/proc/PID/net/tcp` and its like.
struct Socket {
    local: u16,
    remote: u16,
    established: bool,
    unread: bool,
    /// Of a program, and not left to the system or waiting to be taken.
    owned: bool,
}

impl Socket {
    fn of(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let port = |column: usize| {
            let (_, port) = columns.get(column)?.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok()
        };
        Some(Self {
            local: port(1)?,
            remote: port(2)?,
            established: *columns.get(3)? == "01",
            unread: columns.get(4)?.rsplit_once(':')?.1 != "00000000",
            owned: *columns.get(9)? != "0",
        })
    }

    /// The client has no other programs than the daemon and who asks it.
    fn is_of_probe(&self) -> bool {
        self.owned && self.local != PORT && self.remote != PORT
    }

    fn has_question(&self) -> bool {
        self.local == PORT && self.established && self.unread
    }
}

/// All sockets in the client's namespace.
fn sockets(daemon: &Daemon<'_>) -> Result<Vec<Socket>> {
    let mut all = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(daemon.proc().join("net").join(table))?;
        all.extend(text.lines().skip(1).filter_map(Socket::of));
    }
    Ok(all)
}
