//! The walk over the tree: every function reports what is wrong and goes on, so that one run
//! shows every mistake.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::error::{ConfigError, ConfigErrors, ErrorPlace};
use super::excerpt::{Lines, account_lines, masked};
use super::schema;
use super::tree::{Entries, Key, Node, Origin, Place, Value};
use crate::limits;
use crate::model::printable;
use crate::suggest;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A text as messages show it: bounded, printable, and without the password of a URL that stands
/// in a place where none was expected.
pub(super) fn shown(text: &str) -> String {
    printable(&masked(text))
}

/// The same in the marks that all names have in messages.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// A value and what messages call it.
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) node: &'a Node,
}

/// The entries of a table whose unknown keys have been reported.
pub(super) struct Section<'a> {
    path: &'static str,
    entries: &'a [(Key, Node)],
}

impl<'a> Section<'a> {
    pub(super) fn field(&self, name: &str) -> Option<Field<'a>> {
        let (_, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(Field { name: format!("`{}.{name}`", self.path), node })
    }
}

struct Mistake {
    place: Place,
    complaint: Complaint,
    secret: bool,
}

/// Collects mistakes.
pub(super) struct Reader<'a> {
    text: &'a str,
    settings: &'a [(String, String)],
    mistakes: Vec<Mistake>,
    more: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, settings: &'a [(String, String)]) -> Self {
        Self { text, settings, mistakes: Vec::new(), more: 0 }
    }

    pub(super) fn report(&mut self, place: &Place, complaint: Complaint) {
        self.remember(Mistake { place: place.clone(), complaint, secret: false });
    }

    /// Reports a value that is never shown.
    pub(super) fn report_secret(&mut self, place: &Place, complaint: Complaint) {
        self.remember(Mistake { place: place.clone(), complaint, secret: true });
    }

    fn remember(&mut self, mistake: Mistake) {
        if self.mistakes.len() < limits::CONFIG_ERRORS_REMEMBERED {
            self.mistakes.push(mistake);
        } else {
            self.more += 1;
        }
    }

    /// A table of the root; an empty one when it is missing.
    pub(super) fn table<'n>(&mut self, root: &'n Entries, name: &'static str) -> Section<'n> {
        match root.iter().find(|(key, _)| key.name == name) {
            Some((_, node)) => self.section(node, name),
            None => Section { path: name, entries: &[] },
        }
    }

    /// Opens a table and reports the keys it should not have.
    pub(super) fn section<'n>(&mut self, node: &'n Node, path: &'static str) -> Section<'n> {
        let Some(entries) = self.entries(node, &quoted(path)) else {
            return Section { path, entries: &[] };
        };
        let known = schema::keys_of(path);
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let header = schema::header(path);
            let message = format!("`{header}` has no key {}", quoted(&key.name));
            let hint = match schema::home_of(&key.name) {
                // A probe's keys have names of their own, only the words are the same.
                Some(home) if path != "probe" => {
                    format!("`{}` belongs in `{}`", key.name, schema::header(home))
                }
                _ => suggest::hint(&key.name, known),
            };
            self.report(&key.place, Complaint::new(message).hint(hint));
        }
        Section { path, entries }
    }

    /// The entries of a value that must be a table.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, name: &str) -> Option<&'n Entries> {
        if let Value::Table(entries) = &node.value {
            return Some(entries);
        }
        self.wrong_type(node, name, "a table", None);
        None
    }

    fn wrong_type(&mut self, node: &Node, name: &str, expected: &str, hint: Option<String>) {
        let found = node.value.type_name();
        let message = format!("{name} must be {expected}, not {found}");
        self.report(&node.place, Complaint { message, hint });
    }

    /// A string. What a `--set` gives for one is a string, even if it looks like something else.
    pub(super) fn text<'n>(&mut self, field: &Field<'n>) -> Option<&'n str>
    where
        'a: 'n,
    {
        let literal = self.literal(field.node);
        match (&field.node.value, literal) {
            (Value::Text(text), _) => Some(text),
            (_, Some(literal)) if field.node.place.origin != Origin::File => Some(literal),
            _ => {
                let quotes = |text| format!("write it in quotes: \"{}\"", shown(text));
                self.wrong_type(field.node, &field.name, "a string", literal.map(quotes));
                None
            }
        }
    }

    /// How a value that is neither list nor table was written.
    fn literal(&self, node: &Node) -> Option<&'a str> {
        if matches!(node.value, Value::List(_) | Value::Table(_)) {
            return None;
        }
        let source = match node.place.origin {
            Origin::File => self.text,
            Origin::Setting(number) => self.settings.get(number)?.1.as_str(),
        };
        source.get(node.place.span.clone())
    }

    /// A string that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        field: Option<Field<'_>>,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let field = field?;
        let text = self.text(&field)?;
        parse(text).map_err(|complaint| self.report(&field.node.place, complaint)).ok()
    }

    /// Like [`Self::parsed`], for strings that people write as numbers: `parse` says better than
    /// "must be a string" what is missing.
    pub(super) fn parsed_literal<T>(
        &mut self,
        field: Option<Field<'_>>,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let field = field?;
        let text = match (&field.node.value, self.literal(field.node)) {
            (Value::Integer(_) | Value::Fraction, Some(literal)) => literal,
            _ => self.text(&field)?,
        };
        parse(text).map_err(|complaint| self.report(&field.node.place, complaint)).ok()
    }

    /// Like [`Self::parsed`], with an empty string meaning "not set".
    pub(super) fn optional<T>(
        &mut self,
        field: Option<Field<'_>>,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.parsed(field, |text| match text.trim() {
            "" => Ok(None),
            text => parse(text).map(Some),
        })
        .flatten()
    }

    /// A list of strings that `parse` understands, without duplicates.
    pub(super) fn list<T: Ord + Clone>(
        &mut self,
        field: Option<Field<'_>>,
        most: usize,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<Vec<T>> {
        let field = field?;
        let Value::List(items) = &field.node.value else {
            let hint = match &field.node.value {
                Value::Text(text) if !text.contains(',') => {
                    Some(format!("write it in brackets: [\"{}\"]", shown(text)))
                }
                _ => None,
            };
            self.wrong_type(field.node, &field.name, "a list of strings", hint);
            return None;
        };
        if items.len() > most {
            let message =
                format!("{} has {} entries; at most {most} are read", field.name, items.len());
            self.report(&field.node.place, Complaint::new(message));
        }
        let (mut seen, mut values) = (BTreeSet::new(), Vec::new());
        for item in items.iter().take(most) {
            let field = Field { name: format!("each entry of {}", field.name), node: item };
            let Some(value) = self.parsed(Some(field), &parse) else { continue };
            if seen.insert(value.clone()) {
                values.push(value);
            } else {
                let complaint = Complaint::new("this entry is in the list already");
                self.report(&item.place, complaint.hint("remove one of the two"));
            }
        }
        Some(values)
    }

    pub(super) fn boolean(&mut self, field: Option<Field<'_>>) -> Option<bool> {
        let field = field?;
        if let Value::Boolean(boolean) = field.node.value {
            return Some(boolean);
        }
        let hint = "write true or false, without quotes".to_owned();
        self.wrong_type(field.node, &field.name, "a boolean", Some(hint));
        None
    }

    pub(super) fn integer(
        &mut self,
        field: Option<Field<'_>>,
        range: &RangeInclusive<usize>,
    ) -> Option<usize> {
        let field = field?;
        let Value::Integer(integer) = field.node.value else {
            let hint = match &field.node.value {
                Value::Text(text) if text.parse::<u64>().is_ok() => {
                    Some(format!("write it without quotes: {text}"))
                }
                _ => None,
            };
            self.wrong_type(field.node, &field.name, "an integer", hint);
            return None;
        };
        let value = integer.and_then(|i| usize::try_from(i).ok()).filter(|i| range.contains(i));
        if value.is_none() {
            let (least, most) = range.clone().into_inner();
            let message = format!("{} must be from {least} to {most}", field.name);
            self.report(&field.node.place, Complaint::new(message));
        }
        value
    }

    /// All mistakes in order, or nothing. Values on a line with a syntax error are guesses of the
    /// parser, so what is wrong with them is not reported.
    pub(super) fn finish(self, syntax: Vec<(Place, Complaint)>) -> Result<(), ConfigErrors> {
        let lines = Lines::of(self.text);
        let line = |place: &Place| (place.origin, lines.line(place.span.start));
        let broken: BTreeSet<_> = syntax.iter().map(|(place, _)| line(place)).collect();
        let mut mistakes: Vec<Mistake> = syntax
            .into_iter()
            .map(|(place, complaint)| Mistake { place, complaint, secret: false })
            .chain(self.mistakes.into_iter().filter(|m| !broken.contains(&line(&m.place))))
            .collect();
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort_by_key(|mistake| (mistake.place.origin, mistake.place.span.start));
        let accounts = account_lines(self.text);
        let more = self.more + mistakes.len().saturating_sub(limits::CONFIG_ERRORS);
        let errors = mistakes
            .into_iter()
            .take(limits::CONFIG_ERRORS)
            .map(|mistake| {
                let here = line(&mistake.place);
                let secret = mistake.secret || here.0 == Origin::File && accounts.contains(&here.1);
                located(Mistake { secret, ..mistake }, self.text, &lines, self.settings)
            })
            .collect();
        Err(ConfigErrors { errors, more })
    }
}

fn located(
    mistake: Mistake,
    text: &str,
    lines: &Lines<'_>,
    settings: &[(String, String)],
) -> ConfigError {
    let Mistake { place, complaint, secret } = mistake;
    let (source, error_place) = match place.origin {
        Origin::File => {
            let (line, column) = (lines.line(place.span.start), lines.column(place.span.start));
            (text, ErrorPlace::File { span: place.span.clone(), line, column })
        }
        Origin::Setting(number) => {
            let (key, value) = settings.get(number).map_or(("", ""), |(k, v)| (k, v));
            let shown =
                if secret { format!("{key}=***") } else { masked(&format!("{key}={value}")) };
            (value, ErrorPlace::Setting(printable(&shown)))
        }
    };
    let offending = match source.get(place.span) {
        _ if secret => "***".to_owned(),
        Some(part) => shown(part),
        None => String::new(),
    };
    ConfigError {
        place: error_place,
        message: complaint.message,
        hint: complaint.hint,
        offending,
        secret,
    }
}
