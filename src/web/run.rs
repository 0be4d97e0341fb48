//! One run: counts that add up, when what happened, why it waits, what was not sent and why, and what can be
//! done about it.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::fault::Fault;
use super::layout::{Here, Page, signed};
use super::parts::{status, why_it_waits};
use super::run_hold::{approval, held_for};
use super::run_view::{RunNumbers, RunView};
use super::session::Visit;
use super::sign_in::SIGN_IN;
use super::site::Site;
use super::visitor::{Number, Visitor};
use crate::domain::state::{RowState, RunStatus};
use crate::domain::words::{count, moment, span};
use crate::store::{CauseGroup, ReasonGroup, RunSource};

/// The page.
pub(super) async fn page(
    State(site): State<Site>,
    visitor: Visitor,
    Number(id): Number,
) -> Result<Response, Fault> {
    let view = site.run_view(id, &visitor).await?;
    let title = format!("Run {id}: {}", view.run.label);
    let content = html! {
        p { (status(view.run.status)) @if let Some(reason) = &view.run.reason { ": " (reason) } }
        @if let Some(waiting) = &view.waiting {
            (why_it_waits(waiting))
        }
        (held_for(&visitor, &view))
        (counts(&view))
        (facts(&view))
        (actions(&visitor, &view))
        (causes(&view))
        (downloads(&visitor, &view))
    };
    Ok(Page::new(&title, Here::Runs).live().show(&site, &visitor, &content))
}

fn counts(view: &RunView) -> Markup {
    html! {
        h2 { "Rows" }
        @match &view.numbers {
            Some(numbers) => (counted(numbers)),
            None => p data-soon { (count(view.run.read_rows, "row")) " read so far. How they stand is being counted: look again in a moment." },
        }
    }
}

fn counted(numbers: &RunNumbers) -> Markup {
    let counts = &numbers.counts;
    html! {
        table.narrow {
            caption { (count(counts.read, "row")) " read; each is in one of these" }
            tbody {
                @for (outcome, rows) in counts.outcomes() {
                    @if rows > 0 { tr { th scope="row" { (outcome) } td.number { (rows) } } }
                }
                tr { th scope="row" { "read" } td.number { strong { (counts.read) } } }
            }
        }
        p.soft { "As of " (moment(numbers.at)) "." }
    }
}

fn facts(view: &RunView) -> Markup {
    let RunView { run, numbers, read_as, .. } = view;
    let times = numbers.as_ref().map(|numbers| numbers.times).unwrap_or_default();
    let to_prove = numbers.as_ref().map_or(0, |numbers| numbers.to_prove);
    html! {
        h2 { "What happened when" }
        dl.facts {
            dt { "Began" } dd { (moment(run.created_at)) ", by " (run.trigger) }
            @if let Some((person, at)) = &run.approved { dt { "Approved" } dd { (moment(*at)) ", by " (person) } }
            @if let Some(at) = times.first_request { dt { "First request" } dd { (moment(at)) } }
            @if let Some(at) = times.last_answer { dt { "Last answer" } dd { (moment(at)) } }
            @if let Some(at) = run.finished_at {
                dt { "Ended" } dd { (moment(at)) ", after " (span(at.since(run.created_at))) }
            }
            @if let Some(numbers) = numbers { dt { "Requests" } dd { (numbers.requests) } }
            dt { "Account" } dd { (run.account) }
            dt { "Rows" } dd { (run.kind) ", from " (run.source.as_str()) }
            @if let Some(read_as) = read_as { dt { "Read as" } dd { (read_as) } }
            dt { "Verification" } dd { (run.verify) @if to_prove > 0 { ", " (count(to_prove, "row")) " to go" } }
        }
    }
}

fn causes(view: &RunView) -> Markup {
    let thing = match view.run.source {
        RunSource::Queue | RunSource::Sql => "row",
        RunSource::Folder | RunSource::File => "line",
    };
    let is_sent = |cause: &&CauseGroup| {
        matches!(RowState::parse(&cause.state), Some(RowState::Missing | RowState::Delivered))
    };
    let Some(causes) = &view.causes else {
        return html! {
            h2 { "Not sent, by cause" }
            p data-soon { "The causes are being counted: look again in a moment." }
        };
    };
    let (unfound, unsent): (Vec<&CauseGroup>, Vec<&CauseGroup>) = causes.groups.iter().partition(is_sent);
    html! {
        @for (heading, causes) in [("Not sent, by cause", unsent), ("Sent, but not found, by cause", unfound)] {
            @if !causes.is_empty() {
                h2 { (heading) }
                div.scroll role="region" aria-label=(heading) tabindex="0" { table {
                    thead { tr {
                        th scope="col" { "Code" } th.number scope="col" { "Rows" } th scope="col" { "Reason" }
                        th scope="col" { "First " (thing) "s" }
                    } }
                    tbody { @for cause in causes { (cause_rows(cause)) } }
                } }
            }
        }
        @if !causes.groups.is_empty() { p.soft { "Causes as of " (moment(causes.at)) "." } }
    }
}

