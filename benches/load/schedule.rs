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
/// As a start more or less at the ends of the time counts.
const ROUNDING: f64 = 0.999;
/// Bounds of the daemon's histogram that are shown.
const BOUNDS: [&str; 6] = ["0.001", "0.005", "0.02", "0.1", "0.5", "1"];

/// What the daemon's own metrics say of all that was due.
#[derive(Debug)]
pub(crate) struct Lateness {
    /// Starts by how late they were.
    buckets: Vec<(String, u64)>,
    /// What was due and never started.
    pub(crate) skipped: u64,
    /// When the newest measurement had ended: metrics are those of a snapshot, not of the moment in
    /// which they are read. In seconds.
    at: f64,
}

impl Lateness {
    /// Of all starts so far.
    pub(crate) fn of(metrics: &str) -> Self {
        let series = "vnetprobe_schedule_lateness_seconds_bucket{le=\"";
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix(series)?.split_once("\"} ")?;
            Some((bound.to_owned(), count.parse().ok()?))
        };
        let ended = "vnetprobe_probe_last_run_timestamp_seconds{";
        let ended = metrics.lines().filter(|line| line.starts_with(ended));
        let ended = ended.filter_map(|line| line.rsplit(' ').next()?.parse().ok());
        Self {
            buckets: metrics.lines().filter_map(bucket).collect(),
            skipped: value(metrics, "vnetprobe_probes_skipped_total"),
            at: ended.fold(0.0, f64::max),
        }
    }

    /// Of those since then.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let both = self.buckets.iter().zip(&before.buckets);
        Self {
            buckets: both.map(|((bound, now), (_, then))| (bound.clone(), now - then)).collect(),
            skipped: self.skipped - before.skipped,
            at: self.at - before.at,
        }
    }

    fn starts(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }

    /// Starts a second.
    pub(crate) fn rate(&self) -> f64 {
        self.starts() as f64 / self.at
    }

    /// Percent of all that was due that started within a bound.
    pub(crate) fn within(&self, bound: &str) -> f64 {
        let count = self.buckets.iter().find(|(known, _)| known == bound).map(|(_, count)| *count);
        let due = self.starts() + self.skipped;
        count.expect("a bound of the histogram") as f64 * 100.0 / due.max(1) as f64
    }
}

/// What some seconds of a daemon's life were like.
struct Run {
    lateness: Lateness,
    /// Cores used.
    cores: f64,
    kib: u64,
}

fn run(daemon: &Daemon) -> Run {
    let before = Lateness::of(&daemon.metrics());
    let (start, processor) = (Instant::now(), processor_time(daemon.pid()));
    thread::sleep(RUN);
    let took = start.elapsed();
    let processor = processor_time(daemon.pid()).saturating_sub(processor);
    Run {
        lateness: Lateness::of(&daemon.metrics()).since(&before),
        cores: processor.as_secs_f64() / took.as_secs_f64(),
        kib: status_kib(daemon.pid(), "VmRSS"),
    }
}

/// All rates, as a table and what it says of the target.
pub(crate) fn measure(bench: &Bench) -> String {
    let mut table = "Starts by how late they were, as the daemon's own histogram counts them, in percent of \
         starts and skipped runs together. Checks of TCP wait 150 ms for a peer that closes at once.\n\n\
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
        let before = Lateness::of(&daemon.metrics());
        let runs: Vec<Run> = (0..RUNS).map(|_| run(&daemon)).collect();
        let spread =
            |of: &dyn Fn(&Run) -> f64| Spread::of(&runs.iter().map(of).collect::<Vec<_>>());
        let _ = write!(
            table,
            "| {rate} {} | {:.0} | {:.0} |",
            kind.to_uppercase(),
            spread(&|run| run.lateness.rate()),
            spread(&|run| run.lateness.skipped as f64 / run.lateness.at),
        );
        for bound in BOUNDS {
            let _ = write!(table, " {:.1} |", spread(&|run| run.lateness.within(bound)));
        }
        let kib: Vec<String> =
            runs.iter().map(|run| format!("{:.1}", run.kib as f64 / 1024.0)).collect();
        let cores = spread(&|run| run.cores);
        let _ = writeln!(table, " {cores:.2} | {} |", kib.join(", "));
        if kind == "tls" && rate == TARGET_RATE {
            at_target = Some(Lateness::of(&daemon.metrics()).since(&before));
        }
    }
    let all = at_target.expect("the rate of the target was measured");
    let (within, rate) = (all.within(TARGET.0), all.rate());
    let good = within >= TARGET.1 && rate >= TARGET_RATE as f64 * ROUNDING;
    format!(
        "{table}\nTarget: {TARGET_RATE} TLS checks a second on one core, {} % of them within 20 ms of \
         their time. Measured over {:.0} s, {RUNS} runs: {rate:.1} a second, {} skipped, {within:.2} % of \
         all that was due within 20 ms: {}.",
        TARGET.1,
        all.at,
        all.skipped,
        met(good)
    )
}
