//! `lumasync sync`: one pass now, to the end.

use futures_util::future::join_all;
use serde_json::json;

use super::approve;
use super::args::{Global, Selection, SyncArgs};
use super::context::are_tags_sound;
use super::exit::Exit;
use super::explain::{explain, explain_std};
use super::intake::{Pass, open_folder, take_everything, take_files};
use super::out;
use super::progress::{Screen, show};
use super::signals::Signals;
use super::sources;
use super::summary::Summary;
use super::verify;
use super::words::count;
use super::workshop::{Desk, Task, Workshop};
use crate::engine::{DrainEnd, EngineError, MAIN_ACCOUNT, Stop};
use crate::store::Scope;

/// The command.
pub(super) async fn run(global: &Global, args: &SyncArgs) -> anyhow::Result<Exit> {
    let Some(workshop) = open(global, &args.what).await? else { return Ok(Exit::Usage) };
    let (signals, stop) = Signals::listen(workshop.config.shutdown.grace, workshop.clock.clone())?;
    let result = pass(global, args, &workshop, &stop).await;
    name_what_stays(&workshop);
    workshop.close_after(result, &signals).await
}

/// The workshop for what was named; `None` where something of it cannot be right, which is told.
pub(super) async fn open(global: &Global, what: &Selection) -> anyhow::Result<Option<Workshop>> {
    if !are_tags_sound(global, what)? || !sources::are_known(global, what)? {
        return Ok(None);
    }
    let task = if what.names_nothing() { Task::Everything } else { Task::Files };
    // Files are for one account, whatever the others wait for; sources say whose they are.
    let of_files = (task == Task::Files && what.sources.is_empty()).then_some(MAIN_ACCOUNT);
    let account = what.account.as_deref().or(of_files);
    Box::pin(Workshop::open(global, &what.sandbox, task, account)).await
}

/// Every account at once: what one of them waits for, or is refused, holds up no other.
async fn pass(global: &Global, args: &SyncArgs, workshop: &Workshop, stop: &Stop) -> anyhow::Result<Exit> {
    let alive = workshop.fleet.spawn_keep_alive(stop);
    let desks = workshop.desks();
    let screen = Screen::of(desks.len());
    let passes = desks.iter().map(|desk| Box::pin(pass_of(args, desk, &screen, stop)));
    let passes = join_all(passes).await;
    alive.abort();
    let mut whole = Pass::default();
    for (desk, pass) in desks.iter().zip(passes) {
        match pass {
            Ok(pass) => whole.add(pass),
            Err(error) if desks.len() == 1 || matches!(error, EngineError::Stopped) => {
                return Err(error.into());
            }
            Err(error) => {
                whole.exit = whole.exit.max(Some(Exit::of_engine(&error)));
                let error = anyhow::Error::new(error).context(format!("account `{}`", desk.account.name));
                out::talk(&explain(&error));
            }
        }
    }
    report(global, &desks, &whole).await
}

/// One account, to its end.
async fn pass_of(
    args: &SyncArgs,
    desk: &Desk<'_>,
    screen: &Screen,
    stop: &Stop,
) -> Result<Pass, EngineError> {
    if desk.is_new_origin {
        // What the ledger calls delivered may be somebody else's: asked before it is believed.
        desk.engine.check_identity(stop).await?;
    }
    let everything = args.what.names_nothing();
    let taken = if everything {
        Box::pin(take_everything(desk, stop)).await
    } else {
        take_files(&args.what, desk, stop).await
    };
    let sent = match taken {
        Ok(pass) => send(Sending { everything, yes: args.yes }, pass, desk, screen, stop).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &sent {
        desk.engine.stand_still(error).await;
    }
    sent
}

/// How a pass is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    /// With all else that waits.
    pub(super) everything: bool,
    /// With what a guard holds of it.
    pub(super) yes: bool,
}

