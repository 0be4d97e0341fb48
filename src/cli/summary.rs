//! A run in words and in JSON: counts that add up, errors by cause with their first lines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::exit::Exit;
use super::hold::Hold;
use super::person::told_by;
use super::words::{count, moment};
use super::workshop::REHEARSAL;
use crate::clock::Time;
use crate::domain::account::MAIN;
use crate::domain::proof::Verify;
use crate::domain::state::{Kind, RowState, RunStatus};
use crate::engine::first_duplicates;
use crate::store::{
    CauseGroup, EventFilter, EventRow, ReasonGroup, Run, RunReport, RunSource, Store, Unproved,
};

/// A run with everything that is said of it.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) report: RunReport,
    pub(super) causes: Vec<CauseGroup>,
    /// What could not be verified.
    pub(super) unproved: Unproved,
    /// The first duplicates and the lines they repeat.
    pub(super) twins: Vec<(u64, u64)>,
    /// The first events of a run of events.
    pub(super) events: Vec<EventRow>,
    /// How its file was read.
    pub(super) read_as: Option<String>,
    /// What it is or was held for.
    pub(super) hold: Hold,
    /// Why nothing of it is sent just now.
    pub(super) blocked: Option<String>,
    /// The built-in Luma took it.
    pub(super) is_rehearsal: bool,
    /// It was done before: nothing was sent by the command that shows it.
    pub(super) is_earlier: bool,
}

/// How many events are listed.
const EVENTS: u32 = 1_000;
/// How many duplicates are named.
const TWINS: usize = 5;

impl Summary {
    /// Reads a run from the database.
    pub(super) async fn read(store: &Store, run_id: i64, now: Time) -> anyhow::Result<Option<Self>> {
        let Some(run) = store.run(run_id).await? else { return Ok(None) };
        // What has ended is counted row by row: what the batches say may no longer be there.
        let has_ended = run.finished_at.is_some();
        let is_over = has_ended && !store.has_work(run_id).await?;
        let counts = if is_over { store.count_rows(&run).await? } else { store.run_counts(&run).await? };
        let requests = store.run_requests(run_id).await?;
        let causes = store.causes(run_id).await?;
        let unproved = store.unproved(run_id).await?;
        let twins = first_duplicates(store, run_id, TWINS).await?;
        let read_as = match store.file_of_run(run_id).await? {
            Some(file) => file.shape,
            None => store.pass_of_run(run_id).await?.and_then(|pass| pass.shape),
        };
        let account = store.account(&run.account).await?;
        let is_rehearsal = account.as_ref().and_then(|account| account.origin.as_deref()) == Some(REHEARSAL);
        let block = account.and_then(|account| account.block);
        let blocked = block
            .filter(|(until, _)| *until > now && run.finished_at.is_none() && counts.pending > 0)
            .map(|(until, why)| format!("blocked until {}: {why}", moment(until)));
        let events = events_of(store, &run).await?;
        let hold = Hold::read(store, &run).await?;
        let report = RunReport { run, counts, requests };
        Ok(Some(Self {
            report,
            causes,
            unproved,
            twins,
            events,
            read_as,
            hold,
            blocked,
            is_rehearsal,
            is_earlier: false,
        }))
    }

    /// How a command that made this run ends.
    pub(super) fn exit(&self) -> Exit {
        match self.report.run.status {
            RunStatus::Failed => Exit::Failed,
            RunStatus::Succeeded => Exit::Ok,
            _ if self.report.counts.unknown > 0 => Exit::Unknown,
            RunStatus::Partial | RunStatus::Canceled => Exit::Partial,
            RunStatus::Held => Exit::Held,
            RunStatus::Queued | RunStatus::Running => Exit::TryLater,
        }
    }

