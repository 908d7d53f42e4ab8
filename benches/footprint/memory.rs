//! Resident memory by number of checks and of what kind they are, with full strips, while it is read.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use vnetprobe::limits::STRIP_SAMPLES;

use crate::Bench;
use crate::figures::daemon::{Daemon, get};
use crate::figures::{Spread, met, status_kib, world};
use crate::peer;

/// How many checks, and how often each in seconds: all strips are full at about the same time, and two
/// cores are enough for all daemons at once.
const SIZES: [(usize, u64); 3] = [(100, 2), (1_000, 12), (10_000, 12)];
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How many looks there are from one reading of the metrics to the next, which is Prometheus's usual
/// quarter of a minute, and how many once the strips are full.
const READING: usize = 60;
const LOOKS: usize = 3 * READING;
/// How many before it is given up that strips get full.
const PATIENCE: usize = 80 * READING;
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
    /// As in the catalog, with a history file: of seven checks four TLS, one HTTPS, one HTTP, one of
    /// the name alone.
    Kept,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Refused, Self::Tls, Self::Kept];

    /// Ten thousand of the refused would take time from the others.
    fn sizes(self) -> &'static [(usize, u64)] {
        if self == Self::Refused { &SIZES[..2] } else { &SIZES }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Refused => "TCP, refused",
            Self::Tls => "TLS, passing",
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
    /// The highest when nobody had read yet.
    unread: f64,
    probing: Spread,
    highest: f64,
    /// The size of its metrics, in MB.
    metrics: f64,
    passing: u64,
}

pub(crate) fn measure(bench: &Bench) -> String {
    // They run at the same time: memory is not a matter of time, and they have processor enough.
    let cells: Vec<Cell> = thread::scope(|scope| {
        let threads: Vec<_> = Kind::ALL
            .into_iter()
            .flat_map(|kind| kind.sizes().iter().map(move |size| (kind, *size)))
            .map(|(kind, size)| scope.spawn(move || cell(bench, kind, size)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a figure")).collect()
    });
    let mut text = format!(
        "Resident memory, one run, all daemons at once. \"First round\" is `VmRSS` when every check was \
         measured once. Then they go on until each check was measured {STRIP_SAMPLES} times, which is all that its \
         strip holds, as `vnetprobe_probe_attempts_total` says; `/metrics` is read every {} s, as Prometheus does. \
         \"Probing\" is `VmRSS` from then on, with the reading going on: the middle of {LOOKS} looks in {} s, with \
         the lowest and the highest. \"Highest\" is `VmHWM`, the most since the start of the process, and \"highest \
         unread\" what that was before the first reading: metrics are rendered as one text, which is held \
         at least until it is sent. Every check has a host of its own; all hosts show one chain of certificates, whose facts are \
         kept once.\n\n\
         | checks | kind | passing | every, s | metrics, MB | first round, MiB | highest unread, MiB | probing, MiB | highest, MiB |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        seconds(READING),
        seconds(LOOKS)
    );
    for cell in &cells {
        let Cell { kind, checks, interval, idle, unread, probing, highest, metrics, passing } =
            cell;
        let _ = writeln!(
            text,
            "| {checks} | {} | {passing} | {interval} | {metrics:.1} | {idle:.1} | {unread:.1} | {probing:.1} | {highest:.1} |",
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
            "- {}: {:.2} KiB after the first round, {:.2} KiB probing",
            kind.words(),
            each(last.idle - first.idle),
            each(last.probing.median - first.probing.median)
        );
    }
    text.push('\n');
    for (checks, limit) in TARGETS {
        for kind in [Kind::Tls, Kind::Kept] {
            let cell = cells.iter().find(|cell| cell.checks == checks && cell.kind == kind);
            let Cell { unread, probing, highest, metrics, passing, .. } =
                cell.expect("it was measured");
            let good = probing.median < limit && *passing == checks as u64;
            let _ = writeln!(
                text,
                "Target: less than {limit:.0} MiB at {checks} checks with their evidence and history. \
                 Measured ({}): {:.1} MiB in the middle of {} s: {}. The highest was {highest:.1} MiB, \
                 against {unread:.1} MiB before the first reading: what is read is {metrics:.1} MB of text, held at \
                 least until it is sent.\n",
                kind.words(),
                probing.median,
                seconds(LOOKS),
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
    let mib = |field| status_kib(daemon.pid(), field) as f64 / 1024.0;
    let (idle, unread) = (mib("VmRSS"), mib("VmHWM"));
    let (least, size) = (AtomicU64::new(0), AtomicUsize::new(0));
    let read = || {
        let metrics = daemon.metrics();
        size.store(metrics.len(), Ordering::Relaxed);
        least.store(attempts(&metrics, checks), Ordering::Relaxed);
    };
    let mut looks = Vec::new();
    thread::scope(|scope| {
        // Reading is not waited for: memory is looked at meanwhile.
        for look in 0.. {
            assert!(look < PATIENCE, "the strips of {checks} checks, {kind:?}, do not get full");
            if look % READING == 0 {
                scope.spawn(read);
            }
            thread::sleep(LOOK);
            if least.load(Ordering::Relaxed) >= STRIP_SAMPLES as u64 {
                looks.push(mib("VmRSS"));
            }
            if looks.len() == LOOKS {
                break;
            }
        }
    });
    let (probing, highest) = (Spread::of(&looks), mib("VmHWM"));
    let (metrics, passing) = (size.into_inner() as f64 / 1e6, daemon.passing());
    Cell { kind, checks, interval, idle, unread, probing, highest, metrics, passing }
}

/// So many looks in seconds.
fn seconds(looks: usize) -> f64 {
    looks as f64 * LOOK.as_secs_f64()
}

/// How often the check was measured that was measured least.
fn attempts(metrics: &str, checks: usize) -> u64 {
    let of = |line: &str| {
        line.strip_prefix("vnetprobe_probe_attempts_total{")?.rsplit(' ').next()?.parse().ok()
    };
    let attempts: Vec<u64> = metrics.lines().filter_map(of).collect();
    assert_eq!(attempts.len(), checks, "every check is counted");
    attempts.into_iter().min().unwrap_or(0)
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
