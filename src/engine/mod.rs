//! Intake, claim, send, settle, sleep: what makes rows move.
//!
//! Rules come from `domain`, SQL stays in `store`, HTTP in `luma`, bytes in `ingest`; here they are
//! put in order. Knows nothing of the command line or of pages.

mod again;
mod ahead;
mod alarm;
mod archive;
mod ask;
mod awaited;
mod calls;
mod control;
mod diff;
mod downloads;
mod drain;
mod error;
mod events;
mod events_intake;
mod expect;
mod explain;
mod finish;
mod fire;
mod fleet;
mod folder;
mod folder_view;
mod give_up;
mod hint;
mod identity;
mod intake;
mod lines;
mod merge;
mod notices;
mod parts;
mod person;
mod places;
mod plan;
mod proof;
mod queue;
mod release;
mod retention;
mod schedule;
mod send;
mod service;
mod source;
mod staging;
mod stop;
mod survey;
mod tags;
mod trace;
mod unkept;
mod uploads;
mod worker;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

pub use again::{Again, BroughtBack, bring_back};
pub use downloads::ResultFiles;
pub use drain::DrainEnd;
pub use error::EngineError;
pub use explain::Explained;
pub use finish::Finished;
pub use fleet::{Equipment, Fleet};
pub use folder::DropFolder;
pub use folder_view::{FailedFile, FolderView};
pub use give_up::cancel;
pub use intake::{Taken, Taking};
pub use notices::{Notifier, Receiver};
pub use person::{ForgetFault, Forgotten, FoundFile, forget};
pub use places::printable;
pub use plan::{Outlook, PlannedFile, PlannedInput, PlannedRow, PlannedRows, Rest, Samples};
pub use retention::{Pruned, prunable, prune};
pub use schedule::Scheduler;
pub use source::{Source, SourceCursor, SourceLook, look_at};
pub use staging::{Receiving, Staged, Staging, Wished};
pub use stop::{Stop, Stopper};
pub use trace::{TracedFile, TracedFiles, confirmed, happened, suppressed, trace_json, waits};
pub use unkept::first_duplicates;
pub use worker::{is_alive_here, is_here};

use crate::clock::Clock;
pub use crate::domain::account::MAIN as MAIN_ACCOUNT;
use crate::domain::batch::BatchLimits;
use crate::domain::event::{EventRules, OnUnknown};
use crate::domain::expect::Expectation;
use crate::domain::guard::Guards;
use crate::domain::proof::Verify;
use crate::domain::retention::Retention;
use crate::domain::retry::RetryPolicy;
use crate::domain::schedule::Schedule;
use crate::domain::tag::TagBook;
use crate::domain::verdict::Cause;
use crate::ingest::ReadOptions;
use crate::luma::{Client, Throttle};
use crate::store::{Allowance, Store};

/// What the engine is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose key is used.
    pub account: String,
    /// Where: a host, `loopback`, or `rehearsal` for the built-in Luma.
    pub origin: String,
    /// How much one request carries.
    pub limits: BatchLimits,
    /// How passing faults are retried.
    pub retry: RetryPolicy,
    /// What may be sent.
    pub allowance: Allowance,
    /// Requests under way at once.
    pub max_in_flight: usize,
    /// How long a batch of the queue waits to be filled.
    pub max_wait: Duration,
    /// Rows taken from the queue at a time.
    pub queue_rows: u32,
    /// How often the queue is looked at.
    pub queue_poll: Duration,
    /// How long a silent worker keeps its claims.
    pub lease: Duration,
    /// The names of tags.
    pub tags: TagBook,
    /// Whether tags that rows name are made where Luma has none of the name.
    pub create_missing_tags: bool,
    /// How files are read.
    pub read: ReadOptions,
    /// Whether one invalid row refuses its whole file.
    pub refuse_files: bool,
    /// Where rows wait that do not fit in memory.
    pub spill_dir: PathBuf,
    /// The drop folder.
    pub folder: Option<FolderSettings>,
    /// Other databases that its members are read from.
    pub sources: Vec<Source>,
    /// When which sources are taken in, of any account.
    pub schedules: Vec<Schedule>,
    /// What is expected of which source, of any account.
    pub expectations: Vec<(String, Expectation)>,
    /// What events must keep.
    pub event_rules: EventRules,
    /// What becomes of events in doubt.
    pub on_unknown: OnUnknown,
    /// What a run is held for.
    pub guards: Guards,
    /// How runs that begin prove what they have delivered.
    pub verify: Verify,
    /// How long people who are not found are left alone before they are looked for once more.
    pub second_look: Duration,
    /// How long what has ended is kept.
    pub retention: Retention,
    /// Whether a refused key is waited out, as a service does, or ends the run.
    pub is_service: bool,
}

/// The drop folder.
#[derive(Clone, Debug)]
pub struct FolderSettings {
    /// Its root.
    pub root: PathBuf,
    /// Accounts whose folders lie in this one.
    pub accounts: Vec<String>,
    /// How long a file must stay as it is.
    pub settle: Duration,
    /// How often it is looked at.
    pub poll: Duration,
}

