//! A file of `SQLite` that is somebody else's: opened so that nothing can be written to it.

use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _, TypeInfo as _, ValueRef as _,
};

use super::sql::{Dialect, no_placeholder, statement};
use super::{After, Reading, Sink, SourceColumn, SourceError, SourceRow};
use crate::clock::Clock;
use crate::domain::cursor::{CursorValue, Position};
use crate::store::lossy::Lossy;

/// Steps of the database between two looks at the clock: some milliseconds.
const STEPS: i32 = 100_000;

/// An open file.
#[derive(Debug)]
pub struct SqliteSource {
    connection: SqliteConnection,
    timeout: Duration,
}

struct Sqlite;

impl Dialect for Sqlite {
    fn cell(&self, name: &str, _: &SourceColumn) -> String {
        format!("cast({name} as text)")
    }

    fn cursor(&self, name: &str) -> String {
        name.to_owned()
    }

    fn bind(&self, number: usize, _: &SourceColumn) -> String {
        format!("${number}")
    }
}

impl SqliteSource {
    pub(super) async fn open(path: &Path, timeout: Duration, clock: &Clock) -> Result<Self, SourceError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .pragma("query_only", "on")
            .busy_timeout(Duration::from_secs(5))
            .row_buffer_size(512)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| SourceError::opening(&error))?;
        let (clock, until) = (clock.clone(), clock.now().plus(timeout));
        let mut handle = connection.lock_handle().await.map_err(|error| SourceError::opening(&error))?;
        handle.set_progress_handler(STEPS, move || clock.now() < until);
        drop(handle);
        Ok(Self { connection, timeout })
    }

    pub(super) async fn columns(&mut self, query: &str) -> Result<Vec<SourceColumn>, SourceError> {
        let wrong = |error: sqlx::Error| SourceError::of(&error, query, self.timeout);
        let prepared = self.connection.prepare(AssertSqlSafe(query).into_sql_str()).await.map_err(wrong)?;
        no_placeholder(&prepared)?;
        let column = |name: &str| SourceColumn { name: name.to_owned(), kind: String::new() };
        Ok(prepared.columns().iter().map(|found| column(found.name())).collect())
    }

    pub(super) async fn check(&mut self, reading: &Reading<'_>) -> Result<(), SourceError> {
        let sql = AssertSqlSafe(statement(reading, &Sqlite)?).into_sql_str();
        let timeout = self.timeout;
        let prepared = self.connection.prepare(sql).await;
        prepared.map(drop).map_err(|error| SourceError::of(&error, reading.query, timeout))
    }

    pub(super) async fn read(
        mut self,
        reading: &Reading<'_>,
        mut sink: Sink,
    ) -> Result<Option<Position>, SourceError> {
        let timeout = self.timeout;
        let wrong = |error: sqlx::Error| SourceError::of(&error, reading.query, timeout);
        let mut arguments = SqliteArguments::default();
        if let Some(cursor) = &reading.cursor {
            let bound = match &cursor.after {
                None => Ok(()),
                Some(After::From(value)) => bind(&mut arguments, value),
                Some(After::Row(Position { value, key })) => {
                    bind(&mut arguments, value).and_then(|()| bind(&mut arguments, key))
                }
            };
            bound.map_err(|error| wrong(sqlx::Error::Encode(error)))?;
        }
        let sql = statement(reading, &Sqlite)?;
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
        let mut found = query.fetch(&mut self.connection);
        while let Some(row) = found.try_next().await.map_err(wrong)? {
            let position = match &reading.cursor {
                None => None,
                Some(cursor) => {
                    let name = |at: usize| reading.columns[at].name.as_str();
                    let at = reading.read.len();
                    let value = value(&row, at, name(cursor.value))?;
                    let key = self::value(&row, at + 1, name(cursor.key))?;
                    value.zip(key).map(|(value, key)| Position { value, key })
                }
            };
            let cells = cells(&row, reading.read.len()).map_err(wrong)?;
            if !sink.take(cells, position).await {
                return Ok(None);
            }
        }
        Ok(sink.end().await)
    }
}

fn bind(arguments: &mut SqliteArguments, value: &CursorValue) -> Result<(), sqlx::error::BoxDynError> {
    use sqlx::Arguments as _;
    match value {
        CursorValue::Integer(number) => arguments.add(*number),
        CursorValue::Real(number) => arguments.add(*number),
        CursorValue::Text(text) => arguments.add(text.clone()),
    }
}

fn cells(row: &SqliteRow, count: usize) -> sqlx::Result<SourceRow> {
    (0..count).map(|at| row.try_get_unchecked::<Lossy, _>(at).map(Into::into)).collect()
}

/// A value of the type it was stored with: the order of rows depends on it.
fn value(row: &SqliteRow, at: usize, column: &str) -> Result<Option<CursorValue>, SourceError> {
    let bytes = || SourceError::Bytes {
        column: column.chars().take(60).collect(),
        hint: "name a column of moments or numbers in `cursor`, and one of text or numbers in `key`",
    };
    let raw = row.try_get_raw(at).map_err(|_| bytes())?;
    if raw.is_null() {
        return Ok(None);
    }
    let found = match raw.type_info().name() {
        "INTEGER" => row.try_get_unchecked::<i64, _>(at).map(CursorValue::Integer),
        "REAL" => row.try_get_unchecked::<f64, _>(at).map(CursorValue::Real),
        "TEXT" => row.try_get_unchecked::<String, _>(at).map(CursorValue::Text),
        _ => return Err(bytes()),
    };
    found.map(Some).map_err(|_| bytes())
}
