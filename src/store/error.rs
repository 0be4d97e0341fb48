//! What can go wrong between us and the database.

use std::io;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// What the driver said, once: its own chain tells the same twice, with lines of the server's source.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.0))]
pub struct DriverError(sqlx::Error);

/// An error of the store. Texts hold no address and no key.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database failed")]
    Database(#[source] DriverError),
    /// The database could not be opened.
    #[error("cannot open the database `{place}`")]
    Open {
        /// Where it was looked for: a path, or a host and a name.
        place: String,
        /// What the driver said.
        source: DriverError,
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
    Migrate(#[source] DriverError),
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

impl From<sqlx::Error> for DriverError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl From<DriverError> for sqlx::Error {
    fn from(error: DriverError) -> Self {
        error.0
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl StoreError {
    /// Whether waiting may help: the database is locked, full or out of reach.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let (Self::Database(error) | Self::Open { source: error, .. }) = self else { return false };
        match &error.0 {
            sqlx::Error::Database(inner) => {
                let code = inner.code().unwrap_or_default();
                match inner.try_downcast_ref::<PgDatabaseError>() {
                    Some(_) => passes_in_postgres(&code),
                    None => passes_in_sqlite(&code),
                }
            }
            // At the start it is a certificate that is not trusted; once it was, it is noise on the line.
            sqlx::Error::Io(error) => {
                error.kind() != io::ErrorKind::InvalidData || matches!(self, Self::Database(_))
            }
            sqlx::Error::PoolTimedOut => true,
            _ => false,
        }
    }

    /// Whether two transactions stood in each other's way, and this one was undone for the other.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        let Self::Database(DriverError(sqlx::Error::Database(inner))) = self else { return false };
        inner.code().is_some_and(|code| matches!(code.as_ref(), "40001" | "40P01"))
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let (Self::Database(error) | Self::Open { source: error, .. } | Self::Migrate(error)) = self else {
            return None;
        };
        let own = match &error.0 {
            sqlx::Error::Database(inner) => {
                inner.try_downcast_ref::<PgDatabaseError>().and_then(|error| hint_of_postgres(error.code()))
            }
            sqlx::Error::Tls(_) => Some(
                "look at `sslmode`, `sslcert` and `sslkey` in `database.url`, and whether the server speaks TLS",
            ),
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Some(TLS),
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => Some(PATHS),
            sqlx::Error::Configuration(_) => Some("look at what follows the `?` in `database.url`"),
            _ => None,
        };
        own.or_else(|| self.is_passing().then_some(TRY_AGAIN))
    }

    pub(super) fn migrate(error: MigrateError) -> Self {
        Self::Migrate(DriverError(match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
            other => sqlx::Error::Migrate(Box::new(other)),
        }))
    }

    pub(super) fn corrupt(
        table: &'static str,
        column: &'static str,
        value: &(impl ToString + ?Sized),
    ) -> Self {
        Self::Corrupt { table, column, value: value.to_string().chars().take(80).collect() }
    }
}

const TRY_AGAIN: &str = "another program holds the database, or its disk is full or out of reach; try again";
const TLS: &str = "`sslrootcert=/path/ca.pem` in `database.url` names the authority that signed the server's certificate; the host must be one that the certificate names";
const PATHS: &str = "look at the paths that `database.url` names, and whether the server is up";

/// What the driver said, without what it puts around it.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) | sqlx::Error::Configuration(error) => said_within(error.as_ref()),
        sqlx::Error::PoolTimedOut => "there was no connection within 10 s".to_owned(),
        sqlx::Error::Migrate(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// The innermost of its causes.
fn said_within(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}

fn hint_of_postgres(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" | "28000" => {
            "look at user and password in `database.url`, and whether the server's `pg_hba.conf` lets this machine in"
        }
        "3D000" => "make it with `createdb`, or look at the name in `database.url`",
        "25006" => {
            "this server only reads, as a standby does: name the one that takes writes in `database.url`, or try again once it does"
        }
        "42501" => {
            "let the user own its database (`alter database NAME owner to USER`) and tables, or grant it what is missing"
        }
        _ => return None,
    })
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
