//! What a request asks for, in either dialect: their paths differ, so one server speaks both.
//!
//! Knows nothing of what a route does.

use hyper::{Method, StatusCode};

use super::answer::Answer;
use super::fault::Asked;
use super::v1::{Call, Write};
use super::{beta, v1};

/// A route of one of the dialects.
#[derive(Clone, Copy)]
pub(super) enum Route {
    Beta(beta::Route),
    V1(Call),
}

impl Route {
    pub(super) fn find(method: &Method, path: &str) -> Option<Self> {
        let beta = beta::Route::find(method, path).map(Self::Beta);
        beta.or_else(|| Call::find(method, path).map(Self::V1))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Beta(route) => route.name(),
            Self::V1(call) => call.name,
        }
    }

    pub(super) fn without_key(self) -> Answer {
        match self {
            Self::Beta(route) => route.without_key(),
            Self::V1(_) => Answer::message(StatusCode::BAD_REQUEST, "Please provide an API key."),
        }
    }

    /// What faults count it as; the beta's user meets none.
    pub(super) const fn asked(self) -> Asked {
        match self {
            Self::Beta(beta::Route::User) => Asked::Read,
            Self::Beta(beta::Route::Import) => Asked::Import,
            Self::Beta(beta::Route::CreateEvent) => Asked::Event,
            Self::V1(Call { route, .. }) => match route {
                v1::Route::Look(_) => Asked::Read,
                v1::Route::Write(Write::Import) => Asked::Import,
                v1::Route::Write(Write::CreateEvent) => Asked::Event,
                v1::Route::Write(_) => Asked::Tag,
            },
        }
    }
}
