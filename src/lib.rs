//! Keeps a Luma audience in step with somebody's own member lists.
//!
//! The binary in `main.rs` is thin; everything it does lives here, in rooms that know
//! only the rooms below them: `cli -> {web, sandbox} -> engine -> {store, luma, hook, ingest} -> domain`.

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod hook;
pub mod ingest;
pub mod luma;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod web;
