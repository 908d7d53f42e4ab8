//! How a soak is judged, by made-up samples: a flat run passes, each thing that may go wrong fails
//! it, for that alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::samples::{EVERY, Own, Sample};
use super::story::Story;
use super::{Now, reloads::Changes};
use crate::said;

/// What is made of a flat run.
type Change = fn(&mut Story, &mut Vec<Sample>);

/// Each with a part of the one thing that is then wrong; nothing, if all is well.
const CASES: [(&str, &str, Change); 18] = [
    ("flat", "", |_, _| ()),
    ("pause", "", |_, samples| {
        for sample in samples.iter_mut().filter(|sample| sample.now.paused) {
            (sample.resident_kib, sample.descriptors, sample.threads) = (99_000, 999, 99);
        }
    }),
    ("little-growth", "", |_, samples| last(samples, |s| s.resident_kib += 2_000)),
    ("memory", "resident MiB: from 20.0 to 22.1 is", |_, samples| {
        last(samples, |s| s.resident_kib += 2_150);
    }),
    ("descriptors", "descriptors: from 24.0 to 35.0 is", |_, samples| {
        last(samples, |s| s.descriptors += 11);
    }),
    ("threads", "threads: from 8.0 to 11.0 is", |_, samples| last(samples, |s| s.threads += 3)),
    ("tasks", "tasks: from 7.0 to 16.0 is", |_, samples| {
        last(samples, |s| s.own.iter_mut().for_each(|own| own.tasks += 9.0));
    }),
    ("history", "history file", |_, samples| last(samples, |s| s.history_kib = 9_000)),
    ("metrics-missing", "no metrics at 100 s", |_, samples| {
        samples
            .iter_mut()
            .filter(|s| (99.0..101.0).contains(&s.seconds))
            .for_each(|s| s.own = None);
    }),
    ("too-short", "too short", |_, samples| samples.truncate(23)),
    ("no-samples", "too short", |_, samples| samples.clear()),
    ("untold", "another fault", |story, _| story.untold.push("a world".to_owned())),
    ("not-gone", "still told", |story, _| story.stayed.push("a world".to_owned())),
    ("false-alarm", "told of nothing", |story, _| story.false_alarms.push("a world".to_owned())),
    ("reload-ignored", "was not seen", |story, _| story.changes.unseen.push("one".to_owned())),
    ("never-refused", "no bad configuration", |story, _| story.changes.refused = 0),
    ("client-missed", "no good answer", |story, _| story.answers.missing.push("one".to_owned())),
    ("client-never", "no client ever had an answer slow", |story, _| {
        story.answers.by_kind.insert("slow", 0);
    }),
];

/// One test of each.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    CASES.into_iter().map(|(name, wrong, change)| {
        Trial::test(format!("judge/{name}"), move || {
            said(judged(wrong, change).map(|()| String::new()))
        })
    })
}

fn judged(expected: &str, change: Change) -> Result<()> {
    let (mut story, mut samples) = flat();
    change(&mut story, &mut samples);
    let (text, wrong) = story.told(&samples);
    match wrong.as_slice() {
        [] => ensure!(expected.is_empty(), "nothing is wrong:\n{text}"),
        [one] => ensure!(!expected.is_empty() && one.contains(expected), "wrong is {one}"),
        more => ensure!(false, "wrong is more than that: {more:?}"),
    }
    ensure!(wrong.is_empty() != text.contains("Wrong:"), "the section says:\n{text}");
    ensure!(
        text.contains("allowed 5 % and 1;") != expected.starts_with("too short"),
        "the section says:\n{text}"
    );
    if expected.is_empty() {
        // The pause used no time and skipped much: no quarter shows that.
        let same = |line: &&str| {
            line.contains(" | 24 (24–24) | 8 (8–8) | 7 (7–7) | 4.0 | 4.0 | ")
                && line.ends_with("| 0 |")
        };
        ensure!(text.lines().filter(same).count() == 4, "the section says:\n{text}");
    }
    Ok(())
}

/// Half an hour without anything wrong, and with a pause in its last quarter.
fn flat() -> (Story, Vec<Sample>) {
    let mut story = Story {
        worlds: 1,
        came: 60,
        went: 60,
        quiet: 4,
        paused: Duration::from_secs(150),
        changes: Changes { taken: 50, refused: 25, unseen: Vec::new() },
        ..Story::default()
    };
    story.answers.by_kind.values_mut().for_each(|count| *count = 99);
    let sample = |number: u64| {
        let paused = (135..150).contains(&number);
        let before = number < 135;
        let own = Own { tasks: 7.0, skipped: if before { 0 } else { 9_999 }, late: Vec::new() };
        Sample {
            seconds: (number * EVERY.as_secs()) as f64,
            now: Now { faulty: number.is_multiple_of(2), paused, pauses: usize::from(!before) },
            resident_kib: 20 * 1024,
            descriptors: 24,
            threads: 8,
            history_kib: 4_096,
            cpu_seconds: (number.min(135) + number.saturating_sub(150)) as f64 * 0.4,
            own: (!paused).then_some(own),
        }
    };
    (story, (0..180).map(sample).collect())
}

/// Changes the last quarter of the time.
fn last(samples: &mut [Sample], change: impl Fn(&mut Sample)) {
    samples.iter_mut().skip(120).for_each(change);
}
