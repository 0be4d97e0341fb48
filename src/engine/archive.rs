//! What is left beside a file of the folder: success, rejects and receipt, and its place in the archive.
//!
//! Each step can be repeated: a crash between any two leaves work for the next look, never a lost file. A
//! file whose rows were brought back by a retry lies in the archive already; its result files are written anew.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::mpsc;

use super::lines::UnkeptLine;
use super::places::{Results, archived_names};
use super::unkept::send_unkept;
use super::{Engine, EngineError};
use crate::domain::state::{Kind, RunStatus};
use crate::ingest::folder::{Layout, free_name, move_to};
use crate::ingest::{Outcome, ReadOptions, identity, is_jsonl, write_results};
use crate::store::{FileState, InputFile, LineOutcome, RunReport};

/// Outcomes on their way from the database to the writer.
const IN_TRANSIT: usize = 4_096;

impl Engine {
    /// Puts away a file whose run has ended: result files first, the file itself last.
    pub(super) async fn archive(&self, file: &InputFile, layout: &Layout) -> Result<(), EngineError> {
        let Some(run) = self.store.run(file.run_id).await? else { return Ok(()) };
        let has_ended = match run.status {
            RunStatus::Succeeded | RunStatus::Partial => true,
            // Halted, its rows wait; broken, there is nothing to wait for; canceled, some may be in a request.
            RunStatus::Failed | RunStatus::Canceled => !self.store.has_work(run.id).await?,
            RunStatus::Queued | RunStatus::Running | RunStatus::Held => false,
        };
        if file.state != FileState::Taken || !has_ended {
            return Ok(());
        }
        let report = self.report(file.run_id).await?;
        let dir = layout.done(&report.run.created_at.day());
        std::fs::create_dir_all(&dir).map_err(EngineError::io("create", &dir))?;
        let (known, to) = (file.clone(), dir.clone());
        let source = tokio::task::spawn_blocking(move || find(&known, &to)).await?;
        let written = if let Some(source) = &source {
            Some(self.write_results(file, report.run.kind, source, &dir).await?)
        } else {
            tracing::warn!(
                run = file.run_id,
                "the file was taken away or changed; only its receipt is written"
            );
            None
        };
        let may_come_back = report.counts.failed + report.counts.missing > 0
            || self.store.unproved(file.run_id).await?.is_any();
        let target = source.as_ref().map(|source| target(file, source, &dir));
        let (known, to) = (file.clone(), target.clone());
        tokio::task::spawn_blocking(move || show(&known, &report, &dir, written.as_ref(), to.as_deref()))
            .await?
            .map_err(EngineError::io("write the result files of", Path::new(&file.path)))?;
        if let (Some(source), Some(target)) = (source, &target)
            && source != *target
        {
            let (from, to) = (source.clone(), target.clone());
            tokio::task::spawn_blocking(move || move_to(&from, &to))
                .await?
                .map_err(EngineError::io("move", &source))?;
        }
        let path = target.unwrap_or_else(|| PathBuf::from(&file.path));
        self.store.move_file(file.id, &path.to_string_lossy(), FileState::Archived).await?;
        // While a retry may come, the result files may have to be written once more.
        if !may_come_back {
            self.store.drop_unkept(file.run_id).await?;
        }
        tracing::info!(run = file.run_id, "the file is in the archive, with its result files");
        Ok(())
    }

    /// Writes both result files whole under hidden names.
    async fn write_results(
        &self,
        file: &InputFile,
        kind: Kind,
        source: &Path,
        dir: &Path,
    ) -> Result<Written, EngineError> {
        let (kept_to, kept) = mpsc::channel(IN_TRANSIT);
        let (unkept_to, unkept) = mpsc::channel(IN_TRANSIT);
        let rows = {
            let (store, run) = (self.store.clone(), file.run_id);
            tokio::spawn(async move { store.send_outcomes(run, kept_to).await })
        };
        let lines = {
            let (store, run, parts) = (self.store.clone(), file.run_id, file.parts);
            tokio::spawn(async move { send_unkept(&store, run, parts, unkept_to).await })
        };
        let written = {
            let (source, options) = (source.to_owned(), ReadOptions { kind, ..self.settings.read });
            let outcomes = merged(kept, unkept);
            let (dir, run_id) = (dir.to_owned(), file.run_id);
            tokio::task::spawn_blocking(move || write_both(&source, &options, outcomes, &dir, run_id)).await?
        };
        let written = written.map_err(EngineError::io("write the result files of", source))?;
        rows.await??;
        lines.await??;
        Ok(written)
    }
}

/// Where the bytes of a file are: at the place on record, or in the archive, where a crash forgot them.
fn find(file: &InputFile, dir: &Path) -> Option<PathBuf> {
    let mut names = archived_names(&file.name, file.run_id).map(|name| dir.join(name));
    let own = names.next();
    std::iter::once(PathBuf::from(&file.path))
        .chain(own)
        .chain(names.take_while(|path| path.exists()))
        .find(|path| identity(path).is_ok_and(|found| found.sha256 == file.sha256))
}

/// Where a file goes in the archive; a file that is there already stays where it is.
fn target(file: &InputFile, source: &Path, dir: &Path) -> PathBuf {
    let parent = source.parent().and_then(|parent| parent.canonicalize().ok());
    let is_there = parent.is_some() && parent == dir.canonicalize().ok();
    let free = || free_name(dir, archived_names(&file.name, file.run_id));
    if is_there { source.to_owned() } else { free().unwrap_or_else(|| dir.join(&file.name)) }
}

