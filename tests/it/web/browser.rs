//! The pages in a real browser: on a phone and on a desk, by day and by night, without a complaint.

use super::driver::Browser;
use super::everybody::check;
use super::site::{PAGES, Site, TOKEN};
use crate::support::Bench;

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
