//! How fast a list is taken in, held against what the import of `sqlite3` takes for the same file.
//!
//! `cargo bench --bench ingest [-- --rows N --rounds N]`. The floor and the two intakes take turns,
//! each in a process of its own. Prints, and fails only where a count is wrong.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod floor;
#[path = "../support/send.rs"]
mod send;
#[path = "../support/mod.rs"]
mod support;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use clap::Parser as _;

use support::args::Common;
use support::child::{self, SandboxProcess};
use support::ours::{self, count};
use support::table::{Line, ratio, table, thousands};
use support::{list, median, same, scratch};

/// The lines of the table.
struct Lines {
    floor: Line,
    first: Line,
    again: Line,
}

fn main() -> anyhow::Result<()> {
    if let Some((role, args)) = child::role() {
        return play(&role, &args.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let args = Common::parse();
    let dir = scratch()?;
    let bytes = list::write(&dir.path().join("members.csv"), 0..args.rows)?;
    let (rows, mib) = (count(args.rows.into()), count(bytes) / f64::from(1 << 20));
    println!("ingest: {} rows, {mib:.0} MiB, rounds: {}\n", thousands(rows), args.rounds);
    let mut lines = Lines {
        floor: Line::new(floor::name()),
        first: Line::new("lumasync, first time"),
        again: Line::new("lumasync, again with one new row"),
    };
    for _ in 0..args.rounds {
        round(dir.path(), &mut lines, args.rows)?;
    }
    print(&lines, rows);
    Ok(())
}

fn play(role: &str, args: &[&str]) -> anyhow::Result<()> {
    match (role, args) {
        (role, []) if child::is_sandbox(role)? => Ok(()),
        ("insert", [db, file]) => floor::insert(db, file),
        ("take", [db, file]) => ours::take(db, file),
        ("send", [db, file, url, in_flight]) => send::send(db, file, url, in_flight),
        _ => anyhow::bail!("no such role: `{role}`"),
    }
}

/// Measures everything once, in a folder that holds the list.
fn round(dir: &Path, lines: &mut Lines, rows: u32) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir_in(dir)?;
    let (file, db) = (scratch.path().join("members.csv"), scratch.path().join("ours.db"));
    std::fs::copy(dir.join("members.csv"), &file)?;
    let rows = count(rows.into());

    let (seconds, peak) = floor::measure(&scratch.path().join("floor.db"), &file, rows)?;
    lines.floor.add(seconds, peak);

    let first = child::run("take", &[&db, &file])?;
    same("pending", first.get("pending")?, rows)?;
    lines.first.add(first.get("taken")?, first.get("peak")?);

    let sandbox = SandboxProcess::start()?;
    let sent = child::run("send", &[&db, &file, &sandbox.url(), &"4"])?;
    same("delivered", sent.get("delivered")?, rows)?;
    same("in the ledger", sent.get("ledger")?, rows)?;
    same("held by the sandbox", count(sandbox.count("member_count")?), rows)?;
    drop(sandbox);

    append_one(&file)?;
    let again = child::run("take", &[&db, &file])?;
    same("pending", again.get("pending")?, 1.0)?;
    same("unchanged", again.get("unchanged")?, rows)?;
    lines.again.add(again.get("taken")?, again.get("peak")?);
    Ok(())
}

/// One more member at the end.
fn append_one(path: &Path) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    writeln!(file, "zoe.newcomer@example.org,Zoe Newcomer,vip")?;
    Ok(())
}

fn print(lines: &Lines, rows: f64) {
    let Lines { floor, first, again } = lines;
    let by_round =
        |over: &Line, under: &Line| median(over.seconds().zip(under.seconds()).map(|(a, b)| a / b));
    println!("{}", table(rows, [floor, first, again]));
    println!("{}", ratio("speed of the first time / floor", by_round(floor, first), "at least 0.80"));
    println!("{}", ratio("first time / again", by_round(first, again), "at least 5.00"));
}
