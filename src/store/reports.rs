//! What people ask of the database: counts, causes, bad rows, depth of the queue.

use super::lossy::Lossy;
use super::time::Written;
use super::{Result, Run, Store, StoreError, read};
use crate::clock::Time;
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
    /// The sum of all outcomes: what `read` must equal.
    #[must_use]
    pub const fn accounted(&self) -> u64 {
        self.pending
            + self.in_flight
            + self.delivered
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
        self.invalid + self.rejected + self.failed
    }

    /// The status of a run of which these counts are all.
    #[must_use]
    pub const fn status(&self) -> RunStatus {
        if self.bad() + self.unknown == 0 { RunStatus::Succeeded } else { RunStatus::Partial }
    }

    fn add(&mut self, state: RowState, rows: u64) {
        let count = match state {
            RowState::New | RowState::Pending => &mut self.pending,
            RowState::InFlight => &mut self.in_flight,
            RowState::Delivered => &mut self.delivered,
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

/// Rows that were not sent, by their stable code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseGroup {
    /// The state they ended in.
    pub state: String,
    /// The stable code.
    pub code: String,
    /// How many.
    pub rows: u64,
    /// The most frequent reasons, the largest first.
    pub reasons: Vec<ReasonGroup>,
    /// Reasons that are not among them.
    pub more_reasons: u64,
}

impl CauseGroup {
    /// Rows of the reasons that are not named.
    #[must_use]
    pub fn more_rows(&self) -> u64 {
        self.rows.saturating_sub(self.reasons.iter().map(|reason| reason.rows).sum())
    }
}

/// Rows that were not sent for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonGroup {
    /// The reason in words.
    pub reason: String,
    /// How many.
    pub rows: u64,
    /// The first lines, or row ids where there is no file.
    pub first_lines: Vec<u64>,
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

/// A row that was not sent.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct BadRow {
    /// Its number.
    pub id: i64,
    /// The line of its file, if it came from one.
    pub line: Option<i64>,
    /// The address as given.
    #[sqlx(try_from = "Lossy")]
    pub email: String,
    /// The name, if it had one.
    #[sqlx(try_from = "Lossy")]
    pub name: Option<String>,
    /// The tags as given or as resolved.
    #[sqlx(try_from = "Lossy")]
    pub tags: Option<String>,
    /// The state it ended in.
    pub state: String,
    /// The stable code.
    pub code: String,
    /// Why, in words.
    pub reason: String,
}

/// How much is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Rows nobody has read.
    pub new: u64,
    /// Rows waiting for a request, in runs that are being sent.
    pub pending: u64,
    /// Rows in a request now.
    pub in_flight: u64,
    /// Rows of runs that stopped and need a person.
    pub stopped: u64,
    /// When the oldest unread or pending row came.
    pub oldest: Option<Time>,
}

/// The states of rows that were not sent and that a file of rejects holds.
macro_rules! not_sent {
    () => {
        "('invalid', 'rejected', 'failed', 'suppressed', 'canceled')"
    };
}

#[derive(sqlx::FromRow)]
struct ReasonRow {
    state: String,
    code: String,
    reason: String,
    n: i64,
    lines: String,
    code_rows: i64,
    code_reasons: i64,
}

