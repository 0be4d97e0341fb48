//! How rows are laid into batches: one tag set each, filled before the next is begun.
//!
//! Knows nothing of ids the database gives; a batch not yet stored is known by its place.

use std::collections::HashMap;

/// What every body carries besides its addresses: braces, the two field names, slack.
pub const BODY_FRAME: usize = 64;

/// How much one request may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Members.
    pub max_rows: usize,
    /// Bytes of body.
    pub max_bytes: usize,
}

/// The bytes an address, or a tag, takes in a body as an item of a list: itself, two quotes and a comma.
#[must_use]
pub const fn item_bytes(text: &str) -> usize {
    text.len() + 3
}

/// The bytes a member takes at most in a body: as an object of its own, with a name if there is one.
#[must_use]
pub fn contact_bytes(address: &str, name: Option<&str>) -> usize {
    const OBJECT: usize = r#"{"email":}"#.len();
    const NAME: usize = r#","name":"""#.len();
    let name = name.map_or(0, |name| NAME + name.chars().map(escaped_bytes).sum::<usize>());
    OBJECT + item_bytes(address) + name
}

/// The bytes a character takes in a JSON text.
const fn escaped_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

/// A batch as planned: what it holds so far, and its id once it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedBatch {
    /// The id in the database; `None` until it is stored.
    pub id: Option<i64>,
    /// The tag set that all its members want.
    pub tag_set: i64,
    /// Members in it.
    pub rows: usize,
    /// Members it had when it was last read or written.
    pub stored: usize,
    /// Bytes its addresses take in a body.
    pub bytes: usize,
}

/// Open batches are kept up to this many, so that a list in which nearly everybody wants other
/// tags does not fill the memory; the rest are closed underfilled.
const MAX_OPEN: usize = 20_000;

/// Lays rows into batches, one part of the input after the other.
#[derive(Debug)]
pub struct BatchPlanner {
    limits: BatchLimits,
    /// The batches that this part has touched, new ones without id.
    touched: Vec<PlannedBatch>,
    /// The place in `touched` of each tag set's open batch.
    placed: HashMap<i64, usize>,
    /// Open batches of earlier parts that this one has not touched.
    waiting: HashMap<i64, PlannedBatch>,
}

impl BatchPlanner {
    /// A planner that goes on with batches left open by an earlier one.
    #[must_use]
    pub fn new(limits: BatchLimits, open: impl IntoIterator<Item = PlannedBatch>) -> Self {
        let waiting = open.into_iter().map(|batch| (batch.tag_set, batch)).collect();
        Self { limits, touched: Vec::new(), placed: HashMap::new(), waiting }
    }

    /// Puts one member in a batch; the place of that batch among those of `touched`.
    pub fn place(&mut self, tag_set: i64, bytes: usize) -> usize {
        let open = self.placed.get(&tag_set).copied().or_else(|| {
            let batch = self.waiting.remove(&tag_set)?;
            self.touched.push(batch);
            Some(self.touched.len() - 1)
        });
        let place = match open {
            Some(place) if self.has_room(&self.touched[place], bytes) => place,
            _ => {
                self.touched.push(PlannedBatch { id: None, tag_set, rows: 0, stored: 0, bytes: 0 });
                self.touched.len() - 1
            }
        };
        self.placed.insert(tag_set, place);
        self.touched[place].rows += 1;
        self.touched[place].bytes += bytes;
        place
    }

    /// The batches that hold rows of this part, in the order of their places.
    #[must_use]
    pub fn touched(&self) -> &[PlannedBatch] {
        &self.touched
    }

    /// Ends the part: `ids` are those the database gave, one for each of `touched`.
    pub fn end_part(&mut self, ids: &[i64]) {
        for (tag_set, place) in self.placed.drain() {
            let batch = self.touched[place];
            let batch = PlannedBatch { id: ids.get(place).copied(), stored: batch.rows, ..batch };
            let is_open = batch.rows < self.limits.max_rows;
            if is_open && self.waiting.len() < MAX_OPEN {
                self.waiting.insert(tag_set, batch);
            }
        }
        self.touched.clear();
    }

    fn has_room(&self, batch: &PlannedBatch, bytes: usize) -> bool {
        batch.rows < self.limits.max_rows && BODY_FRAME + batch.bytes + bytes <= self.limits.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits { max_rows: 10, max_bytes: 1_000 };

    proptest! {
        #[test]
        fn batches_hold_one_tag_set_stay_in_their_limits_and_are_filled(
            parts in prop::collection::vec(prop::collection::vec((0_i64..4, 4_usize..60), 0..80), 1..5)
        ) {
            let mut planner = BatchPlanner::new(LIMITS, []);
            let mut stored: HashMap<i64, PlannedBatch> = HashMap::new();
            let mut next = 1;
            for part in &parts {
                for &(tag_set, bytes) in part {
                    let place = planner.place(tag_set, bytes);
                    prop_assert_eq!(planner.touched()[place].tag_set, tag_set);
                }
                let ids: Vec<i64> = planner.touched().iter().map(|batch| {
                    batch.id.unwrap_or_else(|| { next += 1; next })
                }).collect();
                for (batch, id) in planner.touched().iter().zip(&ids) {
                    stored.insert(*id, *batch);
                }
                planner.end_part(&ids);
            }
            let rows: usize = parts.iter().map(Vec::len).sum();
            prop_assert_eq!(stored.values().map(|batch| batch.rows).sum::<usize>(), rows);
            for batch in stored.values() {
                prop_assert!(batch.rows <= LIMITS.max_rows);
                prop_assert!(BODY_FRAME + batch.bytes <= LIMITS.max_bytes);
            }
            for tag_set in 0..4 {
                let underfilled = stored.values()
                    .filter(|batch| batch.tag_set == tag_set && batch.rows < LIMITS.max_rows)
                    .filter(|batch| BODY_FRAME + batch.bytes + 60 <= LIMITS.max_bytes)
                    .count();
                prop_assert!(underfilled <= 1);
            }
        }
    }

    proptest! {
        #[test]
        fn a_member_takes_no_more_bytes_than_was_reckoned(name in "\\PC{0,20}|[\u{0}-\u{7f}]{0,20}") {
            let (address, shown) = ("ana@example.org", Some(name.as_str()));
            let written = serde_json::json!({ "email": address, "name": shown }).to_string().len();
            prop_assert_eq!(written + 1, contact_bytes(address, shown));
            prop_assert_eq!(r#"{"email":"ana@example.org"},"#.len(), contact_bytes(address, None));
        }
    }

    #[test]
    fn an_address_larger_than_the_limit_still_gets_a_batch_of_its_own() {
        let mut planner = BatchPlanner::new(LIMITS, []);
        assert_eq!(planner.place(0, 5_000), 0);
        assert_eq!(planner.place(0, 5), 1);
    }
}
