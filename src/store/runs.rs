//! Runs: one pass over one source, from its beginning to its status.

use super::passes::move_position;
use super::{Result, Store, StoreError, dialect::lock_rows, error::ensure_rows, read, write_tx};
use crate::clock::Time;
use crate::domain::proof::Verify;
use crate::domain::state::{Kind, RunStatus, Trigger};

/// Where a run's rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunSource {
    /// Rows that other programs inserted.
    Queue,
    /// A file in the drop folder.
    Folder,
    /// A file by hand.
    File,
    /// Somebody else's database.
    Sql,
}

impl RunSource {
    /// The stored text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Folder => "folder",
            Self::File => "file",
            Self::Sql => "sql",
        }
    }

    /// What sets a run of this source off, where no schedule does.
    #[must_use]
    pub const fn trigger(self) -> Trigger {
        match self {
            Self::Queue => Trigger::Queue,
            Self::Folder => Trigger::Folder,
            Self::File | Self::Sql => Trigger::Manual,
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "queue" => Ok(Self::Queue),
            "folder" => Ok(Self::Folder),
            "file" => Ok(Self::File),
            "sql" => Ok(Self::Sql),
            other => Err(StoreError::corrupt("runs", "source", other)),
        }
    }
}

/// What a run begins with.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// Whose key it uses.
    pub account: &'a str,
    /// What its rows are.
    pub kind: Kind,
    /// Where its rows come from.
    pub source: RunSource,
    /// What set it off.
    pub trigger: Trigger,
    /// The fire that it belongs to.
    pub fire: Option<i64>,
    /// How it proves what it has delivered.
    pub verify: Verify,
    /// Whether it is held until it is found to be what its plan says.
    pub planned: bool,
    /// What people call it.
    pub label: &'a str,
    /// When it begins.
    pub now: Time,
}

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// Whose key it uses.
    pub account: String,
    /// What its rows are.
    pub kind: Kind,
    /// Where its rows come from.
    pub source: RunSource,
    /// What set it off.
    pub trigger: Trigger,
    /// How it proves what it has delivered.
    pub verify: Verify,
    /// What people call it.
    pub label: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Why, where that needs saying.
    pub reason: Option<String>,
    /// When it began.
    pub created_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Rows read.
    pub read_rows: u64,
    /// Rows that were duplicates and are not kept in the queue.
    pub duplicate_rows: u64,
    /// Rows that were unchanged and are not kept in the queue.
    pub unchanged_rows: u64,
    /// People with something to send of whom nothing had been delivered.
    pub new_members: u64,
    /// Whether it is held until it is found to be what its plan says.
    pub planned: bool,
    /// Who let it go though it was held, and when.
    pub approved: Option<(String, Time)>,
}

#[derive(sqlx::FromRow)]
pub(super) struct RunRow {
    id: i64,
    account: String,
    kind: String,
    source: String,
    started_by: String,
    verify: String,
    label: String,
    status: String,
    reason: Option<String>,
    created_at: Time,
    finished_at: Option<Time>,
    read_rows: i64,
    duplicate_rows: i64,
    unchanged_rows: i64,
    new_members: i64,
    planned: i64,
    approved_by: Option<String>,
    approved_at: Option<Time>,
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            account: row.account,
            kind: Kind::parse(&row.kind).ok_or_else(|| StoreError::corrupt("runs", "kind", &row.kind))?,
            source: RunSource::parse(&row.source)?,
            trigger: Trigger::parse(&row.started_by)
                .ok_or_else(|| StoreError::corrupt("runs", "started_by", &row.started_by))?,
            verify: parse_verify(&row.verify)?,
            label: row.label,
            status: RunStatus::parse(&row.status)
                .ok_or_else(|| StoreError::corrupt("runs", "status", &row.status))?,
            reason: row.reason,
            created_at: row.created_at,
            finished_at: row.finished_at,
            read_rows: row.read_rows.unsigned_abs(),
            duplicate_rows: row.duplicate_rows.unsigned_abs(),
            unchanged_rows: row.unchanged_rows.unsigned_abs(),
            new_members: row.new_members.unsigned_abs(),
            planned: row.planned != 0,
            approved: row.approved_by.zip(row.approved_at),
        })
    }
}

/// Reads how a run proves.
pub(super) fn parse_verify(text: &str) -> Result<Verify> {
    Verify::parse(text).ok_or_else(|| StoreError::corrupt("runs", "verify", &text))
}

/// What `Run` is read from.
macro_rules! run_columns {
    () => {
        "select id, account, kind, source, started_by, verify, label, status, reason, created_at, finished_at,
                read_rows, duplicate_rows, unchanged_rows, new_members, planned, approved_by, approved_at
           from runs "
    };
}

