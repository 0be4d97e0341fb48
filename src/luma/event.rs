//! Creating an event: a request that is never repeated by anything below.
//!
//! The client it goes through keeps no connection. One that was kept may be found closed just when the
//! request is written, and the layers below would then take another by themselves. It speaks HTTP/1.1,
//! where no frame may ask for a repetition. So one call is one request, or none.

use reqwest::Response;
use reqwest::header::{HeaderName, RETRY_AFTER};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::client::{Client, post};
use super::quota::Quota;
use super::reply::{MAX_ANSWER, header, innermost, message, parse_retry_after, speaks_of_an_error};
use super::wire::{id, unwrapped};
use super::{beta, v1};
use crate::clock::Time;
use crate::domain::event::{
    Answer, ApiId, ClientKey, Event, EventBody, EventVerdict, Field, Likeness, Slug, quotes_secret,
};

/// What one request for an event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReply {
    /// The status, if an answer began to arrive.
    pub status: Option<u16>,
    /// What it means. Its words hold no password.
    pub verdict: EventVerdict,
    /// What is left of the calendar's allowance, if the answer says.
    pub quota: Option<Quota>,
}

impl EventReply {
    /// The reply to a request that was given up before its answer.
    #[must_use]
    pub fn interrupted(reason: &str) -> Self {
        let verdict = EventVerdict::Ambiguous { reason: reason.to_owned() };
        Self { status: None, verdict, quota: None }
    }
}

/// The body of the request that creates an event of an account, in the event's own dialect.
#[must_use]
pub fn event_body(event: &Event, key: &ClientKey, account: &str) -> EventBody {
    let body = match event {
        Event::Beta(event) => beta::event_body(event),
        Event::V1(v1) => v1::event_body(v1, &Slug::of(event, key, account)),
    };
    EventBody::new(body.to_string())
}

/// A date as JavaScript writes it, to the millisecond.
pub(super) fn iso(at: Time) -> String {
    let text = at.to_string();
    format!("{}Z", text.trim_end_matches('Z').strip_suffix("000").unwrap_or(&text))
}

/// When the event of a body begins.
#[must_use]
pub fn start_of(body: &EventBody) -> Option<Time> {
    let body: Value = serde_json::from_str(body.0.expose_secret()).ok()?;
    Time::parse(body.get(Field::StartAt.as_str())?.as_str()?)
}

/// What the event of a body looks like if it exists; nothing where it has no address of its own.
#[must_use]
pub fn likeness_of(body: &EventBody) -> Option<Likeness> {
    let start_at = start_of(body)?;
    let body: Value = serde_json::from_str(body.0.expose_secret()).ok()?;
    let text = |field: Field| body.get(field.as_str()).and_then(Value::as_str).map(str::to_owned);
    Some(Likeness { slug: text(Field::Slug)?, name: text(Field::Name)?, start_at })
}

impl Client {
    /// Creates an event.
    pub async fn create_event(&self, body: &EventBody) -> EventReply {
        let url = self.url(self.routes().create_event);
        let request = post(&self.once, url, body.0.expose_secret().to_owned());
        let (status, quota, answer) = match request.send().await {
            Ok(response) => {
                let now = self.clock.now();
                let quota = Quota::of(response.headers(), now);
                (Some(response.status().as_u16()), quota, read(response, body, now).await)
            }
            Err(error) => (None, None, of_error(&error, self.once_timeout)),
        };
        EventReply { status, verdict: EventVerdict::of(answer), quota }
    }
}

fn of_error(error: &reqwest::Error, timeout: std::time::Duration) -> Answer {
    let cause = innermost(error);
    if error.is_connect() || error.is_builder() {
        Answer::Unreached { reason: format!("cannot connect{cause}") }
    } else if error.is_timeout() {
        Answer::None { reason: format!("no answer within {timeout:?}") }
    } else {
        Answer::None { reason: format!("the connection was lost before the answer was complete{cause}") }
    }
}

