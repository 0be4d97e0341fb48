//! Requests in a span of time: for charts, and for whoever waits for the window.

use std::time::Duration;

use super::{Result, Store, read};
use crate::clock::Time;

/// Requests that were answered in a span, and what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub requests: u64,
    /// Rows of those that Luma accepted.
    pub rows: u64,
    /// Requests that Luma answered with "too many".
    pub throttled: u64,
}

impl Store {
    /// The account's traffic from one moment on and before another.
    pub async fn traffic(&self, account: &str, from: Time, to: Time) -> Result<Traffic> {
        let (requests, rows, throttled): (i64, i64, i64) = read!(self, db => {
            sqlx::query_as(
                "select count(*), cast(coalesce(sum(case when verdict = 'accepted' then row_count end), 0) as bigint),
                        count(case when verdict = 'throttled' then 1 end)
                   from attempts where account = $1 and finished_at >= $2 and finished_at < $3",
            )
            .bind(account)
            .bind(from)
            .bind(to)
            .fetch_one(db)
            .await?
        });
        Ok(Traffic {
            requests: requests.unsigned_abs(),
            rows: rows.unsigned_abs(),
            throttled: throttled.unsigned_abs(),
        })
    }

    /// When the oldest request leaves the window; `None` where none is in it.
    pub async fn room_at(&self, account: &str, window: Duration, now: Time) -> Result<Option<Time>> {
        let oldest: Option<Time> = read!(self, db => {
            sqlx::query_scalar("select min(finished_at) from attempts where account = $1 and finished_at > $2")
                .bind(account)
                .bind(now.minus(window))
                .fetch_one(db)
                .await?
        });
        Ok(oldest.map(|at| at.plus(window)))
    }
}
