//! The floor: the same file in a table with a unique index on the address, and nothing else.
//!
//! The command line `sqlite3` does it where there is one; otherwise a loop in this program.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use rusqlite::Connection;

use crate::support::child::{peak_of_status, run, tell};
use crate::support::same;

const TABLE: &str = "create table members (email text, name text, tags text);
                     create unique index members_email on members (email);";

/// What the floor is on this machine.
pub(crate) fn name() -> &'static str {
    if has_sqlite3() {
        "sqlite3 .import, unique index"
    } else {
        "floor: own loop of INSERT (no sqlite3 here)"
    }
}

/// Seconds and peak MiB.
pub(crate) fn measure(db: &Path, file: &Path, rows: f64) -> anyhow::Result<(f64, f64)> {
    let measured = if has_sqlite3() {
        import(db, file)?
    } else {
        let found = run("insert", &[&db, &file])?;
        (found.get("seconds")?, found.get("peak")?)
    };
    let held: f64 = Connection::open(db)?.query_row("select count(*) from members", [], |row| row.get(0))?;
    same("held by the floor", held, rows)?;
    Ok(measured)
}

fn has_sqlite3() -> bool {
    Command::new("sqlite3")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn import(db: &Path, file: &Path) -> anyhow::Result<(f64, f64)> {
    let import = format!(".import --csv --skip 1 '{}' members", file.display());
    let started = Instant::now();
    let output = Command::new("sqlite3")
        .arg(db)
        .args([TABLE, &import, ".shell cat /proc/$PPID/status"])
        .stderr(Stdio::inherit())
        .output()?;
    let seconds = started.elapsed().as_secs_f64();
    anyhow::ensure!(output.status.success(), "sqlite3 ended with {}", output.status);
    let status = String::from_utf8_lossy(&output.stdout);
    let peak = peak_of_status(&status).map_or(Ok(f64::NAN), str::parse)? / 1024.0;
    Ok((seconds, peak))
}

/// The same in this program: one prepared statement a row, one transaction.
pub(crate) fn insert(db: &str, file: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut db = Connection::open(db)?;
    db.execute_batch(TABLE)?;
    let transaction = db.transaction()?;
    let mut insert = transaction.prepare("insert into members values (?, ?, ?)")?;
    let mut reader = csv::Reader::from_path(file)?;
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row)? {
        let cell = |place| row.get(place).context("a row is too short");
        insert.execute((cell(0)?, cell(1)?, cell(2)?))?;
    }
    drop(insert);
    transaction.commit()?;
    tell(&[("seconds", started.elapsed().as_secs_f64())])
}
