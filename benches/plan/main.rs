//! How many requests a plan takes, held against simpler ways and against what no way can undercut.
//!
//! `cargo bench --bench plan`. The lists are made of fixed dice, so only the times differ from run to run.
//! Prints, and fails only where a plan costs more than one of the simpler ways.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod lists;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Instant;

use lumasync::domain::plan::{Costs, Demand, Plan, Standing, plan};
use lumasync::domain::tag::{TagId, TagSet};

use lists::{LISTS, List};

const MAX_ROWS: NonZeroU32 = NonZeroU32::new(500).unwrap();

fn main() -> anyhow::Result<()> {
    println!(
        "requests of {MAX_ROWS} people, all of them new; half done: when half of the people have all their tags\n"
    );
    println!(
        "{:<40}{:>8}{:>8}{:>9}{:>9}{:>9}{:>9}{:>11}{:>9}",
        "", "people", "sets", "per set", "per tag", "planner", "at least", "half done", "seconds"
    );
    for (name, list) in LISTS {
        let sets = sets_of(&list());
        let begun = Instant::now();
        let mut demand = Demand::new(MAX_ROWS);
        for (set, people) in &sets {
            demand.add(set, &Standing::New, *people);
        }
        let plan = plan(&demand);
        let seconds = begun.elapsed().as_secs_f64();
        let Costs { per_set, per_tag, lower_bound } = plan.costs();
        let (people, requests): (u32, u64) = (sets.values().sum(), plan.requests());
        println!(
            "{name:<40}{people:>8}{:>8}{per_set:>9}{per_tag:>9}{requests:>9}{lower_bound:>9}{:>11}{seconds:>9.2}",
            sets.len(),
            half_done(&plan, sets.values().copied())
        );
        anyhow::ensure!(requests <= per_set.min(per_tag), "{name}: a simpler way takes fewer requests");
    }
    Ok(())
}

/// The distinct sets, and how many people want each.
fn sets_of(list: &List) -> BTreeMap<TagSet, u32> {
    let mut sets = BTreeMap::new();
    for tags in list {
        let ids = tags.iter().filter_map(|tag| TagId::parse(&format!("tag-{tag}")));
        *sets.entry(ids.collect()).or_default() += 1;
    }
    sets
}

/// After how many requests half of the people are done.
fn half_done(plan: &Plan, cohorts: impl Iterator<Item = u32>) -> u32 {
    let mut ends: Vec<u32> = (0..)
        .zip(cohorts)
        .flat_map(|(cohort, people)| (0..people).map(move |person| plan.calls_of(cohort, person)))
        .filter_map(|calls| calls.last().map(|last| last + 1))
        .collect();
    ends.sort_unstable();
    ends[(ends.len() - 1) / 2]
}
