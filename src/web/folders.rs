//! The drop folders as pages tell of them: what is not taken in, and why.
//!
//! Looks at the disk; of the files themselves it knows the names.

use std::time::Duration;

use crate::clock::Time;
use crate::domain::schedule::Schedule;
use crate::engine::FolderView;

use super::fault::Fault;
use super::site::Site;
use super::upload::blocking;

/// A service that begins has made its folders by then.
const MADE: Duration = Duration::from_secs(30);

/// All drop folders together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folders {
    pub(super) view: FolderView,
    /// The paused schedules that alone would take in what lies there; none where somebody does.
    pub(super) paused: Vec<String>,
}

impl Folders {
    /// Whether nothing of them needs a person.
    pub(super) const fn is_well(&self) -> bool {
        let FolderView { unreadable, ignored, failed_files, .. } = &self.view;
        unreadable.is_empty() && ignored.is_empty() && *failed_files == 0 && !self.are_left()
    }

    /// Whether files wait for nothing but a person who lets a schedule go on.
    pub(super) const fn are_left(&self) -> bool {
        self.view.waiting > 0 && !self.paused.is_empty()
    }
}

impl Site {
    /// Looks at them once.
    pub(super) async fn folders(&self, now: Time) -> Result<Folders, Fault> {
        let settings: Vec<_> =
            self.fleet.engines().filter_map(|engine| engine.folder_settings().cloned()).collect();
        // The folder of a schedule is made when that is due, and any other soon after the start.
        let is_watched = now.since(self.began) > MADE && !self.schedules().iter().any(Schedule::takes_folder);
        let look = move || {
            settings.iter().fold(FolderView::default(), |mut all, folder| {
                if is_watched {
                    all.unreadable.extend(FolderView::gone(folder));
                }
                all.and(FolderView::look(folder, now))
            })
        };
        Ok(Folders { view: blocking(look).await?, paused: self.paused_takers().await? })
    }

    /// The schedules that take in the folder, where every one of them is paused.
    async fn paused_takers(&self) -> Result<Vec<String>, Fault> {
        let takers: Vec<_> = self
            .schedules()
            .iter()
            .filter(|schedule| schedule.takes_folder())
            .map(|taker| taker.name.clone())
            .collect();
        if takers.is_empty() {
            return Ok(takers);
        }
        let known = self.store.schedules().await?;
        let is_paused = |name: &String| known.iter().any(|known| known.name == *name && known.is_paused);
        Ok(if takers.iter().all(is_paused) { takers } else { Vec::new() })
    }
}
