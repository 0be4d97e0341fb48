//! What a request is answered and what it changes, in the order in which Luma looks at things.
//!
//! One call, one lock, no waiting: connections and delays are the business of `server`.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::answer::{Answer, Reply};
use super::beta::{self, Import, Route};
use super::fault::{Faults, Instead, Spoil, Trouble};
use super::quota::Quota;
use super::snapshot::Snapshot;
use super::state::State;
use super::{FurtherKey, Malformed, Options};
use crate::clock::{Clock, Time};

/// The rules, and behind one lock the state they work on.
pub(super) struct Service {
    pub(super) clock: Clock,
    pub(super) max_body: usize,
    /// In the order of their states.
    keys: Vec<String>,
    faults: Faults,
    known_tags: HashSet<String>,
    malformed: Malformed,
    states: Mutex<Vec<State>>,
}

impl Service {
    pub(super) fn new(options: Options, clock: Clock) -> Self {
        let first = FurtherKey { key: options.key, limit: options.limit };
        let keys = std::iter::once(first).chain(options.further);
        let (keys, states) = keys
            .zip(0..)
            .map(|(FurtherKey { key, limit }, place)| (key, State::new(place, limit, options.seed)))
            .unzip();
        Self {
            clock,
            max_body: options.max_body,
            keys,
            faults: options.faults,
            known_tags: options.known_tags.into_iter().collect(),
            malformed: options.malformed,
            states: Mutex::new(states),
        }
    }

    /// Answers one request; the body is `None` where it was larger than is taken.
    pub(super) fn handle(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        if head.method == Method::GET && head.uri.path() == "/sandbox/state" {
            return self.page(head.uri.query().unwrap_or_default()).into();
        }
        let mut states = self.lock();
        let Some(route) = Route::find(&head.method, head.uri.path()) else {
            let reply = Answer::message(StatusCode::NOT_FOUND, "Not found.").into();
            return counted(&mut states[0], "other", reply);
        };
        // What carries no key that is known counts as the first one's.
        let (place, refusal) = match self.check_key(route, &head.headers) {
            Ok(place) => (place, None),
            Err(refusal) => (0, Some(refusal.into())),
        };
        let state = &mut states[place];
        let reply = refusal.unwrap_or_else(|| self.authenticated(state, route, body));
        counted(state, route.name(), reply)
    }

    /// The counters of all keys together.
    pub(super) fn snapshot(&self) -> Snapshot {
        let states = self.lock();
        states.iter().map(State::snapshot).fold(Snapshot::default(), Snapshot::with)
    }

    /// What there is to say of one key; nothing of one that is unknown.
    pub(super) fn of<T: Default>(&self, key: &str, tell: impl FnOnce(&State) -> T) -> T {
        let place = self.keys.iter().position(|known| known == key);
        place.map(|place| tell(&self.lock()[place])).unwrap_or_default()
    }

    pub(super) fn first_key(&self) -> &str {
        &self.keys[0]
    }

