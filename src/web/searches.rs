//! Searches for people, under way and over: in memory alone, for some minutes, for whoever began them.
//!
//! A search is known by a word that nobody guesses, so that no address stands in one of a page. The queue is read
//! from end to end and so are files: few are looked for at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::fault::Fault;
use super::session::Visit;
use super::site::Site;
use super::token::{digest, fresh};
use crate::clock::{Clock, Time};
use crate::domain::person::Person;
use crate::engine::TracedFiles;
use crate::store::Story;

/// How long a search is kept, whether it is over or not.
const LASTS: Duration = Duration::from_mins(10);
/// Searches under way at once.
const PLACES: usize = 2;
/// Searches that are kept at once; the oldest goes.
const MOST: usize = 32;
/// How long a page waits for one that is nearly over.
const PATIENCE: Duration = Duration::from_millis(100);

type Key = [u8; 32];

/// All that are kept.
pub(super) struct Searches {
    kept: Mutex<HashMap<Key, Arc<Search>>>,
    places: Arc<Semaphore>,
}

/// One of them.
pub(super) struct Search {
    owner: Visit,
    ends: Time,
    /// Whom it is for, as they were typed.
    pub(super) email: String,
    found: watch::Sender<Found>,
}

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) story: Option<Arc<Story>>,
    pub(super) files: Option<Arc<TracedFiles>>,
    pub(super) fault: Option<Fault>,
}

impl Found {
    pub(super) const fn is_over(&self) -> bool {
        self.files.is_some() || self.fault.is_some()
    }
}

impl Default for Searches {
    fn default() -> Self {
        Self { kept: Mutex::default(), places: Arc::new(Semaphore::new(PLACES)) }
    }
}

impl Searches {
    /// A place among the searches that are under way.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Fault::Busy)
    }

    /// Keeps a search that begins; its word.
    fn begin(&self, owner: &Visit, email: &str, now: Time) -> Result<(String, Arc<Search>), Fault> {
        let word = fresh().map_err(|error| {
            tracing::error!(%error, "the system has no chance to give");
            Fault::Busy
        })?;
        let search = Arc::new(Search {
            owner: owner.clone(),
            ends: now.plus(LASTS),
            email: email.to_owned(),
            found: watch::Sender::default(),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, search| search.is_kept(now));
        if kept.len() >= MOST
            && let Some(first) = kept.iter().min_by_key(|(_, search)| search.ends).map(|(key, _)| *key)
        {
            kept.remove(&first);
        }
        kept.insert(digest(&word), Arc::clone(&search));
        Ok((word, search))
    }

    /// The search of this word, for whoever began it.
    pub(super) fn find(&self, visit: &Visit, word: &str, now: Time) -> Option<Arc<Search>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&digest(word)).filter(|search| search.is_kept(now) && search.owner.is(visit)).cloned()
    }

    /// Forgets what is over its time.
    fn forget_old(&self, now: Time) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, search| search.is_kept(now));
    }

    /// Forgets all: who was found may have been taken out of the database since.
    pub(super) fn forget_all(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets what somebody has looked for who signs out.
    pub(super) fn forget_of(&self, visit: &Visit) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, search| !search.owner.is(visit));
    }
}

impl Search {
    /// A clock that was put back keeps none for longer.
    fn is_kept(&self, now: Time) -> bool {
        self.ends > now && self.ends <= now.plus(LASTS)
    }

    /// What is known now, or in a moment.
    pub(super) async fn found(&self) -> Found {
        // Real time: whoever looks at a page does.
        let (clock, mut found) = (Clock::system(), self.found.subscribe());
        tokio::select! {
            _ = found.wait_for(Found::is_over) => {}
            () = clock.sleep(PATIENCE) => {}
        }
        self.found.borrow().clone()
    }

    fn note(&self, note: impl FnOnce(&mut Found)) {
        self.found.send_modify(note);
    }
}

