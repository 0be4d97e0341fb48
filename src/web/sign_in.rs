//! Signing in and out: the token once, then a session that the browser keeps.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;
use serde::Deserialize;

use super::access::place_to_go;
use super::fault::Fault;
use super::guard::guesser;
use super::guesses::Guess;
use super::layout::{Here, Page, signed};
use super::server::Ends;
use super::session::LASTS;
use super::site::Site;
use super::visitor::{Act, Asked, Visitor, form_of};

/// Where the form is.
pub(super) const SIGN_IN: &str = "/sign-in";
/// How much of a name is kept.
const NAME_KEPT: usize = 60;

#[derive(Debug, Deserialize)]
pub(super) struct To {
    to: Option<String>,
}

#[derive(Deserialize)]
struct Form {
    token: Option<String>,
    name: Option<String>,
    to: Option<String>,
}

/// The form.
pub(super) async fn form(
    visitor: Visitor,
    Asked(To { to }): Asked<To>,
    State(site): State<Site>,
) -> Response {
    page(&site, &visitor, to.as_deref(), None)
}

fn page(site: &Site, visitor: &Visitor, to: Option<&str>, wrong: Option<&str>) -> Response {
    let to = place_to_go(to.unwrap_or_default());
    let content = html! {
        @if site.token.is_none() {
            p { "There is no token, so nobody can sign in, and nothing can be changed here. Set " code { "web.token" }
                " in the configuration and start lumasync anew." }
        } @else {
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
            form.stack method="post" action=(SIGN_IN) {
                input type="hidden" name="to" value=(to);
                label for="token" { "Token" }
                input id="token" name="token" type="password" required autocomplete="current-password"
                    aria-describedby="token-help";
                p.help id="token-help" { "The secret at the place that " code { "web.token" } " names." }
                label for="name" { "Your name" }
                input id="name" name="name" type="text" maxlength=(NAME_KEPT) autocomplete="name"
                    aria-describedby="name-help";
                p.help id="name-help" { "Noted with what you decide. May be left empty." }
                button type="submit" { "Sign in" }
            }
        }
    };
    Page::new("Sign in", Here::Elsewhere).show(site, visitor, &content)
}

/// What the form says.
pub(super) async fn enter(
    State(site): State<Site>,
    Extension(ends): Extension<Ends>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Fault> {
    let is_https = request.headers().get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let from = guesser(ends, request.headers());
    let Form { token, name, to } = form_of(request, &site).await?;
    let Some(known) = &site.token else { return Err(Fault::NoToken) };
    let now = site.clock.now();
    match site.guesses.judge(from, now, || known.is(token.unwrap_or_default().trim())) {
        Guess::Right => {}
        Guess::TooSoon(wait) => return Err(Fault::TooSoon(wait)),
        Guess::Wrong => {
            tracing::warn!(%from, "somebody gave a wrong token");
            let mut response = page(&site, &visitor, to.as_deref(), Some("This is not the token."));
            *response.status_mut() = axum::http::StatusCode::UNAUTHORIZED;
            return Ok(response);
        }
    }
    let word = site.sessions.begin(noted_name(name.as_deref(), "web"), now).map_err(|error| {
        tracing::error!(%error, "the system has no chance to give");
        Fault::Busy
    })?;
    let cookie = cookie(&word, ends.port, LASTS.as_secs(), is_https);
    let back = Redirect::to(place_to_go(to.as_deref().unwrap_or_default()));
    Ok(([(header::SET_COOKIE, cookie)], back).into_response())
}

/// The name that is noted with decisions. Where somebody gives an address, it is the part that calls them: notes
/// are shown and logged. Without one, it is where the decision came from.
pub(super) fn noted_name(given: Option<&str>, otherwise: &str) -> String {
    let name = given.unwrap_or_default().split('@').next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_KEPT).collect();
    if name.trim().is_empty() { otherwise.to_owned() } else { name.trim().to_owned() }
}

#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// The end of a session.
pub(super) async fn leave(
    State(site): State<Site>,
    Extension(ends): Extension<Ends>,
    Act { visit, form: Nothing {} }: Act<Nothing>,
) -> Response {
    site.sessions.end(&visit);
    site.searches.forget_of(&visit);
    ([(header::SET_COOKIE, cookie("", ends.port, 0, false))], Redirect::to("/")).into_response()
}

/// The button for it.
pub(super) fn leave_button(visitor: &Visitor) -> maud::Markup {
    html! {
        @if let Visitor::Person(visit) = visitor {
            form.inline method="post" action="/sign-out" { (signed(visit)) button.quiet type="submit" { "Sign out" } }
        } @else if matches!(visitor, Visitor::Stranger { may_sign_in: true }) {
            a href=(SIGN_IN) { "Sign in" }
        }
    }
}

/// A name of its own for each port, because browsers do not tell the ports of one host apart.
fn cookie_name(port: u16) -> String {
    format!("lumasync_{port}")
}

/// `Secure` where a proxy says that it speaks TLS to the browser; lumasync itself does not.
fn cookie(word: &str, port: u16, seconds: u64, is_https: bool) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    format!("{}={word}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", cookie_name(port))
}

/// The word of a session that a browser has kept.
pub(super) fn cookie_of(headers: &HeaderMap, port: u16) -> Option<String> {
    let name = cookie_name(port);
    let all = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, word)| word.to_owned())
}