fn cause_rows(cause: &CauseGroup) -> Markup {
    let lines = |reason: &ReasonGroup| {
        let lines: Vec<String> = reason.first_lines.iter().map(ToString::to_string).collect();
        let more = if reason.rows > reason.first_lines.len() as u64 { ", …" } else { "" };
        format!("{}{more}", lines.join(", "))
    };
    html! {
        @for reason in &cause.reasons {
            tr {
                td { code { (cause.code) } }
                td.number { (reason.rows) }
                td.long { (reason.reason) }
                td { (lines(reason)) }
            }
        }
        @if cause.more_reasons > 0 {
            tr { td { code { (cause.code) } } td.number { (cause.more_rows()) } td colspan="2" { "and " (count(cause.more_reasons, "more reason")) } }
        }
    }
}

fn downloads(visitor: &Visitor, view: &RunView) -> Markup {
    html! {
        @if !view.results.is_empty() {
            h2 { "Result files" }
            @if visitor.trusted().is_ok() {
                ul {
                    @for kind in view.results.kinds() {
                        li { a href=(format!("/runs/{}/{kind}", view.run.id)) download { (kind) } }
                    }
                }
            } @else {
                p { "They hold people's addresses: " a href=(SIGN_IN) { "sign in" } " to download them." }
            }
        }
    }
}

/// What can be done, for whoever may.
fn actions(visitor: &Visitor, view: &RunView) -> Markup {
    html! {
        @if view.can_approve() || view.can_retry() || view.can_cancel() {
            h2 { "Do something" }
            @match visitor {
                Visitor::Person(visit) => (buttons(visit, view)),
                Visitor::Stranger { may_sign_in: true } | Visitor::Program => {
                    p { a href=(format!("{SIGN_IN}?to=/runs/{}", view.run.id)) { "Sign in" } " to " (view.may_be()) " it." }
                },
                Visitor::Stranger { may_sign_in: false } => {
                    p.soft { "Nothing can be changed here: " code { "web.token" } " is not set." }
                },
            }
        }
    }
}

fn buttons(visit: &Visit, view: &RunView) -> Markup {
    let run = view.run.id;
    html! {
        div.actions {
            @if view.can_approve() { (approval(visit, view)) }
            @if view.can_retry() {
                form.inline method="post" action=(format!("/runs/{run}/retry")) {
                    (signed(visit)) button type="submit" { "Retry what failed" }
                }
            }
            @if view.can_cancel() {
                details {
                    summary { "Cancel it…" }
                    form.inline method="post" action=(format!("/runs/{run}/cancel")) {
                        (signed(visit))
                        p { "Rows that are not sent yet will not be. What is in a request ends as that does." }
                        button.danger type="submit" { "Cancel run " (run) }
                    }
                }
            }
        }
    }
}

impl RunView {
    fn can_approve(&self) -> bool {
        self.run.status == RunStatus::Held
    }

    /// What whoever signs in may do to it, in words.
    fn may_be(&self) -> String {
        let all =
            [(self.can_approve(), "approve"), (self.can_retry(), "retry"), (self.can_cancel(), "cancel")];
        let words: Vec<&str> = all.into_iter().filter_map(|(can, word)| can.then_some(word)).collect();
        words.join(" or ")
    }

    fn can_retry(&self) -> bool {
        self.numbers.as_ref().is_some_and(|numbers| {
            let counts = &numbers.counts;
            let is_stopped = self.run.status == RunStatus::Failed && counts.pending > 0;
            counts.failed + counts.missing > 0 || is_stopped
        })
    }

    fn can_cancel(&self) -> bool {
        let is_open = self.run.finished_at.is_none();
        let has_pending = self.numbers.as_ref().is_some_and(|numbers| numbers.counts.pending > 0);
        is_open || (self.run.status != RunStatus::Canceled && has_pending)
    }
}
