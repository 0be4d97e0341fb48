//! From rows of the queue and lines of files to events that are to be created.
//!
//! A file is read twice: once to know what is wrong with it, once to write it, chunk by chunk, each with
//! its position in one transaction.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::intake::identity_is;
use super::{Engine, EngineError, Settings, Stop, Taken, Taking, printable};
use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::event::{Field, Fields, Wanted, parse_event, said};
use crate::domain::proof::Verify;
use crate::domain::state::Kind;
use crate::ingest::{EventRow, Identity, ReadOptions, identity, read_events};
use crate::luma::event_body;
use crate::store::{
    EventInput, EventIntake, EventOrigin, EventPart, FileState, InputFile, NewEvent, NewFile, NewRun,
};

/// Rows a transaction. A half-taken file counts in it, so it stays as it is.
const CHUNK: usize = 500;
/// Chunks that wait to be written.
const AHEAD: usize = 2;
/// How much of a refused event's name is kept.
const NAME_KEPT: usize = 200;

/// What one reading of a file finds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) rows: usize,
    pub(super) invalid: u64,
    pub(super) first_invalid: Option<(u64, String)>,
    pub(super) shape: String,
}

impl Engine {
    /// Takes in a file of this kind.
    pub async fn take_in(&self, kind: Kind, taking: &Taking, stop: &Stop) -> Result<Taken, EngineError> {
        match kind {
            Kind::Members => self.take_file(taking, stop).await,
            Kind::Events => self.take_event_file(taking, stop).await,
        }
    }

    /// Takes in a file of events: all of it, what is left of it, or nothing where the same bytes were
    /// taken before.
    async fn take_event_file(&self, taking: &Taking, stop: &Stop) -> Result<Taken, EngineError> {
        let path = taking.path.clone();
        let found = tokio::task::spawn_blocking(move || identity(&path)).await??;
        let key = self.event_file_key(taking, &found).await?;
        let known = self.store.file_by_identity(&key).await?;
        if let Some(file) = known.filter(|file| file.state != FileState::Taking) {
            return Ok(Taken::Before(file));
        }
        let survey = {
            let (path, settings, now) = (taking.path.clone(), Arc::clone(&self.settings), self.clock.now());
            let found = found.clone();
            tokio::task::spawn_blocking(move || survey(&path, &settings, &found, now)).await??
        };
        let file = self.begin_events(taking, &found, &key, &survey).await?;
        self.take_chunks(taking, &found, &file, stop).await?;
        let file = self.store.file_by_identity(&key).await?.unwrap_or(file);
        Ok(Taken::Now(file))
    }

    /// What a file of events is known by.
    pub(super) async fn event_file_key(
        &self,
        taking: &Taking,
        found: &Identity,
    ) -> Result<String, EngineError> {
        let key = format!("{}:events:{}", self.settings.account, found.sha256);
        self.file_identity(taking, key).await
    }

    async fn begin_events(
        &self,
        taking: &Taking,
        found: &Identity,
        key: &str,
        survey: &Survey,
    ) -> Result<InputFile, EngineError> {
        let run = NewRun {
            account: &self.settings.account,
            kind: Kind::Events,
            source: taking.source,
            trigger: self.trigger(taking.source),
            fire: self.fire,
            verify: Verify::None,
            planned: false,
            label: &printable(&taking.name),
            now: self.clock.now(),
        };
        let file = NewFile {
            identity: key,
            sha256: &found.sha256,
            size: found.size,
            name: &taking.name,
            path: &taking.path.to_string_lossy(),
            extra_tags: "",
            parts: u32::try_from(survey.rows.div_ceil(CHUNK).max(1)).unwrap_or(u32::MAX),
            shape: &survey.shape,
        };
        let (file, is_new) = self.store.begin_file(run, &file).await?;
        let (rows, invalid) = (survey.rows, survey.invalid);
        tracing::info!(run = file.run_id, resumed = !is_new, rows, invalid, "taking in a file of events");
        Ok(file)
    }

    async fn take_chunks(
        &self,
        taking: &Taking,
        found: &Identity,
        file: &InputFile,
        stop: &Stop,
    ) -> Result<(), EngineError> {
        let (to, mut chunks) = mpsc::channel(AHEAD);
        let reading = {
            let (path, settings, now) = (taking.path.clone(), Arc::clone(&self.settings), self.clock.now());
            let again = taking.again.then_some(file.run_id);
            let (first, found) = (file.parts_done as usize * CHUNK, found.clone());
            tokio::task::spawn_blocking(move || {
                send_chunks(&path, &settings, &found, first, (now, again), &to)
            })
        };
        let mut written = Ok(());
        for part in file.parts_done..file.parts {
            // A file without rows is one empty part.
            let events = chunks.recv().await.unwrap_or_default();
            let is_last = part + 1 == file.parts;
            if stop.is_requested() {
                written = Err(EngineError::Stopped);
            } else if events.is_empty() && !(is_last && file.parts == 1) {
                // The reader broke off, and says why.
                break;
            } else {
                let part = EventPart {
                    account: &self.settings.account,
                    run_id: file.run_id,
                    events: &events,
                    position: Some((file.id, part, is_last)),
                    now: self.clock.now(),
                };
                written = self.store.take_events(&part).await.map_err(EngineError::from);
            }
            if written.is_err() {
                break;
            }
        }
        drop(chunks);
        let read = reading.await?;
        written.and(read)
    }

