//! lumasync from outside: the binary as people run it, and the house rules that its source keeps.
//!
//! One binary for all of it, so that linking is paid for once.
#![cfg(test)]

mod accounts;
mod architecture;
mod archive;
mod calls;
mod cancel;
mod captured;
mod cli;
mod deploy;
mod durability;
mod events;
mod events_doubt;
mod events_kill;
mod events_looks;
mod events_looks_kill;
mod events_rows;
mod events_store;
mod faults;
mod folder;
mod folder_told;
mod forget;
mod guards;
mod import;
mod many;
mod notify;
mod plan;
mod postgres;
mod privacy;
mod processes;
mod proof;
mod prune;
mod queue;
mod quota;
mod refusals;
mod sandbox_v1;
mod schedule_accounts;
mod schedule_service;
mod schedules;
mod sources;
mod store;
mod support;
mod suppress;
mod systemd;
mod timetables;
mod tls;
mod trace;
mod v1;
mod web;
mod words;
