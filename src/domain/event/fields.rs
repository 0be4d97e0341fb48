//! The fields of a row before anybody has looked at them, by the names of the API.
//!
//! Holds passwords, so its Debug text shows no values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::domain::dialect::Dialect;
use crate::domain::state::text_enum;

text_enum! {
    /// What a row may say of an event, under the API's names.
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
        /// The zone of the event, and of times that have no offset.
        Timezone = "timezone",
        /// When it ends.
        EndAt = "end_at",
        /// What it is about, in Markdown.
        DescriptionMd = "description_md",
        /// Who sees it.
        Visibility = "visibility",
        /// The end of its address on Luma.
        Slug = "slug",
        /// How many may come.
        MaxCapacity = "max_capacity",
        /// Where it meets online.
        MeetingUrl = "meeting_url",
        /// Where it is, as people write it.
        GeoAddress = "geo_address",
        /// Where it is, as the API takes it.
        GeoAddressJson = "geo_address_json",
        /// How far north it is, in degrees.
        Latitude = "latitude",
        /// How far east it is, in degrees.
        Longitude = "longitude",
        /// How guests give their names.
        NameRequirement = "name_requirement",
        /// Whether guests give their numbers.
        PhoneNumberRequirement = "phone_number_requirement",
        /// Whether one guest may take several tickets.
        CanRegisterForMultipleTickets = "can_register_for_multiple_tickets",
        /// Whether guests see who else comes.
        ShowGuestList = "show_guest_list",
        /// Whether Luma sends no reminders.
        RemindersDisabled = "reminders_disabled",
        /// Whether and when guests are asked how it was.
        FeedbackEmail = "feedback_email",
        /// The colour of its page.
        TintColor = "tint_color",
        /// What tells this event from all others, where its content is not to.
        ClientKey = "client_key",
    }
}

impl Field {
    /// The one dialect whose events have this field; none where all have it.
    #[must_use]
    pub const fn only_in(self) -> Option<Dialect> {
        match self {
            Self::Name
            | Self::StartAt
            | Self::CoverUrl
            | Self::DurationMinutes
            | Self::Timezone
            | Self::ClientKey => None,
            Self::RequireRsvp
            | Self::RequireRsvpApproval
            | Self::ZoomCreationMethod
            | Self::ZoomMeetingId
            | Self::ZoomMeetingPassword
            | Self::ZoomMeetingUrl
            | Self::ZoomSessionType
            | Self::CommunityApiId => Some(Dialect::Beta2021),
            Self::EndAt
            | Self::DescriptionMd
            | Self::Visibility
            | Self::Slug
            | Self::MaxCapacity
            | Self::MeetingUrl
            | Self::GeoAddress
            | Self::GeoAddressJson
            | Self::Latitude
            | Self::Longitude
            | Self::NameRequirement
            | Self::PhoneNumberRequirement
            | Self::CanRegisterForMultipleTickets
            | Self::ShowGuestList
            | Self::RemindersDisabled
            | Self::FeedbackEmail
            | Self::TintColor => Some(Dialect::V1),
        }
    }

    /// Whether events of a dialect have this field.
    #[must_use]
    pub fn is_in(self, dialect: Dialect) -> bool {
        self.only_in().is_none_or(|only| only == dialect)
    }

    /// Whether its value may be a JSON object.
    #[must_use]
    pub const fn takes_objects(self) -> bool {
        matches!(self, Self::GeoAddressJson | Self::FeedbackEmail)
    }