/// What a receipt says of a file that was taken in; `archive` is where the file lies from now on.
fn receipt(file: &InputFile, report: &RunReport, archive: Option<&Path>) -> serde_json::Value {
    let (run, counts) = (&report.run, &report.counts);
    json!({
        "run": run.id,
        "account": run.account,
        "file": file.name,
        "sha256": file.sha256,
        "status": run.status.as_str(),
        "reason": run.reason,
        "read_as": file.shape,
        "began_at": run.created_at.to_string(),
        "ended_at": run.finished_at.map(|at| at.to_string()),
        "requests": report.requests,
        "archive": archive.map(full),
        "rows": {
            "read": counts.read,
            "delivered": counts.delivered,
            "verified": counts.verified,
            "missing": counts.missing,
            "created": counts.created,
            "unknown": counts.unknown,
            "unchanged": counts.unchanged,
            "duplicate": counts.duplicate,
            "invalid": counts.invalid,
            "rejected": counts.rejected,
            "failed": counts.failed,
            "suppressed": counts.suppressed,
            "canceled": counts.canceled,
        },
    })
}

/// A path that says where it leads wherever it is read.
pub(super) fn full(path: &Path) -> String {
    std::path::absolute(path).as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

/// Writes JSON to a file that only its owner can read, whole under a hidden name first.
pub(super) fn write_private(path: &Path, content: &serde_json::Value) -> io::Result<()> {
    let hidden = hidden(path);
    let mut file = create_private(&hidden)?;
    writeln!(file, "{content:#}")?;
    file.sync_all()?;
    std::fs::rename(hidden, path)
}

/// The name under which a file is written before it is shown.
fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".{name}.part"))
}

fn create_private(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Result files under hidden names.
struct Written {
    success: PathBuf,
    /// Nothing where there is nothing to mend.
    rejects: Option<PathBuf>,
    ending: &'static str,
}

/// Writes both files whole under hidden names.
fn write_both(
    source: &Path,
    options: &ReadOptions,
    outcomes: impl Iterator<Item = (u64, Outcome)>,
    dir: &Path,
    run_id: i64,
) -> io::Result<Written> {
    let ending = if is_jsonl(source) { "jsonl" } else { "csv" };
    let [good, bad] = ["success", "rejects"].map(|kind| dir.join(format!(".{run_id}.{kind}.part")));
    let mut good_file = io::BufWriter::new(create_private(&good)?);
    let mut bad_file = io::BufWriter::new(create_private(&bad)?);
    let counts = write_results(source, options, outcomes, Some(&mut good_file), Some(&mut bad_file))
        .map_err(io::Error::other)?;
    for file in [good_file, bad_file] {
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    }
    if counts.rejects > 0 {
        return Ok(Written { success: good, rejects: Some(bad), ending });
    }
    std::fs::remove_file(bad)?;
    Ok(Written { success: good, rejects: None, ending })
}

/// Shows the result files and the receipt under the names that are theirs.
fn show(
    file: &InputFile,
    report: &RunReport,
    dir: &Path,
    written: Option<&Written>,
    archive: Option<&Path>,
) -> io::Result<()> {
    let mut receipt = receipt(file, report, archive);
    let same = |said: &serde_json::Value, key: &str| said[key] == receipt[key];
    let is_ours = |said: &serde_json::Value| ["run", "sha256", "began_at"].iter().all(|key| same(said, key));
    let (success, rejects) = written
        .as_ref()
        .map_or((None, None), |written| (Some(written.success.as_path()), written.rejects.as_deref()));
    let ending = written.map_or("csv", |written| written.ending);
    let places = Results::find(dir, &file.name, file.run_id, ending, is_ours, [success, rejects]);
    receipt["success"] = json!(success.map(|_| full(&places.success)));
    receipt["rejects"] = json!(rejects.map(|_| full(&places.rejects)));
    if let Some(success) = success {
        std::fs::rename(success, &places.success)?;
        match rejects {
            Some(rejects) => std::fs::rename(rejects, &places.rejects)?,
            // Nothing to mend any longer, where a retry has ended well.
            None => remove(&places.rejects)?,
        }
    }
    write_private(&places.receipt, &receipt)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Both streams as one, in order of line, in the words of the result files.
fn merged(
    mut kept: mpsc::Receiver<LineOutcome>,
    mut unkept: mpsc::Receiver<UnkeptLine>,
) -> impl Iterator<Item = (u64, Outcome)> {
    let mut row = None;
    let mut line = None;
    std::iter::from_fn(move || {
        // Of an event in doubt there is nothing to tell yet: the files are written anew once there is.
        let mut next_row = || std::iter::from_fn(|| kept.blocking_recv()).find(|row| row.state != "unknown");
        row = row.take().or_else(&mut next_row);
        line = line.take().or_else(|| unkept.blocking_recv());
        let is_row_first = match (&row, &line) {
            (Some(row), Some(line)) => row.line.unsigned_abs() < line.line,
            (row, _) => row.is_some(),
        };
        if is_row_first { row.take().map(of_row) } else { line.take().map(of_line) }
    })
}

fn of_row(row: LineOutcome) -> (u64, Outcome) {
    let good = matches!(row.state.as_str(), "delivered" | "verified" | "created" | "unchanged" | "duplicate");
    let outcome = Outcome {
        good,
        code: Cow::Owned(row.code.unwrap_or(row.state)),
        reason: row.reason.unwrap_or_default(),
        api_id: row.api_id,
    };
    (row.line.unsigned_abs(), outcome)
}

fn of_line(line: UnkeptLine) -> (u64, Outcome) {
    let (code, reason) = match line.twin {
        0 => ("unchanged", String::new()),
        twin => ("duplicate", format!("same person as line {twin}")),
    };
    (line.line, Outcome { good: true, code: Cow::Borrowed(code), reason, api_id: None })
}
