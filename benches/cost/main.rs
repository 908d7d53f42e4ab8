//! Processor time for a check, and time added to the network's own: vnetprobe, blackbox_exporter, a bare
//! loop over rustls and `openssl s_time` in turn, on the same servers.
//!
//! Writes its section of `docs/benchmarks.md`. Runs in namespaces of its own (needs root, iproute2, nginx,
//! dnsmasq, openssl and prometheus-blackbox-exporter): `cargo bench --locked --bench cost`. With a text
//! behind `--`, such as `-- 'plain TCP, Vnetprobe'`, it measures only what contains it, for a profiler to
//! watch, and writes nothing.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::format_push_string,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a program of its own that prints figures and gives up where they would be worthless"
)]

mod daemon;
mod exporter;
#[path = "../figures/mod.rs"]
mod figures;
mod floor;
mod page;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use daemon::Load;
use exporter::Exporter;
use world::{Kind, SUBJECTS, Subject, USUAL, World};

/// How often all programs take their turn.
const ROUNDS: usize = 5;
/// How long a program without a schedule is measured at a pace.
const PACED_SECONDS: usize = 3;

/// One measurement of one program on one subject.
#[derive(Debug)]
pub(crate) struct Run {
    /// Processor time for each check.
    pub(crate) microseconds: f64,
    /// Checks a second, by the wall.
    pub(crate) rate: f64,
    /// The time of single checks, in seconds.
    pub(crate) latencies: Vec<f64>,
}

/// Who checks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// `vnetprobe serve`.
    Vnetprobe(Load),
    /// blackbox_exporter, by name or by address, so many at a time.
    Exporter {
        /// Targets are names.
        named: bool,
        /// Requests at the same time.
        at_once: usize,
        /// How fast they come.
        pace: Pace,
    },
    /// The bare loop.
    Floor {
        /// Threads.
        at_once: usize,
        /// How fast checks follow each other.
        pace: Pace,
    },
    /// `openssl s_time -new`.
    Openssl,
}

/// All measurements, in the order of the rounds.
pub(crate) type Runs = BTreeMap<(Subject, Program), Vec<Run>>;

/// How fast the checks of a program come that has no schedule of its own: so many a second, or each
/// as soon as the one before it is done.
pub(crate) type Pace = Option<u32>;

/// Checks a second that leave places free, as it should be.
pub(crate) const STEADY: u32 = 500;
/// The same where places are few, or held for long: a connection is watched for 150 ms, and 64 places are
/// enough for 426 a second.
pub(crate) const SLOW: u32 = 300;

/// A load that leaves places free.
pub(crate) const fn steady(named: bool) -> Program {
    Program::Vnetprobe(Load { checks: STEADY as usize, concurrency: 64, named })
}
/// One at a time.
pub(crate) const fn one(named: bool) -> Program {
    Program::Vnetprobe(Load { checks: SLOW as usize, concurrency: 1, named })
}
/// Plain TCP at leisure.
pub(crate) const CONNECTS: Program =
    Program::Vnetprobe(Load { checks: SLOW as usize, concurrency: 64, named: false });
/// As much to do as its peers, which are driven.
pub(crate) const fn full(kind: Kind, named: bool) -> Program {
    let (checks, concurrency) = match kind {
        Kind::Tls => (3_000, 64),
        // A connection is watched for 150 ms.
        Kind::Tcp => (6_000, 1_200),
        Kind::Dns => (6_000, 64),
    };
    Program::Vnetprobe(Load { checks, concurrency, named })
}
/// The same with one place.
pub(crate) const fn full_one(kind: Kind, named: bool) -> Program {
    let Program::Vnetprobe(Load { checks, .. }) = full(kind, named) else { unreachable!() };
    Program::Vnetprobe(Load { checks, concurrency: 1, named })
}
/// blackbox_exporter.
pub(crate) const fn exporter(named: bool, at_once: usize, pace: Pace) -> Program {
    Program::Exporter { named, at_once, pace }
}
/// The bare loop.
pub(crate) const fn floor(pace: Pace) -> Program {
    Program::Floor { at_once: 1, pace }
}
/// The bare loop in 64 threads.
pub(crate) const CROWDED_FLOOR: Program = Program::Floor { at_once: 64, pace: None };

