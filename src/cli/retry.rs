//! `lumasync retry`: failed work back to pending.

use anyhow::Context as _;
use serde_json::json;

use super::args::{Global, RetryArgs};
use super::context::{Need, load};
use super::exit::Exit;
use super::explain::explain_std;
use super::out;
use super::place::{open_known, program};
use super::words::count;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::code::Code;
use crate::domain::proof::Verify;
use crate::engine::{Again, bring_back};

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
    if let Some(id) = args.event {
        let resolved = store.retry_event(id, now, args.dry_run).await;
        store.close().await;
        let run = resolved?.run_id;
        return say(global, &config, (1, &[run]), args.dry_run);
    }
    if let Some(id) = args.run {
        store.run(id).await?.with_context(|| {
            format!("there is no run `{id}`\nhint: `lumasync runs list` shows the last ones")
        })?;
    }
    let again = Again {
        run: args.run,
        code: args.code.as_deref(),
        max_rows: config.batch.max_rows,
        dry_run: args.dry_run,
    };
    let verify = |account: &str| config.account(account).map_or(Verify::None, |account| account.luma.verify);
    let back = bring_back(&store, again, verify, &Clock::system()).await?;
    store.close().await;
    if back.left_out > 0 {
        out::talk(&format!("{} left out: their people are suppressed", count(back.left_out, "row")));
    }
    back.kept.into_iter().for_each(|error| out::talk(&explain_std(error)));
    say(global, &config, (back.rows, &back.runs), args.dry_run)
}

fn say(
    global: &Global,
    config: &Config,
    (total, runs): (u64, &[i64]),
    dry_run: bool,
) -> anyhow::Result<Exit> {
    let text = || match (total, dry_run) {
        (0, _) => "nothing to retry".to_owned(),
        (_, true) => format!("{}: pending again without `--dry-run`", named(total, runs)),
        (_, false) => format!(
            "{}: pending again; the service sends them, or `{} sync`",
            named(total, runs),
            program(global, config)
        ),
    };
    out::result(global.output, text, || json!({ "rows": total, "runs": runs, "dry_run": dry_run }))?;
    Ok(Exit::Ok)
}

fn named(rows: u64, runs: &[i64]) -> String {
    let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
    format!("{} of {} {}", count(rows, "row"), if runs.len() == 1 { "run" } else { "runs" }, runs.join(", "))
}
