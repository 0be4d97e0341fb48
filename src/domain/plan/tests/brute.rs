//! Plans of small cases, held against the best there is, found by trying everything.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::check;
use crate::domain::plan::{Demand, Standing, plan};
use crate::domain::tag::{TagId, TagSet};

/// Tags as bits.
type Bits = u8;

/// What one person wants, and may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Person {
    wanted: Bits,
    have: Bits,
    is_new: bool,
}

fn tag_set(bits: Bits) -> TagSet {
    (0..8).filter(|tag| bits >> tag & 1 == 1).filter_map(|tag| TagId::parse(&format!("tag-{tag}"))).collect()
}

fn demand(people: &[Person], max_rows: u32) -> Demand {
    let mut demand = Demand::new(NonZeroU32::new(max_rows).expect("not zero"));
    for same in people.chunk_by(|a, b| a == b) {
        let person = same[0];
        let standing = if person.is_new { Standing::New } else { Standing::Contact(tag_set(person.have)) };
        demand.add(&tag_set(person.wanted), &standing, u32::try_from(same.len()).expect("few"));
    }
    demand
}

/// The fewest calls, found by trying every family of tag sets, smaller families first.
fn fewest(people: &[Person], max_rows: u32, tags: u8) -> u64 {
    // Whoever is new and wants no tags may be in no call that has some.
    let is_bare = |person: &&Person| person.is_new && person.wanted == 0;
    let bare = people.iter().filter(is_bare).count() as u64;
    let needy: Vec<Person> = people.iter().filter(|person| person.wanted != 0).copied().collect();
    let mut calls = (needy.len() as u64).div_ceil(max_rows.into());
    while !some_family(&needy, max_rows, tags, calls, 1, &mut Vec::new()) {
        calls += 1;
    }
    calls + bare.div_ceil(max_rows.into())
}

/// Whether some family of `more` further tag sets, none before `from`, can serve these people.
fn some_family(
    people: &[Person],
    max_rows: u32,
    tags: u8,
    more: u64,
    from: Bits,
    family: &mut Vec<(Bits, u32)>,
) -> bool {
    if more == 0 {
        return serves(people, family);
    }
    (from..1 << tags).any(|set| {
        family.push((set, max_rows));
        let found = some_family(people, max_rows, tags, more - 1, set, family);
        family.pop();
        found
    })
}

/// Whether calls with these tags and this much room can serve all of these people.
fn serves(people: &[Person], family: &mut [(Bits, u32)]) -> bool {
    let Some((first, others)) = people.split_first() else { return true };
    serves_first(*first, first.wanted, others, family, 0)
}

fn serves_first(
    person: Person,
    lacking: Bits,
    others: &[Person],
    family: &mut [(Bits, u32)],
    from: usize,
) -> bool {
    if lacking == 0 {
        return serves(others, family);
    }
    for place in from..family.len() {
        let (set, room) = family[place];
        if room > 0 && set & !(person.wanted | person.have) == 0 && set & lacking != 0 {
            family[place].1 -= 1;
            let found = serves_first(person, lacking & !set, others, family, place + 1);
            family[place].1 += 1;
            if found {
                return true;
            }
        }
    }
    false
}

/// Calls `each` with every choice of up to `most` of these kinds of people.
fn choices(kinds: &[Person], most: usize, chosen: &mut Vec<Person>, each: &mut impl FnMut(&[Person])) {
    each(chosen);
    if most == 0 {
        return;
    }
    for (place, kind) in kinds.iter().enumerate() {
        chosen.push(*kind);
        choices(&kinds[place..], most - 1, chosen, each);
        chosen.pop();
    }
}

/// How many cases took so many calls more than they must.
type Gaps = BTreeMap<u64, u32>;

fn count(gaps: &mut Gaps, people: &[Person], max_rows: u32, tags: u8) {
    let demand = demand(people, max_rows);
    let plan = plan(&demand);
    check(&demand, &plan);
    let fewest = fewest(people, max_rows, tags);
    assert!(plan.costs().lower_bound <= fewest, "{people:?}, {max_rows} in a call");
    *gaps.entry(plan.requests().checked_sub(fewest).expect("no plan beats the best")).or_default() += 1;
}

/// All choices of up to `most` of these kinds of people, with 1, 2 and 3 in a call.
fn gaps_of_all(kinds: &[Person], most: usize) -> Gaps {
    let mut gaps = Gaps::new();
    for max_rows in 1..=3 {
        choices(kinds, most, &mut Vec::new(), &mut |people| count(&mut gaps, people, max_rows, 3));
    }
    gaps
}

fn new_people(tags: u8) -> impl Iterator<Item = Person> {
    (0..1 << tags).map(|wanted| Person { wanted, have: 0, is_new: true })
}

#[test]
fn up_to_five_new_people_and_three_tags_take_the_fewest_calls() {
    let kinds: Vec<Person> = new_people(3).collect();
    assert_eq!(gaps_of_all(&kinds, 5), Gaps::from([(0, 3_861)]));
}

#[test]
fn up_to_three_people_of_whom_some_have_tags_take_the_fewest_calls() {
    let mut kinds: Vec<Person> = new_people(3).collect();
    for have in 0..8 {
        let more = (0..8).filter(|wanted| wanted & have == 0);
        kinds.extend(more.map(|wanted| Person { wanted, have, is_new: false }));
    }
    let gaps = gaps_of_all(&kinds, 3);
    assert_eq!(gaps.keys().copied().collect::<Vec<_>>(), [0], "{gaps:?}");
}

#[test]
fn seven_to_nine_people_and_four_tags_nearly_always_take_the_fewest_calls() {
    let kinds: Vec<Person> = new_people(4).skip(1).collect();
    let mut chance = fastrand::Rng::with_seed(1);
    let mut gaps = Gaps::new();
    for _ in 0..400 {
        let mut people: Vec<Person> =
            (0..chance.usize(7..=9)).map(|_| kinds[chance.usize(..kinds.len())]).collect();
        people.sort_unstable();
        count(&mut gaps, &people, chance.u32(2..=5), 4);
    }
    println!("calls more than the fewest, and how often: {gaps:?}");
    assert!(gaps[&0] >= 390, "{gaps:?}");
    assert!(gaps.keys().all(|gap| *gap <= 1), "{gaps:?}");
}
