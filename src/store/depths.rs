//! How much waited in the last hours: noted minute by minute, since nothing else on record tells it.

use super::{Result, Store, int, read, write_tx};
use crate::clock::Time;

impl Store {
    /// Notes how much waits in this minute, and forgets what was noted before `from`. Several processes see the
    /// same: the last of them to note has it.
    pub async fn note_depth(&self, minute: Time, waiting: u64, from: Time) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "insert into depth_notes (noted_at, waiting) values ($1, $2)
                 on conflict (noted_at) do update set waiting = excluded.waiting",
            )
            .bind(minute)
            .bind(int(waiting))
            .execute(&mut *tx)
            .await?;
            sqlx::query("delete from depth_notes where noted_at < $1").bind(from).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// How much waited, note by note, from a moment on.
    pub async fn depth_notes(&self, from: Time) -> Result<Vec<(Time, u64)>> {
        let notes: Vec<(Time, i64)> = read!(self, db => {
            sqlx::query_as("select noted_at, waiting from depth_notes where noted_at >= $1 order by noted_at")
                .bind(from)
                .fetch_all(db)
                .await?
        });
        Ok(notes.into_iter().map(|(at, waiting)| (at, waiting.unsigned_abs())).collect())
    }
}
