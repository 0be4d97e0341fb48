//! Bad rows or a bad request: where in doubt, Luma is asked again for somebody it accepted.
//!
//! An import may be repeated, so this changes nothing at Luma and answers exactly, for one request. What
//! a control has proved is kept in memory: a restart costs one more.

use std::collections::HashMap;

use super::identity::LOOK_AGAIN;
use super::{Engine, Progress, Stop};
use crate::clock::Time;
use crate::domain::refusal::{Answer, Control, Evidence, doubt};
use crate::domain::tag::TagSet;
use crate::domain::verdict::Verdict;
use crate::luma::Reply;
use crate::store::{ClaimedBatch, Claims, Scope, StoreError};

/// When a control last proved that the rows of a run, or those of one of its tag sets, were to blame.
pub(super) type Proved = HashMap<(i64, Option<i64>), Time>;

impl Engine {
    /// What is known of the run of a refused batch, after a control where one is called for. The reply to
    /// that one instead where it came to something else than yes or no.
    pub(super) async fn evidence(
        &self,
        batch: &ClaimedBatch,
        message: &str,
        addresses: &[&str],
        stop: &Stop,
    ) -> Result<Result<Evidence, Reply>, StoreError> {
        // Held until the control is answered: others in doubt meanwhile rest on the same one.
        let mut proved = self.proved.lock().await;
        let key = (batch.run_id, Some(batch.tag_set_id));
        let since = |key| proved.get(&key).copied().unwrap_or(Time::from_micros(0));
        let since = [since(key), since((batch.run_id, None))];
        let evidence = self.store.evidence(batch.run_id, batch.tag_set_id, since).await?;
        let Some(control) = doubt(message, addresses, evidence) else { return Ok(Ok(evidence)) };
        // A row that somebody deleted proves nothing.
        let Some((email, tags)) = self.store.accepted_row(batch, control).await? else {
            return Ok(Ok(evidence));
        };
        let reply = self.ask_again(&email, &tags, stop).await?;
        let answer = match &reply.verdict {
            Verdict::Accepted => Answer::Accepted,
            Verdict::Refused { .. } | Verdict::TooLarge { .. } => Answer::Refused,
            Verdict::Throttled { .. }
            | Verdict::Transient { .. }
            | Verdict::Halted { .. }
            | Verdict::Interrupted => return Ok(Err(reply)),
        };
        if answer == Answer::Accepted {
            let now = self.clock.now();
            proved.insert((batch.run_id, None), now);
            if control == Control::SameTags {
                proved.insert(key, now);
            }
        }
        Ok(Ok(Evidence { control: answer, ..evidence }))
    }

    /// Imports somebody again who was accepted, within the quota and on record like every request.
    async fn ask_again(&self, email: &str, tags: &TagSet, stop: &Stop) -> Result<Reply, StoreError> {
        let claims = Claims {
            account: &self.settings.account,
            worker_id: self.worker_id,
            scope: Scope::All,
            limit: 1,
            allowance: self.member_allowance(),
            route: self.client.routes().import,
            with_names: false,
        };
        let attempt = loop {
            self.throttle.ready().await;
            match self.store.claim_request(&claims, &self.clock).await? {
                Ok(attempt) => break attempt,
                // It fails only where a stop was asked for.
                Err(until) => {
                    if self.pause(until, LOOK_AGAIN, "the rate limit", stop).await.is_err() {
                        return Ok(Reply::interrupted());
                    }
                }
            }
        };
        let reply = tokio::select! {
            reply = self.client.import(tags, std::iter::once(email.into())) => reply,
            () = stop.aborted() => Reply::interrupted(),
        };
        Progress::add(&self.progress.requests, 1);
        let (verdict, detail) = (reply.verdict.as_str(), reply.verdict.detail());
        self.store.settle_request(attempt, reply.status, verdict, detail, self.clock.now()).await?;
        tracing::info!(status = reply.status, verdict, "asked again for a row that Luma had accepted");
        Ok(reply)
    }
}
