//! Up to where a source was read: the value of its cursor, and the key that tells rows of one value apart.
//!
//! Values are kept as the source's database has them, because only that knows their order; here they
//! are only moved back by a while, and known to lie in the future. Knows no database.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span};

use crate::clock::Time;

/// A value of a cursor or a key, of the type it has where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum CursorValue {
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Text, or what is written as text: a moment, a date, a decimal number.
    Text(String),
}

/// The last row that was read: everything up to it has an outcome, or will be read again.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// What its cursor says.
    pub value: CursorValue,
    /// What tells it from others of that value.
    pub key: CursorValue,
}

/// Above these a whole number counts milliseconds, or microseconds, and not seconds since 1970.
const MILLIS: u64 = 100_000_000_000;
const MICROS: u64 = 100_000_000_000_000;
/// Clocks of other machines are off, and a moment without an offset may be that of any zone.
const AHEAD: Duration = Duration::from_hours(26);

impl CursorValue {
    /// The value that lies this much earlier; `None` where it is neither a moment nor a number. A number is
    /// taken for seconds since 1970, a very large one for milliseconds or microseconds.
    #[must_use]
    pub fn back(&self, by: Duration) -> Option<Self> {
        if by.is_zero() {
            return Some(self.clone());
        }
        match self {
            Self::Integer(number) => Some(Self::Integer(number_back(*number, by))),
            Self::Real(number) => Some(Self::Real(real_back(*number, by))),
            Self::Text(text) => text_back(text, by).map(Self::Text),
        }
    }

    /// Whether it is a moment that has not come yet, wherever it was written: rows that come in between
    /// would lie before it.
    #[must_use]
    pub fn lies_ahead_of(&self, now: Time) -> bool {
        let Self::Text(text) = self else { return false };
        let Some(parts) = Parts::of(text) else { return text == "infinity" };
        let Ok(limit) = jiff::Timestamp::from_microsecond(now.plus(AHEAD).as_micros()) else { return false };
        parts.moment > limit.to_zoned(jiff::tz::TimeZone::UTC).datetime()
    }
}

fn number_back(number: i64, by: Duration) -> i64 {
    let by = match number.unsigned_abs() {
        ..MILLIS => by.as_secs() + u64::from(by.subsec_nanos() > 0),
        MILLIS..MICROS => u64::try_from(by.as_millis()).unwrap_or(u64::MAX),
        MICROS.. => u64::try_from(by.as_micros()).unwrap_or(u64::MAX),
    };
    number.saturating_sub_unsigned(by)
}

#[expect(clippy::cast_precision_loss, reason = "a window need not be exact to the last bit")]
fn real_back(number: f64, by: Duration) -> f64 {
    match number.abs() {
        size if size < MILLIS as f64 => number - by.as_secs_f64(),
        size if size < MICROS as f64 => number - by.as_secs_f64() * 1e3,
        _ => number - by.as_secs_f64() * 1e6,
    }
}

/// The same spelling with an earlier moment, so that it compares with others of its kind as text too.
fn text_back(text: &str, by: Duration) -> Option<String> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number_back(number, by).to_string());
    }
    if let Some((whole, fraction)) = text.split_once('.')
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = whole.parse::<i64>()
    {
        return Some(format!("{}.{fraction}", number_back(number, by)));
    }
    let parts = Parts::of(text)?;
    if parts.time.is_empty() {
        let days = i64::try_from(by.as_secs().div_ceil(86_400)).ok()?;
        let date = parts.moment.date().checked_sub(Span::new().try_days(days).ok()?).ok()?;
        return Some(date.to_string());
    }
    let earlier = parts.moment.checked_sub(SignedDuration::try_from(by).ok()?).ok()?;
    let (date, digits) = (earlier.date(), parts.fraction.len());
    let (hour, minute, second) = (earlier.hour(), earlier.minute(), earlier.second());
    let seconds = if parts.time.len() > "00:00".len() { format!(":{second:02}") } else { String::new() };
    let nanos = format!(".{:09}", earlier.subsec_nanosecond());
    let fraction = if digits > 0 { &nanos[..=digits] } else { "" };
    Some(format!("{date}{}{hour:02}:{minute:02}{seconds}{fraction}{}", parts.between, parts.offset))
}

