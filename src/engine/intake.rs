//! From a file to rows in the queue, part by part, each with its position in one transaction.
//!
//! The file is read once before anything is written: what is wrong with it as a whole is known by
//! then, and a crash leaves nothing but whole parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parts::Lot;
use super::survey::{Survey, Surveyor};
use super::{Engine, EngineError, Settings, Stop, printable};
use crate::domain::state::Kind;
use crate::domain::tag::{TagBook, TagSet, TagSets};
use crate::ingest::spill::parts_for;
use crate::ingest::{Identity, identity, modified, read_members};
use crate::store::{FileState, Input, InputFile, NewFile, NewRun, RunSource, StoreError};

/// A file to be taken in, and how.
#[derive(Clone, Debug)]
pub struct Taking {
    /// Where it is.
    pub path: PathBuf,
    /// The name people know it by.
    pub name: String,
    /// Where it comes from: the folder or a hand.
    pub source: RunSource,
    /// Tags that every row gets.
    pub extra_tags: TagSet,
    /// Take it in though these bytes were taken before.
    pub again: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All its rows are in the queue.
    Now(InputFile),
    /// The same bytes were taken in before, for the same tags.
    Before(InputFile),
}

/// How much a packed file may hold, for all we know before it is read.
const EXPANSION: u64 = 20;
impl Engine {
    /// Takes in a file: all of it, what is left of it, or nothing where the same bytes were taken before.
    pub async fn take_file(&self, taking: &Taking, stop: &Stop) -> Result<Taken, EngineError> {
        let path = taking.path.clone();
        let found = tokio::task::spawn_blocking(move || identity(&path)).await??;
        let key = self.file_key(taking, &found).await?;
        let known = self.store.file_by_identity(&key).await?;
        if let Some(file) = known.as_ref().filter(|file| file.state != FileState::Taking) {
            return Ok(Taken::Before(file.clone()));
        }
        let bytes = expanded(&taking.path, found.size);
        let (first, parts) =
            known.map_or_else(|| (0, parts_for(bytes)), |file| (file.parts_done, file.parts));
        let ledger = self.read_ledger_ahead(first, parts, bytes).await?;
        let (survey, warnings) = Box::pin(self.survey(taking, parts, &found, stop)).await?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let file = self.begin(taking, &found, &key, parts, &survey).await?;
        if file.state == FileState::Taking {
            if file.parts_done != first {
                // Another process takes it in: the ledger was read for other parts than are left.
                return Err(StoreError::Lost { what: format!("file `{}`", file.id) }.into());
            }
            let lot = Lot {
                input: Input::File(file.id),
                run_id: file.run_id,
                parts: file.parts,
                parts_done: file.parts_done,
                tells_all: taking.source == RunSource::Folder,
            };
            Box::pin(self.take_parts(&lot, survey, ledger, None, stop)).await?;
        }
        let file = self.store.file_by_identity(&key).await?.unwrap_or(file);
        Ok(Taken::Now(file))
    }

    /// The bytes, whose key they are for, and the tags that were asked for with them.
    pub(super) async fn file_key(&self, taking: &Taking, found: &Identity) -> Result<String, EngineError> {
        let key = format!("{}:{}:{}", self.settings.account, found.sha256, taking.extra_tags);
        self.file_identity(taking, key).await
    }

    /// The run that has taken in a file of the drop folder that holds the bytes with this digest.
    pub async fn run_of_bytes(&self, kind: Kind, sha256: &str) -> Result<Option<i64>, EngineError> {
        let account = &self.settings.account;
        let identity = match kind {
            Kind::Members => format!("{account}:{sha256}:"),
            Kind::Events => format!("{account}:events:{sha256}"),
        };
        Ok(self.store.file_by_identity(&identity).await?.map(|file| file.run_id))
    }

    /// What a file is known by: the bytes and what was asked of them, unless they are taken in once more.
    /// That goes on where the last such intake of theirs is not done.
    pub(super) async fn file_identity(&self, taking: &Taking, key: String) -> Result<String, EngineError> {
        if !taking.again {
            return Ok(key);
        }
        let unfinished = self.store.unfinished_again(&key).await?;
        Ok(unfinished.unwrap_or_else(|| format!("{key}:{}", self.clock.now())))
    }

