//! What a sync would send, found out by the intake's own reading and comparing, with nothing written.
//!
//! Knows nothing of how it is shown. The one thing that leaves is the question for Luma's list of tags, as
//! before every intake; it counts against the limit, and where there is no answer what is known has to do.

mod events;
mod folder;
mod outlook;
mod queue;
mod requests;
mod said;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use outlook::{Outlook, Rest};

use super::ahead::LedgerAhead;
use super::awaited::Awaited;
use super::diff::KnownSets;
use super::intake::expanded;
use super::survey::Survey;
use super::{Engine, EngineError, Source, Stop, Taking, printable};
use crate::domain::digest::AudienceDigest;
use crate::domain::guard::{Concern, Findings};
use crate::domain::state::Kind;
use crate::domain::tag::TagSets;
use crate::ingest::identity;
use crate::ingest::spill::parts_for;
use crate::store::{FileState, RunSource};
use tally::Tally;

/// A row as an example of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRow {
    /// Its line, or its number where there is none.
    pub line: u64,
    /// The address, where it is not left out.
    pub email: String,
    /// What is said of it.
    pub said: String,
}

/// The rows of one input by what would become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedRows {
    /// Rows read.
    pub read: u64,
    /// People of whom nothing was delivered before.
    pub new: u64,
    /// People who lack tags.
    pub changed: u64,
    /// People who have all tags.
    pub unchanged: u64,
    /// The same person again.
    pub duplicate: u64,
    /// Refused.
    pub invalid: u64,
    /// Left alone for a good reason.
    pub suppressed: u64,
}

/// The first rows of each kind, by the word for it.
pub type Samples = BTreeMap<&'static str, Vec<PlannedRow>>;

/// What a sync would send of one input.
#[derive(Clone, Debug)]
pub struct PlannedInput {
    /// Whose key it would use.
    pub account: String,
    /// What its rows are.
    pub kind: Kind,
    /// Where it comes from.
    pub source: RunSource,
    /// What people call it.
    pub label: String,
    /// The digest of its bytes, where it is a file.
    pub sha256: Option<String>,
    /// How it was read.
    pub read_as: String,
    /// The run that has taken in a part of it, and goes on with the rest.
    pub begun: Option<i64>,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// Its rows.
    pub rows: PlannedRows,
    /// Rows of the same list the last time.
    pub before: Option<u64>,
    /// How many people would get each tag.
    pub tags: BTreeMap<String, u64>,
    /// Different sets of tags.
    pub tag_sets: u64,
    /// Requests.
    pub requests: u64,
    /// Tags that would be made first.
    pub tags_to_make: Vec<String>,
    /// What a guard would hold it for.
    pub concerns: Vec<Concern>,
    /// Examples.
    pub samples: Samples,
    /// Who would get what.
    pub digest: AudienceDigest,
}

/// What became of looking at a file.
#[derive(Clone, Debug)]
pub enum PlannedFile {
    /// It would be taken in.
    Now(Box<PlannedInput>),
    /// The same bytes were taken in by this run.
    Before(i64),
}

impl Engine {
    /// The same engine for looking only: a tag that Luma lacks is not made, and taken for one all the same.
    #[must_use]
    pub fn looking_only(&self) -> Self {
        Self {
            tags: Arc::new(super::tags::Tags::new(self.settings.tags.clone())),
            only_looks: true,
            ..self.clone()
        }
    }

    /// The same engine for runs that are held until they are found to be what their plan says.
    #[must_use]
    pub fn as_planned(&self) -> Self {
        Self { planned: true, ..self.clone() }
    }

    /// What taking in this file would send.
    pub async fn plan_file(
        &self,
        kind: Kind,
        taking: &Taking,
        stop: &Stop,
    ) -> Result<PlannedFile, EngineError> {
        match kind {
            Kind::Members => Box::pin(self.plan_members(taking, stop)).await,
            Kind::Events => self.plan_events(taking).await,
        }
    }

