//! Is all well? One sentence, then what waits, what moves, and what comes.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::chart::Chart;
use super::fault::Fault;
use super::folders::Folders;
use super::history::{History, SPANS};
use super::layout::{Here, Page};
use super::mask::without_cells;
use super::parts::{run_table, worker_place};
use super::site::Site;
use super::snapshot::{AccountState, Snapshot};
use super::verdict::verdict;
use super::visitor::Visitor;
use crate::clock::Time;
use crate::domain::expect::Standing;
use crate::domain::state::RunStatus;
use crate::domain::words::{count, moment, span, time_of_day};
use crate::engine::{FolderView, printable};

/// Files that are named of those that are never taken in.
const IGNORED: usize = 5;

/// The page.
pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Result<Response, Fault> {
    let (snapshot, history) = (site.snapshot().await?, site.history().await?);
    let (mood, sentence) = verdict(&snapshot);
    let content = html! {
        p class={ "lead " (mood.class()) } { (sentence) }
        (for_a_person(&snapshot, &visitor))
        h2 { "Accounts" }
        ul.cards { @for account in &snapshot.accounts { li { (account_card(account, &snapshot)) } } }
        h2 { "The last hours" }
        (charts(&history))
        @if !snapshot.schedules.is_empty() { (next_fires(&snapshot)) }
        h2 { "Last runs" }
        @if snapshot.recent.is_empty() {
            p.soft { "There was no run yet. Drop a file into the folder, or insert rows into the queue table." }
        } @else {
            (run_table(&snapshot.recent, "The last runs, newest first"))
            p { a href="/runs" { "All runs" } }
        }
        (workers(&snapshot))
        p.soft { "As of " (moment(snapshot.at)) "." }
    };
    Ok(Page::new("Overview", Here::Overview).live().show(&site, &visitor, &content))
}

/// What only a person can end.
fn for_a_person(snapshot: &Snapshot, visitor: &Visitor) -> Markup {
    let is_nothing = snapshot.stopped.is_empty()
        && snapshot.standing.is_empty()
        && snapshot.held.is_empty()
        && snapshot.overdue.is_empty()
        && snapshot.unwell.is_empty()
        && snapshot.folders.is_well()
        && snapshot.notices.given_up == 0
        && snapshot.refused().next().is_none()
        && snapshot.unknown() == 0;
    html! {
        @if !is_nothing {
            h2 { "Waits for a person" }
            ul {
                @for (account, why) in snapshot.refused() {
                    li { "Luma refuses the key of account " (account) ": " (why) ". Mend it; it is tried again by itself." }
                }
                @for run in &snapshot.stopped {
                    li { a href=(format!("/runs/{run}")) { "Run " (run) } " stopped with rows left to send." }
                }
                @for (run, why) in &snapshot.standing {
                    li { a href=(format!("/runs/{run}")) { "Run " (run) } " stands still: " (why.trim_start_matches("stopped: ")) "." }
                }
                @for run in &snapshot.held {
                    li { a href=(format!("/runs/{}", run.id)) { "Run " (run.id) } " is held for approval" @if let Some(why) = &run.reason { ": " (why) } "." }
                }
                @if snapshot.unknown() > 0 {
                    li { a href="/events" { (count(snapshot.unknown(), "event")) } " may or may not exist on Luma." }
                }
                @for source in &snapshot.overdue { li { (overdue(source, snapshot)) } }
                (of_folders(&snapshot.folders, visitor))
                @if snapshot.notices.given_up > 0 {
                    li { (count(snapshot.notices.given_up, "notice")) " could not be posted and was given up; the log says why." }
                }
                @for run in &snapshot.unwell {
                    li {
                        a href=(format!("/runs/{}", run.id)) { "Run " (run.id) } " (" (run.label) ") "
                        @match &run.reason {
                            Some(reason) if run.status == RunStatus::Failed => { "failed: " (reason) "." },
                            _ => { "left rows that were not sent." },
                        }
                    }
                }
            }
        }
    }
}

fn of_folders(folders: &Folders, visitor: &Visitor) -> Markup {
    let FolderView { unreadable, waiting, ignored, failed, failed_files } = &folders.view;
    let path = |path: &std::path::Path| printable(&path.display().to_string());
    let said =
        |reason: &str| if visitor.trusted().is_ok() { reason.to_owned() } else { without_cells(reason) };
    let more = |all: usize, named: usize| count(all.saturating_sub(named) as u64, "more file");
    html! {
        @for (folder, why) in unreadable {
            li { "The folder " code { (path(folder)) } " cannot be looked through: " (why) "." }
        }
        @for file in failed {
            li {
                code { (path(&file.path)) } " could not be taken in: " (said(&file.reason))
                ". Mend it and drop it anew, or take it away."
            }
        }
        @if *failed_files > failed.len() { li { (more(*failed_files, failed.len())) " could not be taken in." } }
        @if folders.are_left() {
            li { (count(*waiting as u64, "file")) " in the drop folder: " a href="/schedules" { (folders.paused.join(", ")) " is paused." } }
        }
        @for (file, why) in ignored.iter().take(IGNORED) {
            li { code { (path(file)) } " is never taken in: " (why) "." }
        }
        @if ignored.len() > IGNORED { li { (more(ignored.len(), IGNORED)) " are never taken in." } }
    }
}

