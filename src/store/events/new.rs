//! Events that other programs have left in the queue, and nobody has read.

use super::v1::{V1Columns, v1_columns};
use crate::domain::event::{Field, Fields};
use crate::store::accounts::stray_accounts;
use crate::store::lossy::Lossy;
use crate::store::{Result, Store, read};

/// A row as another program left it.
#[derive(Debug)]
pub struct NewEvent {
    /// Its number.
    pub id: i64,
    /// Whose key it wants.
    pub account: String,
    /// What it says.
    pub fields: Fields,
}

#[derive(sqlx::FromRow)]
struct NewRow {
    id: i64,
    #[sqlx(try_from = "Lossy")]
    account: String,
    #[sqlx(try_from = "Lossy")]
    name: String,
    #[sqlx(try_from = "Lossy")]
    start_at: Option<String>,
    #[sqlx(try_from = "Lossy")]
    timezone: Option<String>,
    #[sqlx(try_from = "Lossy")]
    cover_url: Option<String>,
    duration_minutes: Option<i64>,
    require_rsvp: Option<i64>,
    require_rsvp_approval: Option<i64>,
    #[sqlx(try_from = "Lossy")]
    zoom_creation_method: Option<String>,
    #[sqlx(try_from = "Lossy")]
    zoom_meeting_id: Option<String>,
    #[sqlx(try_from = "Lossy")]
    zoom_meeting_password: Option<String>,
    #[sqlx(try_from = "Lossy")]
    zoom_meeting_url: Option<String>,
    #[sqlx(try_from = "Lossy")]
    zoom_session_type: Option<String>,
    #[sqlx(try_from = "Lossy")]
    community_api_id: Option<String>,
    #[sqlx(try_from = "Lossy")]
    client_key: Option<String>,
    #[sqlx(flatten)]
    v1: V1Columns,
}

impl From<NewRow> for NewEvent {
    fn from(row: NewRow) -> Self {
        let number = |value: Option<i64>| value.map(|value| value.to_string());
        let mut fields = Fields::default();
        for (field, value) in [
            (Field::Name, Some(row.name)),
            (Field::StartAt, row.start_at),
            (Field::Timezone, row.timezone),
            (Field::CoverUrl, row.cover_url),
            (Field::DurationMinutes, number(row.duration_minutes)),
            (Field::RequireRsvp, number(row.require_rsvp)),
            (Field::RequireRsvpApproval, number(row.require_rsvp_approval)),
            (Field::ZoomCreationMethod, row.zoom_creation_method),
            (Field::ZoomMeetingId, row.zoom_meeting_id),
            (Field::ZoomMeetingPassword, row.zoom_meeting_password),
            (Field::ZoomMeetingUrl, row.zoom_meeting_url),
            (Field::ZoomSessionType, row.zoom_session_type),
            (Field::CommunityApiId, row.community_api_id),
            (Field::ClientKey, row.client_key),
        ] {
            fields.set(field, value.as_deref().unwrap_or_default());
        }
        for (field, value) in row.v1.said() {
            fields.set(field, &value);
        }
        Self { id: row.id, account: row.account, fields }
    }
}

/// What `NewEvent` is read from.
macro_rules! new_columns {
    () => {
        concat!(
            "select q.id, q.account, q.name, q.start_at, q.timezone, q.cover_url, q.duration_minutes, q.require_rsvp,
                    q.require_rsvp_approval, q.zoom_creation_method, q.zoom_meeting_id, q.zoom_meeting_password,
                    q.zoom_meeting_url, q.zoom_session_type, q.community_api_id, q.client_key, ",
            v1_columns!(),
            " from event_queue q "
        )
    };
}

impl Store {
    /// The oldest events of an account that nobody has read, at most `limit`.
    pub async fn new_events(&self, account: &str, limit: u32) -> Result<Vec<NewEvent>> {
        let rows: Vec<NewRow> = read!(self, db => {
            sqlx::query_as(concat!(new_columns!(), "where q.state = 'new' and q.account = $1 order by q.id limit $2"))
                .bind(account)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        });
        Ok(rows.into_iter().map(NewEvent::from).collect())
    }

    /// Events that nobody has read and whose account nobody knows, at most `limit`.
    pub async fn stray_events(&self, limit: u32) -> Result<Vec<NewEvent>> {
        let rows: Vec<NewRow> = read!(self, db => {
            sqlx::query_as(concat!(
                stray_accounts!("event_queue"),
                new_columns!(),
                "join strays s on s.name = q.account where q.state = 'new' order by q.id limit $1"
            ))
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        Ok(rows.into_iter().map(NewEvent::from).collect())
    }
}
