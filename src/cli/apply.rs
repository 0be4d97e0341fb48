//! `lumasync apply`: a plan carried out exactly, or refused because the world has moved.
//!
//! It is compared twice: before anything is taken in, and once all of it is, when its runs are held by their
//! gate. What is let go then is what was compared.

use super::approve::held;
use super::args::{ApplyArgs, Global, Selection};
use super::exit::Exit;
use super::intake::{Pass, open_folder, take_files};
use super::person::login;
use super::plan::look;
use super::plan_file::{PlanFile, read};
use super::progress::Screen;
use super::signals::Signals;
use super::sync::{self, Sending};
use super::workshop::{Desk, Workshop};
use super::{out, sources};
use crate::domain::state::RunStatus;
use crate::engine::{Engine, EngineError, Stop};

/// The command.
pub(super) async fn run(global: &Global, args: &ApplyArgs) -> anyhow::Result<Exit> {
    let plan = read(&args.plan)?;
    let what = plan.selection(&args.sandbox);
    let Some(workshop) = sync::open(global, &what).await? else { return Ok(Exit::Usage) };
    let (signals, stop) = Signals::listen(workshop.config.shutdown.grace, workshop.clock.clone())?;
    let result = Box::pin(carry_out(global, &plan, &what, &workshop, &stop)).await;
    workshop.close_after(result, &signals).await
}

async fn carry_out(
    global: &Global,
    plan: &PlanFile,
    what: &Selection,
    workshop: &Workshop,
    stop: &Stop,
) -> anyhow::Result<Exit> {
    let moved = plan.moved(&Box::pin(look(what, workshop, stop)).await?);
    if !moved.is_empty() {
        out::talk(
            "error: the world has moved since the plan was made; nothing was taken in, nothing is sent",
        );
        tell(&moved);
        out::talk("hint: plan once more, look at it, and apply that");
        return Ok(Exit::Failed);
    }
    let alive = workshop.fleet.spawn_keep_alive(stop);
    let applied = Box::pin(apply(plan, what, workshop, stop)).await;
    alive.abort();
    let passes = applied?;
    sync::report(global, &workshop.desks(), &passes).await
}

async fn apply(plan: &PlanFile, what: &Selection, workshop: &Workshop, stop: &Stop) -> anyhow::Result<Pass> {
    let desks = workshop.desks();
    let engines: Vec<Engine> = desks.iter().map(|desk| desk.engine.as_planned()).collect();
    let mut passes = Vec::new();
    for (desk, engine) in desks.iter().zip(&engines) {
        let desk =
            Desk { workshop, engine, account: desk.account.clone(), is_new_origin: desk.is_new_origin };
        if desk.is_new_origin {
            engine.check_identity(stop).await?;
        }
        let earlier = held(&desk).await?;
        let mut pass = Box::pin(take_in(what, &desk, stop)).await?;
        let mut own = Vec::new();
        for run in pass.runs.iter().filter(|run| !earlier.contains(run)) {
            // What others have begun, left, held or let go is not of this plan.
            let found = workshop.store.run(*run).await?;
            if found.is_some_and(|run| run.planned && run.approved.is_none()) {
                engine.release(*run).await?;
                own.push(*run);
            }
        }
        pass.runs = own;
        passes.push(pass);
    }
    let runs: Vec<i64> = passes.iter().flat_map(|pass| pass.runs.iter().copied()).collect();
    let refused = confirm(plan, &runs, workshop, &engines).await?;
    let screen = Screen::of(desks.len());
    let mut whole = Pass { exit: refused, ..Pass::default() };
    for (desk, pass) in desks.iter().zip(passes) {
        if refused.is_none() {
            let how = Sending { everything: false, yes: false };
            whole.add(sync::send(how, pass, desk, &screen, stop).await?);
            desk.engine.put_away(stop).await?;
        } else {
            whole.add(pass);
        }
    }
    Ok(whole)
}

async fn take_in(what: &Selection, desk: &Desk<'_>, stop: &Stop) -> Result<Pass, EngineError> {
    if !what.names_nothing() {
        return take_files(what, desk, stop).await;
    }
    let mut pass = Pass::default();
    if let Some(mut folder) = open_folder(desk)? {
        let patience = desk.workshop.config.folder.settle * 3 + std::time::Duration::from_secs(1);
        let until = desk.workshop.clock.now().plus(patience);
        loop {
            let (runs, waiting) = desk.engine.folder_pass(&mut folder, stop).await?;
            pass.runs.extend(runs);
            if waiting == 0 || desk.workshop.clock.now() > until {
                break;
            }
            desk.workshop.clock.sleep(desk.workshop.config.folder.poll).await;
        }
    }
    sources::take(None, desk, stop, &mut pass).await?;
    Ok(pass)
}

/// Lets the runs go, all of them, where they are what the plan says, all of it. Otherwise they stay held, and how
/// the command ends is given back.
async fn confirm(
    plan: &PlanFile,
    runs: &[i64],
    workshop: &Workshop,
    engines: &[Engine],
) -> anyhow::Result<Option<Exit>> {
    let mut found = Vec::new();
    for run in runs {
        let Some(run) = workshop.store.run(*run).await? else { continue };
        let Some(engine) = engines.iter().find(|engine| engine.account() == run.account) else { continue };
        let digest = engine.audience_of(run.id).await?.to_string();
        found.push((run, digest));
    }
    let mut moved = plan.unlike(&found);
    if moved.is_empty() {
        let person = login().map_or_else(|| "apply".to_owned(), |login| format!("{login} (apply)"));
        if workshop.store.approve_runs(runs, &person, workshop.clock.now()).await? {
            return Ok(None);
        }
        moved.push("somebody else has let go or given up a run of it".to_owned());
    }
    let mut held = Vec::new();
    for run in runs {
        let found = workshop.store.run(*run).await?;
        held.extend(found.filter(|run| run.status == RunStatus::Held).map(|run| run.id.to_string()));
    }
    let (said, exit) = match held.as_slice() {
        [] => (String::new(), Exit::Failed),
        [run] => (format!("; its run {run} is held"), Exit::Held),
        runs => (format!("; its runs {} are held", runs.join(", ")), Exit::Held),
    };
    out::talk(&format!(
        "error: the world has moved while the plan was carried out; it lets nothing go{said}"
    ));
    tell(&moved);
    Ok(Some(exit))
}

fn tell(moved: &[String]) {
    for moved in moved {
        out::talk(&format!("  {moved}"));
    }
}
