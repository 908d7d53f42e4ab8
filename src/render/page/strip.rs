//! The last measurements of a check as a picture: a mark per measurement, its height says how it went.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::cause::Cause;
use crate::journal::{Sample, Strip};
use crate::limits;
use crate::model::Status;
use crate::render::count;

use super::words::{Tone, clock, ms};

/// Width of one mark with the gap after it.
const MARK: usize = 4;
/// Height of the small picture.
const HEIGHT: usize = 18;
/// Height of the large one.
const TALL: usize = 72;

/// From which height to which a mark goes: the worse, the taller; what is unknown floats.
const fn span(status: Status) -> (usize, usize) {
    match status {
        Status::Pass => (11, HEIGHT),
        Status::Warn => (6, HEIGHT),
        Status::Unknown => (7, 11),
        Status::Fail => (0, HEIGHT),
    }
}

/// The strip of a row: one path per status, a run of equal results is one stroke.
pub(super) fn small(strip: &Strip) -> Markup {
    let samples = strip.samples();
    if samples.is_empty() {
        return html! { span class="soft" { "no history yet" } };
    }
    let said = sentence(&samples);
    html! {
        svg class="strip" viewBox={ "0 0 " (limits::STRIP_SAMPLES * MARK) " " (HEIGHT) } role="img" aria-label=(said) {
            title { (said) }
            @for status in Status::ALL {
                @let line = runs(&samples, *status);
                @if !line.is_empty() { path class=(Tone::of(*status).class()) d=(line) {} }
            }
        }
    }
}

/// The strokes of one status. The newest measurement stands at the right edge.
fn runs(samples: &[Sample], status: Status) -> String {
    let (top, bottom) = span(status);
    let first = limits::STRIP_SAMPLES.saturating_sub(samples.len());
    let mut line = String::new();
    let mut at = 0;
    while let Some(sample) = samples.get(at) {
        let rest = samples.get(at..).unwrap_or_default();
        let run = rest.iter().take_while(|s| s.state().status == sample.state().status).count();
        if sample.state().status == status {
            // Writing to a String cannot fail. The dashes of the style sheet cut it into marks.
            let _ = write!(
                line,
                "M{} {}h{}",
                (first + at) * MARK,
                usize::midpoint(top, bottom),
                run * MARK
            );
        }
        at += run.max(1);
    }
    line
}

/// The same in words.
fn sentence(samples: &[Sample]) -> String {
    let with = |status| samples.iter().filter(|s| s.state().status == status).count();
    let mut parts = vec![format!("Last {}", count(samples.len(), "measurement"))];
    if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
        parts.push(format!(", {} to {}: ", clock(first.at()), clock(last.at())));
    }
    let words = [
        (Status::Pass, "passed"),
        (Status::Warn, "with a warning"),
        (Status::Fail, "failed"),
        (Status::Unknown, "not measured"),
    ];
    let told: Vec<String> = words
        .into_iter()
        .filter(|(status, _)| with(*status) > 0)
        .map(|(status, word)| format!("{} {word}", with(status)))
        .collect();
    parts.push(told.join(", "));
    let mut causes: Vec<Cause> = samples.iter().filter_map(|s| s.state().cause).collect();
    causes.sort_unstable();
    causes.dedup();
    if !causes.is_empty() {
        let causes: Vec<&str> = causes.into_iter().map(Cause::as_str).collect();
        parts.push(format!(" ({})", causes.join(", ")));
    }
    parts.concat()
}

