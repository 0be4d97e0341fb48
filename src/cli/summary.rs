//! A run in words and in JSON: counts that add up, errors by cause with their first lines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::exit::Exit;
use crate::domain::state::RunStatus;
use crate::engine::Engine;
use crate::store::{CauseGroup, RunReport, Store};

/// A run with everything that is said of it.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) report: RunReport,
    pub(super) causes: Vec<CauseGroup>,
    /// The first duplicates and the lines they repeat.
    pub(super) twins: Vec<(u64, u64)>,
}

/// How many duplicates are named.
const TWINS: usize = 5;

impl Summary {
    /// Reads a run from the database.
    pub(super) async fn read(store: &Store, run_id: i64) -> anyhow::Result<Option<Self>> {
        let Some(run) = store.run(run_id).await? else { return Ok(None) };
        let counts = store.run_counts(&run).await?;
        let requests = store.run_requests(run_id).await?;
        let causes = store.causes(run_id).await?;
        let twins = Engine::first_duplicates(store, run_id, TWINS).await?;
        Ok(Some(Self { report: RunReport { run, counts, requests }, causes, twins }))
    }

    /// How a command that made this run ends.
    pub(super) fn exit(&self) -> Exit {
        match self.report.run.status {
            RunStatus::Succeeded | RunStatus::Canceled => Exit::Ok,
            RunStatus::Partial => Exit::Partial,
            RunStatus::Failed => Exit::Failed,
            RunStatus::Queued | RunStatus::Running | RunStatus::Held => Exit::TryLater,
        }
    }

    /// For people; `command` is how the program is called.
    pub(super) fn text(&self, command: &str) -> String {
        let RunReport { run, counts, requests } = &self.report;
        let mut text = format!("run {}  {}  {}", run.id, run.label, run.status);
        if let Some(reason) = &run.reason {
            let _ = write!(text, "\n  {reason}");
        }
        let parts: Vec<String> = self
            .states()
            .into_iter()
            .filter(|(state, rows)| *rows > 0 || *state == "delivered")
            .map(|(state, rows)| format!("{rows} {state}"))
            .collect();
        let _ = write!(text, "\n  {} rows read = {}", counts.read, parts.join(" + "));
        let spent = run.finished_at.map(|end| end.since(run.created_at));
        let spent = spent.map(|spent| format!(" in {:.1} s", spent.as_secs_f64())).unwrap_or_default();
        let _ = write!(text, "\n  {requests} requests{spent}");
        if !self.twins.is_empty() {
            let twins: Vec<String> =
                self.twins.iter().map(|(line, twin)| format!("line {line} is line {twin} again")).collect();
            let more = if counts.duplicate > twins.len() as u64 { ", ..." } else { "" };
            let _ = write!(text, "\n  duplicates: {}{more}", twins.join(", "));
        }
        if !self.causes.is_empty() {
            text.push_str("\n  not sent, by cause:");
            for cause in &self.causes {
                let _ = write!(text, "\n    {:<20}{:>7}  {}", cause.code, cause.rows, lines(cause));
                let _ = write!(text, "\n      {}", cause.sample);
            }
        }
        if counts.bad() > 0 {
            let _ = write!(text, "\n  hint: `{command} rejects {} > fix.csv`, mend it, and sync it", run.id);
        }
        if counts.failed > 0 {
            let _ = write!(text, "\n  hint: `{command} retry --run {}` brings the failed rows back", run.id);
        }
        if run.status == RunStatus::Failed && counts.pending > 0 {
            let _ = write!(
                text,
                "\n  hint: {} rows wait; once the cause is mended: `{command} retry --run {}`, then `{command} sync`",
                counts.pending, run.id
            );
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let RunReport { run, counts, requests } = &self.report;
        let mut rows: serde_json::Map<String, Value> =
            self.states().into_iter().map(|(state, rows)| (state.to_owned(), json!(rows))).collect();
        rows.insert("read".to_owned(), json!(counts.read));
        json!({
            "run": run.id,
            "account": run.account,
            "source": run.source.as_str(),
            "trigger": run.trigger.as_str(),
            "label": run.label,
            "status": run.status.as_str(),
            "reason": run.reason,
            "created_at": run.created_at.to_string(),
            "finished_at": run.finished_at.map(|at| at.to_string()),
            "requests": requests,
            "rows": rows,
            "causes": self.causes.iter().map(|cause| json!({
                "state": cause.state,
                "code": cause.code,
                "rows": cause.rows,
                "first_lines": cause.first_lines,
                "sample": cause.sample,
            })).collect::<Vec<_>>(),
            "duplicates": self.twins.iter().map(|(line, twin)| json!({ "line": line, "same_as": twin })).collect::<Vec<_>>(),
        })
    }

    /// Every outcome and its rows: their sum is what was read.
    fn states(&self) -> [(&'static str, u64); 11] {
        let counts = &self.report.counts;
        [
            ("delivered", counts.delivered),
            ("unchanged", counts.unchanged),
            ("duplicate", counts.duplicate),
            ("invalid", counts.invalid),
            ("rejected", counts.rejected),
            ("failed", counts.failed),
            ("pending", counts.pending),
            ("in_flight", counts.in_flight),
            ("suppressed", counts.suppressed),
            ("held", counts.held),
            ("canceled", counts.canceled),
        ]
    }
}

fn lines(cause: &CauseGroup) -> String {
    let lines: Vec<String> = cause.first_lines.iter().map(ToString::to_string).collect();
    let more = if cause.rows > cause.first_lines.len() as u64 { ", ..." } else { "" };
    format!("{} {}{more}", if cause.rows == 1 { "line" } else { "lines" }, lines.join(", "))
}
