//! One person looked for from a page and by a program: found where they are, and shown to nobody else.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::{bearer, hold};
use super::site::{Answer, PAGES, Site, TOKEN};
use crate::support::{Bench, PATIENCE, wait_until};

const LIST: &str = "email,name,tags\nbo@example.org,Bo,vip\nAna@Example.org,Ana,vip\nana@example.org,Ana,\n\
                    joana@example.org,Joana,\n\"Ana <ana@example.org>\",Ana,\n";

fn bench() -> Bench {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("drop/members/list.csv", LIST);
    bench.sync([]).run().with_code(4);
    bench
}

/// An address as a form bears it.
fn encoded(email: &str) -> String {
    email.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

fn ask(site: &Site, cookie: &str, email: &str) -> Answer {
    let csrf = site.csrf("/people", cookie);
    site.post("/people", &[cookie], &format!("csrf={csrf}&email={}", encoded(email)))
}

/// Looks for somebody; where what is found is shown.
#[track_caller]
fn search(site: &Site, cookie: &str, email: &str) -> String {
    let answer = ask(site, cookie, email).with_status(303);
    let place = answer.header("location").expect("a place").to_owned();
    let word = place.strip_prefix("/people/").expect("a word");
    assert!(word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()), "{place}");
    place
}

/// The page once all is found. Until then it asks for itself anew.
fn found(site: &Site, cookie: &str, place: &str) -> String {
    let mut page = String::new();
    wait_until(PATIENCE, "what is found", || {
        let answer = site.ask("GET", place, &[cookie], "").with_status(200);
        let is_over = answer.header("refresh").is_none();
        page = answer.text;
        is_over
    });
    page
}

#[test]
fn somebody_is_found_in_rows_requests_the_ledger_and_files_and_nobody_else_is_shown() {
    let bench = bench();
    let why = ["suppress", "add", "ana@example.org", "--reason", "asked <us> to"];
    bench.lumasync(why).run().with_code(0);
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    let page = found(&site, &cookie, &search(&site, &cookie, " ANA@example.org "));
    for said in [
        "confirmed by Luma in account `main`: tag-vip, last by run 1 <a href=\"/runs/1\">Run 1</a>",
        "Nothing is sent to them: suppressed in every account since ",
        " UTC, by hand: asked &lt;us&gt; to.",
        "row 2 came in run 1, list.csv, line 3: Ana@example.org, Ana, tags tag-vip",
        " left with row 2 and 1 other: POST ",
        " ended with 200, accepted",
        "row 2 is delivered",
        "(email_invalid)",
        "list.1.success.csv</td><td class=\"number\">3<",
        "line 4 of the original, duplicate",
        "list.1.rejects.csv",
        "files searched.",
        "<title>People · lumasync</title>",
        "aria-current=\"page\">People<",
    ] {
        assert!(page.contains(said), "no `{said}` in {page}");
    }
    for other in ["bo@", "joana", "Not searched", "Why is this waiting?"] {
        assert!(!page.contains(other), "`{other}` in {page}");
    }
    let page = found(&site, &cookie, &search(&site, &cookie, "joana@example.org"));
    assert!(page.contains("joana@example.org") && !page.contains(">Nothing is sent"), "{page}");
    site.goes_on();
}

#[test]
fn what_waits_says_why() {
    let limit = "luma.rate_limit.requests = 1\nluma.rate_limit.reserve = 0\nluma.rate_limit.window = \"1h\"";
    let bench = Bench::new("", "");
    bench.point_to(&bench.luma, &format!("{PAGES}\n{limit}\nbatch.max_rows = 1\nguard.max_new_members = 3"));
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    bench.scratch.write("drop/members/few.csv", "email\nana@example.org\nben@example.org\n");
    wait_until(PATIENCE, "the limit", || site.get("/runs/1").text.contains("The rate limit is used up"));
    let waits = bench.db().rows("select email from member_queue where state = 'pending'")[0][0].clone();
    let page = found(&site, &cookie, &search(&site, &cookie, &waits));
    assert!(
        page.contains("Why is this waiting?") && page.contains("waits for a request. The rate limit"),
        "{page}"
    );

    bench.scratch.write(
        "drop/members/many.csv",
        "email\nc@example.org\nd@example.org\ne@example.org\nf@example.org\n",
    );
    wait_until(PATIENCE, "a held run", || {
        bench.db().count("select count(*) from runs where status = 'held'") == 1
    });
    let page = found(&site, &cookie, &search(&site, &cookie, "d@example.org"));
    let said = "waits for approval. It waits until somebody approves it: 4 people are new";
    assert!(page.contains(said) && page.contains("<a href=\"/runs/2\">Run 2</a>"), "{page}");
    let text = bench.lumasync(["trace", "d@example.org"]).run().with_code(0).stdout;
    assert!(text.contains("waits for approval"), "{text}");
    site.goes_on();
}

