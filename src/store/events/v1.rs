//! The columns that events have in today's API alone: read as other programs wrote them, written as intake
//! has understood them.

use sqlx::FromRow;

use crate::domain::event::{FeedbackEmail, Field, GeoAddress, Slug, V1Fields};
use crate::store::lossy::Lossy;

/// What a row says in them.
#[derive(Clone, Debug, Default, PartialEq, FromRow)]
pub struct V1Columns {
    #[sqlx(try_from = "Lossy")]
    pub(super) end_at: Option<String>,
    #[sqlx(try_from = "Lossy")]
    pub(super) description_md: Option<String>,
    #[sqlx(try_from = "Lossy")]
    pub(super) visibility: Option<String>,
    #[sqlx(try_from = "Lossy")]
    pub(super) slug: Option<String>,
    pub(super) max_capacity: Option<i64>,
    #[sqlx(try_from = "Lossy")]
    pub(super) meeting_url: Option<String>,
    #[sqlx(try_from = "Lossy")]
    pub(super) geo_address: Option<String>,
    #[sqlx(try_from = "Lossy")]
    pub(super) geo_address_json: Option<String>,
    pub(super) latitude: Option<f64>,
    pub(super) longitude: Option<f64>,
    #[sqlx(try_from = "Lossy")]
    pub(super) name_requirement: Option<String>,
    #[sqlx(try_from = "Lossy")]
    pub(super) phone_number_requirement: Option<String>,
    pub(super) can_register_for_multiple_tickets: Option<i64>,
    pub(super) show_guest_list: Option<i64>,
    pub(super) reminders_disabled: Option<i64>,
    #[sqlx(try_from = "Lossy")]
    pub(super) feedback_email: Option<String>,
    #[sqlx(try_from = "Lossy")]
    pub(super) tint_color: Option<String>,
}

/// The columns, for a `select`.
macro_rules! v1_columns {
    () => {
        "end_at, description_md, visibility, slug, max_capacity, meeting_url, geo_address, geo_address_json,
         latitude, longitude, name_requirement, phone_number_requirement, can_register_for_multiple_tickets,
         show_guest_list, reminders_disabled, feedback_email, tint_color"
    };
}

/// Writes them, and the zone, beside the rest of an event that was just entered.
macro_rules! write_v1 {
    ($tx:ident, $id:expr, $event:expr) => {{
        let (event, columns) = ($event, $crate::store::events::v1::V1Columns::of($event));
        sqlx::query(
            "update event_queue
                set timezone = $2, end_at = $3, description_md = $4, visibility = $5, slug = $6, max_capacity = $7,
                    meeting_url = $8, geo_address = $9, geo_address_json = $10, latitude = $11, longitude = $12,
                    name_requirement = $13, phone_number_requirement = $14,
                    can_register_for_multiple_tickets = $15, show_guest_list = $16, reminders_disabled = $17,
                    feedback_email = $18, tint_color = $19
              where id = $1",
        )
        .bind($id)
        .bind(&event.timezone)
        .bind(columns.end_at)
        .bind(columns.description_md)
        .bind(columns.visibility)
        .bind(columns.slug)
        .bind(columns.max_capacity)
        .bind(columns.meeting_url)
        .bind(columns.geo_address)
        .bind(columns.geo_address_json)
        .bind(columns.latitude)
        .bind(columns.longitude)
        .bind(columns.name_requirement)
        .bind(columns.phone_number_requirement)
        .bind(columns.can_register_for_multiple_tickets)
        .bind(columns.show_guest_list)
        .bind(columns.reminders_disabled)
        .bind(columns.feedback_email)
        .bind(columns.tint_color)
        .execute(&mut *$tx)
        .await?
    }};
}

impl V1Columns {
    /// What an event says in them.
    pub(super) fn of(event: &V1Fields) -> Self {
        let text = |value: Option<&str>| value.map(str::to_owned);
        let (geo_address, geo_address_json) = match &event.geo_address {
            None => (None, None),
            Some(GeoAddress::Manual { address }) => (Some(address.clone()), None),
            Some(google @ GeoAddress::Google { .. }) => (None, Some(google.to_json().to_string())),
        };
        Self {
            end_at: event.end_at.map(|at| at.to_string()),
            description_md: event.description_md.clone(),
            visibility: text(event.visibility),
            slug: text(event.slug.as_ref().map(Slug::as_str)),
            max_capacity: event.max_capacity.and_then(|most| i64::try_from(most).ok()),
            meeting_url: event.meeting_url.clone(),
            geo_address,
            geo_address_json,
            latitude: event.coordinate.map(|point| point.latitude()),
            longitude: event.coordinate.map(|point| point.longitude()),
            name_requirement: text(event.name_requirement),
            phone_number_requirement: text(event.phone_number_requirement),
            can_register_for_multiple_tickets: event.can_register_for_multiple_tickets.map(i64::from),
            show_guest_list: event.show_guest_list.map(i64::from),
            reminders_disabled: event.reminders_disabled.map(i64::from),
            feedback_email: event.feedback_email.as_ref().map(FeedbackEmail::to_string),
            tint_color: event.tint_color.clone(),
        }
    }

    /// What is said, field by field, as a file may say it.
    #[must_use]
    pub fn said(&self) -> Vec<(Field, String)> {
        let number = |value: Option<i64>| value.map(|value| value.to_string());
        let answer = |value: Option<i64>| value.map(|value| (value == 1).to_string());
        let degrees = |value: Option<f64>| value.map(|value| value.to_string());
        let fields = [
            (Field::EndAt, self.end_at.clone()),
            (Field::DescriptionMd, self.description_md.clone()),
            (Field::Visibility, self.visibility.clone()),
            (Field::Slug, self.slug.clone()),
            (Field::MaxCapacity, number(self.max_capacity)),
            (Field::MeetingUrl, self.meeting_url.clone()),
            (Field::GeoAddress, self.geo_address.clone()),
            (Field::GeoAddressJson, self.geo_address_json.clone()),
            (Field::Latitude, degrees(self.latitude)),
            (Field::Longitude, degrees(self.longitude)),
            (Field::NameRequirement, self.name_requirement.clone()),
            (Field::PhoneNumberRequirement, self.phone_number_requirement.clone()),
            (Field::CanRegisterForMultipleTickets, answer(self.can_register_for_multiple_tickets)),
            (Field::ShowGuestList, answer(self.show_guest_list)),
            (Field::RemindersDisabled, answer(self.reminders_disabled)),
            (Field::FeedbackEmail, self.feedback_email.clone()),
            (Field::TintColor, self.tint_color.clone()),
        ];
        fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
    }
}

pub(super) use {v1_columns, write_v1};
