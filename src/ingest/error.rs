//! Why a whole file cannot be taken, said so that its owner can mend it.
//!
//! What is wrong with a single row is a `RowError`; it never stops the file.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::open::Compression;

/// A file that cannot be read as rows.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {fault}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

impl FileError {
    /// Whether the same may do later: the disk failed, not the file.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let Fault::Io(error) = &self.fault else { return false };
        !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory
        )
    }

    pub(crate) fn new(path: &Path, fault: Fault) -> Self {
        Self { path: path.to_owned(), fault }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'_, str>> {
        self.fault.hint()
    }

    /// The line where the trouble stands, where there is one.
    #[must_use]
    pub const fn line(&self) -> Option<u64> {
        match self.fault {
            Fault::Header { line, .. } | Fault::HeaderBelow { line } => Some(line),
            _ => None,
        }
    }
}

/// What is wrong with a file. The text reads on after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system did not give its bytes.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// Compressed data that breaks off or does not add up.
    #[error("is broken or cut off {compression} data: {reason}")]
    Corrupt {
        /// What the first bytes say it is.
        compression: Compression,
        /// What the decompressor said.
        reason: String,
    },
    /// Compressed data that grows past the limit.
    #[error("expands to more than {0} bytes")]
    TooLarge(u64),
    /// Compressed data that grows as no list does.
    #[error("expands to more than {0} times its size")]
    TooDense(u64),
    /// Something other than CSV.
    #[error("is {what}, not CSV")]
    NotCsv {
        /// What it seems to be.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// The first record cannot be told apart.
    #[error("has a broken header (line {line}, column {column}): {reason}")]
    Header {
        /// The line, from 1.
        line: u64,
        /// The character in that line, from 1.
        column: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file of events has no column of names.
    #[error("has no column `name`; its header is `{header}`")]
    NoEventName {
        /// The header as read, cut short.
        header: String,
    },
    /// A column is none of an event's, and nearly one.
    #[error("has a column `{column}`, which no event has")]
    EventColumn {
        /// The column.
        column: String,
        /// The one that was probably meant.
        meant: &'static str,
    },
    /// A column of people's addresses in a file of events.
    #[error("has a column `{column}`, which no event has")]
    EmailOfEvent {
        /// The column.
        column: String,
    },
    /// Two columns say the same of an event.
    #[error("has the column `{column}` twice (numbers {first_at} and {second_at})")]
    EventColumnTwice {
        /// The column.
        column: &'static str,
        /// Its first place, from 1.
        first_at: usize,
        /// Its second place, from 1.
        second_at: usize,
    },
    /// No column is known to hold addresses.
    #[error("has no e-mail column; its header is `{header}`")]
    NoEmail {
        /// The header as read, cut short.
        header: String,
        /// The column that was probably meant.
        meant: Option<String>,
    },
    /// The names of the columns stand below something else.
    #[error("has its column names on line {line}, and something else above them")]
    HeaderBelow {
        /// Where they stand, from 1.
        line: u64,
    },
    /// Two columns have an equal claim.
    #[error("has two e-mail columns, `{first}` (number {first_at}) and `{second}` (number {second_at})")]
    TwoEmails {
        /// One.
        first: String,
        /// Its place, from 1.
        first_at: usize,
        /// The other.
        second: String,
        /// Its place, from 1.
        second_at: usize,
    },
}

impl Fault {
    /// Takes back the fault that travelled through `Read`.
    pub(crate) fn from_read(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }

    fn hint(&self) -> Option<Cow<'_, str>> {
        let hint = match self {
            Self::Io(_) => return None,
            Self::Corrupt { .. } => "copy the file again: it may not have arrived whole",
            Self::TooLarge(_) | Self::TooDense(_) => "unpack it by hand and look, or split it",
            Self::NotCsv { hint, .. } => hint,
            Self::Empty => "the first line names the columns, for example `email,name,tags`",
            Self::Header { .. } => "the first line names the columns; check its quotes",
            Self::NoEventName { .. } => {
                "the first line names the columns as the API does, for example `name,start_at,duration_minutes`"
            }
            Self::EventColumn { meant, .. } => {
                return Some(format!("rename it to `{meant}`, or to something quite different").into());
            }
            Self::EmailOfEvent { .. } => {
                "a list of members goes into `drop/members`, or to `sync` without `--kind events`; of a list of events, remove the column"
            }
            Self::EventColumnTwice { .. } => "rename or remove one of the two",
            Self::NoEmail { meant: Some(meant), .. } => {
                return Some(format!("rename the column `{meant}` to `email`").into());
            }
            Self::NoEmail { meant: None, .. } => "name the column that holds the addresses `email`",
            Self::HeaderBelow { line } => {
                return Some(format!("the column names stand on line {line}: delete what is above").into());
            }
            Self::TwoEmails { .. } => "rename or remove the one that is not meant",
        };
        Some(hint.into())
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}
