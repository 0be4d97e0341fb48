//! A hint from the system that something happened in a folder. Looking is the truth: on shares and
//! in containers hints do not come.

use std::path::Path;
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Hints about one folder.
#[derive(Debug)]
pub(super) struct Hint {
    given: Arc<Notify>,
    watchers: Vec<RecommendedWatcher>,
}

impl Hint {
    pub(super) fn new() -> Self {
        Self { given: Arc::new(Notify::new()), watchers: Vec::new() }
    }

    /// Asks for hints about a folder; without them it is looked at now and then all the same.
    pub(super) fn watch(&mut self, folder: &Path) {
        let given = Arc::clone(&self.given);
        let tell = move |event: notify::Result<notify::Event>| {
            // Our own reading is no news.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                given.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => self.watchers.push(watcher),
            Err(error) => tracing::debug!(%error, "no hints about the drop folder"),
        }
    }

    /// Waits for the next hint. Safe to drop at any time.
    pub(super) async fn given(&self) {
        self.given.notified().await;
    }
}
