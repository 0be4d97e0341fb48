//! Rows and the calls of a plan: who is counted together, which row is in which calls, which call waits for which.
//!
//! A row is a number here. It passes through its calls one after the other, so a call leaves after those that
//! hold rows of it earlier.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;

use super::demand::narrow;
use super::{Demand, Plan, Standing};
use crate::domain::tag::TagSet;

/// Rows that want the same and whose people have the same, counted together.
#[derive(Debug, Default)]
pub struct Cohorts {
    /// By the number of the wanted set, and that of the set that the person has.
    places: HashMap<(i64, Option<i64>), usize>,
    keys: Vec<(i64, Option<i64>)>,
    rows: Vec<Vec<i64>>,
}

impl Cohorts {
    /// Adds a row by the numbers of its sets: what it wants, and what its person has; none who is new.
    pub fn add(&mut self, row: i64, wanted: i64, has: Option<i64>) {
        let place = *self.places.entry((wanted, has)).or_insert_with(|| {
            self.keys.push((wanted, has));
            self.rows.push(Vec::new());
            self.keys.len() - 1
        });
        self.rows[place].push(row);
    }

    /// The numbers of all sets that the rows want.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<i64> {
        self.keys.iter().map(|(wanted, _)| *wanted).collect()
    }

    /// What all of them want. A row with nothing left to send is sent all the same: it waits for an answer.
    #[must_use]
    pub fn demand(&self, max_rows: NonZeroU32, sets: &HashMap<i64, TagSet>) -> Demand {
        let empty = TagSet::default();
        let mut demand = Demand::new(max_rows);
        for ((wanted, has), rows) in self.keys.iter().zip(&self.rows) {
            let wanted = sets.get(wanted).unwrap_or(&empty);
            let standing = match has.and_then(|has| sets.get(&has)) {
                Some(has) if !wanted.is_subset(has) => Standing::Contact(has.clone()),
                _ => Standing::New,
            };
            demand.add(wanted, &standing, narrow(rows.len()));
        }
        demand
    }
}

/// One row and its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidRow {
    /// The row.
    pub row: i64,
    /// The places of its calls, in order.
    pub calls: Vec<u32>,
}

/// Every row with its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The rows; each of them is in a call.
    pub rows: Vec<LaidRow>,
    /// Calls, each with one that it waits for, by their places.
    pub waits: BTreeSet<(u32, u32)>,
}

impl Plan {
    /// Lays the rows into the calls that were planned for them.
    #[must_use]
    pub fn lay(&self, cohorts: &Cohorts) -> Layout {
        let (mut rows, mut waits) = (Vec::new(), BTreeSet::new());
        for (cohort, members) in (0..).zip(&cohorts.rows) {
            for (person, row) in (0..).zip(members) {
                let calls = self.calls_of(cohort, person);
                waits.extend(calls.windows(2).map(|pair| (pair[1], pair[0])));
                rows.push(LaidRow { row: *row, calls: calls.to_vec() });
            }
        }
        Layout { rows, waits }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::plan::plan;

    fn set(tags: &BTreeSet<u8>) -> TagSet {
        TagSet::parse(&tags.iter().map(|tag| format!("tag-{tag}")).collect::<Vec<_>>().join(";"))
            .expect("ids")
    }

    fn tags() -> impl Strategy<Value = BTreeSet<u8>> {
        prop::collection::btree_set(0_u8..6, 0..5)
    }

    proptest! {
        #[test]
        fn every_row_gets_what_it_wants_and_nothing_else_and_waits_for_nothing_later(
            people in prop::collection::vec((tags(), prop::option::of(tags())), 1..60)
        ) {
            let (mut sets, mut cohorts) = (Vec::<TagSet>::new(), Cohorts::default());
            let mut number = |tags: &BTreeSet<u8>| {
                let set = set(tags);
                let place = sets.iter().position(|known| *known == set).unwrap_or_else(|| {
                    sets.push(set.clone());
                    sets.len() - 1
                });
                i64::try_from(place).expect("few")
            };
            for (row, (wanted, has)) in (0..).zip(&people) {
                let has = has.as_ref().map(&mut number);
                cohorts.add(row, number(wanted), has);
            }
            let sets: HashMap<i64, TagSet> = (0..).zip(sets).collect();
            let planned = plan(&cohorts.demand(NonZeroU32::new(7).expect("not zero"), &sets));
            let layout = planned.lay(&cohorts);
            prop_assert_eq!(layout.rows.len(), people.len());
            for LaidRow { row, calls } in &layout.rows {
                let (wanted, has) = &people[usize::try_from(*row).expect("a row")];
                let has = has.as_ref().map(set).unwrap_or_default();
                let sent = calls.iter().fold(TagSet::default(), |sent, call| {
                    sent.union(planned.calls()[*call as usize].tags())
                });
                prop_assert!(!calls.is_empty());
                prop_assert!(set(wanted).is_subset(&sent.union(&has)));
                prop_assert!(sent.is_subset(&set(wanted).union(&has)));
                prop_assert!(calls.is_sorted());
            }
            for (place, call) in (0..).zip(planned.calls()) {
                let rows = layout.rows.iter().filter(|row| row.calls.contains(&place)).count();
                prop_assert_eq!(rows, call.people() as usize);
            }
            prop_assert!(layout.waits.iter().all(|(call, on)| on < call));
        }
    }
}
