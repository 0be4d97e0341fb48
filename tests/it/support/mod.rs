//! What the tests share: a folder of their own, the binary, a local Luma, and a look into the database.
//!
//! Knows how lumasync is started and what it leaves behind, and nothing of how it works.

mod binary;
mod config;
mod db;
mod luma;
mod scratch;
mod tests;
mod wait;

pub(crate) use binary::Binary;
pub(crate) use config::config_text;
pub(crate) use db::Db;
pub(crate) use luma::{KEY, Luma};
pub(crate) use scratch::Scratch;
pub(crate) use wait::{wait_until, within};
