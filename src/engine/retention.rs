//! What has ended long ago goes: rows and requests in small steps, archived files one after the other.
//!
//! Work goes on meanwhile: each step is a short transaction, with a pause behind it. What goes is said by
//! `domain/retention.rs`, what may go by the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::error::chain;
use super::{Engine, EngineError, Stop};
use crate::clock::{Clock, Time};
use crate::domain::retention::Before;
use crate::store::{FileState, PruneCounts, PruneStep, Store};

/// How often the service looks for what has become old.
const EVERY: Duration = Duration::from_hours(1);
/// Between two steps, so that whoever waits for the database has it.
const PAUSE: Duration = Duration::from_millis(20);
/// Runs looked up at a time.
const RUNS: u32 = 100;
const RECEIPT: &str = ".receipt.json";

/// What was pruned, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// In the database.
    pub counts: PruneCounts,
    /// Files of the archive.
    pub files: u64,
}

/// What pruning would take.
pub async fn prunable(store: &Store, before: Before, root: Option<&Path>) -> Result<Pruned, EngineError> {
    let counts = store.count_prunable(before.rows, before.attempts).await?;
    let mut files = 0;
    for archived in old_files(store, before.archive, root).await? {
        files += archived.iter().filter(|path| path.exists()).count() as u64;
    }
    Ok(Pruned { counts, files })
}

/// Removes what ended before these moments, until all of it is gone or it is told to stop.
pub async fn prune(
    store: &Store,
    clock: &Clock,
    before: Before,
    root: Option<&Path>,
    stop: &Stop,
) -> Result<Pruned, EngineError> {
    let mut pruned = Pruned::default();
    // Before their rows: what can be retried is known by these.
    for archived in old_files(store, before.archive, root).await? {
        for path in archived {
            match remove(&path) {
                Ok(was_there) => pruned.files += u64::from(was_there),
                // Its receipt stays with it, so that the next time finds it; all else goes on.
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "an archived file could not be removed");
                    break;
                }
            }
        }
    }
    let counts = &mut pruned.counts;
    if let Some(before) = before.rows {
        while !stop.is_requested() {
            let runs = store.prunable_runs(before, RUNS).await?;
            if runs.is_empty() {
                break;
            }
            for run in runs {
                counts.runs += 1;
                while let PruneStep::Rows(rows) = store.prune_run(run, before).await? {
                    counts.rows += rows;
                    clock.sleep(PAUSE).await;
                    if stop.is_requested() {
                        return Ok(pruned);
                    }
                }
            }
        }
        counts.fires += in_steps(clock, stop, async || store.prune_fires(before).await).await?;
    }
    for account in store.accounts().await? {
        let Some(before) = before.attempts else { break };
        counts.attempts +=
            in_steps(clock, stop, async || store.prune_attempts(&account.name, before).await).await?;
    }
    Ok(pruned)
}

/// Repeats a step until it finds nothing more to do.
async fn in_steps(
    clock: &Clock,
    stop: &Stop,
    take: impl AsyncFn() -> Result<u64, crate::store::StoreError>,
) -> Result<u64, EngineError> {
    let mut all = 0;
    while !stop.is_requested() {
        match take().await? {
            0 => break,
            taken => all += taken,
        }
        clock.sleep(PAUSE).await;
    }
    Ok(all)
}

/// The files of each archived input that is old enough: what its receipt names, and the receipt last, so that a
/// crash between two of them is gone on with.
async fn old_files(
    store: &Store,
    before: Option<Time>,
    root: Option<&Path>,
) -> Result<Vec<Vec<PathBuf>>, EngineError> {
    let (Some(before), Some(root)) = (before, root) else { return Ok(Vec::new()) };
    let (root, day) = (root.to_owned(), before.day());
    let receipts = tokio::task::spawn_blocking(move || old_receipts(&root, &day)).await?;
    let mut old = Vec::new();
    for (path, said) in receipts {
        let Some(run_id) = said["run"].as_i64() else { continue };
        let (Some(run), Some(file)) = (store.run(run_id).await?, store.file_of_run(run_id).await?) else {
            continue;
        };
        // Another database's run may have the same number.
        let is_ours = said["began_at"].as_str() == Some(run.created_at.to_string().as_str())
            && said["sha256"].as_str() == Some(file.sha256.as_str());
        if is_ours && file.state == FileState::Archived && store.is_final(run_id).await? {
            let named = ["archive", "success", "rejects"].map(|key| said[key].as_str().map(PathBuf::from));
            let beside = |named: &PathBuf| named.file_name().map(|name| path.with_file_name(name));
            let mut files: Vec<PathBuf> = named.iter().flatten().filter_map(beside).collect();
            files.push(path);
            old.push(files);
        }
    }
    Ok(old)
}

/// The receipts of days before this one, in the archives of all accounts.
fn old_receipts(root: &Path, day: &str) -> Vec<(PathBuf, Value)> {
    let is_account =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('@'));
    let roots = std::iter::once(root.to_owned()).chain(entries(root).filter(is_account));
    let days = roots.flat_map(|root| entries(&root.join("done")).collect::<Vec<_>>());
    let is_old = |path: &PathBuf| path.file_name().is_some_and(|name| *name.to_string_lossy() < *day);
    let receipts = days.filter(is_old).flat_map(|dir| entries(&dir).collect::<Vec<_>>());
    receipts
        .filter(|path| path.to_string_lossy().ends_with(RECEIPT))
        .filter_map(|path| Some((path.clone(), serde_json::from_slice(&fs::read(path).ok()?).ok()?)))
        .collect()
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Removes a file, and its folder with the last one. Whether it was still there.
fn remove(path: &Path) -> Result<bool, EngineError> {
    let was_there = match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(EngineError::io("remove", path)(error)),
    };
    // Refused while something is in it.
    let _ = path.parent().map(fs::remove_dir);
    Ok(was_there)
}

impl Engine {
    /// Removes what has become old, again and again, once a process; no quota counts longer than `window`.
    pub(super) async fn keep_retention(&self, window: Duration, stop: &Stop) {
        let root = self.settings.folder.as_ref().map(|folder| folder.root.as_path());
        while !stop.is_requested() {
            let before = self.settings.retention.before(self.clock.now(), window);
            match prune(&self.store, &self.clock, before, root, stop).await {
                Ok(Pruned { counts, files }) if Pruned { counts, files } != Pruned::default() => {
                    let PruneCounts { runs, rows, attempts, fires } = counts;
                    tracing::info!(runs, rows, attempts, fires, files, "what had become old was removed");
                }
                Ok(_) => {}
                Err(error) if error.is_passing() => tracing::debug!(%error, "old rows are removed later"),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "what has become old could not be removed");
                }
            }
            self.pause_or_stop(EVERY, stop).await;
        }
    }
}