/// Waits for the turn of a check.
pub(crate) fn turn(start: Instant, n: usize, pace: Pace) {
    let Some(pace) = pace else { return };
    let due = start + Duration::from_secs_f64(n as f64 / f64::from(pace));
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// Who is measured on what: programs that are compared follow each other.
fn grid() -> Vec<(Subject, Program)> {
    let mut grid = Vec::new();
    let (steadily, slowly) = (Some(STEADY), Some(SLOW));
    for subject in SUBJECTS {
        let mut add = |programs: &[Program]| grid.extend(programs.iter().map(|p| (subject, *p)));
        match subject.kind {
            Kind::Tls => {
                add(&[full(Kind::Tls, true), exporter(true, 64, None), floor(None)]);
                add(&[Program::Openssl]);
            }
            Kind::Tcp => {
                add(&[full(Kind::Tcp, false), exporter(false, 64, None), floor(None)]);
                add(&[CONNECTS, exporter(false, 64, slowly), floor(slowly)]);
                add(&[exporter(false, 1, slowly)]);
            }
            Kind::Dns => {
                add(&[full(Kind::Dns, true), exporter(true, 64, None), floor(None)]);
                add(&[full_one(Kind::Dns, true), exporter(true, 1, None)]);
                add(&[steady(true), exporter(true, 64, steadily), floor(steadily)]);
                add(&[one(true), exporter(true, 1, slowly), floor(slowly)]);
            }
        }
        if subject == USUAL {
            add(&[full(Kind::Tls, false), exporter(false, 64, None), CROWDED_FLOOR]);
            add(&[full_one(Kind::Tls, true), exporter(true, 1, None)]);
            add(&[full_one(Kind::Tls, false), exporter(false, 1, None)]);
            add(&[steady(true), exporter(true, 64, steadily), floor(steadily)]);
            add(&[steady(false), exporter(false, 64, steadily)]);
            add(&[one(true), exporter(true, 1, slowly), floor(slowly)]);
            add(&[one(false), exporter(false, 1, slowly)]);
        }
    }
    grid
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == floor::ARGUMENT) {
        return floor::run(&arguments[2..]);
    }
    if !figures::alone() {
        return;
    }
    let only = arguments.get(1).filter(|first| !first.starts_with('-'));
    let world = World::start();
    let exporter = Exporter::start(&world);
    let mut runs = Runs::new();
    for round in 0..ROUNDS {
        for (subject, program) in grid() {
            let cell = format!("{}, {program:?}", subject.title);
            if only.is_some_and(|text| !cell.contains(text.as_str())) {
                continue;
            }
            let run = measure(&world, &exporter, &subject, program);
            let Run { microseconds, rate, .. } = run;
            eprintln!("{round} {cell}: {microseconds:.0} µs, {rate:.0}/s");
            runs.entry((subject, program)).or_default().push(run);
        }
    }
    if only.is_none() {
        figures::document::section("cost", &page::written(&runs));
    }
}

fn measure(world: &World, exporter: &Exporter, subject: &Subject, program: Program) -> Run {
    let driven = if subject.kind == Kind::Tls { 1_000 } else { 3_000 };
    let many = |pace: Pace| pace.map_or(driven, |pace| pace as usize * PACED_SECONDS);
    match program {
        Program::Vnetprobe(load) => daemon::measure(world, subject, load),
        Program::Exporter { named, at_once, pace } => {
            let probes = if at_once == 1 { many(pace) / 2 } else { many(pace) };
            exporter.measure(subject, named, at_once, pace, probes)
        }
        Program::Floor { at_once, pace } => {
            floor::measure(world, subject, at_once, pace, many(pace))
        }
        Program::Openssl => floor::openssl(world, subject),
    }
}
