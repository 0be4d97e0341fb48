//! What a sandbox holds, in a file: so that a rehearsal goes on after a restart.
//!
//! Calendars are known by their ids; keys, quotas and counters are not kept. The file is written anew
//! beside itself and put in place as a whole, before a change is answered: a kill loses nothing that was.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::oneshot;
use tracing::warn;

use super::audience::{Audience, KeptPerson};
use super::events::HeldEvent;
use super::service::Service;
use super::state::{Held, State};
use super::users::Users;
use super::v1::{Guests, Tag, calendar_id};
use crate::clock::Clock;

/// The one form of the file there has been.
const VERSION: u32 = 1;
/// How long to wait before a file that could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a state file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// Another process writes it.
    #[error("another sandbox keeps its state there\nhint: give each of them a file of its own")]
    InUse,
    /// It is no JSON of the right form.
    #[error("it is not what a sandbox writes\nhint: put it aside to begin with nothing")]
    Form(#[from] serde_json::Error),
    /// Another lumasync wrote it.
    #[error("it has version {0}, and this lumasync knows version {VERSION}")]
    Version(u32),
    /// It holds more calendars than there are keys.
    #[error(
        "it holds the calendar `{0}`, for which there is no key\nhint: give as many keys as when it was written"
    )]
    Calendar(String),
    /// It holds somebody twice.
    #[error("it holds an address twice in the calendar `{0}`")]
    Twice(String),
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    calendars: BTreeMap<String, WrittenCalendar<'a>>,
}

#[derive(Serialize)]
struct WrittenCalendar<'a> {
    tags: &'a [Tag],
    events: &'a [HeldEvent],
    guests: &'a Guests,
    contacts: Contacts<'a>,
}

/// People written one by one, without a list of a million first.
struct Contacts<'a>(&'a Audience, &'a Users);

impl Serialize for Contacts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.kept(self.1))
    }
}

/// Read first: what follows may have another form.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    calendars: BTreeMap<Cow<'a, str>, ReadCalendar<'a>>,
}

#[derive(Deserialize)]
struct ReadCalendar<'a> {
    tags: Vec<Tag>,
    events: Vec<HeldEvent>,
    #[serde(default)]
    guests: Guests,
    #[serde(borrow)]
    contacts: Vec<KeptPerson<'a>>,
}

/// One state file, which no other process keeps at the same time.
pub(super) struct Keeper {
    path: PathBuf,
    /// Held from the look at the states to the rename: an older look never replaces a newer one.
    writing: Mutex<()>,
    /// Locked until the process ends, however it does.
    _lock: File,
}

impl Keeper {
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let lock = File::create(beside(path, ".lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), writing: Mutex::new(()), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes back what the file holds; a file that is not there yet holds nothing.
    pub(super) fn load(&self, service: &Service) -> Result<(), StateError> {
        match std::fs::read(&self.path) {
            Ok(json) => restore(&mut service.lock(), &json),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what is held now.
    pub(super) fn save(&self, service: &Service) -> Result<(), StateError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = *service.changes.borrow();
        let json = written(&service.lock())?;
        let new = beside(&self.path, ".new");
        let mut file = File::create(&new)?;
        file.write_all(&json)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        service.note_kept(changes);
        Ok(())
    }
}

/// The file beside this one with something after its name.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    name.into()
}

/// Writes the file after each change, and never half of it, until told to end; changes that come meanwhile
/// share the next writing.
pub(super) async fn keep_saving(keeper: Arc<Keeper>, service: Arc<Service>, mut end: oneshot::Receiver<()>) {
    // Real time: a sandbox whose clock stands still must go on too.
    let clock = Clock::system();
    let mut changes = service.changes.subscribe();
    changes.mark_changed();
    loop {
        tokio::select! {
            _ = &mut end => return,
            next = changes.changed() => if next.is_err() { return },
        }
        while let Err(error) = save(&keeper, &service).await {
            warn!(%error, file = %keeper.path.display(), "could not write the state of the sandbox");
            tokio::select! {
                _ = &mut end => return,
                () = clock.sleep(PAUSE) => {}
            }
        }
    }
}

/// Writes the file on a thread that may wait for a disk.
async fn save(keeper: &Arc<Keeper>, service: &Arc<Service>) -> Result<(), StateError> {
    let (keeper, service) = (Arc::clone(keeper), Arc::clone(service));
    // Fails only where the process ends, and the file is written once more then.
    tokio::task::spawn_blocking(move || keeper.save(&service)).await.unwrap_or(Ok(()))
}

fn written(held: &Held) -> Result<Vec<u8>, serde_json::Error> {
    let Held { calendars, users } = held;
    let calendars = calendars.iter().map(|State { place, tags, events, guests, audience, .. }| {
        let contacts = Contacts(audience, users);
        (calendar_id(*place), WrittenCalendar { tags: tags.all(), events: events.all(), guests, contacts })
    });
    serde_json::to_vec(&Written { version: VERSION, calendars: calendars.collect() })
}

fn restore(held: &mut Held, json: &[u8]) -> Result<(), StateError> {
    let Version { version } = serde_json::from_slice(json)?;
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    let Read { calendars } = serde_json::from_slice(json)?;
    for (id, calendar) in calendars {
        let Some(state) = held.calendars.iter_mut().find(|state| calendar_id(state.place) == id) else {
            return Err(StateError::Calendar(id.into_owned()));
        };
        state.tags.restore(calendar.tags);
        state.events.restore(calendar.events);
        state.guests = calendar.guests;
        for person in &calendar.contacts {
            if !state.audience.restore(person, &mut held.users) {
                return Err(StateError::Twice(id.into_owned()));
            }
        }
    }
    Ok(())
}
