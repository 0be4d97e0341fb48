//! Before the first request that carries rows: is it the right key?

use std::time::Duration;

use super::{Engine, EngineError, Stop};
use crate::clock::Time;
use crate::domain::outcome::{Block, BlockCause};
use crate::domain::verdict::{Cause, Verdict};
use crate::luma::{Identity, Reply};
use crate::store::{Account, Claims, Scope};

/// What holds everybody up may end sooner than it said: a clock is put right, a block of ours is lifted.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Asks Luma whom the key belongs to and holds it against what the ledger rests on. Passing
    /// faults are retried; a service goes on for ever. A server that does not know the route is
    /// let through: its answer to the import will tell.
    pub async fn check_identity(&self, stop: &Stop) -> Result<Option<Identity>, EngineError> {
        let mut attempts = 0;
        loop {
            let reply = match self.ask_identity(stop).await? {
                Ok(identity) => return self.remember_identity(identity).await.map(Some),
                Err(reply) => reply,
            };
            let now = self.clock.now();
            match reply.verdict {
                Verdict::Halted { cause: Cause::Key | Cause::Plan | Cause::Calendar, reason } => {
                    let account = self.settings.account.clone();
                    return Err(EngineError::KeyRefused { account, reason });
                }
                Verdict::Throttled { retry_after } => {
                    let wait = retry_after.unwrap_or(self.settings.allowance.window);
                    let until = now.plus(wait.max(Duration::from_secs(1)));
                    let reason = "Luma answered 429: too many requests".to_owned();
                    let block = Block { until, reason, cause: BlockCause::Throttled };
                    self.store.block(&self.settings.account, &block).await?;
                }
                Verdict::Transient { reason, retry_after, .. } => {
                    attempts += 1;
                    if self.settings.retry.is_exhausted(attempts) && !self.settings.is_service {
                        return Err(EngineError::Unreachable(reason));
                    }
                    let wait = self.settings.retry.backoff(attempts, self.chance(), retry_after);
                    let seconds = wait.as_secs_f64().ceil();
                    tracing::warn!(
                        wait = format!("{seconds} s"),
                        status = reply.status,
                        "Luma does not answer; trying again"
                    );
                    tracing::debug!(%reason, "what was seen");
                    self.pause(now.plus(wait), wait, "Luma does not answer", stop).await?;
                }
                Verdict::Accepted
                | Verdict::Refused { .. }
                | Verdict::TooLarge { .. }
                | Verdict::Halted { .. }
                | Verdict::Interrupted => {
                    tracing::warn!(status = reply.status, "this server does not say whom the key belongs to");
                    return Ok(None);
                }
            }
        }
    }

    pub(super) async fn ask_identity(&self, stop: &Stop) -> Result<Result<Identity, Reply>, EngineError> {
        let claims = Claims {
            account: &self.settings.account,
            worker_id: self.worker_id,
            scope: Scope::All,
            limit: 1,
            allowance: self.settings.allowance,
            route: self.client.routes().user,
        };
        let attempt = loop {
            self.throttle.ready().await;
            match self.store.claim_request(&claims, &self.clock).await? {
                Ok(attempt) => break attempt,
                Err(until) => self.pause(until, LOOK_AGAIN, "the rate limit", stop).await?,
            }
        };
        let answer = self.client.whoami().await;
        let (status, verdict, detail) = match &answer {
            Ok((_, reply)) | Err(reply) => {
                (reply.status, reply.verdict.as_str(), reply.verdict.detail().map(str::to_owned))
            }
        };
        let now = self.clock.now();
        self.store.settle_request(attempt, status, verdict, detail.as_deref(), now).await?;
        Ok(answer.map(|(identity, _)| identity))
    }

    async fn remember_identity(&self, identity: Identity) -> Result<Identity, EngineError> {
        if let Some(found) = &identity.id {
            let known = self.store.set_identity(&self.settings.account, found).await?;
            if let Some(known) = known.filter(|known| known != found) {
                return Err(EngineError::WrongAccount { known, found: found.clone() });
            }
        }
        self.warn_of_twins(&identity).await?;
        self.store.set_origin(&self.settings.account, &self.settings.origin).await?;
        self.store.end_own_block(&self.settings.account).await?;
        tracing::info!(user = identity.id.as_deref().unwrap_or("unknown"), "the key is good");
        Ok(identity)
    }

    /// Two names for one calendar would use up its quota twice, and keep two ledgers of it.
    async fn warn_of_twins(&self, identity: &Identity) -> Result<(), EngineError> {
        let own = &self.settings.account;
        let is_twin = |other: &&Account| other.name != *own && other.identity == identity.id;
        let accounts = if identity.id.is_some() { self.store.accounts().await? } else { Vec::new() };
        for other in accounts.iter().filter(is_twin) {
            tracing::warn!(account = own, other = other.name, "both accounts belong to the same Luma user");
        }
        Ok(())
    }

    /// Sleeps until `until`, but no longer than `longest`, or fails with `Stopped`.
    pub(super) async fn pause(
        &self,
        until: Time,
        longest: Duration,
        why: &'static str,
        stop: &Stop,
    ) -> Result<(), EngineError> {
        self.progress.wait(Some((until, why)));
        let wait = until.since(self.clock.now()).min(longest);
        let stopped = tokio::select! {
            () = stop.requested() => true,
            () = self.clock.sleep(wait) => false,
        };
        self.progress.wait(None);
        if stopped { Err(EngineError::Stopped) } else { Ok(()) }
    }
}
