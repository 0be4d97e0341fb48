//! Notices on their way out: their JSON, their signature, and the one client that posts them.
//!
//! The receiver's address holds a token, and neither it nor the key of the signature leaves this room but in a
//! request. Knows nothing of the database; what is told, to whom and how often is decided elsewhere.

mod client;
mod message;
mod sign;

pub use client::{Hook, HookError, Reply};
pub use message::{About, Message, RunFacts, SourceFacts};
pub use sign::{SIGNATURE_HEADER, signature};
