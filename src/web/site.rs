//! What every page is made from: the engines, the database, the time, and who is signed in.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::cached::{Cached, CachedBy};
use super::fault::Fault;
use super::guesses::Guesses;
use super::history::{History, Memory};
use super::live::LISTENERS;
use super::metrics::Tally;
use super::removals::Heeded;
use super::run_view::{RunCauses, RunNumbers};
use super::searches::Searches;
use super::session::Sessions;
use super::snapshot::Snapshot;
use super::token::Token;
use super::upload::Uploads;
use crate::clock::{Clock, Time};
use crate::domain::schedule::Schedule;
use crate::engine::{Fleet, Stop};
use crate::store::{Store, Totals};

/// What pages are served over, and who may come.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The engines.
    pub fleet: Fleet,
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// What whoever changes something must know; where there is none, nothing can be changed.
    pub token: Option<SecretString>,
    /// Further names under which the pages are reached.
    pub hosts: Vec<String>,
    /// Bytes of a file that is uploaded.
    pub max_upload: u64,
    /// Whether whoever reaches the pages may read them: only people on this machine do.
    pub is_open: bool,
    /// What the work is told: once it is to stop, nobody should send more here.
    pub work: Stop,
}

/// The pages of one process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Site(Arc<Inner>);

pub(super) struct Inner {
    pub(super) fleet: Fleet,
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// When this process began to serve them.
    pub(super) began: Time,
    pub(super) work: Stop,
    /// What the pages are told, which go on until the work has ended.
    pub(super) stop: Stop,
    pub(super) token: Option<Token>,
    pub(super) hosts: Vec<String>,
    pub(super) max_upload: u64,
    pub(super) is_open: bool,
    pub(super) sessions: Sessions,
    pub(super) guesses: Guesses,
    pub(super) snapshots: Cached<Snapshot>,
    pub(super) histories: Cached<History>,
    pub(super) run_numbers: CachedBy<i64, RunNumbers>,
    pub(super) run_causes: CachedBy<i64, RunCauses>,
    pub(super) totals: Cached<Totals>,
    pub(super) searches: Searches,
    pub(super) heeded: Heeded,
    pub(super) memory: Memory,
    /// What was counted for machines; one of them looks at a time.
    pub(super) tally: tokio::sync::Mutex<Tally>,
    /// The one place for what takes long to read.
    pub(super) counting: Semaphore,
    /// Places for pages that listen.
    pub(super) listeners: Arc<Semaphore>,
    pub(super) uploads: Uploads,
}

impl Site {
    /// The pages, until the service is told to stop.
    pub(super) fn new(pages: Pages, stop: Stop) -> Self {
        let Pages { fleet, store, clock, token, hosts, max_upload, is_open, work } = pages;
        Self(Arc::new(Inner {
            fleet,
            store,
            began: clock.now(),
            clock,
            work,
            stop,
            token: token.as_ref().map(Token::new),
            hosts,
            max_upload,
            is_open,
            sessions: Sessions::default(),
            guesses: Guesses::default(),
            snapshots: Cached::default(),
            histories: Cached::default(),
            run_numbers: CachedBy::default(),
            run_causes: CachedBy::default(),
            totals: Cached::default(),
            searches: Searches::default(),
            heeded: Heeded::default(),
            memory: Memory::default(),
            tally: tokio::sync::Mutex::default(),
            counting: Semaphore::new(1),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            uploads: Uploads::default(),
        }))
    }

    /// What is read for whoever looks, unless the service stops meanwhile.
    pub(super) async fn unless_stopped<T>(
        &self,
        read: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            read = read => read,
            () = self.stop.requested() => Err(Fault::Database),
        }
    }

    /// What was read of a run is over: somebody has changed it.
    pub(super) fn forget_run(&self, id: i64) {
        self.run_numbers.of(id).forget();
        self.run_causes.of(id).forget();
        self.snapshots.forget();
    }

    /// So many rows go into one request.
    pub(super) fn max_rows(&self) -> usize {
        self.fleet.engines().next().map_or(1, |engine| engine.settings().limits.max_rows)
    }

    /// When which sources are taken in.
    pub(super) fn schedules(&self) -> &[Schedule] {
        self.fleet.engines().next().map_or(&[], |engine| &engine.settings().schedules)
    }
}

impl std::ops::Deref for Site {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Site")
    }
}