    /// For people; `command` is how the program is called.
    pub(super) fn text(&self, command: &str) -> String {
        let RunReport { run, counts, requests } = &self.report;
        let mut text = String::new();
        if self.is_earlier {
            let _ = writeln!(text, "nothing was sent now; this is what run {} did:", run.id);
        }
        let _ = write!(text, "run {}  {}  {}", run.id, run.label, run.status);
        if run.account != MAIN {
            let _ = write!(text, "\n  account {}", run.account);
        }
        self.hold.text(&mut text, thing(run.source));
        let reason = run.reason.as_ref().filter(|_| run.status != RunStatus::Held);
        for said in [reason, self.blocked.as_ref()].into_iter().flatten() {
            let _ = write!(text, "\n  {said}");
        }
        if let Some(read_as) = &self.read_as {
            let _ = write!(text, "\n  read as {read_as}");
        }
        let parts: Vec<String> = self
            .report
            .counts
            .outcomes()
            .into_iter()
            .filter(|(state, rows)| *rows > 0 || *state == self.aim())
            .map(|(state, rows)| format!("{rows} {state}"))
            .collect();
        let _ = write!(text, "\n  {} read = {}", count(counts.read, "row"), parts.join(" + "));
        let spent = run.finished_at.map(|end| end.since(run.created_at));
        let spent = spent.map(|spent| format!(" in {:.1} s", spent.as_secs_f64())).unwrap_or_default();
        let _ = write!(text, "\n  {}{spent}", count(*requests, "request"));
        if counts.unchanged > 0 && run.kind == Kind::Members {
            text.push_str(
                "\n  unchanged: delivered before with all these tags; a changed name alone sends nothing, for Luma keeps \
                 the first it is given",
            );
        }
        if !self.twins.is_empty() {
            let thing = thing(run.source);
            let again = |(line, twin): &(u64, u64)| format!("{thing} {line} is {thing} {twin} again");
            let twins: Vec<String> = self.twins.iter().map(again).collect();
            let more = if counts.duplicate > twins.len() as u64 { ", ..." } else { "" };
            let _ = write!(text, "\n  duplicates: {}{more}", twins.join(", "));
        }
        let (unfound, others): (Vec<&CauseGroup>, Vec<&CauseGroup>) =
            self.causes.iter().partition(|cause| is_about_the_audience(cause));
        for (causes, heading) in
            [(others, "not sent, by cause:"), (unfound, "sent, but not found, by cause:")]
        {
            if !causes.is_empty() {
                let _ = write!(text, "\n  {heading}");
            }
            for cause in causes {
                self.cause(&mut text, cause);
            }
        }
        for hint in self.hints(command) {
            let _ = write!(text, "\n  hint: {hint}");
        }
        text
    }

    fn cause(&self, text: &mut String, cause: &CauseGroup) {
        let source = self.report.run.source;
        let _ = write!(text, "\n    {:<20}{:>7}", cause.code, cause.rows);
        for reason in &cause.reasons {
            let _ = write!(text, "\n      {:>7}  {} ({})", reason.rows, reason.reason, lines(reason, source));
        }
        if cause.more_reasons > 0 {
            let more = count(cause.more_reasons, "more reason");
            let _ = write!(text, "\n      {:>7}  and {more}", cause.more_rows());
        }
    }

