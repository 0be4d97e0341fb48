//! The loop that claims and sends: several requests under way, as fast as the quota allows.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{Engine, EngineError, Stop};
use crate::clock::Time;
use crate::luma::IMPORT_ROUTE;
use crate::store::{Claim, Claims, Scope};

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainEnd {
    /// Nothing is pending.
    Done,
    /// It was told to stop.
    Stopped,
}

/// Others may add work or settle theirs: however long there is to wait, look again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Sends what is due in `scope` until nothing is pending; where `for_ever`, until told to stop.
    pub async fn drain(&self, scope: Scope, for_ever: bool, stop: &Stop) -> Result<DrainEnd, EngineError> {
        let mut in_flight: JoinSet<Result<(), EngineError>> = JoinSet::new();
        let end = self.claim_and_send(scope, for_ever, stop, &mut in_flight).await;
        self.progress.wait(None);
        // Whatever ended the loop, what is in flight ends in order.
        while let Some(sent) = in_flight.join_next().await {
            sent??;
        }
        end
    }

    async fn claim_and_send(
        &self,
        scope: Scope,
        for_ever: bool,
        stop: &Stop,
        in_flight: &mut JoinSet<Result<(), EngineError>>,
    ) -> Result<DrainEnd, EngineError> {
        loop {
            while let Some(sent) = in_flight.try_join_next() {
                sent??;
            }
            if stop.is_requested() {
                return Ok(DrainEnd::Stopped);
            }
            if in_flight.len() >= self.settings.max_in_flight {
                if let Some(sent) = in_flight.join_next().await {
                    sent??;
                }
                continue;
            }
            tokio::select! {
                () = self.throttle.ready() => {}
                () = stop.requested() => continue,
            }
            match self.claim(scope, self.settings.max_in_flight - in_flight.len()).await? {
                Claim::Batches(batches) => {
                    self.progress.wait(None);
                    for batch in batches {
                        let (engine, stop) = (self.clone(), stop.clone());
                        in_flight.spawn(async move { engine.send(batch, &stop).await });
                    }
                }
                Claim::Idle if !for_ever && in_flight.is_empty() => return Ok(DrainEnd::Done),
                Claim::Idle => {
                    self.progress.wait(None);
                    self.rest(self.clock.now().plus(LOOK_AGAIN), stop, in_flight).await?;
                }
                Claim::Wait(until, why) => {
                    self.progress.wait(Some((until, why)));
                    self.rest(until.min(self.clock.now().plus(LOOK_AGAIN)), stop, in_flight).await?;
                }
            }
        }
    }

    /// Claims until the database lets it: a busy or full disk is waited out.
    async fn claim(&self, scope: Scope, limit: usize) -> Result<Claim, EngineError> {
        let claims = Claims {
            account: &self.settings.account,
            worker_id: self.worker_id,
            scope,
            limit,
            allowance: self.settings.allowance,
            route: IMPORT_ROUTE,
        };
        match self.store.claim(&claims, self.clock.now()).await {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "the database is not available; waiting");
                Ok(Claim::Wait(self.clock.now().plus(LOOK_AGAIN), "the database"))
            }
            claim => Ok(claim?),
        }
    }

    /// Waits for the moment, for a request to end, or for the stop, whichever is first.
    async fn rest(
        &self,
        until: Time,
        stop: &Stop,
        in_flight: &mut JoinSet<Result<(), EngineError>>,
    ) -> Result<(), EngineError> {
        tokio::select! {
            () = self.clock.sleep_until(until) => Ok(()),
            () = stop.requested() => Ok(()),
            Some(sent) = in_flight.join_next() => sent?,
        }
    }
}
