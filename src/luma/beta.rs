//! The dialect of the 2021 beta: bodies, and whom an answer names.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::event::iso;
use super::reply::Identity;
use crate::domain::batch::BODY_FRAME;
use crate::domain::event::{BetaEvent, Field, Zoom};
use crate::domain::tag::{TagId, TagSet};

/// The body of `POST /user/audience/import`; the tags are left out when there are none.
pub(super) fn import_body<'a>(tags: &TagSet, emails: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut body = Vec::with_capacity(BODY_FRAME);
    body.extend_from_slice(b"{\"emails\":[");
    push_strings(&mut body, emails);
    body.push(b']');
    if !tags.is_empty() {
        body.extend_from_slice(b",\"member_tag_api_ids\":[");
        push_strings(&mut body, tags.ids().iter().map(TagId::as_str));
        body.push(b']');
    }
    body.push(b'}');
    body
}

pub(super) fn push_strings<'a>(body: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    for (index, text) in texts.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut *body, text);
    }
}

/// The body of `POST /event/create`: what was given, and nothing else.
pub(super) fn event_body(event: &BetaEvent) -> Value {
    let mut body = Map::new();
    let mut put = |field: Field, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(field.as_str().to_owned(), value);
        }
    };
    put(Field::Name, Some(event.name().into()));
    put(Field::StartAt, event.start_at().map(|at| iso(at).into()));
    put(Field::CoverUrl, event.cover_url().map(Into::into));
    put(Field::DurationMinutes, event.duration_minutes().map(Into::into));
    put(Field::RequireRsvp, event.require_rsvp().map(Into::into));
    put(Field::RequireRsvpApproval, event.require_rsvp_approval().map(Into::into));
    put(Field::CommunityApiId, event.community_api_id().map(Into::into));
    let zoom = event.zoom();
    let (id, url, password) = zoom.map_or((None, None, None), Zoom::meeting);
    put(Field::ZoomCreationMethod, zoom.map(|zoom| zoom.method().into()));
    put(Field::ZoomSessionType, zoom.and_then(Zoom::session_type).map(Into::into));
    put(Field::ZoomMeetingId, id.map(Into::into));
    put(Field::ZoomMeetingUrl, url.map(Into::into));
    put(Field::ZoomMeetingPassword, password.map(|password| password.expose_secret().into()));
    Value::Object(body)
}

/// Whom the answer to `GET /user` names; later generations wrap the user or say `id`.
pub(super) fn identity(answer: &Value) -> Identity {
    let user = answer.get("user").filter(|user| user.is_object()).unwrap_or(answer);
    let text = |key: &str| user.get(key).and_then(Value::as_str).map(str::to_owned);
    Identity { id: text("api_id").or_else(|| text("id")), calendar: None, name: text("name") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(tags: &str, emails: &[&str]) -> String {
        let tags = TagSet::parse(tags).expect("a tag set");
        String::from_utf8(import_body(&tags, emails.iter().copied())).expect("UTF-8")
    }

    #[test]
    fn the_body_is_what_the_route_takes() {
        assert_eq!(body("", &["ana@example.org"]), r#"{"emails":["ana@example.org"]}"#);
        assert_eq!(
            body("tag-1;tag-2", &["a@b.org", "c\"d@e.org"]),
            r#"{"emails":["a@b.org","c\"d@e.org"],"member_tag_api_ids":["tag-1","tag-2"]}"#
        );
    }

    #[test]
    fn every_generation_of_user_is_read() {
        for text in [
            r#"{"api_id":"usr-1","name":"Ira"}"#,
            r#"{"id":"usr-1","name":"Ira"}"#,
            r#"{"user":{"api_id":"usr-1","name":"Ira"}}"#,
        ] {
            let found = identity(&serde_json::from_str(text).expect("JSON"));
            assert_eq!(
                found,
                Identity { id: Some("usr-1".into()), calendar: None, name: Some("Ira".into()) }
            );
        }
        assert_eq!(identity(&serde_json::json!({})), Identity::default());
    }
}
