//! The fields of a row before anybody has looked at them, by the names of the API.
//!
//! Holds passwords, so its Debug text shows no values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::domain::state::text_enum;

text_enum! {
    /// What a row may say of an event. All but the last two are the API's own.
    Field {
        /// Its name.
        Name = "name",
        /// When it begins.
        StartAt = "start_at",
        /// The picture.
        CoverUrl = "cover_url",
        /// How long it is.
        DurationMinutes = "duration_minutes",
        /// Whether guests must register.
        RequireRsvp = "require_rsvp",
        /// Whether the host must approve guests.
        RequireRsvpApproval = "require_rsvp_approval",
        /// Where the Zoom meeting comes from.
        ZoomCreationMethod = "zoom_creation_method",
        /// The number of the meeting.
        ZoomMeetingId = "zoom_meeting_id",
        /// The password of the meeting.
        ZoomMeetingPassword = "zoom_meeting_password",
        /// The address of the meeting.
        ZoomMeetingUrl = "zoom_meeting_url",
        /// Meeting or webinar.
        ZoomSessionType = "zoom_session_type",
        /// The community it is linked to.
        CommunityApiId = "community_api_id",
        /// The zone of a `start_at` that has no offset.
        Timezone = "timezone",
        /// What tells this event from all others, where its content is not to.
        ClientKey = "client_key",
    }
}

/// Stands where a password was, in whatever is shown or written.
pub const HIDDEN: &str = "[hidden]";

/// A value as it may be shown: without what lets people into a meeting.
#[must_use]
pub fn hide(field: Field, value: &str) -> Cow<'_, str> {
    match field {
        Field::ZoomMeetingPassword if !value.trim().is_empty() => Cow::Borrowed(HIDDEN),
        Field::ZoomMeetingUrl => hide_in_url(value),
        _ => Cow::Borrowed(value),
    }
}

/// Zoom puts the password of a meeting into its address, as `pwd=...`.
fn hide_in_url(url: &str) -> Cow<'_, str> {
    let lower = url.to_ascii_lowercase();
    let starts = ["?pwd=", "&pwd=", "?tk=", "&tk="];
    let Some((at, start)) = starts.iter().filter_map(|start| Some((lower.find(start)?, start))).min() else {
        return Cow::Borrowed(url);
    };
    let from = at + start.len();
    let length = url[from..].find(['&', '#']).unwrap_or(url.len() - from);
    let rest = hide_in_url(&url[from + length..]);
    Cow::Owned(format!("{}{HIDDEN}{rest}", &url[..from]))
}

/// What a row says, field by field.
#[derive(Clone, Default)]
pub struct Fields(BTreeMap<Field, String>);

impl Fields {
    /// Sets a field; what is blank says nothing.
    pub fn set(&mut self, field: Field, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.0.insert(field, value.to_owned());
        }
    }

    /// What a field says, trimmed; nothing where it is blank.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&str> {
        self.0.get(&field).map(String::as_str)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_opens_a_meeting_is_shown() {
        let url = "https://zoom.us/j/1?pwd=s3cret&uname=a#x";
        assert_eq!(hide(Field::ZoomMeetingUrl, url), "https://zoom.us/j/1?pwd=[hidden]&uname=a#x");
        let two = "https://zoom.us/w/1?tk=abc&PWD=s3cret";
        assert_eq!(hide(Field::ZoomMeetingUrl, two), "https://zoom.us/w/1?tk=[hidden]&PWD=[hidden]");
        assert_eq!(hide(Field::ZoomMeetingUrl, "https://zoom.us/j/1"), "https://zoom.us/j/1");
        assert_eq!(hide(Field::ZoomMeetingPassword, "s3cret"), HIDDEN);
        assert_eq!(hide(Field::ZoomMeetingPassword, " "), " ");
        let mut fields = Fields::default();
        fields.set(Field::ZoomMeetingPassword, " s3cret ");
        assert_eq!(fields.get(Field::ZoomMeetingPassword), Some("s3cret"));
        assert_eq!(format!("{fields:?}"), "{ZoomMeetingPassword}");
    }
}
