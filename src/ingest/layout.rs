//! Where things are in a drop folder. Knows no file by name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::create_dir;

/// What the folder of an account begins with, so that it is taken for no other.
pub(super) const ACCOUNT_MARK: char = '@';

/// The folders of one account's drop folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    /// The folders below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where the folders of a further account lie.
    #[must_use]
    pub fn root_of_account(root: &Path, account: &str) -> PathBuf {
        root.join(format!("{ACCOUNT_MARK}{account}"))
    }

    /// Makes the folders that are missing.
    pub fn create(&self) -> io::Result<()> {
        // Others drop files here; what we keep is for us alone.
        fs::create_dir_all(self.inbox())?;
        fs::create_dir_all(self.event_inbox())?;
        let done = self.root.join("done");
        [self.processing(), done, self.failed()].iter().try_for_each(|dir| create_dir(dir))
    }

    /// Where people drop member files.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.root.join("members")
    }

    /// Where people drop event files.
    #[must_use]
    pub fn event_inbox(&self) -> PathBuf {
        self.root.join("events")
    }

    /// Where a file of events stays while it is taken in. Made when there is one.
    #[must_use]
    pub fn event_processing(&self) -> PathBuf {
        self.processing().join("events")
    }

    /// Where a file stays while it is taken in.
    #[must_use]
    pub fn processing(&self) -> PathBuf {
        self.root.join("processing")
    }

    /// Where files of a day, as `2026-11-22`, are kept.
    #[must_use]
    pub fn done(&self, day: &str) -> PathBuf {
        self.root.join("done").join(day)
    }

    /// Where files are kept that could not be read.
    #[must_use]
    pub fn failed(&self) -> PathBuf {
        self.root.join("failed")
    }
}
