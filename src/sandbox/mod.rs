//! A Luma on this machine, for tests, rehearsals and the first five minutes.
//!
//! Keeps Luma's contract (routes, keys, quota, what an import changes) in both of its dialects at once and can
//! be told to break it in every way a network or a service does. It listens on loopback only, keeps
//! everything in memory, in a file too if asked, and knows nothing of the rest of the house but the clock.

mod answer;
mod audience;
mod beta;
mod events;
mod fault;
mod intake;
mod keep;
mod quota;
mod record;
mod route;
mod server;
mod service;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod users;
pub mod v1;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::Clock;

pub use answer::ResetUnit;
pub use events::HeldEvent;
pub use fault::{FaultError, Faults};
use keep::Keeper;
pub use keep::StateError;
pub use record::Request;
pub use snapshot::Snapshot;
pub use state::HeldContact;
use state::State;

/// How a sandbox behaves. Has no `Debug`, because it holds a key.
#[derive(Clone)]
pub struct Options {
    /// The loopback address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The key that is let in.
    pub key: String,
    /// The quota of that key; `None` lets every request through.
    pub limit: Option<Limit>,
    /// Keys of others, each with a quota, an audience and events of its own.
    pub further: Vec<FurtherKey>,
    /// What goes wrong, and when.
    pub faults: Faults,
    /// The tags that exist, `ID` or `ID=NAME`; where this is empty, the beta takes every tag.
    pub known_tags: Vec<String>,
    /// What becomes of an address that is none.
    pub malformed: Malformed,
    /// Bodies of more bytes are answered with 413.
    pub max_body: usize,
    /// What the faults that happen by chance follow.
    pub seed: u64,
    /// A key for the calendars of all keys, in the dialect `v1`, with a quota of its own.
    pub organization: Option<FurtherKey>,
    /// What is guessed about `v1`.
    pub settings: v1::Settings,
    /// The file that what is held survives in.
    pub state: Option<PathBuf>,
    /// Whether every request is kept, for `Sandbox::requests`.
    pub record: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            key: "sandbox-key".into(),
            limit: Some(Limit::default()),
            further: Vec::new(),
            faults: Faults::default(),
            known_tags: Vec::new(),
            malformed: Malformed::Drop,
            max_body: 8 << 20,
            seed: 0,
            organization: None,
            settings: v1::Settings::default(),
            state: None,
            record: false,
        }
    }
}

/// A key beside the first. Has no `Debug`, because it holds a key.
#[derive(Clone)]
pub struct FurtherKey {
    /// The key.
    pub key: String,
    /// Its quota; `None` lets every request through.
    pub limit: Option<Limit>,
}

/// How many requests a key may make, and what overrunning that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Requests allowed in any window.
    pub requests: u32,
    /// How long one window is.
    pub window: Duration,
    /// How long every request is refused after an overrun.
    pub block: Duration,
}

impl Default for Limit {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self { requests: 200, window: minute, block: minute }
    }
}

/// What an import does with an address that is none: nobody knows which of them Luma does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Malformed {
    /// Takes the others and says nothing.
    #[default]
    Drop,
    /// Refuses the whole import and names the address.
    Reject,
    /// Takes it like any other.
    Accept,
}

/// Why a sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address can be reached from other machines.
    #[error(
        "`{0}` is not a loopback address, and the sandbox listens on no other\nhint: use `127.0.0.1:PORT`"
    )]
    NotLoopback(SocketAddr),
    /// The address is taken or not this machine's.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address as it was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state file is of no use.
    #[error("cannot keep the state of the sandbox in `{}`", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StateError,
    },
}

/// A running sandbox. Dropping it ends it too, without waiting.
pub struct Sandbox {
    address: SocketAddr,
    service: Arc<service::Service>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    keeping: Option<Keeping>,
}

/// A state file, and the task that writes it.
struct Keeping {
    keeper: Arc<Keeper>,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sandbox {
    /// Listens and answers from now on.
    pub async fn start(options: Options, clock: Clock) -> Result<Self, SandboxError> {
        let asked = options.listen;
        if !asked.ip().to_canonical().is_loopback() {
            return Err(SandboxError::NotLoopback(asked));
        }
        let failed = |source| SandboxError::Listen { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = options.state.clone();
        let service = Arc::new(service::Service::new(options, clock));
        let keeping = state.map(|path| Keeping::start(&path, &service)).transpose()?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server::serve(listener, Arc::clone(&service), stopped));
        Ok(Self { address, service, stop, server, keeping })
    }

    /// Every request so far, where they are recorded; none has its key.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.service.requests()
    }

    /// The base of every route, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The counters of all keys together, the same that `GET /sandbox/state` shows.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.service.snapshot()
    }

    /// The counters of one key.
    #[must_use]
    pub fn snapshot_of(&self, key: &str) -> Snapshot {
        self.service.of(key, State::snapshot)
    }

    /// Everybody the first key holds, with their tags.
    #[must_use]
    pub fn members(&self) -> BTreeMap<String, Vec<String>> {
        self.members_of(self.service.first_key())
    }

    /// Everybody that a key holds, with their tags.
    #[must_use]
    pub fn members_of(&self, key: &str) -> BTreeMap<String, Vec<String>> {
        self.service.of(key, State::members)
    }

    /// Everybody a key holds in the order in which they came, with their name.
    #[must_use]
    pub fn contacts_of(&self, key: &str) -> Vec<HeldContact> {
        self.service.contacts_of(key)
    }

    /// The tags of a key, by their id, with their name.
    #[must_use]
    pub fn tags_of(&self, key: &str) -> BTreeMap<String, String> {
        self.service.of(key, |state| state.tags.names())
    }

    /// Every mail that guests of a key's events would have been sent.
    #[must_use]
    pub fn outbox_of(&self, key: &str) -> Vec<v1::Mail> {
        self.service.of(key, |state| state.guests.outbox().to_vec())
    }

    /// Every event that the first key holds, in the order in which they were created.
    #[must_use]
    pub fn events(&self) -> Vec<HeldEvent> {
        self.events_of(self.service.first_key())
    }

    /// The same of any key.
    #[must_use]
    pub fn events_of(&self, key: &str) -> Vec<HeldEvent> {
        self.service.of(key, State::events)
    }

    /// Stops listening, cuts what is open, and returns when the port is free and the state is in its file.
    pub async fn stop(self) -> Result<(), SandboxError> {
        // Both fail only where the server is already gone, which is what is wanted.
        let _ = self.stop.send(());
        let _ = self.server.await;
        match self.keeping {
            Some(keeping) => keeping.end(&self.service).await,
            None => Ok(()),
        }
    }
}

impl Keeping {
    /// Takes back what the file holds and writes it, so that a file of no use shows at the start.
    fn start(path: &Path, service: &Arc<service::Service>) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::State { path: path.to_owned(), source };
        let keeper = Arc::new(Keeper::open(path).map_err(failed)?);
        keeper.load(service).map_err(failed)?;
        keeper.save(service).map_err(failed)?;
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(keep::keep_saving(Arc::clone(&keeper), Arc::clone(service), ended));
        Ok(Self { keeper, end, task })
    }

    /// Writes the file once more; whoever wants it next may have it then.
    async fn end(self, service: &service::Service) -> Result<(), SandboxError> {
        // Both fail only where the task is already gone, which is what is wanted.
        let _ = self.end.send(());
        let _ = self.task.await;
        let failed = |source| SandboxError::State { path: self.keeper.path().to_owned(), source };
        self.keeper.save(service).map_err(failed)
    }
}