#[test]
fn whoever_is_nowhere_and_what_is_no_address_is_said_and_nothing_of_it_is_taken_for_markup() {
    let bench = bench();
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    for email in [
        "nobody@example.org",
        "nonsense",
        "\"a b\"@example.org",
        "%_'; drop table runs --",
        "\u{1b}[31m@example.org",
    ] {
        let page = found(&site, &cookie, &search(&site, &cookie, email));
        assert!(page.contains("No row and no file names this person."), "{email}: {page}");
    }
    let odd = "\"><script>alert(1)</script>@example.org";
    let page = found(&site, &cookie, &search(&site, &cookie, odd));
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
    for email in ["", "  ", &"a".repeat(401)] {
        ask(&site, &cookie, email).with_status(422);
    }
    site.goes_on();
}

#[test]
fn nobody_else_sees_it_and_the_address_is_in_no_log_and_no_address_of_a_page() {
    let bench = bench();
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    let place = search(&site, &cookie, "ana@example.org");
    assert!(found(&site, &cookie, &place).contains("row 2 is delivered"));

    site.get(&place).with_status(401);
    site.ask("GET", &place, &["Cookie: lumasync=x"], "").with_status(401);
    site.ask("GET", &place, &[&format!("Authorization: Bearer {TOKEN}")], "").with_status(404);
    let other = site.sign_in();
    let answer = site.ask("GET", &place, &[&other], "").with_status(303);
    assert_eq!((answer.header("location"), answer.text.contains("ana")), (Some("/people"), false));
    assert!(site.ask("GET", "/people", &[&other], "").text.contains("forgotten by now"));
    let made_up = format!("/people/{}", "0".repeat(64));
    site.ask("GET", &made_up, &[&cookie], "").with_status(303);

    let page = site.get("/people").with_status(200).text;
    assert!(page.contains("href=\"/sign-in?to=/people\"") && !page.contains("name=\"email\""), "{page}");
    let form = format!("csrf={}&email=ana%40example.org", site.csrf("/people", &cookie));
    site.post("/people", &[], &form).with_status(401);
    site.post("/people", &[&other], &form).with_status(403);
    site.post("/people", &[&cookie], "email=ana%40example.org").with_status(422);
    site.post("/people", &[&cookie, "Origin: http://evil.example"], &form).with_status(403);

    // Whoever signs out leaves nothing behind.
    let csrf = format!("csrf={}", site.csrf("/people", &cookie));
    site.post("/sign-out", &[&cookie], &csrf).with_status(303);
    site.ask("GET", &place, &[&cookie], "").with_status(401);
    let log = site.service.stderr();
    assert!(log.contains("somebody is looked for"), "{log}");
    assert!(!log.contains("example.org") && !log.contains(place.trim_start_matches("/people/")), "{log}");
    site.goes_on();
}

#[test]
fn whoever_is_forgotten_by_another_process_is_gone_from_what_was_found_before() {
    let bench = bench();
    let site = Site::start(&bench);
    let (cookie, other) = (site.sign_in(), site.sign_in());
    let places = [&cookie, &other].map(|cookie| {
        let place = search(&site, cookie, "ana@example.org");
        assert!(found(&site, cookie, &place).contains("row 2 is delivered"));
        (place, cookie)
    });
    bench.lumasync(["forget", "ana@example.org", "--dry-run"]).run().with_code(0);
    assert!(found(&site, &cookie, &places[0].0).contains("row 2 is delivered"));

    bench.lumasync(["forget", "ana@example.org", "--yes"]).run().with_code(0);
    for (place, cookie) in &places {
        let answer = site.ask("GET", place, &[cookie], "").with_status(303);
        assert_eq!((answer.header("location"), answer.text.contains("ana")), (Some("/people"), false));
        assert!(site.ask("GET", "/people", &[cookie], "").text.contains("forgotten by now"));
    }
    let page = found(&site, &cookie, &search(&site, &cookie, "ana@example.org"));
    assert!(page.contains("No row and no file names this person."), "{page}");
    let page = found(&site, &cookie, &search(&site, &cookie, "joana@example.org"));
    assert!(page.contains("joana@example.org, Joana"), "{page}");
    site.goes_on();
}

