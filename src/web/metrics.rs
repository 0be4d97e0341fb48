//! The numbers that machines watch.
//!
//! Rows and runs are those of the database, the same from every process and after every restart, summed up every few
//! seconds at most; requests are this process's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::fault::Fault;
use super::prometheus::{Exposition, Kind};
use super::site::Site;
use super::snapshot::Snapshot;
use crate::clock::Time;
use crate::store::{Sum, Totals};

/// Requests read at a time.
const REQUESTS: u32 = 2_000;
/// How long sums are shown as they were counted.
const LASTS: Duration = Duration::from_secs(5);
/// Bounds of the histogram, in seconds.
const BOUNDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The last request that was counted.
    last_request: Option<i64>,
    requests: BTreeMap<(String, String), u64>,
    buckets: [u64; BOUNDS.len()],
    seconds: f64,
    answered: u64,
}

/// The text.
pub(super) async fn page(State(site): State<Site>) -> Result<Response, Fault> {
    let (snapshot, totals) = (site.snapshot().await?, site.totals().await);
    let mut tally = site.tally.lock().await;
    site.count_requests(&mut tally).await?;
    let mut text = Exposition::default();
    text.family("lumasync_build_info", Kind::Gauge, "The program.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    if let Some(totals) = totals {
        rows(&totals, &mut text);
        runs(&totals, &mut text);
    }
    tally.answers(&mut text);
    accounts(&snapshot, &mut text);
    site.heartbeat(&snapshot, &mut text);
    site.standing_numbers(&snapshot, &mut text);
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, text.text()).into_response())
}

impl Site {
    /// What is summed up over all runs; nothing while that is done for the first time, because a sum that is not
    /// there yet is no sum of nothing.
    async fn totals(&self) -> Option<Arc<Totals>> {
        let site = self.clone();
        let count = async move {
            let _turn = site.counting.acquire().await.map_err(|_| Fault::Database)?;
            site.unless_stopped(async { Ok(Box::pin(site.store.totals(site.clock.now())).await?) }).await
        };
        self.totals.soon(&self.clock, LASTS, count).await.unwrap_or_default()
    }

    /// Counts what was asked and answered since the last look. What was before the first one is another process's.
    pub(super) async fn count_requests(&self, tally: &mut Tally) -> Result<(), Fault> {
        let Some(worker) = self.fleet.engines().next().map(crate::engine::Engine::worker) else {
            return Ok(());
        };
        let end = self.store.requests_end(worker).await?;
        let mut after = tally.last_request.unwrap_or(end - 1);
        loop {
            let answered = self.store.answered(worker, after, end, REQUESTS).await?;
            let Some(last) = answered.last() else { break };
            after = last.id;
            for one in &answered {
                let status = one.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                *tally.requests.entry((one.route.clone(), status)).or_default() += 1;
                tally.took(one.finished_at.since(one.started_at));
            }
        }
        tally.last_request = Some(end - 1);
        Ok(())
    }

    fn heartbeat(&self, snapshot: &Snapshot, text: &mut Exposition) {
        let name = "lumasync_scheduler_heartbeat_timestamp_seconds";
        let mut family = text.family(name, Kind::Gauge, "When this process last said that it lives.");
        let Some(engine) = self.fleet.engines().next() else { return };
        let own = snapshot.workers.iter().find(|worker| worker.id == engine.worker());
        if let Some(worker) = own {
            family.sample(&[], seconds(worker.lease_until.minus(engine.settings().lease)));
        }
    }
}

