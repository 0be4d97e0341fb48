//! What became of one row of the queue, for the program that put it there.

use super::time::Written;
use super::{Result, Store, read};
use crate::clock::Time;

/// Where a member's row stands. Without the person: whoever asks knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberOutcome {
    /// Its number.
    pub id: i64,
    /// Whose key it wants.
    pub account: String,
    /// Where it stands.
    pub state: String,
    /// The stable code.
    pub code: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Requests for it that counted.
    pub attempts: i64,
    /// The run that has it.
    pub run: Option<i64>,
    /// When it came, where that can be read.
    pub created_at: Option<Time>,
    /// When it was decided.
    pub settled_at: Option<Time>,
}

type OutcomeRow = (
    i64,
    String,
    String,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Written,
    Option<Time>,
    Option<String>,
);

impl Store {
    /// Where one member's row stands; in flight where its batch is.
    pub async fn member_outcome(&self, id: i64) -> Result<Option<MemberOutcome>> {
        let row: Option<OutcomeRow> = read!(self, db => {
            sqlx::query_as(
                "select q.id, q.account, q.state, q.code, q.reason, q.attempts, q.run_id, q.created_at, q.settled_at,
                        b.state
                   from member_queue q left join batches b on b.id = q.batch_id where q.id = $1",
            )
            .bind(id)
            .fetch_optional(db)
            .await?
        });
        Ok(row.map(
            |(id, account, state, code, reason, attempts, run, Written(created_at), settled_at, batch)| {
                let is_in_flight = state == "pending" && batch.as_deref() == Some("in_flight");
                let state = if is_in_flight { "in_flight".to_owned() } else { state };
                MemberOutcome { id, account, state, code, reason, attempts, run, created_at, settled_at }
            },
        ))
    }
}
