//! How many requests people take: laid into batches as the intake does it, and those that are not full planned
//! together as before every release.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;

use crate::domain::batch::{BatchLimits, BatchPlanner};
use crate::domain::plan::{Cohorts, plan};
use crate::domain::tag::TagSet;
use crate::store::PLANNED_TOGETHER;

/// People who want the same and have the same, by the numbers of both sets.
type Alike = BTreeMap<(i64, Option<i64>), u32>;

/// Batches without a database.
pub(super) struct Requests {
    max_rows: usize,
    planner: BatchPlanner,
    /// The number of each set of tags.
    numbers: HashMap<TagSet, i64>,
    sets: HashMap<i64, TagSet>,
    /// Sets that are wanted.
    wanted: std::collections::BTreeSet<i64>,
    /// The people of this part: the place of their batch, what they want, what they have.
    part: Vec<(usize, i64, Option<i64>)>,
    /// The people of batches that are not full, by the number of the batch.
    open: BTreeMap<i64, Alike>,
    batches: i64,
}

impl Requests {
    pub(super) fn new(limits: BatchLimits) -> Self {
        Self {
            max_rows: limits.max_rows,
            planner: BatchPlanner::new(limits, []),
            numbers: HashMap::new(),
            sets: HashMap::new(),
            wanted: std::collections::BTreeSet::new(),
            part: Vec::new(),
            open: BTreeMap::new(),
            batches: 0,
        }
    }

    /// Lays somebody into a batch who takes so many bytes; `has` is what the ledger shows.
    pub(super) fn add(&mut self, wanted: &TagSet, has: Option<&TagSet>, bytes: usize) {
        let wanted = self.number(wanted);
        let has = has.map(|has| self.number(has));
        self.wanted.insert(wanted);
        let place = self.planner.place(wanted, bytes);
        self.part.push((place, wanted, has));
    }

    fn number(&mut self, set: &TagSet) -> i64 {
        if let Some(number) = self.numbers.get(set) {
            return *number;
        }
        let number = i64::try_from(self.numbers.len()).unwrap_or(i64::MAX);
        self.numbers.insert(set.clone(), number);
        self.sets.insert(number, set.clone());
        number
    }

    /// Ends a part of the input.
    pub(super) fn end_part(&mut self) {
        let mut ids = Vec::with_capacity(self.planner.touched().len());
        for batch in self.planner.touched() {
            ids.push(batch.id.unwrap_or_else(|| {
                self.batches += 1;
                self.batches
            }));
        }
        for (place, wanted, has) in self.part.drain(..) {
            *self.open.entry(ids[place]).or_default().entry((wanted, has)).or_default() += 1;
        }
        for (batch, id) in self.planner.touched().iter().zip(&ids) {
            if batch.rows >= self.max_rows {
                self.open.remove(id);
            }
        }
        self.planner.end_part(&ids);
    }

    /// Different sets of tags that are wanted.
    pub(super) fn tag_sets(&self) -> u64 {
        self.wanted.len() as u64
    }

    /// Requests in the end.
    pub(super) fn count(&self) -> u64 {
        let full = self.batches.unsigned_abs() - self.open.len() as u64;
        full + self.planned()
    }

    /// Requests for the people of batches that are not full, as many planned together as a release does.
    fn planned(&self) -> u64 {
        let (mut requests, mut batches, mut rows) = (0, 0, 0);
        let mut cohorts = Cohorts::default();
        for alike in self.open.values() {
            if rows >= PLANNED_TOGETHER {
                requests += self.fewest(&cohorts, batches);
                (cohorts, batches, rows) = (Cohorts::default(), 0, 0);
            }
            batches += 1;
            for ((wanted, has), people) in alike {
                for _ in 0..*people {
                    cohorts.add(0, *wanted, *has);
                }
                rows += u64::from(*people);
            }
        }
        requests + self.fewest(&cohorts, batches)
    }

    fn fewest(&self, cohorts: &Cohorts, batches: u64) -> u64 {
        if batches < 2 {
            return batches;
        }
        let max_rows = u32::try_from(self.max_rows).unwrap_or(u32::MAX);
        let max_rows = NonZeroU32::new(max_rows).unwrap_or(NonZeroU32::MIN);
        plan(&cohorts.demand(max_rows, &self.sets)).requests().min(batches)
    }
}
