//! Somebody else's database, from which rows are only read.
//!
//! A query is checked, then read row by row in one read-only transaction, every column as text. Knows
//! nothing of our own tables, nor of what the rows mean.

mod error;
mod postgres;
mod sql;
mod sqlite;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::mpsc;

pub use error::SourceError;

use crate::clock::Clock;
use crate::domain::cursor::{CursorValue, Position};

/// Where the rows of a source lie. Its Debug text shows no password.
#[derive(Clone, Debug)]
pub enum SourceDatabase {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by its URL.
    Postgres(SecretString),
}

/// A column that a query answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// What its database calls its type, in words that may stand in a statement; empty where it has none.
    kind: String,
}

/// What is read of a query.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// The query as it was written.
    pub query: &'a str,
    /// All its columns.
    pub columns: &'a [SourceColumn],
    /// The places of those that a row holds, in that order.
    pub read: &'a [usize],
    /// How far it was read before, where it is not read anew each time.
    pub cursor: Option<CursorReading>,
}

/// Which rows of a query have come since.
#[derive(Clone, Debug)]
pub struct CursorReading {
    /// The place of the cursor's column.
    pub value: usize,
    /// The place of the key's.
    pub key: usize,
    /// Where to go on; from the beginning where there is no such place.
    pub after: Option<After>,
}

/// Where a reading goes on. Rows without cursor or key are read every time: nobody can tell when they came.
#[derive(Clone, Debug, PartialEq)]
pub enum After {
    /// With the row behind this one.
    Row(Position),
    /// With the rows that have this value.
    From(CursorValue),
}

/// The cells that were asked for, as text; nothing where there is no value.
pub type SourceRow = Vec<Option<String>>;

/// Rows handed over at a time.
const BLOCK: usize = 500;

/// An open connection to a source.
#[derive(Debug)]
pub enum SourceReader {
    /// To a file.
    Sqlite(sqlite::SqliteSource),
    /// To a server.
    Postgres(postgres::PostgresSource),
}

impl SourceReader {
    /// Opens a database to read from it; no statement may take longer than `timeout`.
    pub async fn open(
        database: &SourceDatabase,
        timeout: Duration,
        clock: &Clock,
    ) -> Result<Self, SourceError> {
        Ok(match database {
            SourceDatabase::Sqlite(path) => {
                Self::Sqlite(sqlite::SqliteSource::open(path, timeout, clock).await?)
            }
            SourceDatabase::Postgres(url) => {
                Self::Postgres(postgres::PostgresSource::open(url, timeout).await?)
            }
        })
    }

    /// What a query answers with, found out without carrying it out.
    pub async fn columns(&mut self, query: &str) -> Result<Vec<SourceColumn>, SourceError> {
        let query = sql::one_statement(query)?;
        let columns = match self {
            Self::Sqlite(source) => source.columns(query).await?,
            Self::Postgres(source) => source.columns(query).await?,
        };
        if columns.is_empty() { Err(SourceError::NoRows) } else { Ok(columns) }
    }

    /// Sees whether the database would carry a reading out.
    pub async fn check(&mut self, reading: &Reading<'_>) -> Result<(), SourceError> {
        match self {
            Self::Sqlite(source) => source.check(reading).await,
            Self::Postgres(source) => source.check(reading).await,
        }
    }

    /// Reads every row into `rows`, and stops early where nobody takes them any more. The last one that has
    /// both cursor and key and does not lie in the future, where there is a cursor.
    pub async fn read(
        self,
        reading: &Reading<'_>,
        clock: &Clock,
        rows: mpsc::Sender<Vec<SourceRow>>,
    ) -> Result<Option<Position>, SourceError> {
        let sink = Sink { block: Vec::with_capacity(BLOCK), rows, last: None, now: clock.now() };
        match self {
            Self::Sqlite(source) => source.read(reading, sink).await,
            Self::Postgres(source) => source.read(reading, sink).await,
        }
    }
}

/// Where rows go, block by block.
struct Sink {
    block: Vec<SourceRow>,
    rows: mpsc::Sender<Vec<SourceRow>>,
    last: Option<Position>,
    now: crate::clock::Time,
}

impl Sink {
    /// Takes a row and where it stands; whether more are wanted.
    async fn take(&mut self, row: SourceRow, position: Option<Position>) -> bool {
        if let Some(position) = position.filter(|position| !position.value.lies_ahead_of(self.now)) {
            self.last = Some(position);
        }
        self.block.push(row);
        self.block.len() < BLOCK || self.flush().await
    }

    async fn flush(&mut self) -> bool {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        block.is_empty() || self.rows.send(block).await.is_ok()
    }

    async fn end(mut self) -> Option<Position> {
        self.flush().await;
        self.last
    }
}
