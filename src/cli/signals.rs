//! SIGINT and SIGTERM: the first asks to finish, the second or the end of patience gives up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use crate::clock::Clock;
use crate::engine::{Stop, Stopper};

/// What has been heard.
#[derive(Clone, Debug)]
pub(super) struct Signals(Arc<AtomicU8>);

const INTERRUPT: u8 = 1;
const TERMINATE: u8 = 2;

impl Signals {
    /// Listens from now on. What is in flight is given `grace` after the first signal.
    pub(super) fn listen(grace: Duration, clock: Clock) -> anyhow::Result<(Self, Stop)> {
        let (stopper, stop) = Stopper::new();
        let heard = Self(Arc::default());
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let first = heard.clone();
        tokio::spawn(async move {
            let which = tokio::select! {
                _ = interrupt.recv() => INTERRUPT,
                _ = terminate.recv() => TERMINATE,
            };
            first.0.store(which, Ordering::Relaxed);
            tracing::info!("stopping: what is in flight may end, nothing new is begun");
            stopper.finish();
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = clock.sleep(grace) => {}
            }
            stopper.abort();
            // Kept for as long as there are listeners.
            std::future::pending::<()>().await;
        });
        Ok((heard, stop))
    }

    /// The exit code that a signal asks for, if one was heard.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.0.load(Ordering::Relaxed) {
            INTERRUPT => Some(Exit::Interrupted),
            TERMINATE => Some(Exit::Terminated),
            _ => None,
        }
    }
}
