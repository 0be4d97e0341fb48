//! `lumasync runs list|show|cancel`: what was done, and what is given up.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::json;

use super::args::Global;
use super::context::{Need, load};
use super::exit::Exit;
use super::out;
use super::place::{open_known, program};
use super::summary::Summary;
use super::words::{count, moment};
use crate::clock::Clock;
use crate::engine::cancel as give_up;
use crate::store::CanceledRun;

/// The last runs, newest first.
pub(super) async fn list(global: &Global, limit: u32) -> anyhow::Result<Exit> {
    let store = open_known(&load(global, Need::Database)?).await?;
    let mut summaries = Vec::new();
    for run in store.runs(limit).await? {
        let counts = store.run_counts(&run).await?;
        summaries.push((run, counts));
    }
    store.close().await;
    let text = || {
        let mut text = format!(
            "{:>6}  {:<10}  {:<10}  {:<23}  {:>9}  {:>9}  {:>6}  label\n",
            "run", "status", "account", "began", "read", "accepted", "bad"
        );
        for (run, counts) in &summaries {
            let began = moment(run.created_at);
            let (status, bad) = (run.status.as_str(), counts.bad());
            let _ = writeln!(
                text,
                "{:>6}  {status:<10}  {:<10}  {began:<23}  {:>9}  {:>9}  {bad:>6}  {}",
                run.id,
                run.account,
                counts.read,
                counts.delivered + counts.verified + counts.created,
                run.label
            );
        }
        text
    };
    let programs = || {
        let runs: Vec<_> = summaries
            .iter()
            .map(|(run, counts)| {
                json!({
                    "run": run.id,
                    "account": run.account,
                    "label": run.label,
                    "source": run.source.as_str(),
                    "status": run.status.as_str(),
                    "reason": run.reason,
                    "created_at": run.created_at.to_string(),
                    "finished_at": run.finished_at.map(|at| at.to_string()),
                    "read": counts.read,
                    "kind": run.kind.as_str(),
                    "delivered": counts.delivered,
                    "verified": counts.verified,
                    "missing": counts.missing,
                    "created": counts.created,
                    "unknown": counts.unknown,
                    "bad": counts.bad(),
                })
            })
            .collect();
        json!({ "runs": runs })
    };
    out::result(global.output, text, programs)?;
    Ok(Exit::Ok)
}

/// One run.
pub(super) async fn show(global: &Global, id: i64) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    let summary = Summary::read(&store, id, Clock::system().now()).await?;
    store.close().await;
    let summary = summary
        .with_context(|| format!("there is no run `{id}`\nhint: `lumasync runs list` shows the last ones"))?;
    out::result(global.output, || summary.text(&program(global, &config)), || summary.json())?;
    Ok(Exit::Ok)
}

/// Gives up what is left of one run.
pub(super) async fn cancel(global: &Global, id: i64) -> anyhow::Result<Exit> {
    let store = open_known(&load(global, Need::Database)?).await?;
    let run = store.run(id).await?;
    let run = run
        .with_context(|| format!("there is no run `{id}`\nhint: `lumasync runs list` shows the last ones"))?;
    let canceled = give_up(&store, id, "hand", &Clock::system()).await?;
    store.close().await;
    let CanceledRun { rows, in_flight } = canceled
        .with_context(|| format!("run `{id}` has ended ({}) and has no rows left to cancel", run.status))?;
    let text = || {
        let rows = count(rows, "row");
        let rest = if in_flight > 0 {
            format!("; {} in a request: what becomes of it decides", count(in_flight, "row"))
        } else {
            String::new()
        };
        format!("run {id} is canceled: {rows} will not be sent{rest}")
    };
    out::result(global.output, text, || json!({ "run": id, "canceled": rows, "in_flight": in_flight }))?;
    Ok(Exit::Ok)
}
