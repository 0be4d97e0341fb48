//! Events in the database: taken in, claimed, settled, in doubt and out of it.
//!
//! What may follow on what is decided in `domain::event`; here it is the guard in each WHERE.

mod claims;
mod doubt;
mod intake;
mod looks;
mod new;
mod pages;
mod redate;
mod reports;
mod said;
mod settle;
mod v1;

pub use claims::{ClaimedEvent, EventClaim, EventClaims};
pub use doubt::{Doubt, ResolveError, Resolved};
pub use intake::{EventInput, EventIntake, EventOrigin, EventPart};
pub use looks::{DueLook, EventLook, LooksLeft};
pub use new::NewEvent;
pub use reports::{
    EventAttempt, EventDepth, EventFilter, EventRecord, EventResolution, EventRow, EventStory,
};
pub use settle::EventSettlement;
pub use v1::V1Columns;

pub(super) use doubt::abandon_events;
pub(super) use redate::redate_events;
