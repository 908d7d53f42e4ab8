//! Mistakes of the TOML itself, in words for people who do not know TOML.

use std::collections::BTreeSet;

use toml::de::Error;

use super::excerpt::{Lines, account_lines};
use super::reader::{Complaint, quoted, shown};
use super::tree::{Origin, Place};

/// What is wrong with the TOML of a text.
pub(super) struct Syntax {
    pub(super) mistakes: Vec<(Place, Complaint)>,
    /// Something is not closed or not begun, so that what follows is in the wrong place.
    pub(super) structure_lost: bool,
}

/// Explains syntax errors; of several in one line the first, as the others mostly follow from it.
pub(super) fn explain(text: &str, errors: &[Error]) -> Syntax {
    let lines = Lines::of(text);
    let mut sorted: Vec<&Error> = errors.iter().collect();
    sorted.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let any = |words: &[&str]| {
        errors.iter().any(|error| words.iter().any(|word| error.message().contains(word)))
    };
    let list_open = any(&["unclosed array", "unclosed inline table"]);
    let accounts = account_lines(text);
    let mut seen = BTreeSet::new();
    let mut mistakes = Vec::new();
    for error in sorted {
        let span = error.span().unwrap_or(0..0);
        let place = Place { origin: Origin::File, span: span.clone() };
        if list_open && follows_from_open_list(error.message()) {
            // Everything from here on was read as entries of that list.
            let complaint = Complaint::new("a list or table before this is not closed");
            mistakes.push((place, complaint.hint("write the missing `]` or `}`")));
            break;
        }
        let line = lines.line(span.start);
        if seen.insert(line) {
            let part = text.get(span.clone()).unwrap_or_default();
            let part = if accounts.contains(&line) && !part.is_empty() { "***" } else { part };
            mistakes.push((place, complaint(error.message(), part)));
        }
    }
    Syntax { mistakes, structure_lost: any(&["unclosed", "no value"]) }
}

fn follows_from_open_list(message: &str) -> bool {
    ["missing comma", "in array", "in inline table"].iter().any(|part| message.contains(part))
}

fn complaint(message: &str, part: &str) -> Complaint {
    let starts = |start: &str| message.starts_with(start);
    if starts("string values must be quoted") && part.is_empty() {
        return Complaint::new("the value is missing").hint("write one, or remove the key");
    }
    if starts("string values must be quoted") {
        let quotes = format!("write \"{}\"", shown(part));
        return Complaint::new(format!("{} needs quotes", quoted(part))).hint(quotes);
    }
    if starts("duplicate key") {
        return Complaint::new(format!("{} is here already", quoted(part)))
            .hint("a key or table stands once; merge the two");
    }
    if starts("invalid basic string") || starts("invalid literal string") {
        return Complaint::new("the quote at the end of this text is missing");
    }
    let message = message.trim_end_matches(", expected nothing");
    let complaint = Complaint::new(format!("not valid TOML: {message}"));
    if message.contains("escape") {
        return complaint.hint("write a backslash twice, or the text in single quotes");
    }
    if starts("key with no value") {
        return complaint.hint("write `key = value`; a comment begins with #");
    }
    complaint
}
