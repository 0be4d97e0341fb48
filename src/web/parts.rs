//! Pieces that several pages have.

use maud::{Markup, html};

use crate::domain::event::EventState;
use crate::domain::schedule::FireState;
use crate::domain::state::RunStatus;
use crate::domain::waiting::Waiting;
use crate::domain::words::moment;
use crate::engine::is_here;
use crate::store::{Run, Worker};

/// How something stands, for the eye; the words say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Warn,
    Bad,
    Plain,
}

impl Mood {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }

    /// Of a run.
    pub(super) const fn of(status: RunStatus) -> Self {
        match status {
            RunStatus::Succeeded => Self::Good,
            RunStatus::Partial | RunStatus::Held => Self::Warn,
            RunStatus::Failed => Self::Bad,
            RunStatus::Queued | RunStatus::Running | RunStatus::Canceled => Self::Plain,
        }
    }
}

/// The status of a run.
pub(super) fn status(status: RunStatus) -> Markup {
    html! { span class=(Mood::of(status).class()) { (status) } }
}

/// The state of an event.
pub(super) fn event_state(state: &str) -> Markup {
    let mood = match EventState::parse(state) {
        Some(EventState::Created) => Mood::Good,
        Some(EventState::Unknown) => Mood::Warn,
        Some(EventState::Rejected | EventState::Failed | EventState::Invalid) => Mood::Bad,
        Some(
            EventState::New
            | EventState::Pending
            | EventState::InFlight
            | EventState::Duplicate
            | EventState::Canceled,
        )
        | None => Mood::Plain,
    };
    html! { span class=(mood.class()) { (state) } }
}

/// The state of a fire.
pub(super) fn fire_state(state: FireState) -> Markup {
    let mood = match state {
        FireState::Succeeded => Mood::Good,
        FireState::Partial | FireState::Skipped => Mood::Warn,
        FireState::Failed => Mood::Bad,
        FireState::Queued | FireState::Running => Mood::Plain,
    };
    html! { span class=(mood.class()) { (state) } }
}

/// Runs as a table.
pub(super) fn run_table(runs: &[Run], caption: &str) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" { table {
            caption { (caption) }
            thead { tr {
                th scope="col" { "Run" } th scope="col" { "Status" } th scope="col" { "What" } th scope="col" { "Account" }
                th.number scope="col" { "Rows read" } th scope="col" { "Began" }
            } }
            tbody {
                @for run in runs {
                    tr {
                        th scope="row" { a href=(format!("/runs/{}", run.id)) { (run.id) } }
                        td { (status(run.status)) }
                        td.name { (run.label) @if run.kind == crate::domain::state::Kind::Events { span.soft { " (events)" } } }
                        td.nowrap { (run.account) }
                        td.number { (run.read_rows) }
                        td.nowrap { (moment(run.created_at)) }
                    }
                }
            }
        } }
    }
}

/// Which process it is, and where.
pub(super) fn worker_place(worker: &Worker) -> String {
    let pid = worker.identity.pid;
    if is_here(&worker.identity) {
        format!("{pid} on this machine")
    } else {
        format!("{pid} on another machine")
    }
}

/// Why something waits, where it is shown.
pub(super) fn why_it_waits(waiting: &Waiting) -> Markup {
    html! {
        p class={ "notice " (if waiting.needs_a_person() { Mood::Bad } else { Mood::Plain }.class()) } {
            strong { "Why is this waiting? " } (waiting.said())
        }
    }
}