impl ReasonRow {
    fn reason(&self) -> ReasonGroup {
        let mut first_lines: Vec<u64> = self.lines.split(',').filter_map(|at| at.parse().ok()).collect();
        first_lines.sort_unstable();
        ReasonGroup { reason: self.reason.clone(), rows: self.n.unsigned_abs(), first_lines }
    }
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
        counts_of(run, by_state)
    }

    /// The same from what the batches say of their rows: quick, for people who look often.
    pub async fn run_counts(&self, run: &Run) -> Result<RunCounts> {
        if run.kind == Kind::Events {
            return self.count_events(run).await;
        }
        let by_state: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as(concat!(
                "select state, cast(sum(row_count) as bigint) from batches
                  where run_id = $1 and state in ('pending', 'in_flight', 'delivered') group by state
                 union all
                 select state, count(*) from member_queue
                  where run_id = $1 and code is not null and state in ", not_sent!(), " group by state
                 union all
                 select state, count(*) from member_queue
                  where run_id = $1 and batch_id is null and state not in ", not_sent!(), "
                  group by state",
            ))
            .bind(run.id)
            .fetch_all(db)
            .await?
        });
        counts_of(run, by_state)
    }

    /// Requests that left for a run.
    pub async fn run_requests(&self, run_id: i64) -> Result<u64> {
        let requests: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select (select count(*) from batches b join attempts a on a.batch_id = b.id where b.run_id = $1)
                      + (select count(*) from event_queue e join attempts a on a.event_id = e.id where e.run_id = $1)",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        Ok(requests.unsigned_abs())
    }

    /// A run's rows that were not sent, by code, the largest group first; each with its most frequent
    /// reasons, and each reason with its first lines.
    pub async fn causes(&self, run_id: i64) -> Result<Vec<CauseGroup>> {
        let rows: Vec<ReasonRow> = read!(self, db => {
            sqlx::query_as(concat!(
                "with told as (
                     select state, code, reason, coalesce(line, id) as line_or_id,
                            row_number() over (partition by state, code, reason order by coalesce(line, id)) as place
                       from (select id, line, state, code, reason from member_queue
                              where run_id = $1 and code is not null and state in ", not_sent!(), "
                             union all
                             select id, line, state, code, reason from event_queue
                              where run_id = $1 and code is not null) unsent),
                 reasons as (
                     select state, code, reason, count(*) as n, min(line_or_id) as first_at,
                            string_agg(case when place <= 5 then cast(line_or_id as text) end, ',') as lines
                       from told group by state, code, reason),
                 ranked as (
                     select *, cast(sum(n) over (partition by state, code) as bigint) as code_rows,
                            count(*) over (partition by state, code) as code_reasons,
                            row_number() over (partition by state, code order by n desc, first_at) as place
                       from reasons)
                 select state, code, reason, n, lines, code_rows, code_reasons from ranked
                  where place <= 5 order by code_rows desc, code, state, place",
            ))
            .bind(run_id)
            .fetch_all(db)
            .await?
        });
        let mut causes: Vec<CauseGroup> = Vec::new();
        for row in rows {
            let is_same = |cause: &&mut CauseGroup| cause.code == row.code && cause.state == row.state;
            let reason = row.reason();
            if let Some(cause) = causes.last_mut().filter(is_same) {
                cause.reasons.push(reason);
                cause.more_reasons = cause.more_reasons.saturating_sub(1);
            } else {
                causes.push(CauseGroup {
                    state: row.state,
                    code: row.code,
                    rows: row.code_rows.unsigned_abs(),
                    reasons: vec![reason],
                    more_reasons: row.code_reasons.unsigned_abs().saturating_sub(1),
                });
            }
        }
        Ok(causes)
    }

    /// A page of a run's rows that were not sent: those of a file after line `after.0`, those of the queue after id `after.1`.
    pub async fn bad_rows(&self, run_id: i64, after: (i64, i64), limit: u32) -> Result<Vec<BadRow>> {
        let rows = read!(self, db => {
            // The told rows of a file lie in order of line; those of the queue have none.
            sqlx::query_as(concat!(
                "select q.id, q.line, q.email, q.name, coalesce(q.tags, t.tags) as tags,
                        q.state, q.code, q.reason
                   from member_queue q left join tag_sets t on t.id = q.tag_set_id
                  where q.run_id = $1 and q.code is not null and q.line > $2
                    and q.state in ", not_sent!(), "
                 union all
                 select q.id, q.line, q.email, q.name, coalesce(q.tags, t.tags) as tags,
                        q.state, q.code, q.reason
                   from member_queue q left join tag_sets t on t.id = q.tag_set_id
                  where q.run_id = $1 and q.code is not null and q.line is null and q.id > $3
                    and q.state in ", not_sent!(), "
                 order by 2, 1 limit $4",
            ))
            .bind(run_id)
            .bind(after.0)
            .bind(after.1)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        Ok(rows)
    }

    /// How much is waiting in the account.
    pub async fn queue_depth(&self, account: &str) -> Result<QueueDepth> {
        let (new, oldest_new): (i64, Option<Written>) = read!(self, db => {
            sqlx::query_as(
                "select count(*), min(created_at) from member_queue
                  where state = 'new' and run_id is null and account = $1",
            )
            .bind(account)
            .fetch_one(db)
            .await?
        });
        let (pending, stopped, oldest_run): (i64, i64, Option<Time>) = read!(self, db => {
            sqlx::query_as(
                "select cast(coalesce(sum(case when r.finished_at is null then b.row_count end), 0) as bigint),
                        cast(coalesce(sum(case when r.finished_at is not null then b.row_count end), 0) as bigint),
                        min(r.created_at)
                   from batches b join runs r on r.id = b.run_id
                  where b.state = 'pending' and b.account = $1",
            )
            .bind(account)
            .fetch_one(db)
            .await?
        });
        let in_flight: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select cast(coalesce(sum(row_count), 0) as bigint) from batches
                  where state = 'in_flight' and account = $1",
            )
            .bind(account)
            .fetch_one(db)
            .await?
        });
        Ok(QueueDepth {
            new: new.unsigned_abs(),
            pending: pending.unsigned_abs(),
            in_flight: in_flight.unsigned_abs(),
            stopped: stopped.unsigned_abs(),
            // Other programs may write the moment as they like.
            oldest: [oldest_new.and_then(|Written(at)| at), oldest_run].into_iter().flatten().min(),
        })
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
    Ok(counts)
}