/// The large picture of a check's own page: how long each measurement took, marked where one failed.
pub(super) fn large(strip: &Strip) -> Markup {
    let samples = strip.samples();
    let slowest = samples.iter().filter_map(|s| s.took()).max();
    let Some((first, last)) = samples.first().zip(samples.last()) else {
        return html! { p class="soft" { "No measurement yet." } };
    };
    let said = sentence(&samples);
    let first_at = limits::STRIP_SAMPLES.saturating_sub(samples.len());
    html! {
        figure class="times" {
            svg viewBox={ "0 0 " (limits::STRIP_SAMPLES * 12) " " (TALL + 14) } role="img" aria-label=(said) {
                title { (said) }
                line class="rail on" x1="0" x2=(limits::STRIP_SAMPLES * 12) y1=(TALL + 13) y2=(TALL + 13) {}
                @for (at, sample) in samples.iter().enumerate() {
                    (column((first_at + at) * 12, *sample, slowest.map_or(0.0, crate::model::Elapsed::seconds)))
                }
            }
            figcaption {
                span { (clock(first.at())) }
                span { "each column is one measurement, its height the time it took"
                    @if let Some(slowest) = slowest { ", at most " (ms(slowest)) } }
                span { (clock(last.at())) }
            }
        }
        p class="soft" { (said) "." }
    }
}

fn column(x: usize, sample: Sample, slowest: f64) -> Markup {
    let state = sample.state();
    let tone = Tone::of(state.status);
    let took = sample.took();
    let share = took.map_or(0.0, |t| t.seconds() / slowest.max(1e-6));
    // A tenth at least, so that every measurement shows; whole units keep the text short.
    let percent = (share.clamp(0.1, 1.0) * 100.0).round();
    let height = (0..=100).find(|p| f64::from(*p) >= percent).unwrap_or(100_u8);
    let height = usize::from(height) * TALL / 100;
    let cause = state.cause.map(|c| format!(" {c}")).unwrap_or_default();
    let time = took.map(|t| format!(", {}", ms(t))).unwrap_or_default();
    html! {
        g class=(tone.class()) {
            title { (clock(sample.at())) ": " (tone.word()) (cause) (time) }
            rect x=(x + 1) y=(TALL + 13 - height) width="9" height=(height) rx="1.5" {}
            @if matches!(state.status, Status::Fail | Status::Unknown | Status::Warn) {
                use href={ "#i-" (tone.class()) } x=(x + 1) y=(TALL + 2 - height) width="9" height="9" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::journal::State;
    use crate::model::Elapsed;

    fn strip(statuses: &[Status]) -> Strip {
        (0..)
            .zip(statuses)
            .map(|(at, status)| {
                let cause = (*status == Status::Fail).then_some(Cause::TcpTimeout);
                let at = Timestamp::from_second(1_793_534_400 + at * 60).unwrap();
                let took = Some(Elapsed(Duration::from_millis(20)));
                Sample::new(at, State { status: *status, cause }, took)
            })
            .collect()
    }

    #[test]
    fn equal_results_are_one_stroke_and_the_newest_is_rightmost() {
        let mut statuses = vec![Status::Pass; 57];
        statuses.extend([Status::Fail, Status::Fail, Status::Pass]);
        let svg = small(&strip(&statuses)).into_string();
        assert!(svg.contains("<path class=\"pass\" d=\"M0 14h228M236 14h4\">"), "{svg}");
        assert!(svg.contains("<path class=\"fail\" d=\"M228 9h8\">"), "{svg}");
        assert!(svg.contains("Last 60 measurements, 2026-11-01 12:00 UTC to 2026-11-01 12:59 UTC: 58 passed, 2 failed (tcp_timeout)"), "{svg}");
        let short = small(&strip(&[Status::Unknown])).into_string();
        assert!(short.contains("<path class=\"unknown\" d=\"M236 9h4\">"), "{short}");
    }

    #[test]
    fn nothing_measured_is_said() {
        assert!(small(&Strip::default()).into_string().contains("no history yet"));
        assert!(large(&Strip::default()).into_string().contains("No measurement yet"));
    }

    #[test]
    fn a_large_strip_marks_failures_by_shape() {
        let svg = large(&strip(&[Status::Pass, Status::Fail])).into_string();
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(svg.matches("#i-fail").count(), 1);
        assert!(svg.contains("fail tcp_timeout, 20 ms"));
    }
}
