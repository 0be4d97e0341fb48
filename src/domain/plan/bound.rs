//! What no plan can undercut, and what the two simple ways cost.
//!
//! Three bounds, of which the highest counts. People who each want a tag that no call could bring to two of
//! them at once need a call each. Where a call is paid for by those in it, each of them the same, nobody pays
//! less than for one call of all who may have what they want, or for two that are full. And where every tag
//! has a price for everybody who wants it, the sum of all prices, divided by the most that one call can earn,
//! is a number of calls.

use std::collections::BTreeMap;

use super::call::Costs;
use super::demand::{ARRIVAL, Cohort, Demand, Tag, is_subset};

/// One request, in the unit of prices.
const REQUEST: u64 = 1 << 24;

/// Shares are worked out for up to so many cohorts, because each is held against each.
const MOST_COHORTS: usize = 1_000;

/// Tables of pairs and triples are made up to so many tags, and so many entries.
const MOST_TAGS_OF_PAIRS: usize = 2_000;
const MOST_TAGS_OF_TRIPLES: usize = 250;
const MOST_ENTRIES: u64 = 20_000_000;

pub(super) fn costs(demand: &Demand) -> Costs {
    let needy: Vec<&Cohort> =
        demand.cohorts.iter().filter(|cohort| cohort.people > 0 && !cohort.wanted.is_empty()).collect();
    let case = Case::new(demand, needy);
    Costs {
        per_set: case.per_set(),
        per_tag: case.per_tag(),
        lower_bound: case.by_anchors().max(case.by_shares()).max(case.by_prices()),
    }
}

struct Case<'a> {
    max_rows: u64,
    needy: Vec<&'a Cohort>,
    all: u64,
    /// How many people want each tag.
    people: Vec<u64>,
}

impl<'a> Case<'a> {
    fn new(demand: &Demand, needy: Vec<&'a Cohort>) -> Self {
        let mut people = vec![0; demand.tags()];
        for cohort in &needy {
            for tag in &cohort.wanted {
                people[*tag as usize] += u64::from(cohort.people);
            }
        }
        // More than everybody is in no call, and the numbers stay small.
        let all: u64 = needy.iter().map(|cohort| u64::from(cohort.people)).sum();
        Self { max_rows: u64::from(demand.max_rows).min(all).max(1), needy, all, people }
    }

    fn per_set(&self) -> u64 {
        let mut groups: BTreeMap<&[Tag], u64> = BTreeMap::new();
        for cohort in &self.needy {
            *groups.entry(&cohort.wanted).or_default() += u64::from(cohort.people);
        }
        groups.values().map(|people| people.div_ceil(self.max_rows)).sum()
    }

    fn per_tag(&self) -> u64 {
        let new: u64 =
            self.needy.iter().filter(|cohort| cohort.is_new).map(|cohort| u64::from(cohort.people)).sum();
        let is_common = |people: u64| people == self.all;
        let imported = if self.people.iter().any(|people| is_common(*people)) { self.all } else { new };
        let passes = (0..).zip(&self.people).filter(|(tag, people)| *tag != ARRIVAL && !is_common(**people));
        imported.div_ceil(self.max_rows)
            + passes.map(|(_, people)| people.div_ceil(self.max_rows)).sum::<u64>()
    }

    /// In any order of the tags, those whose first tag is one cannot get it in the call in which others get
    /// their first, another one, later in the order.
    fn by_anchors(&self) -> u64 {
        let mut tags: Vec<Tag> = (0..).take(self.people.len()).collect();
        tags.sort_by_key(|tag| self.people[*tag as usize]);
        let rare_first = self.anchored(&tags);
        tags.reverse();
        rare_first.max(self.anchored(&tags)).max(self.all.div_ceil(self.max_rows))
    }

    fn anchored(&self, order: &[Tag]) -> u64 {
        let mut rank = vec![0; order.len()];
        for (place, tag) in (0_u32..).zip(order) {
            rank[*tag as usize] = place;
        }
        let mut people = vec![0; order.len()];
        for cohort in &self.needy {
            let first = cohort.allowed.iter().min_by_key(|tag| rank[**tag as usize]);
            if let Some(first) = first.filter(|tag| cohort.wanted.contains(tag)) {
                people[*first as usize] += u64::from(cohort.people);
            }
        }
        people.iter().map(|people| people.div_ceil(self.max_rows)).sum()
    }

