//! Rows become events: those of the queue in their place, those of a file with their position.
//!
//! Whether an event is there already is asked in the transaction that enters it.

use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::event::{BetaEvent, ClientKey, Event, EventBody, EventState, Twin};
use crate::store::dialect::storable;
use crate::store::{Result, Store, StoreError, error::ensure_rows, int, write_tx};
use secrecy::ExposeSecret as _;

use super::v1::write_v1;

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrigin {
    /// A row of the queue.
    Row(i64),
    /// A line of a file.
    Line(u64),
}

/// What intake made of it.
#[derive(Debug)]
pub enum EventIntake {
    /// It is to be created, unless it is there already.
    Wanted {
        /// The event.
        event: Box<Event>,
        /// What tells it from others.
        key: ClientKey,
        /// The body of its request.
        body: EventBody,
    },
    /// We refuse it.
    Invalid {
        /// Its name, where it has one.
        name: String,
        /// Why.
        code: Code,
        /// Why, in words.
        reason: String,
    },
}

/// One event and where it comes from.
#[derive(Debug)]
pub struct EventInput {
    /// Where.
    pub origin: EventOrigin,
    /// What it is.
    pub intake: EventIntake,
}

/// Events that are taken in together.
#[derive(Debug)]
pub struct EventPart<'a> {
    /// Whose key.
    pub account: &'a str,
    /// The run they belong to.
    pub run_id: i64,
    /// The events.
    pub events: &'a [EventInput],
    /// The file, the part of it that this is, and whether it is the last.
    pub position: Option<(i64, u32, bool)>,
    /// When.
    pub now: Time,
}

/// The event that has a key already, on the open transaction.
macro_rules! twin {
    ($tx:ident, $account:expr, $key:expr) => {{
        let found: Option<(i64, i64, Option<i64>, String, Option<String>)> = sqlx::query_as(
            "select id, run_id, line, state, api_id from event_queue
              where account = $1 and client_key = $2
                and state in ('pending', 'in_flight', 'unknown', 'created')",
        )
        .bind($account)
        .bind($key)
        .fetch_optional(&mut *$tx)
        .await?;
        match found {
            None => None,
            Some((id, run_id, line, state, api_id)) => {
                let known = EventState::parse(&state);
                let state = known.ok_or_else(|| StoreError::corrupt("event_queue", "state", &state))?;
                Some(Twin { id, run_id, line, state, api_id })
            }
        }
    }};
}

/// Enters an event of a file, with what was read of it.
macro_rules! insert_event {
    ($tx:ident, $part:expr, $line:expr, $event:expr, $end:expr) => {{
        let (event, end): (&Event, &End) = ($event, $end);
        let beta = event.beta();
        let zoom = beta.and_then(BetaEvent::zoom);
        let (id, url, password) = zoom.map_or((None, None, None), |zoom| zoom.meeting());
        let entered: i64 = sqlx::query_scalar(
            "insert into event_queue
                 (account, run_id, line, name, start_at, cover_url, duration_minutes, require_rsvp,
                  require_rsvp_approval, zoom_creation_method, zoom_meeting_id, zoom_meeting_url,
                  zoom_session_type, community_api_id, zoom_meeting_password,
                  client_key, state, code, reason, body, due_at, created_at, settled_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                     $20, $21, $22, $23) returning id",
        )
        .bind($part.account)
        .bind($part.run_id)
        .bind(int($line))
        .bind(storable(event.name()))
        .bind(event.start_at())
        .bind(event.cover_url())
        .bind(beta.and_then(BetaEvent::duration_minutes).map(i64::from))
        .bind(beta.and_then(BetaEvent::require_rsvp).map(i64::from))
        .bind(beta.and_then(BetaEvent::require_rsvp_approval).map(i64::from))
        .bind(zoom.map(|zoom| zoom.method()))
        .bind(id)
        .bind(url)
        .bind(zoom.and_then(|zoom| zoom.session_type()))
        .bind(beta.and_then(BetaEvent::community_api_id))
        .bind(password.filter(|_| end.body.is_some()).map(|password| password.expose_secret()))
        .bind(&end.key)
        .bind(end.state.as_str())
        .bind(end.code.map(Code::as_str))
        .bind(&end.reason)
        .bind(&end.body)
        .bind(end.body.is_some().then_some($part.now))
        .bind($part.now)
        .bind(end.body.is_none().then_some($part.now))
        .fetch_one(&mut *$tx)
        .await?;
        if let Event::V1(event) = event {
            write_v1!($tx, entered, event.fields());
        }
    }};
}

