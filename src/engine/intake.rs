//! From a file to rows in the queue, part by part, each with its position in one transaction.
//!
//! The file is read once before anything is written: what is wrong with it as a whole is known by
//! then, and a crash leaves nothing but whole parts. Reading a part, looking it up in the ledger
//! and writing the one before go on at the same time.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::ahead::LedgerAhead;
use super::diff::{Changed, Diff, KnownSets, Wanted, diff};
use super::lines::{UnkeptLine, pack};
use super::{Engine, EngineError, Settings, Stop, printable};
use crate::domain::batch::{BatchLimits, BatchPlanner, address_bytes};
use crate::domain::state::{Kind, RowState};
use crate::domain::tag::{TagSet, TagSets};
use crate::ingest::spill::{Part, Spill, SpillWriter, parts_for};
use crate::ingest::{Identity, Row, identity, modified, read_members};
use crate::store::StoreError;
use crate::store::{
    BadInput, FileState, InputFile, Intake, LedgerSlice, NewFile, NewRun, PendingRow, RunSource, UnkeptLines,
};

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

/// What one reading of a file finds.
struct Survey {
    spill: Spill,
    sets: TagSets,
    shape: String,
    /// Invalid rows, and the first of them.
    invalid: u64,
    first_invalid: Option<(u64, String)>,
}

/// One part, ready to be written.
struct Prepared {
    part: Part,
    diff: Diff,
}

/// How often the reader looks up whether it is to stop, in lines.
const STOP_STEP: u64 = 1_024;
/// How much a packed file may hold, for all we know before it is read.
const EXPANSION: u64 = 20;
/// Parts that are prepared while one is written.
const AHEAD: usize = 3;

