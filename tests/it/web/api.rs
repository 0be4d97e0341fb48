//! The JSON for programs, held against the document that describes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::schema::faults;
use super::site::{Answer, PAGES, Site, TOKEN};
use crate::support::{Bench, PATIENCE, wait_until};

const SCHEDULE: &str = "\n[[schedule]]\nname = \"nightly\"\ncron = \"0 3 * * *\"\nsources = [\"folder\"]\n";

pub(super) fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

fn put(site: &Site, path: &str, key: Option<&str>, body: &Value) -> Answer {
    let (bearer, key) = (bearer(), key.map(|key| format!("Idempotency-Key: {key}")));
    let lines: Vec<&str> = [Some("Content-Type: application/json"), Some(bearer.as_str()), key.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    site.ask("POST", path, &lines, &body.to_string())
}

/// An answer is what the document says of it.
#[track_caller]
pub(super) fn hold(document: &Value, method: &str, path: &str, answer: &Answer) {
    let described = &document["paths"][path][method]["responses"][answer.status.to_string()];
    let schema = &described["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} has no answer {}: {answer:?}", answer.status);
    let faults = faults(document, schema, &answer.json());
    assert!(faults.is_empty(), "{method} {path}: {faults:?}\n{answer:?}");
}

#[test]
fn the_document_lists_exactly_the_routes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(folder.join("src/web/api/mod.rs")).expect("a file");
    let mut routes = BTreeSet::new();
    for line in source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
        let (path, methods) = line.split_once('"').expect("a path");
        for method in ["get", "post", "put", "patch", "delete"]
            .iter()
            .filter(|method| methods.contains(&format!("{method}(")))
        {
            routes.insert(format!("{method} {path}"));
        }
    }
    let text = fs::read_to_string(folder.join("src/web/api/openapi.json")).expect("a file");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").iter();
    let described: BTreeSet<String> = paths
        .flat_map(|(path, methods)| {
            methods.as_object().expect("methods").keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(routes, described);
}

#[test]
fn every_answer_is_what_the_document_says() {
    let bench = Bench::new("", &format!("{PAGES}{SCHEDULE}"));
    bench.scratch.write("list.csv", "email,tags\nana@example.org,vip\nnonsense,\n");
    bench.sync(["list.csv"]).run().with_code(4);
    bench.scratch.write("events.csv", "name\nDemo night\n\"\"\n");
    bench.sync(["--kind", "events", "events.csv"]).run();
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").with_status(200).json();
    for (path, asked, status) in [
        ("/api/v1/status", "/api/v1/status", 200),
        ("/api/v1/runs", "/api/v1/runs?kind=members", 200),
        ("/api/v1/runs", "/api/v1/runs?status=odd", 422),
        ("/api/v1/runs/{id}", "/api/v1/runs/1", 200),
        ("/api/v1/runs/{id}", "/api/v1/runs/2", 200),
        ("/api/v1/runs/{id}", "/api/v1/runs/99", 404),
        ("/api/v1/schedules", "/api/v1/schedules", 200),
        ("/api/v1/members/{id}", "/api/v1/members/1", 200),
        ("/api/v1/members/{id}", "/api/v1/members/99", 404),
        ("/api/v1/events", "/api/v1/events", 200),
        ("/api/v1/events/{id}", "/api/v1/events/1", 200),
    ] {
        hold(&document, "get", path, &site.get(asked).with_status(status));
    }
    let run = site.get("/api/v1/runs/1").json();
    assert_eq!((&run["rows"]["delivered"], &run["rows"]["invalid"]), (&json!(1), &json!(1)), "{run}");
    let outcome = site.get("/api/v1/members/1");
    assert!(!outcome.text.contains("example.org"), "{outcome:?}");
    assert!(site.get("/api/v1/no/such").with_status(404).json()["error"].is_string());
    site.goes_on();
}

#[test]
fn members_go_into_the_queue_once_for_each_key_and_are_sent() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").json();
    let path = "/api/v1/members";
    let body = json!({ "members": [
        { "email": "ana@example.org", "name": "Ana", "tags": ["vip", "press"] },
        { "email": "ben@example.org", "tags": "vip" },
    ] });
    let first = put(&site, path, Some("one"), &body).with_status(201);
    hold(&document, "post", path, &first);
    let again = put(&site, path, Some("one"), &body).with_status(200);
    hold(&document, "post", path, &again);
    assert_eq!(
        (&first.json()["ids"], again.json()["repeated"].as_bool()),
        (&again.json()["ids"], Some(true))
    );
    let other = json!({ "members": [{ "email": "cleo@example.org" }] });
    hold(&document, "post", path, &put(&site, path, Some("one"), &other).with_status(409));
    put(&site, path, Some("two"), &other).with_status(201);
    assert_eq!(bench.db().count("select count(*) from member_queue"), 3);
    let id = first.json()["ids"][0].as_i64().expect("an id");
    wait_until(PATIENCE, "the outcome", || site.get(&format!("{path}/{id}")).json()["state"] == "delivered");
    assert_eq!(
        bench.db().count("select count(*) from request_keys where key like '%one%' or asked like '%ana%'"),
        0
    );
    site.goes_on();
}

