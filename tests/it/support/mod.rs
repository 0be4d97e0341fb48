//! What the tests share: a folder of their own, the binary, a local Luma, and a look into the database.
//!
//! Knows how lumasync is started and what it leaves behind, and nothing of how it works.

mod bench;
mod binary;
mod cluster;
mod config;
mod db;
mod engine;
mod foreign;
mod luma;
mod outside;
mod people;
mod postgres;
mod receiver;
mod relay;
mod scratch;
mod tests;
mod tls;
mod wait;

pub(crate) use bench::{Bench, PATIENCE, faulty};
pub(crate) use binary::{Binary, Ended, Running};
pub(crate) use cluster::{Cluster, url_in};
pub(crate) use config::{config_text, dialect, import_route};
pub(crate) use db::Db;
pub(crate) use engine::{Told, fleet, settings};
pub(crate) use foreign::Foreign;
pub(crate) use luma::{KEY, Luma};
pub(crate) use outside::Outside;
pub(crate) use people::{Members, People};
pub(crate) use postgres::{TestDatabase, own_cluster};
pub(crate) use receiver::{Mood, Post, Receiver, SIGN_KEY, TOKEN};
pub(crate) use relay::Relay;
pub(crate) use scratch::Scratch;
pub(crate) use tls::TlsFront;
pub(crate) use wait::{wait_until, within};
