//! What a soak came to: what happened, what was used in each quarter of its time, what is wrong.

use std::fmt::Write as _;
use std::time::Duration;

use super::clients::Answers;
use super::reloads::{Changes, SEEN};
use super::samples::{Sample, share_within};
use super::{QUIET, TOLD};
use crate::figures::Spread;

/// How much more a resource may be in the last quarter than in the second: so many percent of it
/// and so much; memory in MiB.
const MORE: [(&str, f64, f64); 4] = [
    ("resident MiB", 5.0, 1.0),
    ("descriptors", 10.0, 8.0),
    ("threads", 10.0, 2.0),
    ("tasks", 10.0, 8.0),
];
/// How many samples a quarter has at least: a minute of them.
const QUARTER: usize = 6;
/// How many cases of one kind are told when it goes wrong again and again.
const SHOWN: usize = 20;
/// The history file's limit with what its log may take besides, in KiB.
const HISTORY_KIB: u64 = (4 + 4) * 1024;

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// How many different worlds there are with something to tell.
    pub(crate) worlds: usize,
    /// How often one of them came.
    pub(crate) came: usize,
    pub(crate) went: usize,
    /// Worlds of which something else was told, and what.
    pub(crate) untold: Vec<String>,
    /// What was still told when all was well again.
    pub(crate) stayed: Vec<String>,
    /// How often a world came of which nothing may be told.
    pub(crate) quiet: usize,
    /// What was told then, or after the pause.
    pub(crate) false_alarms: Vec<String>,
    pub(crate) paused: Duration,
    pub(crate) changes: Changes,
    pub(crate) answers: Answers,
}

impl Story {
    /// In words, and everything that is wrong.
    pub(crate) fn told(&self, samples: &[Sample]) -> (String, Vec<String>) {
        let mut wrong = self.wrong();
        let silent = samples.iter().filter(|sample| !sample.now.paused && sample.own.is_none());
        wrong.extend(silent.map(|sample| format!("no metrics at {:.0} s", sample.seconds)));
        let quarters = quarters(samples);
        if let [_, second, _, last] = quarters.as_slice() {
            for ((name, share, more), then, now) in compared(second, last) {
                if now > then * (1.0 + share / 100.0) + more {
                    wrong.push(format!("{name}: from {then:.1} to {now:.1} is too much more"));
                }
            }
        } else {
            wrong.push("too short: there are no four quarters to compare".to_owned());
        }
        let largest = samples.iter().map(|sample| sample.history_kib).max().unwrap_or_default();
        if largest > HISTORY_KIB {
            wrong.push(format!("the history file reached {largest} KiB"));
        }
        (self.document(samples, &quarters, &wrong), wrong)
    }

