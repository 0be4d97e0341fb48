//! What `run` and `sync` work in: the database, the built-in Luma where it was asked for, and an engine for
//! each account that is worked on.

use std::num::NonZeroU32;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use super::args::{Global, SandboxChoice};
use super::context::{Need, client, instead, load, open_store, settings};
use super::exit::Exit;
use super::explain::explain;
use super::notify::receiver;
use super::out;
use super::place::program;
use super::progress::Pace;
use super::signals::Signals;
use crate::clock::Clock;
use crate::config::{Account, Config, Luma, RateLimit};
use crate::domain::account::MAIN;
use crate::domain::dialect::Dialect;
use crate::domain::state::Kind;
use crate::engine::{DrainEnd, Engine, EngineError, Equipment, Fleet, Notifier, Stop, Stopper};
use crate::luma::Throttle;
use crate::sandbox::{FurtherKey, Limit, Options, Sandbox};
use crate::store::{Scope, Store};

/// The engines, the database they work on, and the built-in Luma where it was asked for.
pub(super) struct Workshop {
    pub(super) fleet: Fleet,
    pub(super) store: Store,
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) sandbox: Option<Sandbox>,
    /// Tells people outside what has changed, until it is stopped.
    notifier: (Stopper, JoinHandle<()>),
    /// Accounts whose key is used elsewhere than it was so far.
    moved: Vec<String>,
    /// How lumasync is called so that it finds the same database.
    pub(super) program: String,
}

/// One account in its workshop.
pub(super) struct Desk<'w> {
    pub(super) workshop: &'w Workshop,
    pub(super) engine: &'w Engine,
    pub(super) account: Account,
    /// The key is used elsewhere than it was so far.
    pub(super) is_new_origin: bool,
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

/// The account that was named, or `main`; `None` where there is no such account, which is told.
pub(super) fn chosen(config: &Config, name: Option<&str>) -> Option<Account> {
    let name = name.unwrap_or(MAIN);
    let account = config.account(name);
    if account.is_none() {
        let known: Vec<String> = config.accounts().map(|account| format!("`{}`", account.name)).collect();
        out::talk(&format!(
            "error: there is no account `{name}`\nhint: known are {}; others are made in `[accounts.NAME]`",
            known.join(", ")
        ));
    }
    account
}

impl Workshop {
    /// Builds everything for `run` (a service) or `sync`, for the account that is named or for all of them;
    /// `None` where there is no such account, which is told.
    pub(super) async fn open(
        global: &Global,
        choice: &SandboxChoice,
        task: Task,
        account: Option<&str>,
    ) -> anyhow::Result<Option<Self>> {
        let need = if choice.sandbox { Need::Sandbox } else { Need::Luma };
        let mut config = load(global, need)?;
        let clock = Clock::system();
        if chosen(&config, account).is_none() {
            return Ok(None);
        }
        let sandbox =
            if choice.sandbox { Some(start_sandbox(&mut config, choice, &clock).await?) } else { None };
        let store = open_store(&config).await?;
        let moved = check_origins(&store, &config, choice.sandbox, || instead(&config, choice, task)).await?;
        // All of them, whoever is worked on: rows of one that is not entered belong to nobody.
        for account in config.accounts() {
            store.enter_account(account.name.as_str()).await?;
        }
        let mut equipment = config
            .accounts()
            .filter(|known| account.is_none_or(|account| known.name.as_str() == account))
            .map(|account| equipment(&config, &account, choice.sandbox, task, &clock))
            .collect::<anyhow::Result<Vec<_>>>()?
            .into_iter();
        let first = equipment.next().context("there is no account")?;
        let seed = clock.now().as_micros().unsigned_abs();
        let fleet = Fleet::start(&store, &clock, first, equipment.collect(), seed).await?;
        let notifier = Notifier::new(&fleet, receiver(&config, &clock)?, seed);
        notifier.meet().await?;
        let (stopper, stop) = Stopper::new();
        let notifier = (stopper, tokio::spawn(async move { notifier.run(&stop).await }));
        let program = program(global, &config);
        Ok(Some(Self { fleet, store, config, clock, sandbox, notifier, moved, program }))
    }

    /// Each account that is worked on.
    pub(super) fn desks(&self) -> Vec<Desk<'_>> {
        let engines = self.fleet.engines();
        let desk = |engine| {
            let account = self.config.account(Engine::account(engine))?;
            let is_new_origin = self.moved.iter().any(|moved| moved == engine.account());
            Some(Desk { workshop: self, engine, account, is_new_origin })
        };
        engines.filter_map(desk).collect()
    }

    /// Lets everything go after a pass. A signal that stopped it says how it ended.
    pub(super) async fn close_after(
        self,
        passed: anyhow::Result<Exit>,
        signals: &Signals,
    ) -> anyhow::Result<Exit> {
        let closed = self.close().await;
        let exit = match (passed, signals.exit()) {
            (Err(error), Some(signal)) if matches!(error.downcast_ref(), Some(EngineError::Stopped)) => {
                out::talk(&explain(&error));
                signal
            }
            (passed, signal) => {
                let exit = passed?;
                signal.unwrap_or(exit)
            }
        };
        closed?;
        Ok(exit)
    }

    /// Lets everything go, in order.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let (stopper, told) = self.notifier;
        stopper.finish();
        if let Err(error) = told.await {
            tracing::error!(%error, "what there was to tell people is left to the next process");
        }
        let ended = self.fleet.end().await;
        self.store.close().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await?;
        }
        Ok(ended?)
    }
}

