//! Schedules: what comes, what was, and the hand that sets one off, lets it rest and wakes it.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::fault::Fault;
use super::layout::{Here, Page, signed};
use super::parts::{fire_state, status};
use super::session::Visit;
use super::sign_in::SIGN_IN;
use super::site::Site;
use super::visitor::{Act, Visitor};
use crate::clock::Time;
use crate::domain::schedule::{FireState, Schedule};
use crate::domain::state::RunStatus;
use crate::domain::words::{count, moment, span};
use crate::store::{Fire, FireSource, KnownSchedule};

/// Due times that are shown, and fires that were.
const NEXT: usize = 3;
const FIRES: u32 = 5;
/// Passes of a fire that are shown though they broke off: a source is tried many times.
const BROKEN: u32 = 3;

/// A schedule, what comes and what was.
#[derive(Debug)]
pub(super) struct ScheduleView {
    pub(super) schedule: Schedule,
    pub(super) known: Option<KnownSchedule>,
    pub(super) next: Vec<Time>,
    pub(super) fires: Vec<FireView>,
}

/// A fire and what it took in.
#[derive(Debug)]
pub(super) struct FireView {
    pub(super) fire: Fire,
    pub(super) sources: Vec<FireSource>,
    pub(super) runs: Vec<(i64, RunStatus)>,
}

impl Site {
    /// All of them, as they are configured.
    pub(super) async fn schedule_views(&self, fires: u32) -> Result<Vec<ScheduleView>, Fault> {
        let (all, now) = (self.store.schedules().await?, self.clock.now());
        let mut views = Vec::new();
        for schedule in self.schedules() {
            let known = all.iter().find(|known| known.name == schedule.name).cloned();
            let is_paused = known.as_ref().is_some_and(|known| known.is_paused);
            let next =
                if is_paused { Vec::new() } else { schedule.timetable.moments(now).take(NEXT).collect() };
            let mut last = Vec::new();
            for fire in self.store.last_fires(&schedule.name, fires).await? {
                let sources = self.store.fire_sources(fire.id).await?;
                let mut runs = self.store.fire_runs(fire.id).await?;
                let broken = self.store.broken_runs(fire.id, BROKEN).await?;
                runs.extend(broken.into_iter().map(|run| (run, RunStatus::Failed)));
                runs.sort_unstable_by_key(|(run, _)| *run);
                last.push(FireView { fire, sources, runs });
            }
            views.push(ScheduleView { schedule: schedule.clone(), known, next, fires: last });
        }
        Ok(views)
    }
}

impl ScheduleView {
    /// Who paused it and when, if it is.
    pub(super) fn paused(&self) -> Option<&(Time, String)> {
        self.known.as_ref().filter(|known| known.is_paused)?.changed.as_ref()
    }

    /// The fire that is not over.
    fn open(&self) -> Option<&Fire> {
        let is_open = |fire: &&Fire| matches!(fire.state, FireState::Queued | FireState::Running);
        self.fires.iter().map(|view| &view.fire).find(is_open)
    }
}

/// The page.
pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Result<Response, Fault> {
    let views = site.schedule_views(FIRES).await?;
    let now = site.clock.now();
    let content = html! {
        @if views.is_empty() {
            p { "No schedule is configured: see " code { "[[schedule]]" } " in the documented defaults." }
        }
        @for view in &views {
            section aria-labelledby=(format!("schedule-{}", view.schedule.name)) {
                h2 id=(format!("schedule-{}", view.schedule.name)) { (view.schedule.name) }
                (facts(view, now))
                (actions(&visitor, view))
                (fires(view))
            }
        }
    };
    Ok(Page::new("Schedules", Here::Schedules).live().show(&site, &visitor, &content))
}

fn facts(view: &ScheduleView, now: Time) -> Markup {
    let Schedule { cron, zone, sources, policy, .. } = &view.schedule;
    html! {
        dl.facts {
            dt { "Takes in" } dd { (sources.join(", ")) }
            dt { "Due" } dd { code { (cron) } " (" (zone) ")" }
            dt { "Next" }
            dd {
                @if let Some((at, by)) = view.paused() { span.warn { "paused" } " by " (by) " at " (moment(*at)) }
                @else if view.next.is_empty() { "never" }
                @else { ul { @for (place, next) in view.next.iter().enumerate() {
                    li { (local(&view.schedule, *next)) @if place == 0 { ", in " (span(next.since(now))) } }
                } } }
            }
            dt { "Missed" } dd { (policy.missed) ", on time within " (span(policy.grace)) "; overlap: " (policy.overlap) }
        }
    }
}

