//! What systemd is told: that the service is ready, lives, and ends. Where no systemd asks, nothing is said.
//!
//! To live means that this process still gets round to things. A database or a Luma that is away is waited for, and
//! is no reason to be started anew.

use std::convert::Infallible;
use std::pin::pin;

use sd_notify::NotifyState;

use crate::clock::Clock;
use crate::engine::Stop;

/// Does `work`, and says that it has begun, every so often that it goes on, and that it ends: as soon as it is to
/// stop, or else when it is done.
pub(super) async fn accompany<T>(clock: &Clock, stop: &Stop, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    say(&[NotifyState::Ready, NotifyState::Status("taking in and sending")]);
    let done = tokio::select! {
        never = live(clock) => match never {},
        () = stop.requested() => None,
        done = &mut work => Some(done),
    };
    say(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
    if let Some(done) = done {
        return done;
    }
    tokio::select! {
        never = live(clock) => match never {},
        done = work => done,
    }
}

/// Says that this process lives, as often as it is asked for.
async fn live(clock: &Clock) -> Infallible {
    let Some(patience) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        say(&[NotifyState::Watchdog]);
        clock.sleep(patience / 3).await;
    }
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
