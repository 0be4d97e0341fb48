//! How durations and sizes are written: `30s`, `1h30m`, `64KiB`.
//!
//! Pure text; knows no keys and no files.

use std::time::Duration;

/// What is wrong with one value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Follows the key: `is "x", which ..`.
    pub(super) message: String,
    pub(super) hint: String,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// Units of time, from large to small, in milliseconds.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Ten years: what is longer is a slip, and sums with it could overflow.
const LONGEST: u64 = 3650 * TIMES[0].1;

/// Units of size. Powers of two come last: `size_text` looks for the largest from behind.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads `250ms`, `30s`, `5m`, `24h`, `90d` and sums of them from large to small: `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let is = || format!("is `{}`", shown(text));
    let mut rest = text.trim();
    if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::new(format!("{}, a number without a unit", is()), format!("write `{rest}s`")));
    }
    let wrong = || {
        Wrong::new(format!("{}, which is no duration", is()), "write it like `250ms`, `30s`, `5m` or `1h30m`")
    };
    let mut units = TIMES.iter();
    let mut millis = 0_u64;
    loop {
        let (number, after) = split_number(rest).ok_or_else(wrong)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        // Going on in the same iterator is what keeps units in order and single.
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        millis = number.checked_mul(*factor).and_then(|part| millis.checked_add(part)).ok_or_else(wrong)?;
        rest = after;
        if millis > LONGEST {
            return Err(Wrong::new(format!("{}, which is too long", is()), "write `3650d` or less"));
        }
        if rest.is_empty() {
            return Ok(Duration::from_millis(millis));
        }
    }
}

/// Writes whole milliseconds the way `duration` reads them.
pub(super) fn duration_text(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let parts = TIMES.iter().map(|(unit, factor)| {
        let number = left / factor;
        left %= factor;
        if number == 0 { String::new() } else { format!("{number}{unit}") }
    });
    let text: String = parts.collect();
    if text.is_empty() { "0s".into() } else { text }
}

/// Reads `500`, `500B`, `64KiB`, `1MiB`, `2GiB`, and `1MB` for a million.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let wrong = || {
        let message = format!("is `{}`, which is no size", shown(text));
        Wrong::new(message, "write it like `500B`, `64KiB`, `1MiB` or `2GiB`")
    };
    let (number, unit) = split_number(text.trim()).ok_or_else(wrong)?;
    let unit = if unit.is_empty() { "B" } else { unit.trim_start() };
    let (_, factor) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
    number.checked_mul(*factor).ok_or_else(wrong)
}

/// Writes bytes the way `size` reads them.
pub(super) fn size_text(bytes: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*factor);
    let (unit, factor) = SIZES.iter().rev().find(fits).copied().unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// A value as a message may show it: short and on one line.
pub(super) fn shown(text: &str) -> String {
    let mut plain = text.chars().filter(|c| !c.is_control());
    let mut shown: String = plain.by_ref().take(40).collect();
    if plain.next().is_some() {
        shown.push('…');
    }
    shown
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("90d"), Ok(Duration::from_hours(90 * 24)));
    }

    #[test]
    fn a_bare_number_is_told_its_unit() {
        assert_eq!(duration("45").unwrap_err().hint, "write `45s`");
    }

    #[test]
    fn other_spellings_of_durations_are_refused() {
        for text in
            ["", "s", "1.5h", "30m1h", "1s1s", "5M", "10 s", "-3s", "99999999999999d", "1h30", "3651d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("500", 500), ("500B", 500), ("64 KiB", 65_536), ("1mib", 1 << 20), ("1MB", 1_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "1TiB", "-1", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_come_back_from_their_text(millis in 0..=LONGEST) {
            let whole = Duration::from_millis(millis);
            prop_assert_eq!(duration(&duration_text(whole)), Ok(whole));
        }

        #[test]
        fn sizes_come_back_from_their_text(bytes in 0_u64..=u64::MAX, shift in 0_u32..64) {
            // Low bits cleared, so that large units are met as well.
            let bytes = (bytes >> shift) << shift;
            prop_assert_eq!(size(&size_text(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_breaks_the_readers(text in "\\PC*") {
            // What is read must be writable again; what is not must say so.
            if let Ok(read) = duration(&text) {
                prop_assert_eq!(duration(&duration_text(read)), Ok(read));
            }
            if let Ok(read) = size(&text) {
                prop_assert_eq!(size(&size_text(read)), Ok(read));
            }
        }
    }
}
