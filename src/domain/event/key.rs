//! What tells one event from all others: what its owner says, else what it is.

use std::fmt;

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use url::Url;

use super::{BetaEvent, Event, EventState, FeedbackEmail, Field, GeoAddress, Slug, V1Fields, hide};
use crate::clock::Time;
use crate::domain::code::Code;

/// The key of an event: of those that exist or may come to exist, each has its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(String);

impl ClientKey {
    /// A key that somebody chose.
    pub(super) fn parse(text: &str) -> Result<Self, (Code, String)> {
        if text.chars().count() > 200 {
            return Err((Code::FieldInvalid, "is longer than 200 characters".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key of an event that says none: its content decides, however it is spelt. Not what lets people
    /// into its meeting, which nobody is to guess from a key; nor its zone, where its moments are the same. What every dialect
    /// has makes the same key in each, so that an event is known again after a change of dialect.
    pub(super) fn of(event: &Event) -> Self {
        let mut content = Content::default();
        match event {
            Event::Beta(event) => content.add_beta(event),
            Event::V1(event) => content.add_v1(event.fields()),
        }
        Self(format!("content:{}", hex(&content.0.finalize())))
    }

    /// The key of one more of the same event, deliberately: once in each run that asks for it.
    #[must_use]
    pub fn again(&self, run_id: i64) -> Self {
        Self(format!("{}#again-{run_id}", self.0))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name in one of the many ways to write it: accents composed, single spaces, nothing that is not seen.
fn spelt_once(name: &str) -> String {
    let is_seen =
        |c: &char| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    let name: String = name.nfc().filter(is_seen).collect();
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an event says, field by field.
#[derive(Default)]
struct Content(Sha256);

impl Content {
    fn add(&mut self, field: Field, value: Option<&str>) {
        // Lengths keep neighbours apart.
        let value = value.unwrap_or_default();
        self.0.update(format!("{field}:{}:{value};", value.len()));
    }

    fn add_shared(&mut self, name: &str, start_at: Option<Time>, cover: Option<&str>, minutes: Option<u64>) {
        self.add(Field::Name, Some(&spelt_once(name)));
        self.add(Field::StartAt, start_at.map(|at| at.to_string()).as_deref());
        self.add(Field::CoverUrl, address(cover).as_deref());
        self.add(Field::DurationMinutes, minutes.map(|minutes| minutes.to_string()).as_deref());
    }

    fn add_beta(&mut self, event: &BetaEvent) {
        // A rule that is not set is one that is switched off.
        let answer = |value: Option<bool>| value.unwrap_or_default().to_string();
        let minutes = event.duration_minutes().map(u64::from);
        self.add_shared(event.name(), event.start_at(), event.cover_url(), minutes);
        self.add(Field::RequireRsvp, Some(&answer(event.require_rsvp())));
        self.add(Field::RequireRsvpApproval, Some(&answer(event.require_rsvp_approval())));
        let zoom = event.zoom();
        let (id, url, _): (_, _, Option<&SecretString>) =
            zoom.map_or((None, None, None), |zoom| zoom.meeting());
        self.add(Field::ZoomCreationMethod, zoom.map(super::Zoom::method));
        let digits = id.map(|id| id.chars().filter(char::is_ascii_digit).collect::<String>());
        self.add(Field::ZoomMeetingId, digits.as_deref());
        self.add(Field::ZoomMeetingUrl, meeting(Field::ZoomMeetingUrl, url).as_deref());
        self.add(Field::ZoomSessionType, zoom.and_then(super::Zoom::session_type));
        self.add(Field::CommunityApiId, event.community_api_id());
    }

    fn add_v1(&mut self, event: &V1Fields) {
        let start = event.start_at;
        let length = event.end_at.map(|end| end.since(start));
        let minutes = length.filter(|length| length.as_millis().is_multiple_of(60_000));
        let minutes = minutes.map(|length| length.as_secs() / 60);
        self.add_shared(&event.name, Some(start), event.cover_url.as_deref(), minutes);
        for (field, nothing) in BETA_ALONE {
            self.add(field, nothing);
        }
        if minutes.is_none() {
            self.given(Field::EndAt, event.end_at);
        }
        self.given(Field::DescriptionMd, event.description_md.as_ref());
        self.given(Field::Visibility, event.visibility);
        self.given(Field::Slug, event.slug.as_ref().map(Slug::as_str));
        self.given(Field::MaxCapacity, event.max_capacity);
        self.given(Field::MeetingUrl, meeting(Field::MeetingUrl, event.meeting_url.as_deref()));
        match &event.geo_address {
            Some(GeoAddress::Manual { address }) => self.given(Field::GeoAddress, Some(address)),
            Some(GeoAddress::Google { place_id, description }) => {
                self.given(Field::GeoAddressJson, Some(place_id));
                self.given(Field::GeoAddress, description.as_ref());
            }
            None => {}
        }
        self.given(Field::Latitude, event.coordinate.map(|point| point.latitude()));
        self.given(Field::Longitude, event.coordinate.map(|point| point.longitude()));
        self.given(Field::NameRequirement, event.name_requirement);
        self.given(Field::PhoneNumberRequirement, event.phone_number_requirement);
        self.given(Field::CanRegisterForMultipleTickets, event.can_register_for_multiple_tickets);
        self.given(Field::ShowGuestList, event.show_guest_list);
        self.given(Field::RemindersDisabled, event.reminders_disabled);
        self.given(
            Field::FeedbackEmail,
            event.feedback_email.as_ref().map(|email| match email {
                FeedbackEmail::Off => "off",
                FeedbackEmail::On(delay) => delay.as_deref().unwrap_or("on"),
            }),
        );
        self.given(Field::TintColor, event.tint_color.as_ref());
    }

    /// A field that counts only where it is given.
    fn given(&mut self, field: Field, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.add(field, Some(&value.to_string()));
        }
    }
}

/// What an event that says nothing of the beta's own fields says of them.
const BETA_ALONE: [(Field, Option<&str>); 7] = [
    (Field::RequireRsvp, Some("false")),
    (Field::RequireRsvpApproval, Some("false")),
    (Field::ZoomCreationMethod, None),
    (Field::ZoomMeetingId, None),
    (Field::ZoomMeetingUrl, None),
    (Field::ZoomSessionType, None),
    (Field::CommunityApiId, None),
];

fn address(url: Option<&str>) -> Option<String> {
    url.map(|url| Url::parse(url).map_or(url.to_owned(), String::from))
}

fn meeting(field: Field, url: Option<&str>) -> Option<String> {
    address(url).map(|url| hide(field, &url).into_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The event that has a key already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// Its number in the queue.
    pub id: i64,
    /// The run it belongs to.
    pub run_id: i64,
    /// Its line, if it came from a file.
    pub line: Option<i64>,
    /// Where it stands.
    pub state: EventState,
    /// Luma's id of it, once it exists.
    pub api_id: Option<String>,
}

impl Twin {
    /// Why the other one is not created, in words.
    #[must_use]
    pub fn reason(&self) -> String {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let api_id = self.api_id.as_ref().map(|id| format!(" as `{id}`")).unwrap_or_default();
        format!(
            "the same event as row {} (run {}{line}), which is {}{api_id}",
            self.id, self.run_id, self.state
        )
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
