//! A file from a program: its plan as JSON, held against the document, and sent once.

use serde_json::json;

use super::api::{bearer, hold};
use super::site::{PAGES, Site};
use super::upload::{names, waiting};
use crate::support::{Bench, PATIENCE, wait_until};

const ONE: &str = "/api/v1/uploads/{id}";

#[test]
fn a_program_sees_the_plan_and_sends_the_file_once() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").json();
    let (bearer, name) = (bearer(), "X-File-Name: lists/Größe.csv");
    let list = "email,tags\nana@example.org,vip\nnonsense,\n";
    let put = |query: &str, lines: &[&str], body: &str| {
        site.ask("POST", &format!("/api/v1/uploads{query}"), lines, body)
    };
    hold(&document, "post", "/api/v1/uploads", &put("", &[], list).with_status(401));
    let cookie = site.sign_in();
    put("", &[&cookie], list).with_status(401);
    hold(&document, "post", "/api/v1/uploads", &put("?kind=odd", &[&bearer], list).with_status(422));
    hold(&document, "post", "/api/v1/uploads", &put("?account=odd", &[&bearer], list).with_status(422));
    let came = put("?kind=members", &[&bearer, name], list).with_status(202);
    hold(&document, "post", "/api/v1/uploads", &came);
    let id = came.json()["id"].as_str().expect("a word").to_owned();
    let one = format!("/api/v1/uploads/{id}");
    let show = || site.ask("GET", &one, &[&bearer], "").with_status(200);
    wait_until(PATIENCE, "the plan", || show().json()["state"] == "planned");
    hold(&document, "get", ONE, &show());
    let plan = show().json();
    assert_eq!((&plan["name"], &plan["plan"]["rows"]["read"]), (&json!("Größe.csv"), &json!(2)), "{plan}");
    assert_eq!(
        (&plan["plan"]["rows"]["new"], &plan["plan"]["rows"]["invalid"]),
        (&json!(1), &json!(1)),
        "{plan}"
    );
    hold(&document, "get", ONE, &site.get(&one).with_status(401));
    hold(&document, "get", ONE, &site.ask("GET", "/api/v1/uploads/none", &[&bearer], "").with_status(404));
    for _ in 0..2 {
        let sent = site.ask("POST", &format!("{one}/send"), &[&bearer], "").with_status(200);
        hold(&document, "post", "/api/v1/uploads/{id}/send", &sent);
        assert_eq!(sent.json()["state"], "sent");
    }
    wait_until(PATIENCE, "the run", || show().json()["run"] == 1);
    // A plan that is made while the run still takes the file in is one of taking it in.
    wait_until(PATIENCE, "its end", || {
        site.ask("GET", "/api/v1/runs/1", &[&bearer], "").json()["status"] == "partial"
    });
    hold(&document, "get", ONE, &show());
    let again =
        put("", &[&bearer, name], list).with_status(202).json()["id"].as_str().expect("a word").to_owned();
    let again = format!("/api/v1/uploads/{again}");
    wait_until(PATIENCE, "a look", || {
        site.ask("GET", &again, &[&bearer], "").json()["state"] == "taken_before"
    });
    assert_eq!(bench.db().count("select count(*) from runs"), 1);
    let bad = put("", &[&bearer], "no address\nx\n").with_status(202).json()["id"]
        .as_str()
        .expect("a word")
        .to_owned();
    let bad = format!("/api/v1/uploads/{bad}");
    wait_until(PATIENCE, "a look", || site.ask("GET", &bad, &[&bearer], "").json()["state"] == "refused");
    let refused = site.ask("POST", &format!("{bad}/send"), &[&bearer], "").with_status(409);
    hold(&document, "post", "/api/v1/uploads/{id}/send", &refused);
    site.goes_on();
}

#[test]
fn a_program_discards_what_it_has_not_sent_and_of_both_at_once_one_is_done() {
    let bench = Bench::new("", &format!("{PAGES}\nfolder.settle = \"1h\""));
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").json();
    let (bearer, cookie) = (bearer(), site.sign_in());
    let put = |number: usize| {
        let list = format!("email\n{number}@example.org\n");
        let came = site.ask("POST", "/api/v1/uploads", &[&bearer], &list).with_status(202).json();
        let one = format!("/api/v1/uploads/{}", came["id"].as_str().expect("a word"));
        wait_until(PATIENCE, "the plan", || {
            site.ask("GET", &one, &[&bearer], "").json()["state"] == "planned"
        });
        one
    };
    let discard = |one: &str, line: &str| site.ask("DELETE", one, &[line], "");

    let one = put(0);
    for line in ["X-Nothing: x", "Authorization: Bearer wrong", cookie.as_str()] {
        hold(&document, "delete", ONE, &discard(&one, line).with_status(401));
    }
    let foreign = site.ask("DELETE", &one, &[&bearer, "Origin: http://evil.example"], "").with_status(403);
    hold(&document, "delete", ONE, &foreign);
    assert_eq!(waiting(&bench).len(), 1);
    let gone = discard(&one, &bearer).with_status(200);
    hold(&document, "delete", ONE, &gone);
    assert_eq!(gone.json()["state"], "discarded");
    hold(&document, "delete", ONE, &discard(&one, &bearer).with_status(404));
    let sent = put(1);
    site.ask("POST", &format!("{sent}/send"), &[&bearer], "").with_status(200);
    hold(&document, "delete", ONE, &discard(&sent, &bearer).with_status(409));
    assert_eq!(names(&bench, "drop/members").len(), 1);

    for number in 2..10 {
        let (one, before) = (put(number), names(&bench, "drop/members").len());
        let (gone, sent) = std::thread::scope(|scope| {
            let sent = scope.spawn(|| site.ask("POST", &format!("{one}/send"), &[&bearer], "").status);
            (discard(&one, &bearer).status, sent.join().expect("asked"))
        });
        let is_there = names(&bench, "drop/members").len() > before;
        assert!(matches!((is_there, sent, gone), (true, 200, 409) | (false, 404, 200)), "{sent} {gone}");
    }
    site.goes_on();
}
