//! Waiting for something to become true, and never longer than it takes.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(5);

/// Returns when the condition holds; panics with `what` where it does not within `limit`.
#[track_caller]
pub(crate) fn wait_until(limit: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(within(limit, condition), "waited {limit:?} in vain for {what}");
}

/// Whether the condition comes to hold within `limit`.
#[must_use]
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "other processes are waited for in real time")]
fn pause() {
    std::thread::sleep(PAUSE);
}
