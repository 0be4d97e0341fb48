//! Runs page by page, and when what of one run happened.

use super::runs::{RunRow, run_columns};
use super::{Result, Run, Store, read};
use crate::clock::Time;
use crate::domain::state::{Kind, RunStatus};

/// Which runs are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those that stand so.
    pub status: Option<RunStatus>,
    /// Only those of this account.
    pub account: Option<String>,
    /// Only those with such rows.
    pub kind: Option<Kind>,
    /// Only those whose label holds this, in any case.
    pub text: Option<String>,
    /// Those before this number.
    pub before: Option<i64>,
}

/// When what of a run happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct RunTimes {
    /// The first request left.
    pub first_request: Option<Time>,
    /// The last answer came.
    pub last_answer: Option<Time>,
    /// The first of what still waits is due.
    pub due: Option<Time>,
}

/// A page of the runs that are wanted, and of which this holds too.
macro_rules! wanted_runs {
    ($also:literal) => {
        concat!(
            run_columns!(),
            "where ",
            $also,
            "id < $1 and ($2 is null or status = $2) and ($3 is null or account = $3)
               and ($4 is null or kind = $4) and ($5 is null or lower(label) like $5 escape '!')
             order by id desc limit $6"
        )
    };
}

impl Store {
    /// A page of runs, newest first, at most `limit`.
    pub async fn runs_page(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Run>> {
        let text = filter.text.as_ref().map(|text| format!("%{}%", escaped(&text.to_lowercase())));
        let rows: Vec<RunRow> = read!(self, db => {
            let sql = match filter.status {
                // Those that are open are few among many, and have an index of their own.
                Some(RunStatus::Queued | RunStatus::Running | RunStatus::Held) => {
                    wanted_runs!("status in ('queued', 'running', 'held') and ")
                }
                Some(RunStatus::Succeeded | RunStatus::Partial | RunStatus::Failed | RunStatus::Canceled) | None => {
                    wanted_runs!("")
                }
            };
            sqlx::query_as(sql)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.status.map(RunStatus::as_str))
            .bind(&filter.account)
            .bind(filter.kind.map(Kind::as_str))
            .bind(text)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        rows.into_iter().map(Run::try_from).collect()
    }

    /// When what of a run happened.
    pub async fn run_times(&self, run: &Run) -> Result<RunTimes> {
        let times = read!(self, db => {
            let sql = match run.kind {
                Kind::Members => {
                    "select min(a.started_at) as first_request, max(a.finished_at) as last_answer,
                            (select min(due_at) from batches where run_id = $1 and state = 'pending') as due
                       from batches b join attempts a on a.batch_id = b.id where b.run_id = $1"
                }
                Kind::Events => {
                    "select min(a.started_at) as first_request, max(a.finished_at) as last_answer,
                            (select min(due_at) from event_queue where run_id = $1 and state = 'pending') as due
                       from event_queue e join attempts a on a.event_id = e.id where e.run_id = $1"
                }
            };
            sqlx::query_as(sql).bind(run.id).fetch_one(db).await?
        });
        Ok(times)
    }

    /// Delivered rows of the run that are still to be looked for.
    pub async fn rows_to_prove(&self, run_id: i64) -> Result<u64> {
        let rows: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select cast(coalesce(sum(row_count - away_rows - verified_rows), 0) as bigint) from batches
                  where run_id = $1 and proof is not null",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        Ok(rows.unsigned_abs())
    }

    /// The workers that have requests of a run under way.
    pub async fn senders(&self, run: i64) -> Result<Vec<i64>> {
        Ok(read!(self, db => {
            sqlx::query_scalar("select distinct worker_id from attempts where verdict is null and run_id = $1")
                .bind(run)
                .fetch_all(db)
                .await?
        }))
    }
}

/// Text that stands for itself in a `like`.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| ['!', c].into_iter().skip(usize::from(!matches!(c, '!' | '%' | '_')))).collect()
}
