//! `lumasync suppress add|remove|list|import`: who is never sent.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::json;
use tokio::sync::mpsc;

use super::args::Global;
use super::context::{Need, load, open_store, read_options};
use super::exit::Exit;
use super::out;
use super::place::open_known;
use super::suppress_args::{ScopeArgs, SuppressCommand, WhyArgs};
use super::words::{count, moment};
use super::workshop::chosen;
use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::domain::email::Address;
use crate::domain::suppression::{Digest, EVERY_ACCOUNT};
use crate::domain::tag::{TagBook, TagSet, TagSets};
use crate::engine::printable;
use crate::ingest::{FileError, ReadOptions, Row, RowError, read_members};
use crate::store::{Store, SuppressedRows, Suppression, SuppressionEntry};

/// Addresses entered in one transaction: a claim waits no longer than that.
const CHUNK: usize = 10_000;
/// Bad lines that are named.
const NAMED: usize = 20;

/// The command.
pub(super) async fn run(global: &Global, command: &SuppressCommand) -> anyhow::Result<Exit> {
    match command {
        SuppressCommand::Add { emails, why } => add(global, emails, why).await,
        SuppressCommand::Remove { emails, scope } => remove(global, emails, scope).await,
        SuppressCommand::List { limit, scope } => list(global, *limit, scope).await,
        SuppressCommand::Import { file, why } => import(global, file, why).await,
    }
}

async fn add(global: &Global, emails: &[String], why: &WhyArgs) -> anyhow::Result<Exit> {
    let Some(keys) = keys(emails) else { return Ok(Exit::Usage) };
    let config = load(global, Need::Database)?;
    if !is_known(&config, &why.scope) {
        return Ok(Exit::Usage);
    }
    let store = open_store(&config).await?;
    let why = suppression(why, "by hand", Clock::system().now());
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut entered = Entered { people: keys.len() as u64, ..Entered::default() };
    entered.new = store.suppress(&keys, &why).await?;
    entered.rows = store.end_suppressed(Clock::system().now()).await?;
    store.close().await;
    entered.say(global)
}

async fn remove(global: &Global, emails: &[String], scope: &ScopeArgs) -> anyhow::Result<Exit> {
    let Some(keys) = keys(emails) else { return Ok(Exit::Usage) };
    let config = load(global, Need::Database)?;
    if !is_known(&config, scope) {
        return Ok(Exit::Usage);
    }
    let store = open_known(&config).await?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let removed = store.unsuppress(&keys, scope.account.as_deref()).await?;
    store.close().await;
    let absent = keys.len() as u64 - removed;
    let text = || {
        let whose = scope.account.as_ref().map(|name| format!(" for `{name}` alone")).unwrap_or_default();
        let absent =
            if absent > 0 { format!("; {} not on it{whose}", was(absent, "address")) } else { String::new() };
        format!("{} off the list{absent}", was(removed, "address"))
    };
    out::result(global.output, text, || json!({ "removed": removed, "not_listed": absent }))?;
    Ok(if absent > 0 { Exit::Failed } else { Exit::Ok })
}

async fn list(global: &Global, limit: u32, scope: &ScopeArgs) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    if !is_known(&config, scope) {
        return Ok(Exit::Usage);
    }
    let store = open_known(&config).await?;
    let (entries, all) = store.suppressions(scope.account.as_deref(), limit).await?;
    store.close().await;
    let programs = || {
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| {
                json!({
                    "hash": short(entry),
                    "account": (entry.account != EVERY_ACCOUNT).then_some(&entry.account),
                    "since": entry.since.to_string(),
                    "origin": entry.origin,
                    "reason": entry.reason,
                })
            })
            .collect();
        json!({ "entries": all, "last": entries })
    };
    out::result(global.output, || table(&entries, all), programs)?;
    Ok(Exit::Ok)
}

fn table(entries: &[SuppressionEntry], all: u64) -> String {
    let mut text =
        format!("{} on the list\n", if all == 1 { "1 entry".to_owned() } else { format!("{all} entries") });
    if entries.is_empty() {
        return text;
    }
    let _ = writeln!(text, "{:<8}  {:<10}  {:<23}  {:<20}  reason", "hash", "account", "since", "from");
    for entry in entries {
        let account = if entry.account == EVERY_ACCOUNT { "every" } else { &entry.account };
        let (since, origin) = (moment(entry.since), printable(&entry.origin));
        let reason = entry.reason.as_deref().map(printable).unwrap_or_default();
        let _ = writeln!(text, "{:<8}  {account:<10}  {since:<23}  {origin:<20}  {reason}", short(entry));
    }
    text
}

fn short(entry: &SuppressionEntry) -> String {
    Digest::parse(&entry.digest).map(Digest::short).unwrap_or_default()
}

