//! The state of all things at a moment, for whoever looks: read once for everybody, every two seconds at most.

use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::fault::Fault;
use super::folders::Folders;
use super::site::Site;
use crate::clock::Time;
use crate::domain::expect::{Expectation, Pass, Standing};
use crate::domain::state::RunStatus;
use crate::engine::{Engine, Settings};
use crate::store::{EventDepth, NoticesLeft, ProofLeft, QueueDepth, Run, RunFilter, Worker};

/// How long it is shown as it was read.
const LASTS: Duration = Duration::from_secs(2);
/// Runs that are named; those that wait for approval are, as far as anybody can look at them.
const RUNS: u32 = 8;
const HELD: u32 = 200;
/// For how long a run that left rows unsent is told of, and a notice that was given up.
const TOLD: Duration = Duration::from_hours(24);
/// Runs that left rows unsent and are told of.
const UNWELL: u32 = 50;

/// The state of all things.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) at: Time,
    pub(super) accounts: Vec<AccountState>,
    pub(super) workers: Vec<Worker>,
    /// Runs that ended with rows left to send.
    pub(super) stopped: Vec<i64>,
    /// Open runs that stand still, and why.
    pub(super) standing: Vec<(i64, String)>,
    /// Runs that wait for approval.
    pub(super) held: Vec<Run>,
    pub(super) recent: Vec<Run>,
    /// The last ones of their lists that left rows unsent a short while ago, and are not brought back.
    pub(super) unwell: Vec<Run>,
    pub(super) schedules: Vec<NextFire>,
    pub(super) folders: Folders,
    /// What people are to be told elsewhere and are not.
    pub(super) notices: NoticesLeft,
    /// Sources that are late or short.
    pub(super) overdue: Vec<OverdueSource>,
    /// Differs where anything that is shown does.
    pub(super) stamp: u64,
}

/// One account.
#[derive(Clone, Debug)]
pub(super) struct AccountState {
    pub(super) name: String,
    pub(super) depth: QueueDepth,
    pub(super) events: EventDepth,
    pub(super) members: u64,
    pub(super) proof: ProofLeft,
    /// None of an account that this process does not have.
    pub(super) quota: Option<Quota>,
    pub(super) block: Option<(Time, String)>,
    /// Luma refuses the key: only a person ends that.
    pub(super) is_refused: bool,
}

/// What may still be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) left: u32,
    pub(super) allowed: u32,
    pub(super) window: Duration,
    pub(super) room_at: Option<Time>,
}

/// A schedule and when it is due next, unless it is paused.
#[derive(Clone, Debug)]
pub(super) struct NextFire {
    pub(super) name: String,
    pub(super) zone: String,
    pub(super) next: Option<Time>,
    /// The same by the clocks of its zone.
    pub(super) shown: Option<String>,
}

/// A source of which more was expected.
#[derive(Clone, Debug)]
pub(super) struct OverdueSource {
    pub(super) name: String,
    pub(super) standing: Standing,
    pub(super) expected: Expectation,
    pub(super) last: Option<Pass>,
}

impl Snapshot {
    /// Processes whose last heartbeat still counts.
    pub(super) fn alive(&self) -> usize {
        self.workers.iter().filter(|worker| worker.lease_until > self.at).count()
    }

    /// Rows and events that wait or are in a request, of all accounts.
    pub(super) fn waiting(&self) -> u64 {
        let of = |AccountState { depth, events, .. }: &AccountState| {
            depth.new + depth.pending + depth.in_flight + events.new + events.pending + events.in_flight
        };
        self.accounts.iter().map(of).sum()
    }

    /// Events in doubt.
    pub(super) fn unknown(&self) -> u64 {
        self.accounts.iter().map(|account| account.events.unknown).sum()
    }

    /// Accounts whose key Luma refuses, and why.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, &str)> {
        let refused = self.accounts.iter().filter(|account| account.is_refused);
        refused.filter_map(|account| Some((account.name.as_str(), account.block.as_ref()?.1.as_str())))
    }

    /// How long the oldest row or event has waited.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.accounts.iter().filter_map(AccountState::oldest).min().map(|at| self.at.since(at))
    }
}

