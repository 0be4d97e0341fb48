//! What is expected of a source, and whether it holds: a list that stays away or shrinks is a sign that
//! something broke before it came to us.
//!
//! Knows neither how a source is taken in nor who is told.

use std::time::Duration;

use super::state::text_enum;
use crate::clock::Time;

/// What a person expects of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// No longer than this lies between two passes.
    pub every: Option<Duration>,
    /// No pass reads fewer rows.
    pub min_rows: Option<u64>,
}

/// The last time a source was taken in to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// When.
    pub at: Time,
    /// Rows that were read.
    pub rows: u64,
}

text_enum! {
    /// Whether an expectation holds.
    Standing {
        /// It does.
        Met = "met",
        /// Nothing came for too long.
        Late = "late",
        /// The last pass read too few rows.
        Short = "short",
    }
}

impl Expectation {
    /// Whether it is met now, having been held since `since`. Silence comes before a short list.
    #[must_use]
    pub fn standing(&self, since: Time, last: Option<Pass>, now: Time) -> Standing {
        let heard = last.map_or(since, |pass| pass.at);
        if self.every.is_some_and(|every| now.since(heard) > every) {
            return Standing::Late;
        }
        match (self.min_rows, last) {
            (Some(wanted), Some(pass)) if pass.rows < wanted => Standing::Short,
            _ => Standing::Met,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_short_lists_are_told_apart() {
        let hour = Duration::from_hours(1);
        let start = Time::from_micros(0);
        let pass = |hours: u32, rows| Some(Pass { at: start.plus(hour * hours), rows });
        let whole = Expectation { every: Some(26 * hour), min_rows: Some(100) };
        for (expected, last, now, standing) in [
            (whole, None, 26, Standing::Met),
            (whole, None, 27, Standing::Late),
            (whole, pass(2, 100), 28, Standing::Met),
            (whole, pass(2, 100), 29, Standing::Late),
            (whole, pass(2, 99), 3, Standing::Short),
            (whole, pass(2, 99), 29, Standing::Late),
            // Of a clock that was ahead.
            (whole, pass(50, 100), 3, Standing::Met),
            (Expectation { every: None, ..whole }, pass(2, 100), 9_999, Standing::Met),
            (Expectation { every: None, ..whole }, None, 9_999, Standing::Met),
            (Expectation { min_rows: None, ..whole }, pass(2, 0), 3, Standing::Met),
        ] {
            assert_eq!(expected.standing(start, last, start.plus(hour * now)), standing, "{last:?} at {now}");
        }
    }
}
