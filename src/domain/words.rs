//! Numbers, spans and moments as people read them, at the command line and on pages.

use std::time::Duration;

use crate::clock::Time;

/// `1 request`, `2 requests`.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A span, no finer than anybody wants to know.
#[must_use]
pub fn span(time: Duration) -> String {
    let secs = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    match secs {
        0..=99 => format!("{secs} s"),
        100..=5_999 => format!("{} min", secs.div_ceil(60)),
        _ => format!("{} h", secs.div_ceil(3_600)),
    }
}

/// Bytes, no finer than anybody wants to know.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut left, mut unit) = (bytes, 0);
    while left >= 10_000 && unit + 1 < UNITS.len() {
        // Rounded up: nothing is called smaller than it is.
        left = left.div_ceil(1 << 10);
        unit += 1;
    }
    if bytes == 1 { "1 byte".to_owned() } else { format!("{left} {}", UNITS[unit]) }
}

/// A moment to the second.
#[must_use]
pub fn moment(time: Time) -> String {
    let text: String = time.to_string().chars().take(19).collect();
    format!("{} UTC", text.replace('T', " "))
}

/// The time of day to the second.
#[must_use]
pub fn time_of_day(time: Time) -> String {
    moment(time).chars().skip(11).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_one() {
        assert_eq!((count(1, "request").as_str(), count(0, "row").as_str()), ("1 request", "0 rows"));
    }

    #[test]
    fn sizes_are_as_fine_as_people_need_them() {
        let sizes = [0, 1, 9_999, 10_000, 200 << 20, u64::MAX].map(size);
        assert_eq!(sizes, ["0 bytes", "1 byte", "9999 bytes", "10 KiB", "200 MiB", "16777216 TiB"]);
    }

    #[test]
    fn times_are_as_fine_as_people_need_them() {
        let spans = [1_400, 1_500, 59_000, 600_000, 7_200_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["1 s", "2 s", "59 s", "10 min", "2 h"]);
        let time = Time::parse("2026-11-22T18:00:05.123456Z").expect("a time");
        assert_eq!(
            (moment(time).as_str(), time_of_day(time).as_str()),
            ("2026-11-22 18:00:05 UTC", "18:00:05 UTC")
        );
    }
}
