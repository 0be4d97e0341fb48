//! What a pass takes in for an account: files that were named, or the folder, the queues and what is left.
//!
//! Knows nothing of sending.

use std::path::Path;
use std::time::Duration;

use super::args::{KindChoice, Selection};
use super::exit::Exit;
use super::explain::explain_std;
use super::words::{count, moment};
use super::workshop::Desk;
use super::{approve, out, sources};
use crate::domain::state::{Kind, RunStatus};
use crate::domain::tag::TagSet;
use crate::engine::{DropFolder, EngineError, Stop, Taken, Taking, printable};
use crate::store::{FileState, PassState, Run, RunSource, StoreError};

/// How long another process that takes in the same file is left alone.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a pass has come to so far.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// The runs that belong to it.
    pub(super) runs: Vec<i64>,
    /// Those of them that had ended before it.
    pub(super) earlier: Vec<i64>,
    /// Those of them that were held before it.
    pub(super) held: Vec<i64>,
    /// The worst that happened to an input.
    pub(super) exit: Option<Exit>,
}

impl Pass {
    pub(super) fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.earlier.extend(other.earlier);
        self.held.extend(other.held);
        self.exit = self.exit.max(other.exit);
    }
}

pub(super) async fn take_files(args: &Selection, desk: &Desk<'_>, stop: &Stop) -> Result<Pass, EngineError> {
    let mut pass = Pass { held: approve::held(desk).await?, ..Pass::default() };
    let tags = desk.engine.resolve_tags(&args.tags, stop).await?;
    for path in &args.files {
        // It is read more than once: what a pipe holds is gone after the first time.
        if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            let path = printable(&path.to_string_lossy());
            out::talk(&format!("error: `{path}` is no regular file\nhint: write it to a file and sync that"));
            pass.exit = pass.exit.max(Some(Exit::Failed));
            continue;
        }
        let (kind, taking) = by_hand(path, args, &tags);
        match take_in(kind, &taking, desk, stop).await {
            Ok(Taken::Now(file)) => {
                if let Some(shape) = &file.shape {
                    out::talk(&format!("`{}` read as {shape}", printable(&file.name)));
                }
                pass.runs.push(file.run_id);
            }
            Ok(Taken::Before(file)) => {
                let goes_on = taken_before(&taking.path, kind, file.run_id, desk).await?;
                // Whoever names the file means its run.
                pass.held.retain(|run| *run != file.run_id);
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
    if !args.sources.is_empty() {
        sources::take(Some(&args.sources), desk, stop, &mut pass).await?;
    }
    Ok(pass)
}

/// A file that was named, and how it is taken in.
pub(super) fn by_hand(path: &Path, args: &Selection, tags: &TagSet) -> (Kind, Taking) {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
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
    (kind, taking)
}

/// Takes in a file. Where another process takes in the same one, both go on from where the other is; each
/// part is written once.
async fn take_in(kind: Kind, taking: &Taking, desk: &Desk<'_>, stop: &Stop) -> Result<Taken, EngineError> {
    loop {
        match desk.engine.take_in(kind, taking, stop).await {
            Err(EngineError::Store(StoreError::Lost { .. })) if !stop.is_requested() && !taking.again => {
                desk.workshop.clock.sleep(LOOK_AGAIN).await;
            }
            taken => return taken,
        }
    }
}

/// The same bytes again: work that was left goes on, and nothing else is sent. Whether there was any.
async fn taken_before(path: &Path, kind: Kind, run_id: i64, desk: &Desk<'_>) -> Result<bool, EngineError> {
    let Some(run) = desk.workshop.store.run(run_id).await? else { return Ok(false) };
    if run.status == RunStatus::Held {
        out::talk(&format!("`{}` was taken in by run {run_id}, which is held", path.display()));
        return Ok(true);
    }
    let is_in_doubt = desk.engine.looks_left(run_id).await? > 0;
    let goes_on = is_in_doubt || desk.workshop.store.has_work(run_id).await?;
    if goes_on {
        desk.engine.resume_run(run_id).await?;
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

/// No names: the folder, every source, the queue, and whatever earlier runs have left.
pub(super) async fn take_everything(desk: &Desk<'_>, stop: &Stop) -> Result<Pass, EngineError> {
    let mut pass = Pass { held: approve::held(desk).await?, ..Pass::default() };
    desk.engine.end_doubts().await?;
    for run in desk.workshop.store.stopped_runs(Some(desk.engine.account())).await? {
        let program = &desk.workshop.program;
        out::talk(&format!(
            "run {run} stopped with rows still waiting: `{program} runs show {run}` says why; \
             `{program} retry --run {run}` lets it go on, `{program} runs cancel {run}` gives it up"
        ));
        pass.exit = Some(Exit::Failed);
    }
    for run in open_runs(desk).await? {
        let is_taken =
            desk.workshop.store.file_of_run(run.id).await?.is_none_or(|file| file.state != FileState::Taking);
        let is_passed =
            desk.workshop.store.pass_of_run(run.id).await?.is_none_or(|pass| pass.state != PassState::Taking);
        if is_taken && is_passed {
            pass.runs.push(run.id);
        }
    }
    if let Some(mut folder) = open_folder(desk)? {
        let patience =
            desk.workshop.clock.now().plus(desk.workshop.config.folder.settle * 3 + Duration::from_secs(1));
        loop {
            let (runs, waiting) = desk.engine.folder_pass(&mut folder, stop).await?;
            pass.runs.extend(runs);
            if waiting == 0 {
                break;
            }
            if desk.workshop.clock.now() > patience {
                out::talk(&format!(
                    "in the drop folder {} may still grow, left for the next time",
                    count(waiting as u64, "file")
                ));
                break;
            }
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
            desk.workshop.clock.sleep(desk.workshop.config.folder.poll.min(Duration::from_millis(500))).await;
        }
        if folder.failed() > 0 {
            out::talk(&format!(
                "{} of the drop folder cannot be taken in; `{} status` says why",
                count(folder.failed(), "file"),
                desk.workshop.program
            ));
            pass.exit = Some(Exit::Failed);
        }
    }
    sources::take(None, desk, stop, &mut pass).await?;
    loop {
        match desk.engine.take_event_queue().await {
            Ok(0) => break,
            // As below.
            Ok(_) | Err(EngineError::Store(StoreError::Lost { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    loop {
        match desk.engine.take_queue(Duration::ZERO, stop).await {
            Ok(0) => break,
            // There may be more; also where another process was first.
            Ok(_) | Err(EngineError::Store(StoreError::Lost { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    desk.engine.lay_queue(Duration::ZERO).await?;
    for run in open_runs(desk).await? {
        if run.source == RunSource::Queue && !pass.runs.contains(&run.id) {
            pass.runs.push(run.id);
        }
    }
    pass.runs.extend(desk.engine.runs_to_look_for().await?);
    pass.runs.sort_unstable();
    pass.runs.dedup();
    Ok(pass)
}

/// The runs of the account that have not ended.
async fn open_runs(desk: &Desk<'_>) -> Result<Vec<Run>, EngineError> {
    let mut runs = desk.workshop.store.open_runs().await?;
    runs.retain(|run| run.account == desk.engine.account());
    Ok(runs)
}

pub(super) fn open_folder(desk: &Desk<'_>) -> Result<Option<DropFolder>, EngineError> {
    let Some(settings) = desk.engine.folder_settings() else { return Ok(None) };
    let folder = DropFolder::open(settings)?;
    if folder.is_none() {
        out::talk(&format!(
            "`{}` is watched by another process, which takes in its files",
            settings.root.display()
        ));
    }
    Ok(folder)
}
