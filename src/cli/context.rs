//! From flags to a configuration, a database and an engine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::args::{Global, KindChoice, SandboxChoice, SyncArgs};
use super::out;
use super::place::{SANDBOX_DATABASE, program, this_command_on};
use crate::clock::Clock;
use crate::config::{self, Config, Database, Sources};
use crate::domain::batch::BatchLimits;
use crate::domain::retry::RetryPolicy;
use crate::domain::tag::TagSet;
use crate::engine::{Engine, EngineError, FolderSettings, MAIN_ACCOUNT, Settings};
use crate::ingest::{Encoding, ReadOptions};
use crate::luma::{Client, ClientOptions, Throttle};
use crate::sandbox::{Limit, Options, Sandbox};
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

/// The tags for every row, before anything is made; `None` where they are wrong, which is told.
pub(super) fn resolve_tags(global: &Global, args: &SyncArgs) -> anyhow::Result<Option<TagSet>> {
    if args.tags.is_empty() {
        return Ok(Some(TagSet::default()));
    }
    if args.kind == KindChoice::Events {
        out::talk("error: `--tag` is for members: events have no tags");
        return Ok(None);
    }
    let need = if args.sandbox.sandbox { Need::Sandbox } else { Need::Luma };
    // Its warnings are told when the work begins.
    let config = Config::load(&sources(global, need))?;
    match args.tags.iter().map(|tag| config.tags.resolve(tag)).collect() {
        Ok(tags) => Ok(Some(tags)),
        Err(unknown) => {
            out::talk(&format!("error: `--tag`: {unknown}"));
            Ok(None)
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

/// An engine, the database it works on, and the built-in Luma where it was asked for.
pub(super) struct Workshop {
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) sandbox: Option<Sandbox>,
    /// The key is used elsewhere than it was so far.
    pub(super) is_new_origin: bool,
    /// How lumasync is called so that it finds the same database.
    pub(super) program: String,
}

/// What a workshop is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// To run until it is told to stop.
    Service,
    /// One pass over everything.
    Everything,
    /// One pass over files that were named; the drop folder is not looked at.
    Files,
}

impl Workshop {
    /// Builds everything for `run` (a service) or `sync`.
    pub(super) async fn open(global: &Global, choice: &SandboxChoice, task: Task) -> anyhow::Result<Self> {
        let need = if choice.sandbox { Need::Sandbox } else { Need::Luma };
        let mut config = load(global, need)?;
        let clock = Clock::system();
        let sandbox =
            if choice.sandbox { Some(start_sandbox(&mut config, choice, &clock).await?) } else { None };
        let store = open_store(&config).await?;
        let origin = origin(&config, choice.sandbox);
        let is_new_origin =
            check_origin(&store, &origin, choice.sandbox, || instead(&config, choice, task)).await?;
        let client = client(&config, &clock)?;
        let per_second = std::num::NonZeroU32::new(config.luma.rate_limit.per_second);
        let throttle = Throttle::new(per_second.unwrap_or(std::num::NonZeroU32::MIN));
        let settings = settings(&config, origin, task == Task::Service);
        let seed = clock.now().as_micros().unsigned_abs();
        let engine = Engine::start(store.clone(), client, clock.clone(), settings, throttle, seed).await?;
        let program = program(global, &config);
        Ok(Self { engine, store, config, clock, sandbox, is_new_origin, program })
    }

    /// Lets everything go, in order.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let ended = self.engine.end().await;
        self.store.close().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
        Ok(ended?)
    }
}

pub(super) const REHEARSAL: &str = "rehearsal";

/// Where the key is used.
fn origin(config: &Config, is_rehearsal: bool) -> String {
    let host = config.luma.base_url.host_str().unwrap_or_default();
    match host {
        _ if is_rehearsal => REHEARSAL.to_owned(),
        "localhost" | "[::1]" => "loopback".to_owned(),
        host if host.starts_with("127.") => "loopback".to_owned(),
        host => host.to_owned(),
    }
}

/// Keeps rehearsals and real work apart, before a row is read: what the built-in Luma took is
/// delivered to nobody. Whether the key is used elsewhere than it was so far.
async fn check_origin(
    store: &Store,
    origin: &str,
    is_rehearsal: bool,
    instead: impl Fn() -> String,
) -> anyhow::Result<bool> {
    let known = store.account(MAIN_ACCOUNT).await?.and_then(|account| account.origin);
    let mixed = |what| Err(EngineError::Mixed { what, instead: instead() }.into());
    match known.as_deref() {
        Some(REHEARSAL) if !is_rehearsal => {
            mixed("this database is the record of a rehearsal with `--sandbox`")
        }
        Some(known) if is_rehearsal && known != REHEARSAL => {
            mixed("this database is the record of a real account")
        }
        None if is_rehearsal && !store.is_unused().await? => {
            mixed("this database has rows that are not a rehearsal's")
        }
        None if is_rehearsal => {
            store.set_origin(MAIN_ACCOUNT, REHEARSAL).await?;
            Ok(false)
        }
        known => Ok(known.is_some_and(|known| known != origin)),
    }
}

/// The command that was typed, with a database of its own; and in a rehearsal with a drop folder of its
/// own too, or real files would be taken away by it.
fn instead(config: &Config, choice: &SandboxChoice, task: Task) -> String {
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

/// A client for the configured key.
pub(super) fn client(config: &Config, clock: &Clock) -> anyhow::Result<Client> {
    let options = ClientOptions {
        base_url: config.luma.base_url.clone(),
        api_key: config.luma.api_key.clone(),
        timeout: config.luma.timeout,
        connect_timeout: config.luma.connect_timeout,
    };
    Ok(Client::new(&options, clock.clone())?)
}

async fn start_sandbox(
    config: &mut Config,
    choice: &SandboxChoice,
    clock: &Clock,
) -> anyhow::Result<Sandbox> {
    let rate = config.luma.rate_limit;
    let mut options = Options {
        limit: Some(Limit { requests: rate.requests, window: rate.window, block: rate.window }),
        ..Options::default()
    };
    if let Some(spec) = &choice.fault {
        options.faults = spec.parse()?;
    }
    config.luma.api_key = options.key.clone().into();
    let sandbox = Sandbox::start(options, clock.clone()).await?;
    config.luma.base_url = sandbox.url().parse().context("the sandbox has no address")?;
    Ok(sandbox)
}

/// What the engine is told of the configuration.
pub(super) fn settings(config: &Config, origin: String, is_service: bool) -> Settings {
    let rate = config.luma.rate_limit;
    Settings {
        account: MAIN_ACCOUNT.to_owned(),
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
        },
        max_in_flight: config.luma.max_in_flight,
        max_wait: config.batch.max_wait,
        queue_rows: config.queue.max_rows,
        queue_poll: config.queue.poll,
        lease: config.worker.lease,
        tags: config.tags.clone(),
        read: read_options(config),
        refuse_files: config.folder.on_error == config::OnError::Refuse,
        spill_dir: spill_dir(&config.database),
        folder: folder_settings(config),
        event_rules: config.events.rules.clone(),
        on_unknown: config.events.on_unknown,
        is_service,
    }
}

/// The drop folder of the configuration, if there is one.
pub(super) fn folder_settings(config: &Config) -> Option<FolderSettings> {
    let root = config.folder.path.clone()?;
    Some(FolderSettings { root, settle: config.folder.settle, poll: config.folder.poll })
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
