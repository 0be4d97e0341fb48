//! A plan on a page: what would be sent, how long that takes, and what to look at first.

use std::time::Duration;

use maud::{Markup, html};

use crate::domain::state::Kind;
use crate::domain::words::{count, moment, span};
use crate::engine::{Outlook, PlannedInput};

/// Tags that are named.
const TAGS: usize = 10;

/// The plan of a file.
pub(super) fn planned(input: &PlannedInput, outlook: &Outlook, max_rows: usize) -> Markup {
    html! {
        (in_short(input, outlook))
        @for concern in &input.concerns {
            p.notice.warn { strong { "It would be held for approval: " } (concern.reason) " (" code { (concern.code) } ")" }
        }
        @for warning in input.all_warnings(max_rows) { p.notice.warn { strong { "Look at this: " } (warning) } }
        @if let Some(run) = input.begun {
            p.notice { "It goes on with " a href=(format!("/runs/{run}")) { "run " (run) } "." }
        }
        (rows(input))
        (cost(input, outlook))
        (tags(input))
        (samples(input))
    }
}

fn in_short(input: &PlannedInput, outlook: &Outlook) -> Markup {
    let people = input.rows.new + input.rows.changed;
    let time = match outlook.at_the_limit(input.requests + outlook.waiting.1) {
        Duration::ZERO => "at once".to_owned(),
        time => format!("{} at the limit", span(time)),
    };
    html! {
        @match (input.kind, people) {
            (_, 0) => p.lead { "Nothing would be sent of it." },
            (Kind::Members, 1) => p.lead { "1 person would be sent in " (count(input.requests, "request")) ": " (time) "." },
            (Kind::Members, _) => {
                p.lead { (people) " people would be sent in " (count(input.requests, "request")) ": " (time) "." }
            }
            (Kind::Events, _) => {
                p.lead { (count(people, "event")) " would be asked for, one request each: " (time) "." }
                p.soft { "Those that are there already are not asked for again; which they are shows when they are taken in." }
            }
        }
    }
}

fn rows(input: &PlannedInput) -> Markup {
    html! {
        h2 { "Rows" }
        table.narrow {
            caption { (count(input.rows.read, "row")) " read; each is in one of these" }
            tbody {
                @for (kind, rows) in input.rows.kinds() {
                    tr { th scope="row" { (kind) } td.number { (rows) } }
                }
                tr { th scope="row" { "read" } td.number { strong { (input.rows.read) } } }
            }
        }
    }
}

fn cost(input: &PlannedInput, outlook: &Outlook) -> Markup {
    let (rows, requests) = outlook.waiting;
    html! {
        h2 { "What it takes" }
        dl.facts {
            @if !input.read_as.is_empty() { dt { "Read as" } dd { (input.read_as) } }
            @if let Some(before) = input.before { dt { "The last time" } dd { (count(before, "row")) } }
            dt { "Requests" } dd { (input.requests) }
            @if rows > 0 {
                dt { "Before it" } dd { (count(rows, "row")) " of earlier runs in " (count(requests, "request")) }
            }
            dt { "Rate limit" } dd { (outlook.left) " of " (outlook.allowed) " requests left" }
            @if let Some((until, why)) = &outlook.blocked { dt { "Blocked" } dd { "until " (moment(*until)) ": " (why) } }
        }
    }
}

fn tags(input: &PlannedInput) -> Markup {
    let tags = input.people_by_tag();
    html! {
        @if !tags.is_empty() {
            h2 { "People by tag" }
            table.narrow {
                caption { "Who would get it" }
                tbody {
                    @for (tag, people) in tags.iter().take(TAGS) { tr { th scope="row" { (tag) } td.number { (people) } } }
                }
            }
            @if tags.len() > TAGS { p.soft { "and " (count((tags.len() - TAGS) as u64, "more tag")) } }
        }
    }
}

fn samples(input: &PlannedInput) -> Markup {
    html! {
        @if !input.samples.is_empty() {
            h2 { "For example" }
            div.scroll role="region" aria-label="For example" tabindex="0" { table {
                caption { "The first " (input.thing()) "s of each kind" }
                thead { tr {
                    th scope="col" { "Kind" } th.number scope="col" { (if input.thing() == "line" { "Line" } else { "Row" }) }
                    th scope="col" { "Address" } th scope="col" { "What is said of it" }
                } }
                tbody { @for (kind, rows) in &input.samples { @for row in rows {
                    tr { th scope="row" { (kind) } td.number { (row.line) } td.name { (row.email) } td.long { (row.said) } }
                } } }
            } }
        }
    }
}
