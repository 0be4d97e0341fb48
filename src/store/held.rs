//! A connection to Postgres with an open transaction.
//!
//! The work on it may be dropped at any moment, by a `select!` or a timeout further up. Its
//! connection goes with it then, and the server undoes what was done: given back to the pool, the
//! transaction would still be open on it, and its locks held.

use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use super::Result;
use crate::clock::Clock;

/// Gives work up whose answer does not come. A server that is gone without a word, or a firewall that forgets
/// a connection, ends no statement: what the server itself is told of timeouts does not reach us then.
pub(super) async fn in_time<T>(patience: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let clock = Clock::system();
    tokio::select! {
        biased;
        done = work => done,
        () = clock.sleep(patience) => {
            let silence = format!("the server has not answered for {} s", patience.as_secs());
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, silence)).into())
        }
    }
}

pub(super) struct Held(Option<PoolConnection<Postgres>>);

impl Held {
    /// Opens a transaction. What it rests on is said, whatever the server's own settings are; but not that it
    /// writes: a standby would call that no feature of its own, and not a thing that passes.
    pub(super) async fn begin(pool: &PgPool) -> Result<Self> {
        let mut held = Self(Some(pool.acquire().await?));
        sqlx::raw_sql("begin isolation level read committed").execute(held.connection()?).await?;
        Ok(held)
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection> {
        self.0.as_deref_mut().ok_or_else(|| sqlx::Error::PoolClosed.into())
    }

    /// Commits what ended well and undoes what did not.
    pub(super) async fn end<T>(mut self, outcome: Result<T>) -> Result<T> {
        match outcome {
            Ok(value) => {
                sqlx::raw_sql("commit").execute(self.connection()?).await?;
                self.give_back();
                Ok(value)
            }
            Err(error) => {
                if sqlx::raw_sql("rollback").execute(self.connection()?).await.is_ok() {
                    self.give_back();
                }
                Err(error)
            }
        }
    }

    fn give_back(&mut self) {
        drop(self.0.take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
