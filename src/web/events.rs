//! Events: those in doubt with their evidence and the two ways out, and all others.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::fault::Fault;
use super::layout::{Here, Page, signed};
use super::parts::{event_state, why_it_waits};
use super::runs::known;
use super::session::Visit;
use super::sign_in::SIGN_IN;
use super::site::Site;
use super::visitor::{Act, Asked, Number, Visitor};
use crate::domain::event::{ApiId, EventState, Resolution};
use crate::domain::state::RowState;
use crate::domain::waiting::{RowFacts, Waiting};
use crate::domain::words::{count, moment};
use crate::store::{EventAttempt, EventLook, EventRow, EventStory};

/// Events on one page.
const PAGE: u32 = 50;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    state: Option<String>,
    before: Option<String>,
}

/// Those in doubt, and the newest of the others.
pub(super) async fn page(
    State(site): State<Site>,
    visitor: Visitor,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Fault> {
    let state = known(wanted.state.as_deref(), EventState::parse, "state")?;
    let before = known(wanted.before.as_deref(), |text| text.parse().ok(), "before")?;
    let doubtful = match (state, before) {
        (None, None) => site.store.events_page(Some(EventState::Unknown), None, PAGE).await?,
        _ => Vec::new(),
    };
    let mut events = site.store.events_page(state, before, PAGE + 1).await?;
    let has_more = events.len() > PAGE as usize;
    events.truncate(PAGE as usize);
    let last = events.last().map(|event| event.id).filter(|_| has_more);
    let content = html! {
        @if state.is_none() && before.is_none() {
            h2 { "In doubt" }
            @if doubtful.is_empty() { p { "There is no event of which nobody knows whether it exists." } }
            @else {
                p { "Each of these may or may not exist on Luma, and is not asked for again before that is known." }
                (table(&doubtful, "Events in doubt"))
            }
            h2 { "All events" }
        }
        nav.actions aria-label="Filter" {
            a href="/events" aria-current=[state.is_none().then_some("true")] { "all" }
            @for one in EventState::ALL {
                a href=(format!("/events?state={one}")) aria-current=[(state == Some(*one)).then_some("true")] { (one) }
            }
        }
        @if events.is_empty() { p { "There is no such event." } } @else { (table(&events, "Newest first")) }
        @if let Some(last) = last {
            @let state = state.map(|state| format!("state={state}&")).unwrap_or_default();
            p { a href=(format!("/events?{state}before={last}")) { "Older" } }
        }
    };
    Ok(Page::new("Events", Here::Events).show(&site, &visitor, &content))
}

fn table(events: &[EventRow], caption: &str) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" { table {
            caption { (caption) }
            thead { tr {
                th scope="col" { "Event" } th scope="col" { "State" } th scope="col" { "Name" }
                th scope="col" { "Starts" } th scope="col" { "Account" } th scope="col" { "Why" }
            } }
            tbody {
                @for event in events {
                    tr {
                        th scope="row" { a href=(format!("/events/{}", event.id)) { (event.id) } }
                        td { (event_state(&event.state)) }
                        td.name { (event.name) }
                        td.nowrap { (event.start_at.as_deref().unwrap_or("-")) }
                        td.nowrap { (event.account) }
                        td.long { (event.reason.as_deref().unwrap_or_default()) }
                    }
                }
            }
        } }
    }
}

/// One event.
pub(super) async fn story(
    State(site): State<Site>,
    visitor: Visitor,
    Number(id): Number,
) -> Result<Response, Fault> {
    let story = site.store.event_story(id).await?.ok_or(Fault::NotFound)?;
    let row = &story.row;
    let is_in_doubt = row.state == EventState::Unknown.as_str();
    let waiting = site.event_waits(&story).await?;
    let title = format!("Event {id}: {}", row.name);
    let content = html! {
        p { (event_state(&row.state)) @if let Some(api_id) = &row.api_id { ", on Luma as " code { (api_id) } } }
        @if let Some(reason) = &row.reason { p { code { (row.code.as_deref().unwrap_or_default()) } ": " (reason) } }
        @if is_in_doubt { (ways_out(&visitor, &story)) }
        @if let Some(waiting) = &waiting { (why_it_waits(waiting)) }
        h2 { "Evidence" }
        (evidence(&story))
        h2 { "What was asked for" }
        dl.facts {
            @for (name, value) in story.fields() { dt { code { (name) } } dd { (value) } }
            dt { "Account" } dd { (row.account) }
            @if let Some(run) = row.run_id { dt { "Run" } dd { a href=(format!("/runs/{run}")) { (run) } @if let Some(line) = row.line { ", line " (line) } } }
            dt { "Inserted" } dd { (story.record.created_at) }
        }
    };
    Ok(Page::new(&title, Here::Events).show(&site, &visitor, &content))
}

