//! What systemd is told: that the service is ready, lives, and ends. Where no systemd asks, nothing is said.
//!
//! To live means that this process still gets round to things. A database or a Luma that is away is waited for, and
//! is no reason to be started anew.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::Clock;
use crate::engine::Stop;

/// Says that work has begun, then every so often that it goes on, and at last that it ends. Never ends itself.
pub(super) async fn tell(clock: &Clock, stop: &Stop) -> std::convert::Infallible {
    say(&[NotifyState::Ready, NotifyState::Status("taking in and sending")]);
    let often = sd_notify::watchdog_enabled().map(|patience| patience / 3);
    while !stop.is_requested() {
        if often.is_some() {
            say(&[NotifyState::Watchdog]);
        }
        tokio::select! {
            () = pause(clock, often) => {}
            () = stop.requested() => {}
        }
    }
    say(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
    loop {
        pause(clock, often).await;
        say(&[NotifyState::Watchdog]);
    }
}

async fn pause(clock: &Clock, often: Option<Duration>) {
    match often {
        Some(often) => clock.sleep(often).await,
        None => std::future::pending().await,
    }
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
