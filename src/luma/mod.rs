//! Luma over HTTP: the only place that knows reqwest and Luma's JSON, in each of its dialects.
//!
//! Says what an answer means and nothing more: who asks, how often and what follows from it is
//! decided elsewhere. The key leaves this room in one header and nowhere else. Nobody outside it asks
//! which dialect is spoken.

mod audience;
mod beta;
mod client;
mod event;
mod look_up;
mod quota;
mod reply;
mod routes;
mod throttle;
mod v1;
mod wire;

pub use audience::{Applied, ContactPage, Listed, Tag, TagList};
pub use client::{Answered, Client, ClientError, ClientOptions, Contact};
pub use event::{EventReply, event_body, likeness_of, start_of};
pub use look_up::EventPage;
pub use quota::Quota;
pub use reply::{Identity, Reply};
pub use routes::Routes;
pub use throttle::Throttle;

#[cfg(test)]
mod tests;
