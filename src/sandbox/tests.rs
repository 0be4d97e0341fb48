//! The sandbox seen from outside: over real connections, as a client meets it.

mod faults;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::clock::Time;

const KEY: &str = "sandbox-key";
const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

#[expect(clippy::disallowed_methods, reason = "a bare client shows what the sandbox sends")]
fn client(http2: bool) -> Client {
    // Fails only where another test came first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder };
    builder.build().expect("a client")
}

/// A sandbox, one client that keeps its connections, and the clock of both.
struct Bench {
    sandbox: Sandbox,
    client: Client,
    clock: Clock,
}

impl Bench {
    async fn new(options: Options) -> Self {
        let clock = Clock::manual(Time::from_micros(1_000_000_000));
        let sandbox = Sandbox::start(options, clock.clone()).await.expect("a sandbox");
        Self { sandbox, client: client(false), clock }
    }

    async fn with_faults(faults: &str) -> Self {
        Self::new(Options { faults: faults.parse().expect("faults"), ..Options::default() }).await
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.sandbox.url() + path)
    }

    fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let url = self.sandbox.url() + "/user/audience/import";
        self.client.post(url).header("x-luma-api-key", KEY).body(body)
    }

    async fn user(&self) -> Response {
        self.get("/user").header("X-Luma-Api-Key", KEY).send().await.expect("an answer")
    }

    async fn import(&self, emails: &[&str], tags: &[&str]) -> Result<Response, reqwest::Error> {
        self.post(json!({ "emails": emails, "member_tag_api_ids": tags }).to_string()).send().await
    }

    /// What importing one person is answered.
    async fn import_ana(&self) -> (u16, String) {
        let answer = self.import(&["ana@example.org"], &["tag-a"]).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }

    async fn state(&self, query: &str) -> Value {
        let page = self.get(&format!("/sandbox/state{query}")).send().await.expect("the page");
        serde_json::from_str(&page.text().await.expect("a text")).expect("JSON")
    }

    fn imports(&self) -> u64 {
        self.sandbox.snapshot().imports
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().expect("text"))
}