    async fn plan_members(&self, taking: &Taking, stop: &Stop) -> Result<PlannedFile, EngineError> {
        let path = taking.path.clone();
        let found = tokio::task::spawn_blocking(move || identity(&path)).await??;
        let key = self.file_key(taking, &found).await?;
        let known = self.store.file_by_identity(&key).await?;
        if let Some(file) = known.as_ref().filter(|file| file.state != FileState::Taking) {
            return Ok(PlannedFile::Before(file.run_id));
        }
        let bytes = expanded(&taking.path, found.size);
        let parts = parts_for(bytes);
        let ledger = self.read_ledger_ahead(0, parts, bytes).await?;
        let (survey, mut warnings) = Box::pin(self.survey(taking, parts, &found, stop)).await?;
        let begun = known.map(|file| file.run_id);
        if let Some(run) = begun {
            warnings.push(format!("run {run} has taken in a part of it already"));
        }
        let label = printable(&taking.name);
        let mut input = self.tally(survey, parts, ledger, None, stop).await?;
        self.ask_guards(&mut input, taking.source, &label, true).await?;
        let sha256 = Some(found.sha256);
        Ok(PlannedFile::Now(Box::new(PlannedInput { sha256, begun, warnings, ..input })))
    }

    /// What a pass over this source would send.
    pub async fn plan_source(&self, source: &Source, stop: &Stop) -> Result<PlannedInput, EngineError> {
        let position = self.store.source_position(&source.name, &self.asked(source)).await?;
        let after =
            position.as_ref().map(|position| super::source::go_on(source, position)).transpose()?.flatten();
        let (survey, _, warnings) = Box::pin(self.survey_source(source, after, stop)).await?;
        let parts = survey.spill.parts();
        let awaited = self.awaited(&source.name, parts).await?.map(Arc::new);
        let ledger = self.read_ledger_ahead(0, parts, survey.spill.bytes()).await?;
        let mut input = self.tally(survey, parts, ledger, awaited, stop).await?;
        self.ask_guards(&mut input, RunSource::Sql, &source.name, source.cursor.is_none()).await?;
        Ok(PlannedInput { warnings, ..input })
    }

    /// Goes through the parts of what was read, as the intake does.
    async fn tally(
        &self,
        survey: Survey,
        parts: u32,
        mut ledger: LedgerAhead,
        awaited: Option<Arc<Awaited>>,
        stop: &Stop,
    ) -> Result<PlannedInput, EngineError> {
        let sets = Arc::new(self.sets_without_writing(survey.sets).await?);
        let spill = Arc::new(survey.spill);
        let screen = self.store.screen(&self.settings.account).await?;
        let mut tally = Tally::new(self.settings.limits);
        for part in 0..parts {
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
            let slice = ledger.next().await?;
            let prepared = self.prepare(part, slice, &spill, &sets, &screen, awaited.as_ref()).await??;
            tally.add(&prepared.part, &prepared.diff, &sets, |contact| self.client.contact_bytes(contact));
        }
        Ok(PlannedInput {
            account: self.settings.account.clone(),
            read_as: survey.shape,
            tags_to_make: self.tags.imagined(),
            ..tally.finish()
        })
    }

    /// Names the input, and asks the guards about it.
    async fn ask_guards(
        &self,
        input: &mut PlannedInput,
        source: RunSource,
        label: &str,
        is_whole_list: bool,
    ) -> Result<(), EngineError> {
        let rows = input.rows;
        input.source = source;
        label.clone_into(&mut input.label);
        if is_whole_list {
            input.before =
                self.store.rows_of_last(&self.settings.account, source.as_str(), label, i64::MAX).await?;
        }
        input.concerns = self.settings.guards.judge(&Findings {
            new_members: rows.new,
            read: rows.read,
            invalid: rows.invalid,
            before: input.before,
        });
        Ok(())
    }

    /// Sets that the database does not have are none of its numbers.
    async fn sets_without_writing(&self, local: TagSets) -> Result<KnownSets, EngineError> {
        let stored = self.store.tag_sets().await?;
        let ids = {
            let by_set: std::collections::HashMap<_, i64> =
                stored.iter().map(|(id, set)| (set, *id)).collect();
            local.iter().map(|set| by_set.get(set).copied().unwrap_or(-1)).collect()
        };
        Ok(KnownSets { local, ids, stored })
    }
}
