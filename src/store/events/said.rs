//! What an event says, for people.

use super::reports::EventStory;
use crate::domain::event::{Field, HIDDEN, hide};

impl EventStory {
    /// The fields that were given, by their names, without what lets people into a meeting.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let record = &self.record;
        let text = |field: Field, value: Option<&String>| {
            value.map(|value| (field.as_str(), hide(field, value).into_owned()))
        };
        let number =
            |field: Field, value: Option<i64>| value.map(|value| (field.as_str(), value.to_string()));
        let answer =
            |field: Field, value: Option<i64>| value.map(|value| (field.as_str(), (value == 1).to_string()));
        [
            text(Field::StartAt, self.row.start_at.as_ref()),
            text(Field::Timezone, record.timezone.as_ref()),
            number(Field::DurationMinutes, record.duration_minutes),
            text(Field::CoverUrl, record.cover_url.as_ref()),
            answer(Field::RequireRsvp, record.require_rsvp),
            answer(Field::RequireRsvpApproval, record.require_rsvp_approval),
            text(Field::ZoomCreationMethod, record.zoom_creation_method.as_ref()),
            text(Field::ZoomMeetingId, record.zoom_meeting_id.as_ref()),
            text(Field::ZoomMeetingUrl, record.zoom_meeting_url.as_ref()),
            record.has_password.then(|| (Field::ZoomMeetingPassword.as_str(), HIDDEN.to_owned())),
            text(Field::ZoomSessionType, record.zoom_session_type.as_ref()),
            text(Field::CommunityApiId, record.community_api_id.as_ref()),
            text(Field::ClientKey, record.client_key.as_ref()),
        ]
        .into_iter()
        .flatten()
        .chain(
            record
                .v1
                .said()
                .into_iter()
                .map(|(field, value)| (field.as_str(), hide(field, &value).into_owned())),
        )
        .collect()
    }
}
