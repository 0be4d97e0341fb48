//! A look into the database from outside, for tests without a runtime.

use std::path::Path;

use tokio::runtime::{Builder, Runtime};

use super::outside::Outside;

pub(crate) struct Db {
    outside: Outside,
    runtime: Runtime,
}

impl Db {
    /// Opens a database of `SQLite` that exists.
    pub(crate) fn open(path: &Path) -> Self {
        Self::connect(Outside::sqlite(path))
    }

    /// The same for a program that inserts rows.
    pub(crate) fn open_to_write(path: &Path) -> Self {
        Self::connect(Outside::sqlite_to_write(path))
    }

    pub(crate) fn postgres(url: &str) -> Self {
        Self::connect(Outside::postgres(url))
    }

    fn connect(outside: impl Future<Output = Outside>) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let outside = runtime.block_on(outside);
        Self { outside, runtime }
    }

    /// The one number that a query answers.
    #[track_caller]
    pub(crate) fn count(&self, sql: &str) -> i64 {
        self.runtime.block_on(self.outside.count(sql))
    }

    /// Carries statements out, all or none of them.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        let sql = match &self.outside {
            Outside::Sqlite(_) => &format!("begin immediate; {sql}; commit"),
            // Together they are one transaction.
            Outside::Postgres(_) => sql,
        };
        self.runtime.block_on(self.outside.execute(sql));
    }

    /// One statement; what the database says where it refuses.
    pub(crate) fn try_execute(&self, sql: &str) -> Result<(), String> {
        self.runtime.block_on(self.outside.try_execute(sql)).map(drop).map_err(|error| error.to_string())
    }

    /// Every row that a query answers, in text; `NULL` where there is no value.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.runtime.block_on(self.outside.rows(sql))
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.runtime.block_on(self.outside.close());
    }
}
