//! The drop folder: the database is the truth, the folders are a view of it.
//!
//! A file is moved out of the inbox before it is read, so that nobody writes to it meanwhile. What
//! a crash leaves in `processing` is known by its bytes and taken up again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::archive::{full, write_private};
use super::error::chain;
use super::places::spare_names;
use super::{Engine, EngineError, FolderSettings, Stop, Taken, Taking};
use crate::domain::schedule::FOLDER;
use crate::domain::state::Kind;
use crate::domain::tag::TagSet;
use crate::ingest::folder::{Layout, Watch, move_into, move_to, split_name};
use crate::store::{FileState, RunSource};

/// Event files are small and wait for nobody; lists of members may be long.
const KINDS: [Kind; 2] = [Kind::Events, Kind::Members];

pub(super) fn inbox(layout: &Layout, kind: Kind) -> PathBuf {
    match kind {
        Kind::Members => layout.inbox(),
        Kind::Events => layout.event_inbox(),
    }
}

pub(super) fn processing(layout: &Layout, kind: Kind) -> PathBuf {
    match kind {
        Kind::Members => layout.processing(),
        Kind::Events => layout.event_processing(),
    }
}

/// What of the folder is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All of it.
    Everything,
    /// Files that are known and not put away yet: new ones have their times.
    LeftOver,
}

/// The drop folder, looked at by one process at a time.
#[derive(Debug)]
pub struct DropFolder {
    layout: Layout,
    /// One for each kind of file.
    watches: [(Kind, Watch); 2],
    settings: FolderSettings,
    /// Files of `processing` that could not be taken in just now, and the names they came under.
    names: HashMap<PathBuf, String>,
    /// Files that could not be taken in since this process watches.
    /// What was told of files that are still there.
    troubles: HashMap<PathBuf, String>,
    failed: u64,
    /// The system frees it when the process ends.
    lock: Option<File>,
}

impl DropFolder {
    /// Makes the folders and takes hold of them; `None` where another process has.
    pub fn open(settings: &FolderSettings) -> Result<Option<Self>, EngineError> {
        let mut folder = Self::new(settings)?;
        Ok(folder.hold()?.then_some(folder))
    }

    /// Makes the folders, and takes hold of nothing yet.
    pub(super) fn new(settings: &FolderSettings) -> Result<Self, EngineError> {
        let layout = Layout::new(&settings.root);
        layout.create().map_err(EngineError::io("create", &settings.root))?;
        // One of them also names what lies beside both.
        let watches = KINDS.map(|kind| match kind {
            Kind::Members => (kind, Watch::over(&layout, &settings.accounts)),
            Kind::Events => (kind, Watch::new(layout.event_inbox())),
        });
        Ok(Self {
            layout,
            watches,
            settings: settings.clone(),
            names: HashMap::new(),
            troubles: HashMap::new(),
            failed: 0,
            lock: None,
        })
    }

    /// Takes hold of the folder until it is let go. Whether nobody else has.
    pub(super) fn hold(&mut self) -> Result<bool, EngineError> {
        let path = self.settings.root.join(".lumasync.lock");
        let lock = File::options().create(true).append(true).open(&path);
        let lock = lock.map_err(EngineError::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(false),
            // A file system without locks: one more process would do work twice, and do no harm.
            Err(std::fs::TryLockError::Error(error)) => {
                tracing::warn!(%error, "the drop folder cannot be locked; see that only one process watches it");
            }
        }
        self.lock = Some(lock);
        Ok(true)
    }

    /// Lets others have it.
    pub(super) fn let_go(&mut self) {
        self.lock = None;
    }

    /// Whether this trouble with a file is another than at the last look: each is told once.
    fn is_news(&mut self, path: &Path, trouble: &str) -> bool {
        let known = self.troubles.insert(path.to_owned(), trouble.to_owned());
        known.is_none_or(|known| known != trouble)
    }

    /// How many files could not be taken in since this process watches.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Where files are dropped.
    #[must_use]
    pub fn inboxes(&self) -> [PathBuf; 2] {
        KINDS.map(|kind| inbox(&self.layout, kind))
    }
}

