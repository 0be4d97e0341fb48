//! The one place that reads the wall clock and sleeps.
//!
//! Time is an argument everywhere else, so that rules about time can be tested to the microsecond.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

/// A moment, in microseconds since 1970 (UTC): the resolution both databases keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// The moment this many microseconds after 1970 (UTC).
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 (UTC).
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This moment and `wait` more; the end of time where that would overflow.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment less `past`.
    #[must_use]
    pub fn minus(self, past: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(past.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero where it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads the fixed-width form that `Display` writes, and other ISO 8601 spellings with an offset.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_microsecond()))
    }

    /// The nearest moment that can be written down with four digits for the year and read back.
    #[must_use]
    pub fn writable(self) -> Self {
        Self(self.0.clamp(WRITABLE.0, WRITABLE.1))
    }

    /// The day in UTC, as `2026-11-22`.
    #[must_use]
    pub fn day(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

/// The first and the last moment that can be written with four digits for the year and read back:
/// `0000-01-01T00:00:00.000000Z` and `9999-12-30T21:59:59.999999Z`.
const WRITABLE: (i64, i64) = (-62_167_219_200_000_000, 253_402_207_199_999_999);

/// Always `2026-11-22T18:00:00.000000Z`: of one width, so that text compares as time does. What lies
/// beyond the writable moments is written as the nearest of them.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_microsecond(self.writable().0).map_err(|_| fmt::Error)?;
        write!(f, "{time:.6}")
    }
}

/// Where the present comes from: the system, or a test's hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(watch::Sender<i64>),
}

impl Clock {
    /// The wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until `advance` moves it; its clones move together.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self(Source::Manual(watch::Sender::new(start.0)))
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => wall_clock(),
            Source::Manual(now) => Time(*now.borrow()),
        }
    }

    /// Moves a manual clock; the system's clock does not obey.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.send_modify(|now| *now = Time(*now).plus(by).0);
        }
    }

    /// Waits until this clock has moved on by `wait`. Safe to drop at any time.
    pub async fn sleep(&self, wait: Duration) {
        match &self.0 {
            Source::System => sleep_really(wait).await,
            Source::Manual(now) => {
                let until = self.now().plus(wait).0;
                // The sender is `self`, so the channel cannot close while this waits.
                let _ = now.subscribe().wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Waits until this clock shows `until`.
    pub async fn sleep_until(&self, until: Time) {
        self.sleep(until.since(self.now())).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the file that owns sleeping")]
async fn sleep_really(wait: Duration) {
    tokio::time::sleep(wait).await;
}

#[expect(clippy::disallowed_methods, reason = "the file that owns the wall clock")]
fn wall_clock() -> Time {
    Time(jiff::Timestamp::now().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_of_one_width_and_comes_back_to_the_microsecond() {
        for micros in [0, 1, 999_999, 1_795_000_000_123_456] {
            let time = Time::from_micros(micros);
            assert_eq!(time.to_string().len(), 27);
            assert_eq!(Time::parse(&time.to_string()), Some(time));
        }
        for (end, micros) in [(WRITABLE.0, i64::MIN), (WRITABLE.1, i64::MAX)] {
            let text = Time::from_micros(micros).to_string();
            assert_eq!((text.len(), Time::parse(&text)), (27, Some(Time::from_micros(end))));
        }
        assert_eq!(Time::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Time::from_micros(0).day(), "1970-01-01");
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers() {
        let clock = Clock::manual(Time::from_micros(0));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Time::from_micros(5_000_000)).await }
        });
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(6));
        sleeper.await.expect("woken");
    }
}