    fn hints(&self, command: &str) -> Vec<String> {
        let RunReport { run: Run { id, status, kind, source, account, .. }, counts, .. } = &self.report;
        let mut hints = Vec::new();
        if counts.unknown > 0 {
            let events = count(counts.unknown, "event");
            hints.push(format!("{events} may or may not exist: `{command} events list --state unknown`"));
        }
        if counts.bad() > 0 {
            let sandbox = if self.is_rehearsal { " --sandbox" } else { "" };
            let kind = if *kind == Kind::Events { " --kind events" } else { "" };
            let account = if account == MAIN { String::new() } else { format!(" --account {account}") };
            hints.push(match source {
                RunSource::Sql => format!(
                    "`{command} rejects {id}` lists them; mend them where they come from, and the next pass reads them again"
                ),
                RunSource::Queue | RunSource::Folder | RunSource::File => format!(
                    "`{command} rejects {id} > fix.csv`, mend it, then `{command} sync{sandbox}{account}{kind} fix.csv`"
                ),
            });
        }
        if counts.failed > 0 {
            hints.push(format!("`{command} retry --run {id}` brings the failed rows back"));
        }
        if counts.missing > 0 {
            hints.push(format!(
                "`{command} retry --run {id}` sends the missing rows once more: whoever has left the calendar may stay away"
            ));
        }
        if self.unproved.short > 0 {
            hints.push(format!(
                "set `verify = \"full\"` for the account, then `{command} retry --run {id}` finds out who is missing"
            ));
        }
        if self.unproved.rows > 0 {
            hints.push(format!("`{command} retry --run {id}` tries to verify once more"));
        }
        if *status == RunStatus::Failed && counts.pending > 0 {
            hints.push(format!(
                "{} still to send; once the cause is mended: `{command} retry --run {id}`, then `{command} sync`; or \
                 give them up: `{command} runs cancel {id}`",
                count(counts.pending, "row")
            ));
        }
        if *status == RunStatus::Held {
            hints.push(format!(
                "nothing of it is sent: `{command} runs approve {id}{}` lets exactly this run go, \
                 `{command} runs cancel {id}` gives it up",
                told_by()
            ));
        }
        if *status == RunStatus::Queued && (*source == RunSource::Queue || self.hold.approved.is_some()) {
            hints.push(format!(
                "the service sends it, or `{command} sync`; `{command} runs cancel {id}` gives it up"
            ));
        } else if *status == RunStatus::Queued && *source == RunSource::Sql {
            hints.push(format!("it is being taken in; `{command} runs cancel {id}` gives it up"));
        } else if *status == RunStatus::Queued {
            hints.push(format!(
                "the file was not taken in to its end: `{command} sync FILE` with the same bytes goes on, \
                 `{command} runs cancel {id}` gives it up"
            ));
        }
        hints
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let RunReport { run, counts, requests } = &self.report;
        let mut rows: serde_json::Map<String, Value> = self
            .report
            .counts
            .outcomes()
            .into_iter()
            .map(|(state, rows)| (state.to_owned(), json!(rows)))
            .collect();
        rows.insert("read".to_owned(), json!(counts.read));
        json!({
            "run": run.id,
            "account": run.account,
            "kind": run.kind.as_str(),
            "source": run.source.as_str(),
            "trigger": run.trigger.as_str(),
            "label": run.label,
            "status": run.status.as_str(),
            "reason": run.reason,
            "held_for": self.hold.concerns_json(),
            "new_members": run.new_members,
            "new_people": self.hold.people_json(),
            "approved": self.hold.approved_json(),
            "blocked": self.blocked,
            "read_as": self.read_as,
            "already_taken": self.is_earlier,
            "verify": run.verify.as_str(),
            "unverified": self.unproved.rows,
            "short_requests": self.unproved.short,
            "absent": self.unproved.absent,
            "created_at": run.created_at.to_string(),
            "finished_at": run.finished_at.map(|at| at.to_string()),
            "requests": requests,
            "rows": rows,
            "causes": self.causes.iter().map(|cause| json!({
                "state": cause.state,
                "code": cause.code,
                "rows": cause.rows,
                "reasons": cause.reasons.iter().map(|reason| json!({
                    "reason": reason.reason, "rows": reason.rows, "first_lines": reason.first_lines,
                })).collect::<Vec<_>>(),
                "more_reasons": cause.more_reasons,
                "more_rows": cause.more_rows(),
            })).collect::<Vec<_>>(),
            "events": self.events.iter().map(super::events::json_of).collect::<Vec<_>>(),
            "duplicates": self.twins.iter().map(|(line, twin)| json!({ "line": line, "same_as": twin })).collect::<Vec<_>>(),
        })
    }

    /// What all rows of a run are meant to be in the end.
    const fn aim(&self) -> &'static str {
        match self.report.run.kind {
            Kind::Members if matches!(self.report.run.verify, Verify::Full) => "verified",
            Kind::Members => "delivered",
            Kind::Events => "created",
        }
    }
}

async fn events_of(store: &Store, run: &Run) -> anyhow::Result<Vec<EventRow>> {
    let filter = EventFilter {
        state: None,
        run: Some(run.id),
        bad_only: false,
        account: Some(&run.account),
        after: 0,
        limit: EVENTS,
        newest_first: false,
    };
    Ok(match run.kind {
        Kind::Members => Vec::new(),
        Kind::Events => store.events(&filter).await?,
    })
}

/// Whether these rows were sent, and are not found, or not for sure.
fn is_about_the_audience(cause: &CauseGroup) -> bool {
    matches!(RowState::parse(&cause.state), Some(RowState::Missing | RowState::Delivered))
}

/// What the number of a row counts.
const fn thing(source: RunSource) -> &'static str {
    match source {
        RunSource::Queue | RunSource::Sql => "row",
        RunSource::Folder | RunSource::File => "line",
    }
}

/// Lines of a file, or numbers of rows where there is none.
fn lines(reason: &ReasonGroup, source: RunSource) -> String {
    let lines: Vec<String> = reason.first_lines.iter().map(ToString::to_string).collect();
    let more = if reason.rows > reason.first_lines.len() as u64 { ", ..." } else { "" };
    let thing = thing(source);
    let plural = if reason.rows == 1 { "" } else { "s" };
    format!("{thing}{plural} {}{more}", lines.join(", "))
}
