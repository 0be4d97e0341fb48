//! One client for one key: connections are kept, redirects are not followed, nothing is repeated.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::{Host, Url};

use super::look_up::SlugRoutes;
use super::reply::{Identity, Reply};
use super::routes::Routes;
use super::wire::Odd;
use super::{beta, v1};
use crate::clock::Clock;
use crate::domain::batch::{contact_bytes, item_bytes};
use crate::domain::dialect::Dialect;
use crate::domain::tag::TagSet;
use crate::domain::verdict::{Cause, Verdict};

const KEY_HEADER: HeaderName = HeaderName::from_static("x-luma-api-key");
const CALENDAR_HEADER: HeaderName = HeaderName::from_static("x-luma-calendar-id");
/// Luma's proxies and ours drop idle connections; ours go first.
const IDLE: Duration = Duration::from_secs(30);

/// What a client needs.
#[derive(Debug)]
pub struct ClientOptions {
    /// The generation of the API that the key speaks.
    pub dialect: Dialect,
    /// The calendar that an organization's key is to act on.
    pub calendar_id: Option<String>,
    /// Where the API lives, without a trailing slash.
    pub base_url: Url,
    /// The key.
    pub api_key: SecretString,
    /// For a whole request.
    pub timeout: Duration,
    /// For the connection alone.
    pub connect_timeout: Duration,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The key holds characters that no header can.
    #[error(
        "the API key holds characters that cannot be sent\nhint: see that the secret has no line break or quote in it"
    )]
    Key,
    /// The id of the calendar holds characters that no header can.
    #[error(
        "`luma.calendar_id` holds characters that cannot be sent\nhint: write the id that Luma shows for the calendar"
    )]
    Calendar,
    /// TLS or the resolver could not be set up.
    #[error("cannot set up the HTTP client")]
    Build(#[source] reqwest::Error),
}

/// Somebody who is imported. The beta knows no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact<'a> {
    /// The address as it is sent.
    pub email: &'a str,
    /// The name, if there is one.
    pub name: Option<&'a str>,
}

impl<'a> From<&'a str> for Contact<'a> {
    fn from(email: &'a str) -> Self {
        Self { email, name: None }
    }
}

/// What an answer says, with the reply it was in; or the reply that says nothing of it.
pub type Answered<T> = Result<(T, Reply), Reply>;

/// Luma, as one key sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    dialect: Dialect,
    calendar_id: Option<String>,
    pub(super) http: reqwest::Client,
    /// For requests that may not be repeated: see `event`.
    pub(super) once: reqwest::Client,
    pub(super) once_timeout: Duration,
    pub(super) base: String,
    timeout: Duration,
    pub(super) slug_routes: Arc<SlugRoutes>,
    pub(super) clock: Clock,
}

impl Client {
    /// A client for one key.
    #[expect(clippy::disallowed_methods, reason = "the one place that builds a client, with its limits")]
    pub fn new(options: &ClientOptions, clock: Clock) -> Result<Self, ClientError> {
        // Fails only where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut key = HeaderValue::from_str(options.api_key.expose_secret()).map_err(|_| ClientError::Key)?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(KEY_HEADER, key)]);
        if let Some(id) = &options.calendar_id {
            headers.insert(CALENDAR_HEADER, HeaderValue::from_str(id).map_err(|_| ClientError::Calendar)?);
        }
        let builder = || {
            let builder = reqwest::Client::builder()
                .default_headers(headers.clone())
                .user_agent(concat!("lumasync/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(options.connect_timeout)
                .tcp_nodelay(true);
            // A proxy for the outside has no way back to this machine.
            if is_loopback(&options.base_url) { builder.no_proxy() } else { builder }
        };
        let http = builder().timeout(options.timeout).pool_idle_timeout(IDLE);
        // While it connects it can run out of time to connect only: then nothing has left for sure.
        let once_timeout = options.connect_timeout + options.timeout;
        let once = builder().timeout(once_timeout).pool_max_idle_per_host(0).http1_only();
        Ok(Self {
            dialect: options.dialect,
            calendar_id: options.calendar_id.clone(),
            http: http.build().map_err(ClientError::Build)?,
            once: once.build().map_err(ClientError::Build)?,
            once_timeout,
            base: options.base_url.as_str().trim_end_matches('/').to_owned(),
            timeout: options.timeout,
            slug_routes: Arc::default(),
            clock,
        })
    }

    /// Where each thing is asked for.
    #[must_use]
    pub const fn routes(&self) -> &'static Routes {
        Routes::of(self.dialect)
    }

    /// Whether members are imported with their names.
    #[must_use]
    pub const fn takes_names(&self) -> bool {
        match self.dialect {
            Dialect::Beta2021 => false,
            Dialect::V1 => true,
        }
    }

    /// The bytes a member takes in the body of an import.
    #[must_use]
    pub fn contact_bytes(&self, contact: &Contact<'_>) -> usize {
        match self.dialect {
            Dialect::Beta2021 => item_bytes(contact.email),
            Dialect::V1 => contact_bytes(contact.email, contact.name),
        }
    }

    /// Imports members, with tags for all of them.
    pub async fn import<'a>(
        &self,
        tags: &TagSet,
        contacts: impl Iterator<Item = Contact<'a>> + Clone,
    ) -> Reply {
        let asked = contacts.clone().map(|contact| contact.email);
        let body = match self.dialect {
            Dialect::Beta2021 => beta::import_body(tags, contacts.map(|contact| contact.email)),
            Dialect::V1 => v1::import_body(tags, contacts),
        };
        self.send(post(&self.http, self.url(self.routes().import), body)).await.without_those_left_out(asked)
    }

    /// Asks whom the key belongs to. The reply where Luma does not say.
    pub async fn whoami(&self) -> Answered<Identity> {
        let reply = self.send(self.http.get(self.url(self.routes().user))).await;
        reply.says(|answer| {
            let identity = match self.dialect {
                Dialect::Beta2021 => beta::identity(answer),
                Dialect::V1 => v1::identity(answer)?,
            };
            Ok(Identity { calendar: self.calendar_id.clone(), ..identity })
        })
    }

    /// Where a route is, on the server of this client.
    pub(super) fn url(&self, route: &str) -> String {
        let path = route.split_once(' ').map_or(route, |(_, path)| path);
        format!("{}{path}", self.base)
    }

    /// Asks for something that only some dialects have.
    pub(super) async fn ask<T>(
        &self,
        route: Option<&'static str>,
        request: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder,
        read: impl FnOnce(&Value) -> Result<T, Odd>,
    ) -> Answered<T> {
        let Some(route) = route else { return Err(self.not_offered()) };
        self.send(request(&self.http, self.url(route))).await.says(read)
    }

    /// Nothing is sent where the dialect has no such thing.
    fn not_offered(&self) -> Reply {
        let reason = format!("the dialect `{}` has no such route", self.dialect);
        Reply::without_answer(Verdict::Halted { cause: Cause::Route, reason })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        match request.send().await {
            Ok(response) => Reply::read(response, self.timeout, self.clock.now()).await,
            Err(error) => Reply::of_error(&error, self.timeout),
        }
    }
}

/// A request with a body of JSON.
pub(super) fn post(
    http: &reqwest::Client,
    url: String,
    body: impl Into<reqwest::Body>,
) -> reqwest::RequestBuilder {
    http.post(url).header(CONTENT_TYPE, "application/json").body(body)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
