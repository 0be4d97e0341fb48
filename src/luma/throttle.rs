//! Smooths requests inside one process. The quota over all processes is the database's affair.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// At most so many requests a second from this process.
#[derive(Debug)]
pub struct Throttle(DefaultDirectRateLimiter);

impl Throttle {
    /// A throttle that lets `per_second` requests go each second.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        Self(RateLimiter::direct(Quota::per_second(per_second)))
    }

    /// Whether one more request may go now; it counts as gone if so.
    #[must_use]
    pub fn try_now(&self) -> bool {
        self.0.check().is_ok()
    }

    /// Waits until one more request may go. Safe to drop at any time.
    pub async fn ready(&self) {
        self.0.until_ready().await;
    }
}
