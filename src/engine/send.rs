//! One claimed batch: request, verdict, and what follows from it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::error::chain;
use super::{Engine, EngineError, Progress, Stop};
use crate::clock::Time;
use crate::domain::batch::{BODY_FRAME, item_bytes};
use crate::domain::outcome::{Block, BlockCause, Decision, Facts, Outcome, decide};
use crate::domain::plan::CallKind;
use crate::domain::refusal::Evidence;
use crate::domain::verdict::{Cause, Verdict};
use crate::luma::{Contact, Reply};
use crate::store::{ClaimedBatch, Recipient, Settlement};

/// A service looks again this often whether a refused key has become good.
pub(super) const REFUSED_KEY_PAUSE: Duration = Duration::from_mins(5);

impl Engine {
    /// Sends a batch and decides what became of it; its outcome is written elsewhere.
    pub(super) async fn send(&self, batch: ClaimedBatch, stop: &Stop) -> Settlement {
        let addresses: Vec<&str> = batch.recipients.iter().map(|to| to.email.as_str()).collect();
        let body_bytes = self.body_bytes(&batch);
        if self.max_body(&batch).is_some_and(|max| body_bytes > max) && addresses.len() > 1 {
            // Larger than what may be sent, or than what Luma is known to take: halved without asking.
            return unsent(batch, Outcome::Split);
        }
        let now = self.clock.now();
        if now.since(batch.claimed_at) > self.settings.lease {
            // This machine slept: others may hold the batch by now, and its place in the window is gone.
            return unsent(batch, Outcome::Again { due_at: now, costs_attempt: false });
        }
        if let Some(unknown) = self.lacks_tag(&batch.tags, stop).await {
            let again = Outcome::Again { due_at: self.clock.now(), costs_attempt: false };
            let reason = format!("{unknown} ({})", Cause::Tags.hint());
            tracing::error!(run = batch.run_id, %unknown, "nothing is sent with a tag that is not there");
            return Settlement { halt: Some((Cause::Tags, reason)), ..unsent(batch, again) };
        }
        let reply = tokio::select! {
            reply = self.request(&batch, &addresses) => reply,
            () = stop.aborted() => Reply::interrupted(),
        };
        self.note_shared(batch.claim_id, reply.quota).await;
        if let Some(why) = not_as_contacts(&batch, &reply) {
            return as_import(batch, &reply, why, self.clock.now());
        }
        let judged = match &reply.verdict {
            Verdict::Refused { message } => match self.evidence(&batch, message, &addresses, stop).await {
                Ok(judged) => judged,
                Err(error) => return undecided(batch, &reply, &error, self.clock.now()),
            },
            _ => Ok(Evidence::default()),
        };
        // Where the control met something else than yes or no, that is what is true of everybody.
        let (evidence, verdict) = match &judged {
            Ok(evidence) => (*evidence, &reply.verdict),
            Err(control) => (Evidence::default(), &control.verdict),
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
        let decision = decide(verdict, &facts);
        let decision = self.wait_out(decision);
        self.tell(&batch, &reply, &decision);
        Settlement {
            batch,
            outcome: decision.outcome,
            status: reply.status,
            verdict: Some(reply.verdict.as_str()),
            detail: reply.verdict.detail().map(str::to_owned),
            block: decision.block,
            max_body: decision.max_body,
            as_import: false,
            halt: decision.halt.map(|(cause, reason)| (cause, format!("{reason} ({})", cause.hint()))),
        }
    }

    /// Imports the people of a batch, or gives them a tag as the contacts that they are.
    async fn request(&self, batch: &ClaimedBatch, addresses: &[&str]) -> Reply {
        match (batch.kind, batch.tags.ids()) {
            (CallKind::Tag, [tag]) if self.client.routes().apply_tag.is_some() => {
                match self.client.apply_tag(tag, addresses).await {
                    Ok((applied, reply)) if applied.applied == addresses.len() as u64 => reply,
                    Ok((_, reply)) => reply.refusing("not all of them were given the tag"),
                    Err(reply) => reply,
                }
            }
            _ => self.client.import(&batch.tags, batch.recipients.iter().map(contact)).await,
        }
    }

    /// Bytes of the largest body worth trying. A batch that was laid alone was kept below the limit; of a call
    /// only the number of people is planned.
    fn max_body(&self, batch: &ClaimedBatch) -> Option<usize> {
        let planned = batch.call_id.map(|_| self.settings.limits.max_bytes);
        [batch.max_body, planned].into_iter().flatten().min()
    }

    /// No run is given up because of the key or the plan: it waits for a person. A service sends
    /// something now and then to see; a pass by hand ends.
    fn wait_out(&self, decision: Decision) -> Decision {
        match decision.halt {
            Some((cause, reason)) if cause.is_configuration() => {
                let now = self.clock.now();
                Decision {
                    // The block holds everybody up, and its end lets everybody go on.
                    outcome: Outcome::Again { due_at: now, costs_attempt: false },
                    block: self.block_refused(cause, &reason, now),
                    max_body: decision.max_body,
                    halt: None,
                }
            }
            halt => Decision { halt, ..decision },
        }
    }

    /// How long a service leaves a refused key alone.
    pub(super) fn block_refused(&self, cause: Cause, reason: &str, now: Time) -> Option<Block> {
        self.settings.is_service.then(|| Block {
            until: now.plus(REFUSED_KEY_PAUSE),
            reason: format!("{reason} ({})", cause.hint()),
            cause: BlockCause::Refused,
        })
    }

    fn body_bytes(&self, batch: &ClaimedBatch) -> usize {
        let tags: usize = batch.tags.ids().iter().map(|tag| item_bytes(tag.as_str())).sum();
        let members = batch.recipients.iter().map(contact);
        BODY_FRAME + tags + members.map(|member| self.client.contact_bytes(&member)).sum::<usize>()
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
            Verdict::Accepted => self.progress.end_halt(),
            Verdict::Interrupted => {}
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
            Verdict::Halted { cause, reason } => {
                if self.progress.is_new_halt(*cause, reason) {
                    let (status, hint) = (reply.status, cause.hint());
                    tracing::error!(run, status, hint, "Luma refused a request, and not because of its rows");
                }
            }
        }
    }
}

