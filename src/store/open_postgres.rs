//! Opening a Postgres database: its settings are set and looked at, tables brought up to date.
//!
//! Never repeats the URL, which may hold a password.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::{Pools, Result, Store, StoreError};
use crate::clock::Clock;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The first release that the SQL is written for.
const OLDEST: i64 = 130_000;
/// A few for the turns and the queue, a few for a file that is taken in, two for result files.
const CONNECTIONS: u32 = 10;
/// How long a piece of work waits for a connection, and so for a server that restarts.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one piece of work may take, the longest statement that the server allows and some: who has no answer
/// then gets none.
const LONGEST: Duration = Duration::from_mins(6);
/// How long a connection may take to say that it is free again.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Somebody else's migration is over well within so many tries, each of which waits for the lock.
const MIGRATION_TRIES: u32 = 3;

/// What every connection is told first: settings of the server's own that our work does not rest on.
const PLAIN: &str = "
    set default_transaction_isolation = 'read committed';
    set default_transaction_read_only = off";

/// What every connection is told but the first. Statements are written for nested loops over indexes, the only joins
/// that `SQLite` knows: a table that was filled a moment ago has no statistics yet, and would be read
/// from end to end for every batch. Nobody is waited for without end, and what is acknowledged is on disk.
const SESSION: &str = "
    set statement_timeout = '5min';
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '1min';
    set synchronous_commit = on;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set jit = off;
    set client_min_messages = warning";

impl Store {
    /// Opens the Postgres database at `url` and brings its tables up to date. `place` names it in errors.
    pub async fn open_postgres(url: &str, place: &str) -> Result<Self> {
        Self::open_postgres_with(url, place, LONGEST).await
    }

    /// The same, with less patience for a server that does not answer.
    pub async fn open_postgres_with(url: &str, place: &str, patience: Duration) -> Result<Self> {
        let opened =
            |source: sqlx::Error| StoreError::Open { place: place.to_owned(), source: source.into() };
        let options = options(url).map_err(opened)?;
        // Without the limits of a session: a migration takes as long as it takes.
        let unhurried = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .after_connect(|connection, _| Box::pin(tell(connection, PLAIN)));
        let unhurried = match unhurried.connect_with(options.clone()).await {
            Ok(pool) => pool,
            Err(error) => return Err(opened(why(error, &options).await)),
        };
        check(&unhurried).await?;
        migrate(&unhurried).await?;
        unhurried.close().await;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .after_connect(|connection, _| Box::pin(set_up(connection)))
            .after_release(|connection, _| Box::pin(is_sound(connection)))
            .connect_with(options)
            .await
            .map_err(opened)?;
        Ok(Self { pools: Pools::Postgres { pool, patience }, known: Arc::default() })
    }
}

fn options(url: &str) -> sqlx::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)?;
    let name = options.get_application_name().unwrap_or("lumasync").to_owned();
    Ok(options.application_name(&name).disable_statement_logging())
}

async fn set_up(connection: &mut PgConnection) -> sqlx::Result<()> {
    tell(connection, PLAIN).await?;
    tell(connection, SESSION).await
}

async fn tell(connection: &mut PgConnection, settings: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(settings).execute(connection).await.map(|_| ())
}

/// A connection whose work was given up may never answer again: it is not waited for, and not used again.
async fn is_sound(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let clock = Clock::system();
    tokio::select! {
        biased;
        answer = connection.ping() => answer.map(|()| true),
        () = clock.sleep(LAST_WORD) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// A pool that has tried for long enough does not say what came of it.
async fn why(error: sqlx::Error, options: &PgConnectOptions) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    let clock = Clock::system();
    tokio::select! {
        tried = options.connect() => tried.err().unwrap_or(error),
        () = clock.sleep(LAST_WORD) => error,
    }
}

/// What safety rests on and a session cannot choose.
async fn check(pool: &PgPool) -> Result<()> {
    let (number, version, encoding): (i64, String, String) = sqlx::query_as(
        "select cast(current_setting('server_version_num') as bigint), current_setting('server_version'),
                current_setting('server_encoding')",
    )
    .fetch_one(pool)
    .await?;
    let wrong =
        |name, wanted: &str, found| Err(StoreError::Setting { name, wanted: wanted.to_owned(), found });
    if number < OLDEST {
        return wrong("server_version", "13 or newer", version);
    }
    if encoding != "UTF8" {
        return wrong("server_encoding", "UTF8", encoding);
    }
    Ok(())
}

/// Several processes may start at once: one makes the tables while the others wait for its advisory lock.
async fn migrate(pool: &PgPool) -> Result<()> {
    for _ in 0..MIGRATION_TRIES {
        if is_current(pool).await? {
            return Ok(());
        }
        if MIGRATIONS.run(pool).await.is_ok() {
            return Ok(());
        }
    }
    MIGRATIONS.run(pool).await.map_err(StoreError::migrate)
}

async fn is_current(pool: &PgPool) -> Result<bool> {
    let known = Store::schema_version();
    let has_table = "select to_regclass('_sqlx_migrations') is not null";
    let has_table: bool = sqlx::query_scalar(has_table).fetch_one(pool).await?;
    if !has_table {
        return Ok(false);
    }
    let newest = "select coalesce(max(version), 0) from _sqlx_migrations where success";
    let found: i64 = sqlx::query_scalar(newest).fetch_one(pool).await?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    Ok(found == known)
}
