//! From what came over the wire to a verdict: JSON, HTML, empty, cut off or nothing at all.

use std::collections::HashSet;
use std::error::Error as _;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{LOCATION, RETRY_AFTER};
use rustls::CertificateError;
use serde_json::Value;

use super::client::Answered;
use super::quota::Quota;
use super::wire::Odd;
use crate::clock::Time;
use crate::domain::verdict::Verdict;

/// People who are named at once where Luma has left some out; the next answer names others.
const MOST_NAMED: usize = 10;

/// Whom a key belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Luma's id of the user, if the answer had one.
    pub id: Option<String>,
    /// The calendar that a key of several acts on.
    pub calendar: Option<String>,
    /// The user's name, if the answer had one.
    pub name: Option<String>,
}

impl Identity {
    /// What a ledger belongs to: one user, or one calendar of theirs.
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        let id = self.id.as_ref()?;
        Some(self.calendar.as_ref().map_or_else(|| id.clone(), |calendar| format!("{id} in {calendar}")))
    }
}

/// What one request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, if an answer began to arrive.
    pub status: Option<u16>,
    /// What it means.
    pub verdict: Verdict,
    /// The body of a success.
    pub body: Value,
    /// What is left of the calendar's allowance, if the answer says.
    pub quota: Option<Quota>,
}

/// Answers are read up to this many bytes; more than that is no answer of this API.
pub(super) const MAX_ANSWER: usize = 4 << 20;
/// Characters of an answer that are worth keeping.
const MAX_MESSAGE: usize = 500;

impl Reply {
    /// The reply to a request that was given up before its answer, because the service stops.
    #[must_use]
    pub const fn interrupted() -> Self {
        Self::without_answer(Verdict::Interrupted)
    }

    /// The reply of a list that goes on for ever.
    #[must_use]
    pub fn endless() -> Self {
        Self::transient(None, "a list of events that does not end".to_owned())
    }

    pub(super) const fn without_answer(verdict: Verdict) -> Self {
        Self { status: None, verdict, body: Value::Null, quota: None }
    }

    /// What a success says. One that does not say it is none.
    pub(super) fn says<T>(self, read: impl FnOnce(&Value) -> Result<T, Odd>) -> Answered<T> {
        if self.verdict != Verdict::Accepted {
            return Err(self);
        }
        match read(&self.body) {
            Ok(said) => Ok((said, self)),
            Err(odd) => {
                let status = self.status.unwrap_or_default();
                let reply = Self::transient(self.status, format!("{status} with an answer that {odd}"));
                Err(Self { quota: self.quota, ..reply })
            }
        }
    }

    /// The reply to a request that met no answer.
    pub(super) fn of_error(error: &reqwest::Error, timeout: Duration) -> Self {
        let what = if error.is_connect() {
            "cannot connect".to_owned()
        } else if error.is_timeout() {
            format!("no answer within {timeout:?}")
        } else {
            "the connection was lost before the answer was complete".to_owned()
        };
        let status = error.status().map(|status| status.as_u16());
        let reason = format!("{what}{}", innermost(error));
        let verdict = Verdict::Transient { reason, retry_after: None, unreached: error.is_connect() };
        Self { status, ..Self::without_answer(verdict) }
    }

