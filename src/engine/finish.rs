//! The end of a run: every row accounted for, a status, and result files where there is a folder.

use super::error::chain;
use super::{Engine, EngineError};
use crate::domain::proof::Verify;
use crate::domain::state::RunStatus;
use crate::store::{FileState, PassState, Run, RunCounts, RunReport, SourcePass, Unproved};

/// What became of a run that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It goes on: rows are still to be read or sent.
    NotYet,
    /// It has ended, now or before.
    Ended(Box<RunReport>),
}

impl Engine {
    /// Ends a run if all its rows are accounted for and nothing is left to send or to prove.
    pub async fn finish_run(&self, run_id: i64) -> Result<Finished, EngineError> {
        self.release(run_id).await?;
        let Some(run) = self.store.run(run_id).await? else { return Ok(Finished::NotYet) };
        if run.status == RunStatus::Running {
            let file = self.store.file_of_run(run_id).await?;
            let is_taking = file.is_some_and(|file| file.state == FileState::Taking);
            if is_taking || self.store.has_work(run_id).await? {
                return Ok(Finished::NotYet);
            }
            self.close(&run).await?;
        } else if run.finished_at.is_none() {
            return Ok(Finished::NotYet);
        }
        Ok(Finished::Ended(Box::new(self.report(run_id).await?)))
    }

    /// Lets a run go on that ended with rows left to send. Whether it did.
    pub async fn resume_run(&self, run_id: i64) -> Result<bool, EngineError> {
        let Some(run) = self.store.run(run_id).await? else { return Ok(false) };
        let has_ended = run.finished_at.is_some() && run.status != RunStatus::Canceled;
        let goes_on = has_ended && self.store.has_work(run_id).await?;
        if goes_on {
            self.store.start_run(run_id).await?;
        }
        Ok(goes_on)
    }

    /// A run, its counts and its requests, as they stand.
    pub async fn report(&self, run_id: i64) -> Result<RunReport, EngineError> {
        let run = self.store.run(run_id).await?;
        let lost = || crate::store::StoreError::Lost { what: format!("run `{run_id}`") };
        let run = run.ok_or_else(lost)?;
        let counts = self.store.run_counts(&run).await?;
        let requests = self.store.run_requests(run_id).await?;
        Ok(RunReport { run, counts, requests })
    }

    async fn close(&self, run: &Run) -> Result<(), EngineError> {
        let counts = self.store.count_rows(run).await?;
        let pass = self.store.pass_of_run(run.id).await?;
        let breach = breach(&counts).or_else(|| pass.and_then(|pass| broken(&pass, &counts)));
        let unproved = self.store.unproved(run.id).await?;
        let status = match &breach {
            Some(_) => RunStatus::Failed,
            None if unproved.short > 0 => RunStatus::Partial,
            // Counts are taken where that costs little; who wants to know of everybody is not served without.
            None if unproved.rows > 0 && run.verify == Verify::Full => RunStatus::Partial,
            None => counts.status(),
        };
        let reason = breach.clone().or_else(|| in_doubt(&unproved));
        let ended =
            self.store.end_run(run.id, status, reason.as_deref(), counts.read, self.clock.now()).await?;
        if !ended {
            return Ok(());
        }
        let RunCounts { read, delivered, verified, created, unknown, unchanged, duplicate, .. } = counts;
        let bad = counts.bad();
        tracing::info!(run = run.id, %status, read, delivered, verified, created, unknown, unchanged, duplicate, bad, "the run has ended");
        if let Some(breach) = breach {
            tracing::error!(run = run.id, "{breach}");
        }
        Ok(())
    }

    /// Ends rows of canceled runs that came back from their request unsent.
    pub async fn drop_canceled(&self) -> Result<(), EngineError> {
        let rows = self.store.drop_canceled(self.clock.now()).await?;
        if rows > 0 {
            tracing::info!(rows, "rows of canceled runs came back unsent and are canceled");
        }
        Ok(())
    }

    /// Writes on every run that has rows to send why it stands still, where this error says so.
    pub async fn stand_still(&self, error: &EngineError) {
        let Some(why) = error.standstill() else { return };
        if let Err(error) = self.store.stand_still(&self.settings.account, &why).await {
            tracing::warn!(error = %chain(&error), "could not write down why the runs stand still");
        }
    }

    /// Looks at every open run once, and ends those that have nothing left to do.
    pub(super) async fn finish_runs(&self) -> Result<(), EngineError> {
        self.drop_canceled().await?;
        for run in self.store.open_runs().await? {
            self.finish_run(run.id).await?;
        }
        Ok(())
    }
}

/// What the proof could not find out, in words.
fn in_doubt(unproved: &Unproved) -> Option<String> {
    let Unproved { rows, why, short, absent } = unproved;
    let untold = why.as_ref().map(|why| format!("{rows} delivered rows could not be verified: {why}"));
    let requests = if *short == 1 { "one request".to_owned() } else { format!("{short} requests") };
    let short =
        (*short > 0).then(|| format!("Luma counts {absent} people fewer than were sent, in {requests}"));
    let told: Vec<String> = untold.into_iter().chain(short).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// A pass that broke off has failed, whatever became of the rows that it took in.
fn broken(pass: &SourcePass, counts: &RunCounts) -> Option<String> {
    let PassState::Broken(why) = &pass.state else { return None };
    let rows = counts.read;
    Some(format!(
        "broke off after {rows} rows, which have their outcome; the next pass reads the others: {why}"
    ))
}

/// Every row read ends in exactly one outcome; otherwise in these words.
fn breach(counts: &RunCounts) -> Option<String> {
    let (read, accounted) = (counts.read, counts.accounted());
    (read != accounted)
        .then(|| format!("{read} rows were read and {accounted} are accounted for: unless rows were deleted from `member_queue`, please report this"))
}
