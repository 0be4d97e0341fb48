//! Events in doubt and schedules, decided about from a page.

use super::site::{PAGES, Site};
use crate::support::{Bench, Foreign, PATIENCE, wait_until};

#[test]
fn an_event_in_doubt_is_shown_with_its_evidence_and_ends_by_what_a_person_found() {
    let bench = Bench::new("events:reset-after@1", PAGES);
    bench
        .scratch
        .write("events.csv", "name,start_at\nDemo <night>,2099-12-03T18:00:00Z\nTalk,2099-12-04T18:00:00Z\n");
    bench.sync(["--kind", "events", "events.csv"]).run();
    let doubtful = bench.db().count("select count(*) from event_queue where state = 'unknown'");
    assert!(doubtful > 0, "{:?}", bench.db().rows("select name, state, reason from event_queue"));
    let id = bench.db().count("select min(id) from event_queue where state = 'unknown'");
    let site = Site::start(&bench);
    assert!(site.get("/").text.contains("may or may not exist on Luma"));
    assert!(site.get("/events").with_status(200).text.contains("Each of these may or may not exist"));
    let path = format!("/events/{id}");
    let page = site.get(&path).with_status(200).text;
    assert!(
        page.contains("bytes of body may have left") && page.contains(">Sign in</a> to decide"),
        "{page}"
    );
    let cookie = site.sign_in();
    let csrf = site.csrf(&path, &cookie);
    let resolve = format!("{path}/resolve");
    site.post(&resolve, &[&cookie], &format!("csrf={csrf}&created=usr-1")).with_status(422);
    site.post(&resolve, &[&cookie], &format!("csrf={csrf}")).with_status(422);
    site.post(&resolve, &[&cookie], &format!("csrf={csrf}&created=evt-1&send_again=yes")).with_status(422);
    site.post(&resolve, &[&cookie], &format!("csrf={csrf}&created=evt-found")).with_status(303);
    let page = site.ask("GET", &path, &[&cookie], "").text;
    assert!(page.contains("Noted: the event is created now.") && page.contains("by Ana"), "{page}");
    site.post(&resolve, &[&cookie], &format!("csrf={csrf}&send_again=yes")).with_status(409);
    site.post("/events/999/resolve", &[&cookie], &format!("csrf={csrf}&send_again=yes")).with_status(404);
    assert_eq!(site.get("/events?state=odd").status, 422);
    site.goes_on();
}

#[test]
fn a_schedule_is_set_off_paused_and_resumed_from_its_page() {
    let schedule = "\n[[schedule]]\nname = \"nightly\"\ncron = \"0 3 * * *\"\ntimezone = \"Europe/Paris\"\nsources = [\"folder\"]\n";
    let bench = Bench::new("", &format!("{PAGES}{schedule}"));
    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\n");
    let site = Site::start(&bench);
    let page = site.get("/schedules").with_status(200).text;
    assert!(
        page.contains("0 3 * * *") && page.contains("Europe/Paris") && !page.contains("Run now"),
        "{page}"
    );
    let cookie = site.sign_in();
    let csrf = site.csrf("/schedules", &cookie);
    let act = |action: &str| {
        site.post("/schedules", &[&cookie], &format!("csrf={csrf}&name=nightly&action={action}"))
    };
    act("pause").with_status(303);
    let again = site.ask("GET", "/schedules", &[&cookie, "X-Again: 1"], "").text;
    assert!(!again.contains("nightly rests"), "said to a page that only looks again: {again}");
    let page = site.ask("GET", "/schedules", &[&cookie], "").text;
    assert!(page.contains("paused") && page.contains("by Ana") && page.contains(">Resume<"), "{page}");
    assert!(page.contains("nightly rests until it is resumed."), "{page}");
    act("pause").with_status(303);
    let page = site.ask("GET", "/schedules", &[&cookie], "").text;
    assert!(page.contains("nightly rests already"), "{page}");
    act("resume").with_status(303);
    act("resume").with_status(303);
    let changes = site.service.stderr().matches("a schedule is changed from a page").count();
    assert_eq!(changes, 2, "what changed nothing is no change: {}", site.service.stderr());
    act("run").with_status(303);
    act("odd").with_status(404);
    site.post("/schedules", &[&cookie], &format!("csrf={csrf}&name=weekly&action=run")).with_status(404);
    wait_until(PATIENCE, "the fire", || site.get("/schedules").text.contains(">succeeded</span>"));
    let page = site.get("/schedules").text;
    assert!(page.contains("href=\"/runs/1\"") && page.contains("by Ana"), "{page}");
    assert!(!site.service.stderr().contains("a fire that was left"), "{}", site.service.stderr());
    site.goes_on();
}

#[test]
fn a_fire_that_failed_leads_to_the_run_that_says_why() {
    let extra = "
        [[source]]\nname = \"crm\"\nurl = \"sqlite://crm.db\"\nquery = \"select email from people\"
        [[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\nsources = [\"crm\"]\n";
    let bench = Bench::new("", &format!("{PAGES}{extra}"));
    Foreign::sqlite(&bench.scratch).execute("create table folks (email text)");
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    let form = format!("csrf={}&name=nightly&action=run", site.csrf("/schedules", &cookie));
    site.post("/schedules", &[&cookie], &form).with_status(303);
    wait_until(PATIENCE, "its end", || site.get("/schedules").text.contains(">failed</span>"));
    let run = bench.db().count("select max(id) from runs");
    let page = site.get("/schedules").text;
    assert!(page.contains(&format!("href=\"/runs/{run}\"")), "{page}");
    let told = &site.get("/api/v1/schedules").json()["schedules"][0]["fires"][0];
    assert_eq!((told["state"].as_str(), told["runs"][0].as_i64()), (Some("failed"), Some(run)), "{told}");
    site.goes_on();
}
