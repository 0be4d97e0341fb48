//! Opening a database: settings are set and read back, tables brought up to date.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Row as _, SqlitePool};

use super::{Pools, Result, Store, StoreError};
use crate::clock::Clock;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Older versions can corrupt a write-ahead log that two connections reset at once.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];
const READERS: u32 = 4;
/// Somebody else's migration is over well within so many tries, each of which waits for the lock.
const MIGRATION_TRIES: u32 = 10;
const OPENING_TRIES: u32 = 10;
const OPENING_PAUSE: Duration = Duration::from_millis(20);
/// KiB of page cache a connection. Rows are written in the order of their index, so little is enough.
const WRITER_CACHE: u32 = 16_384;
const READER_CACHE: u32 = 2_048;
/// Pages of write-ahead log between two checkpoints: a page written by several settles is carried
/// over once. 32 MiB at most that a crash leaves to be read back.
const CHECKPOINT_PAGES: u32 = 8_192;

impl Store {
    /// Opens or creates the `SQLite` database at `path` and brings its tables up to date.
    pub async fn open_sqlite(path: &Path) -> Result<Self> {
        let opened = |source: sqlx::Error| StoreError::Open {
            place: path.display().to_string(),
            source: source.into(),
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .row_buffer_size(512)
            // Its warnings of slow statements would reach people, who can do nothing about them.
            .disable_statement_logging();
        let tuned = options
            .clone()
            .pragma("cache_size", format!("-{WRITER_CACHE}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
        let writer = open_writer(&tuned).await.map_err(opened)?;
        restrict_permissions(path);
        check_settings(&writer).await?;
        migrate(&writer).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_with(options.pragma("cache_size", format!("-{READER_CACHE}")).pragma("query_only", "on"))
            .await
            .map_err(opened)?;
        Ok(Self { pools: Pools::Sqlite { writer, reader }, known: Arc::default() })
    }

    /// Lets every connection go. Call it on the way out.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
            Pools::Postgres { pool, .. } => pool.close().await,
        }
    }

    /// The newest migration this program knows, the same for every database.
    #[must_use]
    pub fn schema_version() -> i64 {
        SQLITE_MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
    }
}

/// Who turns a new database to its write-ahead log while another does so too is refused at once, whatever
/// the timeout: it is over in a moment.
async fn open_writer(options: &SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    let pool = || {
        SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.clone())
    };
    for _ in 1..OPENING_TRIES {
        match pool().await.map_err(StoreError::from) {
            Err(error) if error.is_passing() => Clock::system().sleep(OPENING_PAUSE).await,
            Err(StoreError::Database(error)) => return Err(error.into()),
            Err(_) => break,
            Ok(pool) => return Ok(pool),
        }
    }
    pool().await
}

/// The file holds addresses: nobody else reads it. Best effort, since some file systems cannot.
fn restrict_permissions(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)) {
            tracing::debug!(%error, "could not restrict the database file to its owner");
        }
    }
}

/// Several processes may start at once: one makes the tables, the others find them made.
async fn migrate(writer: &SqlitePool) -> Result<()> {
    for _ in 0..MIGRATION_TRIES {
        if is_current(writer).await? {
            return Ok(());
        }
        if SQLITE_MIGRATIONS.run(writer).await.is_ok() {
            return Ok(());
        }
    }
    SQLITE_MIGRATIONS.run(writer).await.map_err(StoreError::migrate)
}

async fn is_current(writer: &SqlitePool) -> Result<bool> {
    let known = Store::schema_version();
    let has_table = "select count(*) from sqlite_master where name = '_sqlx_migrations'";
    let tables: i64 = sqlx::query_scalar(has_table).fetch_one(writer).await?;
    if tables == 0 {
        return Ok(false);
    }
    let newest = "select coalesce(max(version), 0) from _sqlx_migrations where success";
    let found: i64 = sqlx::query_scalar(newest).fetch_one(writer).await?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    Ok(found == known)
}

/// An unknown pragma is silently ignored, so what safety rests on is read back.
async fn check_settings(writer: &SqlitePool) -> Result<()> {
    let version: String = sqlx::query_scalar("select sqlite_version()").fetch_one(writer).await?;
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if parts.as_slice() < OLDEST_SQLITE.as_slice() {
        let wanted = "3.51.3 or newer".to_owned();
        return Err(StoreError::Setting { name: "sqlite_version", wanted, found: version });
    }
    for (name, pragma, wanted) in [
        ("journal_mode", "pragma journal_mode", "wal"),
        ("synchronous", "pragma synchronous", "2"),
        ("foreign_keys", "pragma foreign_keys", "1"),
        ("busy_timeout", "pragma busy_timeout", "5000"),
    ] {
        let row = sqlx::query(pragma).fetch_one(writer).await?;
        let found = row
            .try_get_unchecked::<String, _>(0)
            .or_else(|_| row.try_get_unchecked::<i64, _>(0).map(|number| number.to_string()))?;
        if found != wanted {
            return Err(StoreError::Setting { name, wanted: wanted.to_owned(), found });
        }
    }
    Ok(())
}
