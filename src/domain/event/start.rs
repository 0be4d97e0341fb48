//! When an event begins: a moment with an offset, or a local time in a zone that says which moment it is.
//!
//! Zones are those built in: the same row means the same moment on every machine.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::clock::Time;

/// Why a text is no moment; reads on after the value.
pub(super) type Wrong = String;

const HOW: &str = "write it like `2026-12-03T18:00:00Z` or `2026-12-03T19:00:00+01:00`";

/// Whether this is the name of a zone.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    zone(name).is_ok()
}

/// The zone of this name.
pub(super) fn zone(name: &str) -> Result<TimeZone, Wrong> {
    let known = TimeZone::get(name).ok().filter(|_| name.contains('/') || name.eq_ignore_ascii_case("utc"));
    known.ok_or_else(|| "is no zone: write its IANA name, like `Europe/Paris`".to_owned())
}

/// The moment that a text means, in a zone where it has no offset of its own.
pub(super) fn moment(text: &str, zone: Option<&TimeZone>) -> Result<Time, Wrong> {
    // A date alone would be midnight, which nobody meant.
    if !text.contains(':') {
        return Err(format!("is no date with a time: {HOW}"));
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return whole_millis(moment);
    }
    let Ok(local) = text.parse::<DateTime>() else {
        return Err(format!("is no date with a time: {HOW}"));
    };
    let Some(zone) = zone else {
        return Err(format!(
            "has no offset: {HOW}, or name its zone in `timezone` or in `events.default_timezone`"
        ));
    };
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => {
            let moment = ambiguous.unambiguous().map_err(|_| format!("is no moment: {HOW}"))?;
            whole_millis(moment)
        }
        AmbiguousOffset::Gap { .. } => {
            Err("does not exist in its zone, where clocks go forward then: write another".to_owned())
        }
        AmbiguousOffset::Fold { before, after } => Err(format!(
            "happens twice in its zone, where clocks go back then: write it with the offset `{before}` or `{after}`"
        )),
    }
}

/// Luma keeps milliseconds.
fn whole_millis(moment: jiff::Timestamp) -> Result<Time, Wrong> {
    let millis = moment.as_millisecond();
    let is_sane = (0..=253_402_300_799_999).contains(&millis);
    is_sane.then(|| Time::from_micros(millis * 1_000)).ok_or_else(|| format!("is no year of ours: {HOW}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, name: Option<&str>) -> Result<String, String> {
        let zone = name.map(|name| zone(name).expect("a zone"));
        moment(text, zone.as_ref()).map(|time| time.to_string())
    }

    #[test]
    fn offsets_and_zones_say_which_moment_is_meant() {
        let six = "2026-12-03T18:00:00.000000Z";
        for text in [
            "2026-12-03T18:00:00Z",
            "2026-12-03T18:00Z",
            "2026-12-03T18:00:00.000999Z",
            "2026-12-03 18:00:00Z",
            "2026-12-03T19:00:00+01:00",
            "2026-12-03T12:30:00-05:30",
        ] {
            assert_eq!(read(text, None), Ok(six.into()), "{text}");
        }
        for text in ["2026-12-03T19:00:00", "2026-12-03 19:00", "2026-12-03T18:00:00Z"] {
            assert_eq!(read(text, Some("Europe/Paris")), Ok(six.into()), "{text}");
        }
        assert_eq!(read("2026-06-03T20:00", Some("europe/paris")), Ok("2026-06-03T18:00:00.000000Z".into()));
    }

    #[test]
    fn what_is_no_single_moment_is_refused() {
        for (text, why) in [
            ("2026-12-03T19:00:00", "has no offset"),
            ("2026-12-03", "is no date with a time"),
            ("tomorrow 18:00", "is no date with a time"),
            ("2026-02-30T18:00:00Z", "is no date with a time"),
            ("1926-02-03T18:00:00Z", "is no year of ours"),
        ] {
            let said = read(text, None).expect_err(text);
            assert!(said.starts_with(why), "{text}: {said}");
        }
        let gap = read("2026-03-29T02:30", Some("Europe/Paris")).expect_err("a gap");
        assert!(gap.starts_with("does not exist"), "{gap}");
        let fold = read("2026-10-25T02:30", Some("Europe/Paris")).expect_err("a fold");
        assert!(fold.contains("`+02` or `+01`"), "{fold}");
    }

    #[test]
    fn zones_are_known_without_the_system() {
        assert!(is_zone("America/New_York") && is_zone("UTC"));
        for name in ["Mars/Olympus", "", "CET+1", "Paris"] {
            assert!(!is_zone(name), "{name}");
        }
    }
}
