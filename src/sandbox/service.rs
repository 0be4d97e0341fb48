//! What a request is answered and what it changes, in the order in which Luma looks at things.
//!
//! One call, one lock, no waiting: connections and delays are the business of `server`.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::answer::{Answer, Reply};
use super::audience::Audience;
use super::beta::{self, Import, Route};
use super::events::{Events, HeldEvent};
use super::fault::{Faults, Instead, Spoil, Trouble};
use super::quota::Quota;
use super::snapshot::Snapshot;
use super::{Malformed, Options};
use crate::clock::{Clock, Time};

/// The rules, and behind one lock the state they work on.
pub(super) struct Service {
    pub(super) clock: Clock,
    pub(super) max_body: usize,
    key: String,
    faults: Faults,
    known_tags: HashSet<String>,
    malformed: Malformed,
    state: Mutex<State>,
}

struct State {
    quota: Quota,
    rng: fastrand::Rng,
    imports_met: u64,
    events_met: u64,
    audience: Audience,
    events: Events,
    counts: Snapshot,
}

impl Service {
    pub(super) fn new(options: Options, clock: Clock) -> Self {
        let state = State {
            quota: Quota::new(options.limit),
            rng: fastrand::Rng::with_seed(options.seed),
            imports_met: 0,
            events_met: 0,
            audience: Audience::default(),
            events: Events::default(),
            counts: Snapshot::default(),
        };
        Self {
            clock,
            max_body: options.max_body,
            key: options.key,
            faults: options.faults,
            known_tags: options.known_tags.into_iter().collect(),
            malformed: options.malformed,
            state: Mutex::new(state),
        }
    }

    /// Answers one request; the body is `None` where it was larger than is taken.
    pub(super) fn handle(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        let mut state = self.lock();
        if head.method == Method::GET && head.uri.path() == "/sandbox/state" {
            return state.page(head.uri.query().unwrap_or_default()).into();
        }
        let Some(route) = Route::find(&head.method, head.uri.path()) else {
            let reply = Answer::message(StatusCode::NOT_FOUND, "Not found.").into();
            return state.counted("other", reply);
        };
        let reply = match self.check_key(route, &head.headers) {
            Ok(()) => self.authenticated(&mut state, route, body),
            Err(refusal) => refusal.into(),
        };
        state.counted(route.name(), reply)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    pub(super) fn members(&self) -> BTreeMap<String, Vec<String>> {
        let state = self.lock();
        let owned = |tags: &[Box<str>]| tags.iter().map(|tag| String::from(&**tag)).collect();
        state.audience.members().into_iter().map(|(address, tags)| (address.into(), owned(tags))).collect()
    }

    pub(super) fn events(&self) -> Vec<HeldEvent> {
        self.lock().events.all().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_key(&self, route: Route, headers: &HeaderMap) -> Result<(), Answer> {
        match headers.get("x-luma-api-key").map(|key| key.as_bytes().trim_ascii()) {
            None | Some([]) => Err(route.without_key()),
            Some(key) if key == self.key.as_bytes() => Ok(()),
            Some(_) => Err(beta::not_signed_in()),
        }
    }

    fn authenticated(&self, state: &mut State, route: Route, body: Option<&[u8]>) -> Reply {
        let now = self.clock.now();
        let mut reply = if state.quota.admit(now) {
            match route {
                Route::User => beta::user().into(),
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

impl State {
    fn apply(&mut self, import: &Import<'_>) {
        let tags = self.audience.tag_set(import.tags());
        for address in import.addresses() {
            if !is_well_formed(address) {
                self.counts.dropped += 1;
            } else if !self.audience.add(address, tags) {
                self.counts.repeats += 1;
            }
        }
        self.counts.imports += 1;
        self.counts.rows_received += import.rows() as u64;
    }

    fn counted(&mut self, route: &'static str, reply: Reply) -> Reply {
        let answered = reply.spoil != Some(Spoil::Cut);
        self.counts.record(route, answered.then_some(reply.answer.status));
        reply
    }

    fn snapshot(&self) -> Snapshot {
        let mut counts = self.counts.clone();
        counts.max_in_window = self.quota.peak();
        counts.member_count = self.audience.len();
        counts.event_count = self.events.all().len();
        counts
    }

    fn page(&self, query: &str) -> Answer {
        let wants = |what: &str| query.split('&').any(|part| part == what);
        let page = Page {
            counts: self.snapshot(),
            members: wants("members=true").then(|| Object(self.audience.members())),
            tags: wants("tags=true").then(|| self.audience.tag_counts()),
            events: wants("events=true").then(|| self.events.all()),
        };
        match serde_json::to_vec(&page) {
            Ok(json) => Answer::json(json),
            Err(error) => Answer::message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    counts: Snapshot,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<&'a str, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a [HeldEvent]>,
}

/// Pairs written as a JSON object, without building a map of a million first.
struct Object<'a>(Vec<(&'a str, &'a [Box<str>])>);

impl Serialize for Object<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
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
fn is_well_formed(address: &str) -> bool {
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
