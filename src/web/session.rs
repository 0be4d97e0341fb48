//! Who is signed in: in memory, with an end, known by a word that only their browser has.
//!
//! What is kept of that word is its digest, so that neither memory nor the time of a look-up tells it.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::token::{digest, fresh};
use crate::clock::Time;

/// How long a sign-in holds.
pub(super) const LASTS: Duration = Duration::from_hours(12);
/// Sign-ins that hold at once; the oldest goes.
const MOST: usize = 64;

type Key = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Key, Session>>);

#[derive(Debug)]
struct Session {
    csrf: String,
    person: String,
    ends: Time,
    said: Option<String>,
}

/// A look at a session that holds.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    key: Key,
    /// What forms of this session bear, and no other site knows.
    pub(super) csrf: String,
    /// Who it is, in their own words.
    pub(super) person: String,
    /// Whether a page asks for itself anew: what is said is for one that somebody opens.
    pub(super) is_again: bool,
}

impl Visit {
    /// The same of a page that asks for itself anew, or does not.
    pub(super) fn anew(self, is_again: bool) -> Self {
        Self { is_again, ..self }
    }

    /// Whether it is the same session.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Sessions {
    /// Begins a session; the word that its browser keeps.
    pub(super) fn begin(&self, person: String, now: Time) -> io::Result<String> {
        let (word, csrf) = (fresh()?, fresh()?);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.ends > now);
        if sessions.len() >= MOST
            && let Some(first) = sessions.iter().min_by_key(|(_, session)| session.ends).map(|(key, _)| *key)
        {
            sessions.remove(&first);
        }
        let session = Session { csrf, person, ends: now.plus(LASTS), said: None };
        sessions.insert(digest(&word), session);
        Ok(word)
    }

    /// The session of this word, while it holds.
    pub(super) fn find(&self, word: &str, now: Time) -> Option<Visit> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = digest(word);
        // A clock that was put back makes none last longer.
        let session =
            sessions.get(&key).filter(|session| session.ends > now && session.ends <= now.plus(LASTS));
        session.map(|Session { csrf, person, .. }| Visit {
            key,
            csrf: csrf.clone(),
            person: person.clone(),
            is_again: false,
        })
    }

    /// Ends it.
    pub(super) fn end(&self, visit: &Visit) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&visit.key);
    }

    /// Leaves a word for the next page.
    pub(super) fn say(&self, visit: &Visit, text: String) {
        if let Some(session) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&visit.key) {
            session.said = Some(text);
        }
    }

    /// What was left for this page.
    pub(super) fn said(&self, visit: &Visit) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&visit.key)?.said.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_795_370_400_000_000);

    #[test]
    fn a_session_holds_until_it_ends_or_is_ended() {
        let sessions = Sessions::default();
        let word = sessions.begin("Ana".to_owned(), NOW).expect("begun");
        let visit = sessions.find(&word, NOW).expect("there");
        assert_eq!(visit.person, "Ana");
        assert!(sessions.find("another", NOW).is_none());
        assert!(sessions.find(&word, NOW.plus(LASTS)).is_none());
        sessions.say(&visit, "done".to_owned());
        assert_eq!((sessions.said(&visit).as_deref(), sessions.said(&visit)), (Some("done"), None));
        sessions.end(&visit);
        assert!(sessions.find(&word, NOW).is_none());
    }

    #[test]
    fn the_oldest_session_goes_where_there_are_too_many() {
        let sessions = Sessions::default();
        let later = |number: u64| NOW.plus(Duration::from_secs(number));
        let words: Vec<String> =
            (0..=64).map(|number| sessions.begin(String::new(), later(number)).expect("begun")).collect();
        assert!(sessions.find(&words[0], later(65)).is_none());
        assert!(words[1..].iter().all(|word| sessions.find(word, later(65)).is_some()));
    }
}
