//! The fields of a row before anybody has looked at them, by the names of the API.
//!
//! Holds passwords, so its Debug text shows no values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

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
    let mut shown = String::new();
    let mut from = 0;
    for secret in secrets(field, value) {
        shown.push_str(&value[from..secret.start]);
        shown.push_str(HIDDEN);
        from = secret.end;
    }
    if from == 0 { Cow::Borrowed(value) } else { Cow::Owned(shown + &value[from..]) }
}

/// Where a value holds what lets people into a meeting, in order.
#[must_use]
pub fn secrets(field: Field, value: &str) -> Vec<Range<usize>> {
    match field {
        Field::ZoomMeetingPassword if !value.trim().is_empty() => std::iter::once(0..value.len()).collect(),
        Field::ZoomMeetingUrl => secrets_in_url(value),
        _ => Vec::new(),
    }
}

/// What Zoom and people call a password in an address.
const OPENERS: [&str; 4] = ["pwd=", "tk=", "passcode=", "password="];

/// Zoom puts the password of a meeting into its address, as `pwd=...`; people write it before the host or
/// behind the address too.
fn secrets_in_url(url: &str) -> Vec<Range<usize>> {
    let end = url.find(char::is_whitespace).unwrap_or(url.len());
    let mut found = Vec::new();
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url[host..end].find(['/', '?', '#']).map_or(end, |at| host + at);
    if let Some(at) = url[host..path].rfind('@') {
        found.push(host..host + at);
    }
    let mut from = path;
    while let Some(at) = url[from..end].find(['?', '&', '#']) {
        from += at + 1;
        let rest = &url[from..end];
        let opener = OPENERS
            .into_iter()
            .find(|opener| rest.get(..opener.len()).is_some_and(|start| start.eq_ignore_ascii_case(opener)));
        if let Some(opener) = opener {
            let value = from + opener.len();
            let length = url[value..end].find(['&', '#']).unwrap_or(end - value);
            found.push(value..value + length);
            from = value + length;
        }
    }
    if end < url.len() {
        found.push(end..url.len());
    }
    found
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
        for (url, shown) in [
            ("https://zoom.us/j/1#pwd=s3cret", "https://zoom.us/j/1#pwd=[hidden]"),
            ("https://ana:s3cret@zoom.us/j/1", "https://[hidden]@zoom.us/j/1"),
            ("https://zoom.us/j/1?a=b Passcode: s3cret", "https://zoom.us/j/1?a=b[hidden]"),
            ("zoom.us/j/1?passcode=s3cret", "zoom.us/j/1?passcode=[hidden]"),
            ("ü?pwd=é&é", "ü?pwd=[hidden]&é"),
        ] {
            assert_eq!(hide(Field::ZoomMeetingUrl, url), shown);
        }
        assert_eq!(hide(Field::ZoomMeetingPassword, "s3cret"), HIDDEN);
        assert_eq!(hide(Field::ZoomMeetingPassword, " "), " ");
        let mut fields = Fields::default();
        fields.set(Field::ZoomMeetingPassword, " s3cret ");
        assert_eq!(fields.get(Field::ZoomMeetingPassword), Some("s3cret"));
        assert_eq!(format!("{fields:?}"), "{ZoomMeetingPassword}");
    }
}
