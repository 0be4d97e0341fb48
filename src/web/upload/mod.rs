//! Upload: a file comes, its plan is shown, and a person says whether it goes.
//!
//! A file goes to disk as it comes, beside the drop folder, and is sent by moving it there: the intake knows nothing
//! of pages. Knows no file by its path; how one waits is said in `engine`.

mod act;
mod body;
mod coming;
mod form;
mod plan_view;
mod plans;
mod receive;
mod show;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use act::{Wish, discard, send, wish};
pub(super) use form::form;
pub(super) use plans::{Outcome, Plan, Plans};
pub(super) use receive::{receive, receive_raw};
pub(super) use show::{Sent, page};

use super::fault::Fault;
use super::site::Site;
use crate::engine::{Engine, Staged, Staging};

/// Where the form is.
pub(super) const UPLOAD: &str = "/upload";
/// The same for programs.
const FOR_PROGRAMS: &str = "/api/v1/uploads";
/// Files that come at once.
const COMING: usize = 2;
/// Files of one account that wait at once.
const WAITING: usize = 16;

/// Whether a request to this path brings a file, which is read by rules of its own.
pub(super) fn takes_a_file(path: &str) -> bool {
    path == UPLOAD || path == FOR_PROGRAMS
}

/// What this process knows of uploads; how they stand is on the disk.
#[derive(Debug)]
pub(super) struct Uploads {
    coming: Arc<Semaphore>,
    plans: Plans,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { coming: Arc::new(Semaphore::new(COMING)), plans: Plans::default() }
    }
}

impl Uploads {
    /// A place for a file that comes.
    fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.coming).try_acquire_owned().map_err(|_| Fault::Busy)
    }
}

/// An upload, whose it is, and where.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) engine: Engine,
    pub(super) staging: Staging,
    pub(super) staged: Staged,
}

impl Site {
    /// Accounts that files can be uploaded for, each with its place for them.
    fn stagings(&self) -> Vec<(Engine, Staging)> {
        let of = |engine: &Engine| Some((engine.clone(), Staging::new(engine.folder_settings()?)));
        self.fleet.engines().filter_map(of).collect()
    }

    /// The upload that this word stands for.
    pub(super) async fn upload(&self, word: &str) -> Result<Upload, Fault> {
        let (stagings, word) = (self.stagings(), word.to_owned());
        let find = move || {
            let found = |(engine, staging): (Engine, Staging)| {
                let staged = staging.find(&word)?;
                Some(Upload { engine, staging, staged })
            };
            stagings.into_iter().find_map(found)
        };
        blocking(find).await?.ok_or(Fault::NotFound)
    }

    /// All that are there, the newest first.
    async fn uploads(&self) -> Result<Vec<Upload>, Fault> {
        let stagings = self.stagings();
        let list = move || {
            let all = stagings.into_iter().flat_map(|(engine, staging)| {
                let staged = staging.list().unwrap_or_default().into_iter();
                staged.map(move |staged| Upload { engine: engine.clone(), staging: staging.clone(), staged })
            });
            let mut all: Vec<Upload> = all.collect();
            all.sort_by_key(|upload| std::cmp::Reverse(upload.staged.at));
            all
        };
        blocking(list).await
    }

    /// Forgets plans of which the upload is gone.
    async fn forget_plans(&self) {
        if let Ok(there) = self.uploads().await {
            self.uploads.plans.keep(|word| there.iter().any(|upload| upload.staged.word == word));
        }
    }
}

/// Work on the disk, beside what answers others.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work on the disk broke");
        Fault::Disk
    })
}
