//! What a person should know of the drop folder, read from the folder itself: what nobody takes, and what
//! could not be read. Changes nothing, and needs neither the database nor the lock.

use std::io::ErrorKind;
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
    /// Inboxes that are there and cannot be looked through, and why: what is dropped there is not seen.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Files that are there to be taken in.
    pub waiting: usize,
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
        let mut view = Self::default();
        let inboxes = [
            (layout.inbox(), Watch::over(&layout, &settings.accounts)),
            (layout.event_inbox(), Watch::new(layout.event_inbox())),
        ];
        for (inbox, mut watch) in inboxes {
            match watch.scan(now, Duration::ZERO) {
                Ok(scan) => {
                    view.ignored.extend(scan.ignored);
                    view.waiting += scan.ready.len();
                }
                // It is made by whoever watches it first.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => view.unreadable.push((inbox, error.to_string())),
            }
        }
        let (receipts, files): (Vec<PathBuf>, Vec<PathBuf>) =
            visible(&layout.failed()).partition(|path| path.to_string_lossy().ends_with(RECEIPT));
        let mut receipts: Vec<(SystemTime, PathBuf)> =
            receipts.into_iter().map(|path| (modified(&path), path)).collect();
        receipts.sort_unstable_by(|one, other| other.cmp(one));
        view.failed = receipts.iter().filter_map(|(_, path)| failed_file(path)).take(NAMED).collect();
        view.failed_files = files.len();
        view
    }

    /// Inboxes that are not there, of a folder that is watched.
    #[must_use]
    pub fn gone(settings: &FolderSettings) -> Vec<(PathBuf, String)> {
        let layout = Layout::new(&settings.root);
        let inboxes = [layout.inbox(), layout.event_inbox()].into_iter();
        inboxes.filter(|inbox| !inbox.exists()).map(|inbox| (inbox, "it is not there".to_owned())).collect()
    }

    /// Both of two folders.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let Self { unreadable, waiting, ignored, failed, failed_files } = other;
        self.unreadable.extend(unreadable);
        self.waiting += waiting;
        self.ignored.extend(ignored);
        self.failed.extend(failed);
        self.failed_files += failed_files;
        self
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