    /// The reply to an import that names people whom Luma has left out of it: those of `asked` are refused, and
    /// who is not named is to be sent again, which changes nothing.
    pub(super) fn without_those_left_out<'a>(self, asked: impl Iterator<Item = &'a str>) -> Self {
        let left_out: HashSet<String> = self
            .body
            .get("skipped")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|one| one.get("email").unwrap_or(one).as_str())
            .map(str::to_lowercase)
            .collect();
        if self.verdict != Verdict::Accepted || left_out.is_empty() {
            return self;
        }
        // Whoever else it names is none of this request's.
        let emails: Vec<&str> =
            asked.filter(|email| left_out.contains(&email.to_lowercase())).take(MOST_NAMED).collect();
        if emails.is_empty() {
            return self;
        }
        let message = format!("Luma left out {}", emails.join(", "));
        Self { verdict: Verdict::Refused { message }, ..self }
    }

    /// The reply of a success that does not say what was asked for.
    #[must_use]
    pub fn refusing(self, why: &str) -> Self {
        Self { verdict: Verdict::Refused { message: why.to_owned() }, ..self }
    }

    fn transient(status: Option<u16>, reason: String) -> Self {
        let verdict = Verdict::Transient { reason, retry_after: None, unreached: false };
        Self { status, ..Self::without_answer(verdict) }
    }

    /// Reads an answer to its end, or to the cap, and judges it.
    pub(super) async fn read(response: Response, timeout: Duration, now: Time) -> Self {
        let quota = Quota::of(response.headers(), now);
        Self { quota, ..Self::judged(response, timeout, now).await }
    }

    async fn judged(mut response: Response, timeout: Duration, now: Time) -> Self {
        let status = response.status();
        let retry_after = header(&response, RETRY_AFTER).and_then(|text| parse_retry_after(&text, now));
        let location = header(&response, LOCATION);
        let mut body = Vec::new();
        let mut is_complete = true;
        while body.len() <= MAX_ANSWER {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) if status.is_success() => {
                    let reply = Self::of_error(&error, timeout);
                    return Self { status: Some(status.as_u16()), ..reply };
                }
                // The status alone says enough about a failure.
                Err(_) => {
                    is_complete = false;
                    break;
                }
            }
        }
        if status.is_success() {
            return Self::of_success(status.as_u16(), &body);
        }
        let message = match location {
            Some(location) if status.is_redirection() => format!("a redirect to `{location}`"),
            _ if !is_complete => "an answer that was cut off".to_owned(),
            _ => message(&body),
        };
        let verdict = Verdict::of_failure(status.as_u16(), message, retry_after);
        Self { status: Some(status.as_u16()), ..Self::without_answer(verdict) }
    }

    /// Only a JSON object is Luma's word; a proxy's page with status 200 is not.
    fn of_success(status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice(body);
        if parsed.as_ref().is_ok_and(speaks_of_an_error) {
            let reason = format!("{status} that speaks of an error: {}", message(body));
            Self::transient(Some(status), reason)
        } else if let Ok(body @ Value::Object(_)) = parsed {
            Self { status: Some(status), body, ..Self::without_answer(Verdict::Accepted) }
        } else {
            let reason = format!("{status} with an answer that is not Luma's: {}", message(body));
            Self::transient(Some(status), reason)
        }
    }
}

/// Whether an object is the envelope of an error, whatever the status says. Luma's answer is `{}`; what
/// it may add some day is fine, and so is a message that speaks of success.
pub(super) fn speaks_of_an_error(body: &Value) -> bool {
    let says = |name: &str| match body.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::Bool(true)) => true,
    };
    let is_good = |text: &str| {
        let lower = text.to_lowercase();
        let mut words = lower.split(|c: char| !c.is_alphanumeric());
        let good =
            ["ok", "success", "successful", "successfully", "succeeded", "imported", "created", "done"];
        let bad = ["not", "no", "error", "errors", "failed", "failure", "unsuccessful"];
        let has = |wanted: &[&str], word: &str| wanted.contains(&word);
        words.clone().any(|word| has(&good, word)) && !words.any(|word| has(&bad, word))
    };
    let message_is_good = body.get("message").and_then(Value::as_str).is_some_and(is_good);
    ["error", "errors", "errorMessage"].into_iter().any(says) || (says("message") && !message_is_good)
}

pub(super) fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Seconds, or a date.
pub(super) fn parse_retry_after(text: &str, now: Time) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since_1970 = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Time::from_micros(i64::try_from(since_1970.as_micros()).ok()?).since(now))
}

/// What a body says, for people: the envelope's message, or its beginning.
pub(super) fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_ANSWER)]);
    let text = text.trim();
    if text.is_empty() {
        return "an empty answer".to_owned();
    }
    let envelope: Option<Value> = serde_json::from_str(text).ok();
    let said = envelope
        .as_ref()
        .and_then(|envelope| envelope.get("message").or_else(|| envelope.get("error")))
        .and_then(Value::as_str);
    match said {
        Some(said) => shorten(said),
        None if text.starts_with('<') => format!("an HTML page: {}", shorten(&title(text))),
        None => shorten(text),
    }
}

fn title(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let inside = |tag: &str| {
        let start = lower.find(&format!("<{tag}>"))? + tag.len() + 2;
        let end = lower[start..].find("</")?;
        Some(html[start..start + end].trim().to_owned())
    };
    inside("title").or_else(|| inside("h1")).unwrap_or_else(|| html.to_owned())
}

