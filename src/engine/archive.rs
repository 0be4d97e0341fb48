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

use super::lines::{UnkeptLine, unpack};
use super::merge::Merge;
use super::{Engine, EngineError};
use crate::domain::state::{Kind, RunStatus};
use crate::ingest::folder::{Layout, move_into, split_name};
use crate::ingest::{Outcome, ReadOptions, identity, is_jsonl, write_results};
use crate::store::{FileState, InputFile, LineOutcome, RunReport, Store};

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
        if let Some(source) = &source {
            self.write_results(file, report.run.kind, source, &dir).await?;
        }
        write_private(&place(file, &dir, "receipt.json"), &receipt(file, &report, &dir))
            .map_err(EngineError::io("write a receipt in", &dir))?;
        let target = match source {
            Some(source) if !is_in(&source, &dir) => {
                let (from, to, name) = (source.clone(), dir, file.name.clone());
                tokio::task::spawn_blocking(move || move_into(&from, &to, name.as_ref()))
                    .await?
                    .map_err(EngineError::io("move", &source))?
            }
            Some(source) => source,
            None => {
                tracing::warn!(
                    run = file.run_id,
                    "the file was taken away or changed; only its receipt is written"
                );
                dir.join(&file.name)
            }
        };
        self.store.move_file(file.id, &target.to_string_lossy(), FileState::Archived).await?;
        // While a retry may come, the result files may have to be written once more.
        if report.counts.failed == 0 {
            self.store.drop_unkept(file.run_id).await?;
        }
        tracing::info!(run = file.run_id, "the file is in the archive, with its result files");
        Ok(())
    }

    async fn write_results(
        &self,
        file: &InputFile,
        kind: Kind,
        source: &Path,
        dir: &Path,
    ) -> Result<(), EngineError> {
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
        let ending = if is_jsonl(source) { "jsonl" } else { "csv" };
        let [success, rejects] =
            ["success", "rejects"].map(|name| place(file, dir, &format!("{name}.{ending}")));
        let written = {
            let (source, options) = (source.to_owned(), ReadOptions { kind, ..self.settings.read });
            let outcomes = merged(kept, unkept);
            tokio::task::spawn_blocking(move || write_both(&source, &options, outcomes, &success, &rejects))
                .await?
        };
        written.map_err(EngineError::io("write the result files of", source))?;
        rows.await??;
        lines.await??;
        Ok(())
    }
}

/// Where the bytes of a file are: at the place on record, or in the archive, where a crash forgot them.
fn find(file: &InputFile, dir: &Path) -> Option<PathBuf> {
    let (stem, end) = split_name(&file.name);
    let numbered = (2..).map(|number| dir.join(format!("{stem}.{number}{end}")));
    let archived = std::iter::once(dir.join(&file.name)).chain(numbered).take_while(|path| path.exists());
    std::iter::once(PathBuf::from(&file.path))
        .chain(archived)
        .find(|path| identity(path).is_ok_and(|found| found.sha256 == file.sha256))
}

fn is_in(path: &Path, dir: &Path) -> bool {
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    parent.is_some() && parent == dir.canonicalize().ok()
}

/// Where a result file of this kind goes.
fn place(file: &InputFile, dir: &Path, kind: &str) -> PathBuf {
    let (stem, _) = split_name(&file.name);
    dir.join(format!("{stem}.{}.{kind}", file.run_id))
}

/// What a receipt says of a file that was taken in.
fn receipt(file: &InputFile, report: &RunReport, dir: &Path) -> serde_json::Value {
    let (run, counts) = (&report.run, &report.counts);
    json!({
        "run": run.id,
        "file": file.name,
        "sha256": file.sha256,
        "status": run.status.as_str(),
        "reason": run.reason,
        "read_as": file.shape,
        "began_at": run.created_at.to_string(),
        "ended_at": run.finished_at.map(|at| at.to_string()),
        "requests": report.requests,
        "archive": dir.display().to_string(),
        "rows": {
            "read": counts.read,
            "delivered": counts.delivered,
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

/// Writes both files whole under hidden names, then shows them.
fn write_both(
    source: &Path,
    options: &ReadOptions,
    outcomes: impl Iterator<Item = (u64, Outcome)>,
    success: &Path,
    rejects: &Path,
) -> io::Result<()> {
    let (good, bad) = (hidden(success), hidden(rejects));
    let mut good_file = io::BufWriter::new(create_private(&good)?);
    let mut bad_file = io::BufWriter::new(create_private(&bad)?);
    let counts = write_results(source, options, outcomes, Some(&mut good_file), Some(&mut bad_file))
        .map_err(io::Error::other)?;
    let show = |writer: io::BufWriter<File>, from: &Path, to: &Path| {
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(from, to)
    };
    show(good_file, &good, success)?;
    if counts.rejects > 0 {
        return show(bad_file, &bad, rejects);
    }
    // Nothing to mend: neither now, nor any longer where a retry has ended well.
    drop(bad_file);
    for path in [bad.as_path(), rejects] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Sends the lines that are not kept, in order, part by part joined.
async fn send_unkept(
    store: &Store,
    run_id: i64,
    parts: u32,
    to: mpsc::Sender<UnkeptLine>,
) -> Result<(), EngineError> {
    let mut merge = Merge::default();
    for part in 0..parts {
        refill(store, run_id, part, 0, &mut merge).await?;
    }
    while let Some((line, emptied)) = merge.next() {
        if to.send(line).await.is_err() {
            break;
        }
        if let Some((part, chunk)) = emptied {
            refill(store, run_id, part, chunk + 1, &mut merge).await?;
        }
    }
    Ok(())
}

async fn refill(
    store: &Store,
    run_id: i64,
    part: u32,
    chunk: u32,
    merge: &mut Merge,
) -> Result<(), EngineError> {
    if let Some(packed) = store.unkept_chunk(run_id, part, chunk).await? {
        let broken = || crate::store::StoreError::Corrupt {
            table: "unkept_lines",
            column: "lines",
            value: format!("run {run_id}, part {part}, chunk {chunk}"),
        };
        merge.add(part, chunk, unpack(&packed).ok_or_else(broken)?);
    }
    Ok(())
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
    let good = matches!(row.state.as_str(), "delivered" | "created" | "unchanged" | "duplicate");
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

impl Engine {
    /// The first duplicates of a run as (line, line of the twin), where they are still known.
    pub async fn first_duplicates(
        store: &Store,
        run_id: i64,
        limit: usize,
    ) -> Result<Vec<(u64, u64)>, EngineError> {
        let Some(file) = store.file_of_run(run_id).await? else { return Ok(Vec::new()) };
        let (to, mut lines) = mpsc::channel(IN_TRANSIT);
        let sender = {
            let store = store.clone();
            tokio::spawn(async move { send_unkept(&store, run_id, file.parts, to).await })
        };
        let mut found = Vec::new();
        while found.len() < limit {
            match lines.recv().await {
                Some(line) if line.twin > 0 => found.push((line.line, line.twin)),
                Some(_) => {}
                None => break,
            }
        }
        drop(lines);
        sender.await??;
        Ok(found)
    }
}
