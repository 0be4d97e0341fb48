//! One person: looked for by an address that is sent as a form, and shown to whoever has sent it.
//!
//! What is found names people, so that nobody sees it who is not signed in; and the address of the page says
//! nothing of whom it is about.

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::HeaderName;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::fault::Fault;
use super::layout::{Here, Page, signed};
use super::person_view::{Waits, view};
use super::session::Visit;
use super::sign_in::SIGN_IN;
use super::site::Site;
use super::visitor::{Act, Visitor};
use crate::domain::state::RowState;
use crate::domain::waiting::{RowFacts, Waiting};
use crate::engine::waits;
use crate::store::{PersonRow, Story};

/// Where the form is.
const PEOPLE: &str = "/people";
/// The longest address that is looked for.
const LONGEST: usize = 400;
/// Rows of which is said why they wait.
const ROWS: usize = 20;
/// Asks for the page once more, in a second: there may be no script.
const AGAIN: (HeaderName, HeaderValue) = (HeaderName::from_static("refresh"), HeaderValue::from_static("1"));

/// The form.
pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let content = match &visitor {
        Visitor::Person(visit) => form(visit, None),
        Visitor::Stranger { may_sign_in: true } | Visitor::Program => html! {
            p { a href=(format!("{SIGN_IN}?to={PEOPLE}")) { "Sign in" } " to look for somebody: what is shown names people." }
        },
        Visitor::Stranger { may_sign_in: false } => html! {
            p.soft { "Nobody can be looked for here: " code { "web.token" } " is not set. "
                code { "lumasync trace" } " tells the same." }
        },
    };
    Page::new("People", Here::People).show(&site, &visitor, &content)
}

fn form(visit: &Visit, email: Option<&str>) -> Markup {
    html! {
        search { form.stack method="post" action=(PEOPLE) {
            (signed(visit))
            label for="email" { "Address" }
            input id="email" name="email" type="search" inputmode="email" required maxlength=(LONGEST) value=[email]
                autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="email-help";
            p.help id="email-help" {
                "All rows, requests and files that name it. The whole queue and all files are looked through. The address \
                 stands in no log and in no address of a page, and is forgotten after ten minutes."
            }
            button type="submit" { "Look for them" }
        } }
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    email: Option<String>,
}

/// Begins to look.
pub(super) async fn search(
    State(site): State<Site>,
    Act { visit, form: Wanted { email } }: Act<Wanted>,
) -> Result<Response, Fault> {
    let email = email.unwrap_or_default();
    if email.len() > LONGEST {
        return Err(Fault::Wrong(format!("No address is longer than {LONGEST} bytes.")));
    }
    let word = site.search(&visit, &email).await?;
    tracing::info!(by = visit.person, "somebody is looked for");
    Ok(Redirect::to(&format!("{PEOPLE}/{word}")).into_response())
}

/// What is found so far.
pub(super) async fn result(
    State(site): State<Site>,
    visitor: Visitor,
    Path(word): Path<String>,
) -> Result<Response, Fault> {
    visitor.trusted()?;
    let Visitor::Person(visit) = &visitor else { return Err(Fault::NotFound) };
    site.heed_removals().await?;
    let Some(search) = site.searches.find(visit, &word, site.clock.now()) else {
        site.sessions.say(visit, "What was found is forgotten by now: look for them once more.".to_owned());
        return Ok(Redirect::to(PEOPLE).into_response());
    };
    let found = search.found().await;
    let waiting = match &found.story {
        Some(story) => site.waiting_rows(story).await?,
        None => Vec::new(),
    };
    let content = html! { (form(visit, Some(&search.email))) (view(&search.email, &found, &waiting)) };
    let mut response = Page::new("People", Here::People).show(&site, &visitor, &content);
    if !found.is_over() {
        response.headers_mut().extend([AGAIN]);
    }
    Ok(response)
}

impl Site {
    /// Why the first of somebody's rows wait that do.
    async fn waiting_rows(&self, story: &Story) -> Result<Vec<Waits>, Fault> {
        let mut all = Vec::new();
        let rows = story.rows.iter().filter_map(|row| Some((row, waits(row)?)));
        for (row, stands) in rows.take(ROWS) {
            let why = self.row_waits(row).await?;
            all.push(Waits { row: row.id, run: row.run_id, stands, why });
        }
        Ok(all)
    }

    async fn row_waits(&self, row: &PersonRow) -> Result<Option<Waiting>, Fault> {
        let Some(state) = RowState::parse(&row.state) else { return Ok(None) };
        let facts = self.facts_within(&row.account, row.run_id, row.due_at).await?;
        let row = RowFacts { state, is_in_flight: row.is_in_flight, is_sought: row.is_sought };
        Ok(Waiting::of_row(row, &facts, self.clock.now()))
    }
}
