//! `lumasync retry`: failed work back to pending.

use anyhow::Context as _;
use serde_json::json;

use super::args::{Global, RetryArgs};
use super::context::{Need, load};
use super::exit::Exit;
use super::out;
use super::place::{open_known, program};
use super::words::count;
use crate::clock::Clock;
use crate::domain::code::Code;

/// The command.
pub(super) async fn run(global: &Global, args: &RetryArgs) -> anyhow::Result<Exit> {
    if let Some(code) = &args.code
        && Code::parse(code).is_none()
    {
        let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        out::talk(&format!("error: `{code}` is no outcome code\nhint: known are {}", known.join(", ")));
        return Ok(Exit::Usage);
    }
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    let now = Clock::system().now();
    let (rows, mut runs) = store.retry_failed(args.run, args.code.as_deref(), now, args.dry_run).await?;
    let mut waiting = 0;
    if let Some(id) = args.run {
        let run = store.run(id).await?;
        let run = run.with_context(|| {
            format!("there is no run `{id}`\nhint: `lumasync runs list` shows the last ones")
        })?;
        // A run that stopped for a reason of its own goes on.
        if run.finished_at.is_some() && args.code.is_none() {
            waiting = store.rows_to_send(id).await?.saturating_sub(if args.dry_run { 0 } else { rows });
            if waiting > 0 && !runs.contains(&id) {
                runs.push(id);
            }
        }
    }
    if !args.dry_run {
        for run in &runs {
            store.start_run(*run).await?;
        }
    }
    store.close().await;
    let total = rows + waiting;
    let text = || match (total, args.dry_run) {
        (0, _) => "nothing to retry".to_owned(),
        (_, true) => format!("{}: pending again without `--dry-run`", named(total, &runs)),
        (_, false) => format!(
            "{}: pending again; the service sends them, or `{} sync`",
            named(total, &runs),
            program(global, &config)
        ),
    };
    out::result(global.output, text, || json!({ "rows": total, "runs": runs, "dry_run": args.dry_run }))?;
    Ok(Exit::Ok)
}

fn named(rows: u64, runs: &[i64]) -> String {
    let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
    format!("{} of {} {}", count(rows, "row"), if runs.len() == 1 { "run" } else { "runs" }, runs.join(", "))
}
