//! Values and rules: what an address, a tag set, an event, a state and a verdict are.
//!
//! Knows nothing of the database, the network, files or the runtime.

pub mod account;
pub mod batch;
pub mod code;
pub mod cron;
pub mod cursor;
pub mod dialect;
pub mod digest;
pub mod email;
pub mod event;
pub mod expect;
pub mod guard;
pub mod guest;
pub mod notice;
pub mod outcome;
pub mod person;
pub mod plan;
pub mod proof;
pub mod refusal;
pub mod retention;
pub mod retry;
pub mod schedule;
pub mod state;
pub mod suppression;
pub mod tag;
pub mod verdict;
pub mod waiting;
pub mod words;
