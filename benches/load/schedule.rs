//! How late checks start at a rate, and past what one core can do.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::daemon::{Daemon, value};
use crate::figures::{Spread, met, processor_time, status_kib};
use crate::{ALONE_ON_ONE, Bench};

/// Runs of each rate, one after the other on one daemon.
const RUNS: usize = 3;
/// How long each is.
const RUN: Duration = Duration::from_secs(6);
/// The rate of the target, in checks a second.
const TARGET_RATE: usize = 1_000;
/// And the share of checks that start within this many seconds of their time, in percent.
const TARGET: (&str, f64) = ("0.02", 99.0);
/// Bounds of the daemon's histogram that are shown.
const BOUNDS: [&str; 6] = ["0.001", "0.005", "0.02", "0.1", "0.5", "1"];

/// Starts by how late they were, from the daemon's own histogram.
#[derive(Debug)]
pub(crate) struct Lateness(Vec<(String, u64)>);

impl Lateness {
    /// Of all starts so far.
    pub(crate) fn of(metrics: &str) -> Self {
        let series = "vnetprobe_schedule_lateness_seconds_bucket{le=\"";
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix(series)?.split_once("\"} ")?;
            Some((bound.to_owned(), count.parse().ok()?))
        };
        Self(metrics.lines().filter_map(bucket).collect())
    }

    /// Of those since then.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let both = self.0.iter().zip(&before.0);
        Self(both.map(|((bound, now), (_, then))| (bound.clone(), now - then)).collect())
    }

    /// How many there were.
    pub(crate) fn starts(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// Percent of them within a bound.
    pub(crate) fn within(&self, bound: &str) -> f64 {
        let count = self.0.iter().find(|(known, _)| known == bound).map(|(_, count)| *count);
        count.expect("a bound of the histogram") as f64 * 100.0 / self.starts().max(1) as f64
    }
}

/// What some seconds of a daemon's life were like.
struct Run {
    lateness: Lateness,
    /// Checks started in a second.
    rate: f64,
    skipped: u64,
    /// Cores used.
    cores: f64,
    kib: u64,
}

fn run(daemon: &Daemon) -> Run {
    let before = daemon.metrics();
    let (start, processor) = (Instant::now(), processor_time(daemon.pid()));
    thread::sleep(RUN);
    let took = start.elapsed();
    let processor = processor_time(daemon.pid()).saturating_sub(processor);
    let after = daemon.metrics();
    let lateness = Lateness::of(&after).since(&Lateness::of(&before));
    let skipped = |metrics| value(metrics, "vnetprobe_probes_skipped_total");
    Run {
        rate: lateness.starts() as f64 / took.as_secs_f64(),
        lateness,
        skipped: skipped(&after) - skipped(&before),
        cores: processor.as_secs_f64() / took.as_secs_f64(),
        kib: status_kib(daemon.pid(), "VmRSS"),
    }
}

/// All rates, as a table and what it says of the target.
pub(crate) fn measure(bench: &Bench) -> String {
    let mut table = "Starts by how late they were, as the daemon's own histogram counts them. \
         Checks of TCP wait 150 ms for a peer that closes at once.\n\n\
         | due a second | started a second | skipped a second | ≤ 1 ms, % | ≤ 5 ms, % | ≤ 20 ms, % | ≤ 100 ms, % | ≤ 500 ms, % | ≤ 1 s, % | cores used | resident after each run, MiB |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut at_target = None;
    for (kind, rate) in
        [("tls", 100), ("tls", 500), ("tls", TARGET_RATE), ("tls", 3_000), ("tcp", 100)]
            .into_iter()
            .chain([("tcp", 500), ("tcp", 1_000)])
    {
        let daemon = Daemon::start(&ALONE_ON_ONE, &bench.config("rate.toml", rate, kind, "1s"));
        if rate <= TARGET_RATE {
            daemon.well(rate);
        }
        // The strips fill for a minute: what follows is no growth of the load's.
        thread::sleep(Duration::from_secs(3));
        let runs: Vec<Run> = (0..RUNS).map(|_| run(&daemon)).collect();
        let spread =
            |of: &dyn Fn(&Run) -> f64| Spread::of(&runs.iter().map(of).collect::<Vec<_>>());
        let _ = write!(
            table,
            "| {rate} {} | {:.0} | {:.0} |",
            kind.to_uppercase(),
            spread(&|run| run.rate),
            spread(&|run| run.skipped as f64 / RUN.as_secs_f64()),
        );
        for bound in BOUNDS {
            let _ = write!(table, " {:.1} |", spread(&|run| run.lateness.within(bound)));
        }
        let kib: Vec<String> =
            runs.iter().map(|run| format!("{:.1}", run.kib as f64 / 1024.0)).collect();
        let cores = spread(&|run| run.cores);
        let _ = writeln!(table, " {cores:.2} | {} |", kib.join(", "));
        if kind == "tls" && rate == TARGET_RATE {
            at_target =
                Some((spread(&|run| run.lateness.within(TARGET.0)), spread(&|run| run.rate)));
        }
    }
    let (within, rate) = at_target.expect("the rate of the target was measured");
    let good = within.median >= TARGET.1 && rate.median >= TARGET_RATE as f64 * 0.99;
    format!(
        "{table}\nTarget: {TARGET_RATE} TLS checks a second on one core, {} % of them within 20 ms of \
         their time. Measured: {rate:.0} a second, {within:.1} % within 20 ms: {}.",
        TARGET.1,
        met(good)
    )
}
