//! Requests of one process that have been answered, in the order in which they were begun.

use super::{Result, Store, read};
use crate::clock::Time;

/// A request and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Answered {
    /// Its number.
    pub id: i64,
    /// What was asked for.
    pub route: String,
    /// The status of the answer, where there was one.
    pub status: Option<i64>,
    /// When it was begun.
    pub started_at: Time,
    /// When the answer was in.
    pub finished_at: Time,
}

impl Store {
    /// The number below which all requests of the worker have ended.
    pub async fn requests_end(&self, worker: i64) -> Result<i64> {
        let end = read!(self, db => {
            sqlx::query_scalar(
                "select coalesce((select min(id) from attempts where worker_id = $1 and verdict is null),
                                 (select max(id) + 1 from attempts), 0)",
            )
            .bind(worker)
            .fetch_one(db)
            .await?
        });
        Ok(end)
    }

    /// Requests of the worker after number `after` and before `end`, at most `limit`.
    pub async fn answered(&self, worker: i64, after: i64, end: i64, limit: u32) -> Result<Vec<Answered>> {
        let requests = read!(self, db => {
            sqlx::query_as(
                "select id, route, status, started_at, finished_at from attempts
                  where worker_id = $1 and id > $2 and id < $3 and verdict is not null order by id limit $4",
            )
            .bind(worker)
            .bind(after)
            .bind(end)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        Ok(requests)
    }
}
