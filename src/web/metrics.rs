//! The numbers that machines watch.
//!
//! Rows and runs are those of the database, the same from every process; requests are this process's own. A run
//! that has ended is counted once and remembered, so a look costs what has happened since the last one.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::fault::Fault;
use super::parts::outcomes;
use super::prometheus::{Exposition, Kind};
use super::site::Site;
use super::snapshot::Snapshot;
use crate::clock::Time;
use crate::domain::state::RunStatus;
use crate::store::{Run, RunCounts, RunFilter, RunSource};

/// Runs and requests read at a time.
const RUNS: u32 = 500;
const REQUESTS: u32 = 2_000;
/// Bounds of the histogram, in seconds.
const BOUNDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Runs that have ended, as they were counted.
    ended: HashMap<i64, (Run, RunCounts)>,
    /// The last request that was counted.
    last_request: Option<i64>,
    requests: BTreeMap<(String, String), u64>,
    buckets: [u64; BOUNDS.len()],
    seconds: f64,
    answered: u64,
}

/// The text.
pub(super) async fn page(State(site): State<Site>) -> Result<Response, Fault> {
    let snapshot = site.snapshot().await?;
    let mut tally = site.tally.lock().await;
    let open = site.count_runs(&mut tally).await?;
    site.count_requests(&mut tally).await?;
    let mut text = Exposition::default();
    text.family("lumasync_build_info", Kind::Gauge, "The program.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    tally.rows(&open, &mut text);
    tally.runs(&open, &mut text);
    tally.answers(&mut text);
    accounts(&snapshot, &mut text);
    site.heartbeat(&snapshot, &mut text);
    site.standing_numbers(&snapshot, &mut text);
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, text.text()).into_response())
}

impl Site {
    /// Counts the runs that have ended since the last look; those that are open, as they stand.
    async fn count_runs(&self, tally: &mut Tally) -> Result<Vec<(Run, RunCounts)>, Fault> {
        let (mut open, mut before) = (Vec::new(), None);
        loop {
            let filter = RunFilter { before, ..RunFilter::default() };
            let page = self.store.runs_page(&filter, RUNS).await?;
            let Some(last) = page.last() else { return Ok(open) };
            before = Some(last.id);
            for run in page {
                if tally.ended.get(&run.id).is_some_and(|(known, _)| *known == run) {
                    continue;
                }
                let counts = self.store.run_counts(&run).await?;
                if run.finished_at.is_some() {
                    tally.ended.insert(run.id, (run, counts));
                } else {
                    // One that was brought back is open again.
                    tally.ended.remove(&run.id);
                    open.push((run, counts));
                }
            }
        }
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

    fn all<'a>(&'a self, open: &'a [(Run, RunCounts)]) -> impl Iterator<Item = (&'a Run, &'a RunCounts)> {
        self.ended.values().chain(open).map(|(run, counts)| (run, counts))
    }

    fn rows(&self, open: &[(Run, RunCounts)], text: &mut Exposition) {
        let mut sums: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (run, counts) in self.all(open) {
            for (outcome, rows) in outcomes(counts).into_iter().filter(|(_, rows)| *rows > 0) {
                // Those that wait have no outcome yet.
                if !["pending", "in_flight", "held", "unaccounted"].contains(&outcome) {
                    *sums.entry((source(run), outcome)).or_default() += rows;
                }
            }
        }
        let mut family = text.family("lumasync_rows_total", Kind::Counter, "Rows by what became of them.");
        for ((source, outcome), rows) in sums {
            family.sample(&[("source", source), ("outcome", outcome)], number(rows));
        }
    }

    fn runs(&self, open: &[(Run, RunCounts)], text: &mut Exposition) {
        let mut sums: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut successes: BTreeMap<&str, Time> = BTreeMap::new();
        let mut breaches = 0;
        for (run, counts) in self.all(open) {
            *sums.entry((source(run), run.status.as_str())).or_default() += 1;
            breaches += u64::from(run.finished_at.is_some() && counts.accounted() != counts.read);
            if let Some(at) = run.finished_at.filter(|_| run.status == RunStatus::Succeeded) {
                let last = successes.entry(source(run)).or_insert(at);
                *last = at.max(*last);
            }
        }
        let mut family = text.family("lumasync_runs_total", Kind::Counter, "Runs by where they stand.");
        for ((source, status), runs) in sums {
            family.sample(&[("source", source), ("status", status)], number(runs));
        }
        let name = "lumasync_last_success_timestamp_seconds";
        let mut family = text.family(name, Kind::Gauge, "When a run of the source last succeeded.");
        for (source, at) in successes {
            family.sample(&[("source", source)], seconds(at));
        }
        let help = "Runs that have ended and whose rows are not all accounted for.";
        text.family("lumasync_accounting_breaches_total", Kind::Counter, help).sample(&[], number(breaches));
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

/// Where its rows come from: a kind, never a name of a file.
const fn source(run: &Run) -> &'static str {
    match run.source {
        RunSource::Queue => "queue",
        RunSource::Folder => "folder",
        RunSource::File => "file",
        RunSource::Sql => "sql",
    }
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
    let mut family =
        text.family("lumasync_oldest_pending_seconds", Kind::Gauge, "How long the oldest row has waited.");
    for account in &snapshot.accounts {
        let waits = account.depth.new + account.depth.pending > 0;
        let oldest =
            account.depth.oldest.filter(|_| waits).map_or(Duration::ZERO, |at| snapshot.at.since(at));
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
