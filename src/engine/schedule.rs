//! Schedules are watched: what is due is entered as a fire, fires of dead workers are taken over, those that
//! are over are ended.
//!
//! Every process looks; the database lets one of them have each fire. Nothing here rests on having been
//! awake at the right moment: a look finds whatever was due since the last one by anybody.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

use super::alarm::Alarm;
use super::error::chain;
use super::{Engine, EngineError, Fleet, Stop};
use crate::domain::schedule::{FireState, Schedule};
use crate::store::{DueFire, Fire, KnownSchedule};

/// How often is looked where the alarm does not ring: for fires that wait, and for clocks put forward.
const LOOK: Duration = Duration::from_secs(5);

/// One process's watch over the schedules, and the fires that it has.
#[derive(Debug)]
pub struct Scheduler {
    fleet: Fleet,
    is_known: bool,
    /// The fires whose sources are taken in here.
    own: HashMap<Id, i64>,
    tasks: JoinSet<()>,
}

impl Fleet {
    /// Watches the schedules until told to stop; what is being taken in then ends where it can go on.
    pub(super) async fn keep_schedules(&self, stop: &Stop) {
        if self.first().settings.schedules.is_empty() {
            return;
        }
        let alarm = match Alarm::start().await {
            Ok(alarm) => Some(alarm),
            Err(error) => {
                tracing::warn!(%error, "there is no alarm clock; schedules are looked at every few seconds");
                None
            }
        };
        let rung = async || match &alarm {
            Some(alarm) => alarm.rung().await,
            None => std::future::pending().await,
        };
        let mut scheduler = Scheduler::new(self.clone());
        while !stop.is_requested() {
            match scheduler.look(stop).await {
                Ok(()) => {}
                Err(error) if error.is_passing() => tracing::debug!(%error, "schedules are looked at again"),
                Err(error) => tracing::error!(error = %chain(&error), "schedules could not be looked at"),
            }
            tokio::select! {
                () = rung() => {}
                () = scheduler.one_taken() => {}
                () = self.first().clock.sleep(LOOK) => {}
                () = stop.requested() => {}
            }
        }
        scheduler.rest().await;
        if let Some(alarm) = alarm {
            alarm.stop().await;
        }
    }
}

impl Scheduler {
    /// A watch over the schedules that has seen nothing yet.
    #[must_use]
    pub fn new(fleet: Fleet) -> Self {
        Self { fleet, is_known: false, own: HashMap::new(), tasks: JoinSet::new() }
    }

    /// One look: what is over is ended, what was left is taken over, what is due is begun.
    pub async fn look(&mut self, stop: &Stop) -> Result<(), EngineError> {
        self.meet().await?;
        let Engine { store, clock, settings, .. } = self.fleet.first().clone();
        let (known, now) = (store.schedules().await?, clock.now());
        if known.iter().any(|known| known.judged_until > now) {
            store.judge_from_now(now).await?;
        }
        // What is over by now is in nobody's way.
        for fire in store.open_fires().await? {
            self.go_on_with(fire, stop).await?;
        }
        for schedule in &settings.schedules {
            let judged = known.iter().find(|known| known.name == schedule.name);
            if let Some(known) = judged.filter(|known| !known.is_paused)
                && let Some(fire) = self.fleet.first().judge(schedule, known).await?
            {
                self.begin(fire, stop);
            }
        }
        Ok(())
    }

    /// Waits until all that was begun here is taken in, or has stopped.
    pub async fn rest(&mut self) {
        while !self.tasks.is_empty() {
            self.one_taken().await;
        }
    }

    /// Waits for the end of one of the fires begun here; for ever where there is none. Safe to drop at any time.
    async fn one_taken(&mut self) {
        let task = match self.tasks.join_next_with_id().await {
            Some(Ok((task, ()))) => task,
            Some(Err(broken)) => broken.id(),
            None => std::future::pending().await,
        };
        self.own.remove(&task);
    }

    /// Makes the schedules known, once.
    async fn meet(&mut self) -> Result<(), EngineError> {
        if self.is_known {
            return Ok(());
        }
        let first = self.fleet.first();
        for schedule in &first.settings.schedules {
            first.meet_schedule(schedule).await?;
        }
        self.is_known = true;
        Ok(())
    }

    fn begin(&mut self, fire: Fire, stop: &Stop) {
        if fire.state != FireState::Running {
            return;
        }
        let id = fire.id;
        let (fleet, stop) = (self.fleet.clone(), stop.clone());
        let task = self.tasks.spawn(async move {
            match fleet.take_fire(&fire, &stop).await {
                Ok(()) => {}
                Err(EngineError::Stopped) => tracing::info!(fire = id, "a fire goes on at the next start"),
                Err(error) => {
                    tracing::warn!(fire = id, error = %chain(&error), "a fire broke off; it goes on in a moment");
                }
            }
        });
        self.own.insert(task.id(), id);
    }

    async fn go_on_with(&mut self, fire: Fire, stop: &Stop) -> Result<(), EngineError> {
        let first = self.fleet.first();
        let is_ours = first.settings.schedules.iter().any(|schedule| schedule.name == fire.schedule);
        if fire.state == FireState::Running && fire.taken_at.is_some() {
            return first.finish_fire(&fire).await;
        }
        if !is_ours || self.own.values().any(|own| *own == fire.id) {
            return Ok(());
        }
        let taken = if fire.state == FireState::Queued {
            first.store.begin_queued(&fire, first.worker_id, first.clock.now()).await?
        } else {
            let taken = first.store.take_over_fire(&fire, first.worker_id).await?;
            // One of our own was set off by hand a moment ago.
            if taken.is_some() && fire.worker != Some(first.worker_id) {
                tracing::warn!(
                    fire = fire.id,
                    schedule = fire.schedule,
                    "a fire that was left is taken over"
                );
            }
            taken
        };
        if let Some(fire) = taken {
            self.begin(fire, stop);
        }
        Ok(())
    }
}

impl Engine {
    /// Makes a schedule known to the database, from now on if it is new or changed.
    pub async fn meet_schedule(&self, schedule: &Schedule) -> Result<(), EngineError> {
        Ok(self.store.meet_schedule(&schedule.name, &schedule.rule(), self.clock.now()).await?)
    }

    /// Decides about what was due since anybody last did; the fire that came of it, where it is ours.
    async fn judge(&self, schedule: &Schedule, known: &KnownSchedule) -> Result<Option<Fire>, EngineError> {
        let now = self.clock.now();
        let last = schedule.timetable.last_within(known.judged_until, now);
        let Some((due_at, earlier)) = last else { return Ok(None) };
        let due = DueFire {
            schedule: &schedule.name,
            due_at,
            earlier,
            sources: &schedule.sources,
            policy: schedule.policy,
            worker: self.worker_id,
        };
        let fire = self.store.judge_fire(due, now).await?;
        if let Some(Fire { id, state, earlier, reason, .. }) = &fire {
            let name = &schedule.name;
            match reason {
                Some(reason) => {
                    tracing::warn!(schedule = name, fire = id, %due_at, earlier, reason, "a fire is skipped");
                }
                None => {
                    tracing::info!(schedule = name, fire = id, %due_at, earlier, %state, "a schedule fires");
                }
            }
        }
        Ok(fire)
    }
}
