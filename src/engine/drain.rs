//! The loop that claims, sends and settles: several requests under way, as fast as the quota allows.
//!
//! Answers that came in together are settled together, and the batches that take their places are
//! claimed in the same transaction: a commit is what a turn costs most.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::error::chain;
use super::{Engine, EngineError, Progress, Stop};
use crate::clock::Time;
use crate::domain::outcome::{FAULTS_IN_A_ROW, Outcome};
use crate::store::{Claim, Claims, Scope, Settlement, StoreError};

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainEnd {
    /// Nothing is pending.
    Done,
    /// It was told to stop.
    Stopped,
}

/// Others may add work or settle theirs: however long there is to wait, look again this often.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Between two tries to write an outcome that the database would not take.
pub(super) const WRITE_PAUSE: Duration = Duration::from_millis(250);

/// A drain as it goes on.
struct Drain<'a> {
    engine: &'a Engine,
    scope: Scope,
    stop: &'a Stop,
    in_flight: JoinSet<Settlement>,
    answered: Vec<Settlement>,
    /// Requests that may leave this second.
    permits: usize,
    /// Nothing can be claimed before this moment, unless an answer changes that.
    rest: Option<Time>,
    /// Nothing was pending at the last look.
    is_idle: bool,
    /// The database was not available at the last look.
    is_held_up: bool,
    /// The last claim that is known here.
    last_claim: i64,
    /// The database may know later ones: it went away while it was asked for more, now or in the drain before.
    is_unsure: bool,
}

impl Engine {
    /// Sends what is due in `scope` until nothing is pending; where `for_ever`, until told to stop.
    pub async fn drain(&self, scope: Scope, for_ever: bool, stop: &Stop) -> Result<DrainEnd, EngineError> {
        let mut drain = Drain {
            engine: self,
            scope,
            stop,
            in_flight: JoinSet::new(),
            answered: Vec::new(),
            permits: 0,
            rest: None,
            is_idle: false,
            is_held_up: false,
            last_claim: 0,
            is_unsure: true,
        };
        let end = drain.run(for_ever).await;
        self.progress.wait(None);
        // Whatever ended the loop, what has left is settled.
        let settled = drain.settle_rest().await;
        end.and_then(|end| settled.map(|()| end))
    }
}

