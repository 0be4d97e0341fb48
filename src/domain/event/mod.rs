//! An event as somebody wants it, and what may become of it: never two of it, never none unnoticed.
//!
//! Fields that fit together, or every reason why they do not; which fields there are is the dialect's.
//! Knows nothing of files, tables or requests.

mod beta;
mod decide;
mod doubt;
mod fields;
mod key;
mod parse;
mod place;
mod sighting;
mod slug;
mod start;
mod state;
mod v1;
mod verdict;
mod zoom;

pub use beta::BetaEvent;
pub use decide::{EventDecision, EventFacts, EventOutcome, decide_event};
pub use doubt::{
    Doubted, LOOK_UP, LookEnd, LookUp, OnUnknown, POLICY, Resolution, settle_by_look, settle_by_policy,
};
pub use fields::{Field, Fields, HIDDEN, hide, quotes_secret};
pub use key::{ClientKey, Twin};
pub use parse::{EventRules, Problem, Wanted, parse_event, said};
pub use place::{Coordinate, GeoAddress};
pub use sighting::{Likeness, LookedFor, OtherRows, PAUSE, Shown, Sighting};
pub use slug::Slug;
pub use start::is_zone;
pub use state::{EventState, Happening, Illegal, next};
pub use v1::{FeedbackEmail, V1Event, V1Fields};
pub use verdict::{Answer, ApiId, EventVerdict};
pub use zoom::Zoom;

use secrecy::SecretString;

use crate::clock::Time;

/// An event whose fields fit together, in the dialect it is to be created in. Only `parse_event` makes one.
#[derive(Clone, Debug)]
pub enum Event {
    /// For the beta of 2021.
    Beta(BetaEvent),
    /// For today's API.
    V1(V1Event),
}

impl Event {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Beta(event) => event.name(),
            Self::V1(event) => &event.fields().name,
        }
    }

    /// When it begins.
    #[must_use]
    pub const fn start_at(&self) -> Option<Time> {
        match self {
            Self::Beta(event) => event.start_at(),
            Self::V1(event) => Some(event.fields().start_at),
        }
    }

    /// What it says for the beta, if it is for that.
    #[must_use]
    pub const fn beta(&self) -> Option<&BetaEvent> {
        match self {
            Self::Beta(event) => Some(event),
            Self::V1(_) => None,
        }
    }

    /// Its picture.
    #[must_use]
    pub fn cover_url(&self) -> Option<&str> {
        match self {
            Self::Beta(event) => event.cover_url(),
            Self::V1(event) => event.fields().cover_url.as_deref(),
        }
    }
}

/// The body of the request that creates an event, as it was made when the row was read. A secret,
/// because it may hold the password of a meeting.
#[derive(Clone, Debug)]
pub struct EventBody(pub SecretString);

impl EventBody {
    /// A body of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }
}
