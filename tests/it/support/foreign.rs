//! Somebody else's database, from which lumasync reads: a file beside the configuration, or a Postgres server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;

use super::Scratch;

pub(crate) struct Foreign {
    connection: Mutex<Connection>,
    runtime: Runtime,
    /// The line of the configuration that names it.
    pub(crate) url: String,
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Foreign {
    /// A file `crm.db` beside the configuration.
    pub(crate) fn sqlite(scratch: &Scratch) -> Self {
        let runtime = runtime();
        let options = SqliteConnectOptions::new().filename(scratch.path("crm.db")).create_if_missing(true);
        let connection = runtime.block_on(options.connect()).expect("a file");
        Self {
            connection: Mutex::new(Connection::Sqlite(connection)),
            runtime,
            url: "sqlite://crm.db".to_owned(),
        }
    }

    /// A server, whose URL lies in a file beside the configuration.
    pub(crate) fn postgres(scratch: &Scratch, url: &str) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(PgConnection::connect(url)).expect("a server");
        keep(&scratch.write("crm.url", url));
        let foreign = Self {
            connection: Mutex::new(Connection::Postgres(connection)),
            runtime,
            url: "file:crm.url".to_owned(),
        };
        // Moments are written without an offset.
        foreign.execute("set timezone = 'UTC'");
        foreign
    }

    /// Carries statements out.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        let done = self.runtime.block_on(async {
            match &mut *self.connection.lock().await {
                Connection::Sqlite(connection) => {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
                }
                Connection::Postgres(connection) => {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
                }
            }
        });
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Many rows at once; `row` writes the values of the one with this number.
    #[track_caller]
    pub(crate) fn insert(&self, into: &str, numbers: std::ops::Range<u64>, row: impl Fn(u64) -> String) {
        let rows: Vec<String> = numbers.map(|number| format!("({})", row(number))).collect();
        for chunk in rows.chunks(2_000) {
            self.execute(&format!("insert into {into} values {}", chunk.join(",")));
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A file that only its owner reads.
fn keep(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
}
