//! What is said where a page cannot be shown or a change cannot be made.
//!
//! A fault is words and a status; whether it becomes a page or JSON is decided once, on the way out. Nothing of
//! what was asked is repeated, and what the database said stays in the log.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::words::size;
use crate::engine::EngineError;
use crate::store::{ResolveError, StoreError};

/// Why there is no other answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no such thing.
    NotFound,
    /// Only whoever is signed in may.
    SignIn,
    /// There is no token, so nobody may.
    NoToken,
    /// The form is not one of this session's.
    NotOurForm,
    /// It comes under a name that is not ours.
    Foreign(&'static str),
    /// A page of another site has sent it.
    OtherSite,
    /// Too many wrong guesses.
    TooSoon(Duration),
    /// What was sent makes no sense.
    Wrong(String),
    /// It cannot be done as things stand.
    Conflict(String),
    /// More than is taken at once.
    TooLarge,
    /// A file of more bytes than are taken.
    Oversize(u64),
    /// The body did not come in time.
    TooSlow,
    /// The body broke off.
    BrokenOff,
    /// The disk is full.
    Full,
    /// The disk did not take it.
    Disk,
    /// The database did not answer.
    Database,
    /// More of them than there is room for.
    Busy,
}

/// What a fault says, for whoever dresses it.
#[derive(Clone, Debug)]
pub(super) struct Said(pub(super) String);

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::NoToken | Self::NotOurForm | Self::OtherSite => StatusCode::FORBIDDEN,
            Self::Foreign(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::TooSoon(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge | Self::Oversize(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Database | Self::Busy | Self::Disk => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn text(&self) -> String {
        let text = match self {
            Self::NotFound => "There is nothing here.",
            Self::SignIn => "Sign in first, with the token that `web.token` names.",
            Self::NoToken => "Nothing can be changed here: `web.token` is not set.",
            Self::NotOurForm => {
                "This form is not from this sign-in, so nothing was changed. Open the page again and repeat it."
            }
            Self::Foreign(why) => why,
            Self::OtherSite => "This was sent by a page of another site, so nothing was changed.",
            Self::TooSoon(_) => "Too many wrong tokens came from your address. Try again in a few seconds.",
            Self::Wrong(why) | Self::Conflict(why) => why,
            Self::TooLarge => "That is more than is taken at once.",
            Self::Oversize(most) => {
                return format!(
                    "The file is larger than {}, which is the most that `web.max_upload` allows. Nothing of it was kept.",
                    size(*most)
                );
            }
            Self::BrokenOff => "What was sent did not come whole. Nothing of it was kept; send it again.",
            Self::Full => "The disk of the drop folder is full. Nothing of the file was kept.",
            Self::Disk => {
                "The disk of the drop folder did not take the file; the log says why. Nothing of it was kept."
            }
            Self::TooSlow => "The rest of the request did not come in time.",
            Self::Database => {
                "The database does not answer just now. Nothing is lost; try again in a moment."
            }
            Self::Busy => "There are too many of these open. Close one, or try again later.",
        };
        text.to_owned()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        if let Self::TooSoon(wait) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if self == Self::SignIn {
            let challenge = HeaderValue::from_static("Bearer realm=\"lumasync\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(Said(self.text()));
        response
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let error: &dyn std::error::Error = &error;
        let said: Vec<String> =
            std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
        tracing::warn!(error = said.join(": "), "a page could not be made");
        Self::Database
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => error.into(),
            other => Self::Conflict(first_line(&other.to_string())),
        }
    }
}

impl From<ResolveError> for Fault {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Store(error) => error.into(),
            ResolveError::Missing(_) => Self::NotFound,
            other => Self::Conflict(first_line(&other.to_string())),
        }
    }
}

/// Without the hint, which is for the command line.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
