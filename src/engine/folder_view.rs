//! What a person should know of the drop folder, read from the folder itself: what nobody takes, and what
//! could not be read. Changes nothing, and needs neither the database nor the lock.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::FolderSettings;
use crate::clock::Time;
use crate::ingest::folder::{Layout, Watch};

/// Failed files that are told of.
const NAMED: usize = 5;
const RECEIPT: &str = ".receipt.json";

/// The drop folder as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderView {
    /// Files that are not taken, and why.
    pub ignored: Vec<(PathBuf, &'static str)>,
    /// The last files that could not be taken in, the newest first.
    pub failed: Vec<FailedFile>,
    /// How many of them there are.
    pub failed_files: usize,
}

/// A file that could not be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedFile {
    /// Where it is now.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl FolderView {
    /// Looks once. A folder that is not there has nothing in it.
    #[must_use]
    pub fn look(settings: &FolderSettings, now: Time) -> Self {
        let layout = Layout::new(&settings.root);
        let look = |mut watch: Watch| watch.scan(now, Duration::ZERO).unwrap_or_default().ignored;
        let ignored =
            [look(Watch::over(&layout, &settings.accounts)), look(Watch::new(layout.event_inbox()))].concat();
        let (receipts, files): (Vec<PathBuf>, Vec<PathBuf>) =
            visible(&layout.failed()).partition(|path| path.to_string_lossy().ends_with(RECEIPT));
        let mut receipts: Vec<(SystemTime, PathBuf)> =
            receipts.into_iter().map(|path| (modified(&path), path)).collect();
        receipts.sort_unstable_by(|one, other| other.cmp(one));
        let failed = receipts.iter().filter_map(|(_, path)| failed_file(path)).take(NAMED).collect();
        Self { ignored, failed, failed_files: files.len() }
    }
}

fn visible(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let paths = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'))
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What a receipt says; nothing once somebody has taken its file away.
fn failed_file(receipt: &Path) -> Option<FailedFile> {
    let said: serde_json::Value = serde_json::from_slice(&std::fs::read(receipt).ok()?).ok()?;
    let name = Path::new(said["path"].as_str()?).file_name()?;
    let path = receipt.with_file_name(name);
    let reason = said["reason"].as_str()?.to_owned();
    path.exists().then_some(FailedFile { path, reason })
}
