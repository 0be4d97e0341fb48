//! The result files of a run, where they lie: found by the receipt beside the archived file, and by nothing
//! that anybody asks for.

use std::path::{Path, PathBuf};

use super::places::Results;
use crate::store::{FileState, InputFile, Run};

/// Numbers that a run's results may bear where others' stand in the same place.
const NUMBERS: u32 = 50;

/// The result files of a run that can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultFiles {
    /// Rows that are done with.
    pub success: Option<PathBuf>,
    /// Rows that were not sent.
    pub rejects: Option<PathBuf>,
    /// The numbers.
    pub receipt: Option<PathBuf>,
}

impl ResultFiles {
    /// Looks for those of a file that was archived.
    #[must_use]
    pub fn find(file: &InputFile, run: &Run) -> Self {
        let Some(dir) = Path::new(&file.path).parent().filter(|_| file.state == FileState::Archived) else {
            return Self::default();
        };
        let began = run.created_at.to_string();
        let is_ours = |said: &serde_json::Value| {
            said["run"] == run.id
                && said["sha256"] == file.sha256.as_str()
                && said["began_at"] == began.as_str()
        };
        let Some((receipt, said)) = Results::receipt_of(dir, &file.name, file.run_id, NUMBERS, is_ours)
        else {
            return Self::default();
        };
        let named = |key: &str| {
            let name = Path::new(said[key].as_str()?).file_name()?;
            Some(dir.join(name)).filter(|path| is_plain(path))
        };
        Self { success: named("success"), rejects: named("rejects"), receipt: Some(receipt) }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.success.is_none() && self.rejects.is_none() && self.receipt.is_none()
    }

    /// What there is, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let all = [("rejects", &self.rejects), ("success", &self.success), ("receipt", &self.receipt)];
        all.into_iter().filter(|(_, path)| path.is_some()).map(|(kind, _)| kind)
    }

    /// The file of this name.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Option<&Path> {
        match kind {
            "success" => self.success.as_deref(),
            "rejects" => self.rejects.as_deref(),
            "receipt" => self.receipt.as_deref(),
            _ => None,
        }
    }
}

/// A link may lead anywhere.
fn is_plain(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_file())
}
