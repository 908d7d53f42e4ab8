//! Which metrics and labels an expression names. Prometheus itself judges the grammar; this reads
//! no more than names.

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Names {
    /// Metrics, each with the labels it is selected by.
    pub(crate) selected: Vec<(String, Vec<String>)>,
    /// Labels of `by`, `on` and the like.
    pub(crate) grouped: Vec<String>,
}

const GROUPING: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: &[&str] = &[
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "atan2",
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "topk",
    "bottomk",
    "quantile",
    "stddev",
    "stdvar",
    "group",
    "count_values",
    "inf",
    "nan",
];

/// The names in an expression.
pub(crate) fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '[' {
            rest = after_closing(rest);
        } else if first.is_ascii_digit() {
            // A number or a duration, as in `offset 5m`.
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if is_name(first) {
            let word = rest.split(|c| !is_name(c)).next().unwrap_or_default();
            rest = rest.strip_prefix(word).unwrap_or_default().trim_start();
            if let Some(list) = rest.strip_prefix('{') {
                let end = closing_brace(list);
                names.selected.push((word.to_owned(), labels(list.get(..end).unwrap_or_default())));
                rest = list.get(end + 1..).unwrap_or_default();
            } else if GROUPING.contains(&word) {
                if let Some((list, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')'))
                {
                    let list = list.split(',').map(|label| label.trim().to_owned());
                    names.grouped.extend(list.filter(|label| !label.is_empty()));
                    rest = after;
                }
            } else if !rest.starts_with('(') && !WORDS.contains(&word) {
                names.selected.push((word.to_owned(), Vec::new()));
            }
        } else {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    names
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// What follows a string or a range.
fn after_closing(text: &str) -> &str {
    let closing = if text.starts_with('[') { ']' } else { '"' };
    text.get(1..).and_then(|rest| rest.split_once(closing)).map_or("", |(_, after)| after)
}

/// Where a selector ends; braces within strings do not count.
fn closing_brace(list: &str) -> usize {
    let mut quoted = false;
    let end = list.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '}' && !quoted
    });
    end.map_or(list.len(), |(at, _)| at)
}

fn labels(list: &str) -> Vec<String> {
    let mut labels = Vec::new();
    // Every second piece is a quoted value.
    for piece in list.split('"').step_by(2) {
        let label = piece.trim_matches(|c: char| c == ',' || c.is_whitespace());
        let label = label.trim_end_matches(['=', '!', '~']).trim();
        if !label.is_empty() {
            labels.push(label.to_owned());
        }
    }
    labels
}

#[test]
fn names_are_found() {
    let found = names(
        "sum by (job, vnet) (rate(a_total{x=\"by (z) {\", y!~\"b\"}[5m] offset 1h)) / on (job) \
         group_left (host) (b:c:sum > bool 1e3) or time() - d",
    );
    let selected: Vec<(&str, Vec<&str>)> = found
        .selected
        .iter()
        .map(|(name, labels)| (name.as_str(), labels.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(selected, [("a_total", vec!["x", "y"]), ("b:c:sum", vec![]), ("d", vec![])]);
    assert_eq!(found.grouped, ["job", "vnet", "job", "host"]);
}
