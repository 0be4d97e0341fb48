//! Batches that are due: whose time has come, of runs that are let go, that wait for no other call.

use super::{Result, StoreError};
use crate::domain::plan::CallKind;

/// A batch whose time has come.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct DueBatch {
    pub(super) id: i64,
    pub(super) run_id: i64,
    pub(super) attempts: i64,
    pub(super) priority: i64,
    pub(super) row_count: i64,
    pub(super) away_rows: i64,
    pub(super) tag_set_id: i64,
    pub(super) tags: String,
    pub(super) kind: String,
    pub(super) call_id: Option<i64>,
    pub(super) last_rows: i64,
    pub(super) verify: String,
    pub(super) is_live: bool,
}

/// The batches whose time has come, the most urgent first; then what a database adds.
macro_rules! due_batches {
    ($more:literal) => {
        // A sum as the limit: SQLite prepares a statement anew whenever a bare one is bound.
        concat!(
            "select b.id, b.run_id, b.attempts, b.priority, b.row_count, b.away_rows, b.tag_set_id, t.tags, b.kind,
                    b.call_id, r.verify, r.source = 'queue' as is_live,
                    case when b.call_id is null then b.row_count
                         else (select count(*) from member_queue q
                                where q.batch_id = b.id and q.state = 'pending' and q.calls_left is null)
                    end as last_rows
               from batches b
               join runs r on r.id = b.run_id
               join tag_sets t on t.id = b.tag_set_id
              where b.account = $1 and b.state = 'pending' and b.waits = 0 and b.due_at <= $2
                and r.status = 'running' and ($3 is null or b.run_id = $3)
              order by b.priority, b.id limit $4 + 0",
            $more
        )
    };
}

/// Due batches, at most so many. One that somebody writes to is taken when it is written.
macro_rules! find_due {
    ($tx:ident, $claims:expr, $run:expr, $most:expr, $now:expr) => {{
        let due: Vec<$crate::store::due::DueBatch> = sqlx::query_as(DIALECT.pick(
            $crate::store::due::due_batches!(""),
            $crate::store::due::due_batches!(" for update of b skip locked"),
        ))
        .bind($claims.account)
        .bind($now)
        .bind($run)
        .bind($most)
        .fetch_all(&mut *$tx)
        .await?;
        due
    }};
}

/// Reads what a request asks for.
pub(super) fn parse_kind(text: &str) -> Result<CallKind> {
    CallKind::parse(text).ok_or_else(|| StoreError::corrupt("batches", "kind", &text))
}

pub(super) use {due_batches, find_due};
