//! The last hours, in spans of ten minutes: what left, what arrived, and how much waited.
//!
//! Spans that are over are read once. How much waited is on no record, so it is noted by this process while it
//! runs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fault::Fault;
use super::site::Site;
use crate::clock::{Clock, Time};
use crate::engine::Stop;
use crate::store::Traffic;

/// One span.
pub(super) const SPAN: Duration = Duration::from_mins(10);
/// Spans that are shown: six hours.
pub(super) const SPANS: i64 = 36;
/// After its end, answers of a span may still be written for so long.
const SETTLES: Duration = Duration::from_mins(1);
/// How long what is shown is shown.
const LASTS: Duration = Duration::from_secs(10);
/// How often is noted how much waits, and how many notes are kept.
const NOTE: Duration = Duration::from_mins(1);
const NOTES: usize = 360;

/// What happened, span by span, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    /// When each begins, and what left in it.
    pub(super) spans: Vec<(Time, Traffic)>,
    /// Requests allowed in one span.
    pub(super) allowed: u64,
    /// How much waited, note by note, since this process began to look.
    pub(super) depths: Vec<(Time, u64)>,
}

/// What is remembered of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    over: Mutex<BTreeMap<(String, i64), Traffic>>,
    depths: Mutex<VecDeque<(Time, u64)>>,
}

impl Site {
    /// The last hours.
    pub(super) async fn history(&self) -> Result<Arc<History>, Fault> {
        self.histories.get(&self.clock, LASTS, self.remember()).await
    }

    async fn remember(&self) -> Result<History, Fault> {
        let (now, span) = (self.clock.now(), i64::try_from(SPAN.as_micros()).unwrap_or(i64::MAX));
        let last = now.as_micros().div_euclid(span);
        let numbers: Vec<i64> = (last + 1 - SPANS..=last).collect();
        let mut spans: Vec<(Time, Traffic)> =
            numbers.iter().map(|number| (Time::from_micros(number * span), Traffic::default())).collect();
        let snapshot = self.snapshot().await?;
        for account in &snapshot.accounts {
            for (number, (from, sum)) in numbers.iter().zip(&mut spans) {
                let own = self.traffic_of(&account.name, *number, *from, now).await?;
                sum.requests += own.requests;
                sum.rows += own.rows;
                sum.throttled += own.throttled;
            }
        }
        self.memory.forget_before(numbers.first().copied().unwrap_or_default());
        let quotas = snapshot.accounts.iter().filter_map(|account| account.quota);
        let allowed = quotas.map(|quota| of_span(quota.allowed, quota.window)).sum();
        Ok(History { spans, allowed, depths: self.memory.depths() })
    }

    async fn traffic_of(&self, account: &str, number: i64, from: Time, now: Time) -> Result<Traffic, Fault> {
        let key = (account.to_owned(), number);
        if let Some(known) = self.memory.over.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*known);
        }
        let to = from.plus(SPAN);
        let traffic = self.store.traffic(account, from, to).await?;
        if to.plus(SETTLES) < now {
            self.memory.over.lock().unwrap_or_else(PoisonError::into_inner).insert(key, traffic);
        }
        Ok(traffic)
    }

    /// Notes how much waits, until told to stop.
    pub(super) async fn keep_notes(&self, stop: &Stop) {
        let clock = Clock::system();
        while !stop.is_requested() {
            // From the first of its requests on, also where nobody watches yet.
            let counted = self.count_requests(&mut *self.tally.lock().await).await;
            if let Err(fault) = counted {
                tracing::debug!(?fault, "requests are counted later");
            }
            if let Ok(snapshot) = self.snapshot().await {
                self.memory.note(snapshot.at, snapshot.waiting());
            }
            tokio::select! {
                () = clock.sleep(NOTE) => {}
                () = stop.requested() => {}
            }
        }
    }
}

impl Memory {
    fn forget_before(&self, first: i64) {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, number), _| *number >= first);
    }

    fn note(&self, at: Time, depth: u64) {
        let mut depths = self.depths.lock().unwrap_or_else(PoisonError::into_inner);
        depths.push_back((at, depth));
        while depths.len() > NOTES {
            depths.pop_front();
        }
    }

    fn depths(&self) -> Vec<(Time, u64)> {
        self.depths.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// How many of so many in a window may leave in one span.
fn of_span(requests: u32, window: Duration) -> u64 {
    let windows = SPAN.as_micros() / window.as_micros().max(1);
    u64::try_from(u128::from(requests) * windows.max(1)).unwrap_or(u64::MAX)
}
