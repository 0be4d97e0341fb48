//! Whether the pages say that all is well when it is, and only then; and what they show to whoever is not known.

use serde_json::Value;

use super::site::{PAGES, Site, TOKEN};
use super::upload::Person;
use crate::support::{Bench, Mood, PATIENCE, Receiver, wait_until};

fn status(site: &Site) -> Value {
    site.get("/api/v1/status").with_status(200).json()
}

#[track_caller]
fn wait_for(site: &Site, mood: &str, sentence: &str) {
    wait_until(PATIENCE, sentence, || {
        let status = status(site);
        status["mood"] == mood && status["sentence"].as_str().is_some_and(|said| said.contains(sentence))
    });
    assert!(site.get("/").with_status(200).text.contains(sentence), "the page says the same");
}

#[test]
fn a_list_of_which_nothing_could_be_sent_is_told_until_it_comes_again() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("list.csv", "email\nnonsense\nnobody\n");
    bench.sync(["list.csv"]).run().with_code(4);
    let site = Site::start(&bench);
    wait_for(&site, "warn", "Run 1 (list.csv) left rows that were not sent.");
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    wait_for(&site, "good", "All is well");
    site.goes_on();
}

#[test]
fn a_file_that_cannot_be_taken_in_is_told_until_it_is_taken_away() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    bench.scratch.write("drop/members/bad.csv", "colour,size\nred,7\n");
    wait_for(&site, "warn", "1 file could not be taken in.");
    assert!(site.get("/").text.contains("failed/bad.csv"), "{:?}", site.get("/"));
    assert!(site.get("/metrics").text.contains("lumasync_files_failed 1"));
    for file in std::fs::read_dir(bench.scratch.path("drop/failed")).expect("a folder").flatten() {
        std::fs::remove_file(file.path()).expect("removed");
    }
    wait_for(&site, "good", "All is well");
    site.goes_on();
}

#[test]
fn a_key_that_is_refused_meanwhile_waits_for_a_person() {
    let bench = Bench::new("401@1+", PAGES);
    let site = Site::start(&bench);
    wait_for(&site, "good", "All is well");
    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\n");
    wait_for(&site, "bad", "Luma refuses the key of account main");
    wait_until(PATIENCE, "the run", || site.get("/api/v1/runs/1").json()["waiting"]["code"] == "key");
    let run = site.get("/api/v1/runs/1").json();
    assert_eq!(run["waiting"]["needs_a_person"], true, "{run:#}");
    assert!(site.get("/").text.contains("Mend it; it is tried again by itself."));
    site.goes_on();
}

#[test]
fn names_that_hold_an_address_are_shown_without_it_to_strangers() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("drop/members/list of ana.secret@example.org.csv", "email\nben@example.org\n");
    bench
        .scratch
        .write("events.csv", "name,start_at\nTea with \"ana.secret@example.org\",2099-12-03T18:00:00Z\n");
    bench.sync([]).run();
    bench.sync(["--kind", "events", "events.csv"]).run();
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    let mut known = 0;
    for path in [
        "/",
        "/runs",
        "/runs/1",
        "/events",
        "/events/1",
        "/api/v1/runs",
        "/api/v1/runs/1",
        "/api/v1/events",
        "/api/v1/events/1",
    ] {
        let shown = site.get(path).with_status(200);
        assert!(!shown.text.contains("ana.secret"), "{path}: {shown:?}");
        if path.starts_with("/api") {
            shown.json();
        }
        known += usize::from(site.ask("GET", path, &[&cookie], "").text.contains("ana.secret@example.org"));
    }
    assert!(known >= 8, "whoever is signed in sees names as they are: {known}");
    assert!(site.get("/runs/1").text.contains("list of …@example.org.csv"));
    site.goes_on();
}

#[test]
fn addresses_in_odd_forms_are_left_out_for_strangers_as_well() {
    let bench = Bench::new("", PAGES);
    let odd =
        ["secret@@x.org", "secret@my_host.org", "secret\u{200b}@x.org", "secret)@x.org", "secret@x5,org"];
    for (number, form) in odd.into_iter().enumerate() {
        let list = format!("email,tags\nguest{number}@example.org,\"{form}\"\n");
        bench.scratch.write(&format!("drop/members/list of {form}.csv"), list);
    }
    bench.sync([]).run();
    let runs = bench.db().count("select count(*) from runs");
    assert_eq!(runs, 5);
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    for run in 1..=runs {
        for path in [format!("/runs/{run}"), format!("/api/v1/runs/{run}")] {
            let known = || {
                let text = site.ask("GET", &path, &[&cookie], "").text;
                text.contains("list of secret") && text.contains("not known: `secret")
            };
            wait_until(PATIENCE, "the name and the reason", known);
            let shown = site.get(&path).with_status(200);
            assert!(!shown.text.contains("secret"), "{path}: {shown:?}");
        }
    }
    site.goes_on();
}

