//! Lines for a terminal: wrapping by display width, color as a second sign only.

use unicode_width::UnicodeWidthStr;

use crate::model::{Status, visible};

/// How wide lines may be and whether colors are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Columns.
    pub width: usize,
    /// ANSI colors.
    pub color: bool,
}

/// Narrowest width that is laid out for; narrower terminals wrap by themselves.
const NARROWEST: usize = 40;

/// An emphasis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Watch,
    Bad,
    Unsure,
    Strong,
    Quiet,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Watch => "33",
            Self::Bad => "1;31",
            Self::Unsure => "35",
            Self::Strong => "1",
            Self::Quiet => "2",
        }
    }
}

/// The sign, word and tone of a status.
pub(super) fn sign(status: Status) -> (&'static str, Tone) {
    match status {
        Status::Pass => ("✓", Tone::Good),
        Status::Warn => ("!", Tone::Watch),
        Status::Unknown => ("?", Tone::Unsure),
        Status::Fail => ("✗", Tone::Bad),
    }
}

impl Layout {
    /// Text with an emphasis, if colors are wanted.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if self.color { format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code()) } else { text.to_owned() }
    }

    /// Appends text after a lead, wrapped so that further lines stand under the text's beginning.
    /// `lead_width` is the lead's width on the screen, whatever codes it carries.
    pub(super) fn hang(self, out: &mut String, lead: &str, lead_width: usize, text: &str) {
        self.hang_toned(out, lead, lead_width, text, None);
    }

    /// Like [`Self::hang`], with an emphasis on every line of the text.
    pub(super) fn hang_toned(
        self,
        out: &mut String,
        lead: &str,
        lead_width: usize,
        text: &str,
        tone: Option<Tone>,
    ) {
        let room = self.width.max(NARROWEST).saturating_sub(lead_width).max(20);
        for (number, line) in wrap(text, room).iter().map(|line| visible(line)).enumerate() {
            if number == 0 {
                out.push_str(lead);
            } else {
                out.push_str(&" ".repeat(lead_width));
            }
            match tone {
                Some(tone) => out.push_str(&self.paint(tone, &line)),
                None => out.push_str(&line),
            }
            out.push('\n');
        }
    }
}

/// Appends commands so that they can be copied: every line as it is, however wide.
pub(super) fn verbatim(out: &mut String, lead: &str, lead_width: usize, text: &str) {
    for (number, line) in text.split('\n').enumerate() {
        if number == 0 {
            out.push_str(lead);
        } else {
            out.push_str(&" ".repeat(lead_width));
        }
        out.push_str(&visible(line));
        out.push('\n');
    }
}

/// Splits text into lines of at most `width` columns at spaces; a longer word stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_goes_by_display_width() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("日本 日本", 5), ["日本", "日本"]);
        assert_eq!(wrap("averyverylongword x", 5), ["averyverylongword", "x"]);
        assert_eq!(wrap("a\nb", 10), ["a", "b"]);
    }
}
