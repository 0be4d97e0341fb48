//! One person's story in words and in JSON.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::words::{count, moment};
use crate::domain::account::MAIN;
use crate::engine::{FoundFile, printable};
use crate::ingest::Hit;
use crate::store::{Happening, Moment, PersonRow, Story};

/// All that is told.
pub(super) struct Traced {
    pub(super) email: String,
    pub(super) story: Story,
    pub(super) files: Vec<TracedFile>,
    pub(super) searched: u64,
    pub(super) unread: Vec<(PathBuf, String)>,
}

/// A file, and what is remembered of lines that have no row.
pub(super) struct TracedFile {
    pub(super) found: FoundFile,
    pub(super) unkept: Vec<(u64, Option<u64>)>,
}

impl TracedFile {
    /// What became of a line, where a result file or the database remembers it.
    fn outcome(&self, hit: &Hit) -> Option<String> {
        if let Some(told) = &hit.told {
            let reason = if told.reason.is_empty() { String::new() } else { format!(": {}", told.reason) };
            return Some(format!("line {} of the original, {}{reason}", told.row, told.code));
        }
        let (_, twin) = self.unkept.iter().find(|(line, _)| *line == hit.line)?;
        Some(match twin {
            None => "unchanged".to_owned(),
            Some(twin) => format!("duplicate: the same person as line {twin}"),
        })
    }
}

impl Traced {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = self.email.clone();
        let Story { moments, rows, confirmed } = &self.story;
        for confirmed in confirmed {
            let tags = if confirmed.tags.is_empty() { "without tags" } else { &confirmed.tags };
            let _ = write!(
                text,
                "\n  confirmed by Luma in account `{}`: {tags}, last by run {}",
                confirmed.account, confirmed.run_id
            );
        }
        if rows.is_empty() && self.files.is_empty() {
            text.push_str("\n  no row and no file names this person");
        }
        for moment_of in moments {
            let at = moment_of.at.map_or_else(|| "at an unknown time".to_owned(), moment);
            let _ = write!(text, "\n  {at:<23}  {}", self.happened(moment_of));
        }
        for row in rows {
            if let Some(waits) = waits(row) {
                let _ = write!(text, "\n  {:<23}  row {} {waits}", "now", row.id);
            }
        }
        if !self.files.is_empty() {
            text.push_str("\nin files:");
        }
        for file in &self.files {
            let path = printable(&file.found.path.display().to_string());
            let waits = if file.found.is_put_away { "" } else { " (not put away)" };
            for hit in &file.found.hits {
                let outcome = file.outcome(hit).map(|outcome| format!(": {outcome}")).unwrap_or_default();
                let named = if hit.is_own { "" } else { ", named there" };
                let _ = write!(text, "\n  {path}{waits} line {}{named}{outcome}", hit.line);
            }
        }
        let _ = write!(text, "\n{} searched", count(self.searched, "file"));
        for (path, why) in &self.unread {
            let _ = write!(text, "\n  not searched: `{}`: {why}", printable(&path.display().to_string()));
        }
        text
    }

    fn row(&self, id: i64) -> Option<&PersonRow> {
        self.story.rows.iter().find(|row| row.id == id)
    }

    fn happened(&self, moment: &Moment) -> String {
        match &moment.what {
            Happening::Came { row } => self.row(*row).map_or_else(String::new, came),
            Happening::Asked { request, row, route, rows } => match rows.saturating_sub(1) {
                0 => format!("request {request} left with row {row}: {route}"),
                others => {
                    format!("request {request} left with row {row} and {}: {route}", count(others, "other"))
                }
            },
            Happening::Answered { request, status, verdict, detail } => {
                let status = status.map(|status| format!(" with {status}")).unwrap_or_default();
                let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                format!("request {request} ended{status}, {verdict}{detail}")
            }
            Happening::Ended { row } => self.row(*row).map_or_else(String::new, ended),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Story { moments, rows, confirmed } = &self.story;
        let confirmed = confirmed
            .iter()
            .map(|known| json!({ "account": known.account, "tags": known.tags, "run": known.run_id }));
        let moments = moments.iter().map(|moment| {
            let mut told = json_of(&moment.what);
            told["at"] = json!(moment.at.map(|at| at.to_string()));
            told["text"] = json!(self.happened(moment));
            told
        });
        let files = self.files.iter().map(|file| {
            let lines =
                file.found.hits.iter().map(
                    |hit| json!({ "line": hit.line, "is_own": hit.is_own, "outcome": file.outcome(hit) }),
                );
            json!({
                "path": file.found.path,
                "is_put_away": file.found.is_put_away,
                "lines": lines.collect::<Vec<_>>(),
            })
        });
        let unread = self.unread.iter().map(|(path, why)| json!({ "path": path, "reason": why }));
        json!({
            "email": self.email,
            "confirmed": confirmed.collect::<Vec<_>>(),
            "rows": rows.iter().map(json_of_row).collect::<Vec<_>>(),
            "events": moments.collect::<Vec<_>>(),
            "files": files.collect::<Vec<_>>(),
            "files_searched": self.searched,
            "files_not_searched": unread.collect::<Vec<_>>(),
        })
    }
}

fn came(row: &PersonRow) -> String {
    let account = if row.account == MAIN { String::new() } else { format!(" for account `{}`", row.account) };
    let tags = row.tags.as_deref().filter(|tags| !tags.is_empty());
    let tags = tags.map(|tags| format!(", tags {tags}")).unwrap_or_default();
    let name = row.name.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    let place = match (row.run_id, &row.label, row.line) {
        (Some(run), Some(label), Some(line)) => format!("in run {run}, {}, line {line}", printable(label)),
        (Some(run), Some(label), None) => format!("in run {run}, {}", printable(label)),
        _ => "in the queue".to_owned(),
    };
    format!("row {} came {place}{account}: {}{name}{tags}", row.id, printable(&row.email))
}

fn ended(row: &PersonRow) -> String {
    let code = row.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("row {} is {}{code}{reason}", row.id, row.state)
}

/// What a row waits for, if it does.
fn waits(row: &PersonRow) -> Option<&'static str> {
    match row.state.as_str() {
        _ if row.is_in_flight => Some("is in a request"),
        _ if row.is_sought => Some("is looked for in the audience"),
        "new" => Some("is not read yet"),
        "pending" => Some("waits for a request"),
        "held" => Some("waits for approval"),
        _ => None,
    }
}

fn json_of_row(row: &PersonRow) -> Value {
    json!({
        "row": row.id, "account": row.account, "email": row.email, "name": row.name, "tags": row.tags,
        "state": if row.is_in_flight { "in_flight" } else { &row.state },
        "code": row.code, "reason": row.reason, "run": row.run_id, "label": row.label,
        "source": row.source, "line": row.line, "is_sought": row.is_sought,
        "created_at": row.created_at.map(|at| at.to_string()),
        "settled_at": row.settled_at.map(|at| at.to_string()),
    })
}

fn json_of(what: &Happening) -> Value {
    match what {
        Happening::Came { row } => json!({ "event": "came", "row": row }),
        Happening::Asked { request, row, route, rows } => {
            json!({ "event": "asked", "request": request, "row": row, "route": route, "rows": rows })
        }
        Happening::Answered { request, status, verdict, detail } => json!({
            "event": "answered", "request": request, "status": status, "verdict": verdict, "detail": detail,
        }),
        Happening::Ended { row } => json!({ "event": "ended", "row": row }),
    }
}
