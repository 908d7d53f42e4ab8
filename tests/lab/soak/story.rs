//! What a soak came to: what happened, what was used in each quarter of its time, what is wrong.

use std::fmt::Write as _;
use std::time::Duration;

use super::samples::{Own, Sample, share_within};
use crate::figures::Spread;

/// How much more a resource may be in the last quarter than in the second: a tenth of it, and this.
const MORE: [(&str, f64); 4] =
    [("resident memory", 1024.0), ("descriptors", 8.0), ("threads", 2.0), ("tasks", 8.0)];
/// The history file's limit with what its log may take besides, in KiB.
const HISTORY_KIB: u64 = (4 + 4) * 1024;

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// How many different worlds there are.
    pub(crate) worlds: usize,
    pub(crate) came: usize,
    pub(crate) went: usize,
    /// Worlds of which something else was told, and what.
    pub(crate) untold: Vec<String>,
    /// What was still told when all was well again.
    pub(crate) stayed: Vec<String>,
    pub(crate) paused: Duration,
    /// Configurations, and those of them that had to be refused.
    pub(crate) changes: (usize, usize),
    pub(crate) answers: u64,
}

impl Story {
    /// In words, and everything that is wrong.
    pub(crate) fn told(&self, samples: &[Sample]) -> (String, Vec<String>) {
        let mut wrong: Vec<String> = Vec::new();
        wrong.extend(self.untold.iter().map(|told| format!("another fault was told of {told}")));
        wrong.extend(self.stayed.iter().map(|told| format!("still told after {told}")));
        let quarters: Vec<Quarter> =
            quarters(samples).iter().map(|part| Quarter::of(part)).collect();
        if let [_, second, _, last] = quarters.as_slice() {
            for ((name, more), (then, now)) in MORE.iter().zip(second.used.iter().zip(&last.used)) {
                if now.median > then.median * 1.1 + more {
                    wrong.push(format!("{name} grew from {then:.0} to {now:.0}"));
                }
            }
        }
        let largest = samples.iter().map(|sample| sample.history_kib).max().unwrap_or_default();
        if largest > HISTORY_KIB {
            wrong.push(format!("the history file reached {largest} KiB"));
        }
        (self.document(samples, &quarters, &wrong), wrong)
    }

    fn document(&self, samples: &[Sample], quarters: &[Quarter], wrong: &[String]) -> String {
        let minutes = samples.last().map_or(0.0, |sample| sample.seconds) / 60.0;
        let starts = samples.iter().rev().find_map(|sample| sample.own.as_ref());
        let starts = starts.and_then(|own| own.late.last()).map_or(0, |(_, count)| *count);
        let mut out = format!(
            "`make soak`: one daemon with a whole Government workspace, every check measured every 2 s, for \
             {minutes:.0} minutes. {came} faults of {worlds} worlds of the lab came and went, {told} of them \
             told by their cause and {went} of {ends} ends seen as well; the configuration was changed \
             {changes} times, {refused} of them to one that must be refused; clients, some slow and some by \
             fifty at once, had {answers} answers; the process stood still once for {paused} minutes. \
             It started {starts} measurements.\n\n\
             ![Memory, descriptors, tasks, history and lateness over the soak](soak.svg)\n\n\
             Medians of each quarter of the time, with the lowest and the highest sample; lateness is the share of \
             starts, outside the pause:\n\n\
             | quarter | resident MiB | descriptors | threads | tasks | history MiB, highest | CPU % | late ≤ 5 ms | ≤ 20 ms | ≤ 100 ms | skipped |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
            came = self.came,
            worlds = self.worlds,
            told = self.came - self.untold.len(),
            went = self.went,
            ends = self.went + self.stayed.len(),
            changes = self.changes.0,
            refused = self.changes.1,
            answers = self.answers,
            paused = self.paused.as_secs() / 60,
        );
        for (number, quarter) in quarters.iter().enumerate() {
            let [resident, descriptors, threads, tasks] = quarter.used;
            let mib = |kib: f64| kib / 1024.0;
            let _ = writeln!(
                out,
                "| {} | {:.1} ({:.1}–{:.1}) | {descriptors:.0} | {threads:.0} | {tasks:.0} | {:.1} | {:.1} | {} | {} | {} | {} |",
                number + 1,
                mib(resident.median),
                mib(resident.low),
                mib(resident.high),
                mib(quarter.history_kib as f64),
                quarter.cpu_percent,
                percent(quarter.late[0]),
                percent(quarter.late[1]),
                percent(quarter.late[2]),
                quarter.skipped,
            );
        }
        let verdict = if wrong.is_empty() {
            "Nothing grew.".to_owned()
        } else {
            wrong.iter().fold("Wrong:\n".to_owned(), |text, line| format!("{text}\n- {line}"))
        };
        format!("{out}\n{verdict}")
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn quarters(samples: &[Sample]) -> Vec<&[Sample]> {
    samples.chunks(samples.len().div_ceil(4).max(1)).collect()
}

/// What was used in a part of the time.
struct Quarter {
    /// In the order of [`MORE`].
    used: [Spread; 4],
    history_kib: u64,
    cpu_percent: f64,
    /// Shares of starts within 5, 20 and 100 ms.
    late: [f64; 3],
    skipped: u64,
}

impl Quarter {
    fn of(samples: &[Sample]) -> Self {
        let spread = |value: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = samples.iter().filter_map(value).collect();
            Spread::of(if values.is_empty() { &[0.0] } else { &values })
        };
        let own: Vec<&Own> = samples.iter().filter_map(|sample| sample.own.as_ref()).collect();
        let last_skipped = own.last().map_or(0, |own| own.skipped);
        let (first, last) = (samples.first(), samples.last());
        let time =
            |value: &dyn Fn(&Sample) -> f64| last.map_or(0.0, value) - first.map_or(0.0, value);
        let late = late(samples);
        Self {
            used: [
                spread(&|sample| Some(sample.resident_kib as f64)),
                spread(&|sample| Some(sample.descriptors as f64)),
                spread(&|sample| Some(sample.threads as f64)),
                spread(&|sample| sample.own.as_ref().map(|own| own.tasks)),
            ],
            history_kib: samples.iter().map(|sample| sample.history_kib).max().unwrap_or_default(),
            cpu_percent: time(&|sample| sample.cpu_seconds) * 100.0
                / time(&|sample| sample.seconds).max(1.0),
            late: [0.005, 0.02, 0.1].map(|bound| share_within(&late, bound)),
            skipped: last_skipped - own.first().map_or(0, |own| own.skipped),
        }
    }
}

/// Starts by bound, without what the pause made late.
fn late(samples: &[Sample]) -> Vec<(f64, u64)> {
    let mut sum: Vec<(f64, u64)> = Vec::new();
    for pair in samples.windows(2) {
        let [Sample { own: Some(before), .. }, Sample { own: Some(now), .. }] = pair else {
            continue;
        };
        for (index, (bound, count)) in now.late_since(before).into_iter().enumerate() {
            match sum.get_mut(index) {
                Some((_, sum)) => *sum += count,
                None => sum.push((bound, count)),
            }
        }
    }
    sum
}
