//! What an answer says of the calendar's allowance. Nobody has written down how Luma spells the moment it
//! starts anew, so every spelling is read, and what makes no sense is not believed.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::clock::Time;

/// What is left to everybody who uses the same calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a window.
    pub limit: Option<u32>,
    /// Those of them that are left.
    pub remaining: u32,
    /// When the window ends, or the block does.
    pub reset: Option<Time>,
}

/// No window of Luma's is this long: what lies further away is misread.
const FURTHEST: Duration = Duration::from_hours(24);

impl Quota {
    /// What the headers of an answer say, if they say how much is left.
    pub(super) fn of(headers: &HeaderMap, now: Time) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        Some(Self {
            remaining: count(text("x-ratelimit-remaining")?)?,
            limit: text("x-ratelimit-limit").and_then(count),
            reset: text("x-ratelimit-reset").and_then(|text| moment(text, now)),
        })
    }
}

/// `200`, also where more follows, as in `200, 200;w=60`.
fn count(text: &str) -> Option<u32> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    digits.parse().ok().filter(|_| rest.is_empty() || rest.starts_with([',', ';', ' ']))
}

/// Seconds or milliseconds since 1970, a date, or the seconds that are left.
fn moment(text: &str, now: Time) -> Option<Time> {
    let text = text.trim();
    let read = match text.parse::<f64>() {
        Ok(number) => of_number(number, now)?,
        Err(_) => Time::parse(text).or_else(|| of_http_date(text))?,
    };
    (read.since(now) <= FURTHEST && now.since(read) <= FURTHEST).then_some(read)
}

/// The size of a number tells its unit: since 1970 some 10^9 seconds have gone by.
fn of_number(number: f64, now: Time) -> Option<Time> {
    let after = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    let since_1970 = |seconds: f64| after(seconds).map(|wait| Time::from_micros(0).plus(wait));
    match number {
        0.0..1e8 => after(number).map(|wait| now.plus(wait)),
        1e8..1e11 => since_1970(number),
        1e11..1e14 => since_1970(number / 1e3),
        1e14..1e17 => since_1970(number / 1e6),
        _ => None,
    }
}

fn of_http_date(text: &str) -> Option<Time> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since_1970 = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Time::from_micros(i64::try_from(since_1970.as_micros()).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_is_left_is_read_and_nothing_is_made_up() {
        let now = Time::parse("2026-11-22T18:00:00Z").expect("a moment");
        let all =
            [("x-ratelimit-limit", "200"), ("x-ratelimit-remaining", "17"), ("x-ratelimit-reset", "30")];
        let reset = Some(now.plus(Duration::from_secs(30)));
        assert_eq!(Quota::of(&headers(&all), now), Some(Quota { limit: Some(200), remaining: 17, reset }));
        assert_eq!(
            Quota::of(
                &headers(&[("x-ratelimit-remaining", "0, 0;w=60"), ("x-ratelimit-reset", "soon")]),
                now
            ),
            Some(Quota { limit: None, remaining: 0, reset: None })
        );
        assert_eq!(Quota::of(&headers(&all[..1]), now), None);
        assert_eq!(Quota::of(&headers(&[("x-ratelimit-remaining", "-1")]), now), None);
        assert_eq!(Quota::of(&headers(&[("x-ratelimit-remaining", "1.5")]), now), None);
    }

    /// Any moment from 2020 to 2100, in microseconds.
    fn moments() -> impl Strategy<Value = i64> {
        1_577_836_800_000_000..4_102_444_800_000_000_i64
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_moment_means_the_same(now in moments(), left in 0..3_600_u32) {
            let now = Time::from_micros(now / 1_000_000 * 1_000_000);
            let reset = now.plus(Duration::from_secs(left.into()));
            let micros = reset.as_micros();
            for text in [
                (micros / 1_000_000).to_string(),
                format!("{}.0", micros / 1_000_000),
                (micros / 1_000).to_string(),
                micros.to_string(),
                reset.to_string(),
                left.to_string(),
            ] {
                let read = moment(&text, now).expect("read");
                // A float of so many digits is a little off.
                prop_assert!(read.since(reset).max(reset.since(read)) < Duration::from_millis(1), "{text}: {read}");
            }
        }

        #[test]
        fn whatever_is_said_nobody_waits_for_more_than_a_day(text in "\\PC{0,40}|-?[0-9]{1,20}(\\.[0-9]{1,3})?", now in moments()) {
            let now = Time::from_micros(now);
            if let Some(read) = moment(&text, now) {
                prop_assert!(read.since(now) <= FURTHEST && now.since(read) <= FURTHEST);
            }
        }
    }
}
