//! What a sandbox holds for one key: its quota, its people, tags and events, and the counts of them.
//!
//! Both dialects work on it. Knows nothing of routes or keys.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Serialize;

use super::answer::Answer;
use super::audience::{Added, Audience};
use super::beta::Import;
use super::events::{Events, HeldEvent};
use super::fault::{Asked, Trouble};
use super::quota::Quota;
use super::service::is_well_formed;
use super::snapshot::Snapshot;
use super::v1::{Block, Calendar, Settings, Tags};
use super::{Limit, Malformed};
use crate::clock::Time;

/// How imports are treated, whatever dialect they are in, and what else is a guess.
pub(super) struct Rules {
    pub(super) malformed: Malformed,
    pub(super) seed: u64,
    pub(super) settings: Settings,
}

/// What becomes of an address in an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// It is none.
    Dropped,
    /// A fault swallows it.
    Lost,
}

impl Rules {
    pub(super) fn fate(&self, address: &str, trouble: &Trouble<'_>) -> Fate {
        if self.malformed != Malformed::Accept && !is_well_formed(address) {
            Fate::Dropped
        } else if trouble.loses(address, self.seed) {
            Fate::Lost
        } else {
            Fate::Kept
        }
    }
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

    /// Carries out an import of the beta, which any tag may come with.
    pub(super) fn apply(&mut self, import: &Import<'_>, rules: &Rules, trouble: &Trouble<'_>, now: Time) {
        for tag in import.tags() {
            self.tags.adopt(tag);
        }
        let tags = self.audience.tag_set(import.tags());
        for address in import.addresses() {
            match rules.fate(address, trouble) {
                Fate::Dropped => self.counts.dropped += 1,
                Fate::Lost => self.counts.lost += 1,
                Fate::Kept => match self.audience.add(address, None, tags, now) {
                    Added::New | Added::Changed => {}
                    Added::Repeat => self.counts.repeats += 1,
                    Added::Away => self.counts.away += 1,
                },
            }
        }
        self.counts.imports += 1;
        self.counts.rows_received += import.rows() as u64;
    }

    /// What requests of today's dialect work on.
    pub(super) fn calendar<'a>(&'a mut self, elsewhere: Vec<&'a Events>, now: Time) -> Calendar<'a> {
        Calendar {
            place: self.place,
            audience: &mut self.audience,
            tags: &mut self.tags,
            events: &mut self.events,
            counts: &mut self.counts,
            elsewhere,
            now,
        }
    }

    pub(super) fn members(&self) -> BTreeMap<String, Vec<String>> {
        let owned = |tags: &[Box<str>]| tags.iter().map(|tag| String::from(&**tag)).collect();
        self.audience.members().into_iter().map(|(address, tags)| (address.into(), owned(tags))).collect()
    }

    pub(super) fn events(&self) -> Vec<HeldEvent> {
        self.events.all().to_vec()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut counts = self.counts.clone();
        counts.max_in_window = self.quota.peak();
        counts.member_count = self.audience.len();
        counts.event_count = self.events.all().len();
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
        };
        match serde_json::to_vec(&page) {
            Ok(json) => Answer::json(json),
            Err(error) => Answer::message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// A quota that does during a block what is guessed.
pub(super) fn new_quota(limit: Option<Limit>, rules: &Rules) -> Quota {
    let mut quota = Quota::new(limit);
    quota.grows = rules.settings.block == Block::Grows;
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
}

/// Pairs written as a JSON object, without building a map of a million first.
struct Object<'a>(Vec<(&'a str, &'a [Box<str>])>);

impl Serialize for Object<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
