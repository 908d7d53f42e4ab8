//! A question to the history: which events, of when and of what, from texts as people and programs
//! write them; and its answer from what is in memory. Pure.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

use crate::config::Pattern;
use crate::journal::{Event, Journal};
use crate::limits;
use crate::model::printable;

/// Which checks are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one of this id.
    One(String),
    /// Those whose id matches.
    Like(Pattern),
}

impl Which {
    /// Whether a check of this id is meant.
    pub fn matches(&self, id: &str) -> bool {
        match self {
            Self::One(one) => one == id,
            Self::Like(pattern) => pattern.matches(id),
        }
    }
}

/// What is asked. Of too many events the newest are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Nothing before this.
    pub from: Option<Timestamp>,
    /// Nothing after this.
    pub to: Option<Timestamp>,
    /// Only of these checks; without it also what is about no single check.
    pub check: Option<Which>,
    /// At most so many.
    pub limit: usize,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The newest last.
    pub events: Vec<Arc<Event>>,
    /// There are older ones that match as well.
    pub more: bool,
}

/// A question as it was typed; `None` is what was not said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed<'a> {
    /// A moment.
    pub from: Option<&'a str>,
    /// A moment.
    pub to: Option<&'a str>,
    /// A pattern.
    pub check: Option<&'a str>,
    /// A number.
    pub limit: Option<&'a str>,
}

impl Inquiry {
    /// The last events of one check.
    pub fn of_check(id: &str, limit: usize) -> Self {
        let limit = limit.clamp(1, limits::HISTORY_ANSWER_EVENTS);
        Self { from: None, to: None, check: Some(Which::One(id.to_owned())), limit }
    }

    /// Reads what was typed; the error names what is wrong and what to write instead.
    pub fn parse(typed: Typed<'_>, now: Timestamp) -> Result<Self, String> {
        let at = |name: &str, text: Option<&str>| {
            text.map(|text| moment(text, now).map_err(|why| format!("{name}: {why}"))).transpose()
        };
        let (from, to) = (at("from", typed.from)?, at("to", typed.to)?);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(format!("from: {from} is later than to, {to}"));
        }
        let check = match typed.check {
            Some("") => return Err("check: the pattern is empty; `*` stands for everything".into()),
            Some(text) if text.len() > limits::HISTORY_PATTERN_BYTES => {
                let most = limits::HISTORY_PATTERN_BYTES;
                return Err(format!("check: the pattern is longer than {most} bytes"));
            }
            text => text.map(|text| Which::Like(Pattern::of_host(text))),
        };
        let most = limits::HISTORY_ANSWER_EVENTS;
        let limit = match typed.limit {
            None => limits::HISTORY_ANSWER_DEFAULT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
                    format!("limit: `{}` is not a number from 1 to {most}", printable(text))
                })?
            }
        };
        Ok(Self { from, to, check, limit })
    }

    /// Reads the query of a URL. What is not known or said twice is an error: a misspelled `form`
    /// would silently answer something else.
    pub fn of_query(query: &str, now: Timestamp) -> Result<Self, String> {
        let (mut from, mut to, mut check, mut limit) = (None, None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "from" => &mut from,
                "to" => &mut to,
                "check" => &mut check,
                "limit" => &mut limit,
                other => {
                    let other = printable(other);
                    return Err(format!("`{other}` is not known; known: from, to, check, limit"));
                }
            };
            if place.replace(value).is_some() {
                return Err(format!("{name} stands there twice"));
            }
        }
        let typed = Typed {
            from: from.as_deref(),
            to: to.as_deref(),
            check: check.as_deref(),
            limit: limit.as_deref(),
        };
        Self::parse(typed, now)
    }

    /// Whether an event is asked for.
    pub fn wants(&self, event: &Event) -> bool {
        self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at <= to)
            && self
                .check
                .as_ref()
                .is_none_or(|which| event.what.check().is_some_and(|check| which.matches(check)))
    }

    /// The answer from memory alone.
    pub fn in_journal(&self, journal: &Journal) -> Found {
        self.complete(Found::default(), journal, 0, 0)
    }

    /// Adds to an answer what is newer than `last`, the number of the last event it was made from.
    /// There a number is greater by `offset` than in the journal.
    pub fn complete(&self, found: Found, journal: &Journal, last: u64, offset: u64) -> Found {
        let Found { mut events, mut more } = found;
        let newer = journal.since(last.saturating_sub(offset)).filter(|event| self.wants(event));
        events.extend(newer.map(|event| match offset {
            0 => Arc::clone(event),
            _ => Arc::new(Event { number: event.number + offset, ..Event::clone(event) }),
        }));
        if events.len() > self.limit {
            events.drain(..events.len() - self.limit);
            more = true;
        }
        Found { events, more }
    }
}

