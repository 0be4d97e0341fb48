//! One pass over somebody else's database: a run whose rows are the answer of a query.
//!
//! All rows are read before one is taken in, so a query that breaks off leaves nothing behind. Then they go
//! the way of a file's. Knows no SQL and no configuration.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::parts::Lot;
use super::survey::{Survey, Surveyor};
use super::{Engine, EngineError, Stop};
use crate::clock::Clock;
use crate::domain::cursor::Position;
use crate::domain::state::{Kind, Trigger};
use crate::domain::tag::{TagSet, TagSets};
use crate::ingest::spill::parts_for;
use crate::ingest::{MemberColumns, QueryMembers, column_place, hexadecimal};
use crate::store::{
    After, BegunPass, CursorReading, Input, NewPass, NewRun, PassRead, Reading, RunSource, SourceColumn,
    SourceDatabase, SourceReader, SourceRow,
};

/// A query over somebody else's database, and what its rows mean.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name; its runs are called so.
    pub name: String,
    /// Where its rows lie.
    pub database: SourceDatabase,
    /// The same without user and password.
    pub place: String,
    /// The query, which only reads.
    pub query: String,
    /// Fields of a member, and the columns that hold them where their names do not say so.
    pub columns: Vec<(String, String)>,
    /// Tags that every row gets.
    pub tags: TagSet,
    /// How it is read from where it was read to before; otherwise it is read anew each time.
    pub cursor: Option<SourceCursor>,
    /// How long one reading may take.
    pub timeout: Duration,
}

/// How the rows that have come since are told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCursor {
    /// The column that grows with each change.
    pub value: String,
    /// The column that tells rows of one value apart.
    pub key: String,
    /// How far back a reading begins, for rows that were written late.
    pub overlap: Duration,
}

/// What a look at a source finds, without reading a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLook {
    /// The columns that are read, and what each is taken for.
    pub meaning: String,
    /// Columns that are not read.
    pub unread: Vec<String>,
    /// What a person should look at before they trust the outcome.
    pub warnings: Vec<String>,
}

/// Parts that rows are divided into while nobody knows how many come; few rows are joined to fewer.
const PARTS: u32 = 256;
/// Blocks of rows that wait to be taken apart.
const BLOCKS_AHEAD: usize = 4;
/// How much longer than its statement may take a source may need to open and to close.
const GRACE: Duration = Duration::from_secs(30);

/// What is known of a source before its rows are.
struct Plan {
    columns: Vec<SourceColumn>,
    members: MemberColumns,
    /// The places of cursor and key.
    cursor: Option<(usize, usize)>,
}

impl Plan {
    async fn find(source: &Source, reader: &mut SourceReader) -> Result<Self, EngineError> {
        let fault = |fault| EngineError::source(source, fault);
        let columns = reader.columns(&source.query).await.map_err(fault)?;
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let wrong = |fault| EngineError::Columns { name: source.name.clone(), fault };
        let members = MemberColumns::find(&names, &source.columns).map_err(wrong)?;
        let cursor = match &source.cursor {
            None => None,
            Some(cursor) => Some((
                column_place(&names, "cursor", &cursor.value).map_err(wrong)?,
                column_place(&names, "key", &cursor.key).map_err(wrong)?,
            )),
        };
        Ok(Self { columns, members, cursor })
    }

    fn reading<'a>(&'a self, source: &'a Source, after: Option<After>) -> Reading<'a> {
        let cursor = self.cursor.map(|(value, key)| CursorReading { value, key, after });
        Reading { query: &source.query, columns: &self.columns, read: self.members.read(), cursor }
    }

    fn unread(&self) -> Vec<String> {
        let is_read = |at: &usize| {
            self.members.read().contains(at)
                || self.cursor.is_some_and(|(value, key)| *at == value || *at == key)
        };
        let unread = (0..self.columns.len()).filter(|at| !is_read(at));
        unread.map(|at| self.columns[at].name.clone()).collect()
    }
}

