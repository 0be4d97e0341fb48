//! The alarm clock: rings at the beginning of every minute of the wall clock, also after a sleep of the machine.
//!
//! It only wakes. What is due is decided elsewhere, by the clock that is an argument and the database.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Every moment that a schedule can be due at begins a minute.
const EVERY_MINUTE: &str = "0 * * * * *";

pub(super) struct Alarm {
    scheduler: JobScheduler,
    bell: Arc<Notify>,
}

impl Alarm {
    /// Winds it up.
    pub(super) async fn start() -> Result<Self, JobSchedulerError> {
        let (scheduler, bell) = (JobScheduler::new().await?, Arc::new(Notify::new()));
        let ring = Arc::clone(&bell);
        scheduler.add(Job::new(EVERY_MINUTE, move |_, _| ring.notify_one())?).await?;
        scheduler.start().await?;
        Ok(Self { scheduler, bell })
    }

    /// Waits until it rings. Safe to drop at any time: a ring that nobody waits for is kept.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    pub(super) async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the alarm clock could not be stopped");
        }
    }
}
