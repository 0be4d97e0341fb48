//! Notices: changes of state as the database itself has noted them, and what has become of telling people.
//!
//! A change is entered by a trigger in the transaction that makes it, so none is lost and none is there twice.
//! Who posts holds the one row of `hook`, whose number fences. What is told, and how, is decided elsewhere.

mod doubts;
mod hook;

use super::{Result, Store, StoreError, read};
use crate::clock::Time;
use crate::domain::expect::Standing;
use crate::domain::notice::Topic;
use crate::domain::state::RunStatus;

pub use hook::{HookClaim, Posted};

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A run has come to this status.
    Run(i64, RunStatus),
    /// A source that something is expected of has come to stand so.
    Source(String, Standing),
    /// Events of an account are in doubt, and a person has to look.
    Doubts(String, Vec<i64>),
}

/// A change that is to be told, or to be found not worth it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// When it was noted.
    pub noted_at: Time,
    /// What changed.
    pub change: Change,
    /// What it is to people and what is posted, once that is decided.
    pub worded: Option<(Topic, String)>,
}

/// What is not told yet, and what never will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticesLeft {
    /// Notices that are to be posted.
    pub waiting: u64,
    /// Since when the oldest of them waits.
    pub oldest: Option<Time>,
    /// Why the last attempt came to nothing.
    pub answer: Option<String>,
    /// Notices that were given up.
    pub given_up: u64,
    /// When the last of them was.
    pub given_up_at: Option<Time>,
}

#[derive(sqlx::FromRow)]
struct NoticeRow {
    id: i64,
    noted_at: Time,
    run_id: Option<i64>,
    source: Option<String>,
    account: Option<String>,
    events: Option<String>,
    standing: String,
    topic: Option<String>,
    body: Option<String>,
}

impl TryFrom<NoticeRow> for Notice {
    type Error = StoreError;

    fn try_from(row: NoticeRow) -> Result<Self> {
        let corrupt = |column, value: &str| StoreError::corrupt("notices", column, value);
        let no_standing = || corrupt("standing", &row.standing);
        let change = match (row.run_id, row.source, row.account) {
            (Some(run), None, None) => {
                Change::Run(run, RunStatus::parse(&row.standing).ok_or_else(no_standing)?)
            }
            (None, Some(source), None) => {
                Change::Source(source, Standing::parse(&row.standing).ok_or_else(no_standing)?)
            }
            (None, None, Some(account)) => {
                let events = row.events.unwrap_or_default();
                let events = serde_json::from_str(&events).map_err(|_| corrupt("events", &events))?;
                Change::Doubts(account, events)
            }
            _ => return Err(corrupt("run_id", "")),
        };
        let topic = row.topic.map(|topic| Topic::parse(&topic).ok_or_else(|| corrupt("topic", &topic)));
        let worded = topic.transpose()?.zip(row.body);
        Ok(Self { id: row.id, noted_at: row.noted_at, change, worded })
    }
}

impl Store {
    /// Whether there is a change that nobody was told of.
    pub async fn has_notices(&self) -> Result<bool> {
        Ok(read!(self, db => {
            sqlx::query_scalar("select exists (select 1 from notices where outcome is null)").fetch_one(db).await?
        }))
    }

    /// The oldest change that nobody was told of.
    pub async fn next_notice(&self) -> Result<Option<Notice>> {
        let row: Option<NoticeRow> = read!(self, db => {
            sqlx::query_as(
                "select id, noted_at, run_id, source, account, events, standing, topic, body
                   from notices where outcome is null order by id limit 1",
            )
            .fetch_optional(db)
            .await?
        });
        row.map(Notice::try_from).transpose()
    }

    /// The run that went wrong last of those that are the same to people, where none has gone well since.
    pub async fn trouble(&self, subject: &str) -> Result<Option<i64>> {
        Ok(read!(self, db => {
            sqlx::query_scalar("select run_id from troubles where subject = $1")
                .bind(subject)
                .fetch_optional(db)
                .await?
        }))
    }

    /// A run's rows and events that have a code, by their codes, the most frequent first.
    pub async fn code_counts(&self, run_id: i64) -> Result<Vec<(String, u64)>> {
        let counts: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as(
                "select code, count(*) from (
                     select code from member_queue where run_id = $1 and code is not null
                     union all
                     select code from event_queue where run_id = $1 and code is not null) told
                  group by code order by 2 desc, code",
            )
            .bind(run_id)
            .fetch_all(db)
            .await?
        });
        Ok(counts.into_iter().map(|(code, rows)| (code, rows.unsigned_abs())).collect())
    }

    /// What is not told yet, and what was given up since `since`. Only what is decided to be told counts; where
    /// nobody has ever configured a receiver, that is nothing.
    pub async fn notices_left(&self, since: Time) -> Result<NoticesLeft> {
        let (waiting, oldest): (i64, Option<Time>) = read!(self, db => {
            sqlx::query_as("select count(*), min(noted_at) from notices where outcome is null and body is not null")
                .fetch_one(db)
                .await?
        });
        let answer: Option<Option<String>> = read!(self, db => {
            sqlx::query_scalar(
                "select answer from notices where outcome is null and body is not null order by id limit 1",
            )
            .fetch_optional(db)
            .await?
        });
        let (given_up, given_up_at): (i64, Option<Time>) = read!(self, db => {
            sqlx::query_as(
                "select count(*), max(ended_at) from notices where outcome = 'given_up' and ended_at >= $1",
            )
            .bind(since)
            .fetch_one(db)
            .await?
        });
        Ok(NoticesLeft {
            waiting: waiting.unsigned_abs(),
            oldest,
            answer: answer.flatten(),
            given_up: given_up.unsigned_abs(),
            given_up_at,
        })
    }
}
