//! Runs that a guard holds: let go from their page or by a program, once, by somebody who is named.

use serde_json::{Value, json};

use super::api::{bearer, hold};
use super::site::{PAGES, Site};
use crate::support::{Bench, Members, PATIENCE, wait_until};

/// No more than ten new people go unseen.
const FEW: &str = "guard.max_new_members = 10\nbatch.max_rows = 4";

fn bench() -> Bench {
    Bench::new("", &format!("{PAGES}\n{FEW}"))
}

/// Drops so many new people, of whom none is sent, with one bad and one double row.
fn hold_run(bench: &Bench, site: &Site, name: &str, numbers: std::ops::Range<u32>) {
    let first = format!("p{:03}@example.org,vip\n", numbers.start);
    let list = numbers.fold("email,tags\n".to_owned(), |csv, n| csv + &format!("p{n:03}@example.org,vip\n"));
    bench.scratch.write(&format!("drop/members/{name}"), format!("{list}{first}nonsense,\n"));
    let held = format!("select count(*) from runs where status = 'held' and label = '{name}'");
    wait_until(PATIENCE, "a held run", || bench.db().count(&held) == 1);
    site.get("/healthz").with_status(200);
}

fn members(numbers: std::ops::Range<u32>) -> Members {
    numbers.map(|number| (format!("p{number:03}@example.org"), vec!["tag-vip".to_owned()])).collect()
}

fn status(bench: &Bench) -> Vec<String> {
    bench.db().rows("select status, coalesce(approved_by, '') from runs order by id")[0].clone()
}

fn act(site: &Site, path: &str, body: &str) -> super::site::Answer {
    site.ask("POST", path, &["Content-Type: application/json", &bearer()], body)
}

#[test]
fn a_held_run_says_why_and_is_approved_once_by_whoever_is_named_and_sent_once() {
    let bench = bench();
    let site = Site::start(&bench);
    hold_run(&bench, &site, "many.csv", 0..11);
    wait_until(PATIENCE, "the overview", || {
        site.get("/").text.contains("<a href=\"/runs/1\">Run 1</a> is held for approval: 11 people are new")
    });
    assert!(site.get("/runs?status=held").text.contains("<a href=\"/runs/1\">1</a>"));
    let page = site.get("/runs/1").with_status(200).text;
    for said in [
        "Held for a person",
        "11 people are new, and `guard.max_new_members` lets 10 go unseen",
        "<code>too_many_new</code>",
        "It waits until somebody approves it",
        "held</th><td class=\"number\">11<",
        "invalid</th><td class=\"number\">1<",
        "duplicate</th><td class=\"number\">1<",
        "<strong>13</strong>",
        ">Sign in</a> to approve or cancel it.",
    ] {
        assert!(page.contains(said), "no `{said}` in {page}");
    }
    assert!(!page.contains("@example.org") && !page.contains("Approve run"), "{page}");

    let cookie = site.sign_in();
    let page = site.ask("GET", "/runs/1", &[&cookie], "").text;
    assert!(page.contains("11 rows will be sent in up to 3 requests"), "{page}");
    assert!(page.contains("New, for example:") && page.contains("@example.org (line "), "{page}");
    let form = format!("csrf={}", site.csrf("/runs/1", &cookie));
    let answer = site.post("/runs/1/approve", &[&cookie], &form).with_status(303);
    assert_eq!(answer.header("location"), Some("/runs/1"));
    let page = site.ask("GET", "/runs/1", &[&cookie], "").text;
    assert!(page.contains("Approved: 11 rows to send.") && page.contains(", by Ana"), "{page}");
    assert!(!page.contains("Approve run") && page.contains("Was held for"), "{page}");
    wait_until(PATIENCE, "the end", || status(&bench)[0] == "partial");
    assert_eq!(bench.luma.members(), members(0..11));
    assert_eq!(bench.db().count("select sum(row_count) from attempts where run_id = 1"), 11, "each row once");

    let other = site.sign_in();
    let form = format!("csrf={}", site.csrf("/runs/1", &other));
    site.post("/runs/1/approve", &[&other], &form).with_status(303);
    let page = site.ask("GET", "/runs/1", &[&other], "").text;
    assert!(page.contains("It was approved by Ana at "), "{page}");
    assert_eq!(bench.db().count("select sum(row_count) from attempts where run_id = 1"), 11);
    site.post("/runs/9/approve", &[&other], &form).with_status(404);
    assert!(!site.service.stderr().contains("@example.org"), "{}", site.service.stderr());
    site.goes_on();
}

#[test]
fn nobody_approves_without_a_session_its_form_and_a_page_of_ours() {
    let bench = bench();
    let site = Site::start(&bench);
    hold_run(&bench, &site, "many.csv", 0..11);
    let (path, program) = ("/runs/1/approve", "/api/v1/runs/1/approve");
    let cookie = site.sign_in();
    let form = format!("csrf={}", site.csrf("/runs/1", &cookie));
    site.post(path, &[], &form).with_status(401);
    site.post(path, &[&cookie], "csrf=wrong").with_status(403);
    site.post(path, &[&cookie], "").with_status(422);
    for line in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        site.post(path, &[&cookie, line], &form).with_status(403);
        site.ask("POST", program, &[&bearer(), line], "").with_status(403);
    }
    // A browser that is made to send something sends its cookie along, and no token.
    site.ask("POST", program, &[&cookie], "").with_status(401);
    site.ask("POST", program, &["Authorization: Bearer wrong"], "").with_status(401);
    site.get(path).with_status(405);
    assert_eq!(status(&bench), ["held", ""]);
    assert_eq!(bench.db().count("select count(*) from attempts where run_id = 1"), 0);
    site.goes_on();
}

