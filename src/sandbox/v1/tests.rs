//! The dialect seen from outside: over real connections, as a client meets it.

mod contacts;
mod events;
mod faults;
mod guests;
mod limits;
mod state;
mod status;
mod tags;

use std::time::Duration;

use hyper::Method;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::clock::{Clock, Time};
use crate::sandbox::{FurtherKey, Limit, Malformed, Options, Sandbox};

const KEY: &str = "sandbox-key";
const IMPORT: &str = "/v1/calendars/contacts/import";
const LIST: &str = "/v1/calendars/contacts/list";
const CREATE: &str = "/v1/events/create";

/// A sandbox, a client, and the clock of both.
struct Bench {
    sandbox: Sandbox,
    client: Client,
    clock: Clock,
}

/// Options with these settings.
fn set(settings: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    for (key, value) in settings {
        options.settings.set(key, value).expect("a setting");
    }
    options
}

fn faulty(faults: &str) -> Options {
    Options { faults: faults.parse().expect("faults"), ..Options::default() }
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "a bare client shows what the sandbox sends")]
    async fn new(options: Options) -> Self {
        // Fails only where another test came first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(Time::from_micros(1_767_225_600_000_000));
        let sandbox = Sandbox::start(options, clock.clone()).await.expect("a sandbox");
        Self { sandbox, client: Client::builder().no_proxy().build().expect("a client"), clock }
    }

    /// One request with these headers; the key is among them or not there.
    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let request = self.client.request(method, self.sandbox.url() + path).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.expect("an answer")
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        told(self.send(Method::GET, path, &[("x-luma-api-key", KEY)], "").await).await
    }

    async fn post(&self, path: &str, body: impl Into<Value>) -> (u16, Value) {
        let body = body.into().to_string();
        told(self.send(Method::POST, path, &[("x-luma-api-key", KEY)], &body).await).await
    }

    /// Imports these addresses with these tags, which is answered well.
    async fn import(&self, emails: &[&str], tags: &[&str]) {
        let contacts: Vec<Value> = emails.iter().map(|email| json!({ "email": email })).collect();
        let answer = self.post(IMPORT, json!({ "contacts": contacts, "tags": tags })).await;
        assert_eq!(answer, (200, json!({})));
    }

    /// A tag with this name; its id.
    async fn tag(&self, name: &str) -> String {
        let (status, answer) = self.post("/v1/calendars/contact-tags/create", json!({ "name": name })).await;
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The addresses of one page.
    async fn emails(&self, query: &str) -> Vec<String> {
        let (status, page) = self.get(&format!("{LIST}?{query}")).await;
        assert_eq!(status, 200, "{page}");
        emails(&page)
    }

    fn counts(&self) -> crate::sandbox::Snapshot {
        self.sandbox.snapshot()
    }
}

fn emails(page: &Value) -> Vec<String> {
    let rows = page["entries"].as_array().expect("rows");
    rows.iter().map(|row| row["email"].as_str().expect("an address").to_owned()).collect()
}

async fn told(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a text");
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn refusal(message: &str) -> Value {
    json!({ "message": message, "code": null })
}

fn event(name: &str, slug: Option<&str>) -> Value {
    let mut event = json!({ "name": name, "start_at": "2026-12-03T18:00:00Z", "timezone": "Europe/Lisbon" });
    if let Some(slug) = slug {
        event["slug"] = slug.into();
    }
    event
}
