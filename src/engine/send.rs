//! One claimed batch: request, verdict, and what follows from it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Engine, EngineError, Progress, Stop};
use crate::domain::batch::{BODY_FRAME, address_bytes};
use crate::domain::outcome::{Block, BlockCause, Decision, Facts, Outcome, decide};
use crate::domain::verdict::{Evidence, Verdict};
use crate::luma::Reply;
use crate::store::{ClaimedBatch, Settlement};

/// A service looks again this often whether a refused key has become good.
pub(super) const REFUSED_KEY_PAUSE: Duration = Duration::from_mins(5);

impl Engine {
    /// Sends a batch and decides what became of it. Nothing is written here.
    pub(super) async fn send(&self, batch: ClaimedBatch, stop: &Stop) -> Result<Settlement, EngineError> {
        let addresses: Vec<&str> = batch.recipients.iter().map(|to| to.email.as_str()).collect();
        let body_bytes = body_bytes(&batch, &addresses);
        if batch.max_body.is_some_and(|max| body_bytes > max) && addresses.len() > 1 {
            // Larger than what Luma is known to take: halved without asking.
            return Ok(unsent(batch, Outcome::Split));
        }
        let now = self.clock.now();
        if now.since(batch.claimed_at) > self.settings.lease {
            // This machine slept: others may hold the batch by now, and its place in the window is gone.
            return Ok(unsent(batch, Outcome::Again { due_at: now, costs_attempt: false }));
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
        let facts = Facts {
            addresses: &addresses,
            body_bytes,
            attempts: batch.attempts,
            faults: batch.faults,
            evidence,
            retry: self.settings.retry,
            block: self.settings.allowance.window,
            jitter: self.chance(),
            now: self.clock.now(),
        };
        let decision = decide(&reply.verdict, &facts);
        let decision = if self.settings.is_service { self.wait_out(decision) } else { decision };
        self.tell(&batch, &reply, &decision);
        Ok(Settlement {
            batch,
            outcome: decision.outcome,
            status: reply.status,
            verdict: Some(reply.verdict.as_str()),
            detail: reply.verdict.detail().map(str::to_owned),
            block: decision.block,
            max_body: decision.max_body,
            halt: decision.halt.map(|(cause, reason)| format!("{reason} ({})", cause.hint())),
        })
    }

    /// A service does not give a run up because of the key or the plan: it waits for a person, and
    /// sends one batch now and then to see.
    fn wait_out(&self, decision: Decision) -> Decision {
        match decision.halt {
            Some((cause, reason)) if cause.is_configuration() => {
                let until = self.clock.now().plus(REFUSED_KEY_PAUSE);
                let reason = format!("{reason} ({})", cause.hint());
                tracing::error!(hint = cause.hint(), "Luma refuses everything; waiting for a person");
                Decision {
                    outcome: Outcome::Again { due_at: until, costs_attempt: false },
                    block: Some(Block { until, reason, cause: BlockCause::Refused }),
                    max_body: decision.max_body,
                    halt: None,
                }
            }
            halt => Decision { halt, ..decision },
        }
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
        if reply.status.is_some() {
            self.progress.unreached.store(0, Ordering::Relaxed);
        }
        match &reply.verdict {
            Verdict::Accepted | Verdict::Interrupted => {}
            Verdict::Throttled { .. } => {
                Progress::add(&self.progress.throttled, 1);
                let until = decision.block.as_ref().map(|block| block.until);
                if self.progress.is_new_block(until, self.clock.now()) {
                    let until = until.map(|until| until.to_string());
                    tracing::warn!(run, until, "Luma says too many requests; everybody waits");
                }
            }
            Verdict::Transient { unreached, .. } => {
                Progress::add(&self.progress.faults, 1);
                if *unreached {
                    Progress::add(&self.progress.unreached, 1);
                }
                let attempt = batch.attempts + 1;
                tracing::info!(batch = id, run, rows, attempt, status = reply.status, "a passing fault");
            }
            Verdict::Refused { .. } | Verdict::TooLarge { .. } => {
                tracing::info!(batch = id, run, rows, status = reply.status, "Luma refused a request");
            }
            Verdict::Halted { cause, .. } => {
                self.progress.halted(*cause);
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

/// What becomes of a batch whose request does not leave.
fn unsent(batch: ClaimedBatch, outcome: Outcome) -> Settlement {
    Settlement {
        batch,
        outcome,
        status: None,
        verdict: None,
        detail: None,
        block: None,
        max_body: None,
        halt: None,
    }
}

fn body_bytes(batch: &ClaimedBatch, addresses: &[&str]) -> usize {
    let tags: usize = batch.tags.ids().iter().map(|tag| address_bytes(tag.as_str())).sum();
    let rows: usize = addresses.iter().map(|address| address_bytes(address)).sum();
    BODY_FRAME + tags + rows
}
