//! What every plan must hold, for demands of any shape.

mod brute;

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use proptest::prelude::*;

use super::demand::{ARRIVAL, Cohort, Tag};
use super::{Call, CallKind, Demand, Plan, Standing, plan};
use crate::domain::tag::{TagId, TagSet};

fn set(tags: impl IntoIterator<Item = usize>) -> TagSet {
    tags.into_iter().map(|tag| TagId::parse(&format!("tag-{tag}")).expect("a tag id")).collect()
}

fn nobody(max_rows: u32) -> Demand {
    Demand::new(NonZeroU32::new(max_rows).expect("not zero"))
}

/// The tags of a call, by number.
fn tags_of(demand: &Demand, call: &Call) -> Vec<Tag> {
    let is_it = |tag: &Tag, id: &TagId| demand.named(&[*tag]).ids() == std::slice::from_ref(id);
    let number = |id: &TagId| (1..1_000).find(|tag| is_it(tag, id)).expect("a tag of the demand");
    call.tags().ids().iter().map(number).collect()
}

/// Fails where a plan leaves something out, sends what nobody wants, or costs more than it may.
fn check(demand: &Demand, plan: &Plan) {
    let tags: Vec<Vec<Tag>> = plan.calls().iter().map(|call| tags_of(demand, call)).collect();
    let mut entries = 0;
    for (number, cohort) in (0..).zip(&demand.cohorts) {
        for person in 0..cohort.people {
            let calls = plan.calls_of(number, person);
            entries += calls.len();
            check_person(cohort, plan, calls, &tags);
        }
        assert!(plan.calls_of(number, cohort.people).is_empty(), "nobody comes after the last");
    }
    for (place, call) in (0..).zip(plan.calls()) {
        assert!((1..=demand.max_rows).contains(&call.people()), "{call:?}");
        for share in call.shares() {
            entries -= share.people.len();
            let mut people = share.people.clone();
            assert!(people.all(|person| plan.calls_of(share.cohort, person).contains(&place)));
        }
    }
    assert_eq!(entries, 0, "calls and people say the same");
    let costs = plan.costs();
    assert!(plan.requests() <= costs.per_set.min(costs.per_tag), "{costs:?}, {} calls", plan.requests());
    assert!(plan.requests() >= costs.lower_bound, "{costs:?}, {} calls", plan.requests());
}

fn check_person(cohort: &Cohort, plan: &Plan, calls: &[u32], tags: &[Vec<Tag>]) {
    assert!(calls.is_sorted_by(|a, b| a < b), "in order, and in no call twice");
    let sent: BTreeSet<Tag> = calls.iter().flat_map(|call| tags[*call as usize].iter().copied()).collect();
    assert!(sent.iter().all(|tag| cohort.allowed.contains(tag)), "something unwanted is sent");
    let mut wanted = cohort.wanted.iter().filter(|tag| **tag != ARRIVAL);
    assert!(wanted.all(|tag| sent.contains(tag)), "something wanted is not sent");
    let first = calls.first().map(|call| plan.calls()[*call as usize].kind());
    assert!(!cohort.is_new || first == Some(CallKind::Import), "whoever is new is imported first");
    assert!(!cohort.wanted.is_empty() || calls.is_empty(), "whoever wants nothing is in no call");
}

/// Cohorts of up to 9 people who want some of 6 tags and may have others.
fn any_demand() -> impl Strategy<Value = Demand> {
    let cohort = (0_u8..64, 0_u8..64, any::<bool>(), 0_u32..10);
    (1_u32..6, prop::collection::vec(cohort, 0..20)).prop_map(|(max_rows, cohorts)| {
        let mut demand = nobody(max_rows);
        let bits = |bits: u8| set((0..6).filter(move |tag| bits >> tag & 1 == 1));
        for (wanted, have, is_new, people) in cohorts {
            let standing = if is_new { Standing::New } else { Standing::Contact(bits(have)) };
            demand.add(&bits(wanted), &standing, people);
        }
        demand
    })
}

proptest! {
    #[test]
    fn everybody_gets_what_they_want_and_nothing_else_at_no_more_than_the_simple_ways_cost(
        demand in any_demand()
    ) {
        let plan = plan(&demand);
        check(&demand, &plan);
        prop_assert_eq!(super::plan(&demand), plan, "the same demand gets the same plan");
    }
}

#[test]
fn nobody_takes_no_call() {
    let mut demand = nobody(3);
    assert_eq!(plan(&demand).requests(), 0);
    demand.add(&set([1, 2]), &Standing::Contact(set([1, 2, 3])), 5);
    demand.add(&set([1]), &Standing::New, 0);
    let plan = plan(&demand);
    assert_eq!((plan.requests(), plan.costs().lower_bound), (0, 0));
}

#[test]
fn people_without_tags_are_imported_and_contacts_only_tagged() {
    let mut demand = nobody(10);
    let bare = demand.add(&set([]), &Standing::New, 2);
    let known = demand.add(&set([7]), &Standing::Contact(set([1])), 2);
    let plan = plan(&demand);
    let of = |cohort| plan.calls_of(cohort, 1).iter().map(|call| &plan.calls()[*call as usize]);
    let calls = |cohort| of(cohort).map(|call| (call.kind(), call.tags().clone())).collect::<Vec<_>>();
    assert_eq!(calls(bare), [(CallKind::Import, set([]))]);
    assert_eq!(calls(known), [(CallKind::Tag, set([7]))]);
}

#[test]
fn tags_that_people_have_already_are_sent_again_where_that_saves_a_call() {
    let mut demand = nobody(10);
    demand.add(&set([1, 2]), &Standing::New, 3);
    demand.add(&set([2]), &Standing::Contact(set([1])), 3);
    assert_eq!(plan(&demand).requests(), 1);
}

#[test]
fn cities_and_roles_go_together_and_tiers_apart() {
    let mut demand = nobody(300);
    for (city, role) in (0..5).flat_map(|city| (5..9).map(move |role| (city, role))) {
        for tier in 9..12 {
            demand.add(&set([city, role, tier]), &Standing::New, 100);
        }
    }
    let plan = plan(&demand);
    check(&demand, &plan);
    assert_eq!((plan.costs().per_set, plan.costs().per_tag, plan.costs().lower_bound), (60, 81, 40));
    // 20 full ones for city and role, 3 x 7 for the tiers.
    assert_eq!(plan.requests(), 41);
}

#[test]
fn whole_people_are_done_before_the_last_few_are_begun() {
    let mut demand = nobody(100);
    let many = demand.add(&set([1, 2, 3]), &Standing::New, 350);
    let few: Vec<u32> = (4..40).map(|tag| demand.add(&set([tag, tag + 1]), &Standing::New, 2)).collect();
    let plan = plan(&demand);
    check(&demand, &plan);
    let last = |cohort, person| plan.calls_of(cohort, person).last().copied().expect("in a call");
    assert_eq!(last(many, 349), 3);
    assert!(few.iter().all(|cohort| last(*cohort, 1) > 3));
}

#[test]
fn a_demand_of_many_sets_is_covered_too() {
    let mut chance = fastrand::Rng::with_seed(5);
    let mut demand = nobody(50);
    for _ in 0..3_000 {
        let tags: Vec<usize> = (0..8).map(|_| chance.usize(..60)).collect();
        demand.add(&set(tags), &Standing::New, chance.u32(1..4));
    }
    check(&demand, &plan(&demand));
}
