//! `lumasync sync`: one pass now, to the end.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::args::{Global, KindChoice, SyncArgs};
use super::context::{Task, Workshop, resolve_tags};
use super::exit::Exit;
use super::explain::explain_std;
use super::out;
use super::progress::{Pace, show};
use super::signals::Signals;
use super::summary::Summary;
use super::words::{count, moment};
use crate::domain::state::Kind;
use crate::domain::tag::TagSet;
use crate::engine::{DrainEnd, DropFolder, EngineError, MAIN_ACCOUNT, Stop, Taken, Taking, printable};
use crate::store::{FileState, RunSource, Scope, StoreError};

/// How long another process that takes in the same file is left alone.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a pass has come to so far.
#[derive(Debug, Default)]
struct Pass {
    /// The runs that belong to it.
    runs: Vec<i64>,
    /// Those of them that had ended before it.
    earlier: Vec<i64>,
    /// The worst that happened to an input.
    exit: Option<Exit>,
}

/// The command.
pub(super) async fn run(global: &Global, args: &SyncArgs) -> anyhow::Result<Exit> {
    let Some(tags) = resolve_tags(global, args)? else { return Ok(Exit::Usage) };
    let task = if args.files.is_empty() { Task::Everything } else { Task::Files };
    let workshop = Workshop::open(global, &args.sandbox, task).await?;
    let (signals, stop) = Signals::listen(workshop.config.shutdown.grace, workshop.clock.clone())?;
    let result = pass(global, args, &tags, &workshop, &stop).await;
    name_what_stays(&workshop);
    let closed = workshop.close().await;
    let exit = match (result, signals.exit()) {
        (Err(error), Some(signal)) if matches!(error.downcast_ref(), Some(EngineError::Stopped)) => {
            out::talk(&super::explain::explain(&error));
            signal
        }
        (result, signal) => {
            let exit = result?;
            signal.unwrap_or(exit)
        }
    };
    closed?;
    Ok(exit)
}

async fn pass(
    global: &Global,
    args: &SyncArgs,
    tags: &TagSet,
    workshop: &Workshop,
    stop: &Stop,
) -> anyhow::Result<Exit> {
    let alive = workshop.engine.spawn_keep_alive(stop);
    if workshop.is_new_origin {
        // What the ledger calls delivered may be somebody else's: asked before it is believed.
        workshop.engine.check_identity(stop).await?;
    }
    let taken = if args.files.is_empty() {
        take_everything(workshop, stop).await
    } else {
        take_files(args, tags, workshop, stop).await
    };
    let sent = match taken {
        Ok(pass) => send(args, pass, workshop, stop).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &sent {
        workshop.engine.stand_still(error).await;
    }
    alive.abort();
    let pass = sent?;
    report(global, workshop, &pass).await
}

async fn take_files(
    args: &SyncArgs,
    tags: &TagSet,
    workshop: &Workshop,
    stop: &Stop,
) -> Result<Pass, EngineError> {
    let mut pass = Pass::default();
    for path in &args.files {
        // It is read more than once: what a pipe holds is gone after the first time.
        if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            let path = printable(&path.to_string_lossy());
            out::talk(&format!("error: `{path}` is no regular file\nhint: write it to a file and sync that"));
            pass.exit = pass.exit.max(Some(Exit::Failed));
            continue;
        }
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let taking = Taking {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path,
            source: RunSource::File,
            extra_tags: tags.clone(),
            again: args.again,
        };
        let kind = match args.kind {
            KindChoice::Members => Kind::Members,
            KindChoice::Events => Kind::Events,
        };
        match take_in(kind, &taking, workshop, stop).await {
            Ok(Taken::Now(file)) => {
                if let Some(shape) = &file.shape {
                    out::talk(&format!("`{}` read as {shape}", printable(&file.name)));
                }
                pass.runs.push(file.run_id);
            }
            Ok(Taken::Before(file)) => {
                let goes_on = taken_before(&taking.path, kind, file.run_id, workshop).await?;
                if !pass.runs.contains(&file.run_id) {
                    pass.runs.push(file.run_id);
                    pass.earlier.extend((!goes_on).then_some(file.run_id));
                }
            }
            Err(EngineError::Stopped) => return Err(EngineError::Stopped),
            Err(error) => {
                let exit = Exit::of_engine(&error);
                out::talk(&explain_std(error));
                pass.exit = pass.exit.max(Some(exit));
            }
        }
    }
    Ok(pass)
}

