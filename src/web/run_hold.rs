//! What a guard holds a run for, and the button that lets it go.

use maud::{Markup, html};

use super::layout::signed;
use super::run_view::{RunNumbers, RunView};
use super::session::Visit;
use super::sign_in::SIGN_IN;
use super::visitor::Visitor;
use crate::domain::state::RunStatus;
use crate::domain::words::count;
use crate::store::RunSource;

/// Why somebody has to look at it, or had to.
pub(super) fn held_for(visitor: &Visitor, view: &RunView) -> Markup {
    let is_held = view.run.status == RunStatus::Held;
    html! {
        @if !view.concerns.is_empty() {
            h2 { @if is_held { "Held for a person" } @else { "Was held for" } }
            ul { @for concern in &view.concerns { li { (concern.reason) " (" code { (concern.code.as_str()) } ")" } } }
            @if let Some(numbers) = view.numbers.as_ref().filter(|numbers| !numbers.people.is_empty()) { (new_people(visitor, view, numbers)) }
        }
    }
}

/// Addresses are for nobody but whoever is signed in.
fn new_people(visitor: &Visitor, view: &RunView, numbers: &RunNumbers) -> Markup {
    let thing = match view.run.source {
        RunSource::Queue | RunSource::Sql => "row",
        RunSource::Folder | RunSource::File => "line",
    };
    html! {
        @if visitor.trusted().is_ok() {
            p { "New, for example:" }
            ul { @for row in &numbers.people { li { (row.email) " (" (thing) " " (row.place) ")" } } }
        } @else {
            p { a href=(format!("{SIGN_IN}?to=/runs/{}", view.run.id)) { "Sign in" } " to see some of the new people." }
        }
    }
}

/// The way to let it go, with how much that is.
pub(super) fn approval(visit: &Visit, view: &RunView) -> Markup {
    let run = view.run.id;
    // Nobody lets go what they are not told the size of.
    let Some(numbers) = &view.numbers else { return html! {} };
    html! {
        details {
            summary { "Approve it…" }
            form.inline method="post" action=(format!("/runs/{run}/approve")) {
                (signed(visit))
                p {
                    (count(numbers.counts.held, "row")) " will be sent in up to " (count(numbers.to_send, "request"))
                    ", and that you let them go is noted with your name."
                }
                button type="submit" { "Approve run " (run) }
            }
        }
    }
}
