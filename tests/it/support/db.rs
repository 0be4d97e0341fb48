//! A look into the database from outside, as a dashboard has it: it reads and cannot write.

use std::path::Path;

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
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
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