impl Engine {
    /// Takes in a file: all of it, what is left of it, or nothing where the same bytes were taken before.
    pub async fn take_file(&self, taking: &Taking, stop: &Stop) -> Result<Taken, EngineError> {
        let path = taking.path.clone();
        let found = tokio::task::spawn_blocking(move || identity(&path)).await??;
        // The bytes, whose key they are for, and the tags that were asked for with them.
        let key = format!("{}:{}:{}", self.settings.account, found.sha256, taking.extra_tags);
        let key = self.file_identity(taking, key).await?;
        let known = self.store.file_by_identity(&key).await?;
        if let Some(file) = known.as_ref().filter(|file| file.state != FileState::Taking) {
            return Ok(Taken::Before(file.clone()));
        }
        let bytes = expanded(&taking.path, found.size);
        let (first, parts) =
            known.map_or_else(|| (0, parts_for(bytes)), |file| (file.parts_done, file.parts));
        let ledger = self.read_ledger_ahead(first, parts, bytes).await?;
        let survey = self.survey(taking, parts, &found, stop).await?;
        let file = self.begin(taking, &found, &key, parts, &survey).await?;
        if file.state == FileState::Taking {
            if file.parts_done != first {
                // Another process takes it in: the ledger was read for other parts than are left.
                return Err(StoreError::Lost { what: format!("file `{}`", file.id) }.into());
            }
            self.take_parts(&file, taking.source, survey, ledger, stop).await?;
        }
        let file = self.store.file_by_identity(&key).await?.unwrap_or(file);
        Ok(Taken::Now(file))
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

    async fn survey(
        &self,
        taking: &Taking,
        parts: u32,
        found: &Identity,
        stop: &Stop,
    ) -> Result<Survey, EngineError> {
        let stop = stop.clone();
        let (path, extra, found) = (taking.path.clone(), taking.extra_tags.clone(), found.clone());
        let settings = Arc::clone(&self.settings);
        let survey = tokio::task::spawn_blocking(move || {
            let survey = read(&path, &settings, &extra, parts, &stop)?;
            // Written to after it was hashed: the rows may be others than those of the identity.
            let unchanged = identity_is(&path, &found);
            if unchanged { Ok(survey) } else { Err(EngineError::Changed { path }) }
        })
        .await??;
        match &survey.first_invalid {
            Some((line, reason)) if self.settings.refuse_files => Err(EngineError::Refused {
                path: taking.path.clone(),
                rows: survey.invalid,
                line: *line,
                reason: reason.clone(),
            }),
            _ => Ok(survey),
        }
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
            trigger: taking.source.trigger(),
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

    async fn take_parts(
        &self,
        file: &InputFile,
        source: RunSource,
        survey: Survey,
        mut ledger: LedgerAhead,
        stop: &Stop,
    ) -> Result<(), EngineError> {
        let sets = Arc::new(self.known_sets(survey.sets).await?);
        let spill = Arc::new(survey.spill);
        let open = self.store.open_batches(file.run_id, self.settings.limits.max_rows).await?;
        let account = self.store.account(&self.settings.account).await?;
        let now = self.clock.now();
        let learnt = account.and_then(|account| account.max_body).filter(|(_, until)| *until > now);
        let max_bytes = learnt.map_or(usize::MAX, |(bytes, _)| bytes).min(self.settings.limits.max_bytes);
        let mut planner = BatchPlanner::new(BatchLimits { max_bytes, ..self.settings.limits }, open);
        let mut to_prepare = file.parts_done..file.parts;
        let mut ahead = VecDeque::with_capacity(AHEAD);
        for part in file.parts_done..file.parts {
            for next in to_prepare.by_ref().take(AHEAD - ahead.len()) {
                ahead.push_back(self.prepare(next, ledger.next().await?, &spill, &sets));
            }
            let Some(ready) = ahead.pop_front() else { break };
            let prepared: Prepared = ready.await??;
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
            self.write_part(file, source, part, &prepared, &sets, &mut planner).await?;
        }
        Ok(())
    }

    async fn known_sets(&self, local: TagSets) -> Result<KnownSets, EngineError> {
        let ids = self.store.intern_tag_sets(&local.iter().cloned().collect::<Vec<_>>()).await?;
        let stored = self.store.tag_sets().await?;
        Ok(KnownSets { local, ids, stored })
    }

    /// Loads one part and compares it with the ledger's side of it, in the background.
    fn prepare(
        &self,
        part: u32,
        ledger: Option<LedgerSlice>,
        spill: &Arc<Spill>,
        sets: &Arc<KnownSets>,
    ) -> JoinHandle<Result<Prepared, EngineError>> {
        let (store, account) = (self.store.clone(), self.settings.account.clone());
        let (spill, sets) = (Arc::clone(spill), Arc::clone(sets));
        let dir = self.settings.spill_dir.clone();
        tokio::spawn(async move {
            let loaded = tokio::task::spawn_blocking(move || spill.load(part)).await?;
            let part_rows = loaded.map_err(EngineError::io("read back rows from", &dir))?;
            let ledger = match ledger {
                Some(slice) => slice,
                None => store.ledger_lookup(&account, &part_rows.hashes().collect::<Vec<_>>()).await?,
            };
            tokio::task::spawn_blocking(move || {
                let diff = diff(&part_rows, &ledger.entries()?, &sets);
                Ok(Prepared { part: part_rows, diff })
            })
            .await?
        })
    }

    async fn write_part(
        &self,
        file: &InputFile,
        source: RunSource,
        part: u32,
        prepared: &Prepared,
        sets: &KnownSets,
        planner: &mut BatchPlanner,
    ) -> Result<(), EngineError> {
        let unions = self.union_ids(&prepared.diff.changed).await?;
        let rows = &prepared.part;
        let id_of = |wanted: &Wanted| match wanted {
            Wanted::Set(set) => sets.ids[*set as usize],
            Wanted::Union(set) => unions[set],
        };
        let mut changed: Vec<(i64, &Changed)> =
            prepared.diff.changed.iter().map(|changed| (id_of(&changed.wanted), changed)).collect();
        // The rows of a batch lie side by side then, and its settle touches few pages.
        changed.sort_by_key(|(tag_set, _)| *tag_set);
        let pending: Vec<PendingRow<'_>> = changed
            .into_iter()
            .map(|(tag_set, changed)| {
                let (row, name) = (rows.row(changed.row), rows.row(changed.named).name());
                PendingRow {
                    email: row.email(),
                    name: (!name.is_empty()).then_some(name),
                    line: row.line.cast_signed(),
                    key_hash: row.hash,
                    tag_set,
                    batch: planner.place(tag_set, address_bytes(row.email())),
                }
            })
            .collect();
        let invalid: Vec<BadInput<'_>> = rows
            .bad()
            .map(|row| BadInput {
                email: row.email,
                line: row.line.cast_signed(),
                code: row.code,
                reason: row.reason,
            })
            .collect();
        let ids = self
            .store
            .add_part(&Intake {
                account: &self.settings.account,
                run_id: file.run_id,
                file_id: file.id,
                part,
                is_last: part + 1 == file.parts,
                pending: &pending,
                invalid: &invalid,
                unkept: &unkept(&prepared.diff, source),
                batches: planner.touched(),
                now: self.clock.now(),
            })
            .await?;
        planner.end_part(&ids);
        Ok(())
    }

    async fn union_ids(&self, changed: &[Changed]) -> Result<HashMap<TagSet, i64>, EngineError> {
        let mut unions: Vec<TagSet> = changed
            .iter()
            .filter_map(|changed| match &changed.wanted {
                Wanted::Set(_) => None,
                Wanted::Union(set) => Some(set.clone()),
            })
            .collect();
        unions.sort_unstable();
        unions.dedup();
        if unions.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = self.store.intern_tag_sets(&unions).await?;
        Ok(unions.into_iter().zip(ids).collect())
    }
}

/// Reads a file from end to end into parts.
fn read(
    path: &Path,
    settings: &Settings,
    extra: &TagSet,
    parts: u32,
    stop: &Stop,
) -> Result<Survey, EngineError> {
    let spill_dir = &settings.spill_dir;
    let mut writer = SpillWriter::new(parts, spill_dir);
    let mut sets = TagSets::default();
    let (mut invalid, mut first_invalid, mut failed) = (0, None, None);
    let sink = |row: Row<'_>| {
        if row.line.is_multiple_of(STOP_STEP) && stop.is_requested() {
            return ControlFlow::Break(());
        }
        let pushed = match row.read {
            Ok(member) => {
                let address = &member.address;
                writer.push(address.key_hash(), row.line, member.tag_set, address.canonical(), &member.name)
            }
            Err(error) => {
                if error.code.state_at_intake() == RowState::Invalid {
                    invalid += 1;
                    first_invalid.get_or_insert_with(|| (row.line, error.reason.clone()));
                }
                writer.push_bad(
                    row.line,
                    error.code,
                    error.email.as_deref().unwrap_or_default(),
                    &error.reason,
                )
            }
        };
        match pushed {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let shape = read_members(path, &settings.read, &settings.tags, extra, &mut sets, sink)?;
    if stop.is_requested() {
        return Err(EngineError::Stopped);
    }
    if let Some(error) = failed {
        return Err(EngineError::io("put rows aside in", spill_dir)(error));
    }
    shape.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(Survey { spill: writer.finish(), sets, shape: shape.to_string(), invalid, first_invalid })
}

/// Bytes that a file of this size may hold.
fn expanded(path: &Path, size: u64) -> u64 {
    let mut magic = [0; 4];
    let read =
        std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    let is_packed = read.is_ok() && (magic[..2] == [0x1f, 0x8b] || magic == [0x28, 0xb5, 0x2f, 0xfd]);
    if is_packed { size.saturating_mul(EXPANSION) } else { size }
}

pub(super) fn identity_is(path: &Path, found: &Identity) -> bool {
    std::fs::metadata(path).is_ok_and(|now| now.len() == found.size && modified(&now) == found.modified)
}

/// A file by hand has no result files: of its lines only the duplicates are worth remembering.
fn unkept(diff: &Diff, source: RunSource) -> UnkeptLines {
    let is_worth_it = |line: &&UnkeptLine| source == RunSource::Folder || line.twin > 0;
    let mut lines: Vec<UnkeptLine> = diff.unkept.iter().filter(is_worth_it).copied().collect();
    lines.sort_unstable();
    let unchanged = diff.unkept.len() as u64 - diff.duplicates;
    UnkeptLines { chunks: pack(&lines), duplicates: diff.duplicates, unchanged }
}
