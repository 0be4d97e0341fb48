//! A connection to the database from outside, as a dashboard or another program has it.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, ValueRef as _};

pub(crate) enum Outside {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Outside {
    /// A program that only looks.
    pub(crate) async fn sqlite(path: &Path) -> Self {
        Self::open_sqlite(path, SqliteConnectOptions::new().read_only(true)).await
    }

    /// A program that inserts rows.
    pub(crate) async fn sqlite_to_write(path: &Path) -> Self {
        Self::open_sqlite(path, SqliteConnectOptions::new().busy_timeout(Duration::from_secs(20))).await
    }

    async fn open_sqlite(path: &Path, options: SqliteConnectOptions) -> Self {
        let options = options.filename(path);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        Self::Sqlite(pool.unwrap_or_else(|error| panic!("`{}`: {error}", path.display())))
    }

    pub(crate) async fn postgres(url: &str) -> Self {
        let pool = PgPoolOptions::new().max_connections(1).connect(url).await;
        Self::Postgres(pool.unwrap_or_else(|error| panic!("{url}: {error}")))
    }

    /// Carries statements out, all or none of them; how many rows the last one met.
    pub(crate) async fn try_execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql);
        Ok(match self {
            Self::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await?.rows_affected(),
            Self::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await?.rows_affected(),
        })
    }

    pub(crate) async fn execute(&self, sql: &str) -> u64 {
        self.try_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The one number that a query answers.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let rows = self.rows(sql).await;
        let cell = rows.first().and_then(|row| row.first());
        cell.and_then(|cell| cell.parse().ok()).unwrap_or_else(|| panic!("{sql}: {rows:?} is no number"))
    }

    /// Every row that a query answers, in text; `NULL` where there is no value.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        let rows = match self {
            Self::Sqlite(pool) => {
                query.fetch_all(pool).await.map(|rows| rows.iter().map(sqlite_cells).collect())
            }
            // Not prepared: everything comes as text then.
            Self::Postgres(pool) => {
                query.fetch_all(pool).await.map(|rows| rows.iter().map(postgres_cells).collect())
            }
        };
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

fn sqlite_cells(row: &SqliteRow) -> Vec<String> {
    let cell = |at| row.try_get_unchecked::<Option<String>, _>(at).expect("text or number");
    (0..row.len()).map(|at| cell(at).unwrap_or_else(|| "NULL".to_owned())).collect()
}

/// Booleans as numbers, as the other database has them.
fn postgres_cells(row: &PgRow) -> Vec<String> {
    let cell = |at: usize| {
        let value = row.try_get_raw(at).expect("a cell");
        let is_bool = value.type_info().to_string() == "BOOL";
        match (value.is_null(), value.as_str()) {
            (true, _) => "NULL".to_owned(),
            (false, Ok("t")) if is_bool => "1".to_owned(),
            (false, Ok("f")) if is_bool => "0".to_owned(),
            (false, text) => text.expect("text").to_owned(),
        }
    };
    (0..row.len()).map(cell).collect()
}
