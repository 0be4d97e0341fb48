//! What pages show, as JSON.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer;
use crate::clock::Time;
use crate::domain::event::EventState;
use crate::domain::guard::Concern;
use crate::domain::waiting::Waiting;
use crate::store::{CauseGroup, EventRow, Run, RunCounts};
use crate::web::fault::Fault;
use crate::web::runs::{Wanted, known};
use crate::web::schedules::{FireView, ScheduleView};
use crate::web::site::Site;
use crate::web::snapshot::{AccountState, Snapshot};
use crate::web::verdict::verdict;
use crate::web::visitor::{Asked, Number, Visitor};

/// Things of one answer.
const PAGE: u32 = 100;
/// Fires of a schedule that are told.
const FIRES: u32 = 5;

type Answer = Result<Response, Fault>;

fn text(at: Option<Time>) -> Option<String> {
    at.map(|at| at.to_string())
}

fn ok(body: &Value) -> Response {
    answer(StatusCode::OK, body)
}

/// The state of all things.
pub(super) async fn status(State(site): State<Site>) -> Answer {
    let snapshot = site.snapshot().await?;
    let (mood, sentence) = verdict(&snapshot);
    Ok(ok(&json!({
        "at": snapshot.at.to_string(),
        "mood": mood.class(),
        "sentence": sentence,
        "waiting": snapshot.waiting(),
        "oldest_seconds": snapshot.oldest().map(|age| age.as_secs()),
        "workers": snapshot.alive(),
        "accounts": snapshot.accounts.iter().map(account_json).collect::<Vec<_>>(),
        "stopped_runs": snapshot.stopped,
        "standing_runs": snapshot.standing.iter().map(|(run, why)| json!({ "run": run, "reason": why })).collect::<Vec<_>>(),
        "held_runs": snapshot.held.iter().map(|run| run.id).collect::<Vec<_>>(),
        "overdue_sources": overdue_json(&snapshot),
        "unwell_runs": snapshot.unwell.iter().map(|run| run.id).collect::<Vec<_>>(),
        "failed_files": snapshot.folders.view.failed_files,
        "ignored_files": snapshot.folders.view.ignored.len(),
        "unreadable_folders": snapshot.folders.view.unreadable.len(),
        "left_files": if snapshot.folders.are_left() { snapshot.folders.view.waiting } else { 0 },
        "unposted_notices": snapshot.notices.waiting + snapshot.notices.given_up,
    })))
}

fn account_json(account: &AccountState) -> Value {
    let AccountState { name, depth, events, members, proof, quota, block, is_refused } = account;
    json!({
        "account": name,
        "queue": { "new": depth.new, "pending": depth.pending, "in_flight": depth.in_flight, "stopped": depth.stopped, "held": depth.held },
        "events": {
            "new": events.new, "pending": events.pending, "in_flight": events.in_flight,
            "unknown": events.unknown, "created": events.created,
        },
        "members": members,
        "to_verify": proof.people,
        "quota": quota.as_ref().map(|quota| json!({
            "left": quota.left, "allowed": quota.allowed, "window_seconds": quota.window.as_secs_f64(),
            "room_at": text(quota.room_at),
        })),
        "blocked_until": block.as_ref().map(|(until, _)| until.to_string()),
        "block_reason": block.as_ref().map(|(_, why)| why),
        "key_refused": is_refused,
    })
}

fn overdue_json(snapshot: &Snapshot) -> Vec<Value> {
    let of = |source: &crate::web::snapshot::OverdueSource| {
        json!({
            "source": source.name, "standing": source.standing.as_str(),
            "last_at": text(source.last.map(|pass| pass.at)), "last_rows": source.last.map(|pass| pass.rows),
        })
    };
    snapshot.overdue.iter().map(of).collect()
}

/// Runs, newest first.
pub(super) async fn runs(State(site): State<Site>, Asked(wanted): Asked<Wanted>) -> Answer {
    let mut runs = site.store.runs_page(&wanted.without_text().filter()?, PAGE + 1).await?;
    let next = next_page(&mut runs, |run| run.id);
    Ok(ok(
        &json!({ "runs": runs.iter().map(run_json).map(Value::Object).collect::<Vec<_>>(), "next_before": next }),
    ))
}

/// Cuts what is beyond the page off; from where the next one goes on.
fn next_page<T>(all: &mut Vec<T>, number: impl Fn(&T) -> i64) -> Option<i64> {
    let has_more = all.len() > PAGE as usize;
    all.truncate(PAGE as usize);
    all.last().map(number).filter(|_| has_more)
}