impl Site {
    /// Begins to look for somebody; the word under which what is found is kept.
    pub(super) async fn search(&self, visit: &Visit, email: &str) -> Result<String, Fault> {
        let person = named(email)?;
        self.heed_removals().await?;
        let place = self.searches.place()?;
        let (word, search) = self.searches.begin(visit, email.trim(), self.clock.now())?;
        tokio::spawn(self.clone().keep(search, person, place));
        Ok(word)
    }

    /// Looks, and forgets it all in time. Ends with the service.
    async fn keep(self, search: Arc<Search>, person: Person, place: OwnedSemaphorePermit) {
        let look = async {
            let known = async {
                let story = Arc::new(self.store.trace(&person).await?);
                search.note(|found| found.story = Some(story));
                self.files_of(person).await
            };
            match known.await {
                Ok(files) => search.note(|found| found.files = Some(Arc::new(files))),
                Err(fault) => search.note(|found| found.fault = Some(fault)),
            }
            drop(place);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = look => {}
            () = self.clock.sleep(LASTS) => {}
            () = self.stop.requested() => {}
        }
        self.searches.forget_old(self.clock.now());
    }

    /// All that is on record about somebody, at once.
    pub(super) async fn trace(&self, email: &str) -> Result<(Story, TracedFiles), Fault> {
        let person = named(email)?;
        let _place = self.searches.place()?;
        let story = self.store.trace(&person).await?;
        Ok((story, self.files_of(person).await?))
    }

    async fn files_of(&self, person: Person) -> Result<TracedFiles, Fault> {
        let settings = self.fleet.engines().next().map(crate::engine::Engine::settings);
        let root = settings.and_then(|settings| settings.folder.as_ref()).map(|folder| folder.root.clone());
        let options = settings.map(|settings| settings.read).unwrap_or_default();
        Ok(TracedFiles::search(&self.store, root, options, person).await?)
    }
}

/// Whoever is meant.
fn named(email: &str) -> Result<Person, Fault> {
    Person::parse(email).ok_or_else(|| Fault::Wrong("There is no address to look for.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::session::Sessions;

    const NOW: Time = Time::from_micros(1_795_370_400_000_000);

    fn visits() -> [Visit; 2] {
        let sessions = Sessions::default();
        [(), ()].map(|()| {
            let word = sessions.begin("Ana".to_owned(), NOW).expect("begun");
            sessions.find(&word, NOW).expect("there")
        })
    }

    #[test]
    fn a_search_is_for_whoever_began_it_and_is_forgotten_in_time() {
        let ([own, other], searches) = (visits(), Searches::default());
        let (word, search) = searches.begin(&own, "ana@example.org", NOW).expect("begun");
        assert!(searches.find(&own, &word, NOW).is_some());
        assert!(searches.find(&other, &word, NOW).is_none());
        assert!(searches.find(&own, "another", NOW).is_none());
        assert!(searches.find(&own, &word, NOW.plus(LASTS)).is_none());
        searches.forget_old(NOW.plus(LASTS));
        assert_eq!(Arc::strong_count(&search), 1, "nobody else knows the address");
        let (_, search) = searches.begin(&own, "ana@example.org", NOW).expect("begun");
        searches.forget_of(&other);
        assert_eq!(Arc::strong_count(&search), 2);
        searches.forget_of(&own);
        assert_eq!(Arc::strong_count(&search), 1);
    }

    #[test]
    fn few_are_looked_for_at_once_and_no_more_are_kept_than_people_look_at() {
        let ([own, _], searches) = (visits(), Searches::default());
        let places: Vec<_> = (0..PLACES).map(|_| searches.place().expect("a place")).collect();
        assert_eq!(searches.place().err(), Some(Fault::Busy));
        drop(places);
        assert!(searches.place().is_ok());
        let later = |number: u64| NOW.plus(Duration::from_secs(number));
        let words: Vec<String> =
            (0..=32).map(|number| searches.begin(&own, "a", later(number)).expect("begun").0).collect();
        assert!(searches.find(&own, &words[0], later(33)).is_none());
        assert!(words[1..].iter().all(|word| searches.find(&own, word, later(33)).is_some()));
    }
}
