//! What a person decides, read once at the start: defaults, a TOML file, the environment, flags.
//!
//! Every problem is found at once, and says where it stands and what to write instead. Knows how
//! values are written; what they do is the business of the rooms that take them.

mod accounts;
mod database;
mod expect;
mod guard;
mod layers;
mod nearest;
mod notify;
mod place;
mod problem;
mod reader;
mod retention;
mod schedule;
mod secret;
mod sections;
mod sources;
mod types;
mod values;
mod web;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

pub use accounts::Account;
pub use problem::{ConfigError, Problem};
pub use sources::{Cursor, Source};
pub use types::{
    Batch, Database, Encoding, Events, Folder, Luma, Notify, OnError, Queue, RateLimit, Retry, Shutdown,
    Worker,
};
pub use web::Web;

use crate::domain::guard::Guards;
use crate::domain::retention::Retention;
use crate::domain::schedule::Schedule;
use crate::domain::tag::TagBook;
use reader::Reader;

/// Reads a duration as the configuration writes it: `250ms`, `30s`, `1h30m`.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    values::duration(text).map_err(|wrong| wrong.hint)
}

/// Everything that can be set, read and found sound. Its Debug text shows no key.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where rows, runs and outcomes are kept.
    pub database: Database,
    /// The API and the key to it: the account `main`.
    pub luma: Luma,
    /// The accounts beside `main`, by name.
    pub further: Vec<Account>,
    /// How members are put together into requests.
    pub batch: Batch,
    /// How often and when a failed send is tried again.
    pub retry: Retry,
    /// The names that files for `main` may use for tags.
    pub tags: TagBook,
    /// The drop folder and how its files are read.
    pub folder: Folder,
    /// Somebody else's databases that members are read from.
    pub sources: Vec<Source>,
    /// What a run is held for.
    pub guard: Guards,
    /// How the queue table is read.
    pub queue: Queue,
    /// What events must keep, and what becomes of those in doubt.
    pub events: Events,
    /// Who is told of what has changed; nobody where Luma is not asked for.
    pub notify: Option<Notify>,
    /// How long a worker owns what it has taken.
    pub worker: Worker,
    /// How long what has ended is kept.
    pub retention: Retention,
    /// How a stop goes.
    pub shutdown: Shutdown,
    /// Where the pages are, and who may come.
    pub web: Web,
    /// When which sources are taken in.
    pub schedules: Vec<Schedule>,
    /// What works but should not stay as it is.
    pub warnings: Vec<String>,
    /// What the settings rest on.
    pub origin: Origin,
}

/// What lies between the built-in defaults and the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: no file was found.
    Defaults,
    /// The built-in settings for trying lumasync out.
    Quickstart,
    /// This file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("built-in defaults"),
            Self::Quickstart => f.write_str("built-in quickstart settings"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Where to read from. Has no Debug, because the environment may hold keys.
#[derive(Clone)]
pub struct Sources {
    /// The file that was asked for; where none was, `LUMASYNC_CONFIG` of `env` and then `search` count.
    pub file: Option<PathBuf>,
    /// The usual places: the first file that exists is taken.
    pub search: Vec<PathBuf>,
    /// The environment: `LUMASYNC__SECTION__KEY`, and the variables that secrets are kept in.
    pub env: BTreeMap<String, OsString>,
    /// Keys and values from flags, which win over everything else.
    pub overrides: Vec<(String, String)>,
    /// Whether Luma itself is going to be spoken to. Where not, dialect and key may be missing
    /// and the key is not fetched.
    pub luma_required: bool,
    /// Whether the built-in quickstart settings stand in where no file is found.
    pub quickstart: bool,
}

impl Sources {
    /// The usual places and the environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self {
            file: None,
            search: vec!["lumasync.toml".into(), "/etc/lumasync/lumasync.toml".into()],
            env: std::env::vars_os().filter_map(named).collect(),
            overrides: Vec::new(),
            luma_required: true,
            quickstart: false,
        }
    }
}

impl Config {
    /// Reads and checks everything, and reports every problem there is.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let merged = layers::merge(sources).map_err(|problem| ConfigError { problems: vec![problem] })?;
        let mut reader = Reader::new(&merged, &sources.env);
        let config = sections::read(&mut reader, sources.luma_required);
        let (problems, warnings) = reader.finish();
        match config {
            Some(config) if problems.is_empty() => Ok(Self { warnings, origin: merged.origin, ..config }),
            _ => Err(ConfigError { problems }),
        }
    }
}

#[cfg(test)]
mod tests;
