//! What a request is answered and what it changes, in the order in which Luma looks at things.
//!
//! One call, one lock, no waiting: connections and delays are the business of `server`.

use std::mem::swap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::sync::watch;

use super::answer::{Answer, Reply};
use super::beta::{self, Import};
use super::fault::{Faults, Instead, Spoil, Trouble};
use super::intake::{Arrival, is_well_formed, take_in};
use super::quota::Quota;
use super::record::{Record, Request};
use super::route::Route;
use super::snapshot::Snapshot;
use super::state::{Calendar, Held, HeldContact, Rules, State, new_quota};
use super::users::Users;
use super::v1::BetaCreate;
use super::{FurtherKey, Malformed, Options, v1};
use crate::clock::{Clock, Time};

/// The rules, and behind one lock all they work on.
pub(super) struct Service {
    pub(super) clock: Clock,
    pub(super) max_body: usize,
    /// Counts whatever may have changed something.
    pub(super) changes: watch::Sender<u64>,
    /// How many of these changes are in the state file; nothing where there is no file.
    kept: Option<watch::Sender<u64>>,
    /// In the order of their calendars.
    keys: Vec<String>,
    organization: Option<Organization>,
    faults: Faults,
    /// Whether the beta refuses tags that do not exist.
    only_known_tags: bool,
    rules: Rules,
    record: Option<Record>,
    held: Mutex<Held>,
}

