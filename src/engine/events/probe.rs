//! Whether Luma is well again, after faults in a row: asked by a question that may be repeated.

use std::sync::atomic::Ordering;

use crate::domain::outcome::{Block, BlockCause, FAULTS_IN_A_ROW};
use crate::domain::verdict::{Cause, Verdict};
use crate::engine::send::REFUSED_KEY_PAUSE;
use crate::engine::{Engine, EngineError, Progress, Stop};
use crate::luma::Reply;

impl Engine {
    /// Finds out whether Luma is well again by a question that may be repeated: an event would end in
    /// doubt if it is not. Whether it is.
    pub(super) async fn probe(&self, stop: &Stop) -> Result<bool, EngineError> {
        let reply = match self.ask(self.client.routes().user, self.client.whoami(), stop).await {
            Ok(Ok(_)) => return self.is_well().await,
            Ok(Err(reply)) => reply,
            Err(EngineError::Stopped) => return Ok(false),
            Err(error) => return Err(error),
        };
        let now = self.clock.now();
        let block = |until, reason: &str, cause| Block { until, reason: reason.to_owned(), cause };
        let block = match &reply.verdict {
            Verdict::Throttled { retry_after } => {
                Block::throttled(*retry_after, self.settings.allowance.window, now)
            }
            Verdict::Halted { cause: cause @ (Cause::Key | Cause::Plan | Cause::Calendar), reason } => {
                if !self.settings.is_service {
                    let (account, reason) = (self.settings.account.clone(), reason.clone());
                    return Err(EngineError::KeyRefused { account, cause: *cause, reason });
                }
                block(now.plus(REFUSED_KEY_PAUSE), reason, BlockCause::Refused)
            }
            Verdict::Transient { reason, retry_after, .. } => {
                self.count_unreached(&reply);
                let wait = self.settings.retry.backoff(FAULTS_IN_A_ROW, self.chance(), *retry_after);
                block(now.plus(wait), &format!("Luma does not answer well: {reason}"), BlockCause::Faults)
            }
            // It answers, if not to this question.
            Verdict::Accepted
            | Verdict::Refused { .. }
            | Verdict::TooLarge { .. }
            | Verdict::Halted { .. } => return self.is_well().await,
            Verdict::Interrupted => return Ok(false),
        };
        self.store.block(&self.settings.account, &block).await?;
        Ok(false)
    }

    async fn is_well(&self) -> Result<bool, EngineError> {
        self.store.end_own_block(&self.settings.account).await?;
        Ok(true)
    }

    fn count_unreached(&self, reply: &Reply) {
        match &reply.verdict {
            Verdict::Transient { unreached: true, .. } => Progress::add(&self.progress.unreached, 1),
            _ => self.progress.unreached.store(0, Ordering::Relaxed),
        }
    }
}
