//! The plan: which requests leave in which order, and who is in them.
//!
//! People are known by their cohort and their place in it, from 0; which person that is, the caller decides
//! once and keeps to it.

use std::ops::Range;

use crate::domain::state::text_enum;
use crate::domain::tag::TagSet;

text_enum! {
    /// What a request asks for.
    CallKind {
        /// People are imported, with the tags. Does no harm to those who are contacts already.
        Import = "import",
        /// One tag for people who are contacts by then: those of cohorts that were, and those whose import stands
        /// earlier in the plan. An import would do the same.
        Tag = "tag",
    }
}

/// The people of one cohort who are in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The number of the cohort.
    pub cohort: u32,
    /// Their places in it.
    pub people: Range<u32>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub(super) tags: TagSet,
    pub(super) kind: CallKind,
    pub(super) shares: Vec<Share>,
}

impl Call {
    /// The tags, which everybody in it may have.
    #[must_use]
    pub fn tags(&self) -> &TagSet {
        &self.tags
    }

    /// What is asked for.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// Who is in it, by cohort; at most as many people as a request takes.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// How many people are in it.
    #[must_use]
    pub fn people(&self) -> u32 {
        self.shares.iter().map(|share| share.people.end - share.people.start).sum()
    }
}

/// What sending every demand would cost, by plan and by simpler ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// A group of requests for each distinct set of wanted tags.
    pub per_set: u64,
    /// Everybody imported with what all want, then a pass for each other tag.
    pub per_tag: u64,
    /// No plan takes fewer.
    pub lower_bound: u64,
}

/// People of one cohort, side by side, who are in the same calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) share: Share,
    /// The places of the calls, in order.
    pub(super) calls: Vec<u32>,
}

/// Requests in the order in which they leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) calls: Vec<Call>,
    /// In order of cohort and people.
    pub(super) routes: Vec<Route>,
    pub(super) costs: Costs,
}

impl Plan {
    /// The requests.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// How many requests there are.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.calls.len() as u64
    }

    /// What other ways would cost, and what no way can undercut.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.costs
    }

    /// The calls that a person is in, by their places in `calls`, in order. None where nothing is to be sent.
    #[must_use]
    pub fn calls_of(&self, cohort: u32, person: u32) -> &[u32] {
        let is_before = |route: &Route| (route.share.cohort, route.share.people.end) <= (cohort, person);
        let place = self.routes.partition_point(is_before);
        match self.routes.get(place) {
            Some(route) if route.share.cohort == cohort && route.share.people.contains(&person) => {
                &route.calls
            }
            _ => &[],
        }
    }
}