impl Drain<'_> {
    async fn run(&mut self, for_ever: bool) -> Result<DrainEnd, EngineError> {
        loop {
            while let Some(answer) = self.in_flight.try_join_next() {
                self.answered.push(answer?);
            }
            self.engine.give_up_by_hand()?;
            if self.stop.is_requested() {
                return Ok(DrainEnd::Stopped);
            }
            let free = self.engine.settings.max_in_flight - self.in_flight.len();
            let may_claim = !self.answered.is_empty() || self.rest.is_none();
            while may_claim && self.permits < free && self.engine.throttle.try_now() {
                self.permits += 1;
            }
            let limit = if may_claim { self.permits.min(free) } else { 0 };
            if limit > 0 || !self.answered.is_empty() {
                self.turn(limit).await?;
                if self.is_idle && !for_ever && self.in_flight.is_empty() {
                    return Ok(DrainEnd::Done);
                }
            } else {
                self.wait(free).await?;
            }
        }
    }

    /// Settles what was answered and claims up to `limit` batches, in one transaction.
    async fn turn(&mut self, limit: usize) -> Result<(), EngineError> {
        let engine = self.engine;
        let claims = Claims {
            account: &engine.settings.account,
            worker_id: engine.worker_id,
            scope: self.scope,
            limit,
            allowance: engine.member_allowance(),
            route: engine.client.routes().import,
            tag_route: engine.client.routes().apply_tag,
            with_names: engine.client.takes_names(),
        };
        let now = engine.clock.now();
        let is_sure = limit == 0 || self.make_sure(now).await?;
        let claims = (limit > 0 && is_sure).then_some(&claims);
        let answered = std::mem::take(&mut self.answered);
        let claim = match engine.store.turn(&answered, claims, &engine.clock).await {
            Ok(claim) => {
                self.is_held_up = false;
                for settlement in &answered {
                    engine.count(settlement);
                }
                claim
            }
            // One of them spoils the transaction for all: each for itself, then.
            Err(error) if !answered.is_empty() => {
                tracing::debug!(%error, "settling one by one");
                let mut first_error = Ok(());
                for settlement in &answered {
                    first_error = first_error.and(engine.settle_alone(settlement).await);
                }
                first_error?;
                claims.map(|_| Claim::Unknown)
            }
            Err(error) if error.is_passing() => {
                if !std::mem::replace(&mut self.is_held_up, true) {
                    tracing::warn!(error = chain(&error), "the database is not available; waiting");
                }
                Some(Claim::Unknown)
            }
            Err(error) => return Err(error.into()),
        };
        self.begin(if is_sure { claim } else { Some(Claim::Unknown) }, now);
        Ok(())
    }

    /// Frees what was claimed and never came here, before more is claimed. Whether that could be done.
    async fn make_sure(&mut self, now: Time) -> Result<bool, EngineError> {
        if !self.is_unsure {
            return Ok(true);
        }
        let engine = self.engine;
        let account = &engine.settings.account;
        match engine.store.free_unknown(account, engine.worker_id, self.last_claim, now).await {
            Ok(freed) => {
                if freed > 0 {
                    tracing::warn!(
                        batches = freed,
                        "batches whose claim was lost with the connection are pending"
                    );
                }
                self.is_unsure = false;
                Ok(true)
            }
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "the database is not available; waiting");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what was claimed, or remembers when to ask again.
    fn begin(&mut self, claim: Option<Claim>, now: Time) {
        let look_again = now.plus(LOOK_AGAIN);
        self.rest = None;
        self.is_idle = false;
        match claim {
            None => {}
            Some(Claim::Batches(batches)) => {
                self.engine.progress.wait(None);
                self.permits = self.permits.saturating_sub(batches.len());
                for batch in batches {
                    self.last_claim = self.last_claim.max(batch.claim_id);
                    let (engine, stop) = (self.engine.clone(), self.stop.clone());
                    self.in_flight.spawn(async move { engine.send(batch, &stop).await }.in_current_span());
                }
            }
            Some(Claim::Wait(until, why)) => {
                self.engine.progress.wait(Some((until, why)));
                self.rest = Some(until.min(look_again));
            }
            Some(Claim::Unknown) => {
                self.engine.progress.wait(Some((look_again, "the database")));
                self.is_unsure = true;
                self.rest = Some(look_again);
            }
            Some(Claim::Idle) => {
                self.engine.progress.wait(None);
                self.is_idle = true;
                self.rest = Some(look_again);
            }
        }
    }

    /// Waits for an answer, for a place, for the moment to ask again, or for the stop.
    async fn wait(&mut self, free: usize) -> Result<(), EngineError> {
        let engine = self.engine;
        let needs_permit = self.rest.is_none() && free > 0 && self.permits == 0;
        tokio::select! {
            () = self.stop.requested() => {}
            Some(answer) = self.in_flight.join_next() => self.answered.push(answer?),
            () = engine.throttle.ready(), if needs_permit => self.permits += 1,
            () = engine.clock.sleep_until(self.rest.unwrap_or(Time::from_micros(0))), if self.rest.is_some() => {
                self.rest = None;
            }
        }
        Ok(())
    }

    async fn settle_rest(&mut self) -> Result<(), EngineError> {
        let mut first_error = Ok(());
        while let Some(answer) = self.in_flight.join_next().await {
            match answer {
                Ok(settlement) => self.answered.push(settlement),
                Err(error) => first_error = first_error.and(Err(error.into())),
            }
        }
        for settlement in std::mem::take(&mut self.answered) {
            let settled = self.engine.settle_alone(&settlement).await;
            first_error = first_error.and(settled);
        }
        first_error
    }
}

impl Engine {
    /// Writes one outcome, however long the database is busy or full.
    async fn settle_alone(&self, settlement: &Settlement) -> Result<(), EngineError> {
        let batch = &settlement.batch;
        let mut is_told = false;
        loop {
            match self.store.turn(std::slice::from_ref(settlement), None, &self.clock).await {
                Ok(_) => {
                    self.count(settlement);
                    return Ok(());
                }
                Err(error @ StoreError::Lost { .. }) => {
                    tracing::warn!(batch = batch.id, claim = batch.claim_id, %error, "the outcome came too late");
                    return Ok(());
                }
                Err(error) if error.is_passing() => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
                            batch = batch.id,
                            error = chain(&error),
                            "could not write an outcome yet"
                        );
                    }
                    self.clock.sleep(WRITE_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A pass by hand ends where there is nobody to ask, or whoever there is refuses whatever it is
    /// asked; a service goes on asking.
    pub(super) fn give_up_by_hand(&self) -> Result<(), EngineError> {
        let halt = self.progress.halt().filter(|(cause, _)| cause.is_configuration());
        if let Some((cause, reason)) = halt.filter(|_| !self.settings.is_service) {
            return Err(EngineError::Halted { cause, reason });
        }
        let met_nobody = self.progress.unreached.load(Ordering::Relaxed);
        if self.settings.is_service
            || met_nobody < u64::from(self.settings.retry.max_attempts.max(FAULTS_IN_A_ROW))
        {
            return Ok(());
        }
        Err(EngineError::Unreachable(format!("{met_nobody} requests in a row could not connect")))
    }

    fn count(&self, settlement: &Settlement) {
        let rows = settlement.batch.recipients.len() as u64;
        let settled = match &settlement.outcome {
            Outcome::Delivered => {
                let done = settlement.batch.last_rows.min(rows);
                Progress::add(&self.progress.delivered, done);
                done
            }
            Outcome::Failed { .. } => rows,
            Outcome::Rejected { places, .. } => places.len() as u64,
            Outcome::Again { .. } | Outcome::Split => 0,
        };
        Progress::add(&self.progress.settled, settled);
    }
}
