//! Whether everybody can use a page: people who see little, hear it read, use a keyboard or a phone.
//!
//! Asked are a few rules of our own, always, and axe where it is at hand (`LUMASYNC_TEST_AXE` names its file).

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use super::driver::Browser;

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
  if (!(one.textContent.trim() || one.ariaLabel)) say("no name", one);
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

/// What axe finds wrong, or nothing where it is not at hand.
fn axe() -> Option<&'static str> {
    static AXE: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let Some(path) = std::env::var_os("LUMASYNC_TEST_AXE") else {
            let _ = writeln!(std::io::stderr(), "note: axe is left out: LUMASYNC_TEST_AXE names no file");
            return None;
        };
        let axe = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Some(format!(
            "{axe};
            const done = arguments[arguments.length - 1];
            const said = (one) => one.id + \": \" + one.nodes.map((node) => node.html.slice(0, 200)).join(\" | \");
            axe.run(document, {{ resultTypes: [\"violations\"] }}).then(
              (found) => done({{ rules: found.passes.length, wrong: found.violations.map(said) }}),
              (error) => done({{ rules: 0, wrong: [String(error)] }}));"
        ))
    };
    AXE.get_or_init(read).as_deref()
}

/// Nothing is wrong with the page, and a picture of it is kept.
#[track_caller]
pub(super) fn check(browser: &Browser, page: &str, name: &str) {
    let wrong = browser.script(WRONG);
    assert_eq!(wrong.as_array().map(Vec::len), Some(0), "{page} {name}: {wrong:#}");
    if let Some(axe) = axe() {
        let found = browser.script_with_answer(axe);
        assert!(found["rules"].as_u64() > Some(5), "axe has looked at {page}: {found:#}");
        assert_eq!(found["wrong"].as_array().map(Vec::len), Some(0), "{page} {name}: {found:#}");
    }
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{page} {name}: {complaints:?}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("{page}-{name}.png")), browser.picture()).expect("written");
}
