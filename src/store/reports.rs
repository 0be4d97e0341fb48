//! What people ask of the database: causes, bad rows, depth of the queue.

use super::lossy::Lossy;
use super::time::Written;
use super::{Result, Store, read};
use crate::clock::Time;

/// Rows that were not sent, or did not arrive for sure, by their stable code.
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
    /// Rows of runs that wait for approval.
    pub held: u64,
    /// When the oldest unread or pending row came.
    pub oldest: Option<Time>,
}

/// The states of rows that did not arrive and that a file of rejects holds.
macro_rules! not_sent {
    () => {
        "('invalid', 'rejected', 'failed', 'missing', 'suppressed', 'canceled')"
    };
}

pub(super) use not_sent;

/// How many rows of an account nobody has read, and when the first of them came: counted in one pass, because
/// Postgres would look for the first among all rows there are.
macro_rules! new_rows {
    ($is_new:literal) => {
        concat!(
            "with unread (n, first_id) as (
                 select count(*), min(id) from member_queue where account = $1 and ",
            $is_new,
            ") select n, (select created_at from member_queue where id = first_id) from unread"
        )
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
    /// A run's rows that were not sent, by code, the largest group first; each with its most frequent
    /// reasons, and each reason with its first lines.
    pub async fn causes(&self, run_id: i64) -> Result<Vec<CauseGroup>> {
        let rows: Vec<ReasonRow> = read!(self, db => {
            sqlx::query_as(concat!(
                "with told as (
                     select state, code, reason, coalesce(line, id) as line_or_id,
                            row_number() over (partition by state, code, reason order by coalesce(line, id)) as place
                       from (select id, line, state, code, reason from member_queue
                              where run_id = $1 and code is not null
                                and (state = 'delivered' or state in ", not_sent!(), ")
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
        self.add_gone_causes(run_id, &mut causes).await?;
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
            // Said as the index of each says it, which then is all that is read. The oldest is the one that came
            // first, whatever date it bears.
            sqlx::query_as(DIALECT.pick(new_rows!("state = 'new'"), new_rows!("run_id is null")))
            .bind(account)
            .fetch_one(db)
            .await?
        });
        let (pending, stopped, held, oldest_run): (i64, i64, i64, Option<Time>) = read!(self, db => {
            sqlx::query_as(
                "select cast(coalesce(sum(case when r.status in ('queued', 'running') then b.row_count - b.away_rows end), 0) as bigint),
                        cast(coalesce(sum(case when r.finished_at is not null then b.row_count - b.away_rows end), 0) as bigint),
                        cast(coalesce(sum(case when r.status = 'held' then b.row_count - b.away_rows end), 0) as bigint),
                        min(case when r.status <> 'held' then r.created_at end)
                   from batches b join runs r on r.id = b.run_id
                  where b.state = 'pending' and b.account = $1",
            )
            .bind(account)
            .fetch_one(db)
            .await?
        });
        let in_flight: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select cast(coalesce(sum(row_count - away_rows), 0) as bigint) from batches
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
            held: held.unsigned_abs(),
            // Other programs may write the moment as they like.
            oldest: [oldest_new.and_then(|Written(at)| at), oldest_run].into_iter().flatten().min(),
        })
    }
}
