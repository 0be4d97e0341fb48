//! What of one part is new: a person's rows are joined, then held against the ledger.
//!
//! Both sides are sorted by the hash of the key, so one walk over both is enough.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::lines::UnkeptLine;
use crate::domain::suppression::Screen;
use crate::domain::tag::{TagSet, TagSets};
use crate::ingest::spill::Part;
use crate::store::LedgerEntry;

/// Tag sets by both their numbers: the reader's and the database's.
#[derive(Debug, Default)]
pub(super) struct KnownSets {
    /// By the reader's number.
    pub local: TagSets,
    /// The database's number for each of the reader's.
    pub ids: Vec<i64>,
    /// By the database's number.
    pub stored: HashMap<i64, TagSet>,
}

/// The tags a person's rows want together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A set the reader numbered.
    Set(u32),
    /// What several rows want together, where none of them wants it all.
    Union(TagSet),
}

/// A person with something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// The place in the part of the first row.
    pub row: usize,
    /// The place in the part of the row that has the name.
    pub named: usize,
    /// The tags to send.
    pub wanted: Wanted,
    /// The set of tags that the ledger shows; `None` of somebody new.
    pub delivered: Option<i64>,
}

/// What a part comes to.
#[derive(Debug, Default)]
pub(super) struct Diff {
    /// People with something to send.
    pub changed: Vec<Changed>,
    /// People who are never sent, by the place of their first row, and why.
    pub suppressed: Vec<(usize, Arc<str>)>,
    /// Lines that end here, in no order.
    pub unkept: Vec<UnkeptLine>,
    /// How many of them are duplicates.
    pub duplicates: u64,
}

/// Joins the rows of each person and drops those who are never sent, and those the ledger has.
pub(super) fn diff(part: &Part, ledger: &[LedgerEntry<'_>], sets: &KnownSets, screen: &Screen) -> Diff {
    let mut found = Diff::default();
    let mut people = Vec::new();
    let (mut rest, mut start) = (ledger, 0);
    while start < part.len() {
        let (hash, places) = part.with_hash_of(start);
        start = places.end;
        let before = rest.iter().take_while(|entry| entry.key_hash < hash).count();
        let with_hash = rest[before..].iter().take_while(|entry| entry.key_hash == hash).count();
        let (known, after) = rest[before..].split_at(with_hash);
        rest = after;
        found.join_twins(part, places, sets, &mut people);
        for person in people.drain(..) {
            match screen.reason(part.row(person.row).email()) {
                Some(reason) => found.suppressed.push((person.row, Arc::clone(reason))),
                None => found.compare(part, person, known, sets),
            }
        }
    }
    found
}

impl Diff {
    /// The people of rows that share a hash: one person, but for chance.
    fn join_twins(&mut self, part: &Part, places: Range<usize>, sets: &KnownSets, people: &mut Vec<Changed>) {
        for place in places {
            let row = part.row(place);
            match people.iter_mut().find(|person| part.row(person.row).is_twin_of(&row)) {
                None => {
                    let wanted = Wanted::Set(row.set);
                    people.push(Changed { row: place, named: place, wanted, delivered: None });
                }
                Some(person) => {
                    self.unkept.push(UnkeptLine { line: row.line, twin: part.row(person.row).line });
                    self.duplicates += 1;
                    if part.row(person.named).name().is_empty() {
                        person.named = place;
                    }
                    person.wanted = join(&person.wanted, row.set, sets);
                }
            }
        }
    }

    /// Whether the ledger, of which these entries have the person's hash, has all of it.
    fn compare(&mut self, part: &Part, person: Changed, known: &[LedgerEntry<'_>], sets: &KnownSets) {
        let row = part.row(person.row);
        let own = || known.iter().filter(|entry| row.is_of(entry.email_key));
        if own().any(|entry| is_covered(&person.wanted, entry.tag_set, sets)) {
            self.unkept.push(UnkeptLine { line: row.line, twin: 0 });
        } else {
            let delivered = own().find(|entry| !entry.awaited).map(|entry| entry.tag_set);
            self.changed.push(Changed { delivered, ..person });
        }
    }

    /// People of whom nothing was delivered before.
    pub(super) fn new_members(&self) -> u64 {
        self.changed.iter().filter(|person| person.delivered.is_none()).count() as u64
    }
}

fn join(wanted: &Wanted, more: u32, sets: &KnownSets) -> Wanted {
    let (have, more_set) = match wanted {
        Wanted::Set(set) if *set == more => return wanted.clone(),
        Wanted::Set(set) => (sets.local.get(*set), sets.local.get(more)),
        Wanted::Union(set) => (set, sets.local.get(more)),
    };
    if more_set.is_subset(have) {
        wanted.clone()
    } else if have.is_subset(more_set) {
        Wanted::Set(more)
    } else {
        Wanted::Union(have.union(more_set))
    }
}

/// Whether all that is wanted was delivered. A set entered by somebody else since is not known
/// here: what is sent again does no harm.
fn is_covered(wanted: &Wanted, delivered: i64, sets: &KnownSets) -> bool {
    let wanted = match wanted {
        Wanted::Set(set) if sets.ids.get(*set as usize) == Some(&delivered) => return true,
        Wanted::Set(set) => sets.local.get(*set),
        Wanted::Union(set) => set,
    };
    sets.stored.get(&delivered).is_some_and(|delivered| wanted.is_subset(delivered))
}
