//! How quick the pages are with ten million rows in the database, while a run is sent at full speed, and what their
//! visitor costs that run.
//!
//! `cargo bench --bench pages [-- --rows N --rounds N --in-flight N --database PATH]`. A visitor looks at a page
//! about every 100 ms. Each round sends one run alone and one under their eyes, in turns. The built-in Luma, without a
//! limit, and lumasync have a process each. Prints, and fails only where a count is wrong.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod history;
mod service;
#[path = "../support/mod.rs"]
mod support;
mod visitor;

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use clap::Parser as _;

use service::Service;
use support::child::{self, SandboxProcess};
use support::ours::{self, BATCH, count};
use support::table::{Line, ratio, table, thousands};
use support::{list, median, same, scratch};
use visitor::{ALLOWED, Visitor};

#[derive(clap::Parser)]
struct Args {
    /// Rows in the database, those that are sent among them.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u32,
    /// How often everything is measured. Half of the rows are sent in all.
    #[arg(long, default_value_t = 12)]
    rounds: u32,
    /// Requests under way at once.
    #[arg(long, default_value_t = 4)]
    in_flight: u32,
    /// Makes the history here and leaves it, or takes the one that is here.
    #[arg(long)]
    database: Option<PathBuf>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    if let Some((role, args)) = child::role() {
        return play(&role, &args.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let Args { rows, rounds, in_flight, database, .. } = Args::parse();
    let dir = scratch()?;
    let db = database.unwrap_or_else(|| dir.path().join("pages.db"));
    let part = rows / 4 / rounds.max(1);
    if !db.exists() {
        history::write(&db, rows.saturating_sub(part * 2 * rounds))?;
    }
    let runs = (0..2 * rounds).map(|_| take(dir.path(), &db, part)).collect::<anyhow::Result<Vec<i64>>>()?;
    let (found, newest) = history::size(&db)?;
    println!(
        "pages: {} rows in {} runs, {} rows sent at a time, {BATCH} a request, rounds: {rounds}\n",
        thousands(count(found.into())),
        thousands(count(newest.unsigned_abs())),
        thousands(count(part.into()))
    );

    let sandbox = SandboxProcess::start()?;
    let mut service = Service::start(&db, &sandbox.url(), in_flight)?;
    let mut visitor = Visitor::new(service.address());
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for (round, pair) in runs.chunks(2).enumerate() {
        // Whoever goes second may find things warmer.
        for (turn, run) in pair.iter().enumerate() {
            if (round + turn) % 2 == 0 {
                watched.push(drain_watched(&mut service, &mut visitor, *run)?);
            } else {
                alone.push(service.drain(*run)?);
            }
        }
    }
    same("rows received", count(sandbox.count("rows_received")?), count((part * 2 * rounds).into()))?;
    let peak = service.end()?;

    let (pages, over) = visitor.table();
    println!("{pages}");
    let (mut one, mut other) = (Line::new("sent, nobody looks"), Line::new("sent, a page every 100 ms"));
    for (line, taken) in [(&mut one, &alone), (&mut other, &watched)] {
        for seconds in taken {
            line.add(*seconds, peak);
        }
    }
    println!("{}", table(count(part.into()), [&one, &other]));
    let pairs = watched.iter().zip(&alone);
    let ratios: Vec<f64> = pairs.map(|(watched, alone)| (1.0 - alone / watched) * 100.0).collect();
    let each: Vec<String> = ratios.iter().map(|lost| format!("{lost:.1}")).collect();
    let lost = (1.0 - median(alone) / median(watched)) * 100.0;
    println!("{}", ratio("speed lost to the visitor, %", lost, "less than 5"));
    println!("{:<42}{}", "the same, round by round", each.join(", "));
    println!("{}", ratio("pages ever over 200 ms", count(over as u64), "none"));
    println!("{}", ratio("peak MiB", peak, "less than 100"));
    if over > 0 {
        println!("\nOVER: {over} pages took longer than {ALLOWED:.0} ms at least once.");
    }
    Ok(())
}

fn play(role: &str, args: &[&str]) -> anyhow::Result<()> {
    match (role, args) {
        (role, []) if child::is_sandbox(role)? => Ok(()),
        ("take", [db, file]) => ours::take(db, file),
        (service::ROLE, [db, url, in_flight]) => service::serve(db, url, in_flight),
        _ => anyhow::bail!("no such role: `{role}`"),
    }
}

/// Sends a run while somebody looks around.
fn drain_watched(service: &mut Service, visitor: &mut Visitor, run: i64) -> anyhow::Result<f64> {
    let (go_on, stop) = mpsc::channel();
    std::thread::scope(|scope| {
        let looks = scope.spawn(move || visitor.look_around(run, &stop));
        let seconds = service.drain(run);
        drop(go_on);
        looks.join().map_err(|_| anyhow::anyhow!("the visitor broke down"))??;
        seconds
    })
}

/// Takes a list of people in whom no run before has; the run.
fn take(dir: &Path, db: &Path, rows: u32) -> anyhow::Result<i64> {
    let (known, newest) = history::size(db)?;
    let file = dir.join("members.csv");
    list::write(&file, known..known + rows)?;
    let taken = child::run("take", &[&db, &file])?;
    same("pending", taken.get("pending")?, count(rows.into()))?;
    Ok(newest + 1)
}
