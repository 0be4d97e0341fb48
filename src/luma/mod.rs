//! Luma over HTTP: the only place that knows reqwest and Luma's JSON.
//!
//! Says what an answer means and nothing more: who asks, how often and what follows from it is
//! decided elsewhere. The key leaves this room in one header and nowhere else.

mod beta;
mod client;
mod event;
mod reply;
mod throttle;

pub use beta::IMPORT_ROUTE;
pub use beta::USER_ROUTE;
pub use client::{Client, ClientError, ClientOptions};
pub use event::{CREATE_ROUTE, EVENT_LOOK_UP, EventReply, event_body, start_of};
pub use reply::{Identity, Reply};
pub use throttle::Throttle;
