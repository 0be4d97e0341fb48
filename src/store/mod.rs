//! The database: the only place that knows sqlx and SQL.
//!
//! One text of SQL serves every database; `Pools` says which is open and the macros run a body on
//! it. Where one text cannot serve both, `DIALECT` picks. Nothing here decides: rules come in as
//! values of `domain`, outcomes go out as them. No request is ever made inside a transaction.

mod accounts;
mod answered;
mod bulk;
mod by_hand;
mod calls;
mod claims;
mod counts;
mod deliver;
mod depths;
mod dialect;
mod due;
mod enqueue;
mod error;
mod events;
mod evidence;
mod expectations;
mod files;
mod fires;
mod forget;
mod gone;
mod guards;
mod health;
mod held;
mod ledger;
mod lossy;
mod mentions;
mod notices;
mod open;
mod open_postgres;
mod outcome;
mod passes;
mod person;
mod plan;
mod proofs;
mod prune;
mod queue;
mod quota;
mod redate;
mod reports;
mod results;
mod rows;
mod run_pages;
mod runs;
mod schedules;
mod settle;
mod source;
mod steps;
mod suppress;
mod tidy;
mod time;
mod totals;
mod trace;
mod traffic;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};

pub use accounts::Account;
pub use answered::Answered;
pub use by_hand::CanceledRun;
pub use calls::{LeftoverRow, Leftovers, NewCall, NewCalls, PLANNED_TOGETHER};
pub use claims::{Claim, ClaimedBatch, Claims, Recipient, Scope};
pub use counts::{RunCounts, RunReport};
pub use enqueue::{Enqueued, RequestKey, Wish};
pub use error::{DriverError, StoreError};
pub use events::{
    ClaimedEvent, Doubt, DueLook, EventAttempt, EventClaim, EventClaims, EventDepth, EventFilter, EventInput,
    EventIntake, EventLook, EventOrigin, EventPart, EventRecord, EventResolution, EventRow, EventSettlement,
    EventStory, LooksLeft, NewEvent, ResolveError, Resolved, V1Columns,
};
pub use expectations::Expected;
pub use files::{FileState, InputFile, NewFile};
pub use fires::{DueFire, Fire, FireSource};
pub use forget::{Erased, ForgetError};
pub use guards::{HeldRun, Sample};
pub use ledger::LedgerEntry;
pub use ledger::LedgerSlice;
pub use notices::{Change, HookClaim, Notice, NoticesLeft, Posted};
pub use outcome::MemberOutcome;
pub use passes::{BegunPass, NewPass, PassRead, PassState, SourcePass};
pub use person::PersonRow;
pub use plan::RowOfPlan;
pub use proofs::{
    CountOutcome, Found, Look, LookAnswer, LookClaim, PageFound, PeopleToCount, ProofCost, ProofLeft, Prover,
    SoughtRow, Unproved,
};
pub use prune::{PruneCounts, PruneStep};
pub use queue::{NewRow, QueueOutcome, QueueRow, QueueRun};
pub use quota::{Allowance, Shared};
pub use reports::{BadRow, CauseGroup, QueueDepth, ReasonGroup};
pub use results::LineOutcome;
pub use rows::{BadInput, Input, Intake, OpenBatch, PendingRow, UnkeptLines};
pub use run_pages::{RunFilter, RunTimes};
pub use runs::{NewRun, Run, RunSource};
pub use schedules::KnownSchedule;
pub use settle::Settlement;
pub use source::{
    After, CursorReading, Reading, SourceColumn, SourceDatabase, SourceError, SourceReader, SourceRow,
};
pub use suppress::{SuppressedRows, Suppression, SuppressionEntry};
pub use totals::{Sum, Totals};
pub use trace::{Confirmed, Happening, Moment, Story};
pub use traffic::Traffic;
pub use workers::{Worker, WorkerIdentity};

/// The open database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
    /// Those who are never sent, as they were last read.
    known: Arc<suppress::Known>,
}

/// Which database is open.
#[derive(Clone, Debug)]
enum Pools {
    /// One connection writes and a few read, as `SQLite` wants it.
    Sqlite { writer: SqlitePool, reader: SqlitePool },
    /// Every connection reads and writes; rows are locked where two could meet. No piece of work waits longer
    /// than `patience` for the server.
    Postgres { pool: PgPool, patience: Duration },
}

/// Runs a body in one write transaction, and commits when it ends well.
macro_rules! write_tx {
    ($store:expr, $tx:ident => $body:block) => {
        match &$store.pools {
            $crate::store::Pools::Sqlite { writer, .. } => {
                $crate::store::dialect::speak!(Sqlite);
                let mut transaction = $crate::store::begin(writer).await?;
                let $tx = &mut *transaction;
                let value = $body;
                transaction.commit().await?;
                value
            }
            $crate::store::Pools::Postgres { pool, patience } => {
                $crate::store::dialect::speak!(Postgres);
                let work = async {
                    let mut held = $crate::store::held::Held::begin(pool).await?;
                    let $tx = held.connection()?;
                    let outcome = async { Ok::<_, $crate::store::StoreError>($body) }.await;
                    held.end(outcome).await
                };
                $crate::store::held::in_time(*patience, work).await?
            }
        }
    };
}

/// Runs a body on a connection that only reads. One that may take for ever asks for the patience that each
/// of its steps deserves.
macro_rules! read {
    ($store:expr, $db:ident, $patience:ident => $body:block) => {
        match &$store.pools {
            $crate::store::Pools::Sqlite { reader, .. } => {
                let ($db, $patience) = (reader, std::time::Duration::MAX);
                $body
            }
            $crate::store::Pools::Postgres { pool, patience } => {
                let ($db, $patience) = (pool, *patience);
                $body
            }
        }
    };
    ($store:expr, $db:ident => $body:block) => {
        match &$store.pools {
            $crate::store::Pools::Sqlite { reader, .. } => {
                $crate::store::dialect::speak!(Sqlite);
                let $db = reader;
                $body
            }
            $crate::store::Pools::Postgres { pool, patience } => {
                $crate::store::dialect::speak!(Postgres);
                let $db = pool;
                let work = async { Ok::<_, $crate::store::StoreError>($body) };
                $crate::store::held::in_time(*patience, work).await?
            }
        }
    };
}

pub(crate) use {read, write_tx};

/// Begins a write. A full disk ends a transaction by itself, and its connection believes it open from then
/// on: it is given up for a new one.
async fn begin(writer: &SqlitePool) -> sqlx::Result<sqlx::SqliteTransaction<'static>> {
    const BEGIN: &str = "BEGIN IMMEDIATE";
    match writer.begin_with(BEGIN).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            writer.acquire().await?.close().await?;
            writer.begin_with(BEGIN).await
        }
        begun => begun,
    }
}

/// A count as the database keeps it.
fn int(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

type Result<T, E = StoreError> = std::result::Result<T, E>;
