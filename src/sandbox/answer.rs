//! What goes back over the wire: a status, a body, headers, and how badly they arrive.
//!
//! Knows nothing of why; `service` decides and `server` carries out.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::fault::Spoil;
use super::quota::Standing;
use super::v1::write_moment;
use crate::clock::Time;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// A status and a body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    content_type: &'static str,
    body: Bytes,
}

impl Answer {
    /// 200 with this JSON.
    pub(super) fn json(body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, content_type: JSON, body: body.into() }
    }

    /// Luma's envelope around a sentence.
    pub(super) fn message(status: StatusCode, message: &str) -> Self {
        // Quoted by serde, framed by hand: the envelope has this order.
        let body = format!(r#"{{"message":{},"code":null}}"#, Value::from(message));
        Self { status, content_type: JSON, body: body.into() }
    }

    /// The page of something that stands between Luma and its callers.
    pub(super) fn html(status: StatusCode) -> Self {
        let body = "<!doctype html><html><body><h1>This is not Luma</h1></body></html>\n".into();
        Self { status, content_type: HTML, body }
    }

    pub(super) fn is_json(&self) -> bool {
        self.content_type == JSON
    }
}

/// How `X-RateLimit-Reset` says a moment: nobody has written down which of them Luma does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetUnit {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// `2026-12-03T18:00:00.000Z`
    Iso,
}

impl ResetUnit {
    /// The moment, rounded up: whoever waits for it has waited long enough.
    fn write(self, at: Time) -> String {
        let up = |unit: i64| at.as_micros().saturating_add(unit - 1).div_euclid(unit);
        match self {
            Self::Seconds => up(1_000_000).to_string(),
            Self::Millis => up(1_000).to_string(),
            Self::Iso => write_moment(Time::from_micros(up(1_000).saturating_mul(1_000))),
        }
    }
}

/// An answer and what becomes of it on the way.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) standing: Option<Standing>,
    pub(super) reset_unit: ResetUnit,
    pub(super) retry_after: Option<u128>,
    pub(super) delay: Option<Duration>,
    pub(super) spoil: Option<Spoil>,
    /// How many changes must be in the state file before it leaves.
    pub(super) change: u64,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            standing: None,
            reset_unit: ResetUnit::Seconds,
            retry_after: None,
            delay: None,
            spoil: None,
            change: 0,
        }
    }
}

impl Reply {
    /// The response to send; nothing where the connection is to be cut instead.
    pub(super) fn into_response(self) -> Option<Response<Payload>> {
        let Answer { status, content_type, body } = self.answer;
        let payload = match self.spoil {
            Some(Spoil::Cut) => return None,
            Some(Spoil::Empty) if status.is_success() => Payload::whole(Bytes::new()),
            Some(Spoil::Truncated) => Payload::truncated(&body),
            Some(Spoil::Empty) | None => Payload::whole(body),
        };
        let mut response = Response::new(payload);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(Standing { limit, remaining, reset }) = self.standing {
            headers.insert("x-ratelimit-limit", limit.into());
            headers.insert("x-ratelimit-remaining", remaining.into());
            // Digits, dashes, colons: every header may hold them.
            if let Ok(reset) = HeaderValue::try_from(self.reset_unit.write(reset)) {
                headers.insert("x-ratelimit-reset", reset);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, u64::try_from(seconds).unwrap_or(u64::MAX).into());
        }
        Some(response)
    }
}

/// A body that may promise more than it holds.
#[derive(Debug)]
pub(super) struct Payload {
    rest: Option<Bytes>,
    promised: u64,
    ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    /// Comes up short, but not before what there is has had its turn to leave.
    Flush,
    Short,
}

impl Payload {
    fn whole(body: Bytes) -> Self {
        Self { promised: body.len() as u64, rest: Some(body), ending: Ending::Whole }
    }

    fn truncated(body: &Bytes) -> Self {
        Self { promised: body.len() as u64, rest: Some(body.slice(..body.len() / 2)), ending: Ending::Flush }
    }
}

/// The body ends before its promised length.
#[derive(Debug, thiserror::Error)]
#[error("the answer is truncated on purpose")]
pub(super) struct Truncated;

impl Body for Payload {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Flush => {
                self.ending = Ending::Short;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Short => Poll::Ready(Some(Err(Truncated))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ending == Ending::Whole && self.rest.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