#[test]
fn reasons_that_quote_whoever_is_forgotten_are_read_anew() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("drop/members/list.csv", "email\nbo@example.org\nnonsense\n");
    bench.sync([]).run().with_code(4);
    let quote = "update member_queue set reason = 'asked for by ana@example.org' where state = 'invalid'";
    bench.db_to_write().execute(quote);
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    let run = || site.ask("GET", "/runs/1", &[&cookie], "").with_status(200).text;
    wait_until(PATIENCE, "the causes", || run().contains("asked for by ana@example.org"));
    bench.lumasync(["forget", "ana@example.org", "--yes"]).run().with_code(0);
    assert!(!run().contains("ana@example.org"), "{}", run());
    wait_until(PATIENCE, "the causes", || run().contains("asked for by [forgotten]"));
    site.goes_on();
}

#[test]
fn programs_are_told_what_the_command_line_tells() {
    let bench = bench();
    let site = Site::start(&bench);
    let document = site.get("/api/v1/openapi.json").json();
    let path = "/api/v1/people/trace";
    let ask = |lines: &[&str], body: &Value| {
        let lines: Vec<&str> = ["Content-Type: application/json"].iter().chain(lines).copied().collect();
        site.ask("POST", path, &lines, &body.to_string())
    };
    let (token, ana) = (bearer(), json!({ "email": "ana@example.org" }));
    let told = ask(&[&token], &ana).with_status(200);
    hold(&document, "post", path, &told);
    let said = bench.lumasync(["--output", "json", "trace", "ana@example.org"]).run().with_code(0).stdout;
    assert_eq!(told.json(), serde_json::from_str::<Value>(&said).expect("JSON"));
    assert_eq!(told.json()["rows"][0]["state"], "delivered");
    let nobody = ask(&[&token], &json!({ "email": "nobody@example.org" })).with_status(200);
    hold(&document, "post", path, &nobody);
    assert_eq!(nobody.json()["rows"], json!([]));
    for body in [json!({ "email": " " }), json!({}), json!({ "email": "ana@example.org", "odd": 1 })] {
        hold(&document, "post", path, &ask(&[&token], &body).with_status(422));
    }
    let cookie = site.sign_in();
    for line in ["X-Nothing: x", "Authorization: Bearer wrong", cookie.as_str()] {
        hold(&document, "post", path, &ask(&[line], &ana).with_status(401));
    }
    hold(&document, "post", path, &ask(&[&token, "Origin: http://evil.example"], &ana).with_status(403));
    assert!(!site.service.stderr().contains("example.org"), "{}", site.service.stderr());
    site.goes_on();
}

#[test]
fn files_that_take_long_hold_up_neither_the_page_nor_the_end_of_the_service() {
    let bench = bench();
    let dir = bench.scratch.path("drop/done");
    fs::create_dir_all(&dir).expect("a folder");
    let mut file = File::create(dir.join("large.json")).expect("a file");
    file.write_all(&b"{}\n".repeat(1 << 20)).expect("written");
    // Nothing of it is on the disk, and all of it is read.
    file.set_len(1 << 40).expect("a hole");
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    let begun = Instant::now();
    let place = search(&site, &cookie, "ana@example.org");
    let mut shown = None;
    wait_until(PATIENCE, "the rows", || {
        let answer = site.ask("GET", &place, &[&cookie], "").with_status(200);
        let is_there = answer.text.contains("row 2 is delivered");
        shown = is_there.then_some(answer);
        is_there
    });
    let shown = shown.expect("shown");
    assert!(
        shown.text.contains("Files are searched…") && !shown.text.contains("files searched."),
        "{shown:?}"
    );
    assert_eq!(shown.header("refresh"), Some("1"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    search(&site, &cookie, "ana@example.org");
    let busy = ask(&site, &cookie, "ana@example.org").with_status(503);
    assert!(busy.text.contains("too many of these"), "{busy:?}");
    let told = json!({ "email": "ana@example.org" }).to_string();
    site.ask("POST", "/api/v1/people/trace", &[&bearer()], &told).with_status(503);
    let stopped = Instant::now();
    site.goes_on();
    assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", stopped.elapsed());
}