fn envelope(message: &str) -> String {
    format!(r#"{{"message":{},"code":null}}"#, Value::from(message))
}

async fn told(answer: Response) -> (u16, String) {
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// Sends one import by hand and reads until the connection ends, one way or the other.
async fn raw_import(sandbox: &Sandbox) -> (String, std::io::Result<()>) {
    let body = r#"{"emails":["ana@example.org"]}"#;
    let mut stream = TcpStream::connect(sandbox.address).await.expect("a connection");
    let request = format!(
        "POST /user/audience/import HTTP/1.1\r\nhost: luma\r\nx-luma-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut read = Vec::new();
    let end = stream.read_to_end(&mut read).await;
    (String::from_utf8(read).expect("text"), end.map(drop))
}

#[tokio::test]
async fn each_key_has_its_own_quota_people_and_events() {
    let limit = Limit { requests: 2, ..Limit::default() };
    let further = vec![FurtherKey { key: "other".into(), limit: Some(limit) }];
    let bench = Bench::new(Options { further, ..Options::default() }).await;
    bench.import_ana().await;
    let as_other = |request: RequestBuilder| request.header("x-luma-api-key", "other").send();
    let user = as_other(bench.get("/user")).await.expect("an answer");
    assert!(told(user).await.1.contains("usr-sandbox-2"));
    let create = |key| {
        let url = bench.sandbox.url() + "/event/create";
        bench.client.post(url).header("x-luma-api-key", key).body(r#"{"name":"Demo"}"#).send()
    };
    let ids = [
        told(create(KEY).await.expect("an answer")).await.1,
        told(create("other").await.expect("an answer")).await.1,
    ];
    assert_ne!(ids[0], ids[1]);
    let third = as_other(bench.get("/user")).await.expect("an answer");
    assert_eq!(third.status(), TOO_MANY, "two were allowed");
    assert_eq!(bench.import_ana().await.0, 200, "the first key is not blocked by it");

    let (both, other) = (bench.sandbox.snapshot(), bench.sandbox.snapshot_of("other"));
    assert_eq!((both.requests, other.requests, both.throttled, other.throttled), (6, 3, 1, 1));
    assert_eq!((bench.sandbox.members().len(), bench.sandbox.members_of("other").len()), (1, 0));
    assert_eq!((bench.sandbox.events().len(), bench.sandbox.events_of("other").len()), (1, 1));
    assert_eq!(bench.state("").await["requests"], 6);
    assert_eq!(bench.state("?key=other&events=true").await["events"][0]["fields"]["name"], "Demo");
    assert_eq!(bench.state("?key=nobody").await["message"], "No such key.");
}

#[tokio::test]
async fn the_user_answers_to_the_right_key_alone() {
    let bench = Bench::new(Options::default()).await;
    let signed_out = (401, envelope("You are not signed in."));
    assert_eq!(told(bench.get("/user").send().await.expect("sent")).await, signed_out);
    let wrong = bench.get("/user").header("x-luma-api-key", "other").send().await.expect("sent");
    assert_eq!(header(&wrong, "x-ratelimit-limit"), None);
    assert_eq!(told(wrong).await, signed_out);

    let right = bench.user().await;
    assert_eq!(header(&right, "content-type"), Some("application/json; charset=utf-8"));
    let user: Value = serde_json::from_str(&told(right).await.1).expect("JSON");
    assert_eq!(user, json!({ "api_id": "usr-sandbox", "name": "Sandbox Host", "email": "host@example.org" }));
    assert_eq!(bench.sandbox.snapshot().max_in_window, 1, "only what carried the key counts");
}

#[tokio::test]
async fn an_import_without_a_key_is_told_to_bring_one() {
    let bench = Bench::new(Options::default()).await;
    let url = bench.sandbox.url() + "/user/audience/import";
    for key in [None, Some("")] {
        let request = bench.client.post(&url).body("nonsense");
        let request =
            key.map_or(request.try_clone().expect("a copy"), |key| request.header("x-luma-api-key", key));
        let answer = told(request.send().await.expect("sent")).await;
        assert_eq!(answer, (400, envelope("Please provide an API key.")));
    }
    let unknown = bench.client.post(&url).header("x-luma-api-key", "other").body("nonsense");
    assert_eq!(unknown.send().await.expect("sent").status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unknown_routes_come_before_keys() {
    let bench = Bench::new(Options::default()).await;
    for path in ["/", "/v2/users/get-self", "/user/audience/import"] {
        assert_eq!(told(bench.get(path).send().await.expect("sent")).await, (404, envelope("Not found.")));
    }
}

#[tokio::test]
async fn importing_again_joins_tags_and_keeps_everybody() {
    let bench = Bench::new(Options::default()).await;
    let first = bench.import(&["Ana@Example.org", "bo@example.org"], &["tag-b"]).await.expect("sent");
    assert_eq!(told(first).await, (200, "{}".into()));
    bench.import(&["ana@example.org", "cy@example.org"], &["tag-a"]).await.expect("sent");
    bench.import(&["ana@example.org"], &["tag-b"]).await.expect("sent");
    bench
        .import(&[], &[])
        .await
        .expect("sent")
        .error_for_status()
        .expect("an empty import is none the worse");
    let bare = bench.post(r#"{"emails":["cy@example.org"]}"#).send().await.expect("sent");
    assert_eq!(bare.status(), StatusCode::OK);

    let members = bench.sandbox.members();
    assert_eq!(members["ana@example.org"], ["tag-a", "tag-b"]);
    assert_eq!(members["bo@example.org"], ["tag-b"]);
    assert_eq!(members["cy@example.org"], ["tag-a"]);
    let counts = bench.sandbox.snapshot();
    assert_eq!((counts.imports, counts.rows_received, counts.repeats, counts.member_count), (5, 6, 2, 3));
}

#[tokio::test]
async fn the_state_page_shows_what_is_held_and_counts_nothing() {
    let bench = Bench::with_faults("500@2,reset@3").await;
    bench.import(&["ana@example.org", "bo@example.org", "nonsense"], &["tag-a"]).await.expect("sent");
    bench.import(&["ana@example.org"], &[]).await.expect("sent");
    bench.import(&["ana@example.org"], &[]).await.expect_err("cut");
    bench.user().await;
    let counts = json!({
        "requests": 4,
        "answers": { "POST /user/audience/import": { "200": 1, "500": 1 }, "GET /user": { "200": 1 } },
        "cut": 1,
        "throttled": 0,
        "max_in_window": 4,
        "event_count": 0, "imports": 1,
        "rows_received": 3,
        "repeats": 0,
        "dropped": 1, "lost": 0, "away": 0, "over_limit": 0,
        "member_count": 2, "mail_count": 0,
    });
    assert_eq!(bench.state("").await, counts);
    assert_eq!(serde_json::to_value(bench.sandbox.snapshot()).expect("JSON"), counts);

    let full = bench.state("?members=true&tags=true").await;
    assert_eq!(full["members"], json!({ "ana@example.org": ["tag-a"], "bo@example.org": ["tag-a"] }));
    assert_eq!(full["tags"], json!({ "tag-a": 2 }));
    assert_eq!(full["requests"], 4);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_line_by_line() {
    let bench = Bench::new(Options::default()).await;
    for (body, message) in [
        ("{\"emails\":", "Invalid request."),
        ("{}", "Invalid request.\n- emails: Invalid input: expected array, received undefined"),
        (
            r#"{"emails":["a@b.org",1]}"#,
            "Invalid request.\n- emails[1]: Invalid input: expected string, received number",
        ),
    ] {
        assert_eq!(
            told(bench.post(body).send().await.expect("sent")).await,
            (400, envelope(message)),
            "{body}"
        );
    }
    assert_eq!((bench.imports(), bench.sandbox.snapshot().max_in_window), (0, 3));
}

#[tokio::test]
async fn an_unknown_tag_refuses_the_whole_import() {
    let bench = Bench::new(Options { known_tags: vec!["tag-a".into()], ..Options::default() }).await;
    let refused = bench.import(&["ana@example.org"], &["tag-a", "tag-b"]).await.expect("sent");
    assert_eq!(told(refused).await, (400, envelope("Tag not found.")));
    assert_eq!(bench.sandbox.members().len(), 0);
    assert_eq!(bench.import_ana().await, (200, "{}".into()));
}

#[tokio::test]
async fn a_malformed_address_is_dropped_or_refuses_all() {
    let emails = ["ana@example.org", "ana at example"];
    let dropping = Bench::new(Options::default()).await;
    assert_eq!(told(dropping.import(&emails, &[]).await.expect("sent")).await, (200, "{}".into()));
    assert_eq!((dropping.sandbox.members().len(), dropping.sandbox.snapshot().dropped), (1, 1));

    let rejecting = Bench::new(Options { malformed: Malformed::Reject, ..Options::default() }).await;
    let named = envelope("Invalid request.\n- emails[1]: Invalid email address: \"ana at example\"");
    assert_eq!(told(rejecting.import(&emails, &[]).await.expect("sent")).await, (400, named));
    assert_eq!(rejecting.sandbox.members().len(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_its_connection_lives_on() {
    let bench = Bench::new(Options { max_body: 100, ..Options::default() }).await;
    let refused = bench.post(vec![b' '; 1 << 20]).send().await.expect("an answer");
    assert_eq!(header(&refused, "x-ratelimit-remaining"), Some("199"));
    assert_eq!(told(refused).await, (413, envelope("Request entity too large.")));
    assert_eq!(bench.import_ana().await, (200, "{}".into()));
}

#[tokio::test]
async fn an_overrun_blocks_every_route_for_its_time_and_no_longer() {
    let minute = Duration::from_mins(1);
    let limit = Limit { requests: 2, window: minute, block: minute };
    let bench = Bench::new(Options { limit: Some(limit), ..Options::default() }).await;
    let first = bench.user().await;
    assert_eq!(header(&first, "x-ratelimit-limit"), Some("2"));
    assert_eq!(header(&first, "x-ratelimit-remaining"), Some("1"));
    assert_eq!(header(&first, "x-ratelimit-reset"), Some("1060"));
    assert_eq!(header(&first, "retry-after"), None);
    assert_eq!(bench.post("{}").send().await.expect("sent").status(), StatusCode::BAD_REQUEST);

    let over = bench.user().await;
    assert_eq!(header(&over, "retry-after"), Some("60"));
    assert_eq!(header(&over, "x-ratelimit-remaining"), Some("0"));
    assert_eq!(told(over).await, (429, envelope("Too many requests.")));
    bench.clock.advance(Duration::from_millis(59_500));
    let blocked = bench.import(&["ana@example.org"], &[]).await.expect("sent");
    assert_eq!((blocked.status(), header(&blocked, "retry-after")), (TOO_MANY, Some("1")));
    bench.clock.advance(Duration::from_millis(500));
    assert_eq!(bench.import_ana().await, (200, "{}".into()));
    let counts = bench.sandbox.snapshot();
    assert_eq!((counts.throttled, counts.max_in_window, counts.imports), (2, 4, 1));
}

#[tokio::test]
async fn without_a_limit_nothing_is_throttled_and_no_header_says_so() {
    let bench = Bench::new(Options { limit: None, ..Options::default() }).await;
    for _ in 0..300 {
        let answer = bench.user().await;
        assert_eq!((answer.status(), header(&answer, "x-ratelimit-limit")), (StatusCode::OK, None));
    }
    assert_eq!(bench.sandbox.snapshot().max_in_window, 300);
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let bench = Bench::new(Options::default()).await;
    let mut stream = TcpStream::connect(bench.sandbox.address).await.expect("a connection");
    for _ in 0..3 {
        stream.write_all(b"GET /nowhere HTTP/1.1\r\nhost: luma\r\n\r\n").await.expect("sent");
        let mut read = Vec::new();
        while !read.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut read).await.expect("read"), 0, "closed");
        }
        assert!(read.starts_with(b"HTTP/1.1 404 "));
    }
    assert_eq!(bench.sandbox.snapshot().requests, 3);
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let options = Options { listen: open.parse().expect("an address"), ..Options::default() };
        let refused = Sandbox::start(options, Clock::system()).await.err().expect("an error");
        assert!(matches!(refused, SandboxError::NotLoopback(_)), "{refused}");
        assert!(refused.to_string().contains(&format!("`{open}`")), "{refused}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_free_again_after_the_stop() {
    let first = Sandbox::start(Options::default(), Clock::system()).await.expect("a sandbox");
    let options = || Options { listen: first.address, ..Options::default() };
    let taken = Sandbox::start(options(), Clock::system()).await.err().expect("an error");
    assert_eq!(taken.to_string(), format!("cannot listen on `{}`", first.address));
    let (again, open) = (options(), TcpStream::connect(first.address).await.expect("a connection"));
    first.stop().await.expect("an end");
    drop(open);
    Sandbox::start(again, Clock::system()).await.expect("the port is free").stop().await.expect("an end");
}