pub(super) async fn send(
    how: Sending,
    mut pass: Pass,
    desk: &Desk<'_>,
    screen: &Screen,
    stop: &Stop,
) -> Result<Pass, EngineError> {
    for run in &pass.runs {
        desk.engine.release(*run).await?;
    }
    if how.yes {
        let own: Vec<i64> = pass.runs.iter().filter(|run| !pass.held.contains(run)).copied().collect();
        approve::approve_all(desk, &own).await?;
    }
    let held = approve::held(desk).await?;
    let runs: Vec<i64> = pass.runs.iter().filter(|run| !held.contains(run)).copied().collect();
    let rows = desk.left(&runs).await?;
    let mut is_halted = false;
    verify::announce(desk, &runs).await?;
    if rows > 0 {
        desk.engine.check_identity(stop).await?;
        let progress = desk.engine.progress();
        let drain = Box::pin(drain(how, &runs, desk, stop));
        let drained =
            show(screen, desk.engine.account(), progress, rows, desk.pace(), &desk.workshop.clock, drain)
                .await;
        match drained {
            Ok(DrainEnd::Done) => {}
            Ok(DrainEnd::Stopped) => return Err(EngineError::Stopped),
            // What was done until then is told all the same.
            Err(error @ EngineError::Halted { .. }) => {
                desk.engine.stand_still(&error).await;
                pass.exit = pass.exit.max(Some(Exit::of_engine(&error)));
                out::talk(&explain_std(error));
                is_halted = true;
            }
            Err(error) => return Err(error),
        }
    }
    desk.engine.drop_canceled().await?;
    if !is_halted {
        verify::prove(desk, &runs, rows > 0, screen, stop).await?;
    }
    for run in &runs {
        desk.engine.finish_run(*run).await?;
    }
    if how.everything
        && let Some(mut folder) = open_folder(desk)?
    {
        desk.engine.folder_pass(&mut folder, stop).await?;
    }
    Ok(pass)
}

async fn drain(how: Sending, runs: &[i64], desk: &Desk<'_>, stop: &Stop) -> Result<DrainEnd, EngineError> {
    if how.everything {
        // Neither is cut off where the other ends: what has left is settled by who sent it.
        let (events, members) = tokio::join!(
            desk.engine.drain_events(Scope::All, false, stop),
            desk.engine.drain(Scope::All, false, stop)
        );
        return Ok(if events? == DrainEnd::Stopped { DrainEnd::Stopped } else { members? });
    }
    Box::pin(desk.drain(runs, stop)).await
}

pub(super) async fn report(global: &Global, desks: &[Desk<'_>], pass: &Pass) -> anyhow::Result<Exit> {
    let Some(Desk { workshop, .. }) = desks.first() else { return Ok(Exit::Ok) };
    let mut summaries = Vec::new();
    for run in &pass.runs {
        let is_earlier = pass.earlier.contains(run);
        let summary = Summary::read(&workshop.store, *run, workshop.clock.now()).await?;
        summaries.extend(summary.map(|summary| Summary { is_earlier, ..summary }));
    }
    let mut worst = summaries.iter().map(Summary::exit).max().max(pass.exit).unwrap_or(Exit::Ok);
    // Whatever a pass is about, events that earlier ones have left in doubt are not forgotten.
    for desk in desks {
        if workshop.store.event_depth(desk.engine.account()).await?.unknown > 0 {
            worst = worst.max(Exit::Unknown);
        }
    }
    out::result(
        global.output,
        || match summaries.as_slice() {
            [] if pass.exit.is_some() => "nothing was done".to_owned(),
            [] => "nothing to do".to_owned(),
            summaries => {
                let texts: Vec<String> =
                    summaries.iter().map(|summary| summary.text(&workshop.program)).collect();
                texts.join("\n\n")
            }
        },
        || json!({ "runs": summaries.iter().map(Summary::json).collect::<Vec<_>>() }),
    )?;
    Ok(worst)
}

/// Nothing is left behind but what is named here.
pub(super) fn name_what_stays(workshop: &Workshop) {
    let database = &workshop.config.database;
    match &workshop.sandbox {
        Some(sandbox) => {
            let held = sandbox.snapshot();
            out::talk(&format!(
                "the built-in Luma held {} and {} after {}; the record of it all is in `{database}`",
                count(held.member_count as u64, "member"),
                count(held.event_count as u64, "event"),
                count(held.requests, "request")
            ));
        }
        None => out::talk(&format!("the record is in `{database}`")),
    }
}
