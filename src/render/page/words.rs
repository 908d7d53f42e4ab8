//! Numbers, times, names and statuses as the page writes them.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::limits;
use crate::model::{Elapsed, Status, printable};
use crate::render::headline::Level;
use crate::snapshot::{CheckReport, ScenarioStatus};

/// What a badge says: a word and a shape of its own for each, so that color is never needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// All is well.
    Pass,
    /// No result yet.
    Waiting,
    /// Something to look at.
    Warn,
    /// Could not be measured.
    Unknown,
    /// Broken.
    Fail,
}

impl Tone {
    /// The tone of a headline.
    pub(super) const fn of_level(level: Level) -> Self {
        match level {
            Level::Waiting => Self::Waiting,
            Level::Good => Self::Pass,
            Level::Watch => Self::Warn,
            Level::Broken => Self::Fail,
            Level::Unknown => Self::Unknown,
        }
    }

    /// The name of its class and of its shape.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Waiting => "wait",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }

    /// The tone of a status.
    pub(super) const fn of(status: Status) -> Self {
        match status {
            Status::Pass => Self::Pass,
            Status::Warn => Self::Warn,
            Status::Unknown => Self::Unknown,
            Status::Fail => Self::Fail,
        }
    }

    /// The tone of a check: one without a result waits.
    pub(super) fn of_report(report: &CheckReport) -> Self {
        report.verdict.as_ref().map_or(Self::Waiting, |verdict| Self::of(verdict.status))
    }

    /// The tone of a scenario.
    pub(super) const fn of_scenario(status: ScenarioStatus) -> Self {
        match status {
            ScenarioStatus::Ready => Self::Pass,
            ScenarioStatus::Degraded => Self::Warn,
            ScenarioStatus::Unknown => Self::Unknown,
            ScenarioStatus::Blocked => Self::Fail,
        }
    }

    /// The word for a check of this tone.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            other => other.class(),
        }
    }
}

/// Its shape alone, for beside a word.
pub(super) fn shape(tone: Tone) -> Markup {
    html! { svg class={ "i " (tone.class()) } aria-hidden="true" { use href={ "#i-" (tone.class()) } {} } }
}

/// Shape and word.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (shape(tone)) (word) } }
}

/// The shapes, drawn once per page.
pub(super) fn shapes() -> Markup {
    html! {
        svg class="shapes" width="0" height="0" aria-hidden="true" {
            symbol id="i-pass" viewBox="0 0 16 16" {
                circle cx="8" cy="8" r="7.2" fill="currentColor" {}
                path d="M4.8 8.3l2.2 2.2 4.3-4.8" class="cut" {}
            }
            symbol id="i-fail" viewBox="0 0 16 16" {
                path d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z" fill="currentColor" {}
                path d="M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2" class="cut" {}
            }
            symbol id="i-warn" viewBox="0 0 16 16" {
                path d="M8 1.2L15.4 14.4H.6z" fill="currentColor" stroke="currentColor" stroke-linejoin="round" {}
                path d="M8 5.8v4M8 12.1v.1" class="cut" {}
            }
            symbol id="i-unknown" viewBox="0 0 16 16" {
                path d="M8 .8L15.2 8 8 15.2.8 8z" fill="currentColor" {}
                path d="M6.3 6.5c0-2.3 3.5-2.2 3.5 0 0 1.3-1.8 1.4-1.8 2.6M8 11.3v.1" class="cut" {}
            }
            symbol id="i-wait" viewBox="0 0 16 16" {
                circle cx="8" cy="8" r="6.4" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.6 2.4" {}
            }
        }
    }
}

/// Milliseconds as people read them.
pub(super) fn ms(elapsed: Elapsed) -> String {
    let milliseconds = elapsed.seconds() * 1e3;
    if milliseconds < 0.95 {
        "<1 ms".to_owned()
    } else if milliseconds < 9.95 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 999.5 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{:.1} s", elapsed.seconds())
    }
}

/// A bound in seconds, as people read it.
pub(super) fn seconds(bound: f64) -> String {
    if bound < 1.0 { format!("{:.0} ms", bound * 1e3) } else { format!("{bound} s") }
}

/// How long ago, from two given times and no clock.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5_999 => format!("{} min", seconds / 60),
        6_000..=86_399 if seconds % 3_600 >= 60 => {
            format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60)
        }
        6_000..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A moment, in UTC, for people and programs.
pub(super) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// A moment for a sentence, to the minute.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A moment for a list of moments: time alone on the day itself.
pub(super) fn short_moment(at: Timestamp, now: Timestamp) -> Markup {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let form = if day(at) == day(now) { "%H:%M:%S" } else { "%b %e, %H:%M" };
    html! { time datetime=(at) title=(clock(at)) { (at.strftime(form)) } }
}

/// A day, in UTC.
pub(super) fn day(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%Y-%m-%d")) } }
}

/// A moment and how long ago it was, or `never`.
pub(super) fn moment_and_age(at: Option<Timestamp>, now: Timestamp) -> Markup {
    html! {
        @match at {
            Some(at) => { (moment(at)) span class="soft" { ", " (age(at, now)) " ago" } }
            None => { span class="soft" { "never" } }
        }
    }
}

/// A text for one path segment of a link: everything but RFC 3986's unreserved characters encoded.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Our own sentences may quote strangers: made printable like their texts, but never cut, because
/// half a command is worse than none.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(limits::TEXT_CHARS)
        .map(|chunk| printable(&chunk.iter().collect::<String>()))
        .collect::<String>()
        .into()
}

/// The same with texts between backticks as code.
pub(super) fn rich(text: &str) -> Markup {
    let text = clean(text);
    let paired = text.matches('`').count().is_multiple_of(2);
    html! {
        @if paired {
            @for (at, part) in text.split('`').enumerate() {
                @if at % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

/// The same over several lines, for commands and bodies.
pub(super) fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_short() {
        for (micros, expected) in [
            (200, "<1 ms"),
            (949, "<1 ms"),
            (951, "1.0 ms"),
            (9_949, "9.9 ms"),
            (9_960, "10 ms"),
            (999_400, "999 ms"),
            (999_600, "1.0 s"),
            (2_040_000, "2.0 s"),
        ] {
            assert_eq!(ms(Elapsed(Duration::from_micros(micros))), expected);
        }
        let at = |second| Timestamp::from_second(second).unwrap();
        for (seconds, expected) in [
            (-5, "0 s"),
            (61, "61 s"),
            (100, "1 min"),
            (7200, "2 h"),
            (6720, "1 h 52 min"),
            (172_800, "2 d"),
        ] {
            assert_eq!(age(at(0), at(seconds)), expected);
        }
    }

    #[test]
    fn segments_survive_any_id() {
        assert_eq!(segment("blob@a.example:443"), "blob%40a.example%3A443");
        assert_eq!(segment("a b/ü@[::1]:1"), "a%20b%2F%C3%BC%40%5B%3A%3A1%5D%3A1");
    }

    #[test]
    fn long_sentences_are_cleaned_and_never_cut() {
        let long = format!("{}\u{1b}[2J{}", "x".repeat(700), "y".repeat(700));
        let cleaned = clean(&long);
        assert_eq!(cleaned.chars().count(), long.chars().count());
        assert!(!cleaned.contains('\u{1b}') && !cleaned.contains('…'));
        assert_eq!(clean_lines("a\r\nb\u{7}"), "a\nb\u{fffd}");
    }
}