/// A refusal that cannot be weighed because the database does not say what came before it: the rows are
/// asked for once more.
fn undecided(batch: ClaimedBatch, reply: &Reply, error: &EngineError, now: Time) -> Settlement {
    tracing::warn!(batch = batch.id, error = chain(error), "a refusal could not be weighed; asking again");
    Settlement {
        status: reply.status,
        verdict: Some(reply.verdict.as_str()),
        detail: reply.verdict.detail().map(str::to_owned),
        ..unsent(batch, Outcome::Again { due_at: now, costs_attempt: false })
    }
}

/// Why people cannot be given a tag as contacts: some of them are none, or Luma does not have it so.
fn not_as_contacts<'a>(batch: &ClaimedBatch, reply: &'a Reply) -> Option<&'a str> {
    match &reply.verdict {
        _ if batch.kind == CallKind::Import => None,
        Verdict::Refused { message } | Verdict::TooLarge { message } => Some(message),
        Verdict::Halted { cause: Cause::Route | Cause::Tags, reason } => Some(reason),
        Verdict::Accepted
        | Verdict::Throttled { .. }
        | Verdict::Transient { .. }
        | Verdict::Halted { .. }
        | Verdict::Interrupted => None,
    }
}

/// They are imported instead, which does the same for contacts and makes contacts of the others.
fn as_import(batch: ClaimedBatch, reply: &Reply, why: &str, now: Time) -> Settlement {
    tracing::debug!(batch = batch.id, status = reply.status, why, "a tag is given by an import instead");
    Settlement {
        status: reply.status,
        verdict: Some(reply.verdict.as_str()),
        detail: Some(why.to_owned()),
        as_import: true,
        ..unsent(batch, Outcome::Again { due_at: now, costs_attempt: false })
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
        as_import: false,
        halt: None,
    }
}

/// A member as it is sent. A name whose bytes were no text is left out: Luma would keep it for ever.
fn contact(to: &Recipient) -> Contact<'_> {
    let name = to.name.as_deref().filter(|name| !name.contains(char::REPLACEMENT_CHARACTER));
    Contact { email: &to.email, name }
}
