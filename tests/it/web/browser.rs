//! The pages in a real browser: on a phone and on a desk, by day and by night, without a complaint.

use serde_json::json;

use super::driver::Browser;
use super::everybody::check;
use super::site::{PAGES, Site, TOKEN};
use crate::support::{Bench, PATIENCE, wait_until};

#[test]
fn pages_can_be_read_and_used_by_everybody_everywhere() {
    let bench = Bench::new("", PAGES);
    let list = "email,name\nana@example.org,Ana\nnonsense,Nobody\nben@example.org,Ben\n";
    bench
        .scratch
        .write("drop/members/a rather long name of a list that somebody exported on Monday.csv", list);
    bench.sync([]).run().with_code(4);
    bench.scratch.write("events.csv", "name\nDemo night\n");
    bench.sync(["--kind", "events", "events.csv"]).run();
    let site = Site::start(&bench);
    for (width, is_dark) in [(375, false), (375, true), (1_280, false), (1_280, true)] {
        let Some(browser) = Browser::open(width, is_dark) else { return };
        look_around(&site, &browser, &format!("{width}-{}", if is_dark { "dark" } else { "light" }));
    }
    site.goes_on();
}

fn look_around(site: &Site, browser: &Browser, name: &str) {
    let address = |path: &str| format!("http://{}{path}", site.address);
    browser.go(&address("/sign-in?to=%2Fruns%2F1"));
    check(browser, "sign-in", name);
    browser.write("#token", TOKEN);
    browser.write("#name", "Ana");
    browser.click("main button[type=submit]");
    browser.wait_for("Run 1");
    check(browser, "run", name);
    assert!(browser.text().contains("rejects"), "{}", browser.text());
    for (path, page) in [
        ("/", "overview"),
        ("/runs", "runs"),
        ("/people", "people"),
        ("/events", "events"),
        ("/events/1", "event"),
        ("/schedules", "schedules"),
    ] {
        browser.go(&address(path));
        check(browser, page, name);
    }
    // By keyboard alone the first thing there is leads past the navigation.
    let first = browser.script("return document.querySelector('a, button').getAttribute('href')");
    assert_eq!(first, "#main");
}

#[test]
fn what_an_act_has_said_stays_while_the_page_shows_itself_anew() {
    let extra = "
        [[source]]\nname = \"crm\"\nurl = \"sqlite://crm.db\"\nquery = \"select email from people\"
        [[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\nsources = [\"crm\"]\n";
    let bench = Bench::new("", &format!("{PAGES}{extra}"));
    let site = Site::start(&bench);
    let Some(browser) = Browser::open(1_280, false) else { return };
    browser.go(&format!("http://{}/sign-in?to=%2Fschedules", site.address));
    browser.write("#token", TOKEN);
    browser.press("Sign in");
    browser.wait_for("nightly");
    browser.press("Pause");
    browser.wait_for("nightly rests until it is resumed.");
    for list in ["first", "second"] {
        browser.script("document.querySelector('main h1').id = 'old'");
        bench.scratch.write(&format!("drop/members/{list}.csv"), format!("email\n{list}@example.org\n"));
        let is_old = || browser.script("return document.querySelector('#old') !== null") == true;
        wait_until(PATIENCE, "the page anew", || !is_old());
        let said = browser.script(
            "return [...document.querySelectorAll('main [role=status]')].map((one) => one.innerText)",
        );
        assert_eq!(said, json!(["nightly rests until it is resumed."]));
        let first = browser.script("return document.querySelectorAll('main h1').length");
        assert_eq!(first, 1);
    }
    browser.follow("Schedules");
    wait_until(PATIENCE, "another page", || !browser.text().contains("rests until"));
    site.goes_on();
}

/// Words that a table breaks, and cells of reasons that are too narrow to be read.
const BROKEN: &str = r#"
const broken = [];
for (const one of document.querySelectorAll("td > code, td > span")) {
  if (!/\s/.test(one.innerText) && one.getClientRects().length > 1) broken.push(one.innerText);
}
for (const table of document.querySelectorAll(".scroll table")) {
  const heads = [...table.querySelectorAll("thead th")];
  for (const head of heads.filter((one) => ["Reason", "Why", "Remarks"].includes(one.innerText))) {
    if (head.clientWidth < 200) broken.push(head.innerText);
  }
}
return broken;
"#;

#[test]
fn tables_on_a_phone_break_no_word_and_leave_room_for_reasons() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("list.csv", "email\nana@example.org\nnonsense\nanother person\n");
    bench.sync(["list.csv"]).run().with_code(4);
    bench.scratch.write("good.csv", "email\nben@example.org\n");
    bench.sync(["good.csv"]).run().with_code(0);
    bench.scratch.write("events.csv", "name,start_at\nDemo night,2099-12-03T18:00:00Z\n");
    bench.sync(["--kind", "events", "events.csv"]).run();
    let site = Site::start(&bench);
    let Some(browser) = Browser::open(375, false) else { return };
    for (path, word) in
        [("/runs/1", "email_invalid"), ("/runs", "succeeded"), ("/events", "created"), ("/", "Heartbeat")]
    {
        browser.go(&format!("http://{}{path}", site.address));
        browser.wait_for(word);
        assert_eq!(browser.script(BROKEN), json!([]), "{path}");
        check(&browser, &format!("phone{}", path.replace('/', "-")), "375");
    }
    site.goes_on();
}
