//! What a request is answered and what it changes, in the order in which Luma looks at things.
//!
//! One call, one lock, no waiting: connections and delays are the business of `server`.

use std::mem::swap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::sync::Notify;

use super::answer::{Answer, Reply};
use super::beta::{self, Import};
use super::fault::{Faults, Instead, Spoil, Trouble};
use super::quota::Quota;
use super::record::{Record, Request};
use super::route::Route;
use super::snapshot::Snapshot;
use super::state::{Rules, State, new_quota};
use super::{FurtherKey, Malformed, Options, v1};
use crate::clock::{Clock, Time};

/// The rules, and behind one lock the states they work on.
pub(super) struct Service {
    pub(super) clock: Clock,
    pub(super) max_body: usize,
    /// Told whenever something may have changed.
    pub(super) changed: Notify,
    /// In the order of their states.
    keys: Vec<String>,
    organization: Option<Organization>,
    faults: Faults,
    /// Whether the beta refuses tags that do not exist.
    only_known_tags: bool,
    rules: Rules,
    record: Option<Record>,
    states: Mutex<Vec<State>>,
}

/// A key for every calendar, with a quota of its own. Whoever takes its lock holds that of the states.
struct Organization {
    key: String,
    quota: Mutex<Quota>,
}

/// Whose key a request carries.
enum Caller {
    Calendar(usize),
    Organization,
}

impl Service {
    pub(super) fn new(options: Options, clock: Clock) -> Self {
        let rules = Rules { malformed: options.malformed, seed: options.seed, settings: options.settings };
        let first = FurtherKey { key: options.key, limit: options.limit };
        let keys = std::iter::once(first).chain(options.further);
        let known = &options.known_tags;
        let (keys, states) = keys
            .zip(0..)
            .map(|(FurtherKey { key, limit }, place)| (key, State::new(place, limit, &rules, known)))
            .unzip();
        let organization = options.organization.map(|FurtherKey { key, limit }| Organization {
            key,
            quota: Mutex::new(new_quota(limit, &rules)),
        });
        Self {
            clock,
            max_body: options.max_body,
            changed: Notify::new(),
            keys,
            organization,
            faults: options.faults,
            only_known_tags: !options.known_tags.is_empty(),
            rules,
            record: options.record.then(Record::default),
            states: Mutex::new(states),
        }
    }

    /// Answers one request; the body is `None` where it was larger than is taken.
    pub(super) fn handle(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        match (head.method.as_str(), head.uri.path()) {
            ("GET", "/sandbox/state") => return self.page(head.uri.query().unwrap_or_default()).into(),
            ("POST", "/sandbox/follow") => return self.follow(body.unwrap_or_default()).into(),
            _ => {}
        }
        let reply = self.asked(head, body);
        if let Some(record) = &self.record {
            let answered = reply.spoil != Some(Spoil::Cut);
            record.add(head, body, answered.then_some(reply.answer.status));
        }
        if head.method == Method::POST {
            self.changed.notify_one();
        }
        reply
    }

    fn asked(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        let mut states = self.lock();
        let Some(route) = Route::find(&head.method, head.uri.path()) else {
            let reply = Answer::message(StatusCode::NOT_FOUND, "Not found.").into();
            return counted(&mut states[0], "other", reply);
        };
        // What carries no key that is known counts as the first one's.
        let (place, reply) = match self.check_key(route, &head.headers) {
            Ok(Caller::Calendar(place)) => {
                (place, self.authenticated(&mut states, place, Ok(()), route, head, body))
            }
            Ok(Caller::Organization) => {
                let (place, named) = match self.calendar_named(&head.headers) {
                    Ok(place) => (place, Ok(())),
                    Err(refusal) => (0, Err(refusal)),
                };
                // For the length of one request the organization's quota is the one that counts.
                self.swap_quota(&mut states[place]);
                let reply = self.authenticated(&mut states, place, named, route, head, body);
                self.swap_quota(&mut states[place]);
                (place, reply)
            }
            Err(refusal) => (0, refusal.into()),
        };
        counted(&mut states[place], route.name(), reply)
    }

    fn swap_quota(&self, state: &mut State) {
        if let Some(organization) = &self.organization {
            let mut quota = organization.quota.lock().unwrap_or_else(PoisonError::into_inner);
            swap(&mut state.quota, &mut quota);
        }
    }

    /// The counters of all keys together.
    pub(super) fn snapshot(&self) -> Snapshot {
        let states = self.lock();
        let mut all = states.iter().map(State::snapshot).fold(Snapshot::default(), Snapshot::with);
        if let Some(organization) = &self.organization {
            let quota = organization.quota.lock().unwrap_or_else(PoisonError::into_inner);
            all.max_in_window = all.max_in_window.max(quota.peak());
        }
        all
    }

    /// What there is to say of one key; nothing of one that is unknown.
    pub(super) fn of<T: Default>(&self, key: &str, tell: impl FnOnce(&State) -> T) -> T {
        let place = self.keys.iter().position(|known| known == key);
        place.map(|place| tell(&self.lock()[place])).unwrap_or_default()
    }