impl Desk<'_> {
    /// How fast the account's limit lets rows go.
    pub(super) fn pace(&self) -> Pace {
        let rate = self.account.luma.rate_limit;
        Pace {
            rows_per_request: self.workshop.config.batch.max_rows,
            requests: rate.requests - rate.reserve,
            window: rate.window,
        }
    }

    /// Rows of these runs that are still to be sent, and events in doubt that are still to be looked for.
    pub(super) async fn left(&self, runs: &[i64]) -> Result<u64, EngineError> {
        let mut rows = 0;
        for run in runs {
            rows += self.workshop.store.rows_to_send(*run).await? + self.engine.looks_left(*run).await?;
        }
        Ok(rows)
    }

    /// Sends what is left of these runs, one after the other.
    pub(super) async fn drain(&self, runs: &[i64], stop: &Stop) -> Result<DrainEnd, EngineError> {
        for run in runs {
            let end = match self.workshop.store.run(*run).await?.map(|run| run.kind) {
                Some(Kind::Events) => self.engine.drain_events(Scope::Run(*run), false, stop).await?,
                Some(Kind::Members) | None => self.engine.drain(Scope::Run(*run), false, stop).await?,
            };
            if end == DrainEnd::Stopped {
                return Ok(DrainEnd::Stopped);
            }
        }
        Ok(DrainEnd::Done)
    }
}

fn equipment(
    config: &Config,
    account: &Account,
    is_rehearsal: bool,
    task: Task,
    clock: &Clock,
) -> anyhow::Result<Equipment> {
    let per_second = NonZeroU32::new(account.luma.rate_limit.per_second).unwrap_or(NonZeroU32::MIN);
    Ok(Equipment {
        client: client(&account.luma, clock)?,
        settings: settings(config, account, origin(&account.luma, is_rehearsal), task == Task::Service),
        throttle: Throttle::new(per_second),
    })
}

pub(super) const REHEARSAL: &str = "rehearsal";

/// Where a key is used.
fn origin(luma: &Luma, is_rehearsal: bool) -> String {
    let host = luma.base_url.host_str().unwrap_or_default();
    match host {
        _ if is_rehearsal => REHEARSAL.to_owned(),
        "localhost" | "[::1]" => "loopback".to_owned(),
        host if host.starts_with("127.") => "loopback".to_owned(),
        host => host.to_owned(),
    }
}

/// Keeps rehearsals and real work apart, before a row is read: what the built-in Luma took is
/// delivered to nobody. The accounts whose key is used elsewhere than it was so far.
async fn check_origins(
    store: &Store,
    config: &Config,
    is_rehearsal: bool,
    instead: impl Fn() -> String,
) -> anyhow::Result<Vec<String>> {
    let known = store.accounts().await?;
    let mixed = |what| Err(EngineError::Mixed { what, instead: instead() }.into());
    let mut origins = known.iter().filter_map(|account| account.origin.as_deref());
    if !is_rehearsal {
        if origins.any(|origin| origin == REHEARSAL) {
            return mixed("this database is the record of a rehearsal with `--sandbox`");
        }
        let has_moved = |account: &Account| {
            let before = known.iter().find(|before| before.name == account.name.as_str());
            let before = before.and_then(|before| before.origin.as_deref());
            before.is_some_and(|before| before != origin(&account.luma, false))
        };
        return Ok(config.accounts().filter(has_moved).map(|account| account.name.to_string()).collect());
    }
    let is_begun = origins.clone().any(|origin| origin == REHEARSAL);
    if origins.any(|origin| origin != REHEARSAL) {
        return mixed("this database is the record of a real account");
    }
    if !is_begun && !store.is_unused().await? {
        return mixed("this database has rows that are not a rehearsal's");
    }
    for account in config.accounts() {
        store.enter_account(account.name.as_str()).await?;
        store.set_origin(account.name.as_str(), REHEARSAL).await?;
    }
    Ok(Vec::new())
}

/// Starts the built-in Luma with a key for each account, and points the accounts to it.
async fn start_sandbox(
    config: &mut Config,
    choice: &SandboxChoice,
    clock: &Clock,
) -> anyhow::Result<Sandbox> {
    let limit = |RateLimit { requests, window, .. }| Some(Limit { requests, window, block: window });
    let mut options = Options { limit: limit(config.luma.rate_limit), ..Options::default() };
    if let Some(spec) = &choice.fault {
        options.faults = spec.parse()?;
    }
    for account in &mut config.further {
        let key = format!("{}-{}", options.key, account.name);
        account.luma.api_key = key.clone().into();
        options.further.push(FurtherKey { key, limit: limit(account.luma.rate_limit) });
    }
    config.luma.api_key = options.key.clone().into();
    // Today's API has tags of its own: those of the configuration, and names in rows are made when they are met.
    let accounts: Vec<Account> = config.accounts().collect();
    if accounts.iter().any(|account| account.luma.dialect == Dialect::V1) {
        let tags = accounts.iter().flat_map(|account| account.tags.iter());
        options.known_tags = tags.map(|(name, id)| format!("{id}={name}")).collect();
        std::iter::once(&mut config.luma)
            .chain(config.further.iter_mut().map(|account| &mut account.luma))
            .for_each(|luma| luma.create_missing_tags = luma.dialect == Dialect::V1);
    }
    let sandbox = Sandbox::start(options, clock.clone()).await?;
    let address: url::Url = sandbox.url().parse().context("the sandbox has no address")?;
    let accounts = config.further.iter_mut().map(|account| &mut account.luma);
    std::iter::once(&mut config.luma).chain(accounts).for_each(|luma| luma.base_url = address.clone());
    Ok(sandbox)
}
