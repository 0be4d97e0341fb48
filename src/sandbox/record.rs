//! Every request as it came, for tests that hold them against what is documented.
//!
//! Keeps no key. Knows nothing of what a request means.

use std::sync::{Mutex, PoisonError};

use hyper::StatusCode;
use hyper::http::request::Parts;

/// Headers that may hold a secret.
const SECRET: [&str; 3] = ["x-luma-api-key", "authorization", "cookie"];

/// A request that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// What followed the `?`, as it came.
    pub query: String,
    /// Its headers in lower case, those left out that may hold a key.
    pub headers: Vec<(String, String)>,
    /// Its body; `None` where it was larger than is taken.
    pub body: Option<Vec<u8>>,
    /// How it was answered; `None` where the connection was cut.
    pub status: Option<u16>,
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(super) struct Record(Mutex<Vec<Request>>);

impl Record {
    pub(super) fn add(&self, head: &Parts, body: Option<&[u8]>, status: Option<StatusCode>) {
        let is_open = |name: &&str| !SECRET.contains(name);
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value));
        let told = headers.filter(|(name, _)| is_open(name));
        let request = Request {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: told
                .map(|(name, value)| {
                    (name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body: body.map(<[u8]>::to_vec),
            status: status.map(|status| status.as_u16()),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    pub(super) fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