impl Site {
    /// Why an event waits for a request or an answer; nothing of one that has its outcome or is in doubt.
    pub(super) async fn event_waits(&self, story: &EventStory) -> Result<Option<Waiting>, Fault> {
        let row = &story.row;
        let state = match EventState::parse(&row.state) {
            Some(EventState::New) => RowState::New,
            Some(EventState::Pending) => RowState::Pending,
            Some(EventState::InFlight) => RowState::InFlight,
            _ => return Ok(None),
        };
        let facts = self.facts_within(&row.account, row.run_id, story.due).await?;
        let row = RowFacts { state, is_in_flight: false, is_sought: false };
        Ok(Waiting::of_row(row, &facts, self.clock.now()))
    }
}

fn evidence(story: &EventStory) -> Markup {
    html! {
        @if story.attempts.is_empty() { p { "It was not asked for yet." } }
        ol {
            @for attempt in &story.attempts { li { (request(attempt)) } }
            @for look in &story.looks { li { (looked(look)) } }
            @for decision in &story.resolutions {
                li {
                    "Decided at " (moment(decision.decided_at)) " by " (decision.decided_by) ": " (decision.decision)
                    @if let Some(id) = &decision.api_id { " as " code { (id) } }
                }
            }
        }
    }
}

fn request(attempt: &EventAttempt) -> Markup {
    html! {
        "Request " (attempt.id) " began at " (moment(attempt.started_at)) ", "
        @match attempt.finished_at { Some(at) => { "ended at " (moment(at)) }, None => "is under way" }
        @match attempt.body_bytes.unwrap_or_default() {
            0 => ", not a byte has left: ",
            bytes => { ", " (bytes) " bytes of body may have left: " }
        }
        @if let Some(status) = attempt.status { "status " (status) ", " }
        (attempt.verdict.as_deref().unwrap_or("no answer yet"))
        @if let Some(detail) = &attempt.detail { ". " (detail) }
    }
}

fn looked(look: &EventLook) -> Markup {
    let times = |number: i64| count(number.unsigned_abs(), "time");
    html! {
        "Looked for on Luma " (times(look.looks))
        @if look.faults > 0 { ", then " (times(look.faults)) " without an answer" }
        @if let Some(since) = look.absent_since { ", not seen since " (moment(since)) }
        @if let Some(next) = look.look_at { "; looked for again at " (moment(next)) }
    }
}

fn ways_out(visitor: &Visitor, story: &EventStory) -> Markup {
    let row = &story.row;
    html! {
        section.notice.warn aria-labelledby="doubt" {
            h2 id="doubt" { "Why is this waiting?" }
            p {
                "Nobody knows whether it exists. Look among the events that you host on Luma for one named "
                strong { (row.name) } @if let Some(start) = &row.start_at { ", starting at " (start) }
                @if let Some(attempt) = story.attempts.last() { ", created at " (moment(attempt.started_at)) " or soon after" } "."
            }
            @match visitor {
                Visitor::Person(visit) => (decisions(visit, row.id)),
                Visitor::Stranger { may_sign_in: true } | Visitor::Program => {
                    p { a href=(format!("{SIGN_IN}?to=/events/{}", row.id)) { "Sign in" } " to decide." }
                },
                Visitor::Stranger { may_sign_in: false } => {
                    p.soft { "Nothing can be decided here: " code { "web.token" } " is not set." }
                },
            }
        }
    }
}

fn decisions(visit: &Visit, id: i64) -> Markup {
    html! {
        div.cards {
            form.stack method="post" action=(format!("/events/{id}/resolve")) {
                (signed(visit))
                label for="created" { "It is there: its id on Luma" }
                input id="created" name="created" type="text" required maxlength="200" placeholder="evt-…"
                    pattern="evt-.+" autocomplete="off";
                button type="submit" { "It exists" }
            }
            form.stack method="post" action=(format!("/events/{id}/resolve")) {
                (signed(visit))
                p { "It is not there, also after a minute: it is asked for once more." }
                button.danger type="submit" name="send_again" value="yes" { "Send it again" }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Decision {
    created: Option<String>,
    send_again: Option<String>,
}

/// What a person found out.
pub(super) async fn resolve(
    State(site): State<Site>,
    Number(id): Number,
    Act { visit, form }: Act<Decision>,
) -> Result<Response, Fault> {
    let event_id = |text: &str| ApiId::parse(text.trim()).filter(|id| id.as_str().starts_with(ApiId::PREFIX));
    let resolution = match (&form.created, &form.send_again) {
        (Some(text), None) => match event_id(text) {
            Some(id) => Resolution::Created(id),
            None => {
                return Err(Fault::Wrong("This is no id of an event: Luma's begin with `evt-`.".to_owned()));
            }
        },
        (None, Some(_)) => Resolution::SendAgain,
        (None, None) | (Some(_), Some(_)) => {
            return Err(Fault::Wrong("Say either that it exists or that it is to be sent again.".to_owned()));
        }
    };
    let now = site.clock.now();
    let resolved = site.store.resolve_event(id, &resolution, &visit.person, now, now).await?;
    tracing::info!(event = id, state = %resolved.state, "doubt is ended from a page");
    site.sessions.say(&visit, format!("Noted: the event is {} now.", resolved.state));
    site.snapshots.forget();
    Ok(Redirect::to(&format!("/events/{id}")).into_response())
}
