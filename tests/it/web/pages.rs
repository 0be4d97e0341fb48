//! What the pages say of real runs.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::site::{PAGES, Site};
use crate::support::{Bench, PATIENCE, People, wait_until};

#[test]
fn a_run_is_shown_with_counts_that_add_up_its_causes_and_what_can_be_done() {
    let bench = Bench::new("", PAGES);
    let list =
        format!("{}nonsense\n\"<script>alert(1)</script>\"\n", "email\nana@example.org\nana@example.org\n");
    bench.scratch.write("drop/members/a <b>.csv", list);
    bench.sync([]).run().with_code(4);
    let site = Site::start(&bench);
    let page = site.get("/runs/1").with_status(200).text;
    for part in [
        "delivered</th><td class=\"number\">1<",
        "duplicate</th><td class=\"number\">1<",
        "email_invalid",
        "partial",
    ] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert!(page.contains("a &lt;b&gt;.csv") && !page.contains("<script>alert"), "{page}");
    assert!(!page.contains("ana@example.org"), "an address is on {page}");
    assert!(page.contains("sign in</a> to download"), "{page}");
    let cookie = site.sign_in();
    let page = site.ask("GET", "/runs/1", &[&cookie], "").text;
    assert!(page.contains("href=\"/runs/1/rejects\"") && page.contains("href=\"/runs/1/receipt\""), "{page}");
    site.goes_on();
}

/// Sixty runs with such a label.
fn enter_runs(bench: &Bench, label: &str) {
    let db = bench.db_to_write();
    for number in 0..60 {
        let label = label.replace("{}", &number.to_string());
        db.execute(&format!(
            "insert into runs (account, source, started_by, label, status, created_at, finished_at)
             values ('main', 'file', 'manual', '{label}', 'succeeded', '2026-11-22T18:00:00.000000Z', '2026-11-22T18:00:01.000000Z')"
        ));
    }
}

fn rows(page: &str) -> usize {
    page.matches("<th scope=\"row\"><a href=\"/runs/").count()
}

/// What a form bears that is not seen, as it is sent.
fn hidden(form: &str) -> String {
    let fields = form.split("type=\"hidden\" name=\"").skip(1);
    let pairs = fields.map(|field| field.split('"').step_by(2).take(2).collect::<Vec<_>>());
    let encoded = |text: &str| text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
    pairs.map(|pair| format!("{}={}", pair[0], encoded(pair[1]))).collect::<Vec<_>>().join("&")
}

#[test]
fn a_strangers_own_search_is_turned_page_by_page_and_shows_no_address() {
    let bench = Bench::new("", PAGES);
    bench.sync([]).run().with_code(0);
    enter_runs(&bench, "list {} of ana@example.org.csv");
    enter_runs(&bench, "list {} of bo@example.org.csv");
    let site = Site::start(&bench);
    let first = site.post("/runs", &[], "text=ANA%40example.org").with_status(200).text;
    assert!(rows(&first) == 50 && first.contains("value=\"…@example.org\""), "{first}");
    let turn = hidden(first.split("aria-label=\"More runs\"").nth(1).expect("a way on"));
    let older = site.post("/runs", &[], &turn).with_status(200).text;
    assert_eq!(rows(&older), 10, "{older}");
    let again = hidden(
        older.split("<search>").nth(1).and_then(|form| form.split("</search>").next()).expect("a form"),
    );
    // The field as it is shown.
    let same = format!("{again}&text=%E2%80%A6%40example.org&status=succeeded");
    assert_eq!(rows(&site.post("/runs", &[], &same).text), 50);
    let other = site.post("/runs", &[], &format!("{again}&text=9+of+bo%40")).text;
    assert_eq!(rows(&other), 6, "{other}");
    for page in [first, older, other] {
        assert!(!page.to_lowercase().contains("ana@") && !page.contains("bo@example"), "{page}");
    }
    site.goes_on();
}

