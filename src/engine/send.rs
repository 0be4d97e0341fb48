//! One claimed batch: request, verdict, settle.

use std::time::Duration;

use super::{Engine, EngineError, Progress, Stop};
use crate::domain::batch::{BODY_FRAME, address_bytes};
use crate::domain::outcome::{Decision, Facts, Outcome, decide};
use crate::domain::verdict::{Evidence, Verdict};
use crate::luma::Reply;
use crate::store::{ClaimedBatch, Settled, StoreError};

/// A service looks again this often whether a refused key has become good.
const REFUSED_KEY_PAUSE: Duration = Duration::from_mins(5);
/// Between two tries to write an outcome that the database would not take.
const WRITE_PAUSE: Duration = Duration::from_millis(250);

impl Engine {
    /// Sends a batch and writes what became of it. An outcome the database will not take for as
    /// long as the lease lasts is dropped: the batch comes back and is sent again.
    pub(super) async fn send(&self, batch: ClaimedBatch, stop: &Stop) -> Result<(), EngineError> {
        let addresses: Vec<&str> = batch.recipients.iter().map(|to| to.email.as_str()).collect();
        let body_bytes = body_bytes(&batch, &addresses);
        if batch.max_body.is_some_and(|max| body_bytes > max) && addresses.len() > 1 {
            return self.write(&batch, &Outcome::Split, &Settled::default()).await;
        }
        let reply = tokio::select! {
            reply = self.client.import(&batch.tags, addresses.iter().copied()) => reply,
            () = stop.aborted() => {
                Reply { status: None, verdict: Verdict::Interrupted, body: serde_json::Value::Null }
            }
        };
        let evidence = match reply.verdict {
            Verdict::Refused { .. } => self.store.evidence(batch.run_id, batch.tag_set_id).await?,
            _ => Evidence::default(),
        };
        let decision = decide(
            &reply.verdict,
            &Facts {
                addresses: &addresses,
                body_bytes,
                attempts: batch.attempts,
                evidence,
                retry: self.settings.retry,
                block: self.settings.allowance.window,
                jitter: self.chance(),
                now: self.clock.now(),
            },
        );
        let decision = if self.settings.is_service { self.wait_out(decision) } else { decision };
        self.tell(&batch, &reply, &decision);
        let halt = decision.halt.as_ref().map(|(cause, reason)| format!("{reason} ({})", cause.hint()));
        let settled = Settled {
            status: reply.status,
            verdict: Some(reply.verdict.as_str()),
            detail: reply.verdict.detail(),
            block: decision.block.as_ref().map(|(until, why)| (*until, why.as_str())),
            max_body: decision.max_body,
            halt: halt.as_deref(),
        };
        self.write(&batch, &decision.outcome, &settled).await
    }

    /// A service does not give a run up because of the key or the plan: it waits for a person, and
    /// sends one batch now and then to see.
    fn wait_out(&self, decision: Decision) -> Decision {
        match decision.halt {
            Some((cause, reason)) if cause.is_configuration() => {
                let until = self.clock.now().plus(REFUSED_KEY_PAUSE);
                let why = format!("{reason} ({})", cause.hint());
                tracing::error!(%reason, hint = cause.hint(), "Luma refuses everything; waiting for a person");
                Decision {
                    outcome: Outcome::Again { due_at: until, costs_attempt: false },
                    block: Some((until, why)),
                    max_body: decision.max_body,
                    halt: None,
                }
            }
            halt => Decision { halt, ..decision },
        }
    }

    async fn write(
        &self,
        batch: &ClaimedBatch,
        outcome: &Outcome,
        settled: &Settled<'_>,
    ) -> Result<(), EngineError> {
        let give_up = self.clock.now().plus(self.settings.lease);
        loop {
            let now = self.clock.now();
            match self.store.settle(batch, outcome, settled, now).await {
                Ok(()) => break,
                Err(error @ StoreError::Lost { .. }) => {
                    tracing::warn!(batch = batch.id, claim = batch.claim_id, %error, "the outcome came too late");
                    return Ok(());
                }
                Err(error) if error.is_passing() && now < give_up => {
                    tracing::warn!(batch = batch.id, %error, "could not write an outcome yet");
                    self.clock.sleep(WRITE_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let rows = batch.recipients.len() as u64;
        match outcome {
            Outcome::Delivered => {
                Progress::add(&self.progress.delivered, rows);
                Progress::add(&self.progress.settled, rows);
            }
            Outcome::Failed { .. } => Progress::add(&self.progress.settled, rows),
            Outcome::Rejected { places, .. } => {
                Progress::add(&self.progress.settled, places.len() as u64);
            }
            Outcome::Again { .. } | Outcome::Split => {}
        }
        Ok(())
    }

    fn tell(&self, batch: &ClaimedBatch, reply: &Reply, decision: &Decision) {
        let (id, run, rows) = (batch.id, batch.run_id, batch.recipients.len());
        let verdict = reply.verdict.as_str();
        Progress::add(&self.progress.requests, 1);
        // The words of an answer may hold an address.
        tracing::debug!(
            batch = id,
            run,
            rows,
            status = reply.status,
            verdict,
            detail = reply.verdict.detail()
        );
        match &reply.verdict {
            Verdict::Accepted | Verdict::Interrupted => {}
            Verdict::Throttled { .. } => {
                Progress::add(&self.progress.throttled, 1);
                let until = decision.block.as_ref().map(|(until, _)| until.to_string());
                tracing::warn!(run, until, "Luma says too many requests; everybody waits");
            }
            Verdict::Transient { .. } => {
                Progress::add(&self.progress.faults, 1);
                let attempt = batch.attempts + 1;
                tracing::info!(batch = id, run, rows, attempt, status = reply.status, "a passing fault");
            }
            Verdict::Refused { .. } | Verdict::TooLarge { .. } => {
                tracing::info!(batch = id, run, rows, status = reply.status, "Luma refused a request");
            }
            Verdict::Halted { cause, .. } => {
                tracing::error!(
                    run,
                    status = reply.status,
                    hint = cause.hint(),
                    "Luma refuses what is not about rows"
                );
            }
        }
    }
}

fn body_bytes(batch: &ClaimedBatch, addresses: &[&str]) -> usize {
    let tags: usize = batch.tags.ids().iter().map(|tag| address_bytes(tag.as_str())).sum();
    let rows: usize = addresses.iter().map(|address| address_bytes(address)).sum();
    BODY_FRAME + tags + rows
}
