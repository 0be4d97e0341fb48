//! Moments as the dialect spells them: read with an offset, written in UTC with milliseconds.
//!
//! Knows nothing of what happens then.

use std::time::Duration;

use jiff::{SpanRelativeTo, Unit};

use crate::clock::Time;

/// `2026-12-03T18:00Z`, `2026-12-03T18:00:00.5+01:00`: a real day, a real time, an offset.
pub(super) fn parse(text: &str) -> Option<Time> {
    let (date, time) = text.split_once('T')?;
    let digits = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(letter, shape)| match shape {
                b'0' => letter.is_ascii_digit(),
                other => letter == other,
            })
    };
    let zone_at = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(zone_at);
    let (seconds, fraction) = match time.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (time, None),
    };
    let has_seconds = digits(seconds, "00:00:00");
    let is_spelt = digits(date, "0000-00-00")
        && (has_seconds || digits(seconds, "00:00") && fraction.is_none())
        && fraction.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        && (zone == "Z" || digits(zone.get(1..)?, "00:00") && &zone[1..3] < "24" && &zone[4..6] < "60")
        && !seconds.ends_with(":60");
    let whole = if has_seconds { seconds.to_owned() } else { format!("{seconds}:00") };
    let fraction = fraction.map(|digits| format!(".{}", &digits[..digits.len().min(9)])).unwrap_or_default();
    is_spelt.then(|| Time::parse(&format!("{date}T{whole}{fraction}{zone}")))?
}

/// `2026-12-03T18:00:00.000Z`
pub(in super::super) fn write(at: Time) -> String {
    let text = at.to_string();
    format!("{}Z", text.get(..23).unwrap_or(&text))
}

/// `PT1H30M`
pub(super) fn write_length(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (hours, 0) => format!("PT{hours}H"),
        (0, minutes) => format!("PT{minutes}M"),
        (hours, minutes) => format!("PT{hours}H{minutes}M"),
    }
}

/// Whether this is an ISO duration of no more than a week.
pub(super) fn is_within_a_week(text: &str) -> bool {
    let Ok(span) = text.parse::<jiff::Span>() else { return false };
    let seconds = span.total((Unit::Second, SpanRelativeTo::days_are_24_hours()));
    text.starts_with('P') && seconds.is_ok_and(|seconds| (0.0..=7.0 * 86_400.0).contains(&seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_a_real_day_and_an_offset() {
        for (text, written) in [
            ("2026-12-03T18:00Z", "2026-12-03T18:00:00.000Z"),
            ("2026-12-03T18:00:30.25+01:30", "2026-12-03T16:30:30.250Z"),
            ("2028-02-29T00:00:00-05:00", "2028-02-29T05:00:00.000Z"),
            ("2026-12-03T18:00:00.1234567891234Z", "2026-12-03T18:00:00.123Z"),
        ] {
            assert_eq!(parse(text).map(write).as_deref(), Some(written), "{text}");
        }
        for text in [
            "",
            "soon",
            "2026-12-03",
            "2026-12-03T18:00:00",
            "2026-12-03T18Z",
            "2026-12-03 18:00:00Z",
            "2026-02-31T18:00:00Z",
            "2027-02-29T18:00:00Z",
            "2026-12-03T24:00:00Z",
            "2026-12-03T18:00:60Z",
            "2026-12-03T18:00:00.Z",
            "2026-12-03T18:00.5Z",
            "2026-12-03T18:00:00+0100",
            "2026-12-03T18:00:00+24:00",
            "2026-12-03T18:00:00Z[UTC]",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_week_is_the_longest_delay() {
        for (text, fits) in [
            ("PT0M", true),
            ("P7D", true),
            ("PT168H", true),
            ("P8D", false),
            ("P1M", false),
            ("-PT1M", false),
            ("1 day", false),
            ("week", false),
        ] {
            assert_eq!(is_within_a_week(text), fits, "{text}");
        }
        assert_eq!(write_length(Duration::from_mins(90)), "PT1H30M");
    }
}