/// Reads an answer to its end, or to the cap.
async fn read(mut response: Response, asked: &EventBody, now: Time) -> Answer {
    let status = response.status().as_u16();
    let retry_after = header(&response, RETRY_AFTER).and_then(|text| parse_retry_after(&text, now));
    let location = header(&response, HeaderName::from_static("location"));
    let mut bytes = Vec::new();
    let is_complete = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER => bytes.extend_from_slice(&chunk),
            Ok(None) => break true,
            Ok(Some(_)) | Err(_) => break false,
        }
    };
    let body = serde_json::from_slice::<Value>(&bytes).ok().filter(|body| is_complete && body.is_object());
    let sound = body.as_ref().filter(|body| !speaks_of_an_error(body));
    let api_id = sound.and_then(|body| id(unwrapped(body, "event")).ok());
    let redirect = location.filter(|_| (300..=399).contains(&status));
    let full = format!("{} {}", redirect.as_deref().unwrap_or_default(), String::from_utf8_lossy(&bytes));
    let message = match redirect {
        // Before anything is shortened: the beginning of a password opens half the door.
        _ if quotes_password(&full, asked) => "an answer that quotes a password, and is not kept".to_owned(),
        Some(location) => format!("a redirect to `{location}`"),
        None if !is_complete => "an answer that was cut off".to_owned(),
        None => message(&bytes),
    };
    Answer::Status {
        status,
        is_lumas: body.is_some(),
        api_id: api_id.and_then(ApiId::parse),
        own_words: own_words(&message, asked),
        message,
        retry_after,
    }
}

/// An answer may quote what it was asked, and with it what lets people into a meeting.
fn quotes_password(text: &str, asked: &EventBody) -> bool {
    let asked: Value = serde_json::from_str(asked.0.expose_secret()).unwrap_or_default();
    Field::ALL.iter().filter(|field| field.may_open_a_meeting()).any(|field| {
        let value = asked.get(field.as_str()).and_then(Value::as_str);
        value.is_some_and(|value| quotes_secret(text, *field, value))
    })
}

/// What an answer says without the texts of the event: a name may speak of anything.
fn own_words(message: &str, asked: &EventBody) -> String {
    let asked: Value = serde_json::from_str(asked.0.expose_secret()).unwrap_or_default();
    let texts = asked.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_str);
    texts.filter(|text| !text.trim().is_empty()).fold(message.to_owned(), |message, text| {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        [text, &flat, &flat.replace('"', "\\\"")]
            .into_iter()
            .fold(message, |message, text| without(&message, text))
    })
}

