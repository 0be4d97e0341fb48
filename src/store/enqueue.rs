//! Rows that programs put into the queues by way of us, as they might insert them themselves: all of a request
//! or none, and once where it bears a key.

use std::time::Duration;

use super::{Result, Store, StoreError, dialect::storable, read, write_tx};
use crate::clock::Time;
use crate::domain::event::{Field, Fields};

/// How long a key is known.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// A member as a program gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The address.
    pub email: String,
    /// The name.
    pub name: Option<String>,
    /// The tags, separated by `;`.
    pub tags: Option<String>,
}

/// By what a request is known again.
#[derive(Clone, Copy, Debug)]
pub struct RequestKey<'a> {
    /// A digest of the key and of what it is for.
    pub key: &'a str,
    /// A digest of what is asked.
    pub asked: &'a str,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// These rows were made.
    Now(Vec<i64>),
    /// The same was asked before, and made these rows.
    Before(Vec<i64>),
    /// Something else was asked under this key.
    Otherwise,
}

/// Takes a key; what is known of it where somebody had it before.
macro_rules! take_key {
    ($tx:ident, $key:expr, $now:expr) => {
        match $key {
            None => None,
            Some(RequestKey { key, asked }) => {
                sqlx::query("delete from request_keys where created_at < $1")
                    .bind($now.minus(KEPT))
                    .execute(&mut *$tx)
                    .await?;
                // Its rows follow in this transaction: whoever comes with the same key waits for its end.
                let taken = sqlx::query(
                    "insert into request_keys (key, asked, ids, created_at) values ($1, $2, '[]', $3)
                     on conflict (key) do nothing",
                )
                .bind(key)
                .bind(asked)
                .bind($now)
                .execute(&mut *$tx)
                .await?
                .rows_affected();
                if taken == 1 {
                    None
                } else {
                    let (before, ids): (String, String) =
                        sqlx::query_as("select asked, ids from request_keys where key = $1")
                            .bind(key)
                            .fetch_one(&mut *$tx)
                            .await?;
                    Some(again(&before, asked, &ids)?)
                }
            }
        }
    };
}

/// Notes what was made under a key.
macro_rules! note_key {
    ($tx:ident, $key:expr, $ids:expr) => {
        if let Some(RequestKey { key, .. }) = $key {
            sqlx::query("update request_keys set ids = $2 where key = $1")
                .bind(key)
                .bind(serde_json::json!($ids).to_string())
                .execute(&mut *$tx)
                .await?;
        }
    };
}

/// What a key that somebody had before leads to.
fn again(before: &str, asked: &str, ids: &str) -> Result<Enqueued> {
    Ok(if before == asked { Enqueued::Before(numbers(ids)?) } else { Enqueued::Otherwise })
}

impl Store {
    /// What was made under a key, where somebody has used it.
    pub async fn enqueued_before(&self, key: &RequestKey<'_>, now: Time) -> Result<Option<Enqueued>> {
        let known: Option<(String, String)> = read!(self, db => {
            sqlx::query_as("select asked, ids from request_keys where key = $1 and created_at >= $2")
                .bind(key.key)
                .bind(now.minus(KEPT))
                .fetch_optional(db)
                .await?
        });
        known.map(|(before, ids)| again(&before, key.asked, &ids)).transpose()
    }

