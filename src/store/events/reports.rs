//! What people ask about events: lists, one event's story, counts of a run.

use super::looks::EventLook;
use super::v1::{V1Columns, v1_columns};
use crate::clock::Time;
use crate::domain::event::EventState;
use crate::store::lossy::Lossy;
use crate::store::{Result, Run, RunCounts, Store, StoreError, read};

/// An event as it stands. Holds no password.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EventRow {
    /// Its number.
    pub id: i64,
    /// Whose key it wants.
    #[sqlx(try_from = "Lossy")]
    pub account: String,
    /// Where it stands.
    pub state: String,
    /// Its name.
    #[sqlx(try_from = "Lossy")]
    pub name: String,
    /// When it begins, as given or as read.
    #[sqlx(try_from = "Lossy")]
    pub start_at: Option<String>,
    /// Luma's id of it, once it exists.
    pub api_id: Option<String>,
    /// The stable code.
    pub code: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Requests for it that counted.
    pub attempts: i64,
    /// The run it belongs to.
    pub run_id: Option<i64>,
    /// Its line, if it came from a file.
    pub line: Option<i64>,
}

/// Which events are wanted.
#[derive(Clone, Copy, Debug)]
pub struct EventFilter<'a> {
    /// Only those in this state.
    pub state: Option<EventState>,
    /// Only those of this run.
    pub run: Option<i64>,
    /// Only those that ended badly.
    pub bad_only: bool,
    /// Only those of this account.
    pub account: Option<&'a str>,
    /// Those after this number.
    pub after: i64,
    /// So many at most; the newest of them where nothing else is asked.
    pub limit: u32,
    /// Newest first.
    pub newest_first: bool,
}

/// All fields of an event but its password.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct EventRecord {
    /// When it was inserted.
    #[sqlx(try_from = "Lossy")]
    pub created_at: String,
    /// When it was decided.
    pub settled_at: Option<Time>,
    /// What tells it from others.
    #[sqlx(try_from = "Lossy")]
    pub client_key: Option<String>,
    /// The zone of its start.
    #[sqlx(try_from = "Lossy")]
    pub timezone: Option<String>,
    /// Its picture.
    #[sqlx(try_from = "Lossy")]
    pub cover_url: Option<String>,
    /// How long it is.
    pub duration_minutes: Option<i64>,
    /// Whether guests must register.
    pub require_rsvp: Option<i64>,
    /// Whether the host must approve guests.
    pub require_rsvp_approval: Option<i64>,
    /// Where its Zoom meeting comes from.
    #[sqlx(try_from = "Lossy")]
    pub zoom_creation_method: Option<String>,
    /// The number of the meeting.
    #[sqlx(try_from = "Lossy")]
    pub zoom_meeting_id: Option<String>,
    /// The address of the meeting.
    #[sqlx(try_from = "Lossy")]
    pub zoom_meeting_url: Option<String>,
    /// Whether a password of the meeting is kept.
    pub has_password: bool,
    /// Meeting or webinar.
    #[sqlx(try_from = "Lossy")]
    pub zoom_session_type: Option<String>,
    /// The community it is linked to.
    #[sqlx(try_from = "Lossy")]
    pub community_api_id: Option<String>,
    /// What it has in today's API alone.
    #[sqlx(flatten)]
    pub v1: V1Columns,
}

/// One request for an event.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EventAttempt {
    /// Its number.
    pub id: i64,
    /// When its intent was written.
    pub started_at: Time,
    /// When its answer, or the lack of one, was.
    pub finished_at: Option<Time>,
    /// Bytes of the body that may have left; 0 where no connection was made.
    pub body_bytes: Option<i64>,
    /// The status of the answer.
    pub status: Option<i64>,
    /// What it means.
    pub verdict: Option<String>,
    /// What was said or seen.
    pub detail: Option<String>,
}

/// How doubt about an event ended.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EventResolution {
    /// When.
    pub decided_at: Time,
    /// Who decided.
    pub decided_by: String,
    /// What.
    pub decision: String,
    /// Luma's id, where it was found.
    pub api_id: Option<String>,
    /// The attempt that had left it in doubt.
    pub attempt_id: i64,
}

/// All that is known of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventStory {
    /// Where it stands.
    pub row: EventRow,
    /// What it is.
    pub record: EventRecord,
    /// When its next request is due.
    pub due: Option<Time>,
    /// What was asked and answered.
    pub attempts: Vec<EventAttempt>,
    /// What looks for it have come to, for each request that left it in doubt.
    pub looks: Vec<EventLook>,
    /// Who decided what.
    pub resolutions: Vec<EventResolution>,
}

/// Events by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventDepth {
    /// Rows nobody has read.
    pub new: u64,
    /// Waiting for a request.
    pub pending: u64,
    /// In a request now.
    pub in_flight: u64,
    /// In doubt.
    pub unknown: u64,
    /// On Luma.
    pub created: u64,
    /// Since when the oldest waits of those that nobody has read or that wait for a request.
    pub oldest: Option<Time>,
}

