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
use crate::engine::{PLANNED_WITHIN, lay_again};
use crate::store::ResolveError;

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
    let due = [now, now.plus(PLANNED_WITHIN)];
    let (mut rows, mut runs) = store.retry_failed(args.run, args.code.as_deref(), due, args.dry_run).await?;
    if !args.dry_run {
        let left_out = store.end_suppressed(now).await?.ended;
        if left_out > 0 {
            out::talk(&format!("{} left out: their people are suppressed", count(left_out, "row")));
        }
        rows = rows.saturating_sub(left_out);
        lay_again(&store, &Clock::system(), config.batch.max_rows, &runs).await?;
    }
    for id in store.failed_events(args.run, args.code.as_deref()).await? {
        match store.retry_event(id, now, args.dry_run).await {
            Ok(resolved) => {
                rows += 1;
                runs.push(resolved.run_id);
            }
            Err(error @ ResolveError::Store(_)) => return Err(error.into()),
            // One that cannot come back holds up no other.
            Err(error) => out::talk(&explain_std(error)),
        }
    }
    for id in &runs {
        // Begun again, they prove as is configured now.
        if !args.dry_run
            && let Some(run) = store.run(*id).await?
        {
            store.set_verify(*id, verify(&config, &run.account)).await?;
        }
    }
    let mut waiting = 0;
    if let Some(id) = args.run {
        store.run(id).await?.with_context(|| {
            format!("there is no run `{id}`\nhint: `lumasync runs list` shows the last ones")
        })?;
    }
    if args.code.is_none() {
        for (id, unproved) in store.unproved_runs(args.run).await? {
            let Some(run) = store.run(id).await? else { continue };
            let verify = verify(&config, &run.account);
            if verify != Verify::None {
                waiting += unproved;
                runs.push(id);
                if !args.dry_run {
                    store.prove_again(id, verify).await?;
                }
            }
        }
        // Runs that stopped for a reason of their own go on.
        let stopped = store.stopped_runs(None).await?;
        for id in stopped.into_iter().filter(|id| args.run.is_none_or(|run| run == *id)) {
            waiting += store.rows_to_send(id).await?;
            runs.push(id);
            if !args.dry_run {
                store.start_run(id).await?;
            }
        }
    }
    runs.sort_unstable();
    runs.dedup();
    store.close().await;
    say(global, &config, (rows + waiting, &runs), args.dry_run)
}

/// How deliveries of an account are to be proved.
fn verify(config: &Config, account: &str) -> Verify {
    config.account(account).map_or(Verify::None, |account| account.luma.verify)
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