fn overdue(source: &super::snapshot::OverdueSource, snapshot: &Snapshot) -> Markup {
    let every = span(source.expected.every.unwrap_or_default());
    html! {
        "Source " code { (source.name) } ": "
        @match (source.standing, source.last) {
            (Standing::Late, None) => { "it has never come, and is expected every " (every) "." },
            (Standing::Late, Some(pass)) => {
                "it came last " (span(snapshot.at.since(pass.at))) " ago, and is expected every " (every) "."
            },
            (Standing::Short | Standing::Met, last) => {
                "it had " (count(last.map_or(0, |pass| pass.rows), "row")) ", and at least "
                (source.expected.min_rows.unwrap_or_default()) " are expected."
            },
        }
    }
}

fn account_card(account: &AccountState, snapshot: &Snapshot) -> Markup {
    let AccountState { depth, events, proof, .. } = account;
    html! {
        h3 { (account.name) }
        dl.facts {
            dt { "Queue" }
            dd {
                (depth.new) " new, " (depth.pending) " pending, " (depth.in_flight) " in flight"
                @if depth.held > 0 { ", " (depth.held) " held" }
            }
            @if let Some(oldest) = account.oldest() {
                dt { "Oldest" } dd { (span(snapshot.at.since(oldest))) }
            }
            @if events.new + events.pending + events.in_flight + events.unknown + events.created > 0 {
                dt { "Events" }
                dd { (events.new + events.pending) " waiting, " (events.unknown) " unknown, " (events.created) " created" }
            }
            dt { "Ledger" } dd { (count(account.members, "member")) }
            @if proof.people > 0 { dt { "To verify" } dd { (count(proof.people, "row")) } }
            dt { "Quota" }
            dd {
                @match &account.quota {
                    Some(quota) => {
                        (quota.left) " of " (quota.allowed) " requests left in " (span(quota.window))
                        @if let Some(at) = quota.room_at { "; room at " (time_of_day(at)) }
                    },
                    None => "not configured here; what waits for it is not sent",
                }
            }
            @if let Some((until, why)) = &account.block {
                dt { "Waits" } dd.warn { "until " (moment(*until)) ": " (why) }
            }
        }
    }
}

fn charts(history: &History) -> Markup {
    let rows: Vec<u64> = history.spans.iter().map(|(_, traffic)| traffic.rows).collect();
    let requests: Vec<u64> = history.spans.iter().map(|(_, traffic)| traffic.requests).collect();
    let throttled: u64 = history.spans.iter().map(|(_, traffic)| traffic.throttled).sum();
    let noted: Vec<u64> = history.depths.iter().copied().flatten().collect();
    let depths: Vec<u64> = history.depths.iter().map(|depth| depth.unwrap_or_default()).collect();
    let ends =
        |times: &[Time]| [times.first(), times.last()].map(|at| at.map(|at| hour(*at)).unwrap_or_default());
    let spans = ends(&history.spans.iter().map(|(from, _)| *from).collect::<Vec<_>>());
    let hours = SPANS / 6;
    html! {
        div.charts {
        (Chart {
            title: "Rows in accepted requests",
            words: format!("{} in {hours} h, in spans of 10 min", count(rows.iter().sum(), "row")),
            values: &rows, most: None, ends: spans.clone(),
        }.draw())
        (Chart {
            title: "Requests",
            words: format!("{} in {hours} h, {throttled} throttled; the dashed line is the limit", count(requests.iter().sum(), "request")),
            values: &requests, most: Some(history.allowed).filter(|most| *most > 0), ends: spans.clone(),
        }.draw())
        @if let (Some(last), Some(most)) = (noted.last(), noted.iter().max()) {
            (Chart {
                title: "Waiting",
                words: format!("{last} in the last minute that was noted, {most} at most; while no service runs, nothing is noted"),
                values: &depths, most: None, ends: spans,
            }.draw())
        }
        }
    }
}

/// The time of day to the minute: there is little room below a chart.
fn hour(at: Time) -> String {
    let shown = time_of_day(at);
    shown.rsplit_once(':').map_or_else(|| shown.clone(), |(hour, _)| format!("{hour} UTC"))
}

fn next_fires(snapshot: &Snapshot) -> Markup {
    html! {
        h2 { "Next fires" }
        ul {
            @for fire in &snapshot.schedules {
                li {
                    code { (fire.name) } ": "
                    @match (&fire.next, &fire.shown) {
                        (Some(next), Some(shown)) if fire.zone != "UTC" => { (shown) " " (fire.zone) " (" (moment(*next)) ")" },
                        (Some(next), _) => { (moment(*next)) },
                        (None, _) => { "paused" },
                    }
                }
            }
        }
    }
}

fn workers(snapshot: &Snapshot) -> Markup {
    html! {
        h2 { "Workers" }
        div.scroll role="region" aria-label="Workers" tabindex="0" { table {
            caption { (snapshot.alive()) " alive" }
            thead { tr { th scope="col" { "Worker" } th scope="col" { "Process" } th scope="col" { "Since" } th scope="col" { "Heartbeat" } } }
            tbody {
                @for worker in &snapshot.workers {
                    tr {
                        td { (worker.id) }
                        td.name { (worker_place(worker)) }
                        td.nowrap { (moment(worker.started_at)) }
                        td.name {
                            @if worker.lease_until > snapshot.at { span.good { "alive" } }
                            @else { span.bad { "silent" } ", overdue for " (span(snapshot.at.since(worker.lease_until))) }
                        }
                    }
                }
            }
        } }
    }
}
