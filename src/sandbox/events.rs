//! The events a sandbox holds, and what it demands of one.
//!
//! Asked twice for the same it creates two, as Luma does. Knows nothing of keys, quotas or faults.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::Answer;
use super::beta::{expected, invalid};
use super::v1::write_moment;
use crate::clock::Time;

/// An event as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldEvent {
    /// The id it was given.
    pub api_id: String,
    /// When, in the words of today's dialect.
    pub created_at: String,
    /// What was asked, field by field.
    pub fields: Map<String, Value>,
}

impl HeldEvent {
    /// The end of its address: the one that was asked for, or one of its own.
    #[must_use]
    pub fn slug(&self) -> &str {
        let own = self.api_id.strip_prefix("evt-").unwrap_or(&self.api_id);
        self.fields.get("slug").and_then(Value::as_str).unwrap_or(own)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://luma.com/{}", self.slug())
    }
}

#[derive(Default)]
pub(super) struct Events {
    held: Vec<HeldEvent>,
    /// Ids begin after this number: no two keys give the same.
    before: u64,
}

/// More events than anybody creates with one key.
const IDS_OF_A_KEY: u64 = 1_000_000;

/// Hosts that covers may lie on, and all below them.
const COVER_HOSTS: [&str; 3] = ["unsplash.com", "lumacdn.com", "cdn.lu.ma"];
const METHODS: [&str; 3] = ["created-automatically", "existing-attached", "manually-entered"];
const SESSIONS: [&str; 2] = ["meeting", "webinar"];
const TEXTS: [&str; 8] = [
    "start_at",
    "cover_url",
    "zoom_creation_method",
    "zoom_meeting_id",
    "zoom_meeting_password",
    "zoom_meeting_url",
    "zoom_session_type",
    "community_api_id",
];

impl Events {
    /// Every event, in the order in which they were created.
    pub(super) fn all(&self) -> &[HeldEvent] {
        &self.held
    }

    /// Those of the key with this number.
    pub(super) fn of_key(place: u64) -> Self {
        Self { held: Vec::new(), before: place.saturating_mul(IDS_OF_A_KEY) }
    }

    /// Takes events back that were kept.
    pub(super) fn restore(&mut self, kept: Vec<HeldEvent>) {
        self.held = kept;
    }

    /// Creates an event that is known to be sound, and gives it an id.
    pub(super) fn push(&mut self, fields: Map<String, Value>, now: Time) -> String {
        let api_id = format!("evt-sandbox{:05}", self.before + self.held.len() as u64 + 1);
        self.held.push(HeldEvent { api_id: api_id.clone(), created_at: write_moment(now), fields });
        api_id
    }

    /// Creates an event of the beta, or says all that is wrong with what was asked.
    pub(super) fn create(&mut self, body: &[u8], now: Time) -> Result<Answer, Answer> {
        let fields = match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => return Err(invalid(&[expected("object", Some(&other))])),
            Err(_) => return Err(invalid(&[])),
        };
        let complaints = complaints(&fields);
        if !complaints.is_empty() {
            return Err(invalid(&complaints));
        }
        let api_id = self.push(fields, now);
        Ok(Answer::json(format!(r#"{{"api_id":"{api_id}"}}"#)))
    }
}

fn complaints(fields: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    if !fields.get("name").is_some_and(Value::is_string) {
        lines.push(format!("name: {}", expected("string", fields.get("name"))));
    }
    for name in TEXTS {
        if let Some(value) = fields.get(name).filter(|value| !value.is_string()) {
            lines.push(format!("{name}: {}", expected("string", Some(value))));
        }
    }
    for name in ["require_rsvp", "require_rsvp_approval"] {
        if let Some(value) = fields.get(name).filter(|value| !value.is_boolean()) {
            lines.push(format!("{name}: {}", expected("boolean", Some(value))));
        }
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    if fields
        .get("duration_minutes")
        .is_some_and(|minutes| minutes.as_u64().is_none_or(|minutes| minutes == 0))
    {
        lines.push("duration_minutes: Invalid input: expected a positive integer".to_owned());
    }
    if text("start_at").is_some_and(|start| start.parse::<jiff::Timestamp>().is_err()) {
        lines.push("start_at: Invalid ISO datetime".to_owned());
    }
    if text("cover_url").is_some_and(|cover| !is_allowed(cover)) {
        lines.push("cover_url: must be an image of Unsplash or of the Luma CDN".to_owned());
    }
    for (name, known) in [("zoom_creation_method", &METHODS[..]), ("zoom_session_type", &SESSIONS[..])] {
        if text(name).is_some_and(|word| !known.contains(&word)) {
            let options: Vec<String> = known.iter().map(|word| format!("\"{word}\"")).collect();
            lines.push(format!("{name}: Invalid option: expected one of {}", options.join("|")));
        }
    }
    let is_true = |name: &str| fields.get(name) == Some(&Value::Bool(true));
    if is_true("require_rsvp_approval") && !is_true("require_rsvp") {
        lines.push("require_rsvp_approval: needs require_rsvp".to_owned());
    }
    lines
}

fn is_allowed(cover: &str) -> bool {
    let Some(rest) = cover.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    COVER_HOSTS.iter().any(|allowed| {
        host.strip_suffix(allowed).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(0);

    #[test]
    fn the_same_twice_is_two_events() {
        let mut events = Events::default();
        for _ in 0..2 {
            assert!(events.create(br#"{"name":"Demo","extra":1}"#, NOW).is_ok());
        }
        let ids: Vec<&str> = events.all().iter().map(|event| event.api_id.as_str()).collect();
        assert_eq!(ids, ["evt-sandbox00001", "evt-sandbox00002"]);
    }

    #[test]
    fn each_wrong_field_has_its_line() {
        for (body, lines) in [
            ("{}", vec!["name: Invalid input: expected string, received undefined"]),
            (
                r#"{"name":1,"duration_minutes":0,"require_rsvp_approval":true,"start_at":"soon"}"#,
                vec![
                    "name: Invalid input: expected string, received number",
                    "duration_minutes: Invalid input: expected a positive integer",
                    "start_at: Invalid ISO datetime",
                    "require_rsvp_approval: needs require_rsvp",
                ],
            ),
            (
                r#"{"name":"a","cover_url":"https://evil.org/unsplash.com","zoom_session_type":"call"}"#,
                vec![
                    "cover_url: must be an image of Unsplash or of the Luma CDN",
                    "zoom_session_type: Invalid option: expected one of \"meeting\"|\"webinar\"",
                ],
            ),
        ] {
            let fields: Map<String, Value> = serde_json::from_str(body).expect("an object");
            assert_eq!(complaints(&fields), lines, "{body}");
            assert!(Events::default().create(body.as_bytes(), NOW).is_err());
        }
        assert!(
            Events::default().create(b"[]", NOW).is_err() && Events::default().create(b"{", NOW).is_err()
        );
    }
}
