//! The frame of every page: landmarks, navigation, what was just done.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets::{SCRIPT, STYLE};
use super::session::Visit;
use super::sign_in::leave_button;
use super::site::Site;
use super::visitor::Visitor;

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Overview,
    Runs,
    People,
    Events,
    Schedules,
    Upload,
    Elsewhere,
}

/// Entries of the navigation.
const ENTRIES: [(Here, &str, &str); 6] = [
    (Here::Overview, "/", "Overview"),
    (Here::Runs, "/runs", "Runs"),
    (Here::People, "/people", "People"),
    (Here::Events, "/events", "Events"),
    (Here::Schedules, "/schedules", "Schedules"),
    (Here::Upload, "/upload", "Upload"),
];

/// A page before it has its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    title: &'a str,
    here: Here,
    is_live: bool,
    is_waiting: bool,
}

impl<'a> Page<'a> {
    pub(super) const fn new(title: &'a str, here: Here) -> Self {
        Self { title, here, is_live: false, is_waiting: false }
    }

    /// The page is asked for anew whenever something has changed, where there is a script to do so.
    pub(super) const fn live(self) -> Self {
        Self { is_live: true, ..self }
    }

    /// The page is about to change by itself: it is asked for anew until it has, without a script too.
    pub(super) const fn waiting(self) -> Self {
        Self { is_live: true, is_waiting: true, ..self }
    }

    pub(super) fn show(self, site: &Site, visitor: &Visitor, content: &Markup) -> Response {
        let said = match visitor {
            Visitor::Person(visit) if !visit.is_again => site.sessions.said(visit),
            Visitor::Person(_) | Visitor::Stranger { .. } | Visitor::Program => None,
        };
        html_of(&self.frame(&leave_button(visitor), said.as_deref(), content))
    }

    fn frame(self, corner: &Markup, said: Option<&str>, content: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · lumasync" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(STYLE.path());
                    @if self.is_live { script src=(SCRIPT.path()) defer {} }
                    @if self.is_waiting { noscript { meta http-equiv="refresh" content="2"; } }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        a.name href="/" { "lumasync" }
                        nav aria-label="Pages" {
                            ul {
                                @for (here, path, name) in ENTRIES {
                                    li { a href=(path) aria-current=[(here == self.here).then_some("page")] { (name) } }
                                }
                            }
                        }
                        div.corner { (corner) }
                    }
                    main id="main" tabindex="-1" data-live[self.is_live] {
                        // Said once: a page that shows itself anew keeps what was said.
                        @if let Some(said) = said { p.notice.good role="status" data-said { (said) } }
                        @if self.is_waiting { span data-soon {} }
                        h1 { (self.title) }
                        (content)
                    }
                }
            }
        }
    }
}

/// What a form of a session bears.
pub(super) fn signed(visit: &Visit) -> Markup {
    html! { input type="hidden" name="csrf" value=(visit.csrf); }
}

/// A page for a fault.
pub(super) fn fault_page(status: StatusCode, text: &str) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "Not without a sign-in",
        StatusCode::SERVICE_UNAVAILABLE => "Not just now",
        _ => "That did not work",
    };
    let page = Page::new(title, Here::Elsewhere);
    html_of(&page.frame(&html! {}, None, &html! { p { (text) } p { a href="/" { "To the overview" } } }))
}

fn html_of(page: &Markup) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.0.clone()).into_response()
}
