//! From flags to a configuration, a database, and what the engines of its accounts are told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::args::{Global, KindChoice, SandboxChoice, Selection};
use super::out;
use super::place::{SANDBOX_DATABASE, this_command_on};
use super::sources::sources_of;
use super::workshop::{Task, chosen};
use crate::clock::Clock;
use crate::config::{self, Account, Config, Database, Luma, Sources};
use crate::domain::account::AccountName;
use crate::domain::batch::BatchLimits;
use crate::domain::dialect::Dialect;
use crate::domain::event::EventRules;
use crate::domain::expect::Expectation;
use crate::domain::retry::RetryPolicy;
use crate::domain::schedule::FOLDER;
use crate::engine::{FolderSettings, Settings};
use crate::ingest::folder::Layout;
use crate::ingest::{Encoding, ReadOptions};
use crate::luma::{Client, ClientOptions};
use crate::store::{Allowance, Store};

/// What a command needs of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Everything, the key too.
    Luma,
    /// The database alone.
    Database,
    /// Whatever the built-in Luma does not bring.
    Sandbox,
}

/// Reads the configuration; its warnings go to stderr.
pub(super) fn load(global: &Global, need: Need) -> anyhow::Result<Config> {
    let config = Config::load(&sources(global, need))?;
    for warning in &config.warnings {
        out::talk(&format!("warning: {warning}"));
    }
    Ok(config)
}

/// Where the configuration is read from.
pub(super) fn sources(global: &Global, need: Need) -> Sources {
    let mut sources = Sources::from_process();
    sources.file.clone_from(&global.config);
    sources.luma_required = need == Need::Luma;
    sources.quickstart = need == Need::Sandbox;
    sources.overrides.clone_from(&global.set);
    sources
}

/// Whether the tags for every row may be right, before anything is made; where they are wrong it is told.
/// A name that only Luma knows is looked for later.
pub(super) fn are_tags_sound(global: &Global, args: &Selection) -> anyhow::Result<bool> {
    if args.tags.is_empty() {
        return Ok(true);
    }
    if args.kind == KindChoice::Events {
        out::talk("error: `--tag` is for members: events have no tags");
        return Ok(false);
    }
    let need = if args.sandbox.sandbox { Need::Sandbox } else { Need::Luma };
    // Its warnings are told when the work begins.
    let config = Config::load(&sources(global, need))?;
    let Some(account) = chosen(&config, args.account.as_deref()) else { return Ok(false) };
    let wrong = args.tags.iter().find_map(|tag| account.tags.resolve(tag).err());
    match (account.luma.dialect, wrong) {
        (_, None) | (Dialect::V1, Some(_)) => Ok(true),
        (Dialect::Beta2021, Some(unknown)) => {
            out::talk(&format!("error: `--tag`: {unknown}"));
            Ok(false)
        }
    }
}

/// Opens the database of the configuration.
pub(super) async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let path = match &config.database {
        Database::Sqlite(path) => path,
        Database::Postgres { url, place } => {
            return Ok(Store::open_postgres(url.expose_secret(), place).await?);
        }
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    }
    Ok(Store::open_sqlite(path).await?)
}

/// The command that was typed, with a database of its own; and in a rehearsal with a drop folder of its
/// own too, or real files would be taken away by it.
pub(super) fn instead(config: &Config, choice: &SandboxChoice, task: Task) -> String {
    let (name, other) = if choice.sandbox {
        (SANDBOX_DATABASE, "lumasync-rehearsal.db")
    } else {
        ("lumasync.db", "lumasync-real.db")
    };
    // In the place of a server a file is named too: it needs nothing that is not there.
    let path = match &config.database {
        Database::Sqlite(path) => path,
        Database::Postgres { .. } => Path::new(name),
    };
    let is_same = path.file_name().is_some_and(|own| own == name);
    let is_file = matches!(config.database, Database::Sqlite(_));
    let database = path.with_file_name(if is_same && is_file { other } else { name });
    let folder = config.folder.path.as_ref().filter(|_| choice.sandbox && task != Task::Files);
    let settings: Vec<String> =
        folder.map(|folder| format!("folder.path={}-sandbox", folder.display())).into_iter().collect();
    this_command_on(&database, &settings)
}

