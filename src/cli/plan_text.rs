//! A plan in words and in JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::{Before, Forecast, Outlook, Rest};
use super::words::{count, moment, span};
use crate::domain::state::Kind;
use crate::engine::{PlannedInput, PlannedRow, PlannedRows};
use crate::store::RunSource;

/// Tags that are named.
const TAGS: usize = 10;
/// So many more requests than rows alone would take are worth a warning.
const MANY: u64 = 2;

/// For people; `command` is how the program is called.
pub(super) fn text(forecast: &Forecast, max_rows: usize, command: &str) -> String {
    let mut text = String::new();
    for input in &forecast.inputs {
        input_text(&mut text, input, max_rows);
    }
    for Before { file, run, rest } in &forecast.before {
        let said = match rest {
            Rest::Nothing => ": they send nothing again",
            Rest::Some => ", which is not done: it goes on with what is left",
            Rest::Held => ", which is held",
        };
        let _ = writeln!(text, "{file}\n  these bytes were taken in by run {run}{said}");
    }
    for held in &forecast.held {
        let _ = writeln!(text, "run {} is held and is not sent: `{command} runs show {0}`", held.id);
    }
    for trouble in forecast.troubles.iter().chain(&forecast.notes) {
        let _ = writeln!(text, "warning: {trouble}");
    }
    for outlook in &forecast.accounts {
        let (rows, requests) = outlook.waiting;
        if rows > 0 {
            let (rows, requests) = (count(rows, "row"), count(requests, "request"));
            let _ = writeln!(text, "earlier runs have left {rows} to send, {requests}");
        }
        if let Some((until, why)) = &outlook.blocked {
            let _ = writeln!(text, "blocked until {}: {why}", moment(*until));
        }
        let own = requests_of(forecast, outlook);
        let name = if forecast.accounts.len() > 1 {
            format!("account {}: ", outlook.account)
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "{name}{}, {} at the limit ({} of {} left in {:?})",
            count(own, "request"),
            span(at_the_limit(own, outlook)),
            outlook.left,
            outlook.allowed,
            outlook.window
        );
    }
    text.push_str("nothing was sent");
    text
}

fn input_text(text: &mut String, input: &PlannedInput, max_rows: usize) {
    let _ = writeln!(text, "{}  ({}, account {})", input.label, input.source.as_str(), input.account);
    if !input.read_as.is_empty() {
        let _ = writeln!(text, "  read as {}", input.read_as);
    }
    let parts: Vec<String> = kinds(&input.rows)
        .into_iter()
        .filter(|(kind, rows)| *rows > 0 || *kind == "new")
        .map(|(kind, rows)| format!("{rows} {kind}"))
        .collect();
    let last = input.before.map(|before| format!("; {before} the last time")).unwrap_or_default();
    let _ = writeln!(text, "  {} read = {}{last}", count(input.rows.read, "row"), parts.join(" + "));
    let _ = writeln!(text, "  {}", count(input.requests, "request"));
    if !input.tags.is_empty() {
        let mut tags: Vec<(&String, &u64)> = input.tags.iter().collect();
        tags.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let more =
            if tags.len() > TAGS { format!(", and {} more", tags.len() - TAGS) } else { String::new() };
        let named: Vec<String> =
            tags.iter().take(TAGS).map(|(tag, people)| format!("{tag} {people}")).collect();
        let _ = writeln!(text, "  people by tag: {}{more}", named.join(", "));
    }
    let thing = match input.source {
        RunSource::Queue | RunSource::Sql => "row",
        RunSource::Folder | RunSource::File => "line",
    };
    for (kind, rows) in &input.samples {
        let shown: Vec<String> = rows.iter().map(|row| sample(row, thing)).collect();
        let _ = writeln!(text, "  {kind}, for example: {}", shown.join("; "));
    }
    for warning in warnings(input, max_rows) {
        let _ = writeln!(text, "  warning: {warning}");
    }
    for concern in &input.concerns {
        let _ = writeln!(text, "  would be held: {} ({})", concern.reason, concern.code);
    }
}

fn sample(row: &PlannedRow, thing: &str) -> String {
    let place = format!("{thing} {}", row.line);
    let said = [place.as_str(), &row.email, &row.said].into_iter().filter(|text| !text.is_empty());
    said.collect::<Vec<_>>().join(" ")
}

