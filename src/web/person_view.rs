//! What is known of one person, as a page: what holds for them, why their rows wait, what happened, which files
//! name them. The sentences are the engine's.

use maud::{Markup, html};

use super::parts::Mood;
use super::searches::Found;
use crate::domain::waiting::Waiting;
use crate::domain::words::{count, moment};
use crate::engine::{TracedFiles, confirmed, happened, printable, suppressed};
use crate::store::{Moment, Story};

/// Moments and lines of files on one page.
const MOMENTS: usize = 300;
const LINES: usize = 300;

/// A row that has no outcome yet.
#[derive(Debug)]
pub(super) struct Waits {
    pub(super) row: i64,
    pub(super) run: Option<i64>,
    /// How it stands, in words.
    pub(super) stands: &'static str,
    pub(super) why: Option<Waiting>,
}

/// What is found so far.
pub(super) fn view(email: &str, found: &Found, waiting: &[Waits]) -> Markup {
    let Found { story, files, fault } = found;
    html! {
        h2 { "On record of " (printable(email)) }
        @if fault.is_some() {
            p.notice.bad role="alert" {
                "Not everything could be read: the database or a folder does not answer just now. Look once more in a moment."
            }
        } @else if !found.is_over() {
            p.notice role="status" {
                @if story.is_none() { "The queue is searched…" } @else { "Files are searched…" }
                " The page shows more by itself."
            }
        }
        @if let Some(story) = story {
            @if is_nothing(story, files.as_deref()) { p { "No row and no file names this person." } }
            (holds(story))
            (reasons(waiting))
            (timeline(story))
        }
        @if let Some(files) = files { (in_files(files)) }
    }
}

fn is_nothing(story: &Story, files: Option<&TracedFiles>) -> bool {
    story.rows.is_empty() && files.is_some_and(|files| files.files.is_empty())
}

fn holds(story: &Story) -> Markup {
    html! {
        @for entry in &story.suppressed {
            p class={ "notice " (Mood::Warn.class()) } { "Nothing is sent to them: " (suppressed(entry)) "." }
        }
        @if !story.confirmed.is_empty() {
            ul {
                @for known in &story.confirmed { li { (confirmed(known)) " " (run_link(Some(known.run_id))) } }
            }
        }
    }
}

fn reasons(waiting: &[Waits]) -> Markup {
    html! {
        @if !waiting.is_empty() {
            h2 { "Why is this waiting?" }
            ul {
                @for Waits { row, run, stands, why } in waiting {
                    li {
                        "Row " (row) " " (stands) ". "
                        @if let Some(why) = why { (why.said()) " " }
                        (run_link(*run))
                    }
                }
            }
        }
    }
}

fn run_link(run: Option<i64>) -> Markup {
    html! { @if let Some(run) = run { a href=(format!("/runs/{run}")) { "Run " (run) } } }
}

fn timeline(story: &Story) -> Markup {
    let earlier = story.moments.len().saturating_sub(MOMENTS);
    let shown = story.moments.get(earlier..).unwrap_or_default();
    html! {
        @if !shown.is_empty() {
            h2 { "What happened" }
            @if earlier > 0 {
                p { (count(earlier as u64, "earlier moment")) " are not shown: " code { "lumasync trace" } " tells all." }
            }
            div.scroll role="region" aria-label="What happened" tabindex="0" { table {
                thead { tr { th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Where" } } }
                tbody { @for moment_of in shown { (moment_row(story, moment_of)) } }
            } }
        }
    }
}

fn moment_row(story: &Story, moment_of: &Moment) -> Markup {
    html! {
        tr {
            td.nowrap { @match moment_of.at { Some(at) => (moment(at)), None => "at an unknown time" } }
            td.long { (happened(story, moment_of)) }
            td.nowrap { (run_link(story.run_of(&moment_of.what))) }
        }
    }
}

fn in_files(found: &TracedFiles) -> Markup {
    let all = || found.files.iter().flat_map(|file| file.found.hits.iter().map(move |hit| (file, hit)));
    let left = all().count().saturating_sub(LINES);
    html! {
        h2 { "In files" }
        p { (count(found.searched, "file")) " searched." }
        @if !found.files.is_empty() {
            div.scroll role="region" aria-label="Files" tabindex="0" { table {
                thead { tr { th scope="col" { "File" } th.number scope="col" { "Line" } th scope="col" { "Outcome" } } }
                tbody {
                    @for (file, hit) in all().take(LINES) {
                        tr {
                            td.name { (file.name()) }
                            td.number { (hit.line) }
                            td.long { (file.outcome(hit).unwrap_or_default()) @if !hit.is_own { " (named there)" } }
                        }
                    }
                }
            } }
            @if left > 0 { p { (count(left as u64, "more line")) " are not shown: " code { "lumasync trace" } " tells all." } }
        }
        @if !found.unread.is_empty() {
            p { "Not searched:" }
            ul {
                @for (path, why) in &found.unread { li { code { (printable(&path.display().to_string())) } ": " (why) } }
            }
        }
    }
}