    /// Whoever is in one call only shares it with people who may have all they want.
    fn by_shares(&self) -> u64 {
        if self.needy.len() > MOST_COHORTS {
            return 0;
        }
        let share = |cohort: &&Cohort| {
            let fellows = self.needy.iter().filter(|other| is_subset(&cohort.wanted, &other.allowed));
            let together: u64 = fellows.map(|other| u64::from(other.people)).sum();
            let alone = REQUEST / together.clamp(1, self.max_rows);
            let twice = 2 * REQUEST / self.max_rows;
            u64::from(cohort.people) * if cohort.wanted.len() > 1 { alone.min(twice) } else { alone }
        };
        self.needy.iter().map(share).sum::<u64>().div_ceil(REQUEST)
    }

    /// A tag's price is what it costs a person to get it alone. A call of one tag earns one request at most,
    /// one of two what the pair does. One of `k` earns no more than `k / 2` of the best pair, and no more
    /// than `k / 3` of the best triple, because each of its tags is in as many of its pairs, or triples.
    fn by_prices(&self) -> u64 {
        let price = |people: &u64| REQUEST / (*people).clamp(1, self.max_rows);
        let prices: Vec<u64> = self.people.iter().map(price).collect();
        let sum: u64 = prices.iter().zip(&self.people).map(|(price, people)| price * people).sum();
        let most = self.needy.iter().map(|cohort| cohort.allowed.len() as u64).max().unwrap_or(0);
        let earned = |cohort: &&Cohort| cohort.wanted.iter().map(|tag| prices[*tag as usize]).sum::<u64>();
        let anybody = self.max_rows * self.needy.iter().map(earned).max().unwrap_or(0);
        let pair = self.best_pair(&prices).unwrap_or(anybody);
        let triple = self.best_triple(&prices).map_or(anybody, |triple| (triple * most).div_ceil(3));
        let larger = if most < 3 { 0 } else { triple.min((pair * most).div_ceil(2)) };
        sum.div_ceil(REQUEST.max(pair).max(larger).min(anybody.max(1)))
    }

    /// The most that a call of two tags earns, if the table of pairs is not too large.
    fn best_pair(&self, prices: &[u64]) -> Option<u64> {
        let sizes = self.needy.iter().map(|cohort| cohort.allowed.len() as u64);
        let entries: u64 = sizes.map(|size| size * size.saturating_sub(1) / 2).sum();
        if prices.len() > MOST_TAGS_OF_PAIRS || entries > MOST_ENTRIES {
            return None;
        }
        let mut earned = vec![0; choose_2(prices.len())];
        for cohort in &self.needy {
            let own = own_prices(cohort, prices);
            for (later, (tag, price)) in own.iter().enumerate() {
                for (other, more) in &own[..later] {
                    earned[choose_2(*tag) + other] += u64::from(cohort.people) * (price + more);
                }
            }
        }
        let full = |tag: usize, other: usize| self.max_rows * (prices[tag] + prices[other]);
        let pairs = (0..prices.len()).flat_map(|tag| (0..tag).map(move |other| (tag, other)));
        pairs.zip(earned).map(|((tag, other), earned)| earned.min(full(tag, other))).max().or(Some(0))
    }

    /// The same for three tags.
    fn best_triple(&self, prices: &[u64]) -> Option<u64> {
        let sizes = self.needy.iter().map(|cohort| cohort.allowed.len() as u64);
        let entries: u64 = sizes.map(|size| size * size.saturating_sub(1) * size.saturating_sub(2) / 6).sum();
        if prices.len() > MOST_TAGS_OF_TRIPLES || entries > MOST_ENTRIES {
            return None;
        }
        let mut earned = vec![0; choose_3(prices.len())];
        for cohort in &self.needy {
            let own = own_prices(cohort, prices);
            for (last, (tag, price)) in own.iter().enumerate() {
                for (middle, (other, more)) in own[..last].iter().enumerate() {
                    let (people, begin) = (u64::from(cohort.people), choose_3(*tag) + choose_2(*other));
                    for (first, least) in &own[..middle] {
                        earned[begin + first] += people * (price + more + least);
                    }
                }
            }
        }
        earned.into_iter().max()
    }
}

/// The tags that the people of a cohort may have, with what a call earns by each: nothing where they have it.
fn own_prices(cohort: &Cohort, prices: &[u64]) -> Vec<(usize, u64)> {
    let price = |tag: &Tag| if cohort.wanted.binary_search(tag).is_ok() { prices[*tag as usize] } else { 0 };
    cohort.allowed.iter().map(|tag| (*tag as usize, price(tag))).collect()
}

/// How many pairs there are of so many tags.
const fn choose_2(tags: usize) -> usize {
    tags * tags.saturating_sub(1) / 2
}

/// How many triples there are of so many tags.
const fn choose_3(tags: usize) -> usize {
    choose_2(tags) * tags.saturating_sub(2) / 3
}
