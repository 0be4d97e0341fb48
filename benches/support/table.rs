//! Numbers as people read them.

/// What was measured of one thing: seconds and peak MiB, one of each a round.
pub(crate) struct Line {
    name: String,
    seconds: Vec<f64>,
    peaks: Vec<f64>,
}

impl Line {
    /// A line without numbers yet.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), seconds: Vec::new(), peaks: Vec::new() }
    }

    /// Adds a round.
    pub(crate) fn add(&mut self, seconds: f64, peak: f64) {
        self.seconds.push(seconds);
        self.peaks.push(peak);
    }

    /// The seconds of each round.
    pub(crate) fn seconds(&self) -> impl Iterator<Item = f64> {
        self.seconds.iter().copied()
    }

    /// The highest peak of all rounds.
    pub(crate) fn peak(&self) -> f64 {
        self.peaks.iter().copied().fold(0.0, f64::max)
    }

    /// As text: the middle round, the fastest and the slowest.
    fn text(&self, rows: f64) -> String {
        let name = &self.name;
        let middle = super::median(self.seconds());
        let least = self.seconds().fold(f64::INFINITY, f64::min);
        let most = self.seconds().fold(0.0, f64::max);
        let peak = self.peak();
        let speed = thousands(rows / middle);
        format!("{name:<42}{middle:>8.2}{least:>8.2}{most:>8.2}{speed:>12}{peak:>10.0}")
    }
}

/// The table for lines that all handled `rows` rows.
pub(crate) fn table<'a>(rows: f64, lines: impl IntoIterator<Item = &'a Line>) -> String {
    let mut text =
        format!("{:<42}{:>8}{:>8}{:>8}{:>12}{:>10}\n", "", "seconds", "least", "most", "rows/s", "peak MiB");
    for line in lines {
        text.push_str(&line.text(rows));
        text.push('\n');
    }
    text
}

/// One ratio, and what it is meant to be.
pub(crate) fn ratio(name: &str, value: f64, wanted: &str) -> String {
    format!("{name:<42}{value:>8.2}   wanted: {wanted}")
}

/// A whole number with its thousands apart.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