/// Takes in a file. Where another process takes in the same one, both go on from where the other is; each
/// part is written once.
async fn take_in(
    kind: Kind,
    taking: &Taking,
    workshop: &Workshop,
    stop: &Stop,
) -> Result<Taken, EngineError> {
    loop {
        match workshop.engine.take_in(kind, taking, stop).await {
            Err(EngineError::Store(StoreError::Lost { .. })) if !stop.is_requested() && !taking.again => {
                workshop.clock.sleep(LOOK_AGAIN).await;
            }
            taken => return taken,
        }
    }
}

/// The same bytes again: work that was left goes on, and nothing else is sent. Whether there was any.
async fn taken_before(
    path: &Path,
    kind: Kind,
    run_id: i64,
    workshop: &Workshop,
) -> Result<bool, EngineError> {
    let Some(run) = workshop.store.run(run_id).await? else { return Ok(false) };
    let goes_on = workshop.store.has_work(run_id).await?;
    if goes_on {
        workshop.engine.resume_run(run_id).await?;
        out::talk(&format!("`{}` was taken in by run {run_id}, which is not done: going on", path.display()));
    } else {
        let again = match kind {
            Kind::Members => "takes them in once more; what is delivered already is not sent twice",
            Kind::Events => "makes each of these events once more, beside those that exist",
        };
        out::talk(&format!(
            "`{}` was taken in by run {run_id} at {}: the same bytes again send nothing\nhint: `--again` {again}",
            path.display(),
            moment(run.created_at)
        ));
    }
    Ok(goes_on)
}

