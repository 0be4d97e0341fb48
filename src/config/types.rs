//! The settings as the rest of lumasync takes them.
//!
//! Values only; how they are written and what they must keep is said elsewhere in `config`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::domain::dialect::Dialect;
use crate::domain::event::{EventRules, OnUnknown};
use crate::domain::expect::Expectation;
use crate::domain::guest::Guests;
use crate::domain::notice::Topic;
use crate::domain::proof::Verify;

/// `[database]`
#[derive(Clone, Debug)]
pub enum Database {
    /// A file, relative to the current folder.
    Sqlite(PathBuf),
    /// A server.
    Postgres {
        /// The whole URL, which may hold a password.
        url: SecretString,
        /// Host and database, for people.
        place: String,
    },
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres { place, .. } => f.write_str(place),
        }
    }
}

/// `[luma]`
#[derive(Clone, Debug)]
pub struct Luma {
    /// The API that the key speaks.
    pub dialect: Dialect,
    /// Whether tags that rows name are made where Luma has none of the name.
    pub create_missing_tags: bool,
    /// Where the API is: without query, and without a slash at the end of a path.
    pub base_url: Url,
    /// The calendar that an organization's key is to act on.
    pub calendar_id: Option<String>,
    /// The API key; a word of no use where Luma is not asked for.
    pub api_key: SecretString,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// Requests under way at the same time.
    pub max_in_flight: usize,
    /// How many requests may start, and when.
    pub rate_limit: RateLimit,
    /// How deliveries are proved; what the dialect offers.
    pub verify: Verify,
    /// How long people who are not found are left alone before they are looked for once more.
    pub second_look: Duration,
}

/// `[luma.rate_limit]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that Luma allows in any one window.
    pub requests: u32,
    /// The length of the window.
    pub window: Duration,
    /// Requests of each window left to others; less than `requests`.
    pub reserve: u32,
    /// Requests that may start within one second.
    pub per_second: u32,
}

/// `[batch]`
#[derive(Clone, Debug)]
pub struct Batch {
    /// Members in one request at most.
    pub max_rows: usize,
    /// Bytes in one request's body at most.
    pub max_bytes: u64,
    /// How long a batch that is not full waits.
    pub max_wait: Duration,
}

/// `[retry]`
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts that one row gets.
    pub max_attempts: u32,
    /// The wait before the second attempt.
    pub initial_backoff: Duration,
    /// The longest wait; not less than `initial_backoff`.
    pub max_backoff: Duration,
}

/// `[folder]`
#[derive(Clone, Debug)]
pub struct Folder {
    /// The drop folder, relative to the current folder; none where files are not looked for.
    pub path: Option<PathBuf>,
    /// How long a file must stay as it is before it is read.
    pub settle: Duration,
    /// How often the folder is looked at.
    pub poll: Duration,
    /// What becomes of a file with invalid rows.
    pub on_error: OnError,
    /// The encoding of the files, where it is not to be found out.
    pub encoding: Option<Encoding>,
    /// The byte between columns, where it is not to be found out.
    pub delimiter: Option<u8>,
    /// Bytes that a compressed file may unpack to.
    pub max_expanded: u64,
    /// Which guests are taken from a guest export of Luma.
    pub guests: Guests,
    /// What is expected of the lists that are dropped.
    pub expect: Option<Expectation>,
}

/// What becomes of a file with invalid rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The others are sent.
    Skip,
    /// Nothing of the file is sent.
    Refuse,
}

/// The encodings a file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// Windows-1252, of which Latin-1 is a part.
    Windows1252,
}

/// `[queue]`
#[derive(Clone, Debug)]
pub struct Queue {
    /// How often the queue table is looked at.
    pub poll: Duration,
    /// Rows taken in one look at most.
    pub max_rows: u32,
}

/// `[events]`
#[derive(Clone, Debug)]
pub struct Events {
    /// What becomes of events in doubt.
    pub on_unknown: OnUnknown,
    /// What events must keep.
    pub rules: EventRules,
}

/// `[notify]`
#[derive(Clone, Debug)]
pub struct Notify {
    /// Where notices are posted; holds a token.
    pub url: SecretString,
    /// What they are signed with.
    pub secret: Option<SecretString>,
    /// What is told.
    pub on: Vec<Topic>,
}

/// `[worker]`
#[derive(Clone, Debug)]
pub struct Worker {
    /// How long rows stay with a worker that has gone silent.
    pub lease: Duration,
}

/// `[shutdown]`
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// How long requests under way may go on once a stop is asked for.
    pub grace: Duration,
}