    pub(super) fn first_key(&self) -> &str {
        &self.keys[0]
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.record.as_ref().map(Record::all).unwrap_or_default()
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

    /// Lets people follow the calendars they are on, which no import has to answer for any more.
    fn follow(&self, body: &[u8]) -> Answer {
        let Ok(emails) = serde_json::from_slice::<Vec<String>>(body) else {
            return Answer::message(StatusCode::BAD_REQUEST, "The body is a list of addresses.");
        };
        for state in self.lock().iter_mut() {
            let people: Vec<usize> = emails.iter().filter_map(|email| state.audience.find(email)).collect();
            for person in people {
                state.audience.follows(person);
            }
        }
        self.changed.notify_one();
        Answer::json("{}")
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose key it is. The beta knows no organizations.
    fn check_key(&self, route: Route, headers: &HeaderMap) -> Result<Caller, Answer> {
        let key = headers.get("x-luma-api-key").map(|key| key.as_bytes().trim_ascii());
        let key = key.filter(|key| !key.is_empty()).ok_or_else(|| route.without_key())?;
        if let Some(place) = self.keys.iter().position(|known| known.as_bytes() == key) {
            return Ok(Caller::Calendar(place));
        }
        let is_organization = self.organization.as_ref().is_some_and(|own| own.key.as_bytes() == key);
        if is_organization && matches!(route, Route::V1(_)) {
            Ok(Caller::Organization)
        } else {
            Err(beta::not_signed_in())
        }
    }

    /// Which calendar an organization's request is about.
    fn calendar_named(&self, headers: &HeaderMap) -> Result<usize, Answer> {
        let named = headers.get("x-luma-calendar-id").map(|id| id.as_bytes().trim_ascii());
        let named = named.filter(|id| !id.is_empty()).ok_or_else(v1::without_calendar)?;
        let mut ids = (0..).take(self.keys.len()).map(v1::calendar_id);
        ids.position(|id| id.as_bytes() == named).ok_or_else(v1::not_your_calendar)
    }

    fn authenticated(
        &self,
        states: &mut [State],
        place: usize,
        named: Result<(), Answer>,
        route: Route,
        head: &Parts,
        body: Option<&[u8]>,
    ) -> Reply {
        let now = self.clock.now();
        let mut reply = if states[place].quota.admit(now) {
            self.admitted(states, place, named, route, head, body)
        } else {
            too_many_requests().into()
        };
        let quota = &states[place].quota;
        // A page that is not Luma's knows nothing of Luma's quota.
        reply.standing = quota.standing(now).filter(|_| reply.answer.is_json());
        reply.reset_unit = self.rules.settings.reset;
        let throttled = reply.answer.status == StatusCode::TOO_MANY_REQUESTS;
        reply.retry_after = throttled.then(|| quota.retry_after(now));
        reply
    }

    fn admitted(
        &self,
        states: &mut [State],
        place: usize,
        named: Result<(), Answer>,
        route: Route,
        head: &Parts,
        body: Option<&[u8]>,
    ) -> Reply {
        let now = self.clock.now();
        let (before, rest) = states.split_at_mut(place);
        let [state, after @ ..] = rest else { return beta::not_signed_in().into() };
        let asked = route.asked();
        let nth = state.count(asked);
        let trouble = self.faults.meet(asked, nth, &mut state.rng);
        match route {
            Route::Beta(beta::Route::User) => beta::user(state.place).into(),
            Route::Beta(beta::Route::Import) => troubled(state, trouble, now, |state, trouble| {
                self.take_in(state, body, trouble).map_or_else(|refusal| refusal, |()| Answer::json("{}"))
            }),
            Route::Beta(beta::Route::CreateEvent) => troubled(state, trouble, now, |state, _| match body {
                Some(body) => state.events.create(body, now).unwrap_or_else(|refusal| refusal),
                None => too_large(),
            }),
            Route::V1(call) => troubled(state, trouble, now, |state, trouble| {
                let elsewhere = before.iter().chain(after.iter()).map(|other| &other.events).collect();
                let (place, query) = (state.place, head.uri.query().unwrap_or_default());
                let calendar = named.map(|()| state.calendar(elsewhere, now));
                v1::answer(call, query, body, &self.rules, trouble, place, calendar)
            }),
        }
    }

    /// Carries out an import, or refuses the whole of it.
    fn take_in(&self, state: &mut State, body: Option<&[u8]>, trouble: &Trouble<'_>) -> Result<(), Answer> {
        let body = body.ok_or_else(too_large)?;
        let import = Import::parse(body)?;
        if trouble.max_rows.is_some_and(|most| import.rows() > most) {
            return Err(too_large());
        }
        if self.rules.malformed == Malformed::Reject {
            import.refuse(|address| !is_well_formed(address)).map_or(Ok(()), Err)?;
        }
        refuse_guilty(&import, trouble)?;
        if self.only_known_tags && import.tags().any(|tag| !state.tags.has_id(tag)) {
            return Err(Answer::message(StatusCode::BAD_REQUEST, "Tag not found."));
        }
        state.apply(&import, &self.rules, trouble, self.clock.now());
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
    if let Some(naming) = import.refuse(|address| trouble.names(address)) {
        return Err(naming);
    }
    if import.addresses().any(|address| trouble.refuses(address)) {
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
