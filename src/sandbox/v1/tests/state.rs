//! What survives a restart, and what is recorded of requests.

use super::*;
use crate::sandbox::{SandboxError, StateError};

#[tokio::test]
async fn what_is_held_survives_in_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state.json");
    let options = || Options {
        state: Some(path.clone()),
        further: vec![FurtherKey { key: "second-key".into(), limit: None }],
        ..set(&[("import-limit", "3")])
    };
    let bench = Bench::new(options()).await;
    let vip = bench.tag("VIP").await;
    bench.import(&["ana@example.org", "bo@example.org"], &["VIP"]).await;
    let named = json!({ "contacts": [{ "email": "ana@example.org", "name": "Ana Lima" }] });
    bench.post(IMPORT, named).await;
    bench.post("/v1/calendars/contacts/block", json!({ "emails": ["bo@example.org"] })).await;
    bench.post(CREATE, event("Demo", Some("demo-1"))).await;
    let guest = json!({ "event_id": "evt-sandbox00001", "guests": [{ "email": "di@example.org" }] });
    assert_eq!(bench.post("/v1/events/guests/add", guest).await.0, 200);
    let second = [("x-luma-api-key", "second-key")];
    bench.send(Method::POST, IMPORT, &second, r#"{"contacts":[{"email":"cy@example.org"}]}"#).await;
    let (before, events) = (bench.get(LIST).await.1, bench.sandbox.events());
    bench.sandbox.stop().await.expect("an end");
    let text = std::fs::read_to_string(&path).expect("a file");
    assert!(!text.contains(KEY) && !text.contains("second-key"), "no key is kept");

    let bench = Bench::new(options()).await;
    assert_eq!(bench.sandbox.outbox_of(KEY).len(), 1, "who was mailed was");
    assert_eq!((bench.get(LIST).await.1, bench.sandbox.events()), (before, events));
    assert_eq!(bench.sandbox.members_of("second-key").len(), 1);
    assert_eq!(bench.counts().requests, 1, "counters begin anew");
    bench.import(&["bo@example.org"], &["VIP"]).await;
    assert_eq!(bench.sandbox.members()["ana@example.org"], [vip]);
    assert_eq!(bench.sandbox.members().len(), 1, "who was blocked is still");
    assert_eq!(bench.tag("press").await, "tag-sandbox00002");
    assert_eq!(bench.post(CREATE, event("Demo", Some("demo-1"))).await.0, 400, "the slug is still taken");
    let made = bench.post(CREATE, event("Demo", None)).await.1;
    assert_eq!(made["id"], "evt-sandbox00002");
    let two = json!({ "contacts": [{ "email": "d@b.org" }, { "email": "e@b.org" }] });
    assert_eq!(bench.post(IMPORT, two).await.0, 403, "so is who counts against the limit");
}

#[tokio::test]
async fn a_change_is_in_the_file_before_it_is_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state.json");
    let bench = Bench::new(Options { state: Some(path.clone()), ..Options::default() }).await;
    assert!(path.exists(), "a file that cannot be written shows at the start");
    let holds = |what: &str| std::fs::read_to_string(&path).expect("a file").contains(what);
    for number in 0..20 {
        let email = format!("p{number}@example.org");
        bench.import(&[&email], &[]).await;
        assert!(holds(&email), "{email}");
    }
    bench.post(CREATE, event("Demo", Some("demo-1"))).await;
    assert!(holds("demo-1"));
    let second = Options { state: Some(path.clone()), ..Options::default() };
    let error = Sandbox::start(second, Clock::system()).await.err().expect("an error");
    assert!(matches!(error, SandboxError::State { source: StateError::InUse, .. }), "{error}");
}

#[tokio::test]
async fn a_change_that_cannot_be_kept_is_not_answered_until_it_can() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state.json");
    let bench = Bench::new(Options { state: Some(path.clone()), ..Options::default() }).await;
    // Nobody, not even root, writes to a file where a folder is.
    let new = dir.path().join("state.json.new");
    std::fs::create_dir(&new).expect("a folder");
    let body = json!({ "contacts": [{ "email": "ana@example.org" }] }).to_string();
    let request = bench.client.post(bench.sandbox.url() + IMPORT).header("x-luma-api-key", KEY).body(body);
    let waiting = tokio::spawn(request.send());
    let began = std::time::Instant::now();
    while bench.counts().imports == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it did not arrive");
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished(), "it was answered");
    assert!(!std::fs::read_to_string(&path).expect("a file").contains("ana@example.org"));
    std::fs::remove_dir(&new).expect("an empty folder");
    let answer = waiting.await.expect("a task").expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert!(std::fs::read_to_string(&path).expect("a file").contains("ana@example.org"));
}

#[tokio::test]
async fn a_file_of_no_use_is_told_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state.json");
    let person = r#"{"address":"a@b.org","since":"2026-01-01T00:00:00.000000Z","imported":true,"tags":[]}"#;
    let calendar = |people: &str| format!(r#"{{"tags":[],"events":[],"contacts":[{people}]}}"#);
    for (text, told) in [
        ("{".to_owned(), "it is not what a sandbox writes"),
        (r#"{"version":2,"calendars":{}}"#.to_owned(), "it has version 2"),
        (
            format!(r#"{{"version":1,"calendars":{{"cal-sandbox-2":{}}}}}"#, calendar(person)),
            "for which there is no key",
        ),
        (
            format!(
                r#"{{"version":1,"calendars":{{"cal-sandbox":{}}}}}"#,
                calendar(&format!("{person},{person}"))
            ),
            "it holds an address twice",
        ),
    ] {
        std::fs::write(&path, &text).expect("a file");
        let options = Options { state: Some(path.clone()), ..Options::default() };
        let error = Sandbox::start(options, Clock::system()).await.err().expect("an error");
        let SandboxError::State { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().contains(told), "{source}");
        assert!(error.to_string().contains(&format!("`{}`", path.display())), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), text);
    }
}

#[tokio::test]
async fn requests_are_recorded_without_their_key() {
    let bench = Bench::new(Options { record: true, ..Options::default() }).await;
    bench.import(&["ana@example.org"], &[]).await;
    bench.get(&format!("{LIST}?query=a%2Bb")).await;
    let requests = bench.sandbox.requests();
    let told: Vec<_> =
        requests.iter().map(|r| (r.method.as_str(), r.path.as_str(), r.query.as_str(), r.status)).collect();
    assert_eq!(told, [("POST", IMPORT, "", Some(200)), ("GET", LIST, "query=a%2Bb", Some(200))]);
    let body: Value = serde_json::from_slice(requests[0].body.as_deref().expect("a body")).expect("JSON");
    assert_eq!(body, json!({ "contacts": [{ "email": "ana@example.org" }], "tags": [] }));
    assert!(requests.iter().all(|request| !format!("{request:?}").contains(KEY)));
    assert!(requests[0].headers.iter().any(|(name, _)| name == "host"));
    assert_eq!(Bench::new(Options::default()).await.sandbox.requests(), []);
}