    /// What a file holds, read with every tag that there is; and what its reader should be warned of.
    pub(super) async fn survey(
        &self,
        taking: &Taking,
        parts: u32,
        found: &Identity,
        stop: &Stop,
    ) -> Result<(Survey, Vec<String>), EngineError> {
        self.list_tags(stop).await?;
        self.ensure_tags(&taking.extra_tags)?;
        let (survey, warnings) = loop {
            let (survey, warnings) = self.read_file(taking, parts, found, stop).await?;
            if !self.find_tags(survey.sets.unknown(), stop).await? {
                break (survey, warnings);
            }
        };
        match &survey.first_invalid {
            Some((line, reason)) if self.settings.refuse_files => Err(EngineError::Refused {
                path: taking.path.clone(),
                rows: survey.invalid,
                line: *line,
                reason: reason.clone(),
            }),
            _ => Ok((survey, warnings)),
        }
    }

    async fn read_file(
        &self,
        taking: &Taking,
        parts: u32,
        found: &Identity,
        stop: &Stop,
    ) -> Result<(Survey, Vec<String>), EngineError> {
        let stop = stop.clone();
        let (path, extra, found) = (taking.path.clone(), taking.extra_tags.clone(), found.clone());
        let (settings, book) = (Arc::clone(&self.settings), self.tag_book());
        tokio::task::spawn_blocking(move || {
            let read = read(&path, &settings, &book, &extra, parts, &stop)?;
            // Written to after it was hashed: the rows may be others than those of the identity.
            let unchanged = identity_is(&path, &found);
            if unchanged { Ok(read) } else { Err(EngineError::Changed { path }) }
        })
        .await?
    }

    async fn begin(
        &self,
        taking: &Taking,
        found: &Identity,
        key: &str,
        parts: u32,
        survey: &Survey,
    ) -> Result<InputFile, EngineError> {
        let run = NewRun {
            account: &self.settings.account,
            kind: Kind::Members,
            source: taking.source,
            trigger: self.trigger(taking.source),
            fire: self.fire,
            verify: self.settings.verify,
            planned: self.planned,
            label: &printable(&taking.name),
            now: self.clock.now(),
        };
        let path = taking.path.to_string_lossy();
        let extra_tags = taking.extra_tags.to_string();
        let file = NewFile {
            identity: key,
            sha256: &found.sha256,
            size: found.size,
            name: &taking.name,
            path: &path,
            extra_tags: &extra_tags,
            parts,
            shape: &survey.shape,
        };
        let (file, is_new) = self.store.begin_file(run, &file).await?;
        tracing::info!(
            run = file.run_id,
            resumed = !is_new,
            invalid = survey.invalid,
            shape = survey.shape,
            "taking in a file"
        );
        Ok(file)
    }
}

/// Reads a file from end to end into parts; and what its reader should be warned of.
fn read(
    path: &Path,
    settings: &Settings,
    book: &TagBook,
    extra: &TagSet,
    parts: u32,
    stop: &Stop,
) -> Result<(Survey, Vec<String>), EngineError> {
    let mut surveyor = Surveyor::new(parts, settings.spill_dir.clone(), stop.clone());
    let mut sets = TagSets::default();
    let shape = read_members(path, &settings.read, book, extra, &mut sets, |row| surveyor.take(row))?;
    let survey = surveyor.finish(parts, sets, shape.to_string())?;
    Ok((survey, shape.warnings))
}

/// Bytes that a file of this size may hold.
pub(super) fn expanded(path: &Path, size: u64) -> u64 {
    let mut magic = [0; 4];
    let read =
        std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    let is_packed = read.is_ok() && (magic[..2] == [0x1f, 0x8b] || magic == [0x28, 0xb5, 0x2f, 0xfd]);
    if is_packed { size.saturating_mul(EXPANSION) } else { size }
}

pub(super) fn identity_is(path: &Path, found: &Identity) -> bool {
    std::fs::metadata(path).is_ok_and(|now| now.len() == found.size && modified(&now) == found.modified)
}
