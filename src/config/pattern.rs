//! Patterns over requirement ids and hosts: `*` stands for any characters, `?` for one.

use std::fmt;

use super::reader::{Complaint, quoted};

/// A pattern over requirement ids or hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern; requirement ids consist of `a-z`, `0-9` and `-`.
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        if text.is_empty() {
            return Err(Complaint::new("the pattern is empty").hint("`*` stands for everything"));
        }
        let odd = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(*c));
        match text.chars().find(odd) {
            None => Ok(Self(text.to_owned())),
            Some(odd) => {
                let message =
                    format!("{} cannot match a requirement: no id contains {odd:?}", quoted(text));
                Err(Complaint::new(message)
                    .hint("ids consist of a-z, 0-9 and `-`; `*` and `?` are wildcards"))
            }
        }
    }

    /// A pattern over hosts, which are lower case.
    pub fn of_host(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether it matches a text as a whole.
    pub fn matches(&self, id: &str) -> bool {
        let (pattern, id): (Vec<char>, Vec<char>) =
            (self.0.chars().collect(), id.chars().collect());
        let (mut p, mut i) = (0, 0);
        // Where to go on when a mismatch shows that the last `*` must take one character more.
        let mut retry = None;
        while i < id.len() {
            match pattern.get(p) {
                Some('*') => {
                    retry = Some((p + 1, i));
                    p += 1;
                }
                Some(c) if *c == '?' || id.get(i) == Some(c) => {
                    p += 1;
                    i += 1;
                }
                _ => {
                    let Some((after_star, taken)) = retry else { return false };
                    retry = Some((after_star, taken + 1));
                    p = after_star;
                    i = taken + 1;
                }
            }
        }
        pattern.iter().skip(p).all(|c| *c == '*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_ids() {
        for (pattern, id, expected) in [
            ("vs-code-*", "vs-code-server", true),
            ("vs-code-*", "vs-code", false),
            ("*", "", true),
            ("*-smb", "tag-storage-smb", true),
            ("*-smb", "tag-storage-smb-2", false),
            ("s?-*-c", "s4-a-b-c", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXcXb", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("????", "abc", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(id), expected, "{pattern} {id}");
        }
    }
}
