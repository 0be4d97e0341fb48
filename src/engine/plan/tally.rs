//! Adds up what the intake would make of rows: counts, tags, examples, and who would get what.

use std::collections::BTreeMap;

use super::requests::Requests;
use super::{PlannedInput, PlannedRow, PlannedRows, Samples};
use crate::domain::batch::BatchLimits;
use crate::domain::code::Code;
use crate::domain::digest::AudienceDigest;
use crate::domain::state::{Kind, RowState};
use crate::domain::tag::TagSet;
use crate::engine::diff::{Diff, KnownSets, Wanted};
use crate::ingest::spill::Part;
use crate::luma::Contact;
use crate::store::RunSource;

/// Examples of each kind.
const SAMPLES: usize = 3;

/// What was found so far.
pub(super) struct Tally {
    rows: PlannedRows,
    tags: BTreeMap<String, u64>,
    requests: Requests,
    samples: Samples,
    digest: AudienceDigest,
}

impl Tally {
    pub(super) fn new(limits: BatchLimits) -> Self {
        Self {
            rows: PlannedRows::default(),
            tags: BTreeMap::new(),
            requests: Requests::new(limits),
            samples: Samples::new(),
            digest: AudienceDigest::default(),
        }
    }

    /// Adds one part of an input.
    pub(super) fn add(
        &mut self,
        part: &Part,
        diff: &Diff,
        sets: &KnownSets,
        bytes: impl Fn(&Contact<'_>) -> usize,
    ) {
        for row in part.bad() {
            self.refused(row.line, row.email, row.code, row.reason);
        }
        self.rows.read += (part.len() + part.bad().len()) as u64;
        self.rows.duplicate += diff.duplicates;
        self.rows.unchanged += diff.unkept.len() as u64 - diff.duplicates;
        for unkept in &diff.unkept {
            match unkept.twin {
                0 => self.sample("unchanged", unkept.line, "", String::new),
                twin => self.sample("duplicate", unkept.line, "", || format!("same person as {twin}")),
            }
        }
        for (place, reason) in &diff.suppressed {
            let row = part.row(*place);
            self.refused(row.line, row.email(), Code::Suppressed, reason);
        }
        for person in &diff.changed {
            let (row, name) = (part.row(person.row), part.row(person.named).name());
            let wanted = match &person.wanted {
                Wanted::Set(set) => sets.local.get(*set),
                Wanted::Union(set) => set,
            };
            let has = person.delivered.and_then(|set| sets.stored.get(&set));
            let contact = Contact { email: row.email(), name: (!name.is_empty()).then_some(name) };
            self.person(row.line, &contact, wanted, has, bytes(&contact));
        }
        self.requests.end_part();
    }

    /// Adds somebody who would be sent; `has` is what the ledger shows.
    pub(super) fn person(
        &mut self,
        line: u64,
        contact: &Contact<'_>,
        wanted: &TagSet,
        has: Option<&TagSet>,
        bytes: usize,
    ) {
        let missing = has.map_or_else(|| wanted.clone(), |has| wanted.without(has));
        let kind = if has.is_some() { "changed" } else { "new" };
        *(if has.is_some() { &mut self.rows.changed } else { &mut self.rows.new }) += 1;
        for tag in missing.ids() {
            *self.tags.entry(tag.to_string()).or_default() += 1;
        }
        self.requests.add(wanted, has, bytes);
        self.digest.add(contact.email, contact.name, &missing);
        self.sample(kind, line, contact.email, || missing.to_string());
    }

    /// Adds a row that would not be sent because of what the reader saw.
    pub(super) fn refused(&mut self, line: u64, email: &str, code: Code, reason: &str) {
        let kind = match code.state_at_intake() {
            RowState::Suppressed => "suppressed",
            _ => "invalid",
        };
        *(if kind == "invalid" { &mut self.rows.invalid } else { &mut self.rows.suppressed }) += 1;
        self.sample(kind, line, email, || format!("{code}: {reason}"));
    }

    /// Adds rows that end without being sent.
    pub(super) fn ended(&mut self, read: u64, unchanged: u64, duplicate: u64) {
        self.rows.read += read;
        self.rows.unchanged += unchanged;
        self.rows.duplicate += duplicate;
    }

    /// Ends a portion of rows.
    pub(super) fn end_part(&mut self) {
        self.requests.end_part();
    }

    /// Keeps the first few of each kind.
    fn sample(&mut self, kind: &'static str, line: u64, email: &str, said: impl FnOnce() -> String) {
        let samples = self.samples.entry(kind).or_default();
        let place = samples.partition_point(|known| known.line < line);
        if place < SAMPLES {
            samples.insert(place, PlannedRow { line, email: email.to_owned(), said: said() });
            samples.truncate(SAMPLES);
        }
    }

    /// What it comes to; whose it is and where it comes from is for others to say.
    pub(super) fn finish(self) -> PlannedInput {
        PlannedInput {
            account: String::new(),
            kind: Kind::Members,
            source: RunSource::File,
            label: String::new(),
            sha256: None,
            read_as: String::new(),
            begun: None,
            warnings: Vec::new(),
            rows: self.rows,
            before: None,
            tags: self.tags,
            tag_sets: self.requests.tag_sets(),
            requests: self.requests.count(),
            tags_to_make: Vec::new(),
            concerns: Vec::new(),
            samples: self.samples,
            digest: self.digest,
        }
    }
}
