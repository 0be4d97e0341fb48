//! All that is on record about one person, in sentences and as JSON: the same words at the command line, on
//! pages and for programs.
//!
//! The database is read at once, files take as long as they are many. Knows nothing of how it is laid out.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::person::{FolderFinds, FoundFile, unkept_among};
use super::{EngineError, printable};
use crate::domain::account::MAIN;
use crate::domain::person::Person;
use crate::domain::suppression::EVERY_ACCOUNT;
use crate::domain::words::{count, moment};
use crate::ingest::{Hit, ReadOptions};
use crate::store::{Confirmed, Happening, Moment, PersonRow, Store, Story, SuppressionEntry};

/// What files say of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracedFiles {
    /// Those that name them.
    pub files: Vec<TracedFile>,
    /// How many were looked through.
    pub searched: u64,
    /// Those that could not be, and why.
    pub unread: Vec<(PathBuf, String)>,
}

/// A file that names somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedFile {
    /// Where it is, and on which lines.
    pub found: FoundFile,
    /// What is remembered of lines that have no row in the queue.
    unkept: Vec<(u64, Option<u64>)>,
}

impl TracedFiles {
    /// Looks through a drop folder, and files that were taken in by hand. Safe to drop: the look ends soon after.
    pub async fn search(
        store: &Store,
        root: Option<PathBuf>,
        options: ReadOptions,
        person: Person,
    ) -> Result<Self, EngineError> {
        let FolderFinds { found, searched, unread, .. } =
            FolderFinds::look_everywhere(store, root, options, person).await?;
        let mut files = Vec::with_capacity(found.len());
        for found in found {
            let unkept = unkept_among(store, &found.path, &found.hits).await?;
            files.push(TracedFile { found, unkept });
        }
        Ok(Self { files, searched, unread })
    }
}

impl TracedFile {
    /// The file and what becomes of it, as people read it.
    #[must_use]
    pub fn name(&self) -> String {
        let waits = if self.found.is_put_away { "" } else { " (not put away)" };
        format!("{}{waits}", printable(&self.found.path.display().to_string()))
    }

    /// What became of a line, where a result file or the database remembers it.
    #[must_use]
    pub fn outcome(&self, hit: &Hit) -> Option<String> {
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

/// What Luma has confirmed.
#[must_use]
pub fn confirmed(known: &Confirmed) -> String {
    let tags = if known.tags.is_empty() { "without tags" } else { &known.tags };
    format!("confirmed by Luma in account `{}`: {tags}, last by run {}", known.account, known.run_id)
}

/// Since when, why and by what nothing is sent to them.
#[must_use]
pub fn suppressed(entry: &SuppressionEntry) -> String {
    let account = match entry.account.as_str() {
        EVERY_ACCOUNT => "in every account".to_owned(),
        account => format!("in account `{account}`"),
    };
    let reason = entry.reason.as_deref().map(|why| format!(": {}", printable(why))).unwrap_or_default();
    format!("suppressed {account} since {}, {}{reason}", moment(entry.since), printable(&entry.origin))
}

/// What a moment of a story was.
#[must_use]
pub fn happened(story: &Story, moment: &Moment) -> String {
    match &moment.what {
        Happening::Came { row } => story.row(*row).map_or_else(String::new, came),
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
        Happening::Ended { row } => story.row(*row).map_or_else(String::new, ended),
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
#[must_use]
pub fn waits(row: &PersonRow) -> Option<&'static str> {
    match row.state.as_str() {
        _ if row.is_in_flight => Some("is in a request"),
        _ if row.is_sought => Some("is looked for in the audience"),
        _ if row.is_held => Some("waits for approval"),
        "new" => Some("is not read yet"),
        "pending" => Some("waits for a request"),
        _ => None,
    }
}

/// All of it for programs.
#[must_use]
pub fn trace_json(email: &str, story: &Story, files: &TracedFiles) -> Value {
    let Story { moments, rows, confirmed, suppressed } = story;
    let confirmed: Vec<Value> = confirmed
        .iter()
        .map(|known| json!({ "account": known.account, "tags": known.tags, "run": known.run_id }))
        .collect();
    let events = moments.iter().map(|moment| {
        let mut told = json_of(&moment.what);
        told["at"] = json!(moment.at.map(|at| at.to_string()));
        told["text"] = json!(happened(story, moment));
        told
    });
    let unread =
        files.unread.iter().map(|(path, why)| json!({ "path": path.display().to_string(), "reason": why }));
    json!({
        "email": email,
        "confirmed": confirmed,
        "suppressed": suppressed.iter().map(json_of_entry).collect::<Vec<_>>(),
        "rows": rows.iter().map(json_of_row).collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "files": files.files.iter().map(json_of_file).collect::<Vec<_>>(),
        "files_searched": files.searched,
        "files_not_searched": unread.collect::<Vec<_>>(),
    })
}

fn json_of_entry(entry: &SuppressionEntry) -> Value {
    json!({
        "account": (entry.account != EVERY_ACCOUNT).then_some(&entry.account),
        "since": entry.since.to_string(), "origin": entry.origin, "reason": entry.reason,
    })
}

fn json_of_file(file: &TracedFile) -> Value {
    let line = |hit: &Hit| json!({ "line": hit.line, "is_own": hit.is_own, "outcome": file.outcome(hit) });
    json!({
        "path": file.found.path.display().to_string(),
        "is_put_away": file.found.is_put_away,
        "lines": file.found.hits.iter().map(line).collect::<Vec<_>>(),
    })
}

fn json_of_row(row: &PersonRow) -> Value {
    json!({
        "row": row.id, "account": row.account, "email": row.email, "name": row.name, "tags": row.tags,
        "state": if row.is_in_flight { "in_flight" } else { &row.state },
        "code": row.code, "reason": row.reason, "run": row.run_id, "label": row.label,
        "source": row.source, "line": row.line, "is_sought": row.is_sought, "waits": waits(row),
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