/// No names: the folder, the queue, and whatever earlier runs have left.
async fn take_everything(workshop: &Workshop, stop: &Stop) -> Result<Pass, EngineError> {
    let mut pass = Pass::default();
    workshop.engine.end_doubts().await?;
    for run in workshop.store.stopped_runs().await? {
        let program = &workshop.program;
        out::talk(&format!(
            "run {run} stopped with rows still waiting: `{program} runs show {run}` says why; \
             `{program} retry --run {run}` lets it go on, `{program} runs cancel {run}` gives it up"
        ));
        pass.exit = Some(Exit::Failed);
    }
    for run in workshop.store.open_runs().await? {
        let is_taken =
            workshop.store.file_of_run(run.id).await?.is_none_or(|file| file.state != FileState::Taking);
        if is_taken {
            pass.runs.push(run.id);
        }
    }
    if let Some(mut folder) = open_folder(workshop)? {
        let patience = workshop.clock.now().plus(workshop.config.folder.settle * 3 + Duration::from_secs(1));
        loop {
            let (runs, waiting) = workshop.engine.folder_pass(&mut folder, stop).await?;
            pass.runs.extend(runs);
            if waiting == 0 {
                break;
            }
            if workshop.clock.now() > patience {
                out::talk(&format!(
                    "in the drop folder {} may still grow, left for the next time",
                    count(waiting as u64, "file")
                ));
                break;
            }
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
            workshop.clock.sleep(workshop.config.folder.poll.min(Duration::from_millis(500))).await;
        }
        if folder.failed() > 0 {
            out::talk(&format!(
                "{} of the drop folder cannot be taken in; `{} status` says why",
                count(folder.failed(), "file"),
                workshop.program
            ));
            pass.exit = Some(Exit::Failed);
        }
    }
    loop {
        match workshop.engine.take_event_queue().await {
            Ok(0) => break,
            // As below.
            Ok(_) | Err(EngineError::Store(StoreError::Lost { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    loop {
        match workshop.engine.take_queue(Duration::ZERO).await {
            Ok(0) => break,
            // There may be more; also where another process was first.
            Ok(_) | Err(EngineError::Store(StoreError::Lost { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    for run in workshop.store.open_runs().await? {
        if run.source == RunSource::Queue && !pass.runs.contains(&run.id) {
            pass.runs.push(run.id);
        }
    }
    pass.runs.sort_unstable();
    pass.runs.dedup();
    Ok(pass)
}

fn open_folder(workshop: &Workshop) -> Result<Option<DropFolder>, EngineError> {
    let Some(settings) = workshop.engine.folder_settings() else { return Ok(None) };
    let folder = DropFolder::open(settings)?;
    if folder.is_none() {
        out::talk(&format!(
            "`{}` is watched by another process, which takes in its files",
            settings.root.display()
        ));
    }
    Ok(folder)
}

async fn send(
    args: &SyncArgs,
    mut pass: Pass,
    workshop: &Workshop,
    stop: &Stop,
) -> Result<Pass, EngineError> {
    let mut rows = 0;
    for run in &pass.runs {
        rows += workshop.store.rows_to_send(*run).await?;
    }
    if rows > 0 {
        workshop.engine.check_identity(stop).await?;
        let rate = workshop.config.luma.rate_limit;
        let pace = Pace {
            rows_per_request: workshop.config.batch.max_rows,
            requests: rate.requests - rate.reserve,
            window: rate.window,
        };
        let progress = workshop.engine.progress();
        let draining = Box::pin(drain(args, &pass.runs, workshop, stop));
        let drained = show(progress, rows, pace, &workshop.clock, draining).await;
        match drained {
            Ok(DrainEnd::Done) => {}
            Ok(DrainEnd::Stopped) => return Err(EngineError::Stopped),
            // What was done until then is told all the same.
            Err(error @ EngineError::Halted { .. }) => {
                workshop.engine.stand_still(&error).await;
                pass.exit = pass.exit.max(Some(Exit::of_engine(&error)));
                out::talk(&explain_std(error));
            }
            Err(error) => return Err(error),
        }
    }
    workshop.engine.drop_canceled().await?;
    for run in &pass.runs {
        workshop.engine.finish_run(*run).await?;
    }
    if args.files.is_empty()
        && let Some(mut folder) = open_folder(workshop)?
    {
        workshop.engine.folder_pass(&mut folder, stop).await?;
    }
    Ok(pass)
}

async fn drain(
    args: &SyncArgs,
    runs: &[i64],
    workshop: &Workshop,
    stop: &Stop,
) -> Result<DrainEnd, EngineError> {
    if args.files.is_empty() {
        // Neither is cut off where the other ends: what has left is settled by who sent it.
        let (events, members) = tokio::join!(
            workshop.engine.drain_events(Scope::All, false, stop),
            workshop.engine.drain(Scope::All, false, stop)
        );
        return Ok(if events? == DrainEnd::Stopped { DrainEnd::Stopped } else { members? });
    }
    for run in runs {
        let end = match args.kind {
            KindChoice::Members => workshop.engine.drain(Scope::Run(*run), false, stop).await?,
            KindChoice::Events => workshop.engine.drain_events(Scope::Run(*run), false, stop).await?,
        };
        if end == DrainEnd::Stopped {
            return Ok(DrainEnd::Stopped);
        }
    }
    Ok(DrainEnd::Done)
}

async fn report(global: &Global, workshop: &Workshop, pass: &Pass) -> anyhow::Result<Exit> {
    let mut summaries = Vec::new();
    for run in &pass.runs {
        let is_earlier = pass.earlier.contains(run);
        let summary = Summary::read(&workshop.store, *run, workshop.clock.now()).await?;
        summaries.extend(summary.map(|summary| Summary { is_earlier, ..summary }));
    }
    let worst = summaries.iter().map(Summary::exit).max().max(pass.exit).unwrap_or(Exit::Ok);
    // Whatever a pass is about, events that earlier ones have left in doubt are not forgotten.
    let is_in_doubt = workshop.store.event_depth(MAIN_ACCOUNT).await?.unknown > 0;
    let worst = if is_in_doubt { worst.max(Exit::Unknown) } else { worst };
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
fn name_what_stays(workshop: &Workshop) {
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
