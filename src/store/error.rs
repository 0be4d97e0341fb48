//! What can go wrong between us and the database.

use std::path::PathBuf;

/// An error of the store. Texts hold no address and no key.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// The file could not be opened as a database.
    #[error("cannot open the database `{path}`")]
    Open {
        /// Where it was looked for.
        path: PathBuf,
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
            // 5 busy, 6 locked, 10 I/O, 13 full; the upper bytes say more of the same.
            sqlx::Error::Database(inner) => inner
                .code()
                .and_then(|code| code.parse::<u32>().ok())
                .is_some_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13)),
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

/// Fails with `Lost` unless a write met as many rows as it must.
pub(super) fn ensure_rows(found: u64, wanted: u64, what: impl FnOnce() -> String) -> super::Result<()> {
    if found == wanted { Ok(()) } else { Err(StoreError::Lost { what: what() }) }
}
