//! All that is shown of one run, read for everybody who looks at it.
//!
//! What can be long in coming is read in the background: how its rows stand, which takes a moment where millions
//! were not sent, and why they were not, which takes longer.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::mask::without_cells;
use super::site::Site;
use super::visitor::Visitor;
use crate::clock::Time;
use crate::domain::guard::{Concern, ConcernCode};
use crate::domain::state::RunStatus;
use crate::domain::waiting::{Facts, Waiting};
use crate::engine::ResultFiles;
use crate::store::{CauseGroup, InputFile, Run, RunCounts, RunTimes, Sample};

/// How long an open run is shown as it was read; one of which nothing moves; and why rows of one that has ended were not
/// sent, which only changes with their numbers.
const OPEN_LASTS: Duration = Duration::from_secs(2);
const STILL_LASTS: Duration = Duration::from_secs(15);
const CAUSES_LAST: Duration = Duration::from_mins(10);
/// A run that is being taken in is looked at again, until it was the same before and after its rows were counted.
const LOOKS: usize = 3;
/// New people that are named.
const PEOPLE: u32 = 5;

/// A run and what is known of it.
#[derive(Debug)]
pub(super) struct RunView {
    pub(super) run: Run,
    /// None while they are counted for the first time.
    pub(super) numbers: Option<Arc<RunNumbers>>,
    /// None while they are read for the first time.
    pub(super) causes: Option<Arc<RunCauses>>,
    pub(super) read_as: Option<String>,
    pub(super) results: ResultFiles,
    pub(super) waiting: Option<Waiting>,
    /// What it is or was held for.
    pub(super) concerns: Vec<Concern>,
}

/// How its rows stand.
#[derive(Debug)]
pub(super) struct RunNumbers {
    pub(super) at: Time,
    /// The run as it was then.
    run: Run,
    pub(super) counts: RunCounts,
    pub(super) requests: u64,
    pub(super) times: RunTimes,
    pub(super) to_prove: u64,
    /// Workers that have requests of it under way.
    senders: Vec<i64>,
    /// Some of the new people, while it is held for their number: for nobody but whoever is signed in.
    pub(super) people: Vec<Sample>,
    /// Requests that it takes at most, while it is held.
    pub(super) to_send: u64,
}

/// Why rows were not sent, or did not arrive for sure.
#[derive(Clone, Debug)]
pub(super) struct RunCauses {
    pub(super) at: Time,
    /// The run and its rows as they stood then.
    run: Run,
    counts: RunCounts,
    pub(super) groups: Vec<CauseGroup>,
}

impl RunView {
    /// The same for whoever is not known.
    fn without_cells(mut self) -> Self {
        self.causes = self.causes.map(|causes| {
            let mut groups = causes.groups.clone();
            for reason in groups.iter_mut().flat_map(|group| &mut group.reasons) {
                reason.reason = without_cells(&reason.reason);
            }
            Arc::new(RunCauses { groups, ..RunCauses::clone(&causes) })
        });
        self
    }
}

impl Site {
    /// A run as of the last seconds, and for strangers without what its list says.
    pub(super) async fn run_view(&self, id: i64, visitor: &Visitor) -> Result<RunView, Fault> {
        let view = self.whole_run_view(id).await?;
        Ok(if visitor.trusted().is_ok() { view } else { view.without_cells() })
    }

    async fn whole_run_view(&self, id: i64) -> Result<RunView, Fault> {
        self.heed_removals().await?;
        let run = self.store.run(id).await?.ok_or(Fault::NotFound)?;
        let file = self.store.file_of_run(id).await?;
        let read_as = match &file {
            Some(file) => file.shape.clone(),
            None => self.store.pass_of_run(id).await?.and_then(|pass| pass.shape),
        };
        let numbers = self.run_numbers(&run).await?;
        let causes = self.run_causes(&run, numbers.as_deref()).await?;
        let results = results_of(file, &run).await;
        let concerns = self.store.concerns(id).await?;
        let mut view = RunView { run, numbers, causes, read_as, results, waiting: None, concerns };
        view.waiting = self.waiting(&view).await?;
        Ok(view)
    }

