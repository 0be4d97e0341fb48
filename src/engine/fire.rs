//! One fire: its sources are taken in one after the other, each once, and it is over when its runs are.
//!
//! What was begun by a process that died is gone on with: a source that was done with is not taken in again,
//! and one that was half taken goes on as any other pass over it does.

use std::time::Duration;

use futures_util::future::join_all;

use super::error::chain;
use super::{DropFolder, Engine, EngineError, Fleet, Source, Stop};
use crate::domain::schedule::{FOLDER, FireState, Schedule};
use crate::domain::state::{RunStatus, Trigger};
use crate::store::{DueFire, Fire, RunSource};

/// The first wait for a source that cannot be had just now, and the longest.
const WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The longest pause between two looks at a folder whose files still grow.
const FOLDER_LOOK: Duration = Duration::from_millis(500);

impl Fleet {
    /// Sets a schedule off by hand and takes its sources in; `None` while an earlier fire is not over.
    pub async fn fire_by_hand(
        &self,
        schedule: &Schedule,
        person: &str,
        stop: &Stop,
    ) -> Result<Option<Fire>, EngineError> {
        let Some(fire) = self.set_off(schedule, person).await? else { return Ok(None) };
        self.take_fire(&fire, stop).await?;
        Ok(Some(fire))
    }

    /// Enters a fire by hand, and leaves it to this process's watch over the schedules to take its sources in;
    /// `None` while an earlier fire is not over.
    pub async fn set_off(&self, schedule: &Schedule, person: &str) -> Result<Option<Fire>, EngineError> {
        let first = self.first();
        first.meet_schedule(schedule).await?;
        let now = first.clock.now();
        let due = DueFire {
            schedule: &schedule.name,
            due_at: now,
            earlier: 0,
            sources: &schedule.sources,
            policy: schedule.policy,
            worker: first.worker_id,
        };
        Ok(first.store.fire_by_hand(due, person, now).await?)
    }

    /// Takes in whatever of a fire's sources is not yet. What is wrong with one holds up no other.
    pub(super) async fn take_fire(&self, fire: &Fire, stop: &Stop) -> Result<(), EngineError> {
        let Engine { store, clock, .. } = self.first();
        for source in store.fire_sources(fire.id).await? {
            if source.taken_at.is_some() {
                continue;
            }
            let reason = self.take_scheduled(fire, &source.source, stop).await?;
            if let Some(reason) = &reason {
                let (schedule, source) = (&fire.schedule, &source.source);
                tracing::error!(schedule, source, reason, "a source could not be taken in");
            }
            store.end_fire_source(fire, source.place, reason.as_deref(), clock.now()).await?;
        }
        store.end_taking(fire, clock.now()).await?;
        match store.fire(fire.id).await? {
            Some(fire) => self.first().finish_fire(&fire).await,
            None => Ok(()),
        }
    }

    /// One source, which is one account's; the folder is what all of them have dropped. What is wrong with it,
    /// or with parts of it, if anything is; only the stop ends it.
    async fn take_scheduled(
        &self,
        fire: &Fire,
        source: &str,
        stop: &Stop,
    ) -> Result<Option<String>, EngineError> {
        let engines = self.engines().filter_map(|engine| Some((engine, engine.feed(source)?)));
        let takings: Vec<_> = engines
            .map(|(engine, feed)| async move {
                let engine = engine.of_fire(fire.id);
                let taken = Box::pin(engine.take_patiently(fire, feed, stop)).await;
                let trouble = match taken {
                    Ok(trouble) => trouble,
                    Err(EngineError::Stopped) => return Err(EngineError::Stopped),
                    Err(error) => Some(chain(&error)),
                };
                Ok(trouble.map(|trouble| match feed {
                    Feed::Folder if self.has_others() => {
                        format!("account `{}`: {trouble}", engine.account())
                    }
                    Feed::Folder | Feed::Source(_) => trouble,
                }))
            })
            .collect();
        if takings.is_empty() {
            return Ok(Some(format!("`{source}` is no longer configured, or its `url` is not to be had")));
        }
        let troubles: Vec<Option<String>> = join_all(takings).await.into_iter().collect::<Result<_, _>>()?;
        let troubles: Vec<String> = troubles.into_iter().flatten().collect();
        Ok(Some(troubles.join("; ")).filter(|troubles| !troubles.is_empty()))
    }
}

/// What of an account a schedule takes in.
#[derive(Clone, Copy)]
enum Feed<'a> {
    Folder,
    Source(&'a Source),
}

impl<'a> Feed<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Folder => FOLDER,
            Self::Source(source) => &source.name,
        }
    }
}

impl Engine {
    /// The same engine for the runs of one fire.
    #[must_use]
    pub(super) fn of_fire(&self, fire: i64) -> Self {
        Self { fire: Some(fire), ..self.clone() }
    }

