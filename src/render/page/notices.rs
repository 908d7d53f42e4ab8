//! What a reader must know before believing the rest: data that is old, a daemon that is late, a
//! history that is not kept, a configuration that was refused.

use maud::{Markup, html};

use crate::journal::Archive;
use crate::limits;
use crate::render::count;
use crate::snapshot::{Histogram, Snapshot};

use super::Page;
use super::words::{Tone, age, clean, shape};

/// Probes that start later than this, in seconds, are worth a notice.
const LATE_SECONDS: f64 = 0.5;
/// Seconds without a new snapshot, besides two intervals, after which the data counts as old.
const QUIET_SECONDS: u64 = 10;

/// All of them, the most important first; nothing when there is none.
pub(super) fn section(page: &Page<'_>) -> Markup {
    let notices = of(page);
    html! {
        @if !notices.is_empty() {
            section class="notices" aria-label="Notices" {
                @for notice in &notices { p { (shape(Tone::Warn)) span { (clean(notice)) } } }
            }
        }
    }
}

fn of(page: &Page<'_>) -> Vec<String> {
    let snapshot = page.snapshot;
    let mut notices = Vec::new();
    notices.extend(quiet(page));
    notices.extend(late(snapshot));
    if let Archive::File { lost, path, .. } = &snapshot.archive
        && *lost > 0
    {
        notices.push(format!("{lost} events are missing from the history in {path}."));
    }
    notices.extend(snapshot.notices());
    notices
}

/// The daemon has not published for longer than it should have.
fn quiet(page: &Page<'_>) -> Option<String> {
    let snapshot = page.snapshot;
    let seconds = page.view.now?.duration_since(snapshot.taken_at).as_secs();
    let allowed = snapshot.interval?.as_secs() * 2 + QUIET_SECONDS;
    (u64::try_from(seconds).unwrap_or(0) > allowed).then(|| {
        format!(
            "This picture is {} old: the daemon publishes no new results. Look at its log.",
            age(snapshot.taken_at, page.view.now.unwrap_or(snapshot.taken_at))
        )
    })
}

/// Probes that start late, and rounds that were left out.
fn late(snapshot: &Snapshot) -> Option<String> {
    let counters = &snapshot.counters;
    let behind = lateness(&counters.lateness).filter(|bound| *bound > LATE_SECONDS);
    // Single ones happen, a hundredth is a habit.
    let often = counters.skipped.saturating_mul(100) >= counters.lateness.count();
    let skipped = usize::try_from(counters.skipped).unwrap_or(usize::MAX);
    let overdue = snapshot.interval.map_or(0, |interval| {
        let limit = interval.as_secs() * u64::from(limits::OVERDUE_INTERVALS);
        let runs = snapshot.checks.iter().filter_map(|check| check.last_run_at);
        runs.filter(|at| {
            u64::try_from(snapshot.taken_at.duration_since(*at).as_secs()).unwrap_or(0) > limit
        })
        .count()
    });
    let mut parts = Vec::new();
    if overdue > 0 {
        parts.push(format!("{} overdue", count(overdue, "result")));
    }
    if behind.is_some() {
        parts.push(format!("one probe of a hundred starts more than {LATE_SECONDS} s late"));
    }
    if skipped > 0 && often {
        parts.push(format!(
            "{} left out because the one before was still running",
            count(skipped, "measurement")
        ));
    }
    (!parts.is_empty()).then(|| format!("The daemon lags: {}.", parts.join(", ")))
}

/// What 99 of 100 probes start within, as the bound of a bucket; absent before there are any.
pub(super) fn lateness(histogram: &Histogram) -> Option<f64> {
    let total = histogram.count();
    if total == 0 {
        return None;
    }
    let mut seen = 0;
    for (at, number) in histogram.counts.iter().enumerate() {
        seen += number;
        if seen * 100 >= total * 99 {
            return histogram.bounds.get(at).or(histogram.bounds.last()).copied();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::LATENESS_BOUNDS;

    #[test]
    fn lateness_is_what_ninety_nine_of_a_hundred_keep() {
        let mut histogram = Histogram::new(LATENESS_BOUNDS);
        assert_eq!(lateness(&histogram), None);
        (0..99).for_each(|_| histogram.observe(0.0005));
        histogram.observe(3.0);
        assert_eq!(lateness(&histogram), Some(0.001));
        (0..9).for_each(|_| histogram.observe(0.7));
        assert_eq!(lateness(&histogram), Some(1.0));
    }
}
