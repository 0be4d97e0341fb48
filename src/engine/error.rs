//! Why the engine stops short of its work.

use std::io;
use std::path::PathBuf;

use super::Source;
use crate::domain::account::MAIN;
use crate::domain::tag::UnknownTag;
use crate::domain::verdict::Cause;
use crate::ingest::{ColumnsError, FileError};
use crate::store::{SourceError, StoreError};

/// An error that ends a pass. Nothing is lost by it: rows stay where they are.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be taken in.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was written to while it was read.
    #[error("`{path}` changed while it was read\nhint: wait until it is complete, then try again")]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// A file with invalid rows, where such files are refused.
    #[error(
        "`{path}` has invalid rows ({rows}, the first on line {line}): {reason}\nhint: mend them, or set `folder.on_error = \"skip\"` to send the others"
    )]
    Refused {
        /// Which.
        path: PathBuf,
        /// How many.
        rows: u64,
        /// The first of them.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else's database.
    #[error("source `{name}` {fault}")]
    Source {
        /// Which source.
        name: String,
        /// What is wrong with it.
        fault: SourceError,
    },
    /// A query whose columns are not those of members.
    #[error("source `{name}` {fault}")]
    Columns {
        /// Which source.
        name: String,
        /// What is wrong with them.
        fault: ColumnsError,
    },
    /// A cursor that an overlap makes no sense for.
    #[error(
        "source `{name}` has a value in `{column}` that is neither a moment nor a number, so nobody can say what came shortly before it\nhint: name a column of moments in `cursor`, or set `overlap = \"0s\"` if its values only ever grow"
    )]
    Overlap {
        /// Which source.
        name: String,
        /// Its cursor.
        column: String,
    },
    /// A source that is being taken in.
    #[error("source `{name}` is being taken in now\nhint: try again once that is done")]
    SourceBusy {
        /// Which source.
        name: String,
    },
    /// The disk.
    #[error("cannot {what} `{path}`")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Luma refuses the key.
    #[error("{}: {reason}\nhint: {}", refused(*cause), mend(*cause, account))]
    KeyRefused {
        /// Whose.
        account: String,
        /// What it is about: the key, the plan or the calendar.
        cause: Cause,
        /// What Luma said.
        reason: String,
    },
    /// The key belongs to somebody else than the ledger.
    #[error(
        "the key belongs to the Luma user `{found}`, and this database is the record of `{known}`\nhint: use the key of that user, or another database for this one (`database.url`)"
    )]
    WrongAccount {
        /// Whom the ledger belongs to.
        known: String,
        /// Whom the key belongs to.
        found: String,
    },
    /// The database is of the other kind: a rehearsal's, or a real one.
    #[error(
        "{what}, and a rehearsal's record and a real one must not be mixed\nhint: use another database: `{instead}`"
    )]
    Mixed {
        /// What it is.
        what: &'static str,
        /// The command that does it right.
        instead: String,
    },
    /// A tag that holds for every row is none.
    #[error("{0}\nhint: make the tag at Luma, or set `luma.create_missing_tags = true`; nothing was sent")]
    Tag(#[from] UnknownTag),
    /// Luma refuses whatever is sent, until a person has mended something.
    #[error("Luma refuses every request: {reason}\nhint: {}", cause.hint())]
    Halted {
        /// What it is about.
        cause: Cause,
        /// What it said.
        reason: String,
    },
    /// Luma cannot be reached.
    #[error("cannot reach Luma: {0}\nhint: the rows are kept; try again later")]
    Unreachable(String),
    /// The service was told to stop.
    #[error("stopped before the work was done; what is left goes on at the next start")]
    Stopped,
    /// A task of ours broke.
    #[error("a task ended unexpectedly")]
    Task(#[from] tokio::task::JoinError),
}

impl EngineError {
    /// Whether the same may do later, with nothing changed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing() || matches!(error, StoreError::Lost { .. }),
            Self::Unreachable(_) | Self::Changed { .. } | Self::SourceBusy { .. } => true,
            Self::Source { fault, .. } => fault.is_passing(),
            Self::File(error) => error.is_passing(),
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Refused { .. }
            | Self::KeyRefused { .. }
            | Self::Columns { .. }
            | Self::Overlap { .. }
            | Self::WrongAccount { .. }
            | Self::Mixed { .. }
            | Self::Halted { .. }
            | Self::Tag(_)
            | Self::Stopped
            | Self::Task(_) => false,
        }
    }

    /// Why runs stand still because of this, and what makes them go on; `None` where they do not.
    #[must_use]
    pub fn standstill(&self) -> Option<String> {
        let goes_on = match self {
            Self::KeyRefused { .. } | Self::WrongAccount { .. } => "once the key is right",
            Self::Halted { .. } => "once that is mended",
            Self::Unreachable(_) => "once it can be reached",
            Self::Store(_)
            | Self::File(_)
            | Self::Changed { .. }
            | Self::Refused { .. }
            | Self::Source { .. }
            | Self::Columns { .. }
            | Self::Overlap { .. }
            | Self::SourceBusy { .. }
            | Self::Io { .. }
            | Self::Mixed { .. }
            | Self::Tag(_)
            | Self::Stopped
            | Self::Task(_) => return None,
        };
        let text = self.to_string();
        let text = text.split('\n').next().unwrap_or_default().trim_end_matches('.');
        Some(format!("stopped: {text}; `lumasync sync` goes on {goes_on}"))
    }

    pub(super) fn source(source: &Source, fault: SourceError) -> Self {
        Self::Source { name: source.name.clone(), fault }
    }

    pub(super) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// What Luma refuses.
const fn refused(cause: Cause) -> &'static str {
    match cause {
        Cause::Plan => "the plan does not allow it",
        Cause::Calendar => "calendar refused",
        Cause::Key | Cause::ImportLimit | Cause::Route | Cause::Tags | Cause::Unknown => "key refused",
    }
}

/// What to do about it.
fn mend(cause: Cause, account: &str) -> String {
    match cause {
        Cause::Plan | Cause::Calendar => {
            format!("{}; the rows are kept and go out once that is mended", cause.hint())
        }
        Cause::Key | Cause::ImportLimit | Cause::Route | Cause::Tags | Cause::Unknown => {
            format!(
                "check `{}.api_key`; the rows are kept and go out once the key is right",
                section(account)
            )
        }
    }
}

/// Where the key of an account is configured.
fn section(account: &str) -> String {
    if account == MAIN { "luma".to_owned() } else { format!("accounts.{account}") }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', "; ")
}
