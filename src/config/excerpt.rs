//! The line a mistake is in, as a terminal can show it: tabs expanded, wide characters counted,
//! control characters replaced, long lines cut around the mistake, passwords in URLs masked.

use std::collections::BTreeSet;
use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use crate::limits;
use crate::model::printable;

/// Columns shown before the mistake when the line is cut.
const LEAD: usize = 40;
/// What stands for text that may be a password.
const MASK: &str = "***";

/// Where the lines of a text begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The column of a byte in characters, from 1.
    pub(super) fn column(&self, offset: usize) -> usize {
        let start = self.starts.get(self.line(offset).saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        before.trim_start_matches('\u{feff}').chars().count() + 1
    }
}

/// A text with what may be a password in it masked.
pub(super) fn masked(text: &str) -> String {
    match secret_range(text) {
        Some(range) => {
            let (before, after) = (text.get(..range.start), text.get(range.end..));
            format!("{}{MASK}{}", before.unwrap_or_default(), after.unwrap_or_default())
        }
        None => text.to_owned(),
    }
}

/// User and password of a URL: what stands between `://` and the last `@`, or before an `@` with
/// a colon in it. Rather too much than too little.
fn secret_range(text: &str) -> Option<Range<usize>> {
    let at = text.rfind('@')?;
    let before = text.get(..at)?;
    let word = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=');
    if let Some(slashes) = before.find("://") {
        let head = before.get(..slashes)?;
        let scheme = head.rsplit(word).next().unwrap_or_default();
        // `user:secret://x@` has no scheme before its slashes.
        let plain = scheme.chars().all(|c| c.is_ascii_alphanumeric());
        let start = if plain { slashes + "://".len() } else { slashes - scheme.len() };
        return Some(start..at);
    }
    let user = before.rsplit(word).next().filter(|user| user.contains(':'))?;
    Some(at - user.len()..at)
}

/// Tables of hashes, where people put passwords and tokens.
const ACCOUNTS: [&str; 2] = ["basic_auth_users", "bearer_tokens"];

fn names_accounts(line: &str) -> bool {
    ACCOUNTS.iter().any(|table| line.contains(table))
}

/// The lines, from 1, that hold hashes of passwords or tokens, or what was written there instead.
pub(super) fn account_lines(text: &str) -> BTreeSet<usize> {
    let mut inside = false;
    let mut numbers = BTreeSet::new();
    for (line, number) in text.split('\n').zip(1..) {
        if line.trim_start().starts_with('[') {
            inside = names_accounts(line);
        }
        if inside || names_accounts(line) {
            numbers.insert(number);
        }
    }
    numbers
}

/// What stands after the equals sign of such a line.
fn account_range(line: &str) -> Option<Range<usize>> {
    let named = ACCOUNTS.iter().find_map(|table| Some(line.find(table)? + table.len()));
    let from = named.unwrap_or(0);
    let equals = line.get(from..)?.find('=').map(|at| from + at + 1)?;
    let value = line.get(equals..)?.trim_start();
    Some(line.len() - value.len()..line.len())
}

/// The excerpt: a margin, the line, and carets below the mistake.
pub(super) fn render(text: &str, span: &Range<usize>, line: usize, secret: bool) -> String {
    let start = text.get(..span.start).map_or(0, |head| head.rfind('\n').map_or(0, |at| at + 1));
    let rest = text.get(start..).unwrap_or_default();
    let content = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let span = span.start - start..span.end.saturating_sub(start).min(content.len());
    let hidden = if secret {
        // What follows on the line may belong to it; what stands before it as well, among accounts.
        let all = account_range(content).filter(|all| all.start <= span.start);
        Some(all.unwrap_or(span.start..content.len()))
    } else {
        secret_range(content)
    };
    let (shown, caret, carets) = cut(content, &span, hidden.as_ref());
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let shown = format!("{number} | {shown}");
    format!(
        "{margin} |\n{}\n{margin} | {}{}\n",
        shown.trim_end(),
        " ".repeat(caret),
        "^".repeat(carets)
    )
}

/// The shown part of a line, the column of the first caret and the number of carets.
fn cut(line: &str, span: &Range<usize>, hidden: Option<&Range<usize>>) -> (String, usize, usize) {
    let mut cells: Vec<(usize, String)> = Vec::new();
    let mut seen = span.start..line.len();
    for (offset, character) in near(line, span.start) {
        seen = seen.start.min(offset)..offset + character.len_utf8();
        let cell = match character {
            _ if hidden.is_some_and(|range| range.start == offset) => MASK.to_owned(),
            _ if hidden.is_some_and(|range| range.contains(&offset)) => continue,
            '\t' => "    ".to_owned(),
            '\u{feff}' if offset == 0 => continue,
            other => printable(&other.to_string()),
        };
        cells.push((offset, cell));
    }
    let width_of = |range: Range<usize>| -> usize {
        cells.iter().filter(|(at, _)| range.contains(at)).map(|(_, cell)| cell.width()).sum()
    };
    let before = width_of(0..span.start);
    let all = width_of(0..usize::MAX);
    let skipped = if all > limits::EXCERPT_COLUMNS { before.saturating_sub(LEAD) } else { 0 };
    let mut shown = String::new();
    let mut caret = None;
    let (mut column, mut carets) = (0, 0);
    let (mut cut_left, mut cut_right) = (seen.start > 0 && !line.is_empty(), seen.end < line.len());
    for (offset, cell) in &cells {
        let width = cell.width();
        column += width;
        if column <= skipped {
            cut_left = true;
            continue;
        }
        if column > skipped + limits::EXCERPT_COLUMNS {
            cut_right = true;
            break;
        }
        if *offset >= span.start && caret.is_none() {
            caret = Some(shown.width());
        }
        if span.contains(offset) {
            carets += width;
        }
        shown.push_str(cell);
    }
    let caret = caret.unwrap_or_else(|| shown.width());
    let left = if cut_left { "…" } else { "" };
    let right = if cut_right { "…" } else { "" };
    (format!("{left}{shown}{right}"), caret + left.width(), carets.max(1))
}