/// How an event leaves intake.
struct End {
    state: EventState,
    key: Option<String>,
    code: Option<Code>,
    reason: Option<String>,
    body: Option<String>,
}

impl End {
    fn invalid(code: Code, reason: &str) -> Self {
        Self {
            state: EventState::Invalid,
            key: None,
            code: Some(code),
            reason: Some(reason.into()),
            body: None,
        }
    }

    fn wanted(key: &ClientKey, body: &EventBody, twin: Option<&Twin>) -> Self {
        let key_text = Some(key.as_str().to_owned());
        match twin {
            None => Self {
                state: EventState::Pending,
                key: key_text,
                code: None,
                reason: None,
                body: Some(body.0.expose_secret().to_owned()),
            },
            Some(twin) => Self {
                state: EventState::Duplicate,
                key: key_text,
                code: Some(Code::Duplicate),
                reason: Some(twin.reason()),
                body: None,
            },
        }
    }
}

/// Ends intake for a row of the queue, in its place.
macro_rules! mark_row {
    ($tx:ident, $part:expr, $id:expr, $end:expr) => {{
        let end: &End = $end;
        let found = sqlx::query(
            "update event_queue
                set state = $2, run_id = $3, client_key = coalesce($4, client_key), code = $5, reason = $6,
                    body = $7, due_at = $8, settled_at = $9, attempts = 0, line = null,
                    zoom_meeting_password = case when $7 is not null then zoom_meeting_password end
              where id = $1 and state = 'new'",
        )
        .bind($id)
        .bind(end.state.as_str())
        .bind($part.run_id)
        .bind(&end.key)
        .bind(end.code.map(Code::as_str))
        .bind(end.reason.as_deref().map(storable))
        .bind(&end.body)
        .bind(end.body.is_some().then_some($part.now))
        .bind(end.body.is_none().then_some($part.now))
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        ensure_rows(found, 1, || format!("event `{}`", $id))?;
    }};
}

impl Store {
    /// Writes what intake made of events, with counts and position, all or nothing. `Lost` where
    /// another process has read a row or taken this part meanwhile.
    pub async fn take_events(&self, part: &EventPart<'_>) -> Result<()> {
        write_tx!(self, tx => {
            if let Some((file_id, number, is_last)) = part.position {
                let moved = sqlx::query(
                    "update input_files
                        set parts_done = parts_done + 1, state = case when $3 then 'taken' else state end
                      where id = $1 and parts_done = $2 and state = 'taking'",
                )
                .bind(file_id)
                .bind(i64::from(number))
                .bind(is_last)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                ensure_rows(moved, 1, || format!("part {number} of file `{file_id}`"))?;
            }
            let is_last = part.position.is_some_and(|(_, _, is_last)| is_last);
            let counted = sqlx::query(
                "update runs set read_rows = read_rows + $2,
                        status = case when $3 and status = 'queued' then 'running' else status end
                  where id = $1 and status in ('queued', 'running')",
            )
            .bind(part.run_id)
            .bind(int(part.events.len()))
            .bind(is_last)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            ensure_rows(counted, 1, || format!("run `{}`", part.run_id))?;
            for input in part.events {
                match (&input.intake, input.origin) {
                    (EventIntake::Wanted { event, key, body }, origin) => {
                        let twin = twin!(tx, part.account, key.as_str());
                        let end = End::wanted(key, body, twin.as_ref());
                        match origin {
                            EventOrigin::Row(id) => mark_row!(tx, part, id, &end),
                            EventOrigin::Line(line) => {
                                insert_event!(tx, part, line, event, &end);
                            }
                        }
                    }
                    (EventIntake::Invalid { code, reason, .. }, EventOrigin::Row(id)) => {
                        mark_row!(tx, part, id, &End::invalid(*code, reason));
                    }
                    (EventIntake::Invalid { name, code, reason }, EventOrigin::Line(line)) => {
                        sqlx::query(
                            "insert into event_queue
                                 (account, run_id, line, name, state, code, reason, created_at, settled_at)
                             values ($1, $2, $3, $4, 'invalid', $5, $6, $7, $7)",
                        )
                        .bind(part.account)
                        .bind(part.run_id)
                        .bind(int(line))
                        .bind(storable(name))
                        .bind(code.as_str())
                        .bind(storable(reason))
                        .bind(part.now)
                        .execute(&mut *tx)
                        .await?;
                    }
                }
            }
        });
        Ok(())
    }
}

pub(super) use twin;