/// A moment as `2026-11-22T18:00:00.123+01:00` is written, or a date alone, taken apart.
struct Parts<'t> {
    moment: DateTime,
    /// What stands between date and time: `T` or a space.
    between: &'t str,
    /// `18:00` or `18:00:00`; nothing where there is only a date.
    time: &'t str,
    fraction: &'t str,
    /// `Z`, `+00`, `+01:00` or nothing.
    offset: &'t str,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Option<Self> {
        if !text.is_ascii() || text.len() < "2026-11-22".len() {
            return None;
        }
        let (date, rest) = text.split_at("2026-11-22".len());
        let date: Date = date.parse().ok()?;
        if rest.is_empty() {
            let moment = date.at(0, 0, 0, 0);
            return Some(Self { moment, between: "", time: "", fraction: "", offset: "" });
        }
        let (between, rest) = rest.split_at(1);
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(rest.len());
        let (clock, offset) = rest.split_at(end);
        let (time, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let is_offset = offset.is_empty()
            || offset == "Z"
            || (offset.starts_with(['+', '-'])
                && offset[1..].bytes().all(|b| b.is_ascii_digit() || b == b':'));
        let is_plain = matches!(between, "T" | " ") && matches!(time.len(), 5 | 8) && fraction.len() <= 9;
        if !is_offset || !is_plain || (time.len() == 5 && !fraction.is_empty()) {
            return None;
        }
        let moment = format!("{date}T{clock}").parse().ok()?;
        Some(Self { moment, between, time, fraction, offset })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back(text: &str, seconds: u64) -> Option<String> {
        match CursorValue::Text(text.to_owned()).back(Duration::from_secs(seconds))? {
            CursorValue::Text(text) => Some(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn moments_keep_their_spelling() {
        for (text, seconds, earlier) in [
            ("2026-11-22T18:00:00Z", 600, "2026-11-22T17:50:00Z"),
            ("2026-11-22 18:00:00.120+00", 1, "2026-11-22 17:59:59.120+00"),
            ("2026-01-01 00:00:00.000001", 60, "2025-12-31 23:59:00.000001"),
            ("2026-11-22T18:00+05:30", 60, "2026-11-22T17:59+05:30"),
            ("2026-11-22", 600, "2026-11-21"),
            ("2026-11-22", 90_000, "2026-11-20"),
            ("1732300000", 600, "1732299400"),
            ("1732300000000", 600, "1732299400000"),
            ("1732300000000000", 1, "1732299999000000"),
            ("1732300000.25", 600, "1732299400.25"),
            ("41", 600, "-559"),
        ] {
            assert_eq!(back(text, seconds).as_deref(), Some(earlier), "{text}");
        }
        assert_eq!(back("anything", 0).as_deref(), Some("anything"));
    }

    #[test]
    fn what_is_no_moment_cannot_be_moved() {
        for text in [
            "",
            "v17",
            "infinity",
            "2026-11-22 ",
            "2026-11-22x18:00:00",
            "2026-13-22",
            "22.11.2026",
            "2026-11-22T18:00:00 CET",
            "2026-11-22T18:00.5",
            "é026-11-22",
        ] {
            assert_eq!(back(text, 1), None, "{text}");
        }
    }

    #[test]
    fn a_moment_that_has_not_come_is_known() {
        let now = Time::parse("2026-11-22T18:00:00Z").expect("a moment");
        let ahead = |text: &str| CursorValue::Text(text.to_owned()).lies_ahead_of(now);
        assert!(ahead("2026-11-24 00:00:00") && ahead("2099-01-01") && ahead("infinity"));
        assert!(!ahead("2026-11-22T18:00:01Z") && !ahead("2026-11-23 08:00:00+14") && !ahead("v17"));
        assert!(!CursorValue::Integer(i64::MAX).lies_ahead_of(now));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC*", seconds in any::<u64>()) {
            let _ = back(&text, seconds);
        }

        #[test]
        fn numbers_never_move_forward(number in any::<i64>(), seconds in any::<u64>()) {
            let back = CursorValue::Integer(number).back(Duration::from_secs(seconds));
            prop_assert!(matches!(back, Some(CursorValue::Integer(earlier)) if earlier <= number));
        }
    }
}