fn shorten(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = flat.chars().filter(|c| !c.is_control()).collect();
    match plain.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

/// The innermost cause, which is the one that tells; never an address or a URL.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut last = None;
    while let Some(error) = cause {
        if let Some(fault) = certificate_fault(error) {
            return format!(": {fault}");
        }
        last = Some(error.to_string());
        cause = error.source();
    }
    last.map(|text| format!(": {}", shorten(&text).to_lowercase())).unwrap_or_default()
}

/// Why a certificate proves nothing, in words that say what to look at.
fn certificate_fault(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut inner = cause;
    // An error of the system's kind hides what it holds from `source`.
    while let Some(error) = inner.downcast_ref::<std::io::Error>() {
        inner = error.get_ref()?;
    }
    let rustls::Error::InvalidCertificate(fault) = inner.downcast_ref()? else { return None };
    Some(match fault {
        CertificateError::UnknownIssuer => {
            "its certificate is of an authority that this machine does not trust (that of a proxy in between can be named by `SSL_CERT_FILE`)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid today, or the clock of this machine is wrong"
        }
        _ => "its certificate cannot be trusted",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date() {
        let now = Time::parse("2026-11-22T18:00:00Z").expect("a moment");
        assert_eq!(parse_retry_after("60", now), Some(Duration::from_mins(1)));
        assert_eq!(parse_retry_after(" 0.5 ", now), Some(Duration::from_millis(500)));
        let date = "Sun, 22 Nov 2026 18:01:30 GMT";
        assert_eq!(parse_retry_after(date, now), Some(Duration::from_secs(90)));
        assert_eq!(parse_retry_after("soon", now), None);
        assert_eq!(parse_retry_after("-5", now), None);
    }

    #[test]
    fn only_a_json_object_is_a_success() {
        assert_eq!(Reply::of_success(200, b"{}").verdict, Verdict::Accepted);
        for body in [&b""[..], b"[]", b"null", b"\"ok\"", b"<html></html>", b"{\"a\":"] {
            let verdict = Reply::of_success(200, body).verdict;
            assert!(matches!(verdict, Verdict::Transient { .. }), "{body:?}");
        }
    }

    #[test]
    fn a_success_that_speaks_of_an_error_is_none() {
        for body in [
            r#"{"message":"error","code":"bad"}"#,
            r#"{"message":"Invalid request.","code":null}"#,
            r#"{"error":"boom"}"#,
            r#"{"error":{"code":1}}"#,
            r#"{"errors":[{"email":"x"}]}"#,
            r#"{"errorMessage":"no"}"#,
            r#"{"message":"not imported"}"#,
        ] {
            let verdict = Reply::of_success(200, body.as_bytes()).verdict;
            let Verdict::Transient { reason, .. } = verdict else { panic!("{body}: {verdict:?}") };
            assert!(reason.starts_with("200 that speaks of an error"), "{reason}");
        }
        for body in [
            "{}",
            r#"{"message":null,"error":null,"errors":[]}"#,
            r#"{"message":"OK"}"#,
            r#"{"skipped":[],"imported_count":3}"#,
            r#"{"user":{"name":"Ira","error":"x"}}"#,
        ] {
            assert_eq!(Reply::of_success(200, body.as_bytes()).verdict, Verdict::Accepted, "{body}");
        }
    }

    #[test]
    fn who_is_left_out_is_named_and_nobody_else_is_refused() {
        let asked = ["Ana@example.org", "bo@example.org", "cy@example.org"];
        let import =
            |body: &[u8]| Reply::of_success(200, body).without_those_left_out(asked.into_iter()).verdict;
        let told = import(br#"{"skipped":[{"email":"ana@example.org"},"bo@example.org",{"id":"x"}]}"#);
        let message = "Luma left out Ana@example.org, bo@example.org".to_owned();
        assert_eq!(told, Verdict::Refused { message });
        for body in
            [&br#"{"skipped":[]}"#[..], b"{}", br#"{"skipped":3}"#, br#"{"skipped":["dee@example.org"]}"#]
        {
            assert_eq!(import(body), Verdict::Accepted);
        }
    }

    #[test]
    fn messages_are_short_and_of_one_line() {
        assert_eq!(
            message(br#"{"message":"Invalid request.\n- emails: bad","code":null}"#),
            "Invalid request. - emails: bad"
        );
        assert_eq!(message(b"<html><TITLE>502 Bad Gateway</TITLE>"), "an HTML page: 502 Bad Gateway");
        assert_eq!(message(b"  "), "an empty answer");
        assert_eq!(message(&[b'x'; 10_000]).chars().count(), MAX_MESSAGE + 1);
    }
}
