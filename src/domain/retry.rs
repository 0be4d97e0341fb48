//! When a batch that met a passing fault is tried again.

use std::time::Duration;

/// How often and how patiently passing faults are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts before the rows are given up, the first one included.
    pub max_attempts: u32,
    /// The longest wait before the second attempt.
    pub initial_backoff: Duration,
    /// The longest wait there is.
    pub max_backoff: Duration,
}

impl RetryPolicy {
    /// The wait after the `attempts`th attempt failed: exponential with full jitter, which `jitter`
    /// in `0.0..1.0` decides. What the server asked for is a floor that nothing cuts short.
    #[must_use]
    pub fn backoff(&self, attempts: u32, jitter: f64, asked: Option<Duration>) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let ceiling = self.initial_backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        ceiling.mul_f64(jitter.clamp(0.0, 1.0)).max(asked.unwrap_or_default())
    }

    /// Whether `attempts` are all there may be.
    #[must_use]
    pub const fn is_exhausted(&self, attempts: u32) -> bool {
        attempts >= self.max_attempts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 8,
        initial_backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(5),
    };

    proptest! {
        #[test]
        fn a_backoff_stays_below_its_ceiling_and_never_below_what_was_asked(
            attempts in 0_u32..100, jitter in 0.0_f64..1.0, asked in prop::option::of(0_u64..4000)
        ) {
            let asked = asked.map(Duration::from_secs);
            let wait = POLICY.backoff(attempts, jitter, asked);
            prop_assert!(wait >= asked.unwrap_or_default());
            prop_assert!(wait <= POLICY.max_backoff.max(asked.unwrap_or_default()));
        }
    }

    #[test]
    fn ceilings_double_up_to_the_longest() {
        let ceilings: Vec<u64> = (1..=10).map(|n| POLICY.backoff(n, 1.0, None).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(!POLICY.is_exhausted(7));
        assert!(POLICY.is_exhausted(8));
    }
}