fn run_json(run: &Run) -> Map<String, Value> {
    let fields = [
        ("run", json!(run.id)),
        ("account", json!(run.account)),
        ("kind", json!(run.kind.as_str())),
        ("source", json!(run.source.as_str())),
        ("trigger", json!(run.trigger.as_str())),
        ("label", json!(run.label)),
        ("status", json!(run.status.as_str())),
        ("reason", json!(run.reason)),
        ("created_at", json!(run.created_at.to_string())),
        ("finished_at", json!(text(run.finished_at))),
        ("read", json!(run.read_rows)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// One run, with all that is known of it.
pub(super) async fn run(State(site): State<Site>, visitor: Visitor, Number(id): Number) -> Answer {
    let view = site.run_view(id, &visitor).await?;
    let (numbers, causes) = (view.numbers.as_deref(), view.causes.as_deref());
    let mut object = run_json(&view.run);
    let waiting = view.waiting.as_ref().map(waiting_json);
    for (name, value) in [
        ("rows", json!(numbers.map(|numbers| rows_json(&numbers.counts)))),
        ("counted_at", json!(numbers.map(|numbers| numbers.at.to_string()))),
        ("requests", json!(numbers.map(|numbers| numbers.requests))),
        ("first_request_at", json!(text(numbers.and_then(|numbers| numbers.times.first_request)))),
        ("last_answer_at", json!(text(numbers.and_then(|numbers| numbers.times.last_answer)))),
        ("read_as", json!(view.read_as)),
        ("verify", json!(view.run.verify.as_str())),
        ("to_verify", json!(numbers.map(|numbers| numbers.to_prove))),
        ("waiting", json!(waiting)),
        ("held_for", json!(view.concerns.iter().map(concern_json).collect::<Vec<_>>())),
        ("approved", approved_json(&view.run)),
        ("causes", json!(causes.map(|causes| causes.groups.iter().map(cause_json).collect::<Vec<_>>()))),
        ("causes_at", json!(causes.map(|causes| causes.at.to_string()))),
    ] {
        object.insert(name.to_owned(), value);
    }
    Ok(ok(&Value::Object(object)))
}

fn rows_json(counts: &RunCounts) -> Value {
    let states = counts.outcomes().into_iter().map(|(state, rows)| (state.to_owned(), json!(rows)));
    Value::Object(states.chain([("read".to_owned(), json!(counts.read))]).collect())
}

fn concern_json(concern: &Concern) -> Value {
    json!({ "code": concern.code.as_str(), "reason": concern.reason })
}

fn approved_json(run: &Run) -> Value {
    json!(run.approved.as_ref().map(|(person, at)| json!({ "by": person, "at": at.to_string() })))
}

fn cause_json(cause: &CauseGroup) -> Value {
    let reasons = cause.reasons.iter().map(
        |reason| json!({ "reason": reason.reason, "rows": reason.rows, "first_lines": reason.first_lines }),
    );
    json!({
        "state": cause.state, "code": cause.code, "rows": cause.rows, "reasons": reasons.collect::<Vec<_>>(),
        "more_reasons": cause.more_reasons,
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct WantedEvents {
    state: Option<String>,
    before: Option<String>,
}

/// Events, newest first.
pub(super) async fn events(State(site): State<Site>, Asked(wanted): Asked<WantedEvents>) -> Answer {
    let state = known(wanted.state.as_deref(), EventState::parse, "state")?;
    let before = known(wanted.before.as_deref(), |text| text.parse().ok(), "before")?;
    let mut events = site.store.events_page(state, before, PAGE + 1).await?;
    let next = next_page(&mut events, |event| event.id);
    Ok(ok(&json!({ "events": events.iter().map(event_json).collect::<Vec<_>>(), "next_before": next })))
}

fn event_json(event: &EventRow) -> Value {
    json!({
        "id": event.id, "account": event.account, "state": event.state, "name": event.name,
        "start_at": event.start_at, "api_id": event.api_id, "code": event.code, "reason": event.reason,
        "attempts": event.attempts, "run": event.run_id, "line": event.line,
    })
}

/// One event.
pub(super) async fn event(State(site): State<Site>, Number(id): Number) -> Answer {
    let story = site.store.event_story(id).await?.ok_or(Fault::NotFound)?;
    let mut event = event_json(&story.row);
    event["waiting"] = json!(site.event_waits(&story).await?.as_ref().map(waiting_json));
    Ok(ok(&event))
}

fn waiting_json(waiting: &Waiting) -> Value {
    json!({ "code": waiting.as_str(), "reason": waiting.said(), "needs_a_person": waiting.needs_a_person() })
}

/// What became of a member's row.
pub(super) async fn member(State(site): State<Site>, Number(id): Number) -> Answer {
    let row = site.store.member_outcome(id).await?.ok_or(Fault::NotFound)?;
    Ok(ok(&json!({
        "id": row.id, "account": row.account, "state": row.state, "code": row.code, "reason": row.reason,
        "attempts": row.attempts, "run": row.run, "created_at": text(row.created_at),
        "settled_at": text(row.settled_at),
    })))
}

/// Schedules, with their last fires.
pub(super) async fn schedules(State(site): State<Site>) -> Answer {
    let views = site.schedule_views(FIRES).await?;
    Ok(ok(&json!({ "schedules": views.iter().map(schedule_json).collect::<Vec<_>>() })))
}

fn schedule_json(view: &ScheduleView) -> Value {
    let schedule = &view.schedule;
    json!({
        "schedule": schedule.name, "cron": schedule.cron, "timezone": schedule.zone, "sources": schedule.sources,
        "paused": view.paused().is_some(), "next": view.next.iter().map(Time::to_string).collect::<Vec<_>>(),
        "fires": view.fires.iter().map(fire_json).collect::<Vec<_>>(),
    })
}

fn fire_json(FireView { fire, runs, .. }: &FireView) -> Value {
    json!({
        "fire": fire.id, "due_at": fire.due_at.to_string(), "state": fire.state.as_str(), "reason": fire.reason,
        "started_by": fire.trigger.as_str(), "person": fire.person, "ended_at": text(fire.ended_at),
        "runs": runs.iter().map(|(run, _)| run).collect::<Vec<_>>(),
    })
}