#[test]
fn what_only_a_proxy_adds_shows_that_there_is_one_and_whose_guesses_these_are() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    for line in
        ["Via: 1.1 proxy", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "CF-Connecting-IP: 192.0.2.1"]
    {
        site.ask("GET", "/runs", &[line], "").with_status(303);
    }
    let guess = |token: &str, whose: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        site.ask("GET", "/metrics", &[&bearer, &format!("X-Forwarded-For: 10.0.0.1, {whose}")], "").status
    };
    let guesses: Vec<u16> = (0..20).map(|_| guess("wrong", "192.0.2.1")).collect();
    assert!(guesses.contains(&401) && guesses.contains(&429), "{guesses:?}");
    assert_eq!(guess(TOKEN, "192.0.2.1"), 429, "whoever guesses waits");
    assert_eq!(guess(TOKEN, "192.0.2.2"), 200, "and nobody else");
    assert!(site.service.stderr().contains("a program gave a wrong token"));
    site.goes_on();
}

#[test]
fn what_no_database_can_be_asked_is_refused_before_it_is() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    site.get("/api/v1/runs?account=%00").with_status(422);
    site.post("/runs", &[], "text=%00").with_status(422);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let body = r#"{"account": "ma\u0000in", "members": [{"email": "ana@example.org"}]}"#;
    site.ask("POST", "/api/v1/members", &[&bearer, "Content-Type: application/json"], body).with_status(422);
    for (method, path) in
        [("PUT", "/runs"), ("DELETE", "/api/v1/runs/1"), ("GET", "/static/%ff"), ("GET", "/runs/1/%ff")]
    {
        let answer = site.ask(method, path, &[], "");
        assert!([401, 404, 405, 400].contains(&answer.status), "{answer:?}");
        let kind = answer.header("content-type").unwrap_or_default();
        let is_json = path.starts_with("/api/");
        assert!(
            kind.starts_with(if is_json { "application/json" } else { "text/html" }),
            "{path}: {answer:?}"
        );
        assert!(!answer.text.contains("Invalid URL"), "{answer:?}");
    }
    site.goes_on();
}

#[test]
fn a_folder_that_cannot_be_looked_through_is_told_until_it_can() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    wait_for(&site, "good", "All is well");
    wait_until(PATIENCE, "the folder", || bench.scratch.path("drop/members").is_dir());
    std::fs::rename(bench.scratch.path("drop/members"), bench.scratch.path("away")).expect("moved");
    bench.scratch.write("drop/members", "no folder\n");
    wait_for(&site, "bad", "drop/members cannot be looked through: nothing is taken in from it.");
    assert!(site.get("/metrics").text.contains("lumasync_folders_unreadable 1"));
    let told = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(told.contains("drop/members` cannot be looked through"), "{told}");
    std::fs::remove_file(bench.scratch.path("drop/members")).expect("removed");
    std::fs::rename(bench.scratch.path("away"), bench.scratch.path("drop/members")).expect("moved");
    wait_for(&site, "good", "All is well");
    site.goes_on();
}

#[test]
fn files_that_are_never_taken_in_are_told_until_they_are_gone() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    bench.scratch.write("drop/members/people.xlsx", "no list\n");
    bench.scratch.write("drop/list.csv", "email\nana@example.org\n");
    wait_for(&site, "warn", "2 files lie in the drop folder and are never taken in.");
    assert!(site.get("/").text.contains("people.xlsx</code> is never taken in: "), "{:?}", site.get("/"));
    std::fs::remove_file(bench.scratch.path("drop/list.csv")).expect("removed");
    wait_for(&site, "warn", "1 file lies in the drop folder and is never taken in.");
    std::fs::remove_file(bench.scratch.path("drop/members/people.xlsx")).expect("removed");
    wait_for(&site, "good", "All is well");
    site.goes_on();
}