    /// The result files of a run.
    pub(super) async fn results(&self, id: i64) -> Result<ResultFiles, Fault> {
        let run = self.store.run(id).await?.ok_or(Fault::NotFound)?;
        Ok(results_of(self.store.file_of_run(id).await?, &run).await)
    }

    async fn run_numbers(&self, run: &Run) -> Result<Option<Arc<RunNumbers>>, Fault> {
        let place = self.run_numbers.of(run.id);
        let lasts = if is_still(run) { STILL_LASTS } else { OPEN_LASTS };
        let read = || self.in_background(run, |site, run| async move { site.read_numbers(run).await });
        let numbers = place.soon(&self.clock, lasts, read()).await?;
        if numbers.as_ref().is_none_or(|numbers| is_as_it_was(&numbers.run, run)) {
            return Ok(numbers);
        }
        // It has ended or begun anew since: what was counted then is over too.
        place.forget();
        place.soon(&self.clock, lasts, read()).await
    }

    async fn run_causes(
        &self,
        run: &Run,
        numbers: Option<&RunNumbers>,
    ) -> Result<Option<Arc<RunCauses>>, Fault> {
        let place = self.run_causes.of(run.id);
        let lasts = if is_still(run) { CAUSES_LAST } else { OPEN_LASTS };
        let read = || self.in_background(run, |site, run| async move { site.read_causes(run).await });
        let causes = place.soon(&self.clock, lasts, read()).await?;
        let is_over = |causes: &Arc<RunCauses>| {
            let is_other = |numbers: &RunNumbers| numbers.at > causes.at && numbers.counts != causes.counts;
            let has_moved = is_still(run) && numbers.is_some_and(is_other);
            !is_as_it_was(&causes.run, run) || has_moved
        };
        if !causes.as_ref().is_some_and(is_over) {
            return Ok(causes);
        }
        place.forget();
        place.soon(&self.clock, lasts, read()).await
    }

    /// A reading that goes on after whoever asked for it has left, until the service stops.
    fn in_background<T, R>(
        &self,
        run: &Run,
        read: impl FnOnce(Self, Run) -> R + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> + Send + 'static
    where
        T: Send + 'static,
        R: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let (site, run) = (self.clone(), run.clone());
        async move { site.clone().unless_stopped(read(site, run)).await }
    }

    async fn read_numbers(&self, mut run: Run) -> Result<RunNumbers, Fault> {
        let (store, id, at) = (&self.store, run.id, self.clock.now());
        let mut counts = store.run_counts(&run).await?;
        for _ in 1..LOOKS {
            let now = store.run(id).await?.ok_or(Fault::NotFound)?;
            if now == run {
                break;
            }
            run = now;
            counts = store.run_counts(&run).await?;
        }
        let is_held = run.status == RunStatus::Held;
        Ok(RunNumbers {
            at,
            people: if is_held { self.some_new_people(id).await? } else { Vec::new() },
            to_send: if is_held { store.requests_to_send(id).await? } else { 0 },
            counts,
            requests: store.run_requests(id).await?,
            times: store.run_times(&run).await?,
            to_prove: store.rows_to_prove(id).await?,
            senders: store.senders(id).await?,
            run,
        })
    }

    async fn some_new_people(&self, run: i64) -> Result<Vec<Sample>, Fault> {
        // Where they are few among many, nobody looks through the whole run for them.
        let concerns = self.store.concerns(run).await?;
        let are_many = concerns.iter().any(|concern| concern.code == ConcernCode::NewMembers);
        if are_many { Ok(self.store.new_people(run, PEOPLE).await?) } else { Ok(Vec::new()) }
    }

