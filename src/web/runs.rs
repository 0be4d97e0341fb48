//! Runs, newest first: filtered, searched, page by page.
//!
//! A search is sent as a form, because what people search for may be an address, and addresses of pages are kept
//! by browsers and proxies.

use axum::extract::{Request, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::fault::Fault;
use super::layout::{Here, Page};
use super::mask::text_without_addresses;
use super::parts::run_table;
use super::site::Site;
use super::token::{hex, unhex};
use super::visitor::{Asked, Visitor, form_of};
use crate::domain::state::{Kind, RunStatus};
use crate::store::RunFilter;

/// Runs on one page.
const PAGE: u32 = 50;
/// The longest text that is searched for. A database takes no pattern of any length.
const LONGEST: usize = 200;

/// What people ask for, as they sent it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wanted {
    status: Option<String>,
    account: Option<String>,
    kind: Option<String>,
    text: Option<String>,
    /// The text as it was typed, in figures: whoever is not known sees none of it that is an address.
    typed: Option<String>,
    before: Option<String>,
}

impl Wanted {
    /// Without what may not stand in an address.
    pub(super) fn without_text(self) -> Self {
        Self { text: None, typed: None, ..self }
    }

    /// With the text as it was typed, where it came back as it was shown.
    fn with_typed(self) -> Self {
        let typed = self.typed.as_deref().and_then(unhex);
        match (&self.text, &typed) {
            (Some(text), Some(typed)) if *text == text_without_addresses(typed) => {
                Self { text: Some(typed.clone()), ..self }
            }
            _ => self,
        }
    }

    /// The same as the store takes it.
    pub(super) fn filter(&self) -> Result<RunFilter, Fault> {
        if self.text.as_ref().is_some_and(|text| text.encode_utf16().count() > LONGEST) {
            return Err(Fault::Wrong(format!(
                "No text is searched for that has more than {LONGEST} characters."
            )));
        }
        Ok(RunFilter {
            status: known(self.status.as_deref(), RunStatus::parse, "status")?,
            account: self.account.clone(),
            kind: known(self.kind.as_deref(), Kind::parse, "kind")?,
            text: self.text.as_ref().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
            before: known(self.before.as_deref(), |text| text.parse().ok(), "before")?,
        })
    }
}

/// A word that may be left out, and must be one that is known where it is there.
pub(super) fn known<T>(
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    name: &str,
) -> Result<Option<T>, Fault> {
    let odd = || Fault::Wrong(format!("There is no such `{name}`."));
    text.map(|text| parse(text).ok_or_else(odd)).transpose()
}

/// By address.
pub(super) async fn page(
    State(site): State<Site>,
    visitor: Visitor,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Fault> {
    show(&site, &visitor, &wanted.without_text()).await
}

/// By form. It changes nothing, so whoever may read may send it.
pub(super) async fn search(
    State(site): State<Site>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Fault> {
    let wanted: Wanted = form_of(request, &site).await?;
    show(&site, &visitor, &wanted.with_typed()).await
}

async fn show(site: &Site, visitor: &Visitor, wanted: &Wanted) -> Result<Response, Fault> {
    let filter = wanted.filter()?;
    let mut runs = site.store.runs_page(&filter, PAGE + 1).await?;
    let has_more = runs.len() > PAGE as usize;
    runs.truncate(PAGE as usize);
    let accounts: Vec<String> =
        site.store.accounts().await?.into_iter().map(|account| account.name).collect();
    let last = runs.last().map(|run| run.id);
    let content = html! {
        (form(wanted, &accounts))
        @if runs.is_empty() { p { "There is no such run." } }
        @else { (run_table(&runs, "Newest first")) }
        nav.actions aria-label="More runs" {
            @if filter.before.is_some() { (turn(wanted, None, "Newest")) }
            @if has_more && let Some(last) = last { (turn(wanted, Some(last), "Older")) }
        }
    };
    Ok(Page::new("Runs", Here::Runs).show(site, visitor, &content))
}

fn form(wanted: &Wanted, accounts: &[String]) -> Markup {
    let statuses: Vec<&str> = RunStatus::ALL.iter().map(|status| status.as_str()).collect();
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    html! {
        search { form.row method="post" action="/runs" {
            (choice("status", "Status", &statuses, wanted.status.as_deref()))
            (choice("kind", "Rows", &kinds, wanted.kind.as_deref()))
            @if accounts.len() > 1 { (choice("account", "Account", &accounts, wanted.account.as_deref())) }
            div {
                label for="text" { "File or source" }
                input id="text" name="text" type="search" maxlength=(LONGEST) value=[wanted.text.as_deref()];
                (typed(wanted))
            }
            button type="submit" { "Show" }
        } }
    }
}

fn choice(name: &str, label: &str, words: &[&str], chosen: Option<&str>) -> Markup {
    html! {
        div {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "all" }
                @for word in words { option value=(word) selected[chosen == Some(*word)] { (word) } }
            }
        }
    }
}

/// Another page of the same: a form too, since it repeats the search.
fn turn(wanted: &Wanted, before: Option<i64>, label: &str) -> Markup {
    let fields = [
        ("status", &wanted.status),
        ("account", &wanted.account),
        ("kind", &wanted.kind),
        ("text", &wanted.text),
    ];
    html! {
        form.inline method="post" action="/runs" {
            @for (name, value) in fields {
                @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
            }
            @if let Some(before) = before { input type="hidden" name="before" value=(before); }
            (typed(wanted))
            button.quiet type="submit" { (label) }
        }
    }
}

fn typed(wanted: &Wanted) -> Markup {
    html! {
        @if let Some(text) = &wanted.text { input type="hidden" name="typed" value=(hex(text.as_bytes())); }
    }
}
