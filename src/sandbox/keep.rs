//! What a sandbox holds, in a file: so that a rehearsal goes on after a restart.
//!
//! Calendars are known by their ids; keys, quotas and counters are not kept. The file is written anew
//! beside itself and put in place as a whole, within a second of a change and at the end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Serialize, Serializer};
use tracing::warn;

use super::audience::{Audience, KeptPerson};
use super::events::HeldEvent;
use super::service::Service;
use super::state::State;
use super::v1::{Tag, calendar_id};

/// The one form of the file there has been.
const VERSION: u32 = 1;
/// How long changes are gathered before they are written.
const GATHER: Duration = Duration::from_secs(1);

/// Why a state file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// It is no JSON of the right form.
    #[error("it is not what a sandbox writes")]
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
    #[serde(serialize_with = "one_by_one")]
    contacts: &'a Audience,
}

fn one_by_one<S: Serializer>(audience: &Audience, serializer: S) -> Result<S::Ok, S::Error> {
    let people = audience.kept();
    let mut list = serializer.serialize_seq(None)?;
    for person in people {
        list.serialize_element(&person)?;
    }
    list.end()
}

#[derive(Deserialize)]
struct Read<'a> {
    version: u32,
    #[serde(borrow)]
    calendars: BTreeMap<Cow<'a, str>, ReadCalendar<'a>>,
}

#[derive(Deserialize)]
struct ReadCalendar<'a> {
    tags: Vec<Tag>,
    events: Vec<HeldEvent>,
    #[serde(borrow)]
    contacts: Vec<KeptPerson<'a>>,
}

/// One state file.
pub(super) struct Keeper {
    path: PathBuf,
    /// Held from the look at the states to the rename: an older look never replaces a newer one.
    writing: Mutex<()>,
}

impl Keeper {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, writing: Mutex::new(()) }
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
        let json = written(&service.lock())?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&json)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Writes the file soon after each change, for ever.
pub(super) async fn keep_saving(keeper: Arc<Keeper>, service: Arc<Service>) {
    loop {
        service.changed.notified().await;
        service.clock.sleep(GATHER).await;
        let (keeper, service) = (Arc::clone(&keeper), Arc::clone(&service));
        let saved =
            tokio::task::spawn_blocking(move || keeper.save(&service).map_err(|error| (keeper, error)));
        if let Ok(Err((keeper, error))) = saved.await {
            warn!(%error, file = %keeper.path.display(), "could not write the state of the sandbox");
        }
    }
}

fn written(states: &[State]) -> Result<Vec<u8>, serde_json::Error> {
    let calendars = states.iter().map(|State { place, tags, events, audience, .. }| {
        (calendar_id(*place), WrittenCalendar { tags: tags.all(), events: events.all(), contacts: audience })
    });
    serde_json::to_vec(&Written { version: VERSION, calendars: calendars.collect() })
}

fn restore(states: &mut [State], json: &[u8]) -> Result<(), StateError> {
    let Read { version, calendars } = serde_json::from_slice(json)?;
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    for (id, calendar) in calendars {
        let Some(state) = states.iter_mut().find(|state| calendar_id(state.place) == id) else {
            return Err(StateError::Calendar(id.into_owned()));
        };
        state.tags.restore(calendar.tags);
        state.events.restore(calendar.events);
        for person in calendar.contacts {
            if !state.audience.restore(person) {
                return Err(StateError::Twice(id.into_owned()));
            }
        }
    }
    Ok(())
}
