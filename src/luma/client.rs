//! One client for one key: connections are kept, redirects are not followed, nothing is repeated.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::beta;
use super::reply::{Identity, Reply};
use crate::clock::Clock;
use crate::domain::tag::TagSet;
use crate::domain::verdict::Verdict;

const KEY_HEADER: &str = "x-luma-api-key";
/// Luma's proxies and ours drop idle connections; ours go first.
const IDLE: Duration = Duration::from_secs(30);

/// What a client needs.
#[derive(Debug)]
pub struct ClientOptions {
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
    /// TLS or the resolver could not be set up.
    #[error("cannot set up the HTTP client")]
    Build(#[source] reqwest::Error),
}

/// Luma, as one key sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// For requests that may not be repeated: see `event`.
    pub(super) once: reqwest::Client,
    pub(super) once_timeout: Duration,
    pub(super) base: String,
    timeout: Duration,
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
        let builder = || {
            let builder = reqwest::Client::builder()
                .default_headers(HeaderMap::from_iter([(
                    reqwest::header::HeaderName::from_static(KEY_HEADER),
                    key.clone(),
                )]))
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
            http: http.build().map_err(ClientError::Build)?,
            once: once.build().map_err(ClientError::Build)?,
            once_timeout,
            base: options.base_url.as_str().trim_end_matches('/').to_owned(),
            timeout: options.timeout,
            clock,
        })
    }

    /// Imports members, with tags for all of them: `POST /user/audience/import`.
    pub async fn import<'a>(&self, tags: &TagSet, emails: impl Iterator<Item = &'a str>) -> Reply {
        let request = self
            .http
            .post(format!("{}/user/audience/import", self.base))
            .header(CONTENT_TYPE, "application/json")
            .body(beta::import_body(tags, emails));
        self.send(request).await
    }

    /// Asks whom the key belongs to: `GET /user`. The verdict where Luma does not say.
    pub async fn whoami(&self) -> Result<(Identity, Reply), Reply> {
        let reply = self.send(self.http.get(format!("{}/user", self.base))).await;
        if reply.verdict == Verdict::Accepted { Ok((beta::identity(&reply.body), reply)) } else { Err(reply) }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        match request.send().await {
            Ok(response) => Reply::read(response, self.timeout, self.clock.now()).await,
            Err(error) => Reply::of_error(&error, self.timeout),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
