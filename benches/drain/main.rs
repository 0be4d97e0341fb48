//! How fast a list that was taken in is sent and settled, held against its two halves: the same
//! requests without a database, and the same writes without requests.
//!
//! `cargo bench --bench drain [-- --rows N --rounds N --in-flight N]`. The built-in Luma, without a
//! limit, has a process of its own, and so has whatever is measured. Prints, and fails only where a
//! count is wrong.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod floors;
#[path = "../support/send.rs"]
mod send;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use clap::Parser as _;
use rusqlite::{Connection, OpenFlags};

use support::args::Common;
use support::child::{self, SandboxProcess};
use support::ours::{self, BATCH, count};
use support::table::{Line, ratio, table, thousands};
use support::{list, median, same, scratch};

#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Requests under way at once. Without it, the product's default and twice that.
    #[arg(long)]
    in_flight: Option<u32>,
}

/// What was measured with so many requests under way.
struct Lines {
    in_flight: u32,
    taken: Line,
    drained: Line,
    posts: Line,
    writes: Line,
    total: Line,
    /// Batches settled in one transaction.
    at_once: Vec<f64>,
}

fn main() -> anyhow::Result<()> {
    if let Some((role, args)) = child::role() {
        return play(&role, &args.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let Args { common, in_flight } = Args::parse();
    let dir = scratch()?;
    list::write(&dir.path().join("members.csv"), 0..common.rows)?;
    let rows = count(common.rows.into());
    println!("drain: {} rows, {BATCH} a request, rounds: {}", thousands(rows), common.rounds);

    // What the floors start from: a list taken in, nothing sent.
    let taken = child::run("take", &[&dir.path().join("taken.db"), &dir.path().join("members.csv")])?;
    same("pending", taken.get("pending")?, rows)?;

    let mut all: Vec<Lines> =
        in_flight.map_or_else(|| vec![4, 8], |one| vec![one]).into_iter().map(Lines::new).collect();
    for _ in 0..common.rounds {
        for lines in &mut all {
            round(dir.path(), lines, rows)?;
        }
    }
    for lines in &all {
        lines.print(rows);
    }
    Ok(())
}

fn play(role: &str, args: &[&str]) -> anyhow::Result<()> {
    match (role, args) {
        (role, []) if child::is_sandbox(role)? => Ok(()),
        ("take", [db, file]) => ours::take(db, file),
        ("send", [db, file, url, in_flight]) => send::send(db, file, url, in_flight),
        ("post", [db, url, in_flight]) => floors::post(db, url, in_flight),
        ("write", [db, at_once]) => floors::write(db, at_once),
        _ => anyhow::bail!("no such role: `{role}`"),
    }
}

/// Measures everything once, in a folder that holds the list and the database it was taken into.
fn round(dir: &Path, lines: &mut Lines, rows: f64) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir_in(dir)?;
    let (file, taken) = (dir.join("members.csv"), dir.join("taken.db"));
    let in_flight = lines.in_flight.to_string();

    let db = scratch.path().join("ours.db");
    let sandbox = SandboxProcess::start()?;
    let sent = child::run("send", &[&db, &file, &sandbox.url(), &in_flight])?;
    for name in ["delivered", "ledger"] {
        same(name, sent.get(name)?, rows)?;
    }
    check(&sandbox, rows, sent.get("requests")?)?;
    drop(sandbox);
    let peak = sent.get("peak")?;
    lines.taken.add(sent.get("taken")?, peak);
    lines.drained.add(sent.get("drained")?, peak);
    lines.total.add(sent.get("total")?, peak);
    let at_once = sent.get("requests")? / turns(&db)?;
    lines.at_once.push(at_once);

    let sandbox = SandboxProcess::start()?;
    let posted = child::run("post", &[&taken, &sandbox.url(), &in_flight])?;
    check(&sandbox, rows, posted.get("requests")?)?;
    lines.posts.add(posted.get("seconds")?, posted.get("peak")?);

    let copy = scratch.path().join("floor.db");
    std::fs::copy(&taken, &copy)?;
    let written = child::run("write", &[&copy, &format!("{at_once:.0}")])?;
    same("settled by the floor", written.get("rows")?, rows)?;
    lines.writes.add(written.get("seconds")?, written.get("peak")?);
    Ok(())
}

/// What the sandbox counted is what was sent: everybody once, in so many requests.
fn check(sandbox: &SandboxProcess, rows: f64, requests: f64) -> anyhow::Result<()> {
    for (name, wanted) in [
        ("member_count", rows),
        ("rows_received", rows),
        ("imports", requests),
        ("repeats", 0.0),
        ("dropped", 0.0),
    ] {
        same(&format!("`{name}` of the sandbox"), count(sandbox.count(name)?), wanted)?;
    }
    Ok(())
}

/// How many transactions settled something: what they settle bears the same moment.
fn turns(db: &Path) -> anyhow::Result<f64> {
    let db = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "select count(distinct finished_at) from attempts where batch_id is not null";
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}

impl Lines {
    fn new(in_flight: u32) -> Self {
        Self {
            in_flight,
            taken: Line::new("lumasync: file taken in"),
            drained: Line::new("lumasync: sent and settled"),
            total: Line::new("lumasync: file to last outcome"),
            posts: Line::new("floor a: bare requests"),
            writes: Line::new("floor b: bare writes"),
            at_once: Vec::new(),
        }
    }

    fn print(&self, rows: f64) {
        let Self { taken, drained, posts, writes, total, .. } = self;
        let at_once = median(self.at_once.iter().copied());
        println!("\n{} in flight, {at_once:.1} batches a transaction", self.in_flight);
        println!("{}", table(rows, [taken, drained, total, posts, writes]));
        let floors = posts.seconds().zip(writes.seconds()).map(|(posts, writes)| posts + writes);
        let ratios = drained.seconds().zip(floors).map(|(ours, floors)| ours / floors);
        println!("{}", ratio("sent and settled / (a + b)", median(ratios), "at most 1.50"));
        let speed = rows / median(total.seconds());
        println!("{:<42}{:>8}   wanted: at least 100,000", "file to last outcome, rows/s", thousands(speed));
        println!("{}", ratio("peak MiB", total.peak(), "less than 100"));
    }
}
