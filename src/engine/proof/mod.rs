//! Proof of delivery: counts what was delivered or looks for it in the audience, one step after the other.
//!
//! What a step has found is written before the next one is begun, so whoever takes over goes on from there.
//! Every request goes through the quota, behind whatever carries rows. What nothing was found out about stays
//! delivered, and says so.

mod ask;
mod look;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::drain::{DrainEnd, LOOK_AGAIN};
use super::error::chain;
use super::{Engine, EngineError, Progress, Stop};
use crate::clock::Time;
use crate::domain::email::Address;
use crate::domain::proof::{Counted, ProofDue, Walk, counted};
use crate::domain::tag::TagSet;
use crate::store::{CountOutcome, PeopleToCount, Prover, StoreError};
use ask::Untold;

/// Requests whose people are sought at a time.
const SEEK: u32 = 20;

/// What a step came to.
enum Step {
    /// It went on.
    Went,
    /// It goes on at this moment, and why not before, for people.
    Wait(Time, &'static str),
    /// Nothing is to be found out just now.
    Done,
}

/// The proof of an account as long as it is this process's.
struct Proving<'a> {
    engine: &'a Engine,
    prover: &'a Prover,
    /// The runs that are waited for; what is due for others meanwhile is left to others.
    runs: Option<&'a [i64]>,
    stop: &'a Stop,
    walk: Walk,
    /// Passing faults in a row at one place.
    tries: u32,
    tag_sets: HashMap<i64, TagSet>,
}

impl Engine {
    /// Finds out what is to be found out about deliveries, until nothing is left of these runs; where none are named,
    /// until told to stop.
    pub async fn prove(&self, runs: Option<&[i64]>, stop: &Stop) -> Result<DrainEnd, EngineError> {
        loop {
            if stop.is_requested() {
                return Ok(DrainEnd::Stopped);
            }
            self.give_up_by_hand()?;
            match self.prove_as_one(runs, stop).await {
                Ok(()) => {
                    if self.is_proved(runs).await? {
                        self.finish_runs().await?;
                        return Ok(DrainEnd::Done);
                    }
                }
                Err(EngineError::Stopped) => return Ok(DrainEnd::Stopped),
                Err(EngineError::Store(error)) if error.is_passing() => {
                    tracing::warn!(error = chain(&error), "the database is not available; waiting");
                }
                Err(EngineError::Store(error @ StoreError::Lost { .. })) => {
                    tracing::debug!(%error, "somebody else verifies");
                }
                Err(error) => return Err(error),
            }
            self.pause_or_stop(LOOK_AGAIN, stop).await;
        }
    }

    /// The same for a service, which takes it up again whatever goes wrong.
    pub(super) async fn prove_all(&self, stop: &Stop) {
        while !stop.is_requested() {
            if let Err(error) = self.prove(None, stop).await {
                tracing::error!(error = %chain(&error), "verifying broke off; it goes on in a moment");
                self.pause_or_stop(LOOK_AGAIN, stop).await;
            }
        }
    }

    /// Whether whoever waits for these runs can go on: they are proved, or nothing can be done about them now.
    async fn is_proved(&self, runs: Option<&[i64]>) -> Result<bool, EngineError> {
        let Some(runs) = runs else { return Ok(false) };
        let is_left = self.store.is_proof_left(runs).await?;
        Ok(!is_left || !self.store.has_proof_due(&self.settings.account).await?)
    }

    /// Proves what is due, where no other process does.
    async fn prove_as_one(&self, runs: Option<&[i64]>, stop: &Stop) -> Result<(), EngineError> {
        let account = &self.settings.account;
        if !self.store.has_proof_due(account).await? {
            return Ok(());
        }
        let Some(prover) = self.store.take_proof(account, self.worker_id).await? else { return Ok(()) };
        let left = self.store.proof_left(account).await?;
        tracing::info!(people = left.people, requests = left.batches, "verifying what was delivered");
        let mut proving = Proving {
            engine: self,
            prover: &prover,
            runs,
            stop,
            walk: Walk::default(),
            tries: 0,
            tag_sets: HashMap::new(),
        };
        let end = proving.run().await;
        self.progress.wait(None);
        let left = self.store.leave_proof(&prover).await;
        end.and(left.map_err(EngineError::from))
    }
}

