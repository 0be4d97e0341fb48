//! What has happened so far, in numbers.
//!
//! Knows nothing of how a number came about.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Serialize;

/// The counters of a sandbox; `GET /sandbox/state` is never counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Requests that arrived whole.
    pub requests: u64,
    /// How they were answered: by route, then by status.
    pub answers: BTreeMap<&'static str, BTreeMap<u16, u64>>,
    /// Requests that got no answer because the connection was cut.
    pub cut: u64,
    /// Requests that were answered 429.
    pub throttled: u64,
    /// The largest number of authenticated requests, refused ones too, in any window.
    pub max_in_window: usize,
    /// Imports that were carried out, whatever became of their answer.
    pub imports: u64,
    /// Addresses in those imports, each as often as it came.
    pub rows_received: u64,
    /// Addresses among them that were held already, with all the tags they came with.
    pub repeats: u64,
    /// Addresses among them that are none and were dropped.
    pub dropped: u64,
    /// Addresses among them that a fault lost without a word.
    pub lost: u64,
    /// Addresses among them of people who were removed or blocked.
    pub away: u64,
    /// Addresses among them that did not fit under the import limit, and of which the answer said nothing.
    pub over_limit: u64,
    /// People held.
    pub member_count: usize,
    /// Events held.
    pub event_count: usize,
    /// Mails that guests of events would have been sent.
    pub mail_count: usize,
}

impl Snapshot {
    /// Both together; of windows the fuller one, because each key has its own.
    pub(super) fn with(mut self, other: Self) -> Self {
        for (route, answers) in other.answers {
            let own = self.answers.entry(route).or_default();
            for (status, count) in answers {
                *own.entry(status).or_default() += count;
            }
        }
        Self {
            requests: self.requests + other.requests,
            answers: self.answers,
            cut: self.cut + other.cut,
            throttled: self.throttled + other.throttled,
            max_in_window: self.max_in_window.max(other.max_in_window),
            imports: self.imports + other.imports,
            rows_received: self.rows_received + other.rows_received,
            repeats: self.repeats + other.repeats,
            dropped: self.dropped + other.dropped,
            lost: self.lost + other.lost,
            away: self.away + other.away,
            over_limit: self.over_limit + other.over_limit,
            member_count: self.member_count + other.member_count,
            event_count: self.event_count + other.event_count,
            mail_count: self.mail_count + other.mail_count,
        }
    }

    /// Counts one request and its answer; no status where the connection was cut.
    pub(super) fn record(&mut self, route: &'static str, status: Option<StatusCode>) {
        self.requests += 1;
        let Some(status) = status else {
            self.cut += 1;
            return;
        };
        *self.answers.entry(route).or_default().entry(status.as_u16()).or_default() += 1;
        self.throttled += u64::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
}
