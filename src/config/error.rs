//! What is wrong with a configuration, and how it is shown.

use std::fmt;
use std::ops::Range;

use super::excerpt;
use crate::model::printable;

/// Where a mistake was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorPlace {
    /// In the file.
    File {
        /// Bytes of the text.
        span: Range<usize>,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// In `--set`: the setting as it was written, passwords masked.
    Setting(String),
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: ErrorPlace,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to write instead, when that can be said.
    pub hint: Option<String>,
    /// The text that is wrong, printable, passwords masked.
    pub offending: String,
    /// The text may hold a password in an unforeseen form and is never shown.
    pub(super) secret: bool,
}

/// Every mistake of one configuration, in the order of the file; those of `--set` come last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The first [`crate::limits::CONFIG_ERRORS`] of them.
    pub errors: Vec<ConfigError>,
    /// How many more there are.
    pub more: usize,
}

impl ConfigErrors {
    /// All of them for a terminal, each with the line it is in. `text` is the text that was parsed.
    pub fn render(&self, file_name: &str, text: &str) -> String {
        let mut shown: Vec<String> =
            self.errors.iter().map(|error| error.render(file_name, text)).collect();
        if self.more > 0 {
            shown.push(format!("and {} more\n", self.more));
        }
        shown.join("\n")
    }
}

impl ConfigError {
    fn render(&self, file_name: &str, text: &str) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("= help: {hint}\n"));
        match &self.place {
            ErrorPlace::File { span, line, column } => {
                let margin = " ".repeat(line.to_string().len() + 1);
                let hint = hint.map(|hint| format!("{margin}{hint}")).unwrap_or_default();
                let excerpt = excerpt::render(text, span, *line, self.secret);
                let file_name = printable(file_name);
                format!("{file_name}:{line}:{column}: {}\n{excerpt}{hint}", self.message)
            }
            ErrorPlace::Setting(setting) => {
                let hint = hint.map(|hint| format!("  {hint}")).unwrap_or_default();
                format!("--set {setting}: {}\n{hint}", self.message)
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            ErrorPlace::File { line, column, .. } => write!(f, "line {line}, column {column}")?,
            ErrorPlace::Setting(setting) => write!(f, "--set {setting}")?,
        }
        write!(f, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
