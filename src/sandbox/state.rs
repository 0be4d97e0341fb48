//! What a sandbox holds for one key: its quota, its people, tags and events, and the counts of them.
//!
//! Both dialects work on it. Knows nothing of routes or keys.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Serialize;

use super::answer::Answer;
use super::audience::{Audience, Presence};
use super::events::{Events, HeldEvent};
use super::fault::Asked;
use super::quota::Quota;
use super::snapshot::Snapshot;
use super::users::Users;
use super::v1::{Block, Guests, Mail, Settings, Tags, Window};
use super::{Limit, Malformed};
use crate::clock::Time;

/// How imports are treated, whatever dialect they are in, and what else is a guess.
pub(super) struct Rules {
    pub(super) malformed: Malformed,
    pub(super) seed: u64,
    pub(super) settings: Settings,
}

/// Everything behind the lock.
pub(super) struct Held {
    /// One for each key.
    pub(super) calendars: Vec<State>,
    /// What belongs to people in all of them.
    pub(super) users: Users,
}

/// What a request works on: all that belongs to one calendar, and the people there are.
pub(super) struct Calendar<'a> {
    /// Which of the keys it belongs to.
    pub(super) place: u64,
    pub(super) audience: &'a mut Audience,
    pub(super) users: &'a mut Users,
    pub(super) tags: &'a mut Tags,
    pub(super) events: &'a mut Events,
    pub(super) guests: &'a mut Guests,
    pub(super) counts: &'a mut Snapshot,
    /// The events of the other calendars.
    pub(super) elsewhere: Vec<&'a Events>,
    pub(super) now: Time,
}

/// Somebody whom a sandbox holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldContact {
    /// Their address, as lists spell it.
    pub email: String,
    /// The first name that anybody gave them.
    pub name: Option<String>,
    /// The ids of their tags, in order.
    pub tags: Vec<String>,
}

/// How many requests of each kind have met the faults.
#[derive(Default)]
struct Met {
    imports: u64,
    events: u64,
    tags: u64,
    reads: u64,
}

pub(super) struct State {
    /// Which of the keys it is.
    pub(super) place: u64,
    pub(super) quota: Quota,
    pub(super) rng: fastrand::Rng,
    met: Met,
    pub(super) audience: Audience,
    pub(super) tags: Tags,
    pub(super) events: Events,
    pub(super) guests: Guests,
    pub(super) counts: Snapshot,
}

impl State {
    pub(super) fn new(place: u64, limit: Option<Limit>, rules: &Rules, known_tags: &[String]) -> Self {
        Self {
            place,
            quota: new_quota(limit, rules),
            rng: fastrand::Rng::with_seed(rules.seed.wrapping_add(place)),
            met: Met::default(),
            audience: Audience::default(),
            tags: Tags::of_key(place, known_tags),
            events: Events::of_key(place),
            guests: Guests::default(),
            counts: Snapshot::default(),
        }
    }

    /// The number of this request among those of its kind, from 1.
    pub(super) const fn count(&mut self, asked: Asked) -> u64 {
        let met = match asked {
            Asked::Import => &mut self.met.imports,
            Asked::Event => &mut self.met.events,
            Asked::Tag => &mut self.met.tags,
            Asked::Read => &mut self.met.reads,
        };
        *met += 1;
        *met
    }

    /// What requests work on.
    pub(super) fn calendar<'a>(
        &'a mut self,
        users: &'a mut Users,
        elsewhere: Vec<&'a Events>,
        now: Time,
    ) -> Calendar<'a> {
        Calendar {
            place: self.place,
            audience: &mut self.audience,
            users,
            tags: &mut self.tags,
            events: &mut self.events,
            guests: &mut self.guests,
            counts: &mut self.counts,
            elsewhere,
            now,
        }
    }

    pub(super) fn members(&self) -> BTreeMap<String, Vec<String>> {
        let owned = |tags: &[Box<str>]| tags.iter().map(|tag| String::from(&**tag)).collect();
        self.audience.members().into_iter().map(|(address, tags)| (address.into(), owned(tags))).collect()
    }

    pub(super) fn contacts(&self, users: &Users) -> Vec<HeldContact> {
        let here = self.audience.people().filter(|(_, person)| person.presence == Presence::Here);
        here.map(|(_, person)| HeldContact {
            email: users.spelling(&person.address).to_owned(),
            name: users.name(&person.address).map(str::to_owned),
            tags: self.audience.tags_of(person).iter().map(|tag| String::from(&**tag)).collect(),
        })
        .collect()
    }

    pub(super) fn events(&self) -> Vec<HeldEvent> {
        self.events.all().to_vec()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut counts = self.counts.clone();
        counts.max_in_window = self.quota.peak();
        counts.member_count = self.audience.len();
        counts.event_count = self.events.all().len();
        counts.mail_count = self.guests.outbox().len();
        counts
    }

    /// These counts, and of this key what the query asks for.
    pub(super) fn page(&self, counts: Snapshot, query: &str) -> Answer {
        let wants = |what: &str| query.split('&').any(|part| part == what);
        let page = Page {
            counts,
            members: wants("members=true").then(|| Object(self.audience.members())),
            tags: wants("tags=true").then(|| self.audience.tag_counts()),
            events: wants("events=true").then(|| self.events.all()),
            outbox: wants("outbox=true").then(|| self.guests.outbox()),
        };
        match serde_json::to_vec(&page) {
            Ok(json) => Answer::json(json),
            Err(error) => Answer::message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// A quota that counts, and does during a block, what is guessed.
pub(super) fn new_quota(limit: Option<Limit>, rules: &Rules) -> Quota {
    let mut quota = Quota::new(limit);
    quota.grows = rules.settings.block == Block::Grows;
    quota.is_fixed = rules.settings.window == Window::Fixed;
    quota
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
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox: Option<&'a [Mail]>,
}

/// Pairs written as a JSON object, without building a map of a million first.
struct Object<'a>(Vec<(&'a str, &'a [Box<str>])>);

impl Serialize for Object<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
