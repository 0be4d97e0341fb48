//! Everything one process does: an engine for each account, side by side under one heartbeat.
//!
//! Accounts share the database, the worker and what is done once a process. Whatever one of them meets,
//! a block or a refused key, holds up no other.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tracing::Instrument as _;

use super::error::chain;
use super::send::REFUSED_KEY_PAUSE;
use super::service::HOUSEKEEPING;
use super::{Engine, EngineError, Settings, Stop, Stopper, worker};
use crate::clock::Clock;
use crate::luma::{Client, Throttle};
use crate::store::Store;

/// What one account works with.
#[derive(Debug)]
pub struct Equipment {
    /// Its key.
    pub client: Client,
    /// Its name, tags and limits.
    pub settings: Settings,
    /// Its pace in this process.
    pub throttle: Throttle,
}

/// The engines of one process; there is at least one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fleet {
    first: Engine,
    others: Vec<Engine>,
}

impl Fleet {
    /// Enters this process as one worker, and an engine for each account.
    pub async fn start(
        store: &Store,
        clock: &Clock,
        first: Equipment,
        others: Vec<Equipment>,
        seed: u64,
    ) -> Result<Self, EngineError> {
        // Before the first row is read: one of an account that is not entered counts as a stray.
        for account in std::iter::once(&first).chain(&others) {
            store.enter_account(&account.settings.account).await?;
        }
        let worker_id = worker::enter(store, clock, first.settings.lease).await?;
        let engine = |Equipment { client, settings, throttle }, seed| {
            Engine::of_worker(worker_id, store.clone(), client, clock.clone(), settings, throttle, seed)
        };
        let others =
            others.into_iter().zip(1..).map(|(account, place)| engine(account, seed.wrapping_add(place)));
        let others = others.collect();
        Ok(Self { first: engine(first, seed), others })
    }

    /// The engine of each account.
    pub fn engines(&self) -> impl Iterator<Item = &Engine> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The engine that does what is done once a process.
    pub(super) const fn first(&self) -> &Engine {
        &self.first
    }

    pub(super) const fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Keeps the lease of this process alive in the background until aborted.
    #[must_use]
    pub fn spawn_keep_alive(&self, stop: &Stop) -> tokio::task::JoinHandle<()> {
        self.first.spawn_keep_alive(stop)
    }

    /// Ends this process as a worker; its claims, if any are left, are free at once.
    pub async fn end(&self) -> Result<(), EngineError> {
        self.first.end().await
    }

    /// Runs until told to stop: nothing new is begun then, and what is in flight ends. An account whose key
    /// is refused at the start is tried again later; where that is every account, it is an error.
    pub async fn serve(&self, stop: &Stop) -> Result<(), EngineError> {
        let (stopper, inner) = Stopper::new();
        let keep_alive = self.spawn_keep_alive(&inner);
        let roll = Roll { left: AtomicUsize::new(1 + self.others.len()), stopper };
        let accounts = join_all(self.engines().map(|engine| {
            Box::pin(engine.serve_account(&roll, &inner)).instrument(engine.span(self.has_others()))
        }));
        let window = self.engines().map(|engine| engine.settings.allowance.window).max().unwrap_or_default();
        let once = async {
            tokio::join!(
                self.first.tidy(&inner),
                self.keep_schedules(&inner),
                self.first.watch_expectations(&inner),
                self.first.keep_retention(window, &inner),
                self.keep_uploads_tidy(&inner)
            )
        };
        let work = async { tokio::join!(accounts, once).0 };
        let ends = tokio::select! {
            ends = work => ends,
            never = roll.pass_on(stop) => match never {},
        };
        keep_alive.abort();
        ends.into_iter().collect()
    }
}

/// The accounts that may still send. Once there is none, there is nothing to run for.
struct Roll {
    left: AtomicUsize,
    stopper: Stopper,
}

impl Roll {
    /// One less. Whether that was the last.
    fn strike(&self) -> bool {
        let was_last = self.left.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            self.stopper.finish();
        }
        was_last
    }

    fn restore(&self) {
        self.left.fetch_add(1, Ordering::AcqRel);
    }

    /// Passes on what this process is told from outside.
    async fn pass_on(&self, stop: &Stop) -> std::convert::Infallible {
        stop.requested().await;
        self.stopper.finish();
        stop.aborted().await;
        self.stopper.abort();
        std::future::pending().await
    }
}

impl Engine {
    /// What its log lines are marked with, where there are others.
    fn span(&self, has_others: bool) -> tracing::Span {
        if has_others {
            tracing::info_span!("for", account = %self.settings.account)
        } else {
            tracing::Span::none()
        }
    }

    /// One account of a service: rows are taken in whatever its key is like, and sent with a good one.
    async fn serve_account(&self, roll: &Roll, stop: &Stop) -> Result<(), EngineError> {
        let refusal = match self.check_identity(stop).await {
            Ok(_) => None,
            Err(EngineError::Stopped) => return Ok(()),
            Err(error) => {
                self.stand_still(&error).await;
                if roll.strike() {
                    return Err(error);
                }
                Some(error)
            }
        };
        let send = async {
            if let Some(refusal) = refusal {
                self.wait_for_key(refusal, stop).await;
                roll.restore();
            }
            tokio::join!(
                self.send_all(stop),
                self.send_all_events(stop),
                self.look_for_all(stop),
                self.prove_all(stop)
            );
        };
        tokio::join!(self.watch_folder(stop), self.watch_queue(stop), send);
        Ok(())
    }

    /// Asks again now and then, until the key is good or this process is told to stop.
    async fn wait_for_key(&self, mut refusal: EngineError, stop: &Stop) {
        let mut told = String::new();
        while !stop.is_requested() {
            let pause = if refusal.is_passing() { HOUSEKEEPING } else { REFUSED_KEY_PAUSE };
            let why = chain(&refusal);
            if told != why {
                let again_in = format!("{} s", pause.as_secs());
                tracing::error!(
                    account = self.settings.account,
                    error = why,
                    again_in,
                    "nothing is sent for this account"
                );
                told = why;
            }
            let until = self.clock.now().plus(pause);
            while self.clock.now() < until && !stop.is_requested() {
                // Also on the runs that have begun since.
                self.stand_still(&refusal).await;
                let left = until.since(self.clock.now());
                self.pause_or_stop(left.min(HOUSEKEEPING), stop).await;
            }
            match self.check_identity(stop).await {
                Ok(_) | Err(EngineError::Stopped) => return,
                Err(error) => refusal = error,
            }
        }
    }
}
