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

use daemon::Load;
use exporter::Exporter;
use world::{Kind, SUBJECTS, Subject, USUAL, World};

/// How often all programs take their turn.
const ROUNDS: usize = 5;

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
    },
    /// The bare loop with so many threads.
    Floor(usize),
    /// `openssl s_time -new`.
    Openssl,
}

/// All measurements, in the order of the rounds.
pub(crate) type Runs = BTreeMap<(Subject, Program), Vec<Run>>;

/// A load that leaves places free, as it should be.
pub(crate) const fn steady(named: bool) -> Program {
    Program::Vnetprobe(Load { checks: 500, concurrency: 64, named })
}
/// One at a time.
pub(crate) const fn one(named: bool) -> Program {
    Program::Vnetprobe(Load { checks: 300, concurrency: 1, named })
}
/// More than can be done, so that it is as busy as its peers, which are driven.
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
pub(crate) const fn full_one(named: bool) -> Program {
    Program::Vnetprobe(Load { checks: 3_000, concurrency: 1, named })
}
/// A connection is watched for 150 ms: 64 places are enough for 426 checks a second.
pub(crate) const CONNECTS: Program =
    Program::Vnetprobe(Load { checks: 300, concurrency: 64, named: false });

/// blackbox_exporter.
pub(crate) const fn exporter(named: bool, at_once: usize) -> Program {
    Program::Exporter { named, at_once }
}

/// Who is measured on what: programs that are compared follow each other.
fn grid() -> Vec<(Subject, Program)> {
    let mut grid = Vec::new();
    for subject in SUBJECTS {
        let mut add = |programs: &[Program]| grid.extend(programs.iter().map(|p| (subject, *p)));
        match subject.kind {
            Kind::Tls => {
                add(&[full(Kind::Tls, true), exporter(true, 64)]);
                add(&[Program::Floor(1), Program::Openssl]);
            }
            Kind::Tcp => {
                add(&[full(Kind::Tcp, false), exporter(false, 64), CONNECTS]);
                add(&[exporter(false, 1), Program::Floor(1)]);
            }
            Kind::Dns => {
                add(&[full(Kind::Dns, true), exporter(true, 64), steady(true), Program::Floor(1)]);
                add(&[one(true), exporter(true, 1)]);
            }
        }
        if subject == USUAL {
            add(&[steady(true), full(Kind::Tls, false), exporter(false, 64), steady(false)]);
            add(&[Program::Floor(64), full_one(true), exporter(true, 1), one(true)]);
            add(&[one(false), exporter(false, 1)]);
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
    let many = if subject.kind == Kind::Tls { 1_000 } else { 3_000 };
    match program {
        Program::Vnetprobe(load) => daemon::measure(world, subject, load),
        Program::Exporter { named, at_once } => {
            let probes = if at_once == 1 { many / 2 } else { many };
            exporter.measure(subject, named, at_once, probes)
        }
        Program::Floor(at_once) => floor::measure(world, subject, at_once, many),
        Program::Openssl => floor::openssl(world, subject),
    }
}