    /// Puts members into the queue of an account.
    pub async fn enqueue_members(
        &self,
        account: &str,
        members: &[Wish],
        key: Option<&RequestKey<'_>>,
        now: Time,
    ) -> Result<Enqueued> {
        Ok(write_tx!(self, tx => { 'done: {
            if let Some(before) = take_key!(tx, key, now) {
                break 'done before;
            }
            let mut ids: Vec<i64> = Vec::with_capacity(members.len());
            for member in members {
                let sql = "insert into member_queue (account, email, name, tags) values ($1, $2, $3, $4) returning id";
                let id = sqlx::query_scalar(sql)
                    .bind(account)
                    .bind(storable(&member.email))
                    .bind(member.name.as_deref().map(storable))
                    .bind(member.tags.as_deref().map(storable))
                    .fetch_one(&mut *tx)
                    .await?;
                ids.push(id);
            }
            note_key!(tx, key, ids);
            Enqueued::Now(ids)
        }}))
    }

    /// Puts events into the queue of an account. Their fields have been read before: each can be stored as what it is.
    pub async fn enqueue_events(
        &self,
        account: &str,
        events: &[Fields],
        key: Option<&RequestKey<'_>>,
        now: Time,
    ) -> Result<Enqueued> {
        Ok(write_tx!(self, tx => { 'done: {
            if let Some(before) = take_key!(tx, key, now) {
                break 'done before;
            }
            let mut ids: Vec<i64> = Vec::with_capacity(events.len());
            for event in events {
                let mut insert = sqlx::query_scalar(INSERT_EVENT).bind(account);
                for (field, kind) in COLUMNS {
                    let value = event.get(field);
                    insert = match kind {
                        Kind::Text => insert.bind(value.map(storable)),
                        Kind::Number => insert.bind(value.and_then(|value| value.trim().parse::<i64>().ok())),
                        Kind::Degrees => insert.bind(value.and_then(|value| value.trim().parse::<f64>().ok())),
                        Kind::Answer => insert.bind(value.map(|value| i64::from(is_yes(value)))),
                    };
                }
                ids.push(insert.fetch_one(&mut *tx).await?);
            }
            note_key!(tx, key, ids);
            Enqueued::Now(ids)
        }}))
    }
}

fn numbers(ids: &str) -> Result<Vec<i64>> {
    serde_json::from_str(ids).map_err(|_| StoreError::corrupt("request_keys", "ids", ids))
}

/// How a field is stored.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Degrees,
    Answer,
}

/// The same words as where fields are read.
fn is_yes(value: &str) -> bool {
    ["true", "yes", "1"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes))
}

const INSERT_EVENT: &str = "insert into event_queue
    (account, name, start_at, timezone, cover_url, duration_minutes, require_rsvp, require_rsvp_approval,
     zoom_creation_method, zoom_meeting_id, zoom_meeting_password, zoom_meeting_url, zoom_session_type,
     community_api_id, client_key, end_at, description_md, visibility, slug, max_capacity, meeting_url, geo_address,
     geo_address_json, latitude, longitude, name_requirement, phone_number_requirement,
     can_register_for_multiple_tickets, show_guest_list, reminders_disabled, feedback_email, tint_color)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
            $24, $25, $26, $27, $28, $29, $30, $31, $32) returning id";

/// The columns of that statement behind the account, in its order.
const COLUMNS: [(Field, Kind); 31] = [
    (Field::Name, Kind::Text),
    (Field::StartAt, Kind::Text),
    (Field::Timezone, Kind::Text),
    (Field::CoverUrl, Kind::Text),
    (Field::DurationMinutes, Kind::Number),
    (Field::RequireRsvp, Kind::Answer),
    (Field::RequireRsvpApproval, Kind::Answer),
    (Field::ZoomCreationMethod, Kind::Text),
    (Field::ZoomMeetingId, Kind::Text),
    (Field::ZoomMeetingPassword, Kind::Text),
    (Field::ZoomMeetingUrl, Kind::Text),
    (Field::ZoomSessionType, Kind::Text),
    (Field::CommunityApiId, Kind::Text),
    (Field::ClientKey, Kind::Text),
    (Field::EndAt, Kind::Text),
    (Field::DescriptionMd, Kind::Text),
    (Field::Visibility, Kind::Text),
    (Field::Slug, Kind::Text),
    (Field::MaxCapacity, Kind::Number),
    (Field::MeetingUrl, Kind::Text),
    (Field::GeoAddress, Kind::Text),
    (Field::GeoAddressJson, Kind::Text),
    (Field::Latitude, Kind::Degrees),
    (Field::Longitude, Kind::Degrees),
    (Field::NameRequirement, Kind::Text),
    (Field::PhoneNumberRequirement, Kind::Text),
    (Field::CanRegisterForMultipleTickets, Kind::Answer),
    (Field::ShowGuestList, Kind::Answer),
    (Field::RemindersDisabled, Kind::Answer),
    (Field::FeedbackEmail, Kind::Text),
    (Field::TintColor, Kind::Text),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_column_in_the_order_of_the_statement() {
        let named: Vec<&str> = INSERT_EVENT
            .split_once('(')
            .expect("columns")
            .1
            .split_once(')')
            .expect("closed")
            .0
            .split(',')
            .map(str::trim)
            .skip(1)
            .collect();
        let ours: Vec<&str> = COLUMNS.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(named, ours);
        assert!(Field::ALL.iter().all(|field| ours.contains(&field.as_str())));
    }
}
