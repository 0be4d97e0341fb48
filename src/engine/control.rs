//! Bad rows or a bad request: where in doubt, Luma is asked again for somebody it accepted.
//!
//! An import may be repeated, so this changes nothing at Luma and answers exactly, for one request. What
//! a control has proved is kept in memory: a restart costs one more.

use std::collections::HashMap;
use std::convert::Infallible;

use super::{Engine, EngineError, Stop};
use crate::clock::Time;
use crate::domain::refusal::{Answer, Control, Evidence, doubt};
use crate::domain::tag::TagSet;
use crate::domain::verdict::Verdict;
use crate::luma::{Answered, Reply};
use crate::store::ClaimedBatch;

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
    ) -> Result<Result<Evidence, Reply>, EngineError> {
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
    async fn ask_again(&self, email: &str, tags: &TagSet, stop: &Stop) -> Result<Reply, EngineError> {
        // Its answer says yes or no, and nothing besides.
        let import = async {
            // Who came on the list while this waited for its place is left alone.
            match self.store.screen(&self.settings.account).await {
                Ok(screen) if screen.reason(email).is_none() => {
                    Err(self.client.import(tags, std::iter::once(email.into())).await)
                }
                Ok(_) | Err(_) => Err(Reply::interrupted()),
            }
        };
        let asked: Result<Answered<Infallible>, _> =
            self.ask_behind(self.client.routes().import, import, stop).await;
        let reply = match asked {
            Ok(Err(reply)) => reply,
            Ok(Ok((never, _))) => match never {},
            Err(EngineError::Stopped) => return Ok(Reply::interrupted()),
            Err(error) => return Err(error),
        };
        let verdict = reply.verdict.as_str();
        tracing::info!(status = reply.status, verdict, "asked again for a row that Luma had accepted");
        Ok(reply)
    }
}