/// A key for every calendar, with a quota of its own. Whoever takes its lock has that of all the rest.
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
        let (keys, calendars) = keys
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
            changes: watch::Sender::new(0),
            kept: options.state.map(|_| watch::Sender::new(0)),
            keys,
            organization,
            faults: options.faults,
            only_known_tags: !options.known_tags.is_empty(),
            rules,
            record: options.record.then(Record::default),
            held: Mutex::new(Held { calendars, users: Users::default() }),
        }
    }

    /// Answers one request; the body is `None` where it was larger than is taken.
    pub(super) fn handle(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        let mut reply = match (head.method.as_str(), head.uri.path()) {
            ("GET", "/sandbox/state") => self.page(head.uri.query().unwrap_or_default()).into(),
            ("POST", "/sandbox/follow") => self.follow(body.unwrap_or_default()).into(),
            _ => self.recorded(head, body),
        };
        if head.method == Method::POST && reply.answer.status.is_success() {
            self.changes.send_modify(|changes| *changes += 1);
            reply.change = *self.changes.borrow();
        }
        reply
    }

    /// Returns when so many changes are in the state file, where there is one.
    pub(super) async fn until_kept(&self, changes: u64) {
        if let Some(kept) = &self.kept {
            // Fails only where the sender is gone, which is ours.
            let _ = kept.subscribe().wait_for(|kept| *kept >= changes).await;
        }
    }

    /// Notes that so many changes are in the state file.
    pub(super) fn note_kept(&self, changes: u64) {
        if let Some(kept) = &self.kept {
            kept.send_replace(changes);
        }
    }

    fn recorded(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        let reply = self.asked(head, body);
        if let Some(record) = &self.record {
            let answered = reply.spoil != Some(Spoil::Cut);
            record.add(head, body, answered.then_some(reply.answer.status));
        }
        reply
    }

    fn asked(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        let mut all = self.lock();
        let Some(route) = Route::find(&head.method, head.uri.path()) else {
            let reply = Answer::message(StatusCode::NOT_FOUND, "Not found.").into();
            return counted(&mut all.calendars[0], "other", reply);
        };
        // What carries no key that is known counts as the first one's.
        let (place, reply) = match self.check_key(route, &head.headers) {
            Ok(Caller::Calendar(place)) => {
                (place, self.authenticated(&mut all, place, Ok(()), route, head, body))
            }
            Ok(Caller::Organization) => {
                let (place, named) = match self.calendar_named(&head.headers) {
                    Ok(place) => (place, Ok(())),
                    Err(refusal) => (0, Err(refusal)),
                };
                // For the length of one request the organization's quota is the one that counts.
                self.swap_quota(&mut all.calendars[place]);
                let reply = self.authenticated(&mut all, place, named, route, head, body);
                self.swap_quota(&mut all.calendars[place]);
                (place, reply)
            }
            Err(refusal) => (0, refusal.into()),
        };
        counted(&mut all.calendars[place], route.name(), reply)
    }

    fn swap_quota(&self, state: &mut State) {
        if let Some(organization) = &self.organization {
            let mut quota = organization.quota.lock().unwrap_or_else(PoisonError::into_inner);
            swap(&mut state.quota, &mut quota);
        }
    }

    /// The counters of all keys together.
    pub(super) fn snapshot(&self) -> Snapshot {
        let held = self.lock();
        let mut all = held.calendars.iter().map(State::snapshot).fold(Snapshot::default(), Snapshot::with);
        if let Some(organization) = &self.organization {
            let quota = organization.quota.lock().unwrap_or_else(PoisonError::into_inner);
            all.max_in_window = all.max_in_window.max(quota.peak());
        }
        all
    }

    /// What there is to say of one key; nothing of one that is unknown.
    pub(super) fn of<T: Default>(&self, key: &str, tell: impl FnOnce(&State) -> T) -> T {
        let place = self.keys.iter().position(|known| known == key);
        place.map(|place| tell(&self.lock().calendars[place])).unwrap_or_default()
    }

    pub(super) fn contacts_of(&self, key: &str) -> Vec<HeldContact> {
        let Some(place) = self.keys.iter().position(|known| known == key) else { return Vec::new() };
        let Held { calendars, users } = &*self.lock();
        calendars[place].contacts(users)
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
        let counts = if key.is_some() { self.lock().calendars[place].snapshot() } else { self.snapshot() };
        self.lock().calendars[place].page(counts, query)
    }

    /// Lets people follow the calendars they are on, which no import has to answer for any more.
    fn follow(&self, body: &[u8]) -> Answer {
        let Ok(emails) = serde_json::from_slice::<Vec<String>>(body) else {
            return Answer::message(StatusCode::BAD_REQUEST, "The body is a list of addresses.");
        };
        for state in &mut self.lock().calendars {
            let people: Vec<usize> = emails.iter().filter_map(|email| state.audience.find(email)).collect();
            for person in people {
                state.audience.follows(person);
            }
        }
        Answer::json("{}")
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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
        all: &mut Held,
        place: usize,
        named: Result<(), Answer>,
        route: Route,
        head: &Parts,
        body: Option<&[u8]>,
    ) -> Reply {
        let now = self.clock.now();
        let mut reply = if all.calendars[place].quota.admit(now) {
            self.admitted(all, place, named, route, head, body)
        } else {
            too_many_requests().into()
        };
        let quota = &all.calendars[place].quota;
        // A page that is not Luma's knows nothing of Luma's quota.
        reply.standing = quota.standing(now).filter(|_| reply.answer.is_json());
        reply.reset_unit = self.rules.settings.reset;
        let throttled = reply.answer.status == StatusCode::TOO_MANY_REQUESTS;
        reply.retry_after = throttled.then(|| quota.retry_after(now));
        reply
    }

    fn admitted(
        &self,
        all: &mut Held,
        place: usize,
        named: Result<(), Answer>,
        route: Route,
        head: &Parts,
        body: Option<&[u8]>,
    ) -> Reply {
        let now = self.clock.now();
        let Held { calendars, users } = all;
        let (before, rest) = calendars.split_at_mut(place);
        let [state, after @ ..] = rest else { return beta::not_signed_in().into() };
        let asked = route.asked();
        let nth = state.count(asked);
        let trouble = self.faults.meet(asked, nth, &mut state.rng);
        match route {
            Route::Beta(beta::Route::User) => beta::user(state.place).into(),
            Route::Beta(beta::Route::Import) => troubled(state, trouble, now, |state, trouble| {
                let mut calendar = state.calendar(users, Vec::new(), now);
                let taken = self.take_in(&mut calendar, body, trouble);
                taken.map_or_else(|refusal| refusal, |()| Answer::json("{}"))
            }),
            Route::Beta(beta::Route::CreateEvent) => troubled(state, trouble, now, |state, _| match body {
                _ if self.rules.settings.beta_create == BetaCreate::Refused => beta::invalid(&[]),
                Some(body) => state.events.create(body, now).unwrap_or_else(|refusal| refusal),
                None => too_large(),
            }),
            Route::V1(call) => troubled(state, trouble, now, |state, trouble| {
                let elsewhere = before.iter().chain(after.iter()).map(|other| &other.events).collect();
                let (place, query) = (state.place, head.uri.query().unwrap_or_default());
                let calendar = named.map(|()| state.calendar(users, elsewhere, now));
                v1::answer(call, query, body, &self.rules, trouble, place, calendar)
            }),
        }
    }

    /// Carries out an import of the beta, or refuses the whole of it.
    fn take_in(
        &self,
        calendar: &mut Calendar<'_>,
        body: Option<&[u8]>,
        trouble: &Trouble<'_>,
    ) -> Result<(), Answer> {
        let import = Import::parse(body.ok_or_else(too_large)?)?;
        if trouble.max_rows.is_some_and(|most| import.rows() > most) {
            return Err(too_large());
        }
        if self.rules.malformed == Malformed::Reject {
            import.refuse(|address| !is_well_formed(address)).map_or(Ok(()), Err)?;
        }
        refuse_guilty(&import, trouble)?;
        if self.only_known_tags && import.tags().any(|tag| !calendar.tags.has_id(tag)) {
            return Err(Answer::message(StatusCode::BAD_REQUEST, "Tag not found."));
        }
        let arrivals: Vec<_> = import.addresses().map(|address| Arrival { address, name: None }).collect();
        take_in(&arrivals, import.tags(), calendar, &self.rules, trouble)?;
        for tag in import.tags() {
            calendar.tags.adopt(tag);
        }
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

fn too_many_requests() -> Answer {
    Answer::message(StatusCode::TOO_MANY_REQUESTS, "Too many requests.")
}

fn too_large() -> Answer {
    Answer::message(StatusCode::PAYLOAD_TOO_LARGE, "Request entity too large.")
}
