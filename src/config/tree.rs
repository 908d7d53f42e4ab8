//! The configuration as a tree of values that know where they were written: in the file or in a
//! `--set`, which replaces the file's value before anything is looked at.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema;

/// Who wrote a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The file.
    File,
    /// The `--set` with this number.
    Setting(usize),
}

/// Where a value was written, in bytes of the file or of the setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) origin: Origin,
    pub(super) span: Range<usize>,
}

/// A key and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Place,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What TOML can say.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    /// Absent when it does not fit.
    Integer(Option<i64>),
    Fraction,
    Boolean(bool),
    Date,
    List(Vec<Node>),
    Table(Entries),
}

/// A table's entries.
pub(super) type Entries = Vec<(Key, Node)>;

impl Value {
    /// Its type, as people call it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Fraction => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Date => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The tree of a parsed document.
pub(super) fn of_file(table: &DeTable<'_>) -> Entries {
    entries(table, Origin::File)
}

fn entries(table: &DeTable<'_>, origin: Origin) -> Entries {
    let mut entries: Entries = table
        .iter()
        .map(|(key, value)| {
            let place = Place { origin, span: key.span() };
            (Key { name: key.get_ref().to_string(), place }, node(value, origin))
        })
        .collect();
    // The parser sorts by name; of two entries that exclude each other the later one is wrong.
    entries.sort_by_key(|(key, _)| key.place.span.start);
    entries
}

/// Deep enough values were refused by the parser, so this recursion is bounded by it.
fn node(value: &Spanned<DeValue<'_>>, origin: Origin) -> Node {
    let place = Place { origin, span: value.span() };
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => {
            Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok())
        }
        DeValue::Float(_) => Value::Fraction,
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(list) => Value::List(list.iter().map(|item| node(item, origin)).collect()),
        DeValue::Table(table) => Value::Table(entries(table, origin)),
    };
    Node { value, place }
}

/// Puts the value of the `--set` with this number where its key says. A bare key belongs to
/// `[workspace]`; what is unknown is put there all the same, to be found and reported.
pub(super) fn set(root: &mut Entries, number: usize, key: &str, text: &str) {
    let origin = Origin::Setting(number);
    let value = match DeValue::parse(text) {
        Ok(value) => node(&value, origin),
        // A shell has already eaten the quotes of most strings.
        Err(_) => Node {
            value: Value::Text(text.to_owned()),
            place: Place { origin, span: 0..text.len() },
        },
    };
    let mut parts: Vec<&str> =
        key.trim().splitn(3, '.').map(|part| part.trim_matches('"')).collect();
    if parts.len() == 1 && !schema::tables().contains(&key.trim()) {
        parts.insert(0, "workspace");
    }
    insert(root, &parts, value);
}

fn insert(entries: &mut Entries, parts: &[&str], value: Node) {
    let Some((name, rest)) = parts.split_first() else { return };
    let position = entries.iter().position(|(key, _)| key.name == *name).unwrap_or_else(|| {
        let key = Key { name: (*name).to_owned(), place: value.place.clone() };
        let empty = Node { value: Value::Table(Vec::new()), place: value.place.clone() };
        entries.push((key, empty));
        entries.len() - 1
    });
    let Some((key, node)) = entries.get_mut(position) else { return };
    if rest.is_empty() {
        key.place = value.place.clone();
        *node = value;
    } else if let Value::Table(inner) = &mut node.value {
        insert(inner, rest, value);
    }
    // Otherwise the file has something there that is no table, which is reported in its own right.
}