impl Engine {
    /// One look at the folder: takes up what was left, takes in what is ready, puts away what is done.
    /// The runs of the files taken in, and how many files are still growing.
    pub async fn folder_pass(
        &self,
        folder: &mut DropFolder,
        stop: &Stop,
    ) -> Result<(Vec<i64>, usize), EngineError> {
        self.folder_pass_over(folder, Reach::Everything, stop).await
    }

    /// The same for all of the folder or for what is left of earlier looks.
    pub(super) async fn folder_pass_over(
        &self,
        folder: &mut DropFolder,
        reach: Reach,
        stop: &Stop,
    ) -> Result<(Vec<i64>, usize), EngineError> {
        let (mut runs, mut waiting) = (Vec::new(), 0);
        for kind in KINDS {
            self.take_left(folder, kind, reach, &mut runs, stop).await?;
            if reach == Reach::Everything {
                waiting += self.take_kind(folder, kind, &mut runs, stop).await?;
            }
        }
        for file in self.store.folder_files(&self.settings.account).await? {
            if let Err(error) = self.archive(&file, &folder.layout).await {
                let error = chain(&error);
                if folder.is_news(Path::new(&file.path), &error) {
                    tracing::error!(run = file.run_id, error, "a file cannot be put away yet");
                }
            }
        }
        folder.troubles.retain(|path, _| path.exists());
        Ok((runs, waiting))
    }

    /// Takes up the files of one kind that were left half way.
    async fn take_left(
        &self,
        folder: &mut DropFolder,
        kind: Kind,
        reach: Reach,
        runs: &mut Vec<i64>,
        stop: &Stop,
    ) -> Result<(), EngineError> {
        for path in self.left_in_processing(&processing(&folder.layout, kind), reach).await? {
            let name = match folder.names.get(&path) {
                Some(name) => name.clone(),
                None => file_name(&path),
            };
            runs.extend(self.take_or_tell(folder, kind, path, name, stop).await?);
        }
        Ok(())
    }

    /// Takes in the files of one kind that are dropped; how many still grow.
    async fn take_kind(
        &self,
        folder: &mut DropFolder,
        kind: Kind,
        runs: &mut Vec<i64>,
        stop: &Stop,
    ) -> Result<usize, EngineError> {
        let processing = processing(&folder.layout, kind);
        let (now, settle) = (self.clock.now(), folder.settings.settle);
        let inbox = inbox(&folder.layout, kind);
        let watch = folder.watches.iter_mut().find(|(known, _)| *known == kind).map(|(_, watch)| watch);
        let Some(watch) = watch else { return Ok(0) };
        let scan = watch.scan(now, settle).map_err(EngineError::io("read", &inbox))?;
        for (path, why) in &scan.ignored {
            tracing::warn!(file = %path.display(), why, "a file in the drop folder is not taken");
        }
        for path in scan.ready {
            if stop.is_requested() {
                break;
            }
            let name = file_name(&path);
            match move_into(&path, &processing, &name) {
                Ok(moved) => {
                    folder.names.insert(moved.clone(), name.clone());
                    runs.extend(self.take_or_tell(folder, kind, moved, name, stop).await?);
                }
                Err(error) => {
                    if folder.is_news(&path, &error.to_string()) {
                        tracing::error!(file = %path.display(), %error, "a file cannot be moved out of the drop folder");
                    }
                }
            }
        }
        Ok(scan.waiting)
    }

    /// One file's trouble holds up no other; only the stop does.
    async fn take_or_tell(
        &self,
        folder: &mut DropFolder,
        kind: Kind,
        path: PathBuf,
        name: String,
        stop: &Stop,
    ) -> Result<Option<i64>, EngineError> {
        match self.take_from(folder, kind, path.clone(), name, stop).await {
            Err(EngineError::Stopped) => Err(EngineError::Stopped),
            Err(error) => {
                let error = chain(&error);
                if folder.is_news(&path, &error) {
                    tracing::error!(error, "a file cannot be taken in now");
                }
                Ok(None)
            }
            taken => taken,
        }
    }

