//! The rows of a run by where they stand: row by row, and from what the batches say.

use super::reports::not_sent;
use super::{Result, Run, Store, StoreError, read};
use crate::domain::state::{Kind, RowState, RunStatus};

/// The rows of a run by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Rows read.
    pub read: u64,
    /// Waiting for a request.
    pub pending: u64,
    /// In a request now.
    pub in_flight: u64,
    /// Accepted by Luma.
    pub delivered: u64,
    /// Accepted by Luma, and found in the audience.
    pub verified: u64,
    /// Accepted by Luma, and not found in the audience.
    pub missing: u64,
    /// Events that Luma has created.
    pub created: u64,
    /// Events of which nobody knows whether they exist.
    pub unknown: u64,
    /// Refused by Luma.
    pub rejected: u64,
    /// Given up after passing faults.
    pub failed: u64,
    /// Refused by us.
    pub invalid: u64,
    /// The same person twice in the run.
    pub duplicate: u64,
    /// Nothing to send.
    pub unchanged: u64,
    /// Left alone for a good reason.
    pub suppressed: u64,
    /// Waiting for approval.
    pub held: u64,
    /// Dropped by a person.
    pub canceled: u64,
}

impl RunCounts {
    /// Every outcome and its rows: their sum is what was read.
    #[must_use]
    pub const fn outcomes(&self) -> [(&'static str, u64); 16] {
        [
            ("delivered", self.delivered),
            ("verified", self.verified),
            ("missing", self.missing),
            ("created", self.created),
            ("unknown", self.unknown),
            ("unchanged", self.unchanged),
            ("duplicate", self.duplicate),
            ("invalid", self.invalid),
            ("rejected", self.rejected),
            ("failed", self.failed),
            ("pending", self.pending),
            ("in_flight", self.in_flight),
            ("suppressed", self.suppressed),
            ("held", self.held),
            ("canceled", self.canceled),
            ("unaccounted", self.read.saturating_sub(self.accounted())),
        ]
    }

    /// The sum of all outcomes: what `read` must equal.
    #[must_use]
    pub const fn accounted(&self) -> u64 {
        self.pending
            + self.in_flight
            + self.delivered
            + self.verified
            + self.missing
            + self.created
            + self.unknown
            + self.rejected
            + self.failed
            + self.invalid
            + self.duplicate
            + self.unchanged
            + self.suppressed
            + self.held
            + self.canceled
    }

    /// Rows that need a person's eye.
    #[must_use]
    pub const fn bad(&self) -> u64 {
        self.invalid + self.rejected + self.failed + self.missing
    }

    /// The status of a run of which these counts are all.
    #[must_use]
    pub const fn status(&self) -> RunStatus {
        if self.bad() + self.unknown == 0 { RunStatus::Succeeded } else { RunStatus::Partial }
    }

    pub(super) fn add(&mut self, state: RowState, rows: u64) {
        let count = match state {
            RowState::New | RowState::Pending => &mut self.pending,
            RowState::InFlight => &mut self.in_flight,
            RowState::Delivered => &mut self.delivered,
            RowState::Verified => &mut self.verified,
            RowState::Missing => &mut self.missing,
            RowState::Rejected => &mut self.rejected,
            RowState::Failed => &mut self.failed,
            RowState::Invalid => &mut self.invalid,
            RowState::Duplicate => &mut self.duplicate,
            RowState::Unchanged => &mut self.unchanged,
            RowState::Suppressed => &mut self.suppressed,
            RowState::Held => &mut self.held,
            RowState::Canceled => &mut self.canceled,
        };
        *count += rows;
    }
}

/// A run and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// The run.
    pub run: Run,
    /// Its rows.
    pub counts: RunCounts,
    /// Requests that left for it.
    pub requests: u64,
}

impl Store {
    /// The rows of a run by where they stand, row by row: what the end of a run rests on.
    pub async fn count_rows(&self, run: &Run) -> Result<RunCounts> {
        if run.kind == Kind::Events {
            return self.count_events(run).await;
        }
        let by_state: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as(
                "select state, cast(sum(n) as bigint) from (
                     select q.state as state, count(*) as n
                       from batches b join member_queue q on q.batch_id = b.id
                      where b.run_id = $1 group by q.state
                     union all
                     select state, count(*) from member_queue
                      where run_id = $1 and batch_id is null group by state) counted
                 group by state",
            )
            .bind(run.id)
            .fetch_all(db)
            .await?
        });
        let mut counts = counts_of(run, by_state)?;
        Box::pin(self.add_gone(run, &mut counts)).await?;
        Ok(counts)
    }

    /// The same from what the batches say of their rows: quick, for people who look often.
    pub async fn run_counts(&self, run: &Run) -> Result<RunCounts> {
        if run.kind == Kind::Events {
            return self.count_events(run).await;
        }
        let by_state: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as(concat!(
                "select state, cast(sum(row_count - away_rows - verified_rows) as bigint) from batches
                  where run_id = $1 and state in ('pending', 'in_flight', 'delivered') group by state
                 union all
                 select 'verified', cast(coalesce(sum(verified_rows), 0) as bigint) from batches where run_id = $1
                 union all
                 select state, count(*) from member_queue
                  where run_id = $1 and code is not null and state in ", not_sent!(), " group by state
                 union all
                 select state, count(*) from member_queue
                  where run_id = $1 and batch_id is null and state in ('unchanged', 'duplicate', 'held')
                  group by state",
            ))
            .bind(run.id)
            .fetch_all(db)
            .await?
        });
        let mut counts = counts_of(run, by_state)?;
        // Their batches count them among the delivered.
        counts.delivered = counts.delivered.saturating_sub(counts.missing);
        Box::pin(self.add_gone(run, &mut counts)).await?;
        Ok(counts)
    }

    /// Requests that left for a run.
    pub async fn run_requests(&self, run_id: i64) -> Result<u64> {
        let requests: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select (select count(*) from batches b join attempts a on a.batch_id = b.id where b.run_id = $1)
                      + (select count(*) from event_queue e join attempts a on a.event_id = e.id where e.run_id = $1)
                      + (select coalesce(max(gone_requests), 0) from runs where id = $1)",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        Ok(requests.unsigned_abs())
    }
}

fn counts_of(run: &Run, by_state: Vec<(String, i64)>) -> Result<RunCounts> {
    let mut counts = RunCounts {
        read: run.read_rows,
        duplicate: run.duplicate_rows,
        unchanged: run.unchanged_rows,
        ..RunCounts::default()
    };
    for (state, rows) in by_state {
        let known = RowState::parse(&state);
        let state = known.ok_or_else(|| StoreError::corrupt("member_queue", "state", &state))?;
        counts.add(state, rows.unsigned_abs());
    }
    if run.status == RunStatus::Held {
        // The run says it once for all its rows.
        counts.held += std::mem::take(&mut counts.pending);
    }
    Ok(counts)
}