#[test]
fn a_key_that_many_use_at_once_makes_its_rows_once() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let body = json!({ "members": [{ "email": "ana@example.org" }, { "email": "ben@example.org" }] });
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..12).map(|_| scope.spawn(|| put(&site, "/api/v1/members", Some("same"), &body))).collect();
        asking.into_iter().map(|asked| asked.join().expect("asked")).collect()
    });
    let ids: BTreeSet<String> = answers.iter().map(|answer| answer.json()["ids"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(bench.db().count("select count(*) from member_queue"), 2);
    site.goes_on();
}

#[test]
fn what_makes_no_sense_is_refused_as_a_whole_and_said_row_by_row() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").json();
    let members = "/api/v1/members";
    let body =
        json!({ "members": [{ "email": "ana@example.org" }, { "email": "nonsense" }, { "email": " " }] });
    let refused = put(&site, members, None, &body).with_status(422);
    hold(&document, "post", members, &refused);
    let codes: Vec<String> = refused.json()["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| format!("{}:{}", row["index"], row["code"]))
        .collect();
    assert_eq!(codes, ["1:\"email_invalid\"", "2:\"email_missing\""]);
    for body in [
        json!({ "members": [] }),
        json!({ "members": [{ "email": "ana@example.org", "tag": "vip" }] }),
        json!({ "account": "nobody", "members": [{ "email": "ana@example.org" }] }),
        json!([]),
        json!({ "members": vec![json!({ "email": "ana@example.org" }); 1_001] }),
    ] {
        hold(&document, "post", members, &put(&site, members, None, &body).with_status(422));
    }
    let events = "/api/v1/events";
    for event in
        [json!({}), json!({ "name": "x", "start_at": "yesterday" }), json!({ "name": "x", "odd": 1 })]
    {
        hold(
            &document,
            "post",
            events,
            &put(&site, events, None, &json!({ "events": [event] })).with_status(422),
        );
    }
    for key in ["", "a b", &"k".repeat(201)] {
        put(&site, members, Some(key), &json!({ "members": [{ "email": "ana@example.org" }] }))
            .with_status(422);
    }
    assert_eq!(
        bench.db().count("select (select count(*) from member_queue) + (select count(*) from event_queue)"),
        0
    );
    assert!(!site.service.stderr().contains("ana@example.org"));
    site.goes_on();
}

#[test]
fn events_go_into_the_queue_and_are_created_once() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").json();
    let path = "/api/v1/events";
    let body = json!({ "events": [{ "name": "Demo night", "start_at": "2099-12-03T18:00:00Z", "duration_minutes": 90 }] });
    let first = put(&site, path, Some("demo"), &body).with_status(201);
    hold(&document, "post", path, &first);
    put(&site, path, Some("demo"), &body).with_status(200);
    let id = first.json()["ids"][0].as_i64().expect("an id");
    wait_until(PATIENCE, "the event", || site.get(&format!("{path}/{id}")).json()["state"] == "created");
    assert_eq!(bench.db().count("select count(*) from event_queue"), 1);
    assert_eq!(bench.db().count("select duration_minutes from event_queue"), 90);
    site.goes_on();
}

#[test]
fn what_was_made_under_a_key_stands_also_where_it_would_be_refused_today() {
    let bench = Bench::new("", &format!("{PAGES}\ntags.guests = \"tag-vip\""));
    let site = Site::start(&bench);
    let body = json!({ "members": [{ "email": "ana@example.org", "tags": ["guests"] }] });
    let first = put(&site, "/api/v1/members", Some("once"), &body).with_status(201).json();
    site.goes_on();
    // In today's API a name that is not in the configuration may still be one of Luma's.
    bench.configure(PAGES);
    let site = Site::start(&bench);
    let again = put(&site, "/api/v1/members", Some("once"), &body).with_status(200).json();
    assert_eq!((&again["ids"], &again["repeated"]), (&first["ids"], &Value::Bool(true)));
    put(&site, "/api/v1/members", Some("once"), &json!({ "members": [{ "email": "b@example.org" }] }))
        .with_status(409);
    put(&site, "/api/v1/members", Some("anew"), &body).with_status(422);
    site.goes_on();
}

#[test]
fn only_whoever_knows_the_token_writes_and_a_cookie_is_not_it() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let body = json!({ "members": [{ "email": "ana@example.org" }] }).to_string();
    let kind = "Content-Type: application/json";
    let cookie = site.sign_in();
    for line in ["X-Nothing: x", "Authorization: Bearer wrong", "Authorization: Basic YTpi", cookie.as_str()]
    {
        let answer = site.ask("POST", "/api/v1/members", &[kind, line], &body).with_status(401);
        assert!(answer.json()["error"].is_string(), "{answer:?}");
    }
    let foreign = ["Origin: http://evil.example", kind, &bearer()];
    site.ask("POST", "/api/v1/members", &foreign, &body).with_status(403);
    assert_eq!(bench.db().count("select count(*) from member_queue"), 0);
    site.goes_on();
}