#[test]
fn runs_are_found_by_status_and_text_and_turned_page_by_page() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("first.csv", "email\nana@example.org\n");
    bench.sync(["first.csv"]).run().with_code(0);
    enter_runs(&bench, "list {} 100%_done");
    let site = Site::start(&bench);
    let first = site.get("/runs").with_status(200).text;
    assert!(rows(&first) == 50 && first.contains(">Older</button>"), "{first}");
    let older = site.get("/runs?before=12").text;
    assert!(
        rows(&older) == 11 && !older.contains(">Older</button>") && older.contains("first.csv"),
        "{older}"
    );
    assert_eq!(rows(&site.post("/runs", &[], "text=FIRST").text), 1);
    assert_eq!(rows(&site.post("/runs", &[], "text=LIST+7+").text), 1);
    assert_eq!(rows(&site.post("/runs", &[], "text=%25_").text), 50);
    assert_eq!(rows(&site.post("/runs", &[], "text=0_do").text), 0);
    assert_eq!(rows(&site.get("/runs?status=failed").text), 0);
    site.get("/runs?status=odd").with_status(422);
    site.get("/runs?before=odd").with_status(422);
    // What is too long is never asked of the database, which would say that it is.
    let long = |length: usize| site.post("/runs", &[], &format!("text={}", "%C3%A9".repeat(length)));
    long(200).with_status(200);
    assert!(long(201).with_status(422).text.contains("200 characters"));
    long(100_000).with_status(422);
    assert!(!site.service.stderr().contains("could not be made"), "{}", site.service.stderr());
    site.goes_on();
}

#[test]
fn a_run_that_waits_says_why_and_can_be_canceled_and_retried() {
    let bench = Bench::new("", PAGES);
    bench.point_to(&bench.luma, &format!("{PAGES}\nluma.rate_limit.requests = 1\nluma.rate_limit.reserve = 0\nluma.rate_limit.window = \"1h\"\nbatch.max_rows = 1"));
    let site = Site::start(&bench);
    bench
        .scratch
        .write("drop/members/list.csv", "email\nana@example.org\nben@example.org\ncleo@example.org\n");
    wait_until(PATIENCE, "the limit", || site.get("/runs/1").text.contains("The rate limit is used up"));
    let overview = site.get("/").text;
    assert!(overview.contains("0 of 1 requests left"), "{overview}");
    let cookie = site.sign_in();
    let form = format!("csrf={}", site.csrf("/runs/1", &cookie));
    site.post("/runs/1/cancel", &[&cookie], &form).with_status(303);
    let page = site.ask("GET", "/runs/1", &[&cookie], "").text;
    assert!(page.contains("will not be sent") && page.contains("canceled by Ana"), "{page}");
    let again = site.ask("GET", "/runs/1", &[&cookie], "").text;
    assert!(!again.contains("will not be sent."), "said twice: {again}");
    site.post("/runs/1/cancel", &[&cookie], &form).with_status(303);
    let again = site.ask("GET", "/runs/1", &[&cookie], "").text;
    assert!(again.contains("no rows were left to cancel"), "{again}");
    let said = site.service.stderr();
    assert_eq!(said.matches("a run is canceled").count(), 1, "what was over is not canceled: {said}");
    site.goes_on();
}

#[test]
fn whoever_listens_hears_that_something_has_changed() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let mut line = site.connect();
    let ask = format!("GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", site.address);
    line.write_all(ask.as_bytes()).expect("sent");
    let mut heard = String::new();
    let mut piece = [0; 4096];
    while !heard.contains(": here") {
        let read = line.read(&mut piece).expect("a line");
        heard.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    assert!(heard.contains("text/event-stream"), "{heard}");
    bench.scratch.write("drop/members/list.csv", People::clean(10, None).csv);
    line.set_read_timeout(Some(Duration::from_mins(1))).expect("set");
    while !heard.contains("event: changed") {
        let read = line.read(&mut piece).expect("an event");
        assert!(read > 0, "the line ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    // An open line holds up no stop.
    site.service.terminate();
    site.service.wait().with_code(143);
}

#[test]
fn ready_says_no_where_the_tables_are_not_ours() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    assert_eq!(site.get("/readyz").with_status(200).json()["ready"], true);
    bench
        .db_to_write()
        .execute("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)");
    assert_eq!(site.get("/readyz").with_status(503).json()["ready"], false);
    site.get("/healthz").with_status(200);
}