impl Site {
    /// The state of all things, as of the last seconds.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, Fault> {
        let site = self.clone();
        let look = async move { site.unless_stopped(site.look()).await };
        self.snapshots.get(&self.clock, LASTS, look).await
    }

    async fn look(&self) -> Result<Snapshot, Fault> {
        let now = self.clock.now();
        let mut accounts = Vec::new();
        for known in self.store.accounts().await? {
            let engine = self.fleet.engines().find(|engine| engine.account() == known.name);
            let state = self.account_state(&known, engine.map(Engine::settings), now).await?;
            if state.quota.is_some() || state.has_work() {
                accounts.push(state);
            }
        }
        let held = RunFilter { status: Some(RunStatus::Held), ..RunFilter::default() };
        let stopped = self.store.stopped_runs(None).await?;
        let unwell = self.store.unwell_runs(now.minus(TOLD), UNWELL).await?;
        let mut snapshot = Snapshot {
            at: now,
            accounts,
            workers: self.store.workers().await?,
            standing: self.store.standing_runs().await?,
            held: self.store.runs_page(&held, HELD).await?,
            unwell: unwell.into_iter().filter(|run| !stopped.contains(&run.id)).collect(),
            stopped,
            recent: self.store.runs(RUNS).await?,
            schedules: self.next_fires(now).await?,
            overdue: self.overdue(now).await?,
            folders: self.folders(now).await?,
            notices: self.store.notices_left(now.minus(TOLD)).await?,
            stamp: 0,
        };
        snapshot.stamp = stamp(&snapshot);
        Ok(snapshot)
    }

    async fn account_state(
        &self,
        known: &crate::store::Account,
        settings: Option<&Settings>,
        now: Time,
    ) -> Result<AccountState, Fault> {
        let (store, name) = (&self.store, known.name.as_str());
        let quota = match settings.map(|settings| settings.allowance) {
            None => None,
            Some(allowance) => {
                let left = store.quota_left(name, allowance.requests, allowance.window, now).await?;
                let room_at =
                    if left == 0 { store.room_at(name, allowance.window, now).await? } else { None };
                Some(Quota { left, allowed: allowance.requests, window: allowance.window, room_at })
            }
        };
        Ok(AccountState {
            name: known.name.clone(),
            depth: store.queue_depth(name).await?,
            events: store.event_depth(name).await?,
            members: known.members,
            proof: store.proof_left(name).await?,
            quota,
            block: known.block.clone().filter(|(until, _)| *until > now),
            is_refused: known.is_refused && known.block.as_ref().is_some_and(|(until, _)| *until > now),
        })
    }

    async fn next_fires(&self, now: Time) -> Result<Vec<NextFire>, Fault> {
        let known = self.store.schedules().await?;
        let of = |schedule: &crate::domain::schedule::Schedule| {
            let is_paused = known.iter().any(|known| known.name == schedule.name && known.is_paused);
            let next = schedule.timetable.moments(now).next().filter(|_| !is_paused);
            NextFire {
                name: schedule.name.clone(),
                zone: schedule.zone.clone(),
                shown: next.and_then(|next| schedule.timetable.clocks_show(next)),
                next,
            }
        };
        Ok(self.schedules().iter().map(of).collect())
    }

    async fn overdue(&self, now: Time) -> Result<Vec<OverdueSource>, Fault> {
        let seen = self.store.expected_sources().await?;
        let expectations =
            self.fleet.engines().next().map_or(&[][..], |engine| &engine.settings().expectations);
        let of = |(name, expected): &(String, Expectation)| {
            let known = seen.iter().find(|seen| seen.source == *name)?;
            let standing = expected.standing(known.since, known.last, now);
            let source =
                OverdueSource { name: name.clone(), standing, expected: *expected, last: known.last };
            (standing != Standing::Met).then_some(source)
        };
        Ok(expectations.iter().filter_map(of).collect())
    }
}

impl AccountState {
    /// Since when the oldest row or event waits.
    pub(super) fn oldest(&self) -> Option<Time> {
        let rows = self.depth.oldest.filter(|_| self.depth.new + self.depth.pending > 0);
        rows.into_iter().chain(self.events.oldest).min()
    }

    /// Something waits for it, and nobody here sends that.
    pub(super) fn is_left_alone(&self) -> bool {
        self.quota.is_none() && self.has_work()
    }

    fn has_work(&self) -> bool {
        let (depth, events) = (&self.depth, &self.events);
        depth.new + depth.pending + depth.in_flight + events.new + events.pending + events.unknown > 0
    }
}

/// A digest of what is shown. The leases of workers that live go on all the time, and say nothing.
fn stamp(snapshot: &Snapshot) -> u64 {
    let Snapshot {
        accounts,
        stopped,
        standing,
        held,
        recent,
        unwell,
        schedules,
        overdue,
        folders,
        notices,
        ..
    } = snapshot;
    let alive = snapshot.alive();
    let shown = format!(
        "{accounts:?} {} {alive} {stopped:?} {standing:?} {held:?} {recent:?} {unwell:?} {schedules:?} {overdue:?} {folders:?} {notices:?}",
        snapshot.workers.len()
    );
    xxh3_64(shown.as_bytes())
}
