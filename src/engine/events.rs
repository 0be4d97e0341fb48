//! The loop that claims events, asks for them and settles them: each for itself, none twice.
//!
//! Intent is on record before a request leaves. Whatever leaves its effect in doubt ends there: only a
//! person, a look-up or the policy takes an event out of doubt.

mod looks;
mod probe;

use std::sync::atomic::Ordering;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::drain::{DrainEnd, LOOK_AGAIN, WRITE_PAUSE};
use super::error::chain;
use super::{Engine, EngineError, Progress, Stop};
use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::event::{
    EventDecision, EventFacts, EventOutcome, EventVerdict, POLICY, decide_event, settle_by_policy,
};
use crate::domain::outcome::Block;
use crate::domain::verdict::Verdict;
use crate::luma::{EventReply, likeness_of, start_of};
use crate::store::{
    Allowance, ClaimedEvent, Claims, EventClaim, EventSettlement, ResolveError, Scope, StoreError,
};

type InFlight = JoinSet<Result<(), EngineError>>;

impl Engine {
    /// Creates the events that are due in `scope` until none is pending, and none in doubt is left to be
    /// looked for; where `for_ever`, until told to stop.
    pub async fn drain_events(
        &self,
        scope: Scope,
        for_ever: bool,
        stop: &Stop,
    ) -> Result<DrainEnd, EngineError> {
        loop {
            let end = self.create_events(scope, for_ever, stop).await?;
            if for_ever || end == DrainEnd::Stopped || !self.see_doubts_out(scope, stop).await? {
                return Ok(end);
            }
        }
    }

    async fn create_events(
        &self,
        scope: Scope,
        for_ever: bool,
        stop: &Stop,
    ) -> Result<DrainEnd, EngineError> {
        let mut in_flight = InFlight::new();
        let end = self.create_due(scope, for_ever, stop, &mut in_flight).await;
        self.events_left.store(0, Ordering::Relaxed);
        // Whatever ended the loop, what has left is settled.
        let mut settled = Ok(());
        while let Some(done) = in_flight.join_next().await {
            settled = settled.and(done.map_err(EngineError::from).flatten());
        }
        end.and_then(|end| settled.map(|()| end))
    }

    /// What members may send: less than all where events wait, but never so little that lists starve.
    pub(super) fn member_allowance(&self) -> Allowance {
        let all = self.settings.allowance;
        let most = all.requests - all.requests / 10;
        let left = self.events_left.load(Ordering::Relaxed).min(most.saturating_sub(1));
        Allowance { requests: all.requests - left, ..all }
    }

