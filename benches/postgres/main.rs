//! How fast lumasync is on Postgres, held against what the same server does bare, in the same run.
//!
//! `cargo bench --bench postgres [-- --rows N --rounds N --only intake|turns|drain]`. It makes a server of its
//! own, which writes everything to disk before it answers, as a real one does. Floor and lumasync take turns,
//! each in a process of its own and on a server just started. Fails only where a count is wrong.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../../tests/it/support/cluster.rs"]
mod cluster;
#[path = "../support/send.rs"]
mod send;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod turns;

use std::path::Path;

use clap::Parser as _;

use server::Server;
use support::args::Common;
use support::child::{self, Found, SandboxProcess};
use support::ours::{self, BATCH, count};
use support::table::{Line, ratio, table, thousands};
use support::{list, median, same, scratch};

/// Processes that send at once, each with the product's default of requests under way.
const PROCESSES: [usize; 3] = [1, 2, 4];
const IN_FLIGHT: &str = "4";

/// The list taken in and nothing sent: what the rest starts from.
const TAKEN: &str = "taken";
const WORK: &str = "work";
const EMPTY: &str = "template0";

/// From the first request that was written down to the last outcome.
const DRAINED: &str = "select extract(epoch from max(finished_at) - min(started_at)) from attempts";

#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Measures one thing and leaves the others out.
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Intake,
    Turns,
    Drain,
}

/// The lines of the tables.
struct Lines {
    copy: Line,
    take: Line,
    bare: Line,
    turns: Line,
    drains: [Line; PROCESSES.len()],
}

fn main() -> anyhow::Result<()> {
    if let Some((role, args)) = child::role() {
        return play(&role, &args.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let Args { common, only } = Args::parse();
    let mut server = match Server::start() {
        Ok(server) => server,
        Err(why) => {
            println!("postgres: nothing is measured: {why}");
            return Ok(());
        }
    };
    let dir = scratch()?;
    let file = dir.path().join("members.csv");
    list::write(&file, 0..common.rows)?;
    let rows = count(common.rows.into());
    println!("postgres: {} rows, rounds: {}\n{}\n", thousands(rows), common.rounds, server.about()?);
    let is_asked = |part| only.is_none_or(|only| only == part);
    let mut lines = Lines::new();
    for _ in 0..common.rounds {
        intake(&mut server, &mut lines, &file, rows)?;
        if is_asked(Part::Turns) {
            turns(&mut server, &mut lines, rows)?;
        }
        if is_asked(Part::Drain) {
            for (processes, line) in PROCESSES.into_iter().zip(&mut lines.drains) {
                drain(&mut server, line, &file, processes, rows)?;
            }
        }
    }
    server.end()?;
    lines.print(rows, is_asked);
    Ok(())
}

fn play(role: &str, args: &[&str]) -> anyhow::Result<()> {
    match (role, args) {
        (role, []) if child::is_sandbox(role)? => Ok(()),
        ("take", [db, file]) => ours::take(db, file),
        ("send", [db, file, url, in_flight]) => send::send(db, file, url, in_flight),
        ("turns", [db]) => turns::store(db),
        ("bare", [db]) => turns::bare(db),
        _ => anyhow::bail!("no such role: `{role}`"),
    }
}

/// The list into a bare table, and into lumasync.
fn intake(server: &mut Server, lines: &mut Lines, file: &Path, rows: f64) -> anyhow::Result<()> {
    server.fresh(WORK, EMPTY)?;
    let (seconds, peak) = server.copy(WORK, file)?;
    same("held by the floor", server.number(WORK, "select count(*) from members")?, rows)?;
    lines.copy.add(seconds, peak);
    server.drop_database(WORK)?;

    let db = server.fresh(TAKEN, EMPTY)?;
    let taken = child::run("take", &[&db, &file])?;
    same("pending", taken.get("pending")?, rows)?;
    lines.take.add(taken.get("taken")?, taken.get("peak")?);
    Ok(())
}

/// The bare loop, and the turns of the store.
fn turns(server: &mut Server, lines: &mut Lines, rows: f64) -> anyhow::Result<()> {
    let db = server.fresh(WORK, TAKEN)?;
    server.ask(WORK, turns::JOBS)?;
    let bare = child::run("bare", &[&db])?;
    same("settled by the floor", bare.get("rows")?, rows)?;
    lines.bare.add(bare.get("seconds")?, bare.get("peak")?);

    let db = server.fresh(WORK, TAKEN)?;
    let ours = child::run("turns", &[&db])?;
    same("settled", ours.get("rows")?, rows)?;
    same("in the ledger", server.number(WORK, "select count(*) from ledger")?, rows)?;
    lines.turns.add(ours.get("seconds")?, ours.get("peak")?);
    Ok(())
}

/// The list sent by so many processes.
fn drain(
    server: &mut Server,
    line: &mut Line,
    file: &Path,
    processes: usize,
    rows: f64,
) -> anyhow::Result<()> {
    let db = server.fresh(WORK, TAKEN)?;
    let sandbox = SandboxProcess::start()?;
    let url = sandbox.url();
    let run = || child::run("send", &[&db, &file, &url, &IN_FLIGHT]);
    let sent: Vec<Found> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..processes).map(|_| scope.spawn(run)).collect();
        let joined = started.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|ended| ended.map_err(|_| anyhow::anyhow!("a thread panicked"))?).collect::<Result<_, _>>()
    })?;
    let mut peak = 0.0;
    for found in &sent {
        same("delivered", found.get("delivered")?, rows)?;
        same("in the ledger", found.get("ledger")?, rows)?;
        peak = f64::max(peak, found.get("peak")?);
    }
    for (name, wanted) in [("member_count", rows), ("rows_received", rows), ("repeats", 0.0)] {
        same(&format!("`{name}` of the sandbox"), count(sandbox.count(name)?), wanted)?;
    }
    line.add(server.number(WORK, DRAINED)?, peak);
    Ok(())
}

impl Lines {
    fn new() -> Self {
        Self {
            copy: Line::new("psql \\copy, unique index"),
            take: Line::new("lumasync: file taken in"),
            bare: Line::new(format!("bare update .. skip locked, {BATCH} rows")),
            turns: Line::new(format!("lumasync: claims and settles, {BATCH} rows")),
            drains: PROCESSES
                .map(|number| Line::new(format!("lumasync: sent and settled, processes: {number}"))),
        }
    }

    fn print(&self, rows: f64, is_asked: impl Fn(Part) -> bool) {
        let Self { copy, take, bare, turns, drains } = self;
        let speed =
            |ours: &Line, floor: &Line| median(floor.seconds().zip(ours.seconds()).map(|(a, b)| a / b));
        println!("{}", table(rows, [copy, take]));
        println!("{}\n", ratio("speed of the intake / \\copy", speed(take, copy), "at least 0.50"));
        if is_asked(Part::Turns) {
            println!("{}", table(rows, [bare, turns]));
            println!(
                "{}\n",
                ratio("speed of claims and settles / bare", speed(turns, bare), "at least 0.70")
            );
        }
        if is_asked(Part::Drain) {
            println!("{}", table(rows, drains));
        }
    }
}
