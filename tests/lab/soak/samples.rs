//! What the daemon used, every few seconds, by the operating system's accounting and its own word.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::clients::ask;
use super::{Now, Paths, meanwhile, sleep};
use crate::figures::{processor_time, status_kib};
use crate::locked;

/// Time between samples.
pub(crate) const EVERY: Duration = Duration::from_secs(10);
/// What stands over the columns of `target/tmp/soak.csv`.
const COLUMNS: &str = "seconds,faulty,paused,resident_kib,descriptors,threads,tasks,history_kib,cpu_seconds,starts,late_5ms,late_20ms,late_100ms,p99_late_seconds,skipped";

/// One moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// Since the first sample.
    pub(crate) seconds: f64,
    /// What the lab was.
    pub(crate) now: Now,
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// The history file with its log.
    pub(crate) history_kib: u64,
    pub(crate) cpu_seconds: f64,
    /// What it said itself, if it answered.
    pub(crate) own: Option<Own>,
}

/// What the daemon says of itself, in its metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    pub(crate) tasks: f64,
    /// Measurements that were due and not begun.
    pub(crate) skipped: u64,
    /// How many starts were at most so late, since the daemon began: bound in seconds, count.
    pub(crate) late: Vec<(f64, u64)>,
}

impl Own {
    fn of_metrics(text: &str) -> Result<Self> {
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse::<f64>().ok()).with_context(|| format!("no {name}"))
        };
        let skipped =
            text.lines().filter(|line| line.starts_with("vnetprobe_probes_skipped_total"));
        let bucket = |line: &str| {
            let rest = line.strip_prefix("vnetprobe_schedule_lateness_seconds_bucket{le=\"")?;
            let (bound, count) = rest.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        };
        Ok(Self {
            tasks: number("vnetprobe_tasks")?,
            skipped: skipped.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum(),
            late: text.lines().filter_map(bucket).collect(),
        })
    }

    /// Starts since an earlier word, and how many of them were at most so late.
    pub(crate) fn late_since(&self, before: &Self) -> Vec<(f64, u64)> {
        let before = |index| before.late.get(index).map_or(0, |(_, count): &(f64, u64)| *count);
        let counts = self.late.iter().enumerate();
        counts
            .map(|(index, (bound, count))| (*bound, count.saturating_sub(before(index))))
            .collect()
    }
}

/// The share of starts, of those at most so late by bound, within a bound.
pub(crate) fn share_within(late: &[(f64, u64)], seconds: f64) -> f64 {
    let all = late.last().map_or(0, |(_, count)| *count).max(1);
    let within = late.iter().rev().find(|(bound, _)| *bound <= seconds);
    within.map_or(0.0, |(_, count)| *count as f64 / all as f64)
}

/// The smallest bound within which 99 of 100 starts were.
pub(crate) fn p99(late: &[(f64, u64)]) -> f64 {
    let all = late.last().map_or(0, |(_, count)| *count);
    late.iter().find(|(_, count)| count * 100 >= all * 99).map_or(0.0, |(bound, _)| *bound)
}

/// Takes the samples; they are in a file at once, so that nothing is lost if the soak breaks off.
pub(crate) struct Sampler {
    process: u32,
    socket: PathBuf,
    history: [PathBuf; 2],
    file: PathBuf,
}

impl Sampler {
    pub(crate) fn new(process: u32, paths: &Paths) -> Result<Self> {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak.csv");
        fs::write(&file, format!("{COLUMNS}\n"))?;
        let log = paths.history.with_extension("sqlite-wal");
        let history = [paths.history.clone(), log];
        Ok(Self { process, socket: paths.socket.clone(), history, file })
    }

    /// Until told to stop; a moment in which the process ended is an error.
    pub(crate) fn run(&self, now: &Mutex<Now>, stop: &AtomicBool) -> Result<Vec<Sample>> {
        let began = Instant::now();
        let mut samples: Vec<Sample> = Vec::new();
        let mut file = File::options().append(true).open(&self.file)?;
        loop {
            let sample = self.take(began.elapsed().as_secs_f64(), now)?;
            writeln!(file, "{}", line(&sample, samples.last()))?;
            samples.push(sample);
            if !sleep(EVERY, stop) {
                return Ok(samples);
            }
        }
    }

    fn take(&self, seconds: f64, now: &Mutex<Now>) -> Result<Sample> {
        let proc = PathBuf::from(format!("/proc/{}", self.process));
        let entries = |name: &str| -> Result<usize> {
            let listed = fs::read_dir(proc.join(name)).context("the daemon ended")?;
            Ok(listed.count())
        };
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
        let ask = || ask(&self.socket, "/metrics").ok();
        let paused = locked(now).paused;
        let (own, now) = meanwhile(now, || if paused { None } else { ask() });
        Ok(Sample {
            seconds,
            now,
            descriptors: entries("fd")?,
            threads: entries("task")?,
            resident_kib: status_kib(self.process, "VmRSS"),
            history_kib: self.history.iter().map(size).sum::<u64>() / 1024,
            cpu_seconds: processor_time(self.process).as_secs_f64(),
            own: own.map(|text| Own::of_metrics(&text)).transpose()?,
        })
    }
}

fn line(sample: &Sample, before: Option<&Sample>) -> String {
    let none = Own::default();
    let own = sample.own.as_ref().unwrap_or(&none);
    let late = own.late_since(before.and_then(|before| before.own.as_ref()).unwrap_or(&none));
    let within = |seconds| format!("{:.4}", share_within(&late, seconds));
    [
        format!("{:.0}", sample.seconds),
        u8::from(sample.now.faulty).to_string(),
        u8::from(sample.now.paused).to_string(),
        sample.resident_kib.to_string(),
        sample.descriptors.to_string(),
        sample.threads.to_string(),
        own.tasks.to_string(),
        sample.history_kib.to_string(),
        format!("{:.2}", sample.cpu_seconds),
        late.last().map_or(0, |(_, count)| *count).to_string(),
        within(0.005),
        within(0.02),
        within(0.1),
        p99(&late).to_string(),
        own.skipped.to_string(),
    ]
    .join(",")
}