async fn import(global: &Global, file: &Path, why: &WhyArgs) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    if !is_known(&config, &why.scope) {
        return Ok(Exit::Usage);
    }
    let options = ReadOptions { only_addresses: true, ..read_options(&config) };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let origin = format!("file {name}");
    let why = suppression(why, &origin, Clock::system().now());
    let (to, chunks) = mpsc::channel(2);
    let path = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || read(&path, &options, &to));
    let (store, mut entered) = enter(&config, chunks, &why).await?;
    let bad = reading.await?;
    if let Some(store) = store {
        // Whatever was read is in force, also where the rest cannot be read.
        entered.rows = store.end_suppressed(Clock::system().now()).await?;
        store.close().await;
    }
    let bad = bad?;
    for error in &bad.first {
        out::talk(&format!("`{}`: {error}", printable(&file.display().to_string())));
    }
    if bad.all > bad.first.len() as u64 {
        out::talk(&format!("and {} more", count(bad.all - bad.first.len() as u64, "such line")));
    }
    entered.bad = bad.all;
    entered.say(global)
}

/// Enters people as they are read. The database is opened once there is somebody.
async fn enter(
    config: &Config,
    mut chunks: mpsc::Receiver<Vec<String>>,
    why: &Suppression<'_>,
) -> anyhow::Result<(Option<Store>, Entered)> {
    let (mut open, mut entered) = (None, Entered::default());
    while let Some(keys) = chunks.recv().await {
        let store = match open.take() {
            Some(store) => store,
            None => open_store(config).await?,
        };
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        entered.people += keys.len() as u64;
        entered.new += store.suppress(&keys, why).await?;
        open = Some(store);
    }
    Ok((open, entered))
}

/// Lines of a file that could not be used.
#[derive(Default)]
struct BadLines {
    first: Vec<RowError>,
    all: u64,
}

/// Reads the addresses of a file, some thousand at a time.
fn read(path: &Path, options: &ReadOptions, to: &mpsc::Sender<Vec<String>>) -> Result<BadLines, FileError> {
    let (mut keys, mut bad) = (Vec::new(), BadLines::default());
    let sink = |row: Row<'_>| {
        match row.read {
            Ok(member) => keys.push(member.address.key().to_owned()),
            Err(error) => {
                bad.all += 1;
                if bad.first.len() < NAMED {
                    bad.first.push(error);
                }
            }
        }
        let is_heard = keys.len() < CHUNK || to.blocking_send(std::mem::take(&mut keys)).is_ok();
        if is_heard { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    read_members(path, options, &TagBook::default(), &TagSet::default(), &mut TagSets::default(), sink)?;
    if !keys.is_empty() {
        // Nobody listens where the database is gone, which is told there.
        let _ = to.blocking_send(keys);
    }
    Ok(bad)
}

/// What came of entering people.
#[derive(Clone, Copy, Debug, Default)]
struct Entered {
    people: u64,
    new: u64,
    bad: u64,
    rows: SuppressedRows,
}

impl Entered {
    fn say(&self, global: &Global) -> anyhow::Result<Exit> {
        let Self { people, new, bad, rows: SuppressedRows { ended, in_flight } } = *self;
        let text = || {
            let known = people - new;
            let known = if known > 0 { format!(" ({known} on the list before)") } else { String::new() };
            let mut text = format!("{} suppressed{known}", was(people, "address"));
            if ended > 0 {
                let _ = write!(text, "; {} that waited will not be sent", count(ended, "row"));
            }
            if in_flight > 0 {
                let _ =
                    write!(text, "; {} in a request: what becomes of it decides", count(in_flight, "row"));
            }
            if bad > 0 {
                let _ = write!(
                    text,
                    "; {} that could not be used: nobody is suppressed by them",
                    count(bad, "line")
                );
            }
            text + "\nhint: Luma keeps whom it has: remove them there as well"
        };
        let programs = || json!({ "addresses": people, "new": new, "bad_lines": bad, "rows_ended": ended, "rows_in_flight": in_flight });
        out::result(global.output, text, programs)?;
        Ok(if bad > 0 { Exit::Partial } else { Exit::Ok })
    }
}

/// The keys of addresses that were typed; where one of them is none, that is told and nothing is done.
fn keys(emails: &[String]) -> Option<Vec<String>> {
    let mut keys = Vec::with_capacity(emails.len());
    for (email, place) in emails.iter().zip(1..) {
        match Address::parse(email) {
            Ok(address) => keys.push(address.key().to_owned()),
            Err(error) => out::talk(&format!("error: argument {place} is no address: {error}")),
        }
    }
    keys.sort_unstable();
    let all = keys.len() == emails.len();
    keys.dedup();
    all.then_some(keys)
}

/// Whether the account that is named is one; where it is not, that is told.
fn is_known(config: &Config, scope: &ScopeArgs) -> bool {
    scope.account.is_none() || chosen(config, scope.account.as_deref()).is_some()
}

fn suppression<'a>(why: &'a WhyArgs, origin: &'a str, now: Time) -> Suppression<'a> {
    let reason = why.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    Suppression { account: why.scope.account.as_deref(), reason, origin, now }
}

/// `1 address is`, `2 addresses are`.
fn was(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing} is") } else { format!("{number} {thing}es are") }
}
