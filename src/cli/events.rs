//! `lumasync events list|show|resolve`: what became of events, and the way out of doubt.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::args::Global;
use super::context::{Need, load};
use super::events_args::{EventsListArgs, ResolveArgs};
use super::exit::Exit;
use super::out;
use super::person::person;
use super::place::open_known;
use super::words::count;
use crate::clock::Clock;
use crate::domain::event::{ApiId, EventState, Resolution};
use crate::engine::printable;
use crate::store::{EventAttempt, EventFilter, EventLook, EventRow, EventStory};

/// Events, newest first.
pub(super) async fn list(global: &Global, args: &EventsListArgs) -> anyhow::Result<Exit> {
    let store = open_known(&load(global, Need::Database)?).await?;
    let filter = EventFilter {
        state: args.state,
        run: args.run,
        bad_only: false,
        account: args.account.as_deref(),
        after: 0,
        limit: args.limit.saturating_add(1),
        newest_first: true,
    };
    let mut events = store.events(&filter).await?;
    let is_cut = events.len() > args.limit as usize;
    events.truncate(args.limit as usize);
    store.close().await;
    let text = || {
        let mut text = format!(
            "{:>6}  {:<9}  {:<10}  {:<27}  {:<20}  name\n",
            "event", "state", "account", "starts", "id on Luma"
        );
        for event in &events {
            let (start, api_id) =
                (event.start_at.as_deref().unwrap_or("-"), event.api_id.as_deref().unwrap_or("-"));
            let _ = writeln!(
                text,
                "{:>6}  {:<9}  {:<10}  {start:<27}  {api_id:<20}  {}",
                event.id,
                event.state,
                printable(&event.account),
                printable(&event.name)
            );
            if let Some(reason) = event.reason.as_ref().filter(|_| is_in_doubt(event)) {
                let _ = writeln!(text, "{:>6}  {}", "", printable(reason));
            }
        }
        if events.iter().any(is_in_doubt) {
            text.push_str("hint: `lumasync events show ID` says what to look for on Luma\n");
        }
        if is_cut {
            let _ = writeln!(
                text,
                "hint: there are older ones: `--limit {}` shows more",
                args.limit.saturating_mul(10)
            );
        }
        text
    };
    out::result(
        global.output,
        text,
        || json!({ "events": events.iter().map(json_of).collect::<Vec<_>>(), "more": is_cut }),
    )?;
    Ok(Exit::Ok)
}

fn is_in_doubt(event: &EventRow) -> bool {
    event.state == EventState::Unknown.as_str()
}

/// An event for programs.
pub(super) fn json_of(event: &EventRow) -> Value {
    json!({
        "id": event.id,
        "account": event.account,
        "state": event.state,
        "name": event.name,
        "start_at": event.start_at,
        "api_id": event.api_id,
        "code": event.code,
        "reason": event.reason,
        "attempts": event.attempts,
        "run": event.run_id,
        "line": event.line,
    })
}

/// One event.
pub(super) async fn show(global: &Global, id: i64) -> anyhow::Result<Exit> {
    let store = open_known(&load(global, Need::Database)?).await?;
    let found = store.event_story(id).await?;
    store.close().await;
    let found = found.with_context(|| {
        format!("there is no event `{id}`\nhint: `lumasync events list` shows the last ones")
    })?;
    out::result(global.output, || told(&found), || json_of_story(&found))?;
    Ok(Exit::Ok)
}

fn told(story: &EventStory) -> String {
    let row = &story.row;
    let mut text = format!("event {}  {}  {}", row.id, row.state, printable(&row.name));
    if let Some(api_id) = &row.api_id {
        let _ = write!(text, "\n  on Luma as `{api_id}`");
    }
    if let Some(reason) = &row.reason {
        let _ = write!(text, "\n  {}: {}", row.code.as_deref().unwrap_or_default(), printable(reason));
    }
    let line = row.line.map(|line| format!(", line {line}")).unwrap_or_default();
    let run = row.run_id.map(|run| format!(", run {run}{line}")).unwrap_or_default();
    let _ =
        write!(text, "\n  inserted at {}{run}, account {}", story.record.created_at, printable(&row.account));
    for (name, value) in story.fields() {
        let _ = write!(text, "\n  {name:<22} {}", printable(&value));
    }
    for attempt in &story.attempts {
        let _ = write!(text, "\n  request {}: {}", attempt.id, request(attempt));
    }
    for look in &story.looks {
        let _ = write!(text, "\n  {}", looked(look));
    }
    for decision in &story.resolutions {
        let as_what = decision.api_id.as_ref().map(|id| format!(" as `{id}`")).unwrap_or_default();
        let _ = write!(
            text,
            "\n  decided at {} by {} about request {}: {}{as_what}",
            decision.decided_at, decision.decided_by, decision.attempt_id, decision.decision
        );
    }
    if is_in_doubt(row) {
        let _ = write!(text, "\n{}", what_to_look_for(story));
    }
    text
}