impl Proving<'_> {
    async fn run(&mut self) -> Result<(), EngineError> {
        loop {
            if self.stop.is_requested() {
                return Err(EngineError::Stopped);
            }
            self.engine.give_up_by_hand()?;
            if self.engine.is_proved(self.runs).await? {
                return Ok(());
            }
            match self.step().await? {
                Step::Went => {}
                Step::Wait(until, why) => self.engine.pause(until, LOOK_AGAIN, why, self.stop).await?,
                Step::Done => return Ok(()),
            }
        }
    }

    async fn step(&mut self) -> Result<Step, EngineError> {
        let (store, account) = (&self.engine.store, &self.prover.account);
        if let Some(people) = store.next_count(account).await? {
            return self.count(people).await;
        }
        if let Some(look) = store.current_look(account).await? {
            return self.go_on_looking(look).await;
        }
        if store.seek(self.prover, SEEK).await? > 0 {
            return Ok(Step::Went);
        }
        if store.is_anybody_sought(account).await? {
            store.begin_look(self.prover, 1, self.engine.clock.now()).await?;
            return Ok(Step::Went);
        }
        // Of rows that were deleted nobody is sought.
        store.end_looks(self.prover).await?;
        Ok(Step::Done)
    }

    /// Counts the people of one request by giving them a tag that they have.
    async fn count(&mut self, people: PeopleToCount) -> Result<Step, EngineError> {
        let keys = people.emails.iter().filter_map(|email| Address::parse(email).ok());
        let distinct = keys.map(|address| address.key().to_owned()).collect::<HashSet<_>>().len() as u64;
        let client = self.engine.client.clone();
        let (Some(route), Some(tag)) = (client.routes().apply_tag, people.tags.ids().first()) else {
            self.give_up(ProofDue::Count, "this dialect of Luma's API cannot count people").await?;
            return Ok(Step::Went);
        };
        if people.emails.is_empty() {
            return self.write_count(&people, CountOutcome::Verified).await;
        }
        let emails: Vec<&str> = people.emails.iter().map(String::as_str).collect();
        let outcome = match self.ask(route, emails.len(), client.apply_tag(tag, &emails)).await? {
            Ok(answer) => match counted(distinct, answer.applied, answer.skipped) {
                Counted::All => CountOutcome::Verified,
                Counted::Short(absent) => CountOutcome::Short {
                    absent,
                    reason: format!(
                        "Luma counts {absent} of the {distinct} people of batch {} as not in the audience",
                        people.batch_id
                    ),
                },
                Counted::Odd => CountOutcome::Unproved(format!(
                    "Luma counted {} and left out {} of {distinct} people, which proves nothing",
                    answer.applied, answer.skipped
                )),
            },
            Err(Untold::Later) => return Ok(Step::Went),
            Err(Untold::Never { why, is_of_all: true }) => {
                self.give_up(ProofDue::Count, &format!("Luma does not count people: {why}")).await?;
                return Ok(Step::Went);
            }
            Err(Untold::Never { why, is_of_all: false }) => {
                CountOutcome::Unproved(format!("Luma did not count them: {why}"))
            }
        };
        self.write_count(&people, outcome).await
    }

    async fn write_count(
        &mut self,
        people: &PeopleToCount,
        outcome: CountOutcome,
    ) -> Result<Step, EngineError> {
        self.tries = 0;
        let (batch, run, now) = (people.batch_id, people.run_id, self.engine.clock.now());
        let rows = self.engine.store.settle_count(self.prover, batch, &outcome, now).await?;
        match &outcome {
            CountOutcome::Verified => Progress::add(&self.engine.progress.settled, rows),
            CountOutcome::Short { absent, .. } => {
                tracing::warn!(run, batch, absent, "Luma counts fewer people than were sent");
            }
            CountOutcome::Unproved(_) => tracing::warn!(run, batch, "a request could not be verified"),
        }
        Ok(Step::Went)
    }

    async fn give_up(&mut self, due: ProofDue, why: &str) -> Result<(), EngineError> {
        let batches = self.engine.store.give_up_proof(self.prover, due, why).await?;
        self.tries = 0;
        tracing::warn!(
            requests = batches,
            "what was delivered could not be verified; `lumasync runs show` says why"
        );
        Ok(())
    }
}

impl Progress {
    /// Luma was met.
    fn reached(&self) {
        self.unreached.store(0, Ordering::Relaxed);
    }
}
