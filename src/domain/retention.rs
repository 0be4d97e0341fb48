//! How long what has ended is kept. Knows no tables and no files.

use std::time::Duration;

use crate::clock::Time;

/// How long what has ended is kept; what has no span is kept for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Requests and their answers.
    pub attempts: Option<Duration>,
    /// Rows of runs of which nothing can be retried.
    pub rows: Option<Duration>,
    /// Archived files of such runs, with their result files.
    pub archive: Option<Duration>,
}

impl Retention {
    /// The shortest span: whatever counts requests looks back less far.
    pub const LEAST: Duration = Duration::from_hours(24);

    /// The moments before which what has ended goes; a request no sooner than two windows of the quota after
    /// its answer.
    #[must_use]
    pub fn before(self, now: Time, window: Duration) -> Before {
        let before = |span: Option<Duration>| span.map(|span| now.minus(span.max(Self::LEAST)));
        let attempts = before(self.attempts).map(|before| before.min(now.minus(window.saturating_mul(2))));
        Before { attempts, rows: before(self.rows), archive: before(self.archive) }
    }
}

/// What ended before these moments goes; nothing where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Requests.
    pub attempts: Option<Time>,
    /// Rows.
    pub rows: Option<Time>,
    /// Archived files.
    pub archive: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_goes_that_a_window_may_count() {
        let (hour, now) = (Duration::from_hours(1), Time::from_micros(1_795_370_400_000_000));
        let span = |attempts| Retention { attempts, ..Retention::default() };
        assert_eq!(span(None).before(now, hour), Before::default());
        let before = |attempts, window| span(Some(attempts)).before(now, window).attempts;
        assert_eq!(before(hour * 48, hour), Some(now.minus(hour * 48)));
        assert_eq!(before(hour, hour), Some(now.minus(Retention::LEAST)));
        assert_eq!(before(hour * 24, hour * 20), Some(now.minus(hour * 40)));
    }
}