impl Tally {
    fn took(&mut self, time: Duration) {
        let taken = time.as_secs_f64();
        self.seconds += taken;
        self.answered += 1;
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(taken <= bound);
        }
    }

    fn answers(&self, text: &mut Exposition) {
        let mut family =
            text.family("lumasync_requests_total", Kind::Counter, "Requests to Luma by this process.");
        for ((route, status), requests) in &self.requests {
            family.sample(&[("route", route), ("status", status)], number(*requests));
        }
        let help = "How long Luma took to answer this process.";
        let mut family = text.family("lumasync_request_duration_seconds", Kind::Histogram, help);
        for (bound, requests) in BOUNDS.iter().zip(self.buckets) {
            family.part("_bucket", &[("le", &bound.to_string())], number(requests));
        }
        family.part("_bucket", &[("le", "+Inf")], number(self.answered));
        family.part("_sum", &[], self.seconds);
        family.part("_count", &[], number(self.answered));
    }
}

fn rows(totals: &Totals, text: &mut Exposition) {
    let help = "Rows by what became of them; one that is sent again and ends otherwise counts as both.";
    let mut family = text.family("lumasync_rows_total", Kind::Counter, help);
    for (sum, rows) in &totals.sums {
        if let Sum::Rows(source, outcome) = sum {
            family.sample(&[("source", source), ("outcome", outcome)], number(*rows));
        }
    }
}

fn runs(totals: &Totals, text: &mut Exposition) {
    let help = "Runs by how they ended; one that was brought back and ends otherwise counts as both.";
    let mut family = text.family("lumasync_runs_total", Kind::Counter, help);
    for (sum, runs) in &totals.sums {
        if let Sum::Runs(source, status) = sum {
            family.sample(&[("source", source), ("status", status)], number(*runs));
        }
    }
    let mut family = text.family("lumasync_runs_open", Kind::Gauge, "Runs that have not ended, by status.");
    for ((source, status), runs) in &totals.open {
        family.sample(&[("source", source), ("status", status)], number(*runs));
    }
    let name = "lumasync_last_success_timestamp_seconds";
    let mut family = text.family(name, Kind::Gauge, "When a run of the source last succeeded.");
    for (source, at) in &totals.successes {
        family.sample(&[("source", source)], seconds(*at));
    }
    let help = "Runs that have ended and whose rows are not all accounted for.";
    let breaches = totals.sums.get(&Sum::Breaches).copied().unwrap_or_default();
    text.family("lumasync_accounting_breaches_total", Kind::Counter, help).sample(&[], number(breaches));
}

fn accounts(snapshot: &Snapshot, text: &mut Exposition) {
    let mut family = text.family("lumasync_queue_depth", Kind::Gauge, "Rows and events that wait, by state.");
    for account in &snapshot.accounts {
        let (depth, events, name) = (&account.depth, &account.events, account.name.as_str());
        for (state, rows) in [
            ("new", depth.new + events.new),
            ("pending", depth.pending + events.pending),
            ("in_flight", depth.in_flight + events.in_flight),
            ("stopped", depth.stopped),
            ("unknown", events.unknown),
        ] {
            family.sample(&[("account", name), ("state", state)], number(rows));
        }
    }
    let mut family = text.family(
        "lumasync_oldest_pending_seconds",
        Kind::Gauge,
        "How long the oldest row or event has waited.",
    );
    for account in &snapshot.accounts {
        let oldest = account.oldest().map_or(Duration::ZERO, |at| snapshot.at.since(at));
        family.sample(&[("account", &account.name)], oldest.as_secs_f64());
    }
    let mut family = text.family("lumasync_quota_remaining", Kind::Gauge, "Requests that may leave now.");
    for (account, quota) in snapshot.accounts.iter().filter_map(|account| Some((account, account.quota?))) {
        family.sample(&[("account", &account.name)], f64::from(quota.left));
    }
    let name = "lumasync_blocked_until_timestamp_seconds";
    let mut family =
        text.family(name, Kind::Gauge, "Nothing is sent before then; 0 where nothing is in the way.");
    for account in &snapshot.accounts {
        let until = account.block.as_ref().map_or(0.0, |(until, _)| seconds(*until));
        family.sample(&[("account", &account.name)], until);
    }
}

fn seconds(at: Time) -> f64 {
    Duration::from_micros(at.as_micros().unsigned_abs()).as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
const fn number(count: u64) -> f64 {
    count as f64
}
