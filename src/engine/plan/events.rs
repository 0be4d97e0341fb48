//! What taking in a file of events would ask for: one request each.

use std::sync::Arc;

use super::tally::Tally;
use super::{Engine, EngineError, PlannedFile, PlannedInput, PlannedRow, PlannedRows, Taking};
use crate::domain::state::Kind;
use crate::engine::{events_intake, printable};
use crate::ingest::identity;
use crate::store::FileState;

impl Engine {
    /// Events that are there already are not asked for again; which those are shows when they are taken in.
    pub(super) async fn plan_events(&self, taking: &Taking) -> Result<PlannedFile, EngineError> {
        let (path, settings, now) = (taking.path.clone(), Arc::clone(&self.settings), self.clock.now());
        let read = move || {
            let found = identity(&path)?;
            Ok::<_, EngineError>((events_intake::survey(&path, &settings, &found, now)?, found))
        };
        let (survey, found) = tokio::task::spawn_blocking(read).await??;
        let key = self.event_file_key(taking, &found).await?;
        let known = self.store.file_by_identity(&key).await?;
        if let Some(file) = known.filter(|file| file.state != FileState::Taking) {
            return Ok(PlannedFile::Before(file.run_id));
        }
        let (read, invalid) = (survey.rows as u64, survey.invalid);
        let mut input = PlannedInput {
            account: self.settings.account.clone(),
            kind: Kind::Events,
            source: taking.source,
            label: printable(&taking.name),
            sha256: Some(found.sha256),
            read_as: survey.shape,
            rows: PlannedRows { read, new: read - invalid, invalid, ..PlannedRows::default() },
            requests: read - invalid,
            ..Tally::new(self.settings.limits).finish()
        };
        if let Some((line, reason)) = survey.first_invalid {
            input.samples.insert("invalid", vec![PlannedRow { line, email: String::new(), said: reason }]);
        }
        Ok(PlannedFile::Now(Box::new(input)))
    }
}
