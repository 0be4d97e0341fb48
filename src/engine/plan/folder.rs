//! Which files of the drop folder would be taken in, without a hand on any of them.

use std::path::PathBuf;
use std::time::Duration;

use super::{Engine, EngineError, Taking};
use crate::domain::state::Kind;
use crate::domain::tag::TagSet;
use crate::engine::folder::{Reach, file_name, inbox, processing};
use crate::ingest::folder::{Layout, Watch};
use crate::store::RunSource;

impl Engine {
    /// The files that lie in the drop folder, and those that were left half way.
    pub async fn files_of_folder(&self) -> Result<Vec<(Kind, Taking)>, EngineError> {
        let Some(settings) = &self.settings.folder else { return Ok(Vec::new()) };
        let layout = Layout::new(&settings.root);
        let mut files = Vec::new();
        for kind in [Kind::Members, Kind::Events] {
            let mut paths = self.left_in_processing(&processing(&layout, kind), Reach::Everything).await?;
            // A folder that nobody has made yet holds nothing.
            let scan = Watch::new(inbox(&layout, kind)).scan(self.clock.now(), Duration::ZERO);
            paths.extend(scan.map(|scan| scan.ready).unwrap_or_default());
            files.extend(paths.into_iter().map(|path| (kind, of_folder(path))));
        }
        Ok(files)
    }
}

fn of_folder(path: PathBuf) -> Taking {
    let name = file_name(&path);
    Taking { path, name, source: RunSource::Folder, extra_tags: TagSet::default(), again: false }
}
