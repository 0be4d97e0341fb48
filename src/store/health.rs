//! Whether the database answers, and what it has.

use super::{Result, Store, read};

impl Store {
    /// The newest migration that the open database has.
    pub async fn migration(&self) -> Result<i64> {
        let newest = read!(self, db => {
            sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations where success")
                .fetch_one(db)
                .await?
        });
        Ok(newest)
    }
}
