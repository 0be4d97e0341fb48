//! `lumasync rejects RUN`: a run's bad rows, as a file that can be mended and dropped back in.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;
use tokio::sync::mpsc;

use super::args::{Global, RejectsArgs, RejectsFormat};
use super::context::{Need, load, read_options};
use super::exit::Exit;
use super::place::open_known;
use super::{out, rejected_events};
use crate::domain::code::Code;
use crate::domain::state::Kind;
use crate::ingest::{MISSING, Outcome, ReadOptions, identity, neutralise, write_results};
use crate::store::{BadRow, EventFilter, InputFile, RunSource, Store, StoreError};

/// Said where every row is well.
pub(super) const NOTHING: &str =
    "every row of this run was sent or had nothing to send: there is nothing to mend";

/// Rows read from the database at a time.
const PAGE: u32 = 2_000;

/// The command.
pub(super) async fn run(global: &Global, args: &RejectsArgs) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    let known = store.run(args.run).await?;
    let run = known.with_context(|| {
        format!("there is no run `{}`\nhint: `lumasync runs list` shows the last ones", args.run)
    })?;
    let file = store.file_of_run(args.run).await?;
    let source = file.as_ref().and_then(source);
    if file.is_some() && source.is_none() && matches!(args.format, RejectsFormat::Csv) {
        out::talk("the file is gone or was changed; the rows have the columns that are on record");
    }
    if run.kind == Kind::Events && (source.is_none() || matches!(args.format, RejectsFormat::Jsonl)) {
        let written = rejected_events::write(&store, &run, args.format).await;
        store.close().await;
        return written.map(|()| Exit::Ok);
    }
    let (to, rows) = mpsc::channel(PAGE as usize);
    let sender = {
        let (store, kind, run) = (store.clone(), run.kind, args.run);
        tokio::spawn(async move {
            match kind {
                Kind::Members => send_bad_rows(&store, run, to).await,
                Kind::Events => send_bad_events(&store, run, to).await,
            }
        })
    };
    let account = run.account.clone();
    let (format, options) = (args.format, ReadOptions { kind: run.kind, ..read_options(&config) });
    let is_sql = run.source == RunSource::Sql;
    let written =
        tokio::task::spawn_blocking(move || write(format, source, is_sql, &options, &account, rows)).await?;
    sender.await??;
    store.close().await;
    written?;
    Ok(Exit::Ok)
}

async fn send_bad_rows(store: &Store, run: i64, to: mpsc::Sender<BadRow>) -> Result<(), StoreError> {
    let mut after = (0, 0);
    loop {
        let page = store.bad_rows(run, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        // A run has rows with lines or rows of the queue, never both.
        after = (last.line.unwrap_or(0), last.id);
        for row in page {
            if to.send(row).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Bad events by their lines: what else is in their rows stands in the file.
async fn send_bad_events(store: &Store, run: i64, to: mpsc::Sender<BadRow>) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let filter = EventFilter {
            state: None,
            run: Some(run),
            bad_only: true,
            account: None,
            after,
            limit: PAGE,
            newest_first: false,
        };
        let page = store.events(&filter).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for event in page {
            let row = BadRow {
                id: event.id,
                line: event.line,
                email: String::new(),
                name: Some(event.name),
                tags: None,
                state: event.state,
                code: event.code.unwrap_or_default(),
                reason: event.reason.unwrap_or_default(),
            };
            if to.send(row).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn write(
    format: RejectsFormat,
    source: Option<PathBuf>,
    is_sql: bool,
    options: &ReadOptions,
    account: &str,
    mut rows: mpsc::Receiver<BadRow>,
) -> anyhow::Result<()> {
    let mut rows = std::iter::from_fn(|| rows.blocking_recv()).peekable();
    if rows.peek().is_none() {
        out::talk(NOTHING);
        return Ok(());
    }
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    match (format, source) {
        (RejectsFormat::Jsonl, _) => {
            for row in rows {
                let line = json!({
                    "line": row.line, "id": row.id, "email": row.email, "name": row.name, "tags": row.tags,
                    "state": row.state, "code": row.code, "reason": row.reason, "account": account,
                });
                writeln!(stdout, "{line}")?;
            }
        }
        (RejectsFormat::Csv, Some(path)) => {
            let outcomes = rows.map(|row| {
                let outcome =
                    Outcome { good: false, code: Cow::Owned(row.code), reason: row.reason, api_id: None };
                (row.line.unwrap_or_default().unsigned_abs(), outcome)
            });
            write_results(&path, options, outcomes, None, Some(&mut stdout))?;
        }
        (RejectsFormat::Csv, None) => {
            if is_sql {
                out::talk("rows that are mended where they come from are read again by the next pass");
            }
            let mut csv = csv::Writer::from_writer(&mut stdout);
            csv.write_record(["email", "name", "tags", "_row", "_code", "_reason"])?;
            for row in rows {
                let place = row.line.unwrap_or(row.id).to_string();
                // What stood in these cells was never told apart: it must not come back as empty.
                // Of a query's row that is no member only the address is on record.
                let is_lost = row.line.is_some()
                    && (is_sql && row.tags.is_none()
                        || Code::parse(&row.code).is_some_and(Code::is_about_the_whole_row));
                let or_missing = |cell: Option<String>| match cell {
                    None if is_lost => MISSING.to_owned(),
                    cell => cell.unwrap_or_default(),
                };
                let (name, tags) = (or_missing(row.name), or_missing(row.tags));
                csv.write_record(
                    [&row.email, &name, &tags, &place, &row.code, &row.reason]
                        .map(|cell| neutralise(cell).into_owned()),
                )?;
            }
            csv.flush()?;
        }
    }
    stdout.flush()?;
    Ok(())
}

/// The file the rows came from, if it still holds the same bytes.
fn source(file: &InputFile) -> Option<PathBuf> {
    let path = PathBuf::from(&file.path);
    identity(&path).is_ok_and(|found| found.sha256 == file.sha256).then_some(path)
}