fn request(attempt: &EventAttempt) -> String {
    let bytes = attempt.body_bytes.unwrap_or_default();
    let sent = if bytes == 0 {
        "not a byte has left".to_owned()
    } else {
        format!("{bytes} bytes of body may have left")
    };
    let end = attempt.finished_at.map_or_else(|| "under way".to_owned(), |at| format!("ended at {at}"));
    let verdict = attempt.verdict.as_deref().unwrap_or("no answer yet");
    let status = attempt.status.map(|status| format!("status {status}, ")).unwrap_or_default();
    let said = attempt.detail.as_ref().map(|detail| format!(": {}", printable(detail))).unwrap_or_default();
    format!("begun at {}, {end}, {sent}, {status}{verdict}{said}", attempt.started_at)
}

fn looked(look: &EventLook) -> String {
    let mut text = format!("looked for after request {}: {}", look.attempt_id, times(look.looks));
    if look.faults > 0 {
        let _ = write!(text, ", then {} without an answer", times(look.faults));
    }
    if let Some(since) = look.absent_since {
        let _ = write!(text, ", not seen since {since}");
    }
    if let Some(next) = look.look_at {
        let _ = write!(text, "; the service or `lumasync sync` looks again at {next}");
    }
    text
}

fn times(number: i64) -> String {
    count(number.unsigned_abs(), "time")
}

fn what_to_look_for(story: &EventStory) -> String {
    let row = &story.row;
    let start = row.start_at.as_ref().map(|start| format!(", starting at {start}")).unwrap_or_default();
    let since =
        story.attempts.last().map(|attempt| format!(", created at {} or soon after", attempt.started_at));
    format!(
        "\nlook for it on Luma: an event named `{}`{start}{}, among the events that you host\n\
         hint: it is there: `lumasync events resolve {id} --created EVT-ID`, with the id that Luma shows\n\
         hint: it is not: look again after a minute, then `lumasync events resolve {id} --send-again`",
        printable(&row.name),
        since.unwrap_or_default(),
        id = row.id
    )
}

fn json_of_story(story: &EventStory) -> Value {
    let mut object = json_of(&story.row);
    let attempt = |attempt: &EventAttempt| {
        json!({
            "id": attempt.id,
            "started_at": attempt.started_at.to_string(),
            "finished_at": attempt.finished_at.map(|at| at.to_string()),
            "body_bytes": attempt.body_bytes,
            "status": attempt.status,
            "verdict": attempt.verdict,
            "detail": attempt.detail,
        })
    };
    let look = |look: &EventLook| {
        json!({
            "request": look.attempt_id,
            "looks": look.looks,
            "unanswered": look.faults,
            "not_seen_since": look.absent_since.map(|at| at.to_string()),
            "last_at": look.looked_at.to_string(),
            "next_at": look.look_at.map(|at| at.to_string()),
        })
    };
    let decision = |decision: &crate::store::EventResolution| {
        json!({
            "at": decision.decided_at.to_string(),
            "by": decision.decided_by,
            "decision": decision.decision,
            "api_id": decision.api_id,
            "attempt": decision.attempt_id,
        })
    };
    if let Value::Object(object) = &mut object {
        let fields: serde_json::Map<String, Value> =
            story.fields().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        object.insert("created_at".to_owned(), json!(story.record.created_at));
        object.insert("settled_at".to_owned(), json!(story.record.settled_at.map(|at| at.to_string())));
        object.insert("fields".to_owned(), Value::Object(fields));
        object.insert("requests".to_owned(), json!(story.attempts.iter().map(attempt).collect::<Vec<_>>()));
        object.insert("looks".to_owned(), json!(story.looks.iter().map(look).collect::<Vec<_>>()));
        object.insert(
            "decisions".to_owned(),
            json!(story.resolutions.iter().map(decision).collect::<Vec<_>>()),
        );
    }
    object
}

/// What a person found out.
pub(super) async fn resolve(global: &Global, args: &ResolveArgs) -> anyhow::Result<Exit> {
    let event_id = |text: &str| ApiId::parse(text).filter(|id| id.as_str().starts_with(ApiId::PREFIX));
    let named = args.created.as_ref().map(|text| (text, event_id(text.trim())));
    let resolution = match named {
        None => Resolution::SendAgain,
        Some((_, Some(api_id))) => Resolution::Created(api_id),
        Some((text, None)) => {
            out::talk(&format!("error: `{text}` is no id of an event\nhint: Luma's begin with `evt-`"));
            return Ok(Exit::Usage);
        }
    };
    let Some(who) = person(args.by.as_deref()) else { return Ok(Exit::Usage) };
    let store = open_known(&load(global, Need::Database)?).await?;
    let now = Clock::system().now();
    let resolved = store.resolve_event(args.id, &resolution, &who, now, now).await;
    let mut left = 0;
    for account in store.accounts().await? {
        left += store.event_depth(&account.name).await?.unknown;
    }
    store.close().await;
    let resolved = resolved?;
    let text = || {
        let end = match &resolution {
            Resolution::Created(api_id) => format!("event {} is created as `{api_id}`", args.id),
            Resolution::SendAgain => {
                format!("event {} is pending again; the service asks for it, or `lumasync sync`", args.id)
            }
        };
        format!(
            "{end}; noted as decided by {who}\n{} left in doubt; result files follow from the service, or from the \
             next `lumasync sync`",
            count(left, "event")
        )
    };
    let programs = || {
        json!({
            "event": args.id, "state": resolved.state.as_str(), "run": resolved.run_id, "by": who,
            "decision": resolution.as_str(), "unknown_left": left,
        })
    };
    out::result(global.output, text, programs)?;
    Ok(Exit::Ok)
}