#[test]
fn no_number_of_later_runs_hides_one_that_left_rows() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("list.csv", "email\nnonsense\n");
    bench.sync(["list.csv"]).run().with_code(4);
    bench.db_to_write().execute(
        "insert into runs (account, kind, source, started_by, label, status, created_at, finished_at)
         with recursive n (n) as (select 1 union all select n + 1 from n where n < 300)
         select account, kind, source, started_by, label || n, 'succeeded', created_at, finished_at
           from runs, n where id = 1",
    );
    let site = Site::start(&bench);
    wait_for(&site, "warn", "Run 1 (list.csv) left rows that were not sent.");
    site.goes_on();
}

#[test]
fn a_file_for_a_schedule_that_is_paused_waits_for_a_person() {
    let schedule = "\n[[schedule]]\nname = \"nightly\"\ncron = \"0 3 * * *\"\ntimezone = \"UTC\"\nsources = [\"folder\"]\n";
    let bench = Bench::new("", &format!("{PAGES}{schedule}"));
    let site = Site::start(&bench);
    let person = Person::sign_in(&site);
    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\n");
    wait_for(&site, "good", "All is well");
    let act = |action: &str| {
        let form = format!("csrf={}&name=nightly&action={action}", person.csrf);
        site.post("/schedules", &[&person.cookie], &form).with_status(303)
    };
    act("pause");
    wait_for(&site, "warn", "1 file in the drop folder, and what takes it in is paused: nightly.");
    let uploaded = person.upload("more.csv", "email\nben@example.org\n").with_status(303);
    let upload = uploaded.header("location").expect("a place").to_owned();
    site.post(&format!("{upload}/send"), &[&person.cookie], &format!("csrf={}", person.csrf))
        .with_status(303);
    let page = site.ask("GET", &upload, &[&person.cookie], "").with_status(200).text;
    assert!(page.contains("takes in; but that is paused."), "{page}");
    act("resume");
    wait_for(&site, "good", "All is well");
    site.goes_on();
}

#[test]
fn an_event_that_waits_says_why_and_for_how_long() {
    let bench = Bench::new("401@1+", PAGES);
    let site = Site::start(&bench);
    wait_for(&site, "good", "All is well");
    bench.scratch.write("drop/events/talks.csv", "name,start_at\nTalk,2099-12-04T18:00:00Z\n");
    wait_for(&site, "bad", "Luma refuses the key of account main");
    wait_until(PATIENCE, "the reason", || site.get("/api/v1/events/1").json()["waiting"]["code"] == "key");
    let page = site.get("/events/1").with_status(200).text;
    assert!(page.contains("Why is this waiting? </strong>Luma refuses the key"), "{page}");
    wait_until(PATIENCE, "its age", || status(&site)["oldest_seconds"].as_u64() >= Some(1));
    let numbers = site.get("/metrics").text;
    assert!(!numbers.contains("lumasync_oldest_pending_seconds{account=\"main\"} 0"), "{numbers}");
    site.goes_on();
}

#[test]
fn a_notice_that_nobody_takes_is_told() {
    let receiver = Receiver::start();
    let bench = Bench::new("", "");
    bench.configure(&format!("{PAGES}\n{}", receiver.configure(&bench, "")));
    receiver.answer(&[Mood::Status(503)]);
    let site = Site::start(&bench);
    bench.scratch.write("drop/members/bad.csv", "email\nnonsense\n");
    wait_for(&site, "warn", "Run 1 (bad.csv) left rows that were not sent.");
    wait_until(PATIENCE, "the notice", || status(&site)["unposted_notices"].as_u64() >= Some(1));
    site.goes_on();
}

#[test]
fn strangers_see_no_cell_of_a_list_that_has_its_columns_mixed_up() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("list.csv", "email,tags,name\nana@example.org,Ana Secretlast,vip\n");
    bench.sync(["list.csv"]).run().with_code(4);
    let site = Site::start(&bench);
    bench.scratch.write("drop/members/bad.csv", "Ben Secretlast,size\nred,7\n");
    wait_for(&site, "warn", "1 file could not be taken in.");
    let cookie = site.sign_in();
    for path in ["/runs/1", "/api/v1/runs/1", "/"] {
        let page = |lines: &[&str]| site.ask("GET", path, lines, "").with_status(200).text;
        wait_until(PATIENCE, "the causes", || page(&[&cookie]).contains("Secretlast"));
        assert!(!page(&[]).contains("Secretlast"), "{path}: {}", page(&[]));
    }
    site.goes_on();
}