/// A message without a text that it quotes; what stands in the midst of a word is no quotation.
fn without(message: &str, text: &str) -> String {
    let mut rest = String::new();
    let mut kept = 0;
    for (at, found) in message.match_indices(text) {
        let (before, after) = (&message[..at], &message[at + found.len()..]);
        if !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric) {
            rest.push_str(&message[kept..at]);
            rest.push(' ');
            kept = at + found.len();
        }
    }
    rest.push_str(&message[kept..]);
    rest
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::domain::dialect::Dialect;
    use crate::domain::event::{EventRules, Fields, parse_event};
    use crate::luma::ClientOptions;

    fn body_of(row: &[(Field, &str)]) -> EventBody {
        let mut fields = Fields::default();
        for (field, value) in row {
            fields.set(*field, value);
        }
        let rules = EventRules { allow_past: true, ..EventRules::default() };
        let wanted = parse_event(&fields, &rules, Time::from_micros(0)).expect("sound");
        event_body(&wanted.event, &wanted.key, "main")
    }

    fn client(address: &str) -> Client {
        let options = ClientOptions {
            dialect: Dialect::Beta2021,
            calendar_id: None,
            base_url: format!("http://{address}").parse().expect("a URL"),
            api_key: "key".to_owned().into(),
            timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_millis(300),
        };
        Client::new(&options, Clock::system()).expect("a client")
    }

    /// A server that treats its connections one after the other, and counts the requests.
    fn serve(
        treat: impl Fn(usize, &mut TcpStream) + Send + 'static,
    ) -> (String, std::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (to, heads) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.expect("a connection");
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).unwrap_or(0);
                if to.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_err() {
                    return;
                }
                treat(number, &mut stream);
            }
        });
        (address, heads)
    }

    fn answer(stream: &mut TcpStream, status: &str, body: &str) {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
    }

    #[test]
    fn the_body_has_what_was_given_and_nothing_else() {
        let body = body_of(&[(Field::Name, "Demo")]);
        assert_eq!(body.0.expose_secret(), r#"{"name":"Demo"}"#);
        assert_eq!(start_of(&body), None);
        let full = body_of(&[
            (Field::Name, "De\"mo"),
            (Field::StartAt, "2026-12-03T18:00:00Z"),
            (Field::DurationMinutes, "90"),
            (Field::RequireRsvp, "true"),
            (Field::RequireRsvpApproval, "false"),
            (Field::ZoomCreationMethod, "manually-entered"),
            (Field::ZoomMeetingUrl, "https://zoom.us/j/1"),
            (Field::ZoomMeetingPassword, "s3cret"),
        ]);
        assert_eq!(start_of(&full), Time::parse("2026-12-03T18:00:00Z"));
        let full: Value = serde_json::from_str(full.0.expose_secret()).expect("JSON");
        assert_eq!(
            full,
            serde_json::json!({
                "name": "De\"mo", "start_at": "2026-12-03T18:00:00.000Z", "duration_minutes": 90,
                "require_rsvp": true, "require_rsvp_approval": false, "zoom_creation_method": "manually-entered",
                "zoom_meeting_url": "https://zoom.us/j/1", "zoom_meeting_password": "s3cret",
            })
        );
    }

    #[test]
    fn what_an_answer_quotes_of_an_event_is_not_its_own_and_all_else_is() {
        let body = EventBody::new(r#"{"name":"Plus size","description_md":"a"}"#.into());
        assert_eq!(
            own_words("no `Plus size`: This URL is already taken.", &body),
            "no ` `: This URL is already taken."
        );
        assert_eq!(own_words("Plus sizes, a", &body), "Plus sizes,  ");
    }

    #[tokio::test]
    async fn every_event_has_a_connection_of_its_own_and_one_that_breaks_is_not_tried_twice() {
        let (address, heads) = serve(|number, stream| {
            if number == 0 {
                answer(stream, "200 OK", r#"{"api_id":"evt-1"}"#);
            }
        });
        let client = client(&address);
        let body = EventBody::new(r#"{"name":"Demo"}"#.into());
        let first = client.create_event(&body).await;
        assert_eq!(first.verdict.as_str(), "accepted");
        // The server has closed the first connection: a pool would find that out only now, and repeat.
        let second = client.create_event(&body).await;
        assert_eq!((second.status, second.verdict.as_str()), (None, "ambiguous"));
        let heads: Vec<String> = heads.try_iter().collect();
        assert_eq!(heads.len(), 2, "{heads:?}");
        assert!(heads.iter().all(|head| head.starts_with("POST /event/create HTTP/1.1\r\n")), "{heads:?}");
    }

    #[tokio::test]
    async fn answers_are_judged_by_what_has_left() {
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let asked = r#"{"name":"Demo","zoom_meeting_password":"s3cret","zoom_meeting_url":"https://zoom.us/j/1?pwd=s3cretest"}"#;
        let body = EventBody::new(asked.into());
        let unreached = client(&nobody.to_string()).create_event(&body).await;
        assert!(matches!(unreached.verdict, EventVerdict::Unreached { .. }), "{unreached:?}");
        let (address, _heads) = serve(|number, stream| match number {
            0 => answer(
                stream,
                "400 Bad Request",
                r#"{"message":"no `s3cret`, no `https://zoom.us/j/1?pwd=s3cretest`","code":null}"#,
            ),
            1 => answer(stream, "200 OK", "<html>hello</html>"),
            2 => stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"api_id\":\"evt-1\"}")
                .expect("sent"),
            3 => answer(stream, "500 Oops", r#"{"message":"oops"}"#),
            4 => answer(stream, "200 OK", r#"{"error":"not created","api_id":"evt-1"}"#),
            _ => {
                // No answer: the connection stays open until the client gives up.
                let _ = stream.read(&mut [0; 16]);
            }
        });
        let client = client(&address);
        let mut verdicts = Vec::new();
        for _ in 0..6 {
            verdicts.push(client.create_event(&body).await.verdict);
        }
        assert_eq!(
            verdicts[0],
            EventVerdict::Refused { message: "an answer that quotes a password, and is not kept".into() }
        );
        let rest: Vec<&str> = verdicts[1..].iter().map(EventVerdict::as_str).collect();
        assert_eq!(rest, ["ambiguous"; 5], "{verdicts:?}");
        assert!(verdicts[5].detail().is_some_and(|said| said.contains("no answer within")), "{verdicts:?}");
    }
}