/// A client for an account's key.
pub(super) fn client(luma: &Luma, clock: &Clock) -> anyhow::Result<Client> {
    let options = ClientOptions {
        dialect: luma.dialect,
        calendar_id: luma.calendar_id.clone(),
        base_url: luma.base_url.clone(),
        api_key: luma.api_key.clone(),
        timeout: luma.timeout,
        connect_timeout: luma.connect_timeout,
    };
    Ok(Client::new(&options, clock.clone())?)
}

/// What the engine of an account is told of the configuration.
pub(super) fn settings(config: &Config, account: &Account, origin: String, is_service: bool) -> Settings {
    let rate = account.luma.rate_limit;
    Settings {
        account: account.name.to_string(),
        origin,
        limits: BatchLimits {
            max_rows: config.batch.max_rows,
            max_bytes: usize::try_from(config.batch.max_bytes).unwrap_or(usize::MAX),
        },
        retry: RetryPolicy {
            max_attempts: config.retry.max_attempts,
            initial_backoff: config.retry.initial_backoff,
            max_backoff: config.retry.max_backoff,
        },
        allowance: Allowance {
            requests: rate.requests - rate.reserve,
            window: rate.window + headroom(rate.window),
            reserve: rate.reserve,
        },
        max_in_flight: account.luma.max_in_flight,
        max_wait: config.batch.max_wait,
        queue_rows: config.queue.max_rows,
        queue_poll: config.queue.poll,
        lease: config.worker.lease,
        tags: account.tags.clone(),
        create_missing_tags: account.luma.create_missing_tags,
        read: ReadOptions { dialect: account.luma.dialect, ..read_options(config) },
        refuse_files: config.folder.on_error == config::OnError::Refuse,
        spill_dir: spill_dir(&config.database),
        folder: folder_settings(config, &account.name),
        schedules: config.schedules.clone(),
        sources: sources_of(config, account.name.as_str()),
        expectations: expectations(config),
        event_rules: EventRules { dialect: account.luma.dialect, ..config.events.rules.clone() },
        on_unknown: config.events.on_unknown,
        guards: config.guard,
        verify: account.luma.verify,
        second_look: account.luma.second_look,
        retention: config.retention,
        is_service,
    }
}

/// What the configuration expects of which source.
pub(super) fn expectations(config: &Config) -> Vec<(String, Expectation)> {
    let folder = config.folder.expect.filter(|_| config.folder.path.is_some());
    let folder = folder.map(|expectation| (FOLDER.to_owned(), expectation));
    let of_source = |source: &config::Source| Some((source.name.clone(), source.expect?));
    folder.into_iter().chain(config.sources.iter().filter_map(of_source)).collect()
}

/// The drop folder of an account, if there is one.
pub(super) fn folder_settings(config: &Config, account: &AccountName) -> Option<FolderSettings> {
    let root = config.folder.path.clone()?;
    let (root, accounts) = if account.is_main() {
        (root, config.further.iter().map(|account| account.name.to_string()).collect())
    } else {
        (Layout::root_of_account(&root, account.as_str()), Vec::new())
    };
    Some(FolderSettings { root, accounts, settle: config.folder.settle, poll: config.folder.poll })
}

/// Rows of a large file wait beside the database file, or where this machine keeps what does not last.
fn spill_dir(database: &Database) -> PathBuf {
    match database {
        Database::Sqlite(path) => path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .map_or_else(|| PathBuf::from("."), Path::to_owned),
        Database::Postgres { .. } => std::env::temp_dir(),
    }
}

/// Two clocks never tick alike: that much the window is stretched.
fn headroom(window: Duration) -> Duration {
    (window / 200).max(Duration::from_millis(20))
}

/// How the configuration wants files read.
pub(super) fn read_options(config: &Config) -> ReadOptions {
    ReadOptions {
        encoding: config.folder.encoding.map(|encoding| match encoding {
            config::Encoding::Utf8 => Encoding::Utf8,
            config::Encoding::Utf16Le => Encoding::Utf16Le,
            config::Encoding::Utf16Be => Encoding::Utf16Be,
            config::Encoding::Windows1252 => Encoding::Windows1252,
        }),
        delimiter: config.folder.delimiter,
        max_expanded: config.folder.max_expanded,
        guests: config.folder.guests,
        ..ReadOptions::default()
    }
}
