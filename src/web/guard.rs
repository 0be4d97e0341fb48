//! What every request passes on its way in, and every answer on its way out.
//!
//! In: the host, the page it came from, the size and time of its body, who asks. Out: headers that keep a
//! browser from doing more than the page needs, and faults as pages or as JSON.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::response::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http_body_util::LengthLimitError;
use serde_json::json;

use super::access::{is_from_here, is_host_ours, place_to_go};
use super::fault::{Fault, Said};
use super::guesses::Guess;
use super::layout::fault_page;
use super::mask::{without_addresses, without_addresses_in};
use super::server::Ends;
use super::sign_in::{SIGN_IN, cookie_of};
use super::site::Site;
use super::upload::takes_a_file;
use super::visitor::Visitor;
use crate::clock::Clock;

/// Bytes of a body, and how long it may take.
const BODY: usize = 1 << 20;
const BODY_TIME: Duration = Duration::from_secs(10);
/// Paths of programs.
const API: &str = "/api/";
/// What `live.js` says when it asks for its page anew.
const AGAIN: &str = "x-again";
/// What a browser may load and do: nothing but what comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];
/// What a proxy adds: whoever is behind it may be anybody.
const PROXIED: [&str; 10] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
];

/// Dresses faults, and adds the headers that every answer has.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with(API);
    let mut response = next.run(request).await;
    let said = response.extensions().get().cloned().or_else(|| undressed(&response));
    if let Some(Said(text)) = said {
        let (status, mut headers) = (response.status(), response.headers().clone());
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        response = if is_api {
            let body = json!({ "error": text }).to_string();
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        } else {
            fault_page(status, &text)
        };
        *response.status_mut() = status;
        response.headers_mut().extend(headers);
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What the router itself has refused.
fn undressed(response: &Response) -> Option<Said> {
    let is_dressed = is_of_kind(response, &["text/html", "application/", "text/csv", "text/event-stream"]);
    let said = match response.status() {
        _ if is_dressed => return None,
        StatusCode::METHOD_NOT_ALLOWED => "This cannot be asked for in this way.",
        status if status.is_client_error() => "There is nothing here.",
        _ => return None,
    };
    Some(Said(said.to_owned()))
}

/// Lets in who may come, by a name of ours and from a page of ours, with a body of a decent size.
pub(super) async fn admit(
    State(site): State<Site>,
    Extension(ends): Extension<Ends>,
    request: Request,
    next: Next,
) -> Response {
    match checked(&site, ends, request).await {
        Ok(request) => {
            let is_stranger = matches!(request.extensions().get(), Some(Visitor::Stranger { .. }) | None);
            let response = next.run(request).await;
            if is_stranger { for_strangers(response).await } else { response }
        }
        Err(Refusal::Fault(fault)) => fault.into_response(),
        Err(Refusal::SignIn(from)) => Redirect::to(&format!("{SIGN_IN}?to={from}")).into_response(),
    }
}

/// Names that hold an address are shown without it.
async fn for_strangers(response: Response) -> Response {
    let is_json = is_of_kind(&response, &["application/json"]);
    if !is_json && !is_of_kind(&response, &["text/html"]) {
        return response;
    }
    let (parts, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => {
            let text = match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Ok(mut value) if is_json => {
                    without_addresses_in(&mut value);
                    value.to_string()
                }
                _ => without_addresses(&String::from_utf8_lossy(&bytes)),
            };
            Response::from_parts(without_length(parts), Body::from(text))
        }
        Err(_) => Fault::Database.into_response(),
    }
}

/// The length that was told is another's.
fn without_length(mut parts: Parts) -> Parts {
    parts.headers.remove(header::CONTENT_LENGTH);
    parts
}

fn is_of_kind(response: &Response, kinds: &[&str]) -> bool {
    let kind = text(response.headers(), "content-type").unwrap_or_default();
    kinds.iter().any(|known| kind.starts_with(known))
}

