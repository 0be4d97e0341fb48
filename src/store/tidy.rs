//! The space that rows leave behind: overwritten as they go, and given back when somebody asks for it.

use super::{Pools, Result, Store};

impl Store {
    /// What is deleted from now on is overwritten where it stood; Postgres does that in its own time.
    pub(super) async fn delete_securely(&self) -> Result<()> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                sqlx::query("pragma secure_delete = on").fetch_all(writer).await?;
            }
            Pools::Postgres { .. } => {}
        }
        Ok(())
    }

    /// Carries the write-ahead log over and empties it, so that nothing stands there either. Whether that could
    /// be done: somebody else may be reading from it.
    pub async fn empty_log(&self) -> Result<bool> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let (busy, _, _): (i64, i64, i64) =
                    sqlx::query_as("pragma wal_checkpoint(truncate)").fetch_one(writer).await?;
                Ok(busy == 0)
            }
            Pools::Postgres { .. } => Ok(true),
        }
    }

    /// Writes the database anew without what was deleted (`SQLite`), or frees the space of that (Postgres). It
    /// takes as long as it takes; whether nothing is left in the log either.
    pub async fn vacuum(&self) -> Result<bool> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                sqlx::query("vacuum").execute(writer).await?;
            }
            Pools::Postgres { pool, .. } => {
                let mut connection = pool.acquire().await?;
                // For this connection alone, which is not used again.
                connection.close_on_drop();
                sqlx::raw_sql("set statement_timeout = 0").execute(&mut *connection).await?;
                sqlx::raw_sql("vacuum").execute(&mut *connection).await?;
            }
        }
        self.empty_log().await
    }

    /// Whether the database is a file of this machine.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }
}
