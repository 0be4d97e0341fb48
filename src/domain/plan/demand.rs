//! What is to be planned: how many people want which tags, and how many go into one request.
//!
//! Tags are small numbers here. People who want the same are one cohort, and only counted: who they are, the
//! caller knows.

use std::collections::HashMap;
use std::num::NonZeroU32;

use crate::domain::tag::{TagId, TagSet};

/// The number of a tag within one demand.
pub(super) type Tag = u32;

/// What somebody new wants who wants no tags: to be imported. It is planned for like a tag that nobody else
/// may have, and sent as none.
pub(super) const ARRIVAL: Tag = 0;

/// What Luma knows of the people of a cohort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: they are to be imported.
    New,
    /// They are contacts, and have these tags. Those may be sent again, which changes nothing.
    Contact(TagSet),
}

/// People who want the same and have the same.
#[derive(Clone, Debug)]
pub(super) struct Cohort {
    /// Tags still to be sent, sorted.
    pub(super) wanted: Box<[Tag]>,
    /// Tags that may be sent: those, and the ones they have; sorted.
    pub(super) allowed: Box<[Tag]>,
    pub(super) people: u32,
    pub(super) is_new: bool,
}

/// Who wants what.
#[derive(Clone, Debug)]
pub struct Demand {
    pub(super) max_rows: u32,
    pub(super) cohorts: Vec<Cohort>,
    /// Ids by number; that of `ARRIVAL` stays `None`.
    ids: Vec<Option<TagId>>,
    numbers: HashMap<TagId, Tag>,
}

impl Demand {
    /// Nobody wants anything yet. A request takes `max_rows` people.
    #[must_use]
    pub fn new(max_rows: NonZeroU32) -> Self {
        Self { max_rows: max_rows.get(), cohorts: Vec::new(), ids: vec![None], numbers: HashMap::new() }
    }

    /// Adds `people` who want these tags; the number of their cohort, counted from 0 in the order of the
    /// calls. Nobody may be in two cohorts.
    pub fn add(&mut self, wanted: &TagSet, standing: &Standing, people: u32) -> u32 {
        let mut wanted = self.intern(wanted);
        let (allowed, is_new) = match standing {
            Standing::New => {
                if wanted.is_empty() {
                    wanted.push(ARRIVAL);
                }
                (wanted.clone(), true)
            }
            Standing::Contact(have) => {
                let have = self.intern(have);
                wanted.retain(|tag| have.binary_search(tag).is_err());
                let mut allowed = [wanted.as_slice(), &have].concat();
                allowed.sort_unstable();
                (allowed, false)
            }
        };
        self.cohorts.push(Cohort { wanted: wanted.into(), allowed: allowed.into(), people, is_new });
        narrow(self.cohorts.len() - 1)
    }

    fn intern(&mut self, set: &TagSet) -> Vec<Tag> {
        let mut tags: Vec<Tag> = set.ids().iter().map(|id| self.number(id)).collect();
        tags.sort_unstable();
        tags
    }

    fn number(&mut self, id: &TagId) -> Tag {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = narrow(self.ids.len());
        self.ids.push(Some(id.clone()));
        self.numbers.insert(id.clone(), number);
        number
    }

    /// One more than the largest number of a tag.
    pub(super) fn tags(&self) -> usize {
        self.ids.len()
    }

    /// The tags as Luma knows them.
    pub(super) fn named(&self, tags: &[Tag]) -> TagSet {
        tags.iter().filter_map(|tag| self.ids[*tag as usize].clone()).collect()
    }
}

/// A place in a list as a number; no list here has as many as that holds.
pub(super) fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Whether all of `some` are among `all`; both sorted.
pub(super) fn is_subset(some: &[Tag], all: &[Tag]) -> bool {
    some.len() <= all.len() && some.iter().all(|tag| all.binary_search(tag).is_ok())
}

/// Those of `from`, sorted, that are not among `less`, sorted.
pub(super) fn without(from: &[Tag], less: &[Tag]) -> Vec<Tag> {
    from.iter().copied().filter(|tag| less.binary_search(tag).is_err()).collect()
}
