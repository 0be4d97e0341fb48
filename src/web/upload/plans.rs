//! The plan of an upload: made once, in the background, one at a time, by the engine's own hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::Upload;
use crate::clock::{Clock, Time};
use crate::domain::tag::TagSet;
use crate::engine::{Engine, EngineError, Explained, Outlook, PlannedFile, PlannedInput, Rest, Taking};
use crate::store::RunSource;
use crate::web::site::Site;

/// How long a page waits for a plan before it is shown without.
const PATIENCE: Duration = Duration::from_millis(500);
/// When is looked again where something that passes was in the way.
const AGAIN: Duration = Duration::from_secs(5);

/// What came of looking at a file.
#[derive(Clone, Debug)]
pub(in crate::web) enum Outcome {
    /// It would be taken in.
    Planned(Box<PlannedInput>, Outlook),
    /// The same bytes were taken in by this run.
    Before(i64, Rest),
    /// It cannot be.
    Refused(Explained),
    /// It cannot be looked at now.
    Later(Explained),
}

/// A plan, and as of when.
#[derive(Clone, Debug)]
pub(in crate::web) struct Plan {
    pub(in crate::web) outcome: Outcome,
    pub(in crate::web) at: Time,
}

type Made = watch::Receiver<Option<Arc<Plan>>>;

/// Plans by the word of their upload.
#[derive(Debug)]
pub(in crate::web) struct Plans {
    made: Mutex<HashMap<String, Made>>,
    /// One at a time: each may read as much as an intake.
    turn: Arc<Semaphore>,
}

impl Default for Plans {
    fn default() -> Self {
        Self { made: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Plans {
    /// Forgets those of which nothing is left.
    pub(super) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).retain(|word, _| is_there(word));
    }

    /// The plan that is being made or made, if it is still worth something.
    fn known(&self, word: &str, now: Time) -> Option<Made> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(word).cloned()?;
        let is_over = match made.borrow().as_deref() {
            // Whoever made it broke.
            None => made.has_changed().is_err(),
            Some(Plan { outcome: Outcome::Later(_), at }) => now.since(*at) >= AGAIN,
            Some(_) => false,
        };
        (!is_over).then_some(made)
    }
}

impl Site {
    /// The plan of an upload, once it is made; it is begun where nobody has.
    pub(in crate::web) async fn plan(&self, upload: &Upload) -> Option<Arc<Plan>> {
        let word = &upload.staged.word;
        let mut made = match self.uploads.plans.known(word, self.clock.now()) {
            Some(made) => made,
            None => self.begin_plan(upload),
        };
        let plan = async { made.wait_for(Option::is_some).await.ok().and_then(|plan| plan.clone()) };
        // Most lists are small, and nobody has to look twice.
        let clock = Clock::system();
        tokio::select! {
            plan = plan => plan,
            () = clock.sleep(PATIENCE) => None,
        }
    }

    fn begin_plan(&self, upload: &Upload) -> Made {
        let (maker, made) = watch::channel(None);
        let mut all = self.uploads.plans.made.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(upload.staged.word.clone(), made.clone());
        drop(all);
        let (site, upload, turn) = (self.clone(), upload.clone(), Arc::clone(&self.uploads.plans.turn));
        tokio::spawn(async move {
            site.forget_plans().await;
            let _turn = turn.acquire_owned().await;
            let outcome = Box::pin(site.look_at(&upload)).await;
            maker.send_replace(Some(Arc::new(Plan { outcome, at: site.clock.now() })));
        });
        made
    }

    async fn look_at(&self, Upload { engine, staging, staged }: &Upload) -> Outcome {
        let path = staging.path(staged);
        let shown = path.display().to_string();
        let name = staged.name.clone();
        let taking =
            Taking { path, name, source: RunSource::Folder, extra_tags: TagSet::default(), again: false };
        let engine = engine.looking_only();
        let planned = Box::pin(engine.plan_file(staged.kind, &taking, &self.work)).await;
        match with_outlook(&engine, planned).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let Explained { said, hints } = Explained::of(&error);
                // People know it by its name, and not by where it waits.
                let explained = Explained { said: said.replace(&shown, &taking.name), hints };
                match error {
                    EngineError::Stopped => Outcome::Later(explained),
                    error if error.is_passing() => Outcome::Later(explained),
                    _ => Outcome::Refused(explained),
                }
            }
        }
    }
}

async fn with_outlook(
    engine: &Engine,
    planned: Result<PlannedFile, EngineError>,
) -> Result<Outcome, EngineError> {
    match planned? {
        PlannedFile::Now(mut input) => {
            if !engine.knows_tags() {
                let said =
                    "Luma was not to be asked which tags it has: names that only Luma knows count as unknown";
                input.warnings.push(said.to_owned());
            }
            let outlook = engine.outlook(engine.settings().allowance.window).await?;
            Ok(Outcome::Planned(input, outlook))
        }
        PlannedFile::Before(run) => Ok(Outcome::Before(run, engine.rest_of(run).await?)),
    }
}