enum Refusal {
    Fault(Fault),
    SignIn(String),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

async fn checked(site: &Site, ends: Ends, mut request: Request) -> Result<Request, Refusal> {
    let headers = request.headers();
    let host = host(&request).ok_or(Fault::Foreign("The request names no host, or several."))?;
    if !is_host_ours(host, ends.to, &site.hosts) {
        return Err(Fault::Foreign(
            "This is not a name of these pages. If it is meant to be one, add it to `web.hosts`.",
        )
        .into());
    }
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    let (origin, fetch_site) = (text(headers, "origin"), text(headers, "sec-fetch-site"));
    if is_change && !is_from_here(host, origin, fetch_site, &site.hosts) {
        return Err(Fault::OtherSite.into());
    }
    let visitor = visitor(site, ends, headers)?;
    let path = request.uri().path();
    if !visitor.may_read(site, headers) && !is_public(path) {
        let is_page = *request.method() == Method::GET && !path.starts_with(API) && path != "/metrics";
        let from = request.uri().path_and_query().map_or("/", |from| from.as_str());
        // What is behind the `?` may be an address that somebody typed; a stream is no place to come back to.
        let from = if path == "/live" { "/" } else { place_to_go(from) };
        return Err(if is_page { Refusal::SignIn(escaped(from)) } else { Fault::SignIn.into() });
    }
    request.extensions_mut().insert(visitor);
    // An upload is read by its own rules, once it is known who sends it and by which form.
    if is_change && !takes_a_file(request.uri().path()) {
        request = with_body(request).await?;
    }
    Ok(request)
}

/// The one host that a request names.
fn host(request: &Request) -> Option<&str> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let host = named.next()?.to_str().ok()?;
    let in_target = request.uri().authority().is_none_or(|authority| authority.as_str() == host);
    (named.next().is_none() && in_target).then_some(host)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is not text is no name of ours, and must not count as absent.
    headers.get(name).map(|value| value.to_str().unwrap_or("odd"))
}

/// What must be there for whoever is to sign in.
fn is_public(path: &str) -> bool {
    path == SIGN_IN || path.starts_with("/static/")
}

/// Who asks: a program by the token, a person by their session.
fn visitor(site: &Site, ends: Ends, headers: &HeaderMap) -> Result<Visitor, Fault> {
    let now = site.clock.now();
    let stranger = Visitor::Stranger { may_sign_in: site.token.is_some() };
    if let Some(bearer) = text(headers, "authorization").and_then(|said| said.strip_prefix("Bearer ")) {
        let Some(token) = &site.token else { return Err(Fault::NoToken) };
        return match site.guesses.judge(guesser(ends, headers), now, || token.is(bearer.trim())) {
            Guess::Right => Ok(Visitor::Program),
            Guess::Wrong => {
                tracing::warn!(from = %guesser(ends, headers), "a program gave a wrong token");
                Err(Fault::SignIn)
            }
            Guess::TooSoon(wait) => Err(Fault::TooSoon(wait)),
        };
    }
    let visit = cookie_of(headers, ends.port).and_then(|word| site.sessions.find(&word, now));
    let is_again = headers.contains_key(AGAIN);
    Ok(visit.map_or(stranger, |visit| Visitor::Person(visit.anew(is_again))))
}

/// Whose guess it is: of a proxy on this machine the one for whom it asks, so that nobody pays for others.
pub(super) fn guesser(ends: Ends, headers: &HeaderMap) -> IpAddr {
    let named = || {
        let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    };
    if ends.from.to_canonical().is_loopback() { named().unwrap_or(ends.from) } else { ends.from }
}

impl Visitor {
    /// Where only this machine reaches the pages, whoever does may look, unless a proxy has passed the request on.
    fn may_read(&self, site: &Site, headers: &HeaderMap) -> bool {
        match self {
            Self::Person(_) | Self::Program => true,
            Self::Stranger { .. } => {
                let is_proxied = PROXIED.iter().any(|name| headers.contains_key(*name));
                site.is_open && !is_proxied
            }
        }
    }
}

/// The request with its body read, which may neither be long nor take long.
async fn with_body(request: Request) -> Result<Request, Fault> {
    let (parts, body) = request.into_parts();
    let clock = Clock::system();
    let bytes = tokio::select! {
        read = to_bytes(body, BODY) => read.map_err(|error| {
            let is_too_large = error.source().and_then(|why| why.downcast_ref::<LengthLimitError>()).is_some();
            if is_too_large { Fault::TooLarge } else { Fault::BrokenOff }
        })?,
        () = clock.sleep(BODY_TIME) => return Err(Fault::TooSlow),
    };
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// A path as a value in another address.
fn escaped(path: &str) -> String {
    url::form_urlencoded::byte_serialize(path.as_bytes()).collect()
}

/// What is not there.
pub(super) async fn nowhere() -> Fault {
    Fault::NotFound
}

/// Health is asked by machines under any name, and tells nothing.
pub(super) fn said(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
