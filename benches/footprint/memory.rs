//! Resident memory by number of checks, of what kind they are, and of what they have been through.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::Bench;
use crate::figures::daemon::{Daemon, get};
use crate::figures::{met, status_kib, world};
use crate::peer;

/// How many checks, and how often each: the first round takes a tenth of the interval.
const SIZES: [(usize, u64); 3] = [(100, 1), (1_000, 10), (10_000, 40)];
/// How long they run after the first round.
const PROBING: Duration = Duration::from_secs(85);
/// The targets, in MiB: checks, and less than how much.
const TARGETS: [(usize, f64); 2] = [(100, 14.0), (10_000, 48.0)];
/// How many targets blackbox_exporter probes at the same time.
const PEER_CLIENTS: usize = 16;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing listens there.
    Refused,
    /// TCP and TLS with a chain that is trusted.
    Tls,
    /// As in the catalog: of seven checks four TLS, one HTTPS, one HTTP, one of the name alone.
    Mixed,
    /// The same with a history file.
    Kept,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Refused, Self::Tls, Self::Mixed, Self::Kept];

    fn words(self) -> &'static str {
        match self {
            Self::Refused => "TCP, refused",
            Self::Tls => "TLS, passing",
            Self::Mixed => "like the catalog, passing",
            Self::Kept => "like the catalog, passing, with a history file",
        }
    }

    fn target(self, n: usize) -> String {
        let host = format!("h{n}.{}", world::SUFFIX);
        match (self, n % 7) {
            (Self::Refused, _) => format!("tcp://{}:9", world::address(n)),
            (Self::Tls, _) | (_, 0..4) => format!("tls://{host}:443"),
            (_, 4) => format!("https://{host}/"),
            (_, 5) => format!("http://{host}/"),
            _ => format!("dns://{host}"),
        }
    }
}

/// One daemon: memory in MiB.
struct Cell {
    kind: Kind,
    checks: usize,
    interval: u64,
    idle: f64,
    probing: f64,
    highest: f64,
    passing: u64,
}

pub(crate) fn measure(bench: &Bench) -> String {
    // They run at the same time: memory is not a matter of time, and they have processor enough.
    let cells: Vec<Cell> = thread::scope(|scope| {
        let threads: Vec<_> = Kind::ALL
            .into_iter()
            .flat_map(|kind| SIZES.map(|size| (kind, size)))
            .map(|(kind, size)| scope.spawn(move || cell(bench, kind, size)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a figure")).collect()
    });
    let mut text = format!(
        "Resident memory (`VmRSS`), one run: after the first round when nothing runs, and after {} s \
         of probing (the strip of a check holds 60 measurements, 16 bytes each). Every check has a \
         host of its own; all hosts show one chain of certificates, whose facts are kept once.\n\n\
         | checks | kind | passing | every, s | idle, MiB | probing, MiB | highest, MiB |\n\
         |---|---|---|---|---|---|---|\n",
        PROBING.as_secs()
    );
    for Cell { kind, checks, interval, idle, probing, highest, passing } in &cells {
        let _ = writeln!(
            text,
            "| {checks} | {} | {passing} | {interval} | {idle:.1} | {probing:.1} | {highest:.1} |",
            kind.words()
        );
    }
    let _ = writeln!(text, "\nFor each further check, from the least to the most of them:\n");
    for kind in Kind::ALL {
        let of: Vec<&Cell> = cells.iter().filter(|cell| cell.kind == kind).collect();
        let (first, last) = (of[0], of[of.len() - 1]);
        let each = |mib: f64| mib * 1024.0 / (last.checks - first.checks) as f64;
        let _ = writeln!(
            text,
            "- {}: {:.2} KiB idle, {:.2} KiB probing",
            kind.words(),
            each(last.idle - first.idle),
            each(last.probing - first.probing)
        );
    }
    text.push('\n');
    for (checks, limit) in TARGETS {
        for kind in [Kind::Tls, Kind::Kept] {
            let cell = cells.iter().find(|cell| cell.checks == checks && cell.kind == kind);
            let Cell { probing, passing, .. } = cell.expect("it was measured");
            let good = *probing < limit && *passing == checks as u64;
            let _ = writeln!(
                text,
                "Target: less than {limit:.0} MiB at {checks} checks with their evidence and history. \
                 Measured ({}): {probing:.1} MiB: {}.\n",
                kind.words(),
                met(good)
            );
        }
    }
    text + &peer(bench)
}

fn cell(bench: &Bench, kind: Kind, (checks, interval): (usize, u64)) -> Cell {
    let config = config(bench, kind, checks, interval);
    let daemon = Daemon::start(&[], &config);
    daemon.ready();
    let kib = |field| status_kib(daemon.pid(), field) as f64 / 1024.0;
    let idle = kib("VmRSS");
    thread::sleep(PROBING);
    let (probing, highest) = (kib("VmRSS"), kib("VmHWM"));
    Cell { kind, checks, interval, idle, probing, highest, passing: daemon.passing() }
}

fn config(bench: &Bench, kind: Kind, checks: usize, interval: u64) -> PathBuf {
    let name = format!("{kind:?}-{checks}");
    let mut text = format!(
        "[workspace]\ncloud = \"none\"\n[dns]\nservers = [\"{}\"]\nreference = \"\"\n\
         [tls]\nca_files = [\"{}\"]\n[schedule]\ninterval = \"{interval}s\"\n",
        world::DNS,
        bench.ca.display(),
    );
    if kind == Kind::Kept {
        let file = bench.folder.join(format!("{name}.sqlite"));
        let _ = writeln!(text, "[history]\npath = \"{}\"", file.display());
    }
    for n in 0..checks {
        let _ = write!(text, "[[probe]]\nname = \"p{n}\"\ntarget = \"{}\"\n", kind.target(n));
    }
    bench.write(&format!("{name}.toml"), &text)
}

/// The other program's memory at its start and after as many targets.
fn peer(bench: &Bench) -> String {
    let (process, address, _) = peer::start(bench);
    peer::answers(address, "/");
    let mib = || status_kib(process.0.id(), "VmRSS") as f64 / 1024.0;
    let first = mib();
    let (next, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let most = SIZES[SIZES.len() - 1].0;
    thread::scope(|scope| {
        for _ in 0..PEER_CLIENTS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= most {
                        return;
                    }
                    let path = format!("/probe?module=tls&target=h{n}.{}:443", world::SUFFIX);
                    let answer = get(address, &path).unwrap_or_default();
                    good.fetch_add(
                        usize::from(answer.contains("probe_success 1")),
                        Ordering::Relaxed,
                    );
                }
            });
        }
    });
    format!(
        "blackbox_exporter, which keeps nothing of a target: {first:.1} MiB at its start, {:.1} MiB \
         after {most} TLS targets once each, {PEER_CLIENTS} at a time ({} passed).",
        mib(),
        good.into_inner()
    )
}