#[test]
fn many_approvals_at_once_are_one_and_what_is_given_up_is_not_approved() {
    let bench = bench();
    let site = Site::start(&bench);
    hold_run(&bench, &site, "many.csv", 0..11);
    let said: Vec<Value> = std::thread::scope(|scope| {
        let acts: Vec<_> = (0..8)
            .map(|number| {
                let body = json!({ "by": format!("Bo {number}") }).to_string();
                let site = &site;
                scope.spawn(move || act(site, "/api/v1/runs/1/approve", &body).with_status(200).json())
            })
            .collect();
        acts.into_iter().map(|act| act.join().expect("approved")).collect()
    });
    let now: Vec<&Value> = said.iter().filter(|said| said["approved"] == true).collect();
    assert_eq!(now.len(), 1, "{said:?}");
    assert!(said.iter().all(|other| other["by"] == now[0]["by"]), "{said:?}");
    assert_eq!(now[0]["rows"], 11);
    wait_until(PATIENCE, "the end", || status(&bench)[0] == "partial");
    assert_eq!(bench.db().count("select sum(row_count) from attempts where run_id = 1"), 11);

    hold_run(&bench, &site, "more.csv", 20..40);
    let cookie = site.sign_in();
    let form = format!("csrf={}", site.csrf("/runs/2", &cookie));
    site.post("/runs/2/cancel", &[&cookie], &form).with_status(303);
    let refused = site.post("/runs/2/approve", &[&cookie], &form).with_status(409);
    assert!(refused.text.contains("Run 2 is not held (canceled)"), "{refused:?}");
    assert_eq!(bench.luma.members(), members(0..11));
    site.goes_on();
}

#[test]
fn programs_approve_cancel_and_retry_as_the_document_says() {
    let bench = bench();
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").json();
    let (run, approve) = ("/api/v1/runs/{id}", "/api/v1/runs/{id}/approve");
    let (cancel, retry) = ("/api/v1/runs/{id}/cancel", "/api/v1/runs/{id}/retry");
    let hold = |method: &str, path: &str, answer: &super::site::Answer| hold(&document, method, path, answer);
    let at = |path: &str, id: u32| path.replace("{id}", &id.to_string());

    hold_run(&bench, &site, "many.csv", 0..11);
    let shown = site.get(&at(run, 1)).with_status(200);
    hold("get", run, &shown);
    let shown = shown.json();
    assert_eq!(
        (&shown["held_for"][0]["code"], &shown["approved"], &shown["rows"]["held"], &shown["rows"]["read"]),
        (&json!("too_many_new"), &Value::Null, &json!(11), &json!(13)),
        "{shown}"
    );
    hold("post", approve, &act(&site, &at(approve, 1), "{\"by\": 1}").with_status(422));
    hold("post", approve, &act(&site, &at(approve, 9), "").with_status(404));
    let approved = act(&site, &at(approve, 1), "{\"by\": \"ana@example.org\"}").with_status(200);
    hold("post", approve, &approved);
    assert_eq!(approved.json()["by"], "ana", "no address is noted");
    wait_until(PATIENCE, "the end", || status(&bench)[0] == "partial");
    let shown = site.get(&at(run, 1)).with_status(200);
    hold("get", run, &shown);
    assert_eq!(shown.json()["approved"]["by"], "ana", "{shown:?}");

    hold("post", cancel, &act(&site, &at(cancel, 1), "").with_status(409));
    hold("post", cancel, &act(&site, &at(cancel, 9), "").with_status(404));
    hold("post", retry, &act(&site, &at(retry, 9), "").with_status(404));
    let nothing = act(&site, &at(retry, 1), "").with_status(200);
    hold("post", retry, &nothing);
    assert_eq!(nothing.json()["rows"], 0);

    hold_run(&bench, &site, "more.csv", 20..40);
    let canceled = act(&site, &at(cancel, 2), "").with_status(200);
    hold("post", cancel, &canceled);
    assert_eq!((&canceled.json()["canceled"], &canceled.json()["in_flight"]), (&json!(20), &json!(0)));
    hold("post", approve, &act(&site, &at(approve, 2), "").with_status(409));
    assert_eq!(bench.luma.members(), members(0..11));
    assert!(!site.service.stderr().contains("ana@example.org"));
    site.goes_on();
}

#[test]
fn a_program_brings_back_what_failed() {
    let bench = Bench::new("500@1", &format!("{PAGES}\nretry.max_attempts = 1"));
    let site = Site::start(&bench);
    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\nben@example.org\n");
    let failed = "select count(*) from member_queue where state = 'failed'";
    wait_until(PATIENCE, "failed rows", || bench.db().count(failed) == 2);
    wait_until(PATIENCE, "the end", || status(&bench)[0] == "partial");
    let back = act(&site, "/api/v1/runs/1/retry", "").with_status(200).json();
    assert_eq!(back["rows"], 2, "{back}");
    let sent = "select count(*) from member_queue where state = 'delivered'";
    wait_until(PATIENCE, "both", || bench.db().count(sent) == 2);
    site.goes_on();
}
