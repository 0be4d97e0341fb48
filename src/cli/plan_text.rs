//! A plan in words and in JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::plan::{Before, Forecast};
use super::words::{count, moment, span};
use crate::engine::{Outlook, PlannedInput, PlannedRow, Rest};

/// Tags that are named.
const TAGS: usize = 10;

/// For people; `command` is how the program is called.
pub(super) fn text(forecast: &Forecast, max_rows: usize, command: &str) -> String {
    let mut text = String::new();
    for input in &forecast.inputs {
        input_text(&mut text, input, max_rows);
    }
    for Before { file, run, rest } in &forecast.before {
        let _ = writeln!(text, "{file}\n  these bytes were taken in by run {run}{}", rest.said());
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
            span(outlook.at_the_limit(own)),
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
    let parts: Vec<String> = input
        .rows
        .kinds()
        .into_iter()
        .filter(|(kind, rows)| *rows > 0 || *kind == "new")
        .map(|(kind, rows)| format!("{rows} {kind}"))
        .collect();
    let last = input.before.map(|before| format!("; {before} the last time")).unwrap_or_default();
    let _ = writeln!(text, "  {} read = {}{last}", count(input.rows.read, "row"), parts.join(" + "));
    let _ = writeln!(text, "  {}", count(input.requests, "request"));
    if !input.tags.is_empty() {
        let tags = input.people_by_tag();
        let more =
            if tags.len() > TAGS { format!(", and {} more", tags.len() - TAGS) } else { String::new() };
        let named: Vec<String> =
            tags.iter().take(TAGS).map(|(tag, people)| format!("{tag} {people}")).collect();
        let _ = writeln!(text, "  people by tag: {}{more}", named.join(", "));
    }
    for (kind, rows) in &input.samples {
        let shown: Vec<String> = rows.iter().map(|row| sample(row, input.thing())).collect();
        let _ = writeln!(text, "  {kind}, for example: {}", shown.join("; "));
    }
    for warning in input.all_warnings(max_rows) {
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

/// For programs.
pub(super) fn json(forecast: &Forecast, max_rows: usize) -> Value {
    json!({
        "inputs": forecast.inputs.iter().map(|input| input.json(max_rows)).collect::<Vec<_>>(),
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
                "seconds_at_the_limit": outlook.at_the_limit(requests).as_secs(),
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

/// Those of the plan and those that wait already.
fn requests_of(forecast: &Forecast, outlook: &Outlook) -> u64 {
    let own = forecast.inputs.iter().filter(|input| input.account == outlook.account);
    own.map(|input| input.requests).sum::<u64>() + outlook.waiting.1
}
