//! The call planner: the fewest requests that bring everybody the tags they want, and nothing else.
//!
//! Tags go with a whole request and only ever add up, so a call may carry the tags T to everybody who may
//! have all of T, and a person is done when the union of their calls covers what they want. How it is found:
//!
//! 1. A cohort that fills requests gets them, with all it wants: nothing is cheaper.
//! 2. The rest is covered in several ways: one group for each distinct set; tags in columns that are joined
//!    as long as that saves, beginning with one for each tag; calls built one by one where they bring most.
//! 3. Calls whose people find room in others are taken out, of each of these drafts, and the smallest one
//!    stays.
//!
//! The first two ways are never worse than the simple ones, so the plan is not. Effort is counted in steps. A
//! caller that must split a call because of its bytes sends its tags to both halves: more requests, same
//! cover. Knows nothing of addresses, bytes, accounts or the database.

mod bound;
mod call;
mod columns;
mod demand;
mod draft;
mod effort;
mod greedy;
mod layout;
mod order;
#[cfg(test)]
mod tests;
mod thin;

pub use call::{Call, CallKind, Costs, Plan, Share};
pub use demand::{Demand, Standing};
pub use layout::{Cohorts, LaidRow, Layout};

use columns::Columns;
use draft::Draft;
use effort::Effort;
use greedy::Taste;

/// Up to so many wanted tags, over all cohorts, calls are begun with any of them; beyond, with fewer.
const FEW_TAGS: usize = 5_000;
const MANY_TAGS: usize = 200_000;

/// Steps for the joining of columns, and for the taking out of calls.
const JOINING: u64 = 8_000_000;
const THINNING: u64 = 3_000_000;

/// Plans the calls for a demand. The same demand always gets the same plan.
#[must_use]
pub fn plan(demand: &Demand) -> Plan {
    let costs = bound::costs(demand);
    let mut base = Draft::new(demand);
    base.send_full();
    let mut drafts = drafts(&base);
    drafts.sort_by_key(Draft::requests);
    let mut effort = Effort::new(THINNING);
    for draft in &mut drafts {
        if draft.requests() > costs.lower_bound {
            thin::thin(draft, &mut effort);
        }
    }
    let best = drafts.into_iter().min_by_key(Draft::requests).unwrap_or(base);
    let (calls, routes) = order::ordered(&best);
    Plan { calls, routes, costs }
}

/// The base, completed in different ways.
fn drafts<'a>(base: &Draft<'a>) -> Vec<Draft<'a>> {
    let complete = |how: &dyn Fn(&mut Draft<'a>)| {
        let mut draft = base.clone();
        how(&mut draft);
        draft
    };
    let mut drafts = vec![complete(&Draft::send_by_set)];
    let single = Columns::of(base);
    for mut columns in single.joined_exclusive().into_iter().chain([single]) {
        columns.join_saving(&mut Effort::new(JOINING));
        drafts.push(complete(&|draft| columns.send(draft)));
    }
    let size: usize = base.needy().map(|piece| base.cohort(piece).wanted.len()).sum();
    if size > MANY_TAGS {
        drafts.push(complete(&|draft| greedy::build(draft, Taste { flat: false, all: false }, 1)));
        return drafts;
    }
    for (flat, all) in [(false, false), (false, true), (true, false), (true, true)] {
        let starts = if size <= FEW_TAGS { usize::MAX } else { 4 };
        drafts.push(complete(&|draft| greedy::build(draft, Taste { flat, all }, starts)));
    }
    drafts
}