/// Connects to a source and sees whether its query can be read, without reading a row.
pub async fn look_at(source: &Source, clock: &Clock) -> Result<SourceLook, EngineError> {
    let looking = async {
        let fault = |fault| EngineError::source(source, fault);
        let mut reader = SourceReader::open(&source.database, source.timeout, clock).await.map_err(fault)?;
        let plan = Plan::find(source, &mut reader).await?;
        reader.check(&plan.reading(source, None)).await.map_err(fault)?;
        let warnings = plan.members.warnings().to_vec();
        Ok(SourceLook { meaning: plan.members.meaning(), unread: plan.unread(), warnings })
    };
    in_time(source, clock, looking).await
}

/// A server may go silent without a word.
async fn in_time<T>(
    source: &Source,
    clock: &Clock,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    tokio::select! {
        done = work => done,
        () = clock.sleep(source.timeout + GRACE) => Err(EngineError::source(
            source,
            crate::store::SourceError::TooSlow(source.timeout),
        )),
    }
}

impl Engine {
    /// Takes in a source: reads all of it, or what has come since, and puts what is new of it into the queue.
    /// Its run, whose rows are still to be sent. Where that breaks off, the run ends with what was taken in.
    pub async fn take_source(
        &self,
        source: &Source,
        trigger: Trigger,
        stop: &Stop,
    ) -> Result<i64, EngineError> {
        let busy = || EngineError::SourceBusy { name: source.name.clone() };
        let _held = self.hold(&source.name).ok_or_else(busy)?;
        let run = NewRun {
            account: &self.settings.account,
            kind: Kind::Members,
            source: RunSource::Sql,
            trigger,
            fire: self.fire,
            verify: self.settings.verify,
            planned: self.planned,
            label: &source.name,
            now: self.clock.now(),
        };
        let asked = self.asked(source);
        let pass = NewPass { source: &source.name, worker_id: self.worker_id, asked: &asked };
        let begun = self.store.begin_pass(run, pass).await?.ok_or_else(busy)?;
        let Err(error) = self.pass(source, &begun, stop).await else {
            self.note_pass(&source.name, begun.run_id).await?;
            return Ok(begun.run_id);
        };
        let why = super::error::chain(&error).split(';').next().unwrap_or_default().to_owned();
        if let Err(error) = self.store.break_pass(begun.run_id, &why, self.clock.now()).await {
            // The next pass of this process, or whoever finds it gone, does it then.
            tracing::warn!(run = begun.run_id, error = super::error::chain(&error), "a pass stays open");
        }
        if let Err(error) = self.release(begun.run_id).await {
            tracing::debug!(run = begun.run_id, error = super::error::chain(&error), "released later");
        }
        Err(error)
    }

    async fn pass(&self, source: &Source, begun: &BegunPass, stop: &Stop) -> Result<(), EngineError> {
        let after = begun.position.as_ref().map(|position| go_on(source, position)).transpose()?.flatten();
        let (survey, position, warnings) = self.survey_source(source, after, stop).await?;
        for warning in warnings {
            tracing::warn!(source = source.name, "{warning}");
        }
        if let Some(position) = &position {
            // What nobody can go on from is not worth keeping.
            go_on(source, position)?;
        }
        let (run_id, parts) = (begun.run_id, survey.spill.parts());
        let read = PassRead { parts, shape: &survey.shape, position: position.as_ref() };
        self.store.read_pass(run_id, &read).await?;
        let invalid = survey.invalid;
        tracing::info!(run = run_id, source = source.name, parts, invalid, "taking in a source");
        // Before the ledger is read: who is delivered in between is found in one of both.
        let awaited = self.awaited(&source.name, parts).await?.map(Arc::new);
        let ledger = self.read_ledger_ahead(0, parts, survey.spill.bytes()).await?;
        let lot = Lot { input: Input::Pass, run_id, parts, parts_done: 0, tells_all: false };
        Box::pin(self.take_parts(&lot, survey, ledger, awaited, stop)).await
    }

    /// What a source holds behind a place, read with every tag that there is; the last row of it, where there is a
    /// cursor; and what its reader should be warned of.
    pub(super) async fn survey_source(
        &self,
        source: &Source,
        after: Option<After>,
        stop: &Stop,
    ) -> Result<(Survey, Option<Position>, Vec<String>), EngineError> {
        self.list_tags(stop).await?;
        self.ensure_tags(&source.tags)?;
        loop {
            let read = self.read_source(source, after.clone(), stop).await?;
            if !self.find_tags(read.0.sets.unknown(), stop).await? {
                return Ok(read);
            }
        }
    }

