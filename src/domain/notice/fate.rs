//! What follows from a receiver's answer: done, told once more later, or given up.

use std::time::Duration;

use crate::domain::retry::RetryPolicy;

/// How a receiver that does not answer well is tried again. Time ends that, not a number of attempts.
pub const BACKOFF: RetryPolicy = RetryPolicy {
    max_attempts: u32::MAX,
    initial_backoff: Duration::from_secs(1),
    max_backoff: Duration::from_mins(10),
};

/// What is so old is told to nobody any more.
pub const GIVEN_UP_AFTER: Duration = Duration::from_hours(7 * 24);

/// No receiver can ask for more patience.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The status; none where nothing came back in time.
    pub status: Option<u16>,
    /// How long to wait, where the receiver says so.
    pub retry_after: Option<Duration>,
}

/// What becomes of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The receiver has it.
    Delivered,
    /// It is posted again after this wait, and nothing else before.
    Later(Duration),
    /// It is not posted again.
    GivenUp,
}

impl Fate {
    /// What follows from an answer that is the `faults`th in a row to go wrong, if it does, for a notice of this
    /// age; `jitter` is in `0.0..1.0`.
    #[must_use]
    pub fn of(heard: Heard, faults: u32, age: Duration, jitter: f64) -> Self {
        match heard.status {
            Some(200..=299) => Self::Delivered,
            // Gone for good; or it is this very notice that the receiver will not have, now or later.
            Some(400 | 410 | 413 | 415 | 422) => Self::GivenUp,
            _ if age >= GIVEN_UP_AFTER => Self::GivenUp,
            _ => {
                let asked = heard.retry_after.map(|asked| asked.min(LONGEST_WAIT));
                Self::Later(BACKOFF.backoff(faults, jitter, asked))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(status: Option<u16>, asked: Option<u64>, faults: u32, age: Duration) -> Fate {
        let heard = Heard { status, retry_after: asked.map(Duration::from_secs) };
        Fate::of(heard, faults, age, 1.0)
    }

    #[test]
    fn answers_are_told_apart() {
        let later = |seconds| Fate::Later(Duration::from_secs(seconds));
        for (status, asked, faults, expected) in [
            (Some(200), None, 1, Fate::Delivered),
            (Some(204), Some(9), 1, Fate::Delivered),
            (Some(410), Some(9), 1, Fate::GivenUp),
            (Some(400), None, 1, Fate::GivenUp),
            (Some(500), None, 1, later(1)),
            (Some(500), None, 4, later(8)),
            (Some(500), None, 40, later(600)),
            (Some(429), Some(30), 1, later(30)),
            (Some(503), Some(30), 9, later(256)),
            (Some(429), Some(9_000_000), 1, later(3_600)),
            // Somebody may mend the address, or the receiver's keys.
            (Some(404), None, 1, later(1)),
            (Some(401), None, 1, later(1)),
            (Some(301), None, 1, later(1)),
            (None, None, 2, later(2)),
        ] {
            assert_eq!(
                fate(status, asked, faults, Duration::ZERO),
                expected,
                "{status:?} {asked:?} {faults}"
            );
        }
    }

    #[test]
    fn what_is_too_old_is_given_up_unless_it_is_taken() {
        assert_eq!(fate(Some(500), Some(30), 1, GIVEN_UP_AFTER), Fate::GivenUp);
        assert_eq!(fate(None, None, 1, GIVEN_UP_AFTER), Fate::GivenUp);
        assert_eq!(fate(Some(200), None, 1, GIVEN_UP_AFTER), Fate::Delivered);
        assert!(matches!(fate(Some(500), None, 1, GIVEN_UP_AFTER / 8 * 7), Fate::Later(_)));
    }
}