    /// Files in `processing` whose rows are not all in the queue; of those that nobody has begun to read,
    /// their times decide.
    pub(super) async fn left_in_processing(
        &self,
        dir: &Path,
        reach: Reach,
    ) -> Result<Vec<PathBuf>, EngineError> {
        let known = self.store.folder_files(&self.settings.account).await?;
        let known: HashMap<String, FileState> =
            known.into_iter().map(|file| (file.path, file.state)).collect();
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(EngineError::io("read", dir)(error)),
        };
        let mut left: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| entry.path())
            .filter(|path| !file_name(path).starts_with('.'))
            .filter(|path| match known.get(&*path.to_string_lossy()) {
                Some(FileState::Taken) => false,
                Some(FileState::Taking | FileState::Archived) => true,
                None => reach == Reach::Everything,
            })
            .collect();
        left.sort_unstable();
        Ok(left)
    }

    /// A list came: that the same bytes had come before is no silence.
    async fn note_list(&self, kind: Kind, run_id: i64) -> Result<(), EngineError> {
        match kind {
            Kind::Members => self.note_pass(FOLDER, run_id).await,
            Kind::Events => Ok(()),
        }
    }

    /// Takes in a file that lies in `processing`; its run, if it has one now. A file that cannot be
    /// read goes to `failed`; what may pass leaves it where it is.
    async fn take_from(
        &self,
        folder: &mut DropFolder,
        kind: Kind,
        path: PathBuf,
        name: String,
        stop: &Stop,
    ) -> Result<Option<i64>, EngineError> {
        let taking = Taking {
            path: path.clone(),
            name: name.clone(),
            source: RunSource::Folder,
            extra_tags: TagSet::default(),
            again: false,
        };
        match self.take_in(kind, &taking, stop).await {
            Ok(Taken::Now(file)) => {
                folder.names.remove(&path);
                self.note_list(kind, file.run_id).await?;
                Ok(Some(file.run_id))
            }
            Ok(Taken::Before(file)) => {
                folder.names.remove(&path);
                self.note_list(kind, file.run_id).await?;
                let goes_on = self.resume_run(file.run_id).await?;
                tracing::info!(run = file.run_id, goes_on, "these bytes were taken in before");
                let dir = folder.layout.done(&self.clock.now().day());
                let note = json!({
                    "file": name,
                    "account": self.settings.account,
                    "sha256": file.sha256,
                    "status": "already_taken",
                    "reason": format!("the same bytes were taken in by run {}; nothing was sent", file.run_id),
                    "run": file.run_id,
                });
                put_away(&path, &dir, &name, note)?;
                Ok(None)
            }
            Err(error @ (EngineError::File(_) | EngineError::Refused { .. })) if !error.is_passing() => {
                folder.names.remove(&path);
                folder.failed += 1;
                let reason = chain(&error);
                tracing::error!(
                    file = name,
                    "a file cannot be taken in: see its receipt in the folder `failed`"
                );
                tracing::debug!(%reason, "why a file cannot be taken in");
                let account = &self.settings.account;
                let note = json!({ "file": name, "account": account, "status": "failed", "reason": reason });
                put_away(&path, &folder.layout.failed(), &name, note)?;
                Ok(None)
            }
            Err(error) if error.is_passing() => {
                let error = chain(&error);
                if folder.is_news(&path, &error) {
                    tracing::warn!(file = name, error, "a file is not taken in yet");
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Moves a file that is done with and leaves a receipt beside it, both under names that are free.
fn put_away(path: &Path, dir: &Path, name: &str, mut note: serde_json::Value) -> Result<(), EngineError> {
    for name in spare_names(name) {
        let target = dir.join(&name);
        let (stem, end) = split_name(&name);
        let receipt = dir.join(format!("{stem}{}.receipt.json", end.replace('.', "_")));
        if receipt.symlink_metadata().is_ok() {
            continue;
        }
        match move_to(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            moved => {
                moved.map_err(EngineError::io("move", path))?;
                note["path"] = json!(full(&target));
                return write_private(&receipt, &note).map_err(EngineError::io("write", &receipt));
            }
        }
    }
    Ok(())
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