macro_rules! row_columns {
    () => {
        "select id, account, state, name, start_at, api_id, code, reason, attempts, run_id, line from event_queue "
    };
}

pub(super) use row_columns;

impl Store {
    /// Events, filtered.
    pub async fn events(&self, filter: &EventFilter<'_>) -> Result<Vec<EventRow>> {
        let rows = read!(self, db => {
            sqlx::query_as(concat!(
                row_columns!(),
                "where ($1 is null or account = $1) and ($2 is null or state = $2) and ($3 is null or run_id = $3)
                   and (not $4 or state in ('invalid', 'rejected', 'failed')) and id > $5
                 order by case when $7 then -id else id end limit $6"
            ))
            .bind(filter.account)
            .bind(filter.state.map(EventState::as_str))
            .bind(filter.run)
            .bind(filter.bad_only)
            .bind(filter.after)
            .bind(i64::from(filter.limit))
            .bind(filter.newest_first)
            .fetch_all(db)
            .await?
        });
        Ok(rows)
    }

    /// All that is known of one event.
    pub async fn event_story(&self, id: i64) -> Result<Option<EventStory>> {
        let story = read!(self, db => { 'story: {
            let row: Option<EventRow> =
                sqlx::query_as(concat!(row_columns!(), "where id = $1")).bind(id).fetch_optional(db).await?;
            let Some(row) = row else { break 'story None };
            let record = sqlx::query_as(concat!(
                "select cast(created_at as text) as created_at, settled_at, client_key, timezone, cover_url, duration_minutes, require_rsvp,
                        require_rsvp_approval, zoom_creation_method, zoom_meeting_id, zoom_meeting_url,
                        zoom_meeting_password is not null as has_password, zoom_session_type, community_api_id, ",
                v1_columns!(),
                " from event_queue where id = $1",
            ))
            .bind(id)
            .fetch_one(db)
            .await?;
            let due = sqlx::query_scalar("select due_at from event_queue where id = $1").bind(id).fetch_one(db).await?;
            let attempts = sqlx::query_as(
                "select id, started_at, finished_at, body_bytes, status, verdict, detail from attempts
                  where event_id = $1 order by id",
            )
            .bind(id)
            .fetch_all(db)
            .await?;
            let looks = sqlx::query_as(
                "select attempt_id, looks, faults, absent_since, looked_at, look_at from event_looks
                  where event_id = $1 order by attempt_id",
            )
            .bind(id)
            .fetch_all(db)
            .await?;
            let resolutions = sqlx::query_as(
                "select decided_at, decided_by, decision, api_id, attempt_id from event_resolutions
                  where event_id = $1 order by id",
            )
            .bind(id)
            .fetch_all(db)
            .await?;
            Some(EventStory { row, record, due, attempts, looks, resolutions })
        }});
        Ok(story)
    }

    /// The events of an account by where they stand.
    pub async fn event_depth(&self, account: &str) -> Result<EventDepth> {
        let by_state: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as("select state, count(*) from event_queue where account = $1 group by state")
                .bind(account)
                .fetch_all(db)
                .await?
        });
        let count = |wanted: EventState| {
            let found = by_state.iter().find(|(state, _)| state == wanted.as_str());
            found.map_or(0, |(_, rows)| rows.unsigned_abs())
        };
        let (new, pending) = (count(EventState::New), count(EventState::Pending));
        let oldest = if new + pending > 0 { self.oldest_event(account).await? } else { None };
        Ok(EventDepth {
            new,
            pending,
            oldest,
            in_flight: count(EventState::InFlight),
            unknown: count(EventState::Unknown),
            created: count(EventState::Created),
        })
    }

    async fn oldest_event(&self, account: &str) -> Result<Option<Time>> {
        Ok(read!(self, db => {
            sqlx::query_scalar(
                "select min(created_at) from event_queue where account = $1 and state in ('new', 'pending')",
            )
            .bind(account)
            .fetch_one(db)
            .await?
        }))
    }

    /// The events of a run by where they stand.
    pub(in crate::store) async fn count_events(&self, run: &Run) -> Result<RunCounts> {
        let by_state: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as("select state, count(*) from event_queue where run_id = $1 group by state")
                .bind(run.id)
                .fetch_all(db)
                .await?
        });
        let mut counts = RunCounts { read: run.read_rows, ..RunCounts::default() };
        for (state, rows) in by_state {
            let known = EventState::parse(&state);
            let count = match known.ok_or_else(|| StoreError::corrupt("event_queue", "state", &state))? {
                EventState::New | EventState::Pending => &mut counts.pending,
                EventState::InFlight => &mut counts.in_flight,
                EventState::Created => &mut counts.created,
                EventState::Rejected => &mut counts.rejected,
                EventState::Failed => &mut counts.failed,
                EventState::Unknown => &mut counts.unknown,
                EventState::Invalid => &mut counts.invalid,
                EventState::Duplicate => &mut counts.duplicate,
                EventState::Canceled => &mut counts.canceled,
            };
            *count += rows.unsigned_abs();
        }
        Ok(counts)
    }
}
