//! All that is shown of one run, read for everybody who looks at it.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::site::Site;
use crate::domain::guard::{Concern, ConcernCode};
use crate::domain::state::RunStatus;
use crate::domain::waiting::{Facts, Waiting};
use crate::engine::ResultFiles;
use crate::store::{CauseGroup, Run, RunCounts, RunTimes, Sample};

/// How long an open run is shown as it was read; and one of which nothing moves, whose rows may be many.
const OPEN_LASTS: Duration = Duration::from_secs(2);
const STILL_LASTS: Duration = Duration::from_secs(15);
/// New people that are named.
const PEOPLE: u32 = 5;

/// A run and what is known of it.
#[derive(Debug)]
pub(super) struct RunView {
    pub(super) run: Run,
    pub(super) counts: RunCounts,
    pub(super) requests: u64,
    pub(super) times: RunTimes,
    pub(super) to_prove: u64,
    pub(super) causes: Vec<CauseGroup>,
    pub(super) read_as: Option<String>,
    pub(super) results: ResultFiles,
    pub(super) waiting: Option<Waiting>,
    pub(super) hold: Hold,
}

/// What a run is or was held for.
#[derive(Debug, Default)]
pub(super) struct Hold {
    pub(super) concerns: Vec<Concern>,
    /// Some of the new people, while it is held for their number: for nobody but whoever is signed in.
    pub(super) people: Vec<Sample>,
    /// Requests that it takes at most, while it is held.
    pub(super) requests: u64,
}

impl Site {
    /// A run as of the last seconds.
    pub(super) async fn run_view(&self, id: i64) -> Result<Arc<RunView>, Fault> {
        let run = self.store.run(id).await?.ok_or(Fault::NotFound)?;
        let place = self.run_views.of(id);
        let is_still = run.finished_at.is_some() || run.status == RunStatus::Held;
        let lasts = if is_still { STILL_LASTS } else { OPEN_LASTS };
        let view = place.get(&self.clock, lasts, Box::pin(self.read_run(run.clone()))).await?;
        if view.run == run {
            return Ok(view);
        }
        // It has changed since: what was counted then is over too.
        place.forget().await;
        place.get(&self.clock, lasts, Box::pin(self.read_run(run))).await
    }

    async fn read_run(&self, run: Run) -> Result<RunView, Fault> {
        let (store, id) = (&self.store, run.id);
        let file = store.file_of_run(id).await?;
        let read_as = match &file {
            Some(file) => file.shape.clone(),
            None => store.pass_of_run(id).await?.and_then(|pass| pass.shape),
        };
        let results = match file {
            None => ResultFiles::default(),
            Some(file) => {
                let run = run.clone();
                let found = tokio::task::spawn_blocking(move || ResultFiles::find(&file, &run)).await;
                found.unwrap_or_default()
            }
        };
        let mut view = RunView {
            counts: store.run_counts(&run).await?,
            requests: store.run_requests(id).await?,
            times: store.run_times(&run).await?,
            to_prove: store.rows_to_prove(id).await?,
            causes: store.causes(id).await?,
            read_as,
            results,
            waiting: None,
            hold: self.hold(&run).await?,
            run,
        };
        view.waiting = self.waiting(&view).await?;
        Ok(view)
    }

    async fn hold(&self, run: &Run) -> Result<Hold, Fault> {
        let concerns = self.store.concerns(run.id).await?;
        if run.status != RunStatus::Held {
            return Ok(Hold { concerns, ..Hold::default() });
        }
        // Where they are few among many, nobody looks through the whole run for them.
        let are_many = concerns.iter().any(|concern| concern.code == ConcernCode::NewMembers);
        let people = if are_many { self.store.new_people(run.id, PEOPLE).await? } else { Vec::new() };
        Ok(Hold { concerns, people, requests: self.store.requests_to_send(run.id).await? })
    }

    async fn waiting(&self, view: &RunView) -> Result<Option<Waiting>, Fault> {
        let facts = Facts {
            status: Some(view.run.status),
            reason: view.run.reason.clone(),
            is_approved: view.run.approved.is_some(),
            pending: view.counts.pending,
            in_flight: view.counts.in_flight,
            unknown: view.counts.unknown,
            to_prove: view.to_prove,
            due: view.times.due,
            ..self.facts_of(&view.run.account).await?
        };
        Ok(Waiting::of(&facts, self.clock.now()))
    }

    /// What holds up whatever an account sends, and nothing of what that is.
    pub(super) async fn facts_of(&self, account: &str) -> Result<Facts, Fault> {
        let snapshot = self.snapshot().await?;
        let known = snapshot.accounts.iter().find(|known| known.name == account);
        let quota = known.and_then(|known| known.quota);
        Ok(Facts {
            block: known.and_then(|known| known.block.clone()),
            workers: snapshot.alive(),
            is_configured: self.fleet.engines().any(|engine| engine.account() == account),
            // Of an account without a quota nothing is known that would hold it up.
            quota_left: quota.map_or(1, |quota| quota.left),
            room_at: quota.and_then(|quota| quota.room_at),
            ..Facts::default()
        })
    }
}
