//! The pages, their JSON and the service's health: what is shown, and who may see and change it.
//!
//! Reads through `store`, acts through `engine`. Knows no SQL, no file of the configuration, and nothing of Luma.
//! What is sent to a browser works without a script and loads nothing from elsewhere.

mod access;
mod api;
mod assets;
mod cached;
mod chart;
mod download;
mod events;
mod fault;
mod folders;
mod guard;
mod guesses;
mod health;
mod history;
mod layout;
mod live;
mod mask;
mod metrics;
mod outlet;
mod overview;
mod parts;
mod people;
mod person_view;
mod prometheus;
mod removals;
mod routes;
mod run;
mod run_acts;
mod run_hold;
mod run_view;
mod runs;
mod schedules;
mod searches;
mod server;
mod session;
mod sign_in;
mod site;
mod snapshot;
mod standing;
mod token;
mod upload;
mod verdict;
mod visitor;

pub use server::{Server, WebError};
pub use site::Pages;
