//! How many requests the key may still make: a sliding-window log, and the block after an overrun.
//!
//! Knows nothing of HTTP but the numbers its headers carry.

use std::collections::VecDeque;
use std::time::Duration;

use super::Limit;
use crate::clock::Time;

pub(super) struct Quota {
    limit: Option<Limit>,
    admitted: VecDeque<Time>,
    blocked_until: Option<Time>,
    seen: VecDeque<Time>,
    peak: usize,
    /// Whether a request during a block begins it anew.
    pub(super) grows: bool,
    /// Whether windows follow each other, instead of ending with every request.
    pub(super) is_fixed: bool,
}

/// What the `X-RateLimit-*` headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// When the oldest request leaves the window or ends it, or when the block ends.
    pub(super) reset: Time,
}

impl Quota {
    pub(super) const fn new(limit: Option<Limit>) -> Self {
        Self {
            limit,
            admitted: VecDeque::new(),
            blocked_until: None,
            seen: VecDeque::new(),
            peak: 0,
            grows: false,
            is_fixed: false,
        }
    }

    /// Whether a request that arrives now is let through. Refused ones extend a block only where that is wished.
    pub(super) fn admit(&mut self, now: Time) -> bool {
        let terms = self.terms();
        self.seen.push_back(now);
        forget(&mut self.seen, now, terms.window);
        self.end_window(now, terms.window);
        self.peak = self.peak.max(self.seen.len());
        if self.blocked_until.is_some_and(|until| now < until) {
            if self.grows {
                self.block(now);
            }
            return false;
        }
        self.blocked_until = None;
        if self.limit.is_some() && self.admitted.len() >= terms.requests as usize {
            self.block(now);
            return false;
        }
        self.admitted.push_back(now);
        true
    }

    /// Refuses everything for the length of a block.
    pub(super) fn block(&mut self, now: Time) {
        self.blocked_until = Some(now.plus(self.terms().block));
    }

    /// How long a refused caller has to wait, in whole seconds.
    pub(super) fn retry_after(&self, now: Time) -> u128 {
        self.blocked_until.map_or(0, |until| until.since(now).as_micros().div_ceil(1_000_000))
    }

    /// What the headers say; nothing where there is no limit.
    pub(super) fn standing(&self, now: Time) -> Option<Standing> {
        let Limit { requests, window, .. } = self.limit?;
        let used = u32::try_from(self.admitted.len()).unwrap_or(u32::MAX);
        let (remaining, reset) = match self.blocked_until {
            Some(until) => (0, until),
            None => (
                requests.saturating_sub(used),
                self.admitted.front().map_or(now, |oldest| oldest.plus(window)),
            ),
        };
        Some(Standing { limit: requests, remaining, reset })
    }

    /// The most requests, refused ones too, that any window has held.
    pub(super) const fn peak(&self) -> usize {
        self.peak
    }

    /// Forgets what does not count any more: what is older than a window, or all of a window that is over.
    fn end_window(&mut self, now: Time, window: Duration) {
        if self.is_fixed && self.admitted.front().is_some_and(|first| first.plus(window) <= now) {
            self.admitted.clear();
        }
        forget(&mut self.admitted, now, window);
    }

    /// The usual terms measure the peak and a provoked block where there is no limit.
    fn terms(&self) -> Limit {
        self.limit.unwrap_or_default()
    }
}

fn forget(log: &mut VecDeque<Time>, now: Time, window: Duration) {
    while log.front().is_some_and(|oldest| oldest.plus(window) <= now) {
        log.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_000_000_000;

    fn limit(requests: u32, window: u64, block: u64) -> Limit {
        Limit { requests, window: Duration::from_secs(window), block: Duration::from_secs(block) }
    }

    fn at(seconds: f64) -> Time {
        Time::from_micros(START).plus(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn the_window_slides() {
        let mut quota = Quota::new(Some(limit(2, 60, 60)));
        assert!(quota.admit(at(0.0)));
        assert!(quota.admit(at(30.0)));
        assert!(quota.admit(at(60.0)), "the first has left");
        assert!(!quota.admit(at(89.0)), "two are still in");
    }

    #[test]
    fn an_overrun_blocks_once_and_is_not_extended() {
        let mut quota = Quota::new(Some(limit(1, 10, 60)));
        assert!(quota.admit(at(0.0)));
        assert!(!quota.admit(at(0.5)));
        assert_eq!(quota.retry_after(at(0.5)), 60);
        assert!(!quota.admit(at(40.0)), "blocked although the window is empty");
        assert_eq!(quota.retry_after(at(40.0)), 21, "20.5 seconds, rounded up");
        assert!(!quota.admit(at(60.4)));
        assert!(quota.admit(at(60.5)));
    }

    #[test]
    fn a_fixed_window_is_over_as_a_whole() {
        for (is_fixed, passed) in [(true, 2), (false, 1)] {
            let mut quota = Quota::new(Some(limit(2, 10, 5)));
            quota.is_fixed = is_fixed;
            assert!(quota.admit(at(0.0)) && quota.admit(at(9.0)));
            assert_eq!(quota.standing(at(9.0)), Some(Standing { limit: 2, remaining: 0, reset: at(10.0) }));
            let after = [quota.admit(at(10.0)), quota.admit(at(10.5))];
            assert_eq!(after.iter().filter(|passed| **passed).count(), passed, "{is_fixed}");
        }
    }

    #[test]
    fn a_block_that_grows_ends_a_block_after_the_last_request() {
        let mut quota = Quota::new(Some(limit(1, 10, 60)));
        quota.grows = true;
        assert!(quota.admit(at(0.0)) && !quota.admit(at(0.5)) && !quota.admit(at(40.0)));
        assert_eq!(quota.retry_after(at(40.0)), 60);
        assert!(!quota.admit(at(99.0)));
        assert!(quota.admit(at(159.0)));
    }

    #[test]
    fn the_headers_count_down_to_the_moment_that_frees_a_request() {
        let mut quota = Quota::new(Some(limit(2, 60, 90)));
        assert_eq!(quota.standing(at(0.0)), Some(Standing { limit: 2, remaining: 2, reset: at(0.0) }));
        quota.admit(at(0.2));
        quota.admit(at(20.0));
        assert_eq!(quota.standing(at(20.0)), Some(Standing { limit: 2, remaining: 0, reset: at(60.2) }));
        quota.admit(at(21.0));
        assert_eq!(quota.standing(at(21.0)), Some(Standing { limit: 2, remaining: 0, reset: at(111.0) }));
    }

    #[test]
    fn without_a_limit_all_pass_until_somebody_blocks_them() {
        let mut quota = Quota::new(None);
        assert!((0..1_000).all(|_| quota.admit(at(1.0))));
        assert_eq!((quota.standing(at(1.0)), quota.peak()), (None, 1_000));
        quota.block(at(1.0));
        assert!(!quota.admit(at(60.0)));
        assert!(quota.admit(at(61.0)));
    }

    proptest! {
        #[test]
        fn no_window_ever_admits_more_than_the_limit(
            gaps in prop::collection::vec(0..20_u32, 1..300),
            requests in 1..8_u32,
        ) {
            let mut quota = Quota::new(Some(limit(requests, 30, 5)));
            let mut now = 0.0;
            let mut passed = Vec::new();
            for gap in gaps {
                now += f64::from(gap) / 2.0;
                if quota.admit(at(now)) {
                    passed.push(now);
                }
            }
            for first in &passed {
                let held = passed.iter().filter(|at| (*first..*first + 30.0).contains(*at)).count();
                prop_assert!(held <= requests as usize);
            }
            prop_assert!(!passed.is_empty());
        }
    }
}