    /// What sets off a run of this source that is begun here.
    pub(super) fn trigger(&self, source: RunSource) -> Trigger {
        if self.fire.is_some() { Trigger::Schedule } else { source.trigger() }
    }

    /// What schedules call by this name, where this account has it.
    fn feed(&self, name: &str) -> Option<Feed<'_>> {
        if name == FOLDER {
            return self.settings.folder.as_ref().map(|_| Feed::Folder);
        }
        self.settings.sources.iter().find(|source| source.name == name).map(Feed::Source)
    }

    /// Tries until it is later than a fire may be. What is wrong with parts of the source, if anything is.
    async fn take_patiently(
        &self,
        fire: &Fire,
        feed: Feed<'_>,
        stop: &Stop,
    ) -> Result<Option<String>, EngineError> {
        let schedule = self.settings.schedules.iter().find(|schedule| schedule.name == fire.schedule);
        let begun = fire.started_at.unwrap_or(fire.due_at);
        let until = begun.plus(schedule.map_or(Duration::ZERO, |schedule| schedule.policy.grace));
        let mut wait = WAIT;
        loop {
            let taken = match feed {
                Feed::Folder => self.take_folder(stop).await,
                Feed::Source(source) => Box::pin(self.take_source_once(fire, source, stop)).await,
            };
            match taken {
                Err(error) if error.is_passing() && self.clock.now().plus(wait) <= until => {
                    let source = feed.name();
                    tracing::warn!(source, error = %chain(&error), "a source is not to be had now; it is tried again");
                    self.pause_or_stop(wait, stop).await;
                    if stop.is_requested() {
                        return Err(EngineError::Stopped);
                    }
                    wait = LONGEST_WAIT.min(wait * 2);
                }
                taken => return taken,
            }
        }
    }

    /// One pass over a source, unless this fire has had one that only was not noted any more.
    async fn take_source_once(
        &self,
        fire: &Fire,
        source: &Source,
        stop: &Stop,
    ) -> Result<Option<String>, EngineError> {
        self.ask_where_moved(stop).await?;
        // What the process had begun that had this fire before is in the way no longer.
        self.store.break_orphaned_passes(self.clock.now()).await?;
        if !self.store.fire_has_pass(fire.id, &source.name).await? {
            Box::pin(self.take_source(source, Trigger::Schedule, stop)).await?;
        }
        Ok(None)
    }

    /// What the ledger calls delivered may be somebody else's where the key is used elsewhere than it was: that
    /// is asked before it is believed.
    async fn ask_where_moved(&self, stop: &Stop) -> Result<(), EngineError> {
        let known = self.store.account(&self.settings.account).await?.and_then(|known| known.origin);
        if known.is_some_and(|known| known != self.settings.origin) {
            self.check_identity(stop).await?;
        }
        Ok(())
    }

    /// Takes in whatever lies in the drop folder, with files that are still growing if they soon stop.
    async fn take_folder(&self, stop: &Stop) -> Result<Option<String>, EngineError> {
        let Some(settings) = &self.settings.folder else {
            return Ok(Some("no drop folder is configured any longer".to_owned()));
        };
        self.ask_where_moved(stop).await?;
        let look = settings.poll.min(FOLDER_LOOK);
        let mut folder = DropFolder::new(settings)?;
        let mut is_told = false;
        // Whoever holds it takes in files as well, or puts them away, and should be done soon.
        while !folder.hold()? {
            if !std::mem::replace(&mut is_told, true) {
                tracing::info!("a fire waits until another process has let go of the drop folder");
            }
            self.pause_or_stop(look, stop).await;
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
        }
        let patience = self.clock.now().plus(settings.settle * 3 + WAIT);
        while self.folder_pass(&mut folder, stop).await?.1 > 0 && self.clock.now() <= patience {
            self.pause_or_stop(look, stop).await;
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
        }
        let failed = folder.failed();
        Ok((failed > 0)
            .then(|| format!("files that could not be taken in: {failed}; `lumasync status` says why")))
    }

    /// Ends a fire whose sources are taken in, if its runs are over.
    pub async fn finish_fire(&self, fire: &Fire) -> Result<(), EngineError> {
        let runs: Vec<RunStatus> =
            self.store.fire_runs(fire.id).await?.into_iter().map(|(_, status)| status).collect();
        let is_missing = self.store.fire_sources(fire.id).await?.iter().any(|source| source.reason.is_some());
        let Some(state) = FireState::of_runs(&runs, is_missing) else { return Ok(()) };
        if self.store.end_fire(fire.id, state, self.clock.now()).await? {
            tracing::info!(schedule = fire.schedule, fire = fire.id, %state, "a fire is over");
        }
        Ok(())
    }
}