    /// What is held: all counters together, or with `key=KEY` those of one key.
    fn page(&self, query: &str) -> Answer {
        let key = query.split('&').find_map(|part| part.strip_prefix("key="));
        let place = self.keys.iter().position(|known| key.is_none_or(|key| known == key));
        let Some(place) = place else {
            return Answer::message(StatusCode::NOT_FOUND, "No such key.");
        };
        let counts = if key.is_some() { self.lock()[place].snapshot() } else { self.snapshot() };
        self.lock()[place].page(counts, query)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose key it is.
    fn check_key(&self, route: Route, headers: &HeaderMap) -> Result<usize, Answer> {
        match headers.get("x-luma-api-key").map(|key| key.as_bytes().trim_ascii()) {
            None | Some([]) => Err(route.without_key()),
            Some(key) => {
                self.keys.iter().position(|known| known.as_bytes() == key).ok_or_else(beta::not_signed_in)
            }
        }
    }

    fn authenticated(&self, state: &mut State, route: Route, body: Option<&[u8]>) -> Reply {
        let now = self.clock.now();
        let mut reply = if state.quota.admit(now) {
            match route {
                Route::User => beta::user(state.place).into(),
                Route::Import => {
                    state.imports_met += 1;
                    let trouble = self.faults.meet(state.imports_met, &mut state.rng);
                    troubled(state, trouble, now, |state, trouble| {
                        self.take_in(state, body, trouble)
                            .map_or_else(|refusal| refusal, |()| Answer::json("{}"))
                    })
                }
                Route::CreateEvent => {
                    state.events_met += 1;
                    let trouble = self.faults.meet(state.events_met, &mut state.rng);
                    troubled(state, trouble, now, |state, _| match body {
                        Some(body) => state.events.create(body).unwrap_or_else(|refusal| refusal),
                        None => too_large(),
                    })
                }
            }
        } else {
            too_many_requests().into()
        };
        // A page that is not Luma's knows nothing of Luma's quota.
        reply.standing = state.quota.standing(now).filter(|_| reply.answer.is_json());
        let throttled = reply.answer.status == StatusCode::TOO_MANY_REQUESTS;
        reply.retry_after = throttled.then(|| state.quota.retry_after(now));
        reply
    }

    /// Carries out an import, or refuses the whole of it.
    fn take_in(&self, state: &mut State, body: Option<&[u8]>, trouble: &Trouble<'_>) -> Result<(), Answer> {
        let body = body.ok_or_else(too_large)?;
        let import = Import::parse(body)?;
        if trouble.max_rows.is_some_and(|most| import.rows() > most) {
            return Err(too_large());
        }
        if self.malformed == Malformed::Reject {
            import.refuse(|address| !is_well_formed(address)).map_or(Ok(()), Err)?;
        }
        refuse_guilty(&import, trouble)?;
        if !self.known_tags.is_empty() && import.tags().any(|tag| !self.known_tags.contains(tag)) {
            return Err(Answer::message(StatusCode::BAD_REQUEST, "Tag not found."));
        }
        state.apply(&import);
        Ok(())
    }
}

fn counted(state: &mut State, route: &'static str, reply: Reply) -> Reply {
    let answered = reply.spoil != Some(Spoil::Cut);
    state.counts.record(route, answered.then_some(reply.answer.status));
    reply
}

/// The answer to a write, or what comes in its place, and what becomes of it on the way.
fn troubled(
    state: &mut State,
    mut trouble: Trouble<'_>,
    now: Time,
    carry_out: impl FnOnce(&mut State, &Trouble<'_>) -> Answer,
) -> Reply {
    let answer = match trouble.instead {
        Some(Instead::Reset) => {
            trouble.spoil = Some(Spoil::Cut);
            Answer::json("{}")
        }
        Some(instead) => {
            // What is answered instead is meant to arrive.
            trouble.spoil = None;
            answer_instead(instead, &mut state.quota, now)
        }
        None => carry_out(state, &trouble),
    };
    Reply { delay: trouble.delay, spoil: trouble.spoil, ..answer.into() }
}

fn answer_instead(instead: Instead, quota: &mut Quota, now: Time) -> Answer {
    match instead {
        Instead::Status(StatusCode::TOO_MANY_REQUESTS) => {
            quota.block(now);
            too_many_requests()
        }
        Instead::Status(StatusCode::UNAUTHORIZED) => beta::not_signed_in(),
        Instead::Status(StatusCode::PAYLOAD_TOO_LARGE) => too_large(),
        Instead::Status(StatusCode::BAD_REQUEST) => beta::invalid(&[]),
        Instead::Status(status) => Answer::message(status, status.canonical_reason().unwrap_or("Refused")),
        Instead::Plan => Answer::message(StatusCode::FORBIDDEN, "This plan does not include the API."),
        Instead::Html(status) => Answer::html(status),
        Instead::Reset => Answer::json("{}"),
    }
}

/// Refuses an import that holds an address it must not; names those that are to be named.
fn refuse_guilty(import: &Import<'_>, trouble: &Trouble<'_>) -> Result<(), Answer> {
    if trouble.guilty.is_empty() {
        return Ok(());
    }
    let guilty = |address: &str, named: Option<bool>| {
        let address = address.to_lowercase();
        trouble
            .guilty
            .iter()
            .any(|one| *one.address == address && named.is_none_or(|named| one.named == named))
    };
    if let Some(naming) = import.refuse(|address| guilty(address, Some(true))) {
        return Err(naming);
    }
    if import.addresses().any(|address| guilty(address, Some(false))) {
        return Err(beta::invalid(&[]));
    }
    Ok(())
}

/// What every service would take for an address: one `@`, and a domain of at least two parts.
pub(super) fn is_well_formed(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else { return false };
    let odd = |letter: char| letter == '@' || letter.is_whitespace() || letter.is_control();
    !local.is_empty()
        && !local.contains(odd)
        && !domain.contains(odd)
        && domain.contains('.')
        && domain.split('.').all(|part| !part.is_empty())
}

fn too_many_requests() -> Answer {
    Answer::message(StatusCode::TOO_MANY_REQUESTS, "Too many requests.")
}

fn too_large() -> Answer {
    Answer::message(StatusCode::PAYLOAD_TOO_LARGE, "Request entity too large.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_nobody_could_reach_are_told_apart() {
        for good in ["a@b.org", "ana+tag@example.co.uk", "éva@bücher.example"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "",
            "ana",
            "@b.org",
            "ana@",
            "ana@b",
            "ana@.org",
            "ana@b..org",
            "a b@c.org",
            "a@b@c.org",
            "a@b.org ",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
