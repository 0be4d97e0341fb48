//! A Postgres server that is somebody else's: read in one transaction that the server itself keeps read-only.

use std::str::FromStr as _;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow, Postgres};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _,
    SqlSafeStr as _, Statement as _,
};

use super::sql::{Dialect, no_placeholder, statement};
use super::{After, Reading, Sink, SourceColumn, SourceError, SourceRow};
use crate::domain::cursor::{CursorValue, Position};

/// Moments and numbers are written in one way that can be read back, whatever the server's own is, and what
/// the server has to say beside its answer is left unsaid: it might quote what nobody should read.
const SESSION: &str = "
    set default_transaction_read_only = on;
    set lock_timeout = '10s';
    set datestyle = 'ISO, YMD';
    set timezone = 'UTC';
    set intervalstyle = 'iso_8601';
    set extra_float_digits = 1;
    set client_min_messages = error";

/// An open connection, in its transaction.
#[derive(Debug)]
pub struct PostgresSource {
    connection: PgConnection,
    timeout: Duration,
}

struct Pg;

impl Dialect for Pg {
    fn cell(&self, name: &str, column: &SourceColumn) -> String {
        if column.kind.ends_with("[]") {
            format!("array_to_string({name}, ';')")
        } else {
            format!("cast({name} as text)")
        }
    }

    fn cursor(&self, name: &str) -> String {
        format!("cast({name} as text)")
    }

    fn bind(&self, number: usize, column: &SourceColumn) -> String {
        format!("cast(cast(${number} as text) as {})", column.kind)
    }
}

impl PostgresSource {
    pub(super) async fn open(url: &SecretString, timeout: Duration) -> Result<Self, SourceError> {
        let opening = |error: sqlx::Error| SourceError::opening(&error);
        let options = PgConnectOptions::from_str(url.expose_secret()).map_err(opening)?;
        let name = options.get_application_name().unwrap_or("lumasync").to_owned();
        let options = options.application_name(&name).disable_statement_logging();
        let mut connection = options.connect().await.map_err(opening)?;
        let limit = format!("set statement_timeout = {}", timeout.as_millis());
        for statement in [SESSION, &limit, "begin transaction isolation level repeatable read read only"] {
            let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
            done.map_err(opening)?;
        }
        Ok(Self { connection, timeout })
    }

    pub(super) async fn columns(&mut self, query: &str) -> Result<Vec<SourceColumn>, SourceError> {
        let timeout = self.timeout;
        let wrong = |error: sqlx::Error| SourceError::of(&error, query, timeout);
        let prepared = self.connection.prepare(AssertSqlSafe(query).into_sql_str()).await.map_err(wrong)?;
        no_placeholder(&prepared)?;
        let types: Vec<Oid> =
            prepared.columns().iter().map(|column| column.type_info().oid().unwrap_or_default()).collect();
        // In the server's own spelling, with quotes and a schema where that is needed; without a length that
        // nobody asked for, as `character` alone would have.
        let kinds: Vec<Option<String>> = sqlx::query_scalar(
            "select format_type(t.id, -1) from unnest($1) with ordinality t (id, place) order by t.place",
        )
        .bind(types)
        .fetch_all(&mut self.connection)
        .await
        .map_err(wrong)?;
        let column = |(name, kind): (&str, Option<String>)| SourceColumn {
            name: name.to_owned(),
            kind: kind.unwrap_or_default(),
        };
        let names = prepared.columns().iter().map(sqlx::Column::name);
        Ok(names.zip(kinds).map(column).collect())
    }

    pub(super) async fn check(&mut self, reading: &Reading<'_>) -> Result<(), SourceError> {
        // It is begun, because what writes is refused only then, and no row of it is asked for.
        let sql = AssertSqlSafe(format!("{} limit 0", statement(reading, &Pg)?));
        let timeout = self.timeout;
        let begun = sqlx::query(sql).persistent(false).execute(&mut self.connection).await;
        begun.map(drop).map_err(|error| SourceError::of(&error, reading.query, timeout))
    }

    pub(super) async fn read(
        mut self,
        reading: &Reading<'_>,
        mut sink: Sink,
    ) -> Result<Option<Position>, SourceError> {
        let timeout = self.timeout;
        let wrong = |error: sqlx::Error| SourceError::of(&error, reading.query, timeout);
        let mut arguments = PgArguments::default();
        let after = reading.cursor.as_ref().and_then(|cursor| cursor.after.as_ref());
        let values = match after {
            None => vec![],
            Some(After::From(value)) => vec![value],
            Some(After::Row(Position { value, key })) => vec![value, key],
        };
        for value in values {
            arguments.add(text_of(value)).map_err(|error| wrong(sqlx::Error::Encode(error)))?;
        }
        let sql = statement(reading, &Pg)?;
        let query = sqlx::query_with::<Postgres, _>(AssertSqlSafe(sql), arguments).persistent(false);
        let mut found = query.fetch(&mut self.connection);
        while let Some(row) = found.try_next().await.map_err(wrong)? {
            let cells = texts(&row, 0, reading.read.len()).map_err(wrong)?;
            let position = match &reading.cursor {
                None => None,
                Some(_) => position(texts(&row, reading.read.len(), 2).map_err(wrong)?),
            };
            if !sink.take(cells, position).await {
                return Ok(None);
            }
        }
        Ok(sink.end().await)
    }
}

fn texts(row: &PgRow, from: usize, count: usize) -> sqlx::Result<SourceRow> {
    (from..from + count).map(|at| row.try_get(at)).collect()
}

fn position(texts: SourceRow) -> Option<Position> {
    let mut values = texts.into_iter().map(|text| text.map(CursorValue::Text));
    let (value, key) = (values.next()??, values.next()??);
    Some(Position { value, key })
}

fn text_of(value: &CursorValue) -> String {
    match value {
        CursorValue::Text(text) => text.clone(),
        CursorValue::Integer(number) => number.to_string(),
        CursorValue::Real(number) => number.to_string(),
    }
}