/// What is going on, for whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows whose outcome was written since the start.
    pub settled: AtomicU64,
    /// Rows Luma accepted since the start.
    pub delivered: AtomicU64,
    /// Events Luma created since the start.
    pub created: AtomicU64,
    /// Requests answered since the start.
    pub requests: AtomicU64,
    /// Answers of 429 since the start.
    pub throttled: AtomicU64,
    /// Passing faults since the start.
    pub faults: AtomicU64,
    /// Requests in a row that met nobody.
    unreached: AtomicU64,
    halted: std::sync::Mutex<Option<(Cause, String)>>,
    /// Until when the last block by Luma that was told of holds.
    blocked: std::sync::Mutex<Option<crate::clock::Time>>,
    waiting: std::sync::Mutex<Option<(crate::clock::Time, &'static str)>>,
}

impl Progress {
    /// Until when nothing is sent, and why, if it is so.
    #[must_use]
    pub fn waiting(&self) -> Option<(crate::clock::Time, &'static str)> {
        *self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What the last refusal that was not about rows was about, and what was said.
    fn halt(&self) -> Option<(Cause, String)> {
        self.halted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Whether a block by Luma is news: requests that were under way together all meet the same one.
    fn is_new_block(&self, until: Option<crate::clock::Time>, now: crate::clock::Time) -> bool {
        let mut told = self.blocked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_new = told.is_none_or(|told| told <= now);
        if is_new {
            *told = until;
        }
        is_new
    }

    /// Whether a refusal that is not about rows is news: requests that were under way together all meet it.
    fn is_new_halt(&self, cause: Cause, reason: &str) -> bool {
        let halt = Some((cause, reason.to_owned()));
        let mut known = self.halted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_new = *known != halt;
        *known = halt;
        is_new
    }

    /// Luma took something: whatever it refused before is over.
    fn end_halt(&self) {
        *self.halted.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    fn wait(&self, until: Option<(crate::clock::Time, &'static str)>) {
        *self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = until;
    }

    fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// One account of one worker: everything it needs, cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    store: Store,
    client: Client,
    clock: Clock,
    settings: Arc<Settings>,
    throttle: Arc<Throttle>,
    progress: Arc<Progress>,
    worker_id: i64,
    /// The fire that runs belong to which are begun here.
    fire: Option<i64>,
    /// Runs that are begun here are held until they are found to be what their plan says.
    planned: bool,
    /// Nothing is made, neither here nor at Luma.
    only_looks: bool,
    /// Events that are due and wait for a place in the window: members leave them theirs.
    events_left: Arc<AtomicU32>,
    tags: Arc<tags::Tags>,
    proved: Arc<tokio::sync::Mutex<control::Proved>>,
    /// The last claim of an event that came here: a later one was lost on its way.
    last_event_claim: Arc<AtomicI64>,
    rng: Arc<std::sync::Mutex<fastrand::Rng>>,
    /// Sources that this process takes in now.
    reading: Arc<std::sync::Mutex<HashSet<String>>>,
}

impl Engine {
    /// Enters a worker in the database and frees what dead workers of this machine left behind.
    pub async fn start(
        store: Store,
        client: Client,
        clock: Clock,
        settings: Settings,
        throttle: Throttle,
        seed: u64,
    ) -> Result<Self, EngineError> {
        let worker_id = worker::enter(&store, &clock, settings.lease).await?;
        Ok(Self::of_worker(worker_id, store, client, clock, settings, throttle, seed))
    }

    fn of_worker(
        worker_id: i64,
        store: Store,
        client: Client,
        clock: Clock,
        settings: Settings,
        throttle: Throttle,
        seed: u64,
    ) -> Self {
        Self {
            store,
            client,
            clock,
            tags: Arc::new(tags::Tags::new(settings.tags.clone())),
            settings: Arc::new(settings),
            throttle: Arc::new(throttle),
            progress: Arc::default(),
            worker_id,
            fire: None,
            planned: false,
            only_looks: false,
            events_left: Arc::default(),
            proved: Arc::default(),
            last_event_claim: Arc::default(),
            rng: Arc::new(std::sync::Mutex::new(fastrand::Rng::with_seed(seed))),
            reading: Arc::default(),
        }
    }

    /// Whose key it uses.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.settings.account
    }

    /// The number of the process it works in.
    #[must_use]
    pub const fn worker(&self) -> i64 {
        self.worker_id
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is going on.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The database it works on.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The drop folder, if there is one.
    #[must_use]
    pub fn folder_settings(&self) -> Option<&FolderSettings> {
        self.settings.folder.as_ref()
    }

    /// Keeps the worker's lease alive in the background until aborted.
    #[must_use]
    pub fn spawn_keep_alive(&self, stop: &Stop) -> tokio::task::JoinHandle<()> {
        let (engine, stop) = (self.clone(), stop.clone());
        tokio::spawn(async move { engine.keep_alive(&stop).await })
    }

    /// Ends the worker; its claims, if any are left, are free at once.
    pub async fn end(&self) -> Result<(), EngineError> {
        self.store.end_worker(self.worker_id, self.clock.now(), None).await?;
        Ok(())
    }

    fn chance(&self) -> f64 {
        self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).f64()
    }
}