/// The characters of a line that are near enough to a byte to be shown at all.
fn near(line: &str, offset: usize) -> impl Iterator<Item = (usize, char)> {
    let reach = limits::EXCERPT_COLUMNS * 4;
    line.char_indices()
        .skip_while(move |(at, _)| at + reach < offset)
        .take_while(move |(at, _)| *at < offset.saturating_add(reach))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, part: &str) -> String {
        let start = text.find(part).unwrap();
        render(text, &(start..start + part.len()), 1, false)
    }

    #[test]
    fn carets_stand_below_what_is_wrong_whatever_stands_before_it() {
        assert_eq!(excerpt("a = bad # c", "bad"), "  |\n1 | a = bad # c\n  |     ^^^\n");
        assert_eq!(excerpt("\ta = bad", "bad"), "  |\n1 |     a = bad\n  |         ^^^\n");
        assert_eq!(excerpt("\"漢字\" = bad", "bad"), "  |\n1 | \"漢字\" = bad\n  |          ^^^\n");
        assert_eq!(excerpt("a = \u{1b}[1m\r\n", "[1m"), "  |\n1 | a = \u{fffd}[1m\n  |      ^^^\n");
        assert_eq!(render("a =", &(3..3), 1, false), "  |\n1 | a =\n  |    ^\n");
        assert_eq!(render("", &(0..0), 1, false), "  |\n1 |\n  | ^\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_mistake() {
        let text = format!("{}bad{}", "x".repeat(5_000), "y".repeat(5_000));
        let shown = excerpt(&text, "bad");
        let lines: Vec<&str> = shown.lines().collect();
        let (line, carets) = (lines[1], lines[2]);
        assert!(line.width() <= limits::EXCERPT_COLUMNS + 8, "{line}");
        assert!(line.starts_with("1 | …xxx") && line.ends_with("yyy…"), "{line}");
        let bad = line.chars().position(|c| c == 'b').unwrap();
        assert_eq!(carets.chars().position(|c| c == '^').unwrap(), bad, "{shown}");
        assert_eq!(carets.matches('^').count(), 3);
    }

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        for (text, expected) in [
            ("url = \"http://u:p@proxy\"", "url = \"http://***@proxy\""),
            ("url = \"http://u:p@ss/w@proxy\"", "url = \"http://***@proxy\""),
            ("url = \"u:p@proxy\"", "url = \"***@proxy\""),
            ("url = \"u:p://x@proxy\"", "url = \"***@proxy\""),
            ("proxy.url=http://u:p@proxy", "proxy.url=http://***@proxy"),
            ("region = \"X\" # ask @alice", "region = \"X\" # ask @alice"),
            ("# mail bob@contoso.mil", "# mail bob@contoso.mil"),
        ] {
            assert_eq!(masked(text), expected);
            let shown = render(text, &(0..1), 1, false);
            assert!(shown.contains(expected), "{shown}");
        }
        assert!(!render("url = \"oddsecret\"", &(6..17), 1, true).contains("oddsecret"));
    }

    #[test]
    fn passwords_in_the_place_of_hashes_are_masked() {
        for text in [
            "basic_auth_users = { alice = \"hunter2\", bob = 7 }",
            "bearer_tokens.prometheus = \"hunter2",
            "[web]\nbasic_auth_users = { alice = hunter2 }",
            "[web.basic_auth_users]\n\"a:b\" = \"hunter2\"",
            "[web.bearer_tokens]\n# all of them\nprometheus = \"hunter2",
        ] {
            let line = text.rfind('\n').map_or(0, |at| at + 1);
            assert!(account_lines(text).contains(&(text.matches('\n').count() + 1)));
            for at in line..text.len() {
                let shown = render(text, &(at..at + 1), 1, true);
                assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
            }
        }
        let lines = account_lines("a = 1\n[web.bearer_tokens]\nb = 2\n[tls]\nca_files = 7");
        assert_eq!(lines.into_iter().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let lines = Lines::of("ä = 1\nb");
        assert_eq!((lines.line(0), lines.column(0)), (1, 1));
        assert_eq!((lines.line(3), lines.column(3)), (1, 3));
        assert_eq!((lines.line(7), lines.column(7)), (2, 1));
        assert_eq!((lines.line(8), lines.column(8)), (2, 2));
    }
}
