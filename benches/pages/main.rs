//! How quick the pages are with ten million rows in the database, while a run is sent at full speed, and what their
//! visitor costs that run.
//!
//! `cargo bench --bench pages [-- --rows N --rounds N --in-flight N --database PATH]`. A visitor looks at a page
//! about every 100 ms, half of the time. The built-in Luma, without a limit, and lumasync have a process each.
//! Prints, and fails only where a count is wrong.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod history;
mod service;
#[path = "../support/mod.rs"]
mod support;
mod turns;
mod visitor;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use clap::Parser as _;

use service::Service;
use support::child::{self, SandboxProcess};
use support::ours::{self, BATCH, count};
use support::table::{Line, ratio, table, thousands};
use support::{list, median, same, scratch};
use turns::Pair;
use visitor::{ALLOWED, Visitor};

#[derive(clap::Parser)]
struct Args {
    /// Rows in the database, those that are sent among them.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u32,
    /// Runs that are sent. They have half of the rows.
    #[arg(long, default_value_t = 4)]
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
    let part = rows / 2 / rounds.max(1);
    if !db.exists() {
        history::write(&db, rows.saturating_sub(part * rounds))?;
    }
    let runs = (0..rounds).map(|_| take(dir.path(), &db, part)).collect::<anyhow::Result<Vec<i64>>>()?;
    let (found, newest) = history::size(&db)?;
    println!(
        "pages: {} rows in {} runs, {} rows sent in each of {rounds}, {BATCH} a request\n",
        thousands(count(found.into())),
        thousands(count(newest.unsigned_abs())),
        thousands(count(part.into()))
    );

    let sandbox = SandboxProcess::start()?;
    let mut service = Service::start(&db, &sandbox.url(), in_flight)?;
    let mut visitor = Visitor::new(service.address())?;
    let mut sent = Line::new("sent, somebody looks half of the time");
    let (mut pairs, mut seconds) = (Vec::new(), Vec::new());
    for run in runs {
        let (taken, found) = drain(&mut service, &mut visitor, &sandbox, run)?;
        seconds.push(taken);
        pairs.extend(found);
    }
    same("rows received", count(sandbox.count("rows_received")?), count((part * rounds).into()))?;
    let peak = service.end()?;
    for seconds in seconds {
        sent.add(seconds, peak);
    }

    let (pages, over) = visitor.table();
    println!("{pages}");
    println!("{}", table(count(part.into()), [&sent]));
    print_lost(&pairs);
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

/// Sends a run while somebody looks and looks away by turns: its seconds, and its speeds.
fn drain(
    service: &mut Service,
    visitor: &mut Visitor,
    sandbox: &SandboxProcess,
    run: i64,
) -> anyhow::Result<(f64, Vec<Pair>)> {
    let is_looking = &AtomicBool::new(false);
    let ((go_on, stop), (go_on_too, stop_too)) = (mpsc::channel(), mpsc::channel());
    std::thread::scope(|scope| {
        let looks = scope.spawn(move || visitor.look_around(run, is_looking, &stop));
        let turns = scope.spawn(move || turns::alternate(sandbox, is_looking, &stop_too));
        let seconds = service.drain(run);
        drop((go_on, go_on_too));
        looks.join().map_err(|_| anyhow::anyhow!("the visitor broke down"))??;
        let pairs = turns.join().map_err(|_| anyhow::anyhow!("the meter broke down"))??;
        Ok((seconds?, pairs))
    })
}

fn print_lost(pairs: &[Pair]) {
    let (lost, least, most) = turns::lost(pairs);
    let speed = |of: fn(&Pair) -> f64| thousands(median(pairs.iter().map(of)));
    println!(
        "rows/s by turns, in the middle: {} with eyes on it, {} without",
        speed(|pair| pair.watched),
        speed(|pair| pair.alone)
    );
    println!("{}", ratio("speed lost to the visitor, %", lost, "less than 5"));
    println!("{:<42}{least:.1} to {most:.1}, by {} pairs of turns", "between, 19 times in 20", pairs.len());
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
