//! What a sandbox holds for one key: its quota, its people, its events, and the counts of them.
//!
//! Knows nothing of routes, keys or faults.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Serialize;

use super::Limit;
use super::answer::Answer;
use super::audience::Audience;
use super::beta::Import;
use super::events::{Events, HeldEvent};
use super::quota::Quota;
use super::service::is_well_formed;
use super::snapshot::Snapshot;

pub(super) struct State {
    /// Which of the keys it is.
    pub(super) place: u64,
    pub(super) quota: Quota,
    pub(super) rng: fastrand::Rng,
    pub(super) imports_met: u64,
    pub(super) events_met: u64,
    audience: Audience,
    pub(super) events: Events,
    pub(super) counts: Snapshot,
}

impl State {
    pub(super) fn new(place: u64, limit: Option<Limit>, seed: u64) -> Self {
        Self {
            place,
            quota: Quota::new(limit),
            rng: fastrand::Rng::with_seed(seed.wrapping_add(place)),
            imports_met: 0,
            events_met: 0,
            audience: Audience::default(),
            events: Events::of_key(place),
            counts: Snapshot::default(),
        }
    }

    pub(super) fn apply(&mut self, import: &Import<'_>) {
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
