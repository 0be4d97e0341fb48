//! A look into the database from outside, as a dashboard or another program has it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Row};
use tokio::runtime::{Builder, Runtime};

pub(crate) struct Db {
    pool: SqlitePool,
    runtime: Runtime,
}

impl Db {
    /// Opens a database that exists.
    pub(crate) fn open(path: &Path) -> Self {
        Self::connect(path, SqliteConnectOptions::new().read_only(true))
    }

    /// The same for a program that inserts rows.
    pub(crate) fn open_to_write(path: &Path) -> Self {
        Self::connect(path, SqliteConnectOptions::new().busy_timeout(Duration::from_secs(20)))
    }

    fn connect(path: &Path, options: SqliteConnectOptions) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = options.filename(path);
        let opening = SqlitePoolOptions::new().max_connections(1).connect_with(options);
        let pool = runtime.block_on(opening).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
        Self { pool, runtime }
    }

    /// The one number that a query answers.
    #[track_caller]
    pub(crate) fn count(&self, sql: &str) -> i64 {
        let answer = self.runtime.block_on(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool));
        answer.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Carries statements out, all or none of them.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        let script = format!("begin immediate; {sql}; commit");
        let done = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(script)).execute(&self.pool));
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// One statement; what the database says where it refuses.
    pub(crate) fn try_execute(&self, sql: &str) -> Result<(), String> {
        let done = self.runtime.block_on(sqlx::query(AssertSqlSafe(sql)).execute(&self.pool));
        done.map(drop).map_err(|error| error.to_string())
    }

    /// Every row that a query answers, in text; `NULL` where there is no value.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let answer = self.runtime.block_on(sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool));
        answer.unwrap_or_else(|error| panic!("{sql}: {error}")).iter().map(cells).collect()
    }
}

fn cells(row: &SqliteRow) -> Vec<String> {
    let cell = |at| row.try_get_unchecked::<Option<String>, _>(at).expect("text or number");
    (0..row.len()).map(|at| cell(at).unwrap_or_else(|| "NULL".to_owned())).collect()
}

impl Drop for Db {
    fn drop(&mut self) {
        self.runtime.block_on(self.pool.close());
    }
}
