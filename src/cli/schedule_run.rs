//! `lumasync schedule run NAME`: a fire by hand, to the end, with progress and a report.

use futures_util::future::join_all;
use serde_json::json;

use super::approve;
use super::args::Global;
use super::exit::Exit;
use super::explain::explain;
use super::out;
use super::progress::{Screen, show};
use super::schedule::find;
use super::schedule_args::ScheduleRunArgs;
use super::signals::Signals;
use super::summary::Summary;
use super::verify;
use super::workshop::{Desk, Task, Workshop};
use crate::domain::schedule::Schedule;
use crate::engine::{DrainEnd, EngineError, Stop};
use crate::store::{Fire, Store};

/// The command.
pub(super) async fn run(global: &Global, args: &ScheduleRunArgs) -> anyhow::Result<Exit> {
    let Some(person) = args.person.person() else { return Ok(Exit::Usage) };
    let opened = Box::pin(Workshop::open(global, &args.sandbox, Task::Everything, None)).await?;
    let Some(workshop) = opened else { return Ok(Exit::Usage) };
    let (signals, stop) = Signals::listen(workshop.config.shutdown.grace, workshop.clock.clone())?;
    let result = match find(&workshop.config, &args.person.name) {
        Some(schedule) => Box::pin(fire(global, &workshop, schedule, &person, &stop)).await,
        None => Ok(Exit::Usage),
    };
    workshop.close_after(result, &signals).await
}

async fn fire(
    global: &Global,
    workshop: &Workshop,
    schedule: &Schedule,
    person: &str,
    stop: &Stop,
) -> anyhow::Result<Exit> {
    let alive = workshop.fleet.spawn_keep_alive(stop);
    let fired = workshop.fleet.fire_by_hand(schedule, person, stop).await;
    let exit = match fired {
        Ok(Some(fire)) => finish(global, workshop, &fire, stop).await,
        Ok(None) => {
            let name = &schedule.name;
            out::talk(&format!(
                "error: an earlier fire of `{name}` is not over\nhint: `lumasync schedule list` says how far it is"
            ));
            Ok(Exit::TryLater)
        }
        Err(error) => Err(error.into()),
    };
    alive.abort();
    exit
}

/// Sends what was taken in, each account its own, and tells what became of it.
async fn finish(global: &Global, workshop: &Workshop, fire: &Fire, stop: &Stop) -> anyhow::Result<Exit> {
    let (store, desks) = (&workshop.store, workshop.desks());
    let screen = Screen::of(desks.len());
    let sendings = desks.iter().map(|desk| Box::pin(send_of(desk, fire, &screen, stop)));
    let (mut worst, mut runs) = (Exit::Ok, Vec::new());
    for (desk, sent) in desks.iter().zip(join_all(sendings).await) {
        match sent {
            Ok(own) => runs.extend(own),
            Err(error) if desks.len() == 1 || matches!(error, EngineError::Stopped) => {
                return Err(error.into());
            }
            Err(error) => {
                worst = worst.max(Exit::of_engine(&error));
                let error = anyhow::Error::new(error).context(format!("account `{}`", desk.account.name));
                out::talk(&explain(&error));
            }
        }
    }
    if let (Some(desk), Some(fire)) = (desks.first(), store.fire(fire.id).await?) {
        desk.engine.finish_fire(&fire).await?;
    }
    for desk in &desks {
        desk.engine.put_away(stop).await?;
    }
    runs.sort_unstable();
    report(global, workshop, fire, &runs, worst).await
}

/// The runs of a fire that are one account's, to their end; and what earlier passes over its sources have left.
async fn send_of(
    desk: &Desk<'_>,
    fire: &Fire,
    screen: &Screen,
    stop: &Stop,
) -> Result<Vec<i64>, EngineError> {
    let runs = runs_of(&desk.workshop.store, desk.engine.account(), fire).await?;
    let sent = send(desk, &runs, screen, stop).await;
    if let Err(error) = &sent {
        desk.engine.stand_still(error).await;
    }
    sent?;
    for run in &runs {
        desk.engine.finish_run(*run).await?;
    }
    Ok(runs)
}

async fn runs_of(store: &Store, account: &str, fire: &Fire) -> Result<Vec<i64>, EngineError> {
    let mut numbers: Vec<i64> = store.fire_runs(fire.id).await?.into_iter().map(|(run, _)| run).collect();
    for source in store.fire_sources(fire.id).await? {
        numbers.extend(store.open_passes(&source.source).await?);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let mut runs = Vec::new();
    for number in numbers {
        runs.extend(store.run(number).await?.filter(|run| run.account == account).map(|run| run.id));
    }
    Ok(runs)
}

async fn send(desk: &Desk<'_>, runs: &[i64], screen: &Screen, stop: &Stop) -> Result<(), EngineError> {
    for run in runs {
        desk.engine.release(*run).await?;
    }
    let held = approve::held(desk).await?;
    let runs: Vec<i64> = runs.iter().filter(|run| !held.contains(run)).copied().collect();
    let runs = runs.as_slice();
    let rows = desk.left(runs).await?;
    verify::announce(desk, runs).await?;
    if rows == 0 {
        return verify::prove(desk, runs, false, screen, stop).await;
    }
    desk.engine.check_identity(stop).await?;
    let (progress, drain) = (desk.engine.progress(), Box::pin(desk.drain(runs, stop)));
    let name = desk.engine.account();
    match show(screen, name, progress, rows, desk.pace(), &desk.workshop.clock, drain).await? {
        DrainEnd::Done => verify::prove(desk, runs, true, screen, stop).await,
        DrainEnd::Stopped => Err(EngineError::Stopped),
    }
}

async fn report(
    global: &Global,
    workshop: &Workshop,
    fire: &Fire,
    runs: &[i64],
    worst: Exit,
) -> anyhow::Result<Exit> {
    let store = &workshop.store;
    let state = store.fire(fire.id).await?.map_or(fire.state, |fire| fire.state);
    let mut summaries = Vec::new();
    for run in runs {
        summaries.extend(Summary::read(store, *run, workshop.clock.now()).await?);
    }
    let troubles: Vec<String> = store
        .fire_sources(fire.id)
        .await?
        .into_iter()
        .filter_map(|source| source.reason.map(|reason| format!("`{}`: {reason}", source.source)))
        .collect();
    let failed = if troubles.is_empty() { Exit::Ok } else { Exit::Failed };
    let exit = summaries.iter().map(Summary::exit).fold(worst.max(failed), Exit::max);
    let text = || {
        let head =
            format!("`{}` fired by {}: {state}", fire.schedule, fire.person.as_deref().unwrap_or_default());
        let texts = summaries.iter().map(|summary| summary.text(&workshop.program));
        std::iter::once(head).chain(troubles.iter().cloned()).chain(texts).collect::<Vec<_>>().join("\n")
    };
    let programs = || {
        json!({
            "schedule": fire.schedule, "fire": fire.id, "state": state.as_str(), "person": fire.person,
            "troubles": troubles, "runs": summaries.iter().map(Summary::json).collect::<Vec<_>>(),
        })
    };
    out::result(global.output, text, programs)?;
    Ok(exit)
}
