//! The pages in a real browser: on a phone and on a desk, by day and by night, without a complaint.

use std::fs;
use std::path::Path;

use super::driver::Browser;
use super::site::{PAGES, Site, TOKEN};
use crate::support::Bench;

/// What is wrong with a page for people who see little, hear it read or use a keyboard.
const WRONG: &str = r#"
const wrong = [];
const say = (what, of) => wrong.push(what + ": " + of.outerHTML.slice(0, 120));
if (document.documentElement.scrollWidth > window.innerWidth) {
  wrong.push("the page is " + document.documentElement.scrollWidth + " wide, the window " + window.innerWidth);
}
if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
for (const name of ["header", "nav", "main"]) if (!document.querySelector(name)) wrong.push("no " + name);
if (!document.documentElement.lang || !document.title) wrong.push("no language or title");
for (const field of document.querySelectorAll("input:not([type=hidden]), select")) {
  if (!field.labels.length && !field.ariaLabel) say("no label", field);
}
for (const one of document.querySelectorAll("a, button, summary")) {
  if (!(one.innerText.trim() || one.ariaLabel)) say("no name", one);
}
for (const chart of document.querySelectorAll("svg")) if (!chart.getAttribute("aria-label")) say("no words", chart);
const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
if (new Set(ids).size !== ids.length) wrong.push("one id twice");
const light = (color) => {
  const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (one) => {
  for (; one; one = one.parentElement) {
    const color = getComputedStyle(one).backgroundColor;
    if (!/, 0\)$|transparent/.test(color)) return color;
  }
  return "rgb(255, 255, 255)";
};
for (const one of document.body.querySelectorAll("*")) {
  const isText = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!isText || !one.checkVisibility() || one.closest("svg, .skip, option")) continue;
  const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) say("contrast " + ratio.toFixed(2), one);
}
return wrong;
"#;

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

/// Nothing is wrong with the page, and a picture of it is kept.
#[track_caller]
fn check(browser: &Browser, page: &str, name: &str) {
    let wrong = browser.script(WRONG);
    assert_eq!(wrong.as_array().map(Vec::len), Some(0), "{page} {name}: {wrong:#}");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{page} {name}: {complaints:?}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("{page}-{name}.png")), bytes(&browser.picture())).expect("written");
}

/// What stands in base 64.
fn bytes(text: &str) -> Vec<u8> {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for sign in text.bytes().filter_map(|byte| SIGNS.iter().position(|sign| *sign == byte)) {
        held = (held << 6) | u32::try_from(sign).expect("6 bits");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).expect("8 bits"));
            held &= (1 << bits) - 1;
        }
    }
    bytes
}