    /// Takes in events of the queue; how many there were.
    pub async fn take_event_queue(&self) -> Result<u64, EngineError> {
        let most = u32::try_from(CHUNK).unwrap_or(u32::MAX).min(self.settings.queue_rows);
        let mut rows = self.store.new_events(&self.settings.account, most).await?;
        if rows.is_empty() && self.tells_strays() {
            rows = self.store.stray_events(most).await?;
        }
        if rows.is_empty() {
            return Ok(0);
        }
        let run_id = self.queue_run(Kind::Events).await?;
        let now = self.clock.now();
        let events: Vec<EventInput> = rows.iter().map(|row| self.of_queue(row, now)).collect();
        let part =
            EventPart { account: &self.settings.account, run_id, events: &events, position: None, now };
        self.store.take_events(&part).await?;
        tracing::info!(run = run_id, events = events.len(), "took events from the queue");
        Ok(events.len() as u64)
    }

    fn of_queue(&self, row: &NewEvent, now: Time) -> EventInput {
        let intake = if row.account == self.settings.account {
            intake(&row.fields, &self.settings, now, None, |_| None)
        } else {
            let name: String = row.account.chars().take(80).collect();
            EventIntake::Invalid {
                name: String::new(),
                code: Code::AccountUnknown,
                reason: format!("there is no account `{name}`"),
            }
        };
        EventInput { origin: EventOrigin::Row(row.id), intake }
    }
}

fn options(settings: &Settings) -> ReadOptions {
    ReadOptions { kind: Kind::Events, ..settings.read }
}

/// Reads a file from end to end and writes nothing.
pub(super) fn survey(
    path: &Path,
    settings: &Settings,
    found: &Identity,
    now: Time,
) -> Result<Survey, EngineError> {
    let mut survey = Survey::default();
    let shape = read_events(path, &options(settings), |row| {
        survey.rows += 1;
        if let EventIntake::Invalid { reason, .. } = of_row(&row, settings, now, None) {
            survey.invalid += 1;
            survey.first_invalid.get_or_insert((row.line, reason));
        }
        ControlFlow::Continue(())
    })?;
    survey.shape = shape.to_string();
    match &survey.first_invalid {
        _ if !identity_is(path, found) => Err(EngineError::Changed { path: path.to_owned() }),
        Some((line, reason)) if settings.refuse_files => Err(EngineError::Refused {
            path: path.to_owned(),
            rows: survey.invalid,
            line: *line,
            reason: reason.clone(),
        }),
        _ => Ok(survey),
    }
}

/// Reads a file again and passes its events on, those that are in the queue already left out.
fn send_chunks(
    path: &Path,
    settings: &Settings,
    found: &Identity,
    first: usize,
    (now, again): (Time, Option<i64>),
    to: &mpsc::Sender<Vec<EventInput>>,
) -> Result<(), EngineError> {
    let (mut chunk, mut number) = (Vec::with_capacity(CHUNK), 0);
    let changed = || EngineError::Changed { path: path.to_owned() };
    let mut failed = None;
    read_events(path, &options(settings), |row| {
        number += 1;
        if number <= first {
            return ControlFlow::Continue(());
        }
        let intake = of_row(&row, settings, now, again);
        chunk.push(EventInput { origin: EventOrigin::Line(row.line), intake });
        if chunk.len() < CHUNK {
            return ControlFlow::Continue(());
        }
        if !identity_is(path, found) {
            failed = Some(changed());
            return ControlFlow::Break(());
        }
        // Nobody listens any more where the intake was told to stop.
        match to.blocking_send(std::mem::take(&mut chunk)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if !identity_is(path, found) {
        return Err(changed());
    }
    if !chunk.is_empty() {
        // As above.
        let _ = to.blocking_send(chunk);
    }
    Ok(())
}

fn of_row(row: &EventRow, settings: &Settings, now: Time, again: Option<i64>) -> EventIntake {
    match &row.read {
        Ok(fields) => intake(fields, settings, now, again, |field| row.column(field)),
        Err((code, reason)) => {
            EventIntake::Invalid { name: String::new(), code: *code, reason: reason.clone() }
        }
    }
}

/// What a row comes to; `again` is the run that deliberately makes another of the same.
fn intake(
    fields: &Fields,
    settings: &Settings,
    now: Time,
    again: Option<i64>,
    column: impl Fn(Field) -> Option<u64>,
) -> EventIntake {
    match parse_event(fields, &settings.event_rules, now) {
        Ok(Wanted { event, key }) => {
            let key = again.map_or(key.clone(), |run_id| key.again(run_id));
            let body = event_body(&event, &key, &settings.account);
            EventIntake::Wanted { event: Box::new(event), key, body }
        }
        Err(problems) => EventIntake::Invalid {
            name: fields.get(Field::Name).unwrap_or_default().chars().take(NAME_KEPT).collect(),
            code: problems.first().map_or(Code::FieldInvalid, |problem| problem.code),
            reason: said(&problems, column),
        },
    }
}
