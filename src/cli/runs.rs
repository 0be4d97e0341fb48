//! `lumasync runs list|show`: what was done.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::json;

use super::args::Global;
use super::context::{Need, load, open_store};
use super::exit::Exit;
use super::out;
use super::summary::Summary;

/// The last runs, newest first.
pub(super) async fn list(global: &Global, limit: u32) -> anyhow::Result<Exit> {
    let store = open_store(&load(global, Need::Database)?).await?;
    let mut summaries = Vec::new();
    for run in store.runs(limit).await? {
        let counts = store.run_counts(&run).await?;
        summaries.push((run, counts));
    }
    store.close().await;
    let text = || {
        let mut text = format!(
            "{:>6}  {:<10}  {:<20}  {:>9}  {:>9}  {:>6}  label\n",
            "run", "status", "began", "read", "delivered", "bad"
        );
        for (run, counts) in &summaries {
            let began: String = run.created_at.to_string().chars().take(19).collect();
            let (status, bad) = (run.status.as_str(), counts.bad());
            let _ = writeln!(
                text,
                "{:>6}  {status:<10}  {began:<20}  {:>9}  {:>9}  {bad:>6}  {}",
                run.id, counts.read, counts.delivered, run.label
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
                    "label": run.label,
                    "source": run.source.as_str(),
                    "status": run.status.as_str(),
                    "reason": run.reason,
                    "created_at": run.created_at.to_string(),
                    "finished_at": run.finished_at.map(|at| at.to_string()),
                    "read": counts.read,
                    "delivered": counts.delivered,
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
    let store = open_store(&load(global, Need::Database)?).await?;
    let summary = Summary::read(&store, id).await?;
    store.close().await;
    let summary = summary
        .with_context(|| format!("there is no run `{id}`\nhint: `lumasync runs list` shows the last ones"))?;
    out::result(global.output, || summary.text("lumasync"), || summary.json())?;
    Ok(Exit::Ok)
}
