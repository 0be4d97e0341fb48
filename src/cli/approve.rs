//! `lumasync runs approve` and `sync --yes`: a person lets go what a guard holds.

use anyhow::Context as _;
use serde_json::json;

use super::args::Global;
use super::context::{Need, load};
use super::exit::Exit;
use super::out;
use super::person::{login, person};
use super::place::{open_known, program};
use super::words::{count, moment};
use super::workshop::Desk;
use crate::clock::Clock;
use crate::domain::state::RunStatus;
use crate::engine::EngineError;

/// The command.
pub(super) async fn run(global: &Global, id: i64, by: Option<&str>) -> anyhow::Result<Exit> {
    let Some(person) = person(by) else { return Ok(Exit::Usage) };
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    let is_ours = store.approve_runs(&[id], &person, Clock::system().now()).await?;
    let run = store.run(id).await?;
    let rows = store.rows_to_send(id).await?;
    store.close().await;
    let run = run
        .with_context(|| format!("there is no run `{id}`\nhint: `lumasync runs list` shows the last ones"))?;
    let Some((approved_by, approved_at)) = run.approved.filter(|_| run.status != RunStatus::Held) else {
        let status = run.status;
        anyhow::bail!("run `{id}` is not held ({status})\nhint: only a run that a guard holds is approved");
    };
    let text = || {
        if is_ours {
            let program = program(global, &config);
            format!(
                "run {id} is approved: {} to send; the service sends them, or `{program} sync`",
                count(rows, "row")
            )
        } else {
            format!("run {id} was approved by {approved_by} at {} already", moment(approved_at))
        }
    };
    let programs = || json!({ "run": id, "approved": is_ours, "rows": rows, "by": approved_by });
    out::result(global.output, text, programs)?;
    Ok(Exit::Ok)
}

/// Runs of the account that wait for a person now.
pub(super) async fn held(desk: &Desk<'_>) -> Result<Vec<i64>, EngineError> {
    let mut runs = desk.workshop.store.held_runs().await?;
    runs.retain(|run| run.account == desk.engine.account());
    Ok(runs.into_iter().map(|run| run.id).collect())
}

/// Approves those of these runs that are held, as the person did who typed `--yes`.
pub(super) async fn approve_all(desk: &Desk<'_>, runs: &[i64]) -> Result<(), EngineError> {
    let person = login().map_or_else(|| "--yes".to_owned(), |login| format!("{login} (--yes)"));
    for run in held(desk).await?.iter().filter(|run| runs.contains(run)) {
        if desk.workshop.store.approve_runs(&[*run], &person, desk.workshop.clock.now()).await? {
            out::talk(&format!("run {run} was held by a guard and is approved by `--yes`"));
        }
        desk.engine.release(*run).await?;
    }
    Ok(())
}
