//! The dialect `beta-2021`: its routes, its bodies, and how it words a refusal.
//!
//! Knows nothing of keys, quotas or what is stored.

use std::borrow::Cow;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;

/// What a caller may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    User,
    Import,
    CreateEvent,
}

impl Route {
    /// The route of this method and path.
    pub(super) fn find(method: &Method, path: &str) -> Option<Self> {
        match (method, path) {
            (&Method::GET, "/user") => Some(Self::User),
            (&Method::POST, "/user/audience/import") => Some(Self::Import),
            (&Method::POST, "/event/create") => Some(Self::CreateEvent),
            _ => None,
        }
    }

    /// How counters and logs call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "GET /user",
            Self::Import => "POST /user/audience/import",
            Self::CreateEvent => "POST /event/create",
        }
    }

    /// The answer to a request without a key: 401 is what the beta promises for the user, and
    /// 400 what was seen elsewhere.
    pub(super) fn without_key(self) -> Answer {
        match self {
            Self::User => not_signed_in(),
            Self::Import | Self::CreateEvent => {
                Answer::message(StatusCode::BAD_REQUEST, "Please provide an API key.")
            }
        }
    }
}

/// The answer to an unknown key.
pub(super) fn not_signed_in() -> Answer {
    Answer::message(StatusCode::UNAUTHORIZED, "You are not signed in.")
}

/// Whom a key belongs to: each to somebody else.
pub(super) fn user(place: u64) -> Answer {
    let number = if place == 0 { String::new() } else { format!("-{}", place + 1) };
    Answer::json(format!(
        r#"{{"api_id":"usr-sandbox{number}","name":"Sandbox Host","email":"host{number}@example.org"}}"#
    ))
}

/// A request to import people, its strings borrowed from the body.
#[derive(Debug, Deserialize)]
pub(super) struct Import<'a> {
    #[serde(borrow)]
    emails: Vec<Text<'a>>,
    #[serde(borrow, default)]
    member_tag_api_ids: Vec<Text<'a>>,
}

/// `Cow` alone would copy: serde borrows only where it is told to.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Import<'a> {
    /// Reads a body, or says all that is wrong with it.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Answer> {
        // Serde would take an array for a struct.
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        match serde_json::from_slice(body) {
            Ok(import) if is_object => Ok(import),
            _ => Err(invalid(&complaints(body))),
        }
    }

    pub(super) const fn rows(&self) -> usize {
        self.emails.len()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.emails.iter().map(|email| &*email.0)
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.member_tag_api_ids.iter().map(|tag| &*tag.0)
    }

    /// A refusal of the addresses that are `bad`, naming each; `None` where none is.
    pub(super) fn refuse(&self, bad: impl Fn(&str) -> bool) -> Option<Answer> {
        let line = |(index, address)| format!("emails[{index}]: Invalid email address: \"{address}\"");
        let lines: Vec<_> =
            self.addresses().enumerate().filter(|(_, address)| bad(address)).map(line).collect();
        (!lines.is_empty()).then(|| invalid(&lines))
    }
}

/// 400, one line for each thing that is wrong.
pub(super) fn invalid(lines: &[String]) -> Answer {
    let mut message = String::from("Invalid request.");
    for line in lines {
        message.push_str("\n- ");
        message.push_str(line);
    }
    Answer::message(StatusCode::BAD_REQUEST, &message)
}

/// The slow second look at a body that could not be read: what is wrong, field by field.
fn complaints(body: &[u8]) -> Vec<String> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let Value::Object(fields) = &body else { return vec![expected("object", Some(&body))] };
    let mut lines = list_complaints("emails", fields.get("emails"));
    if let Some(tags) = fields.get("member_tag_api_ids") {
        lines.extend(list_complaints("member_tag_api_ids", Some(tags)));
    }
    lines
}

fn list_complaints(field: &str, list: Option<&Value>) -> Vec<String> {
    let Some(Value::Array(entries)) = list else {
        return vec![format!("{field}: {}", expected("array", list))];
    };
    let wrong = entries.iter().enumerate().filter(|(_, entry)| !entry.is_string());
    wrong.map(|(index, entry)| format!("{field}[{index}]: {}", expected("string", Some(entry)))).collect()
}

pub(super) fn expected(kind: &str, found: Option<&Value>) -> String {
    let found = match found {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    format!("Invalid input: expected {kind}, received {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_borrowed_from_the_body_where_nothing_is_escaped() {
        let body = br#" {"emails":["ana@example.org","b\u006f@example.org"],"extra":1}"#;
        let import = Import::parse(body).expect("an import");
        assert!(matches!(import.emails[0].0, Cow::Borrowed("ana@example.org")));
        assert_eq!(import.addresses().last(), Some("bo@example.org"));
        assert_eq!((import.rows(), import.tags().count()), (2, 0));
    }

    #[test]
    fn each_wrong_field_has_its_line() {
        for (body, lines) in [
            ("{", vec![]),
            ("[[\"ana@example.org\"],[]]", vec!["Invalid input: expected object, received array"]),
            ("{}", vec!["emails: Invalid input: expected array, received undefined"]),
            (
                r#"{"emails":["a@b.org",7,null],"member_tag_api_ids":null}"#,
                vec![
                    "emails[1]: Invalid input: expected string, received number",
                    "emails[2]: Invalid input: expected string, received null",
                    "member_tag_api_ids: Invalid input: expected array, received null",
                ],
            ),
        ] {
            assert!(Import::parse(body.as_bytes()).is_err(), "{body}");
            assert_eq!(complaints(body.as_bytes()), lines, "{body}");
        }
    }
}