/// A moment: RFC 3339, a date or a time of UTC, or how long ago (`2h`, `1d 12h`).
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    const FORM: &str =
        "write 2026-11-23T08:00:00Z, 2026-11-23 08:00 (UTC), or how long ago: 30m, 2h, 7d";
    let text = text.trim();
    let wrong = || format!("`{}` is not a moment; {FORM}", printable(text));
    if text.len() > limits::TEXT_CHARS {
        return Err(format!("this is not a moment; {FORM}"));
    }
    if text == "now" {
        return Ok(now);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return civil.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    }
    // A `+` that was not written as %2B arrives as a space.
    if text.contains('T') && text.contains(' ') {
        return Err(format!("{}; in a URL write `+` as %2B", wrong()));
    }
    let span: Span = text.parse().map_err(|_| wrong())?;
    let ago = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    now.checked_sub(ago.abs()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::{State, What};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn moments_are_absolute_or_ago() {
        let now = at("2026-11-23T12:00:00Z");
        for (text, expected) in [
            ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z"),
            ("2026-11-23T08:00:00+02:00", "2026-11-23T06:00:00Z"),
            ("2026-11-23 08:00", "2026-11-23T08:00:00Z"),
            ("2026-11-23", "2026-11-23T00:00:00Z"),
            ("2h", "2026-11-23T10:00:00Z"),
            ("2h ago", "2026-11-23T10:00:00Z"),
            ("-2h", "2026-11-23T10:00:00Z"),
            ("1d 12h", "2026-11-22T00:00:00Z"),
            ("1h30m", "2026-11-23T10:30:00Z"),
            ("PT90S", "2026-11-23T11:58:30Z"),
            ("now", "2026-11-23T12:00:00Z"),
        ] {
            assert_eq!(moment(text, now), Ok(at(expected)), "{text}");
        }
        for text in ["", "yesterday", "2", "2 parsecs", "1mo", "99999y", "2026-13-01", "25:00"] {
            let why = moment(text, now).unwrap_err();
            assert!(why.contains("is not a moment; write 2026"), "{text}: {why}");
        }
        let why = moment("2026-11-23T08:00:00 01:00", now).unwrap_err();
        assert!(why.contains("%2B"), "{why}");
    }

    #[test]
    fn a_query_is_read_or_refused() {
        let now = at("2026-11-23T12:00:00Z");
        let read = Inquiry::of_query("from=2h&check=*%40x&limit=7", now).unwrap();
        assert_eq!((read.from, read.to, read.limit), (Some(at("2026-11-23T10:00:00Z")), None, 7));
        assert!(read.check.unwrap().matches("a@x"));
        assert_eq!(Inquiry::of_query("", now).unwrap().limit, limits::HISTORY_ANSWER_DEFAULT);
        for (query, part) in [
            ("form=2h", "`form` is not known"),
            ("from=2h&from=3h", "twice"),
            ("from=1h&to=2h", "later than to"),
            ("limit=0", "from 1 to"),
            ("limit=99999999999999999999", "from 1 to"),
            ("limit=-1", "from 1 to"),
            ("check=", "empty"),
            ("to=%00%1b", "not a moment"),
        ] {
            let why = Inquiry::of_query(query, now).unwrap_err();
            assert!(why.contains(part), "{query}: {why}");
            assert!(!why.contains(char::is_control), "{why:?}");
        }
        let long = format!("check={}", "a".repeat(limits::HISTORY_PATTERN_BYTES + 1));
        assert!(Inquiry::of_query(&long, now).is_err());
    }

    #[test]
    fn memory_answers_the_newest_that_match() {
        let mut journal = Journal::after(40);
        for number in 0..6 {
            let check = format!("{}@x", if number % 2 == 0 { "a" } else { "b" });
            let (from, to, summary) = (State::UNMEASURED, State::UNMEASURED, String::new());
            let what = What::Check { check, from, to, summary, observation: None };
            journal.push(Timestamp::from_second(number).unwrap(), what);
        }
        let numbers = |found: &Found| found.events.iter().map(|e| e.number).collect::<Vec<_>>();
        let mut inquiry = Inquiry::of_query("check=a@*&limit=2", Timestamp::MAX).unwrap();
        let found = inquiry.in_journal(&journal);
        assert_eq!((numbers(&found), found.more), (vec![43, 45], true));
        inquiry.to = Some(Timestamp::from_second(2).unwrap());
        let found = inquiry.in_journal(&journal);
        assert_eq!((numbers(&found), found.more), (vec![41, 43], false));
        // A file that numbers its events differently has all but the last two.
        let all = Inquiry { from: None, to: None, check: None, limit: 100 };
        let found = all.complete(Found::default(), &journal, 144, 100);
        assert_eq!(numbers(&found), [145, 146]);
    }

    proptest! {
        #[test]
        fn a_question_reads_back_as_itself(
            from in proptest::option::of(-62_000_000_000_i64..250_000_000_000),
            length in proptest::option::of(0_i64..3_000_000),
            limit in 1..=limits::HISTORY_ANSWER_EVENTS,
            check in proptest::option::of("[a-z0-9*?@.:-]{1,30}"),
        ) {
            let at = |second| Timestamp::from_second(second).unwrap();
            let to = length.map(|length| at(from.unwrap_or_default() + length));
            let asked = Inquiry {
                from: from.map(at),
                to,
                check: check.as_ref().map(|text| Which::Like(Pattern::of_host(text))),
                limit,
            };
            let mut query = format!("limit={limit}");
            for (name, at) in [("from", asked.from), ("to", asked.to)] {
                query.extend(at.map(|at| format!("&{name}={at}")));
            }
            query.extend(check.map(|check| format!("&check={check}")));
            prop_assert_eq!(Inquiry::of_query(&query, Timestamp::MIN), Ok(asked));
        }

        #[test]
        fn any_query_is_read_or_refused_in_printable_words(query in "(from|to|check|limit)?=?\\PC{0,60}") {
            if let Err(why) = Inquiry::of_query(&query, at("2026-11-23T12:00:00Z")) {
                prop_assert!(!why.contains(char::is_control), "{:?}", why);
            }
        }
    }
}
