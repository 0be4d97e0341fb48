//! Many rows in one statement, which each database takes in its own way.

mod postgres;
mod sqlite;

use super::Result;
use super::calls::MovedRow;
use super::queue::{EndedRow, TakenRow};
use super::rows::{BadInput, PendingRow};
use crate::clock::Time;

/// Writes many rows on an open transaction.
pub(super) trait Bulk {
    /// Enters rows to send. `batches` are the ids of the batches that they name by place.
    async fn insert_pending(&mut self, run_id: i64, rows: &[PendingRow<'_>], batches: &[i64]) -> Result<()>;

    /// Enters rows that end here.
    async fn insert_invalid(&mut self, run_id: i64, rows: &[BadInput<'_>], now: Time) -> Result<()>;

    /// Makes new rows of the queue pending; how many were still new.
    async fn take_pending(&mut self, run_id: i64, rows: &[TakenRow<'_>], batches: &[i64]) -> Result<u64>;

    /// Ends new rows of the queue; how many were still new.
    async fn take_ended(&mut self, run_id: i64, rows: &[EndedRow<'_>], now: Time) -> Result<u64>;

    /// Puts rows that wait into other batches; how many still waited.
    async fn move_rows(&mut self, rows: &[MovedRow]) -> Result<u64>;

    /// Notes calls, each with one that it waits for.
    async fn insert_waits(&mut self, waits: &[(i64, i64)]) -> Result<()>;
}
