//! What tells one event from all others: what its owner says, else what it is.

use std::fmt;

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use url::Url;

use super::{Event, EventState, Field, hide};
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
    /// into its meeting, which nobody is to guess from a key.
    pub(super) fn of(event: &Event) -> Self {
        let mut hash = Sha256::new();
        let mut add = |field: Field, value: Option<&str>| {
            // Lengths keep neighbours apart.
            let value = value.unwrap_or_default();
            hash.update(format!("{field}:{}:{value};", value.len()));
        };
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        // A rule that is not set is one that is switched off.
        let answer = |value: Option<bool>| value.unwrap_or_default().to_string();
        let address = |url: Option<&str>| url.map(|url| Url::parse(url).map_or(url.to_owned(), String::from));
        add(Field::Name, Some(&spelt_once(event.name())));
        add(Field::StartAt, event.start_at().map(|at| at.to_string()).as_deref());
        add(Field::CoverUrl, address(event.cover_url()).as_deref());
        add(Field::DurationMinutes, number(event.duration_minutes()).as_deref());
        add(Field::RequireRsvp, Some(&answer(event.require_rsvp())));
        add(Field::RequireRsvpApproval, Some(&answer(event.require_rsvp_approval())));
        let zoom = event.zoom();
        let (id, url, _): (_, _, Option<&SecretString>) =
            zoom.map_or((None, None, None), |zoom| zoom.meeting());
        add(Field::ZoomCreationMethod, zoom.map(super::Zoom::method));
        let digits = id.map(|id| id.chars().filter(char::is_ascii_digit).collect::<String>());
        add(Field::ZoomMeetingId, digits.as_deref());
        let url = address(url);
        add(Field::ZoomMeetingUrl, url.as_deref().map(|url| hide(Field::ZoomMeetingUrl, url)).as_deref());
        add(Field::ZoomSessionType, zoom.and_then(super::Zoom::session_type));
        add(Field::CommunityApiId, event.community_api_id());
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
        let digest: String =
            hash.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        Self(format!("content:{digest}"))
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