/// Enters a run on the open transaction; its number.
macro_rules! enter_run {
    ($tx:ident, $run:expr, $status:expr) => {
        sqlx::query_scalar::<_, i64>(
            "insert into runs (account, kind, source, started_by, label, status, created_at, fire_id, verify, planned)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id",
        )
        .bind($run.account)
        .bind($run.kind.as_str())
        .bind($run.source.as_str())
        .bind($run.trigger.as_str())
        .bind($run.label)
        .bind($status.as_str())
        .bind($run.now)
        .bind($run.fire)
        .bind($run.verify.as_str())
        .bind(i64::from($run.planned))
        .fetch_one(&mut *$tx)
        .await?
    };
}

pub(super) use {enter_run, run_columns};

impl Store {
    /// Begins a run whose rows come while it is sent; its number.
    pub async fn begin_running(&self, run: NewRun<'_>) -> Result<i64> {
        Ok(write_tx!(self, tx => { enter_run!(tx, run, RunStatus::Running) }))
    }

    /// The run with this number, if there is one.
    pub async fn run(&self, id: i64) -> Result<Option<Run>> {
        let row: Option<RunRow> = read!(self, db => {
            sqlx::query_as(concat!(run_columns!(), "where id = $1")).bind(id).fetch_optional(db).await?
        });
        row.map(Run::try_from).transpose()
    }

    /// The last `limit` runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>> {
        let rows: Vec<RunRow> = read!(self, db => {
            sqlx::query_as(concat!(run_columns!(), "order by id desc limit $1"))
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(Run::try_from).collect()
    }

    /// The last runs of their lists, by account, kind and name, that ended since then and have rows that were not
    /// sent; the newest first.
    pub async fn unwell_runs(&self, since: Time, limit: u32) -> Result<Vec<Run>> {
        let rows: Vec<RunRow> = read!(self, db => {
            sqlx::query_as(concat!(
                run_columns!(),
                "where status in ('failed', 'partial')
                   and id in (select max(id) from runs where finished_at >= $1 group by account, kind, label)
                 order by id desc limit $2"
            ))
            .bind(since)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        rows.into_iter().map(Run::try_from).collect()
    }

    /// The runs that have not ended, oldest first.
    pub async fn open_runs(&self) -> Result<Vec<Run>> {
        let rows: Vec<RunRow> = read!(self, db => {
            sqlx::query_as(concat!(
                run_columns!(),
                "where status in ('queued', 'running', 'held') order by id"
            ))
            .fetch_all(db)
            .await?
        });
        rows.into_iter().map(Run::try_from).collect()
    }

    /// Whether the input of a run is taken in: all of it, or up to where a pass broke off.
    pub async fn is_taken_in(&self, id: i64) -> Result<bool> {
        let taken = read!(self, db => {
            sqlx::query_scalar(
                "select exists (select 1 from input_files where run_id = $1 and state <> 'taking')
                     or exists (select 1 from source_passes where run_id = $1 and state <> 'taking')",
            )
            .bind(id)
            .fetch_one(db)
            .await?
        });
        Ok(taken)
    }

    /// Lets the batches of a queued run be sent, if its input is taken in: all of it, or up to where a pass
    /// broke off. What was approved is taken in.
    pub async fn release_run(&self, id: i64) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update runs set status = 'running'
                  where id = $1 and status = 'queued'
                    and (approved_at is not null or exists (select 1 from input_files where run_id = $1 and state <> 'taking')
                        or exists (select 1 from source_passes where run_id = $1 and state <> 'taking'))",
            )
            .bind(id)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Lets a run's batches be sent again.
    pub async fn start_run(&self, id: i64) -> Result<()> {
        let found = write_tx!(self, tx => {
            sqlx::query(
                "update runs set status = 'running', reason = null, finished_at = null
                  where id = $1 and status <> 'held'",
            )
            .bind(id)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        ensure_rows(found, 1, || format!("run `{id}`"))
    }

    /// Ends a run of which these are the counts, unless it has ended already, has rows left to send
    /// or to prove, or has taken in more since. Whether this call ended it. A source goes on behind the rows of its runs that
    /// have ended.
    pub async fn end_run(
        &self,
        id: i64,
        status: RunStatus,
        reason: Option<&str>,
        read_rows: u64,
        now: Time,
    ) -> Result<bool> {
        let found = write_tx!(self, tx => {
            // Whoever brings rows back holds it: they are seen only once that is done.
            lock_rows!(tx, "select 1 from runs where id = $1 for no key update", id);
            let found = sqlx::query(
                "update runs set status = $2, reason = $3, finished_at = $4
                  where id = $1 and status in ('queued', 'running', 'held') and read_rows = $5
                    and not exists (select 1 from batches
                                     where run_id = $1 and (state in ('pending', 'in_flight') or proof is not null))
                    and not exists (select 1 from event_queue
                                     where run_id = $1 and state in ('pending', 'in_flight'))",
            )
            .bind(id)
            .bind(status.as_str())
            .bind(reason)
            .bind(now)
            .bind(read_rows.cast_signed())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if found == 1 {
                move_position!(tx, id);
            }
            found
        });
        Ok(found == 1)
    }
}
