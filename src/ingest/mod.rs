//! ingest
pub mod spill;
