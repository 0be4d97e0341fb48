//! The last hours, in spans of ten minutes: what left, what arrived, and how much waited.
//!
//! Spans that are over are read once. How much waited is on no record, so services note it minute by minute.

use std::collections::BTreeMap;
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
/// How often is noted how much waits.
const NOTE: Duration = Duration::from_mins(1);

/// What happened, span by span, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    /// When each begins, and what left in it.
    pub(super) spans: Vec<(Time, Traffic)>,
    /// Requests allowed in one span.
    pub(super) allowed: u64,
    /// How much waited, minute by minute of the same time; nothing where nothing was noted.
    pub(super) depths: Vec<Option<u64>>,
}

/// What is remembered of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    over: Mutex<BTreeMap<(String, i64), Traffic>>,
}

impl Site {
    /// The last hours.
    pub(super) async fn history(&self) -> Result<Arc<History>, Fault> {
        let site = self.clone();
        let remember = async move { site.unless_stopped(site.remember()).await };
        self.histories.get(&self.clock, LASTS, remember).await
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
        let from = spans.first().map_or(now, |(from, _)| *from);
        let depths = by_minute(&self.store.depth_notes(from).await?, from, now);
        Ok(History { spans, allowed, depths })
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

    async fn note(&self) -> Result<(), Fault> {
        let snapshot = self.snapshot().await?;
        // Whoever looks next finds the last hours read.
        self.history().await?;
        let shown = SPAN.saturating_mul(u32::try_from(SPANS).unwrap_or(u32::MAX));
        let from = snapshot.at.minus(shown);
        Ok(self.store.note_depth(minute_of(snapshot.at), snapshot.waiting(), from).await?)
    }

    /// Notes how much waits, until told to stop.
    pub(super) async fn keep_notes(&self, stop: &Stop) {
        let clock = Clock::system();
        while !stop.is_requested() {
            tokio::select! {
                () = self.keep_note() => {}
                () = stop.requested() => {}
            }
            tokio::select! {
                () = clock.sleep(NOTE) => {}
                () = stop.requested() => {}
            }
        }
    }

    async fn keep_note(&self) {
        // From the first of its requests on, also where nobody watches yet.
        let counted = self.count_requests(&mut *self.tally.lock().await).await;
        if let Err(fault) = counted {
            tracing::debug!(?fault, "requests are counted later");
        }
        if let Err(fault) = self.note().await {
            tracing::debug!(?fault, "how much waits is noted later");
        }
    }
}

impl Memory {
    fn forget_before(&self, first: i64) {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, number), _| *number >= first);
    }
}

/// The minute that a moment is in.
fn minute_of(at: Time) -> Time {
    let minute = i64::try_from(NOTE.as_micros()).unwrap_or(i64::MAX);
    Time::from_micros(at.as_micros().div_euclid(minute) * minute)
}

/// Notes by the minutes since `from`.
fn by_minute(notes: &[(Time, u64)], from: Time, now: Time) -> Vec<Option<u64>> {
    let place = |at: Time| usize::try_from(at.since(from).as_secs() / NOTE.as_secs()).unwrap_or(usize::MAX);
    let mut minutes = vec![None; place(now) + 1];
    for (at, waiting) in notes.iter().filter(|(at, _)| *at >= from) {
        if let Some(minute) = minutes.get_mut(place(*at)) {
            *minute = Some(*waiting);
        }
    }
    minutes
}

/// How many of so many in a window may leave in one span.
fn of_span(requests: u32, window: Duration) -> u64 {
    let allowed = u128::from(requests) * SPAN.as_micros() / window.as_micros().max(1);
    u64::try_from(allowed.max(requests.into())).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_stand_at_their_minutes_and_where_there_is_none_nothing_is_said() {
        let from = Time::from_micros(1_795_370_400_000_000);
        let at = |seconds| from.plus(Duration::from_secs(seconds));
        let notes = [(at(0), 5), (minute_of(at(179)), 0), (from.minus(NOTE), 7), (at(900), 8)];
        assert_eq!(by_minute(&notes, from, at(200)), [Some(5), None, Some(0), None]);
        assert_eq!(minute_of(at(59)), from);
    }
}
