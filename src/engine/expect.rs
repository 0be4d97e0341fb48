//! What is expected of sources is looked after: one that stays silent or shrinks is told of once, and so is its
//! recovery.

use std::time::Duration;

use super::error::chain;
use super::{Engine, EngineError, Stop};
use crate::domain::expect::{Expectation, Pass, Standing};
use crate::store::Expected;

/// How often sources are looked at: nobody expects them to the second.
const LOOK: Duration = Duration::from_secs(5);

impl Engine {
    /// Looks after all that is expected, until told to stop.
    pub(super) async fn watch_expectations(&self, stop: &Stop) {
        while !stop.is_requested() && !self.settings.expectations.is_empty() {
            if let Err(error) = self.check_expectations().await {
                tracing::warn!(error = %chain(&error), "what is expected of sources could not be looked at");
            }
            self.pause_or_stop(LOOK, stop).await;
        }
    }

    /// One look at every source that something is expected of.
    pub async fn check_expectations(&self) -> Result<(), EngineError> {
        let now = self.clock.now();
        let known = self.store.expected_sources().await?;
        for (source, expectation) in &self.settings.expectations {
            match known.iter().find(|known| known.source == *source) {
                None => self.store.expect_source(source, now).await?,
                Some(known) => self.compare(known, expectation).await?,
            }
        }
        Ok(())
    }

    async fn compare(&self, known: &Expected, expectation: &Expectation) -> Result<(), EngineError> {
        let now = self.clock.now();
        let standing = expectation.standing(known.since, known.last, now);
        if standing == known.standing || !self.store.note_standing(&known.source, standing, now).await? {
            return Ok(());
        }
        let (source, rows) = (&known.source, known.last.map(|pass| pass.rows));
        let last = known.last.map(|pass| pass.at.to_string());
        match standing {
            Standing::Late => {
                tracing::warn!(source, last, every = ?expectation.every.unwrap_or_default(), "nothing has come from a source for too long");
            }
            Standing::Short => {
                tracing::warn!(
                    source,
                    rows,
                    min_rows = expectation.min_rows,
                    "a source had fewer rows than expected"
                );
            }
            Standing::Met => tracing::info!(source, last, rows, "a source is again as expected"),
        }
        Ok(())
    }

    /// Notes that a source was taken in to its end by this run.
    pub(super) async fn note_pass(&self, source: &str, run_id: i64) -> Result<(), EngineError> {
        if let Some(run) = self.store.run(run_id).await? {
            let pass = Pass { at: self.clock.now(), rows: run.read_rows };
            self.store.note_pass(source, pass).await?;
        }
        Ok(())
    }
}