    async fn read_causes(&self, run: Run) -> Result<RunCauses, Fault> {
        // They can take long: one after the other.
        let _turn = self.counting.acquire().await.map_err(|_| Fault::Database)?;
        let at = self.clock.now();
        let counts = self.store.run_counts(&run).await?;
        Ok(RunCauses { at, groups: self.store.causes(run.id).await?, run, counts })
    }

    async fn waiting(&self, view: &RunView) -> Result<Option<Waiting>, Fault> {
        let Some(numbers) = &view.numbers else { return Ok(None) };
        let facts = Facts {
            status: Some(view.run.status),
            reason: view.run.reason.clone(),
            is_approved: view.run.approved.is_some(),
            pending: numbers.counts.pending,
            in_flight: numbers.counts.in_flight,
            unknown: numbers.counts.unknown,
            to_prove: numbers.to_prove,
            due: numbers.times.due,
            silent_until: self.silent_until(&numbers.senders).await?,
            ..self.facts_of(&view.run.account).await?
        };
        Ok(Waiting::of(&facts, self.clock.now()))
    }

    /// Until when rows belong to these workers, where none of them has kept its heartbeat.
    async fn silent_until(&self, senders: &[i64]) -> Result<Option<Time>, Fault> {
        let lease = self.fleet.engines().next().map_or(Duration::ZERO, |engine| engine.settings().lease);
        let now = self.clock.now();
        let snapshot = self.snapshot().await?;
        let senders: Vec<_> = snapshot.workers.iter().filter(|worker| senders.contains(&worker.id)).collect();
        // A heartbeat comes long before half of the lease is over.
        let are_silent = senders.iter().all(|worker| worker.lease_until.since(now) < lease / 2);
        Ok(senders.iter().map(|worker| worker.lease_until).max().filter(|_| are_silent))
    }

    /// What holds up one row or event of an account, which is due then, and its run.
    pub(super) async fn facts_within(
        &self,
        account: &str,
        run: Option<i64>,
        due: Option<Time>,
    ) -> Result<Facts, Fault> {
        let of_account = self.facts_of(account).await?;
        let run = match run {
            Some(run) => self.store.run(run).await?,
            None => None,
        };
        Ok(run.map_or_else(
            || of_account.clone(),
            |run| Facts {
                status: Some(run.status),
                reason: run.reason,
                is_approved: run.approved.is_some(),
                due,
                ..of_account.clone()
            },
        ))
    }

    /// What holds up whatever an account sends, and nothing of what that is.
    pub(super) async fn facts_of(&self, account: &str) -> Result<Facts, Fault> {
        let snapshot = self.snapshot().await?;
        let known = snapshot.accounts.iter().find(|known| known.name == account);
        let quota = known.and_then(|known| known.quota);
        Ok(Facts {
            block: known.and_then(|known| known.block.clone()),
            is_refused: known.is_some_and(|known| known.is_refused),
            workers: snapshot.alive(),
            is_configured: self.fleet.engines().any(|engine| engine.account() == account),
            // Of an account without a quota nothing is known that would hold it up.
            quota_left: quota.map_or(1, |quota| quota.left),
            room_at: quota.and_then(|quota| quota.room_at),
            ..Facts::default()
        })
    }
}

/// Whether nothing of it moves.
fn is_still(run: &Run) -> bool {
    run.finished_at.is_some() || run.status == RunStatus::Held
}

/// Whether it has neither ended nor begun anew meanwhile; rows may have come.
fn is_as_it_was(before: &Run, now: &Run) -> bool {
    (before.status, before.finished_at, &before.reason) == (now.status, now.finished_at, &now.reason)
}

async fn results_of(file: Option<InputFile>, run: &Run) -> ResultFiles {
    let Some(file) = file else { return ResultFiles::default() };
    let run = run.clone();
    tokio::task::spawn_blocking(move || ResultFiles::find(&file, &run)).await.unwrap_or_default()
}
