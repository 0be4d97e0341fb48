//! The client that posts notices: one receiver, no redirects, nothing repeated, little read of the answer.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::sign::{SIGNATURE_HEADER, signature};
use crate::clock::{Clock, Time};
use crate::domain::notice::Heard;

/// For a whole post.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read; people who test are shown that much.
const MOST_READ: usize = 1_024;

/// Why notices cannot be posted there. Never repeats the address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HookError {
    /// It is no address.
    #[error("is no URL: {0}")]
    Url(url::ParseError),
    /// It would travel in the open.
    #[error(
        "must begin with `https://`, or its token would travel in the open; `http://` is for this machine alone"
    )]
    Open,
    /// TLS or the resolver could not be set up.
    #[error("leads to no client: {0}")]
    Build(String),
}

/// The receiver. Cheap to clone; its Debug text shows no more than its host.
#[derive(Clone)]
pub struct Hook {
    http: reqwest::Client,
    url: Url,
    key: Option<SecretString>,
    clock: Clock,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("host", &self.host()).finish_non_exhaustive()
    }
}

/// What came back, in words that hold no address of the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it comes to.
    pub heard: Heard,
    /// What was answered, or why nothing was.
    pub said: String,
    /// The beginning of the answer's body.
    pub body: String,
}

impl Reply {
    /// No answer was waited for any longer.
    #[must_use]
    pub fn cut_off() -> Self {
        Self::unanswered("lumasync ended before the answer".to_owned())
    }

    const fn unanswered(said: String) -> Self {
        Self { heard: Heard { status: None, retry_after: None }, said, body: String::new() }
    }
}

impl Hook {
    /// The receiver at an address, and the key that posts are signed with.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that builds a client for notices, with its limits"
    )]
    pub fn new(url: &SecretString, key: Option<SecretString>, clock: Clock) -> Result<Self, HookError> {
        let url = sound(url)?;
        // Fails only where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("lumasync/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // Posts are rare: nobody would use the connection before the other side drops it.
            .pool_max_idle_per_host(0)
            .http1_only();
        // A proxy for the outside has no way back to this machine.
        let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| HookError::Build(error.without_url().to_string()))?;
        Ok(Self { http, url, key, clock })
    }

    /// The host, which is all that may be shown of the address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether posts are signed.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.key.is_some()
    }

    /// Posts a body and reads what comes back.
    pub async fn post(&self, body: String) -> Reply {
        let seconds = self.clock.now().as_micros().div_euclid(1_000_000);
        let mut request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(signed) = self.key.as_ref().and_then(|key| signature(key, seconds, &body)) {
            request = request.header(SIGNATURE_HEADER, signed);
        }
        match request.body(body).send().await {
            Ok(response) => read(response, self.clock.now()).await,
            Err(error) => Reply::unanswered(in_words(&error)),
        }
    }
}

/// Whether notices can be posted to an address: with TLS anywhere, without it to this machine alone.
fn sound(url: &SecretString) -> Result<Url, HookError> {
    let url = Url::parse(url.expose_secret().trim()).map_err(HookError::Url)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(HookError::Open),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

async fn read(mut response: reqwest::Response, now: Time) -> Reply {
    let status = response.status();
    let retry_after = retry_after(response.headers(), now);
    let mut body = Vec::new();
    // The status has said all that counts: what breaks off here is nobody's loss.
    while body.len() < MOST_READ {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(MOST_READ);
    let said = if status.is_redirection() {
        format!("it answered {status}: redirects are not followed, the address must be the final one")
    } else {
        format!("it answered {status}")
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    Reply { heard: Heard { status: Some(status.as_u16()), retry_after }, said, body }
}

fn retry_after(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Time::from_micros(i64::try_from(date.as_micros()).ok()?).since(now))
}

/// Why there was no answer. The error itself knows the address; its kind does not.
fn in_words(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it cannot be reached"
    } else {
        "the connection broke before an answer"
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(url: &str) -> Result<Hook, HookError> {
        Hook::new(&url.into(), Some("s3cret".into()), Clock::manual(Time::from_micros(0)))
    }

    #[test]
    fn an_address_is_https_or_on_this_machine_and_never_shown() {
        for url in [
            "https://hooks.example.org/t0ken",
            "http://127.0.0.1:9/t0ken",
            "http://localhost/t0ken",
            "http://[::1]/t0ken",
        ] {
            let text = format!("{:?}", hook(url).expect(url));
            assert!(!text.contains("t0ken") && !text.contains("s3cret"), "{text}");
        }
        for url in
            ["http://hooks.example.org/t0ken", "http://10.0.0.1/t0ken", "ftp://localhost/t0ken", "t0ken"]
        {
            let error = hook(url).expect_err(url);
            let text = format!("{error} {error:?}");
            assert!(!text.contains("t0ken"), "{text}");
        }
    }

    #[test]
    fn a_wait_is_read_in_both_spellings() {
        let now = Time::from_micros(784_111_777_000_000);
        let read = |text: &'static str| {
            retry_after(
                &HeaderMap::from_iter([(RETRY_AFTER, reqwest::header::HeaderValue::from_static(text))]),
                now,
            )
        };
        assert_eq!(read(" 120 "), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
    }
}
