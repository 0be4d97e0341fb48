//! One request of the proof: its place, its answer, and what that means for everybody.

use super::Proving;
use crate::domain::outcome::{Block, pause_after_faults};
use crate::domain::verdict::{Cause, Verdict};
use crate::engine::identity::LOOK_AGAIN;
use crate::engine::{EngineError, Progress};
use crate::luma::{Answered, Reply};
use crate::store::{Claims, LookAnswer, LookClaim, Scope};

/// Why an answer told nothing.
#[derive(Debug)]
pub(super) enum Untold {
    /// The same is asked once more.
    Later,
    /// It is of no use to ask again.
    Never {
        /// Why.
        why: String,
        /// Whether it would be so for others too.
        is_of_all: bool,
    },
}

impl Proving<'_> {
    /// Makes a request about so many rows, once there is a place for it.
    pub(super) async fn ask<T>(
        &mut self,
        route: &'static str,
        rows: usize,
        request: impl Future<Output = Answered<T>>,
    ) -> Result<Result<T, Untold>, EngineError> {
        let engine = self.engine;
        let (attempt, faults) = self.place(route, rows).await?;
        let answer = tokio::select! {
            answer = request => answer,
            () = self.stop.aborted() => Err(Reply::interrupted()),
        };
        let (Ok((_, reply)) | Err(reply)) = &answer;
        engine.note_shared(attempt, reply.quota).await;
        let block = self.block(reply, faults);
        let (verdict, detail) = (reply.verdict.as_str(), reply.verdict.detail());
        let record =
            LookAnswer { attempt, status: reply.status, verdict, detail, faults, block: block.as_ref() };
        engine.store.settle_look(&engine.settings.account, &record, engine.clock.now()).await?;
        Progress::add(&engine.progress.requests, 1);
        // The words of an answer may hold an address.
        tracing::debug!(route, rows, status = reply.status, verdict, detail);
        match answer {
            Ok((said, _)) => {
                engine.progress.reached();
                engine.progress.end_halt();
                Ok(Ok(said))
            }
            Err(reply) => self.after(reply).await.map(Err),
        }
    }

    /// Waits for a place in the window.
    async fn place(&self, route: &'static str, rows: usize) -> Result<(i64, u32), EngineError> {
        let engine = self.engine;
        let claims = Claims {
            account: &engine.settings.account,
            worker_id: engine.worker_id,
            scope: Scope::All,
            limit: rows,
            allowance: engine.settings.allowance,
            route,
            tag_route: None,
            with_names: false,
        };
        loop {
            engine.throttle.ready().await;
            // A pass by hand has sent what it had to send; what else is due may be nobody's.
            let is_last = engine.settings.is_service;
            match engine.store.claim_look(self.prover, &claims, is_last, &engine.clock).await? {
                LookClaim::Granted { attempt, faults } => return Ok((attempt, faults)),
                LookClaim::Wait(until, why) => engine.pause(until, LOOK_AGAIN, why, self.stop).await?,
            }
            engine.give_up_by_hand()?;
        }
    }

    /// What keeps everybody from sending after this answer.
    fn block(&self, reply: &Reply, faults: u32) -> Option<Block> {
        let (engine, now) = (self.engine, self.engine.clock.now());
        match &reply.verdict {
            Verdict::Throttled { retry_after } => {
                Some(Block::throttled(*retry_after, engine.settings.allowance.window, now))
            }
            Verdict::Transient { reason, .. } => {
                pause_after_faults(reason, faults, engine.settings.retry, engine.chance(), now)
            }
            Verdict::Halted { cause: cause @ Cause::Key, reason } => {
                engine.block_refused(*cause, reason, now)
            }
            Verdict::Accepted
            | Verdict::Refused { .. }
            | Verdict::TooLarge { .. }
            | Verdict::Halted { .. }
            | Verdict::Interrupted => None,
        }
    }

    /// What follows from an answer that told nothing.
    async fn after(&mut self, reply: Reply) -> Result<Untold, EngineError> {
        let (progress, status) = (&self.engine.progress, reply.status);
        if status.is_some() {
            progress.reached();
        }
        match reply.verdict {
            Verdict::Interrupted => Err(EngineError::Stopped),
            Verdict::Throttled { .. } => {
                Progress::add(&progress.throttled, 1);
                tracing::warn!("Luma says too many requests; everybody waits");
                Ok(Untold::Later)
            }
            Verdict::Transient { reason, retry_after, unreached } => {
                Progress::add(&progress.faults, 1);
                if unreached {
                    Progress::add(&progress.unreached, 1);
                } else {
                    self.tries += 1;
                }
                let retry = self.engine.settings.retry;
                if retry.is_exhausted(self.tries) {
                    let why = format!("given up after {} attempts, the last one: {reason}", self.tries);
                    return Ok(Untold::Never { why, is_of_all: true });
                }
                tracing::info!(status, attempt = self.tries, "a passing fault while verifying");
                let wait = retry.backoff(self.tries.max(1), self.engine.chance(), retry_after);
                let until = self.engine.clock.now().plus(wait);
                self.engine.pause(until, wait, "Luma to answer well", self.stop).await?;
                Ok(Untold::Later)
            }
            Verdict::Halted { cause: cause @ Cause::Key, reason } => {
                if progress.is_new_halt(cause, &reason) {
                    tracing::error!(
                        status,
                        hint = cause.hint(),
                        "Luma refused to be asked what was delivered"
                    );
                }
                Ok(Untold::Later)
            }
            Verdict::Halted { cause, reason } => {
                Ok(Untold::Never { why: reason, is_of_all: cause != Cause::Tags })
            }
            Verdict::Refused { message } | Verdict::TooLarge { message } => {
                Ok(Untold::Never { why: message, is_of_all: false })
            }
            Verdict::Accepted => {
                Ok(Untold::Never { why: "an answer that says nothing".to_owned(), is_of_all: false })
            }
        }
    }
}
