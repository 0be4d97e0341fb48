//! Before the first request that carries rows: is it the right key?

use std::time::Duration;

use super::{Engine, EngineError, Stop};
use crate::clock::Time;
use crate::luma::Identity;
use crate::store::Account;

/// What holds everybody up may end sooner than it said: a clock is put right, a block of ours is lifted.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Asks Luma whom the key belongs to and holds it against what the ledger rests on. Passing
    /// faults are retried; a service goes on for ever. A server that does not know the route is
    /// let through: its answer to the import will tell.
    pub async fn check_identity(&self, stop: &Stop) -> Result<Option<Identity>, EngineError> {
        let route = self.client.routes().user;
        match self.ask_patiently(route, || self.client.whoami(), stop).await? {
            Ok((identity, _)) => self.remember_identity(identity).await.map(Some),
            Err(reply) => {
                tracing::warn!(status = reply.status, "this server does not say whom the key belongs to");
                Ok(None)
            }
        }
    }

    async fn remember_identity(&self, identity: Identity) -> Result<Identity, EngineError> {
        if let Some((user, found)) = identity.id.as_ref().zip(identity.owner()) {
            let known = self.store.set_identity(&self.settings.account, user, &found).await?;
            if let Some(known) = known.filter(|known| *known != found) {
                return Err(EngineError::WrongAccount { known, found });
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
        let is_twin = |other: &&Account| other.name != *own && other.identity == identity.owner();
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
