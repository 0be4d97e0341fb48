//! Years of work: a database as it is after ten million rows, written in bulk by `history.sql`.

use std::path::Path;

use lumasync::store::Store;
use rusqlite::Connection;
use tokio::runtime::Runtime;

/// The run of a file with more than half of all rows; the one of a queue; a small one; one that is held; an event in
/// doubt.
pub(crate) const HUGE: i64 = 1;
pub(crate) const QUEUE: i64 = 2;
pub(crate) const SMALL: i64 = 150;
pub(crate) const HELD: i64 = 99;
pub(crate) const EVENT: i64 = 1;
/// Who is in the first run, as a form says it.
pub(crate) const SOMEBODY: &str = "someone.00000042%40example.org";

/// Only for the time in which it is written.
const IN_BULK: &str = "pragma journal_mode = wal; pragma synchronous = off; pragma foreign_keys = off;
                       pragma cache_size = -262144; pragma temp_store = memory;
                       create temp table sizes (huge integer, queue integer, small integer, held integer, events integer);";

/// Writes a history of so many rows of members to a new database.
pub(crate) fn write(path: &Path, rows: u32) -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        Store::open_sqlite(path).await?.close().await;
        anyhow::Ok(())
    })?;
    let db = Connection::open(path)?;
    db.execute_batch(IN_BULK)?;
    let [queue, small, held] = [15, 15, 10].map(|part| rows / 100 * part / 1_000 * 1_000);
    let huge = (rows - queue - small - held) / 1_000 * 1_000;
    db.execute(
        "insert into temp.sizes values (?, ?, ?, ?, ?)",
        (huge, queue, small, held, rows.min(20_000)),
    )?;
    db.execute_batch(&format!(
        "begin; {}; commit; pragma wal_checkpoint(truncate);",
        include_str!("history.sql")
    ))?;
    Ok(())
}

/// Rows of members in the database, and the newest run.
pub(crate) fn size(path: &Path) -> anyhow::Result<(u32, i64)> {
    let db = Connection::open(path)?;
    let rows = "select count(*) from member_queue";
    Ok((
        db.query_row(rows, [], |row| row.get(0))?,
        db.query_row("select max(id) from runs", [], |row| row.get(0))?,
    ))
}