    /// Reads every row into parts; and the last of them, where there is a cursor.
    async fn read_source(
        &self,
        source: &Source,
        after: Option<After>,
        stop: &Stop,
    ) -> Result<(Survey, Option<Position>, Vec<String>), EngineError> {
        let reading = async {
            let fault = |fault| EngineError::source(source, fault);
            let opening = SourceReader::open(&source.database, source.timeout, &self.clock);
            let mut reader = opening.await.map_err(fault)?;
            let plan = Plan::find(source, &mut reader).await?;
            let warnings = plan.members.warnings().to_vec();
            let (to, rows) = mpsc::channel(BLOCKS_AHEAD);
            let survey = self.survey_rows(source, plan.members.clone(), rows, stop);
            let last = reader.read(&plan.reading(source, after), &self.clock, to).await;
            let survey = survey.await?;
            Ok((survey?, last.map_err(fault)?, warnings))
        };
        tokio::select! {
            read = in_time(source, &self.clock, reading) => read,
            () = stop.requested() => Err(EngineError::Stopped),
        }
    }

    /// Takes rows apart as they come, on a thread of its own.
    fn survey_rows(
        &self,
        source: &Source,
        columns: MemberColumns,
        mut rows: mpsc::Receiver<Vec<SourceRow>>,
        stop: &Stop,
    ) -> tokio::task::JoinHandle<Result<Survey, EngineError>> {
        let (settings, book) = (Arc::clone(&self.settings), self.tag_book());
        let extra = source.tags.clone();
        let mut surveyor = Surveyor::new(PARTS, settings.spill_dir.clone(), stop.clone());
        tokio::task::spawn_blocking(move || {
            let mut sets = TagSets::default();
            let mut members = QueryMembers::new(&columns, &settings.read, &book, &extra, &mut sets);
            let mut ordinal = 0;
            'rows: while let Some(block) = rows.blocking_recv() {
                for cells in block {
                    ordinal += 1;
                    if surveyor.take(members.row(ordinal, &cells)).is_break() {
                        break 'rows;
                    }
                }
            }
            let parts = parts_for(surveyor.bytes());
            surveyor.finish(parts, sets, columns.meaning())
        })
    }

    /// A digest of all that decides what a row means. Where any of it is another than before, rows that were
    /// read then are read again.
    pub(super) fn asked(&self, source: &Source) -> String {
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        };
        add(&self.settings.account);
        add(&source.place);
        add(&source.query);
        source
            .columns
            .iter()
            .for_each(|(field, column)| [field, column].into_iter().for_each(|text| add(text)));
        add(&source.tags.to_string());
        add(&format!("{:?}", self.settings.read.guests));
        if let Some(cursor) = &source.cursor {
            add(&cursor.value);
            add(&cursor.key);
        }
        for (name, id) in self.settings.tags.iter() {
            add(name);
            add(id.as_str());
        }
        hexadecimal(&digest.finalize())
    }

    /// The right to take in a source; nobody else in this process has it until it is dropped.
    fn hold(&self, name: &str) -> Option<Held> {
        let mut reading = self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        reading.insert(name.to_owned()).then(|| Held { engine: self.clone(), name: name.to_owned() })
    }
}

/// A source that this process takes in.
struct Held {
    engine: Engine,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.engine.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.name);
    }
}

/// Where a reading goes on from a position.
pub(super) fn go_on(source: &Source, position: &Position) -> Result<Option<After>, EngineError> {
    let Some(cursor) = &source.cursor else { return Ok(None) };
    if cursor.overlap.is_zero() {
        return Ok(Some(After::Row(position.clone())));
    }
    let unmoved = || EngineError::Overlap { name: source.name.clone(), column: cursor.value.clone() };
    Ok(Some(After::From(position.value.back(cursor.overlap).ok_or_else(unmoved)?)))
}
