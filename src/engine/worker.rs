//! This process as a worker: who it is, that it lives, and which others do not.
//!
//! A dead process of this machine is known by its pid and birth, so that its rows come back at
//! once; one elsewhere is known by its lease.

use std::time::Duration;

use super::error::chain;
use super::{Engine, EngineError, Stop};
use crate::clock::Clock;
use crate::store::{Store, WorkerIdentity};

/// Whether a process of this machine, or of this container, works on the database: it is there, and its lease
/// runs.
pub async fn is_alive_here(store: &Store, clock: &Clock) -> Result<bool, EngineError> {
    let (own_host, now) = (host(), clock.now());
    let is_there = |identity: &WorkerIdentity| !sees_others() || *identity == identity_of(identity.pid);
    let workers = store.workers().await?;
    let mut here =
        workers.iter().filter(|worker| worker.identity.host == own_host && worker.lease_until > now);
    Ok(here.any(|worker| is_there(&worker.identity)))
}

/// Whether a process is of this machine, or of this container.
#[must_use]
pub fn is_here(identity: &WorkerIdentity) -> bool {
    identity.host == host()
}

/// Enters this process and ends the workers of this machine that are dead.
pub(super) async fn enter(store: &Store, clock: &Clock, lease: Duration) -> Result<i64, EngineError> {
    redate(store, clock, lease).await?;
    end_dead(store, clock, None).await?;
    let now = clock.now();
    Ok(store.add_worker(&identity_of(std::process::id()), now, now.plus(lease)).await?)
}

/// A clock that was ahead would hold everybody up until the present has caught up with it.
async fn redate(store: &Store, clock: &Clock, lease: Duration) -> Result<(), EngineError> {
    if store.redate(clock.now(), lease).await? {
        tracing::warn!("the clock was ahead and is put right; what it wrote counts from now");
    }
    Ok(())
}

/// Ends every worker that is dead: gone from this machine, or silent beyond its lease.
async fn end_dead(store: &Store, clock: &Clock, own_id: Option<i64>) -> Result<(), EngineError> {
    let own_host = host();
    for worker in store.workers().await?.into_iter().filter(|worker| Some(worker.id) != own_id) {
        let now = clock.now();
        let is_here = worker.identity.host == own_host && !worker.identity.birth.is_empty();
        // Where other people's processes are hidden, an absent one proves nothing: the lease decides.
        let is_gone = is_here && sees_others() && worker.identity != identity_of(worker.identity.pid);
        if is_gone || worker.lease_until <= now {
            let only_if_expired_at = (!is_gone).then_some(now);
            let batches = store.end_worker(worker.id, now, only_if_expired_at).await?;
            tracing::warn!(worker = worker.id, batches, "a worker is gone; its batches are pending again");
        }
    }
    let passes = Box::pin(store.break_orphaned_passes(clock.now())).await?;
    if passes > 0 {
        tracing::warn!(passes, "sources that were left half taken in are free; what was taken in is sent");
    }
    let orphans = store.free_orphans(clock.now()).await?;
    if orphans > 0 {
        tracing::warn!(batches = orphans, "batches of unknown workers are pending again");
    }
    Ok(())
}

/// What the system tells of a process; an empty birth where there is no such process or no way to tell.
fn identity_of(pid: u32) -> WorkerIdentity {
    WorkerIdentity { host: host(), pid, birth: birth(pid).unwrap_or_default() }
}

/// Whether the processes of others are shown to us: the first one always is there.
fn sees_others() -> bool {
    std::path::Path::new("/proc/1/stat").exists()
}

/// The 22nd field of `/proc/PID/stat`: when the process began, in ticks since the machine did.
fn birth(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

/// The boot and the process namespace: where the same pid means the same process.
fn host() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), namespace.display())
}

impl Engine {
    /// Renews the lease and ends dead workers until told to stop.
    pub(super) async fn keep_alive(&self, stop: &Stop) {
        let pause = self.settings.lease / 4;
        loop {
            tokio::select! {
                () = stop.aborted() => return,
                () = self.clock.sleep(pause) => {}
            }
            let now = self.clock.now();
            let (until, own) = (now.plus(self.settings.lease), identity_of(std::process::id()));
            if let Err(error) = self.store.renew_worker(self.worker_id, &own, now, until).await {
                tracing::warn!(worker = self.worker_id, error = %chain(&error), "could not renew the lease");
            }
            if let Err(error) = redate(&self.store, &self.clock, self.settings.lease).await {
                tracing::warn!(error = %chain(&error), "could not look for records from the future");
            }
            if let Err(error) = end_dead(&self.store, &self.clock, Some(self.worker_id)).await {
                tracing::warn!(error = %chain(&error), "could not look for dead workers");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_one_that_is_gone() {
        let own = identity_of(std::process::id());
        assert_eq!(own, identity_of(std::process::id()));
        // Beyond the largest pid Linux gives.
        assert_eq!(birth(u32::MAX), None);
        assert_ne!(own, identity_of(1));
    }
}
