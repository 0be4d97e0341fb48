//! `lumasync status`: health at a glance.

use std::fmt::Write as _;

use serde_json::json;

use super::args::Global;
use super::context::{Need, load, open_store};
use super::exit::Exit;
use super::out;
use crate::clock::Clock;
use crate::engine::MAIN_ACCOUNT;

/// Runs that are shown.
const RUNS: u32 = 5;

/// The command.
pub(super) async fn run(global: &Global) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let store = open_store(&config).await?;
    let now = Clock::system().now();
    let depth = store.queue_depth(MAIN_ACCOUNT).await?;
    let account = store.account(MAIN_ACCOUNT).await?;
    let rate = config.luma.rate_limit;
    let allowed = rate.requests - rate.reserve;
    let left = store.quota_left(MAIN_ACCOUNT, allowed, rate.window, now).await?;
    let workers = store.workers().await?;
    let alive = workers.iter().filter(|worker| worker.lease_until > now).count();
    let runs = store.runs(RUNS).await?;
    let stopped = store.stopped_runs().await?;
    store.close().await;
    let block = account.as_ref().and_then(|account| account.block.clone()).filter(|(until, _)| *until > now);
    let members = account.map_or(0, |account| account.members);
    let oldest = depth.oldest.filter(|_| depth.new + depth.pending > 0).map(|at| now.since(at).as_secs());

    let text = || {
        let mut text = format!(
            "queue     {} new, {} pending, {} in flight{}\n",
            depth.new,
            depth.pending,
            depth.in_flight,
            oldest.map(|secs| format!("; the oldest waits {secs} s")).unwrap_or_default()
        );
        let _ = writeln!(text, "workers   {alive} alive");
        let _ = writeln!(text, "ledger    {members} members delivered");
        let _ = writeln!(text, "quota     {left} of {allowed} requests left in {:?}", rate.window);
        if let Some((until, why)) = &block {
            let _ = writeln!(text, "blocked   until {until}: {why}");
        }
        for run in &stopped {
            let _ = writeln!(text, "stopped   run {run} needs a person: `lumasync runs show {run}`");
        }
        for run in &runs {
            let _ = writeln!(
                text,
                "run {:<5} {:<10} {}  {}",
                run.id,
                run.status.as_str(),
                run.created_at,
                run.label
            );
        }
        text
    };
    let programs = || {
        json!({
            "queue": {
                "new": depth.new, "pending": depth.pending, "in_flight": depth.in_flight,
                "stopped": depth.stopped, "oldest_seconds": oldest,
            },
            "workers": alive,
            "members": members,
            "quota": { "left": left, "allowed": allowed, "window_seconds": rate.window.as_secs_f64() },
            "blocked_until": block.as_ref().map(|(until, _)| until.to_string()),
            "block_reason": block.as_ref().map(|(_, why)| why.clone()),
            "stopped_runs": stopped,
            "runs": runs.iter().map(|run| json!({
                "run": run.id, "status": run.status.as_str(), "label": run.label,
                "created_at": run.created_at.to_string(),
            })).collect::<Vec<_>>(),
        })
    };
    out::result(global.output, text, programs)?;
    Ok(Exit::Ok)
}
