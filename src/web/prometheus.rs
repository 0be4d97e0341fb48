//! The text that Prometheus reads. Knows no number and where none comes from.

use std::fmt::Write as _;

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// What kind of number a family has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Exposition {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(help, false));
        Family { text: &mut self.0, name: name.to_owned() }
    }

    /// The whole text.
    pub(super) fn text(self) -> String {
        self.0
    }
}

/// A family whose samples follow.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Family<'_> {
    /// One number.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.part("", labels, value);
    }

    /// One number of a part of the family, as `_sum`.
    pub(super) fn part(&mut self, part: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text, true))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{part}{labels} {value}", self.name);
    }
}

fn escaped(text: &str, is_label: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if is_label { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_it_is_read_and_nothing_breaks_out_of_a_label() {
        let mut all = Exposition::default();
        let mut rows = all.family("x_total", Kind::Counter, "Rows,\nby \\ source");
        rows.sample(&[("source", "a\"b\\c\nd"), ("outcome", "sent")], 3.0);
        rows.sample(&[], 0.5);
        rows.part("_bucket", &[("le", "+Inf")], 1e15);
        assert_eq!(
            all.text(),
            "# HELP x_total Rows,\\nby \\\\ source\n# TYPE x_total counter\n\
             x_total{source=\"a\\\"b\\\\c\\nd\",outcome=\"sent\"} 3\nx_total 0.5\n\
             x_total_bucket{le=\"+Inf\"} 1000000000000000\n"
        );
    }
}
