//! What can go wrong between us and the database.

use sqlx::postgres::PgDatabaseError;

/// An error of the store. Texts hold no address and no key.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// The database could not be opened.
    #[error("cannot open the database `{place}`")]
    Open {
        /// Where it was looked for: a path, or a host and a name.
        place: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A setting that safety rests on did not take.
    #[error("the database runs with `{name}` = `{found}` where `{wanted}` is needed")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the database's tables up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database was made by a newer release.
    #[error(
        "the database has tables of a newer lumasync (migration {found}, this one knows {known})\nhint: run the newer lumasync, or point `database.url` at another database"
    )]
    Newer {
        /// The newest migration it has.
        found: i64,
        /// The newest migration we know.
        known: i64,
    },
    /// A write met fewer rows than it must: the claim is somebody else's by now.
    #[error("{what} is no longer ours: another worker took it over or it was settled")]
    Lost {
        /// The thing, by its id.
        what: String,
    },
    /// Something stored cannot be read as what it must be.
    #[error("`{table}.{column}` holds `{value}`, which lumasync did not write")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl StoreError {
    /// Whether waiting may help: the database is locked, full or out of reach.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let (Self::Database(error) | Self::Open { source: error, .. }) = self else { return false };
        match error {
            sqlx::Error::Database(inner) => {
                let code = inner.code().unwrap_or_default();
                match inner.try_downcast_ref::<PgDatabaseError>() {
                    Some(_) => passes_in_postgres(&code),
                    None => passes_in_sqlite(&code),
                }
            }
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            _ => false,
        }
    }

    pub(super) fn corrupt(
        table: &'static str,
        column: &'static str,
        value: &(impl ToString + ?Sized),
    ) -> Self {
        Self::Corrupt { table, column, value: value.to_string().chars().take(80).collect() }
    }
}

/// 5 busy, 6 locked, 10 I/O, 13 full; the upper bytes say more of the same.
fn passes_in_sqlite(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
}

fn passes_in_postgres(code: &str) -> bool {
    match code {
        // Deadlock and conflicts; a lock not to be had; canceled or timed out; a standby that is not
        // the primary yet; a transaction that stood open too long.
        // And 23505: somebody entered the same a moment ago; at the next look it is there.
        "40001" | "40P01" | "55P03" | "57014" | "25006" | "25P03" | "23505" => true,
        // Connections, resources (disk full, too many clients), an operator at work, the system.
        code => ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)),
    }
}

/// Fails with `Lost` unless a write met as many rows as it must.
pub(super) fn ensure_rows(found: u64, wanted: u64, what: impl FnOnce() -> String) -> super::Result<()> {
    if found == wanted { Ok(()) } else { Err(StoreError::Lost { what: what() }) }
}
