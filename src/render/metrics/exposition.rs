//! Prometheus' text format 0.0.4, written line by line.
//!
//! By hand, as docs/decisions/0005 says: values of a library's own, one per line, took ten times as long.

use std::fmt::Write as _;

use crate::snapshot::Histogram;

pub(super) const GAUGE: &str = "gauge";
pub(super) const COUNTER: &str = "counter";
pub(super) const HISTOGRAM: &str = "histogram";

/// Families as they are written: two lines of head, then the samples.
#[derive(Default)]
pub(super) struct Families {
    pub(super) text: String,
}

impl Families {
    pub(super) fn gauge<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        self.add_as(&format!("vnetprobe_{name}"), help, GAUGE, samples);
    }

    pub(super) fn counter<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, value as f64));
        self.add_as(&format!("vnetprobe_{name}"), help, COUNTER, samples);
    }

    /// Adds a family by its whole name; `samples` are labels as [`labels`] writes them, and values.
    pub(super) fn add_as<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        kind: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        self.family(name, help, kind, |family| {
            for (labels, value) in samples {
                family.sample(&[labels.as_ref()], value);
            }
        });
    }

    /// Adds a family; one without a sample is left out, as the format asks.
    pub(super) fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: &str,
        fill: impl FnOnce(&mut Family<'_>),
    ) {
        let before = self.text.len();
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        let head = self.text.len();
        fill(&mut Family { name, text: &mut self.text });
        if self.text.len() == head {
            self.text.truncate(before);
        }
    }

    pub(super) fn histogram<'h>(
        &mut self,
        name: &str,
        help: &str,
        histograms: impl IntoIterator<Item = (String, &'h Histogram)>,
    ) {
        self.family(&format!("vnetprobe_{name}"), help, HISTOGRAM, |family| {
            for (labels, histogram) in histograms {
                let all = histogram.count() as f64;
                let mut cumulative = 0;
                for (bound, number) in histogram.bounds.iter().zip(&histogram.counts) {
                    cumulative += number;
                    let bound = self::labels(&[("le", &bound.to_string())]);
                    family.line("_bucket", &[&labels, &bound], cumulative as f64);
                }
                family.line("_bucket", &[&labels, "le=\"+Inf\""], all);
                family.line("_sum", &[&labels], histogram.sum);
                family.line("_count", &[&labels], all);
            }
        });
    }
}

/// The family that is being written.
pub(super) struct Family<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[&str], value: f64) {
        self.line("", labels, value);
    }

    /// Plain pushes: an output of 10,000 checks has 200,000 lines.
    fn line(&mut self, part: &str, labels: &[&str], value: f64) {
        self.text.push_str(self.name);
        self.text.push_str(part);
        let mut before = "{";
        for labels in labels.iter().filter(|labels| !labels.is_empty()) {
            self.text.push_str(before);
            self.text.push_str(labels);
            before = ",";
        }
        self.text.push_str(if before == "," { "} " } else { " " });
        match value {
            0.0 if value.is_sign_positive() => self.text.push('0'),
            1.0 => self.text.push('1'),
            _ => drop(write!(self.text, "{value}")),
        }
        self.text.push('\n');
    }
}

/// Labels as they stand between the braces.
pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let before = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{before}{name}=\"");
        for c in value.chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_the_format_says() {
        let mut families = Families::default();
        families.gauge("none", "Nothing.", [("", 1.0); 0]);
        let odd = labels(&[("a", "\"quoted\\\n"), ("b", "")]);
        families.gauge(
            "odd",
            "Odd values.",
            [(odd.as_str(), f64::NAN), ("", 0.0), ("", 1.5), ("", 1_793_534_400.25)],
        );
        families.counter("many_total", "Many.", [("", u64::MAX)]);
        let histogram = Histogram { bounds: &[0.5, 2.0], counts: vec![1, 2, 3], sum: 9.5 };
        families.histogram("took_seconds", "Took.", [(labels(&[("k", "v")]), &histogram)]);
        let expected = r#"# HELP vnetprobe_odd Odd values.
# TYPE vnetprobe_odd gauge
vnetprobe_odd{a="\"quoted\\\n",b=""} NaN
vnetprobe_odd 0
vnetprobe_odd 1.5
vnetprobe_odd 1793534400.25
# HELP vnetprobe_many_total Many.
# TYPE vnetprobe_many_total counter
vnetprobe_many_total 18446744073709552000
# HELP vnetprobe_took_seconds Took.
# TYPE vnetprobe_took_seconds histogram
vnetprobe_took_seconds_bucket{k="v",le="0.5"} 1
vnetprobe_took_seconds_bucket{k="v",le="2"} 3
vnetprobe_took_seconds_bucket{k="v",le="+Inf"} 6
vnetprobe_took_seconds_sum{k="v"} 9.5
vnetprobe_took_seconds_count{k="v"} 6
"#;
        assert_eq!(families.text, expected);
    }
}