    async fn create_due(
        &self,
        scope: Scope,
        for_ever: bool,
        stop: &Stop,
        in_flight: &mut InFlight,
    ) -> Result<DrainEnd, EngineError> {
        let (mut permits, mut is_proved) = (0, false);
        loop {
            while let Some(done) = in_flight.try_join_next() {
                done??;
            }
            self.give_up_by_hand()?;
            if stop.is_requested() {
                return Ok(DrainEnd::Stopped);
            }
            let free = self.settings.max_in_flight - in_flight.len();
            while permits < free && self.throttle.try_now() {
                permits += 1;
            }
            if free == 0 || permits == 0 {
                tokio::select! {
                    () = stop.requested() => {}
                    Some(done) = in_flight.join_next() => done??,
                    () = self.throttle.ready(), if free > 0 => permits += 1,
                }
                continue;
            }
            self.end_doubts().await?;
            let claimed = self.claim_events(scope, permits.min(free), is_proved).await?;
            is_proved = false;
            let until = match claimed {
                EventClaim::Events(events) => {
                    permits = permits.saturating_sub(events.len());
                    for event in events {
                        let (engine, stop) = (self.clone(), stop.clone());
                        in_flight.spawn(async move { engine.create(event, &stop).await }.in_current_span());
                    }
                    continue;
                }
                EventClaim::Probe => {
                    is_proved = self.probe(stop).await?;
                    continue;
                }
                EventClaim::Idle if !for_ever && in_flight.is_empty() => return Ok(DrainEnd::Done),
                EventClaim::Idle => self.clock.now().plus(LOOK_AGAIN),
                EventClaim::Wait(until, why) => {
                    tracing::debug!(%until, why, "events wait");
                    until.min(self.clock.now().plus(LOOK_AGAIN))
                }
            };
            tokio::select! {
                () = stop.requested() => {}
                Some(done) = in_flight.join_next() => done??,
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    async fn claim_events(
        &self,
        scope: Scope,
        limit: usize,
        is_proved: bool,
    ) -> Result<EventClaim, EngineError> {
        let claims = Claims {
            account: &self.settings.account,
            worker_id: self.worker_id,
            scope,
            limit,
            allowance: self.settings.allowance,
            route: self.client.routes().create_event,
            tag_route: None,
            with_names: false,
        };
        let known = self.last_event_claim.load(Ordering::Relaxed);
        let freed = self.store.free_unknown_events(claims.account, self.worker_id, known).await;
        let claimed = match freed {
            Ok(_) => self.store.claim_events(&claims, is_proved, &self.clock).await,
            Err(error) => Err(error),
        };
        match claimed {
            Ok(claims) => {
                if let EventClaim::Events(events) = &claims.claim {
                    let last = events.iter().map(|event| event.claim_id).max().unwrap_or(known);
                    self.last_event_claim.store(last, Ordering::Relaxed);
                }
                self.events_left.store(claims.left, Ordering::Relaxed);
                Ok(claims.claim)
            }
            Err(error) if error.is_passing() => {
                tracing::warn!(error = %chain(&error), "the database is not available; waiting");
                Ok(EventClaim::Wait(self.clock.now().plus(LOOK_AGAIN), "the database"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for one event and writes down what became of it.
    async fn create(&self, event: ClaimedEvent, stop: &Stop) -> Result<(), EngineError> {
        let now = self.clock.now();
        if now.since(event.claimed_at) > self.settings.lease {
            // Others have put the event in doubt by now, and somebody may have decided to ask again.
            let outcome = EventOutcome::Again { due_at: now, costs_attempt: false };
            return self
                .settle_event(&unsent(event, outcome, "the machine slept before it could leave"))
                .await;
        }
        if self.give_up_by_hand().is_err() {
            // What another request was told while this one was claimed.
            let outcome = EventOutcome::Again { due_at: now, costs_attempt: false };
            return self.settle_event(&unsent(event, outcome, "the pass ended before it could leave")).await;
        }
        let start = start_of(&event.body);
        if let Some(why) = start.and_then(|start| self.settings.event_rules.too_late(start, now)) {
            let reason = format!("`start_at` {why}");
            let outcome = EventOutcome::Rejected { code: Code::StartInPast, reason };
            let outcome = outcome.after_a_guess(event.is_guess);
            return self.settle_event(&unsent(event, outcome, "it began before it could be asked for")).await;
        }
        let reply = tokio::select! {
            reply = self.client.create_event(&event.body) => reply,
            () = stop.aborted() => EventReply::interrupted("lumasync was stopped before the answer"),
        };
        self.note_shared(event.claim_id, reply.quota).await;
        let facts = EventFacts {
            attempts: event.attempts,
            faults: event.faults,
            is_guess: event.is_guess,
            can_look_up: self.client.routes().can_look_up() && likeness_of(&event.body).is_some(),
            retry: self.settings.retry,
            block: self.settings.allowance.window,
            jitter: self.chance(),
            now: self.clock.now(),
        };
        let decision = self.wait_out_event(decide_event(&reply.verdict, &facts));
        self.tell_event(&event, &reply, &decision);
        self.settle_event(&EventSettlement {
            event,
            outcome: decision.outcome,
            status: reply.status,
            verdict: reply.verdict.as_str(),
            detail: reply.verdict.detail().map(str::to_owned),
            is_fault: reply.verdict.is_fault(),
            is_unsent: matches!(reply.verdict, EventVerdict::Unreached { .. }),
            block: decision.block,
            halt: decision.halt.map(|(cause, reason)| format!("{reason} ({})", cause.hint())),
        })
        .await
    }

    /// As with members: where the key or the plan is refused, a person is waited for.
    fn wait_out_event(&self, decision: EventDecision) -> EventDecision {
        match decision.halt {
            Some((cause, reason)) if cause.is_configuration() => {
                let now = self.clock.now();
                EventDecision {
                    outcome: EventOutcome::Again { due_at: now, costs_attempt: false },
                    block: self.block_refused(cause, &reason, now),
                    halt: None,
                }
            }
            halt => EventDecision { halt, ..decision },
        }
    }

    /// Writes one outcome, however long the database is busy or full.
    async fn settle_event(&self, settlement: &EventSettlement) -> Result<(), EngineError> {
        let id = settlement.event.id;
        loop {
            match self.store.settle_event(settlement, self.clock.now()).await {
                Ok(()) => {
                    let is_over = !matches!(
                        settlement.outcome,
                        EventOutcome::Again { .. } | EventOutcome::Unknown { .. }
                    );
                    Progress::add(&self.progress.settled, u64::from(is_over));
                    return Ok(());
                }
                Err(StoreError::Lost { .. }) => {
                    if let EventOutcome::Created { api_id } = &settlement.outcome {
                        tracing::error!(event = id, %api_id, "an event was created, and somebody had decided otherwise meanwhile: look whether it exists twice");
                    } else {
                        tracing::warn!(
                            event = id,
                            "the answer came after somebody had decided about the event"
                        );
                    }
                    return Ok(());
                }
                Err(error) if error.is_passing() => {
                    tracing::warn!(event = id, error = %chain(&error), "could not write an outcome yet");
                    self.clock.sleep(WRITE_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends doubt about events by the policy, where Luma cannot be asked.
    pub async fn end_doubts(&self) -> Result<(), EngineError> {
        let policy = settle_by_policy(self.settings.on_unknown, true);
        if policy.is_none() || self.client.routes().can_look_up() {
            return Ok(());
        }
        let in_doubt = match self.store.events_in_doubt(&self.settings.account).await {
            // They are looked at again before the next claim, which says so if the database stays away.
            Err(error) if error.is_passing() => return Ok(()),
            found => found?,
        };
        for doubt in in_doubt {
            let attempts_left = !self.settings.retry.is_exhausted(doubt.attempts);
            let Some(resolution) = settle_by_policy(self.settings.on_unknown, attempts_left) else {
                continue;
            };
            let now = self.clock.now();
            // It may still be under way: at once would be the surest way to a twin.
            let due_at = now.plus(self.settings.retry.backoff(doubt.attempts, self.chance(), None));
            match self.store.resolve_event(doubt.id, &resolution, POLICY, due_at, now).await {
                Ok(_) => {
                    tracing::warn!(
                        event = doubt.id,
                        "an event in doubt is asked for once more, as `events.on_unknown` says"
                    );
                }
                // Somebody else was first.
                Err(ResolveError::Store(error)) if !error.is_passing() => return Err(error.into()),
                Err(error) => tracing::debug!(event = doubt.id, %error, "still in doubt"),
            }
        }
        Ok(())
    }

    fn tell_event(&self, event: &ClaimedEvent, reply: &EventReply, decision: &EventDecision) {
        let (id, run, status) = (event.id, event.run_id, reply.status);
        Progress::add(&self.progress.requests, 1);
        tracing::debug!(
            event = id,
            run,
            status,
            verdict = reply.verdict.as_str(),
            detail = reply.verdict.detail()
        );
        if !matches!(reply.verdict, EventVerdict::Unreached { .. }) {
            self.progress.unreached.store(0, Ordering::Relaxed);
        }
        match &reply.verdict {
            EventVerdict::Created { api_id } => {
                Progress::add(&self.progress.created, 1);
                self.progress.end_halt();
                tracing::info!(event = id, run, %api_id, "an event is created");
            }
            EventVerdict::Refused { .. } | EventVerdict::Taken { .. } => {
                tracing::info!(event = id, run, status, "Luma refused an event");
            }
            EventVerdict::Throttled { .. } => {
                Progress::add(&self.progress.throttled, 1);
                let until =
                    decision.block.as_ref().map(|block: &Block| block.until).map(|at: Time| at.to_string());
                tracing::warn!(run, until, "Luma says too many requests; everybody waits");
            }
            EventVerdict::Unreached { .. } | EventVerdict::PutOff { .. } => {
                Progress::add(&self.progress.faults, 1);
                if matches!(reply.verdict, EventVerdict::Unreached { .. }) {
                    Progress::add(&self.progress.unreached, 1);
                }
                tracing::info!(event = id, run, status, "an event was not asked for; it is tried again");
            }
            EventVerdict::Halted { cause, reason } => {
                if self.progress.is_new_halt(*cause, reason) {
                    let hint = cause.hint();
                    tracing::error!(
                        run,
                        status,
                        hint,
                        "Luma refused a request, and not because of its event"
                    );
                }
            }
            EventVerdict::Ambiguous { .. } => {
                Progress::add(&self.progress.faults, 1);
                tracing::warn!(
                    event = id,
                    run,
                    status,
                    "nobody knows whether an event exists: see `lumasync events show {id}`"
                );
            }
        }
    }
}

/// What was claimed and not sent, and is not sent any more.
fn unsent(event: ClaimedEvent, outcome: EventOutcome, why: &str) -> EventSettlement {
    EventSettlement {
        event,
        outcome,
        status: None,
        verdict: Verdict::Interrupted.as_str(),
        detail: Some(why.to_owned()),
        is_fault: false,
        is_unsent: true,
        block: None,
        halt: None,
    }
}

#[cfg(test)]
mod tests;