/// What a person should look at before they go on.
fn warnings(input: &PlannedInput, max_rows: usize) -> Vec<String> {
    let mut warnings = input.warnings.clone();
    let people = input.rows.new + input.rows.changed;
    let fewest = people.div_ceil(max_rows.max(1) as u64);
    if input.kind == Kind::Members && input.tag_sets > 1 && input.requests > MANY * fewest {
        warnings.push(format!(
            "{} of tags take {}, where one set would take {fewest}",
            count(input.tag_sets, "different set"),
            count(input.requests, "request")
        ));
    }
    if let Some(before) = input.before
        && input.rows.read.abs_diff(before) * 4 > before
    {
        let than = if input.rows.read > before { "longer" } else { "shorter" };
        warnings.push(format!(
            "the list is much {than} than the last time: {} rows, {before} then",
            input.rows.read
        ));
    }
    if !input.tags_to_make.is_empty() {
        let names: Vec<String> = input.tags_to_make.iter().map(|name| format!("`{name}`")).collect();
        warnings.push(format!("tags that Luma lacks would be made first: {}", names.join(", ")));
    }
    warnings
}

/// For programs.
pub(super) fn json(forecast: &Forecast, max_rows: usize) -> Value {
    json!({
        "inputs": forecast.inputs.iter().map(|input| input_json(input, max_rows)).collect::<Vec<_>>(),
        "taken_before": forecast.before.iter().map(|before| json!({
            "file": before.file, "run": before.run, "goes_on": before.rest == Rest::Some,
        })).collect::<Vec<_>>(),
        "held_runs": forecast.held.iter().map(|run| run.id).collect::<Vec<_>>(),
        "troubles": forecast.troubles.iter().chain(&forecast.notes).collect::<Vec<_>>(),
        "accounts": forecast.accounts.iter().map(|outlook| {
            let requests = requests_of(forecast, outlook);
            json!({
                "account": outlook.account,
                "requests": requests,
                "seconds_at_the_limit": at_the_limit(requests, outlook).as_secs(),
                "quota_left": outlook.left,
                "quota": outlook.allowed,
                "waiting_rows": outlook.waiting.0,
                "waiting_requests": outlook.waiting.1,
                "blocked_until": outlook.blocked.as_ref().map(|(until, _)| until.to_string()),
            })
        }).collect::<Vec<_>>(),
        "requests": forecast.inputs.iter().map(|input| input.requests).sum::<u64>(),
    })
}

fn input_json(input: &PlannedInput, max_rows: usize) -> Value {
    let mut rows: serde_json::Map<String, Value> =
        kinds(&input.rows).into_iter().map(|(kind, rows)| (kind.to_owned(), json!(rows))).collect();
    rows.insert("read".to_owned(), json!(input.rows.read));
    json!({
        "account": input.account,
        "kind": input.kind.as_str(),
        "source": input.source.as_str(),
        "label": input.label,
        "sha256": input.sha256,
        "read_as": input.read_as,
        "rows": rows,
        "rows_before": input.before,
        "tags": input.tags,
        "tag_sets": input.tag_sets,
        "tags_to_make": input.tags_to_make,
        "requests": input.requests,
        "digest": input.digest.to_string(),
        "would_be_held_for": input.concerns.iter().map(|concern| json!({
            "code": concern.code.as_str(), "reason": concern.reason,
        })).collect::<Vec<_>>(),
        "warnings": warnings(input, max_rows),
        "samples": input.samples.iter().map(|(kind, rows)| {
            let rows = rows.iter().map(|row| json!({ "line": row.line, "email": row.email, "said": row.said }));
            ((*kind).to_owned(), rows.collect())
        }).collect::<serde_json::Map<String, Value>>(),
    })
}

/// Their sum is what was read.
pub(super) const fn kinds(rows: &PlannedRows) -> [(&'static str, u64); 6] {
    [
        ("new", rows.new),
        ("changed", rows.changed),
        ("unchanged", rows.unchanged),
        ("duplicate", rows.duplicate),
        ("invalid", rows.invalid),
        ("suppressed", rows.suppressed),
    ]
}

/// Those of the plan and those that wait already.
fn requests_of(forecast: &Forecast, outlook: &Outlook) -> u64 {
    let own = forecast.inputs.iter().filter(|input| input.account == outlook.account);
    own.map(|input| input.requests).sum::<u64>() + outlook.waiting.1
}

/// What is left now goes at once, and the rest a window at a time.
fn at_the_limit(requests: u64, outlook: &Outlook) -> Duration {
    let later = requests.saturating_sub(outlook.left.into());
    let windows = later.div_ceil(u64::from(outlook.allowed.max(1)));
    outlook.window.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_at_once_and_the_rest_in_whole_windows() {
        let outlook = Outlook {
            account: "main".to_owned(),
            left: 95,
            allowed: 195,
            window: Duration::from_mins(1),
            waiting: (0, 0),
            blocked: None,
        };
        for (requests, minutes) in [(0, 0), (95, 0), (96, 1), (290, 1), (291, 2)] {
            assert_eq!(at_the_limit(requests, &outlook), Duration::from_mins(minutes), "{requests}");
        }
    }
}
