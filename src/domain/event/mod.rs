//! An event as somebody wants it, and what may become of it: never two of it, never none unnoticed.
//!
//! Twelve fields that fit together, or every reason why they do not. Knows nothing of files, tables
//! or requests.

mod decide;
mod doubt;
mod fields;
mod key;
mod parse;
mod start;
mod state;
mod verdict;
mod zoom;

pub use decide::{EventDecision, EventFacts, EventOutcome, decide_event};
pub use doubt::{LookUp, OnUnknown, POLICY, Resolution, settle_doubt};
pub use fields::{Field, Fields, HIDDEN, hide, quotes_secret};
pub use key::{ClientKey, Twin};
pub use parse::{EventRules, Problem, Wanted, parse_event, said};
pub use start::is_zone;
pub use state::{EventState, Happening, Illegal, next};
pub use verdict::{Answer, ApiId, EventVerdict};
pub use zoom::Zoom;

use secrecy::SecretString;

use crate::clock::Time;

/// An event whose fields fit together. Only `parse_event` makes one.
#[derive(Clone, Debug)]
pub struct Event {
    name: String,
    start_at: Option<Time>,
    cover_url: Option<String>,
    duration_minutes: Option<u32>,
    rsvp: Rsvp,
    zoom: Option<Zoom>,
    community_api_id: Option<String>,
}

/// Whether guests must register; approval without registration cannot be built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rsvp {
    required: Option<bool>,
    approval: Option<bool>,
}

impl Rsvp {
    fn new(required: Option<bool>, approval: Option<bool>) -> Option<Self> {
        (approval != Some(true) || required == Some(true)).then_some(Self { required, approval })
    }
}

impl Event {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it begins.
    #[must_use]
    pub const fn start_at(&self) -> Option<Time> {
        self.start_at
    }

    /// Its picture.
    #[must_use]
    pub fn cover_url(&self) -> Option<&str> {
        self.cover_url.as_deref()
    }

    /// How long it is.
    #[must_use]
    pub const fn duration_minutes(&self) -> Option<u32> {
        self.duration_minutes
    }

    /// Whether guests must register.
    #[must_use]
    pub const fn require_rsvp(&self) -> Option<bool> {
        self.rsvp.required
    }

    /// Whether the host must approve guests.
    #[must_use]
    pub const fn require_rsvp_approval(&self) -> Option<bool> {
        self.rsvp.approval
    }

    /// Where it meets on Zoom.
    #[must_use]
    pub const fn zoom(&self) -> Option<&Zoom> {
        self.zoom.as_ref()
    }

    /// The community it is linked to.
    #[must_use]
    pub fn community_api_id(&self) -> Option<&str> {
        self.community_api_id.as_deref()
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
