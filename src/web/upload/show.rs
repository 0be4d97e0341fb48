//! The page of one upload: its plan, then that it lies in the drop folder, then its run.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::plans::Plan;
use super::{Outcome, UPLOAD, Upload, blocking, plan_view};
use crate::domain::schedule::Schedule;
use crate::domain::words::{moment, size};
use crate::engine::{Explained, FolderView};
use crate::web::fault::Fault;
use crate::web::layout::{Here, Page, signed};
use crate::web::session::Visit;
use crate::web::sign_in::SIGN_IN;
use crate::web::site::Site;
use crate::web::visitor::Visitor;

/// The page. Plans show people, so it is for whoever is signed in.
pub(in crate::web) async fn page(
    State(site): State<Site>,
    visitor: Visitor,
    Path(word): Path<String>,
) -> Result<Response, Fault> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && matches!(visitor, Visitor::Stranger { may_sign_in: true }) {
        return Ok(Redirect::to(&format!("{SIGN_IN}?to={UPLOAD}/{word}")).into_response());
    }
    visitor.trusted()?;
    let upload = site.upload(&word).await?;
    let title = format!("Upload: {}", upload.staged.name);
    let page = Page::new(&title, Here::Upload);
    let (page, content) = if upload.staged.is_sent {
        let sent = site.sent(&upload).await?;
        let page = if matches!(sent, Sent::OnItsWay { .. }) { page.waiting() } else { page.live() };
        (page, sent_view(&sent))
    } else {
        let plan = site.plan(&upload).await;
        let is_over = plan.as_ref().is_some_and(|plan| !matches!(plan.outcome, Outcome::Later(_)));
        (if is_over { page } else { page.waiting() }, waiting_view(&site, &visitor, &upload, plan.as_deref()))
    };
    let content = html! { (content) p { a href=(UPLOAD) { "To all uploads" } } };
    Ok(page.show(&site, &visitor, &content))
}

fn waiting_view(site: &Site, visitor: &Visitor, upload: &Upload, plan: Option<&Plan>) -> Markup {
    let may_go = plan.is_some_and(|plan| matches!(plan.outcome, Outcome::Planned(..)));
    html! {
        @match plan.map(|plan| &plan.outcome) {
            None => {
                p.lead role="status" { "It is being looked at. Nothing is sent before you say so." }
                p.soft { "A long list takes a while; the plan is shown here once it is made." }
            }
            Some(Outcome::Planned(input, outlook)) => (plan_view::planned(input, outlook, site.max_rows())),
            Some(Outcome::Before(run, rest)) => {
                p.lead.warn { "These bytes were taken in by " a href=(format!("/runs/{run}")) { "run " (run) } (rest.said()) "." }
                p { "There is nothing to send of this file." }
            }
            Some(Outcome::Refused(why)) => {
                p.lead.bad { "It cannot be taken in." }
                (explained(why))
            }
            Some(Outcome::Later(why)) => {
                p.lead.warn { "It cannot be looked at just now; that is tried again by itself." }
                (explained(why))
            }
        }
        (facts(upload, plan))
        @if let Visitor::Person(visit) = visitor { (buttons(visit, &upload.staged.word, may_go)) }
    }
}

fn explained(Explained { said, hints }: &Explained) -> Markup {
    html! {
        p { (said) }
        @for hint in hints { p { strong { "What to do: " } (hint) } }
    }
}

fn facts(Upload { engine, staged, .. }: &Upload, plan: Option<&Plan>) -> Markup {
    html! {
        h2 { "The file" }
        dl.facts {
            dt { "Holds" } dd { (staged.kind) ", " (size(staged.size)) }
            dt { "Account" } dd { (engine.account()) }
            dt { "Came" } dd { (moment(staged.at)) }
            @if let Some(plan) = plan { dt { "Plan as of" } dd { (moment(plan.at)) } }
            dt { "Waits until" } dd { (moment(staged.until())) ", and is taken away then" }
        }
    }
}

fn buttons(visit: &Visit, word: &str, may_go: bool) -> Markup {
    html! {
        div.actions {
            @if may_go {
                form.inline method="post" action=(format!("{UPLOAD}/{word}/send")) {
                    (signed(visit)) button type="submit" { "Send" }
                }
            }
            form.inline method="post" action=(format!("{UPLOAD}/{word}/discard")) {
                (signed(visit)) button.quiet type="submit" { "Discard" }
            }
        }
    }
}

/// Where a file is that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) enum Sent {
    /// A run has taken it in.
    Run(i64),
    /// It lies in the drop folder or is being read; `schedule` takes it in, where there are times for that, unless it is
    /// paused.
    OnItsWay { schedule: Option<(String, bool)> },
    /// The intake put it aside.
    Failed(String),
}

impl Site {
    /// Where a file is that was sent: its run is known by its bytes.
    pub(in crate::web) async fn sent(&self, upload: &Upload) -> Result<Sent, Fault> {
        let Upload { engine, staging, staged } = upload;
        if let Some(run) = engine.run_of_bytes(staged.kind, &staged.sha256).await? {
            return Ok(Sent::Run(run));
        }
        let inbox = staging.inbox(staged.kind);
        let (name, settings, now) =
            (staged.sent_as.clone(), engine.folder_settings().cloned(), self.clock.now());
        let failed = blocking(move || {
            let (name, settings) = name.zip(settings)?;
            let failed = (!inbox.join(&name).exists()).then(|| FolderView::look(&settings, now).failed)?;
            let is_it = |path: &std::path::Path| path.file_name().is_some_and(|found| *found == *name);
            failed.into_iter().find(|file| is_it(&file.path)).map(|file| file.reason)
        });
        if let Some(reason) = failed.await? {
            return Ok(Sent::Failed(reason));
        }
        let schedule = self.schedules().iter().find(|schedule| schedule.takes_folder());
        let Some(Schedule { name, .. }) = schedule else { return Ok(Sent::OnItsWay { schedule: None }) };
        let is_paused =
            self.store.schedules().await?.iter().any(|known| known.name == *name && known.is_paused);
        Ok(Sent::OnItsWay { schedule: Some((name.clone(), is_paused)) })
    }
}

fn sent_view(sent: &Sent) -> Markup {
    html! {
        @match sent {
            Sent::Run(run) => p.lead.good { "It was sent: " a href=(format!("/runs/{run}")) { "run " (run) } " shows what becomes of it." },
            Sent::OnItsWay { schedule: None } => {
                p.lead role="status" { "It lies in the drop folder and is taken in within seconds." }
                p.soft { "A link to its run stands here as soon as there is one." }
            }
            Sent::OnItsWay { schedule: Some((name, is_paused)) } => {
                p.lead role="status" {
                    "It lies in the drop folder, which the schedule " a href="/schedules" { (name) }
                    @if *is_paused { " takes in; but that is paused." } @else { " takes in when it is due." }
                }
                p.soft { "A link to its run stands here as soon as there is one." }
            }
            Sent::Failed(reason) => {
                p.lead.bad { "It could not be taken in, and lies in the folder " code { "failed" } "." }
                p { (reason) }
            }
        }
    }
}
