//! Questions: requests that carry no rows and may be repeated, within the quota and on record like all others.
//!
//! Knows nothing of what is asked, nor of what follows from the answer.

use std::time::Duration;

use super::error::chain;
use super::identity::LOOK_AGAIN;
use super::{Engine, EngineError, Progress, Stop};
use crate::clock::Time;
use crate::domain::outcome::Block;
use crate::domain::verdict::{Cause, Verdict};
use crate::luma::{Answered, Quota, Reply};
use crate::store::{Allowance, Claims, Scope, Shared};

/// Less than clocks differ by: a moment so shortly past is one that is over.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

impl Engine {
    /// Asks once, as soon as the quota lets it: what Luma says, or the reply that does not say it.
    pub(super) async fn ask<T>(
        &self,
        route: &'static str,
        question: impl Future<Output = Answered<T>>,
        stop: &Stop,
    ) -> Result<Answered<T>, EngineError> {
        self.ask_within(self.settings.allowance, route, question, stop).await
    }

    /// The same, behind events that wait to be created.
    pub(super) async fn ask_behind<T>(
        &self,
        route: &'static str,
        question: impl Future<Output = Answered<T>>,
        stop: &Stop,
    ) -> Result<Answered<T>, EngineError> {
        self.ask_within(self.member_allowance(), route, question, stop).await
    }

    async fn ask_within<T>(
        &self,
        allowance: Allowance,
        route: &'static str,
        question: impl Future<Output = Answered<T>>,
        stop: &Stop,
    ) -> Result<Answered<T>, EngineError> {
        loop {
            match self.place(route, allowance).await? {
                Ok(attempt) => return self.ask_at(attempt, question, stop).await,
                Err(until) => self.pause(until, LOOK_AGAIN, "the rate limit", stop).await?,
            }
        }
    }

    /// A request's place in a window of so many, or when there may be one.
    pub(super) async fn place(
        &self,
        route: &'static str,
        allowance: Allowance,
    ) -> Result<Result<i64, Time>, EngineError> {
        let claims = Claims {
            account: &self.settings.account,
            worker_id: self.worker_id,
            scope: Scope::All,
            limit: 1,
            allowance,
            route,
            tag_route: None,
            with_names: false,
        };
        self.throttle.ready().await;
        Ok(self.store.claim_request(&claims, &self.clock).await?)
    }

    /// Asks in a place of the window.
    pub(super) async fn ask_at<T>(
        &self,
        attempt: i64,
        question: impl Future<Output = Answered<T>>,
        stop: &Stop,
    ) -> Result<Answered<T>, EngineError> {
        let answer = tokio::select! {
            answer = question => answer,
            () = stop.aborted() => Err(Reply::interrupted()),
        };
        Progress::add(&self.progress.requests, 1);
        let (Ok((_, reply)) | Err(reply)) = &answer;
        self.note_shared(attempt, reply.quota).await;
        let (verdict, detail) = (reply.verdict.as_str(), reply.verdict.detail());
        self.store.settle_request(attempt, reply.status, verdict, detail, self.clock.now()).await?;
        Ok(answer)
    }

    /// Asks until Luma answers. A block is waited out and passing faults are retried, by a service for ever;
    /// a key that is refused is an error. The reply where Luma says something else than was asked.
    pub(super) async fn ask_patiently<T, F>(
        &self,
        route: &'static str,
        question: impl Fn() -> F,
        stop: &Stop,
    ) -> Result<Answered<T>, EngineError>
    where
        F: Future<Output = Answered<T>>,
    {
        let mut attempts = 0;
        loop {
            let reply = match self.ask(route, question(), stop).await? {
                Err(reply) => reply,
                answer => return Ok(answer),
            };
            match &reply.verdict {
                Verdict::Halted { cause: cause @ (Cause::Key | Cause::Plan | Cause::Calendar), reason } => {
                    let (account, reason) = (self.settings.account.clone(), reason.clone());
                    return Err(EngineError::KeyRefused { account, cause: *cause, reason });
                }
                Verdict::Throttled { retry_after } => self.note_block(*retry_after).await?,
                Verdict::Transient { reason, retry_after, .. } => {
                    attempts += 1;
                    if self.settings.retry.is_exhausted(attempts) && !self.settings.is_service {
                        return Err(EngineError::Unreachable(reason.clone()));
                    }
                    let wait = self.settings.retry.backoff(attempts, self.chance(), *retry_after);
                    let seconds = wait.as_secs_f64().ceil();
                    tracing::warn!(
                        wait = format!("{seconds} s"),
                        status = reply.status,
                        "Luma does not answer; trying again"
                    );
                    tracing::debug!(%reason, "what was seen");
                    let until = self.clock.now().plus(wait);
                    self.pause(until, wait, "Luma does not answer", stop).await?;
                }
                Verdict::Interrupted => return Err(EngineError::Stopped),
                Verdict::Accepted
                | Verdict::Refused { .. }
                | Verdict::TooLarge { .. }
                | Verdict::Halted { .. } => return Ok(Err(reply)),
            }
        }
    }

    /// Notes what an answer says is left to all who share the calendar, once that is not plenty: everybody
    /// else's requests are in it.
    pub(super) async fn note_shared(&self, attempt: i64, quota: Option<Quota>) {
        let now = self.clock.now();
        let Some(Quota { remaining, limit, reset }) = quota else { return };
        if limit.is_some_and(|limit| remaining > limit / 2) {
            return;
        }
        // No window is longer than ours, whatever a header says. One that has just ended says nothing.
        let window = self.settings.allowance.window;
        let until = match reset {
            Some(reset) if reset > now => reset.min(now.plus(window)),
            Some(reset) if now.since(reset) < CLOCKS_DIFFER => return,
            Some(_) | None => now.plus(window),
        };
        let shared = Shared { left: remaining, after: attempt, until };
        if let Err(error) = self.store.note_shared(&self.settings.account, shared, now).await {
            // The next answer says it again.
            tracing::debug!(error = chain(&error), "what is left to others was not noted");
        }
    }

    /// Too many requests: nobody of this account sends before the block is over.
    pub(super) async fn note_block(&self, retry_after: Option<Duration>) -> Result<(), EngineError> {
        let block = Block::throttled(retry_after, self.settings.allowance.window, self.clock.now());
        self.store.block(&self.settings.account, &block).await?;
        Ok(())
    }
}