    /// Whether its value may hold what lets people into a meeting.
    #[must_use]
    pub const fn may_open_a_meeting(self) -> bool {
        matches!(self, Self::ZoomMeetingPassword | Self::ZoomMeetingUrl | Self::MeetingUrl)
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
fn secrets(field: Field, value: &str) -> Vec<Range<usize>> {
    match field {
        Field::ZoomMeetingPassword if !value.trim().is_empty() => std::iter::once(0..value.len()).collect(),
        Field::ZoomMeetingUrl | Field::MeetingUrl => secrets_in_url(value),
        _ => Vec::new(),
    }
}

/// Zoom puts the password of a meeting into its address, and people write it before the host or behind the
/// address too, in many spellings: all but the host and a plain path is hidden.
fn secrets_in_url(url: &str) -> Vec<Range<usize>> {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    let user = url[host..path].rfind('@').map(|at| host..host + at);
    let opener = |c: char| matches!(c, '?' | '#' | ';' | '&' | '%' | '=') || c.is_whitespace();
    let rest = url[path..].char_indices().find(|(_, c)| opener(*c)).map(|(at, c)| match c {
        // A path that says `name=value` says a secret, perhaps.
        '=' => url[..path + at].rfind('/').map_or(path, |slash| slash + 1)..url.len(),
        c => path + at + c.len_utf8()..url.len(),
    });
    user.into_iter().chain(rest).filter(|range| !range.is_empty()).collect()
}

/// Whether a text quotes a secret of this value, in whatever spelling: escaped, flattened, in other case.
#[must_use]
pub fn quotes_secret(text: &str, field: Field, value: &str) -> bool {
    let plain = letters(text);
    let is_quoted = |secret: &str, shortest: usize| match letters(secret) {
        letters if letters.is_empty() => !secret.is_empty() && text.contains(secret),
        letters => letters.len() >= shortest && plain.contains(&letters),
    };
    secrets(field, value).into_iter().any(|range| {
        let secret = &value[range];
        let mut parts = secret.split(|c: char| matches!(c, '?' | '#' | ';' | '&') || c.is_whitespace());
        match field {
            // Of an address each value counts; those of one or two letters would be found anywhere.
            Field::ZoomMeetingUrl | Field::MeetingUrl => {
                parts.any(|part| is_quoted(part.split_once('=').map_or(part, |(_, value)| value), 3))
            }
            _ => is_quoted(secret, 1),
        }
    })
}

/// The letters and digits of a text, without the marks by which JSON and addresses write others.
fn letters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let code =
            |from: usize, to: usize| rest.get(from..to).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let (letter, length) = match (rest.get(..2), code(2, 6), code(1, 3)) {
            (Some("\\u"), Some(letter), _) => (char::from_u32(letter), 6),
            // The other escapes of JSON stand for marks and spaces.
            (Some("\\n" | "\\t" | "\\r" | "\\b" | "\\f"), _, _) => (None, 2),
            (_, _, Some(letter)) if c == '%' => (char::from_u32(letter), 3),
            _ => (Some(c), c.len_utf8()),
        };
        plain.extend(letter.filter(|c| c.is_alphanumeric()).into_iter().flat_map(char::to_lowercase));
        rest = &rest[length..];
    }
    plain
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
        assert_eq!(hide(Field::ZoomMeetingUrl, url), "https://zoom.us/j/1?[hidden]");
        assert_eq!(hide(Field::ZoomMeetingUrl, "https://zoom.us/j/1"), "https://zoom.us/j/1");
        for (url, shown) in [
            ("https://zoom.us/j/1#pwd=s3cret", "https://zoom.us/j/1#[hidden]"),
            ("https://zoom.us/j/1&amp;pwd=s3cret", "https://zoom.us/j/1&[hidden]"),
            ("https://zoom.us/j/1;pwd=s3cret", "https://zoom.us/j/1;[hidden]"),
            ("https://zoom.us/j/1/pwd=s3cret/x", "https://zoom.us/j/1/[hidden]"),
            ("https://zoom.us/my/ana?", "https://zoom.us/my/ana?"),
            ("https://ana:s3cret@zoom.us/j/1", "https://[hidden]@zoom.us/j/1"),
            ("https://zoom.us/j/1?a=b Passcode: s3cret", "https://zoom.us/j/1?[hidden]"),
            ("https://zoom.us/j/1 Passcode: s3cret", "https://zoom.us/j/1 [hidden]"),
            ("zoom.us/j/1?passcode=s3cret", "zoom.us/j/1?[hidden]"),
            ("ü?pwd=é&é", "ü?[hidden]"),
        ] {
            assert_eq!(hide(Field::ZoomMeetingUrl, url), shown);
        }
        assert_eq!(hide(Field::ZoomMeetingPassword, "s3cret"), HIDDEN);
        assert_eq!(hide(Field::ZoomMeetingPassword, " "), " ");
        let password = "S3 CR\"ET\\\u{e9}";
        for text in [
            "no S3 CR\"ET\\\u{e9}!",
            r#"{"p":"S3 CR\"ET\\\u00e9"}"#,
            "s3  cr\\\"et\\\\\\u00E9",
            "s3%20cr%22et\u{e9}",
        ] {
            assert!(quotes_secret(text, Field::ZoomMeetingPassword, password), "{text}");
        }
        assert!(!quotes_secret("the password is too long", Field::ZoomMeetingPassword, password));
        let url = "https://zoom.us/j/1?a=b&pwd=s3cret";
        assert!(quotes_secret("bad pwd S3CRET", Field::ZoomMeetingUrl, url));
        assert!(!quotes_secret("bad pwd in https://zoom.us/j/1", Field::ZoomMeetingUrl, url));
        let mut fields = Fields::default();
        fields.set(Field::ZoomMeetingPassword, " s3cret ");
        assert_eq!(fields.get(Field::ZoomMeetingPassword), Some("s3cret"));
        assert_eq!(format!("{fields:?}"), "{ZoomMeetingPassword}");
    }
}