fn fires(view: &ScheduleView) -> Markup {
    html! {
        @if view.fires.is_empty() { p.soft { "It has not fired yet." } } @else {
            div.scroll role="region" aria-label=(format!("Last fires of {}", view.schedule.name)) tabindex="0" { table {
                caption { "Last fires" }
                thead { tr { th scope="col" { "Due" } th scope="col" { "State" } th scope="col" { "Runs" } th scope="col" { "Remarks" } } }
                tbody { @for fire in &view.fires { (fire_row(&view.schedule, fire)) } }
            } }
        }
    }
}

fn fire_row(schedule: &Schedule, FireView { fire, sources, runs }: &FireView) -> Markup {
    html! {
        tr {
            td.name { (local(schedule, fire.due_at)) @if let Some(person) = &fire.person { span.soft { " by " (person) } } }
            td { (fire_state(fire.state)) }
            td { @for (run, standing) in runs { a href=(format!("/runs/{run}")) { (run) } " " (status(*standing)) " " } }
            td.long {
                @if let Some(reason) = &fire.reason { (reason) " " }
                @if fire.earlier > 0 { "stands for " (count(fire.earlier, "due time")) " more that nobody was there for " }
                @for source in sources { @if let Some(reason) = &source.reason { (source.source) ": " (reason) " " } }
            }
        }
    }
}

fn actions(visitor: &Visitor, view: &ScheduleView) -> Markup {
    html! {
        @match visitor {
            Visitor::Person(visit) => (buttons(visit, view)),
            Visitor::Stranger { may_sign_in: true } | Visitor::Program => {
                p { a href=(format!("{SIGN_IN}?to=/schedules")) { "Sign in" } " to run or pause it." }
            },
            Visitor::Stranger { may_sign_in: false } => {},
        }
    }
}

fn buttons(visit: &Visit, view: &ScheduleView) -> Markup {
    let name = &view.schedule.name;
    let button = |action: &str, label: &str, is_quiet: bool| {
        html! {
            form.inline method="post" action="/schedules" {
                (signed(visit))
                input type="hidden" name="name" value=(name);
                button.quiet[is_quiet] type="submit" name="action" value=(action) aria-label=(format!("{label}: {name}")) { (label) }
            }
        }
    };
    html! {
        div.actions {
            @if let Some(fire) = view.open() { p { "A fire is " (fire.state) "." } }
            @else { (button("run", "Run now", false)) }
            @if view.paused().is_some() { (button("resume", "Resume", true)) }
            @else { (button("pause", "Pause", true)) }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Change {
    name: String,
    action: String,
}

/// Run now, pause, resume.
pub(super) async fn change(
    State(site): State<Site>,
    Act { visit, form }: Act<Change>,
) -> Result<Response, Fault> {
    let schedule = site.schedules().iter().find(|schedule| schedule.name == form.name);
    let schedule = schedule.ok_or(Fault::NotFound)?;
    let (name, now) = (&schedule.name, site.clock.now());
    site.store.meet_schedule(name, &schedule.rule(), now).await?;
    let (is_changed, said) = match form.action.as_str() {
        "run" => match site.fleet.set_off(schedule, &visit.person).await? {
            Some(_) => (true, "is set off; its sources are taken in within a few seconds."),
            None => {
                return Err(Fault::Conflict(format!("An earlier fire of {name} is not over.")));
            }
        },
        "pause" => {
            let is_changed = site.store.pause_schedule(name, &visit.person, now).await?;
            (
                is_changed,
                if is_changed { "rests until it is resumed." } else { "rests already, until it is resumed." },
            )
        }
        "resume" => {
            let is_changed = site.store.resume_schedule(name, &visit.person, now).await?;
            (is_changed, if is_changed { "goes on from now." } else { "was not paused." })
        }
        _ => return Err(Fault::NotFound),
    };
    if is_changed {
        tracing::info!(schedule = name, action = form.action, "a schedule is changed from a page");
    }
    site.sessions.say(&visit, format!("{name} {said}"));
    site.snapshots.forget();
    Ok(Redirect::to("/schedules").into_response())
}

/// A moment by the clocks of the schedule's zone, and in UTC.
fn local(schedule: &Schedule, time: Time) -> String {
    match schedule.timetable.clocks_show(time) {
        Some(shown) if schedule.zone != "UTC" => format!("{shown} {} ({})", schedule.zone, moment(time)),
        _ => moment(time),
    }
}