    /// What is wrong with what happened.
    fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> = Vec::new();
        for (what, cases) in [
            ("another fault was told of", &self.untold),
            ("still told after", &self.stayed),
            ("told of nothing in", &self.false_alarms),
            ("a change of the configuration was not seen:", &self.changes.unseen),
            ("a client had no good answer,", &self.answers.missing),
        ] {
            wrong.extend(cases.iter().take(SHOWN).map(|case| format!("{what} {case}")));
            if cases.len() > SHOWN {
                wrong.push(format!("{what} {} more", cases.len() - SHOWN));
            }
        }
        for (what, count) in [
            ("fault came", self.came),
            ("good configuration was taken", self.changes.taken),
            ("bad configuration was refused", self.changes.refused),
            ("pause was made", usize::from(!self.paused.is_zero())),
        ] {
            if count == 0 {
                wrong.push(format!("no {what}"));
            }
        }
        let without = self.answers.by_kind.iter().filter(|(_, count)| **count == 0);
        wrong.extend(without.map(|(kind, _)| format!("no client ever had an answer {kind}")));
        wrong
    }

    fn document(&self, samples: &[Sample], quarters: &[Quarter], wrong: &[String]) -> String {
        let minutes = samples.last().map_or(0.0, |sample| sample.seconds) / 60.0;
        let starts = samples.iter().rev().find_map(|sample| sample.own.as_ref());
        let starts = starts.and_then(|own| own.late.last()).map_or(0, |(_, count)| *count);
        let kinds = self.answers.by_kind.iter().map(|(kind, count)| format!("{count} {kind}"));
        let mut out = format!(
            "`make soak`: one daemon with a whole Government workspace, every check measured every 2 s, for \
             {minutes:.0} minutes. Faults came and went {came} times, in turn those of {worlds} worlds of the lab, {told} of them \
             told by their cause within {within} s and {went} of {ends} ends seen as well; {quiet} worlds of \
             which nothing may be told stayed for {stay} s, {alarms} of them or the pause with a false alarm; \
             {taken} new configurations were in use within {seen} s, {refused} bad ones were refused with the \
             old one still in use, {unseen} changes were not seen; clients had {answers} answers with status \
             200 ({kinds}) and {missing} times none; the process stood still once for {paused} s, of \
             which no figure here tells. It started {starts} measurements.\n\n\
             ![Memory, descriptors, tasks, history and lateness over the soak](soak.svg)\n\n\
             Medians of each quarter of the time, with the lowest and the highest sample; lateness is the share of \
             starts. The daemon runs ten nice levels before the lab on the same machine, whose load would otherwise \
             be told as its lateness:\n\n\
             | quarter | resident MiB | descriptors | threads | tasks | history MiB, highest | CPU % | late ≤ 5 ms | ≤ 20 ms | ≤ 100 ms | skipped |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
            came = self.came,
            worlds = self.worlds,
            told = self.came - self.untold.len(),
            within = TOLD.as_secs(),
            went = self.went,
            ends = self.went + self.stayed.len(),
            quiet = self.quiet,
            stay = QUIET.as_secs(),
            alarms = self.false_alarms.len(),
            taken = self.changes.taken,
            seen = SEEN.as_secs(),
            refused = self.changes.refused,
            unseen = self.changes.unseen.len(),
            answers = self.answers.by_kind.values().sum::<u64>(),
            kinds = kinds.collect::<Vec<_>>().join(", "),
            missing = self.answers.missing.len(),
            paused = self.paused.as_secs(),
        );
        for (number, quarter) in quarters.iter().enumerate() {
            let [resident, descriptors, threads, tasks] = quarter.used;
            let _ = writeln!(
                out,
                "| {} | {:.1} ({:.1}–{:.1}) | {descriptors:.0} | {threads:.0} | {tasks:.0} | {:.1} | {:.1} | {} | {} | {} | {} |",
                number + 1,
                resident.median,
                resident.low,
                resident.high,
                quarter.history_kib as f64 / 1024.0,
                quarter.cpu_percent,
                percent(quarter.late[0]),
                percent(quarter.late[1]),
                percent(quarter.late[2]),
                quarter.skipped,
            );
        }
        if let [_, second, _, last] = quarters {
            let _ = write!(out, "\nThe median of the last quarter less that of the second:");
            for (index, ((name, share, more), then, now)) in compared(second, last).enumerate() {
                let and = if index == 0 { "" } else { ";" };
                let _ =
                    write!(out, "{and} {name} {:+.1}, allowed {share} % and {more}", now - then);
            }
            out.push_str(".\n");
        }
        for (index, line) in wrong.iter().enumerate() {
            let _ = write!(out, "{}\n- {line}", if index == 0 { "\nWrong:\n" } else { "" });
        }
        out
    }
}

/// What may grow, with its medians of two quarters.
fn compared(
    then: &Quarter,
    now: &Quarter,
) -> impl Iterator<Item = ((&'static str, f64, f64), f64, f64)> {
    let medians = then.used.into_iter().zip(now.used);
    MORE.into_iter().zip(medians).map(|(more, (then, now))| (more, then.median, now.median))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// The quarters of the time in which the process did not stand still; none of too short a time.
fn quarters(samples: &[Sample]) -> Vec<Quarter> {
    let live: Vec<&Sample> = samples.iter().filter(|sample| !sample.now.paused).collect();
    if live.len() < 4 * QUARTER {
        return Vec::new();
    }
    live.chunks(live.len().div_ceil(4)).map(Quarter::of).collect()
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
    fn of(samples: &[&Sample]) -> Self {
        let spread = |value: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = samples.iter().filter_map(|sample| value(sample)).collect();
            Spread::of(if values.is_empty() { &[0.0] } else { &values })
        };
        let (mut seconds, mut cpu_seconds, mut skipped, mut late) = (0.0, 0.0, 0, Vec::new());
        for (before, now) in samples.iter().zip(samples.iter().skip(1)) {
            // The pause is no part of any figure.
            if before.now.pauses != now.now.pauses {
                continue;
            }
            seconds += now.seconds - before.seconds;
            cpu_seconds += now.cpu_seconds - before.cpu_seconds;
            if let (Some(before), Some(now)) = (&before.own, &now.own) {
                skipped += now.skipped.saturating_sub(before.skipped);
                add(&mut late, now.late_since(before));
            }
        }
        Self {
            used: [
                spread(&|sample| Some(sample.resident_kib as f64 / 1024.0)),
                spread(&|sample| Some(sample.descriptors as f64)),
                spread(&|sample| Some(sample.threads as f64)),
                spread(&|sample| sample.own.as_ref().map(|own| own.tasks)),
            ],
            history_kib: samples.iter().map(|sample| sample.history_kib).max().unwrap_or_default(),
            cpu_percent: cpu_seconds * 100.0 / f64::max(seconds, 1.0),
            late: [0.005, 0.02, 0.1].map(|bound| share_within(&late, bound)),
            skipped,
        }
    }
}

/// Adds up starts by bound.
fn add(sum: &mut Vec<(f64, u64)>, late: Vec<(f64, u64)>) {
    for (index, (bound, count)) in late.into_iter().enumerate() {
        match sum.get_mut(index) {
            Some((_, sum)) => *sum += count,
            None => sum.push((bound, count)),
        }
    }
}
