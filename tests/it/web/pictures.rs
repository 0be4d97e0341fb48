//! Pictures of the pages for the README, taken of a service that has something to show.
//!
//! They are written to `docs/` where `LUMASYNC_TEST_PICTURES` is set, and else only taken.

use std::fs;
use std::path::{Path, PathBuf};

use super::driver::Browser;
use super::everybody::check;
use super::site::{PAGES, Site, TOKEN};
use crate::support::Bench;

const SETTINGS: &str = r#"
luma.rate_limit.requests = 200
luma.rate_limit.window = "60s"
batch.max_rows = 100
guard.max_new_members = 2000
[[schedule]]
name = "nightly"
cron = "0 3 * * *"
timezone = "Europe/Paris"
sources = ["folder"]
"#;

/// Requests of the last moments are spread over the last hours: nobody waits so long for a picture.
const SPREAD: &str = "update attempts set
    started_at = strftime('%Y-%m-%dT%H:%M:%f', started_at, '-' || (id * id * 31 % 345) || ' minutes') || '000Z',
    finished_at = strftime('%Y-%m-%dT%H:%M:%f', finished_at, '-' || (id * id * 31 % 345) || ' minutes') || '000Z'";

/// A list of so many people; every `odd`th line is wrong.
fn list(name: &str, people: usize, odd: usize) -> String {
    (1..=people).fold("email,name,tags\n".to_owned(), |list, number| match number % odd {
        0 => format!("{list}{name}{number} at example.org,Nobody,vip\n"),
        _ => format!("{list}{name}{number}@example.org,Guest {number},vip\n"),
    })
}

/// A service that has sent four lists and holds a fifth.
fn lively() -> Bench {
    let bench = Bench::new("", &format!("{PAGES}{SETTINGS}"));
    let lists =
        [("newsletter", 1_900, 900), ("partners", 640, 70), ("speakers", 84, 100), ("workshop", 410, 150)];
    for (name, people, odd) in lists {
        bench.scratch.write(&format!("{name}.csv"), list(name, people, odd));
        bench.sync([format!("{name}.csv").as_str()]).run();
    }
    bench.scratch.write("everybody.csv", list("everybody", 4_200, 5_000));
    bench.sync(["everybody.csv"]).run().with_code(5);
    bench.db_to_write().execute(SPREAD);
    bench
}

fn sign_in(browser: &Browser, site: &Site) {
    browser.go(&format!("http://{}/sign-in", site.address));
    browser.write("#token", TOKEN);
    browser.write("#name", "Ana");
    browser.press("Sign in");
    browser.wait_for("Sign out");
}

#[test]
fn pictures_of_the_readme_are_those_of_the_pages() {
    // What is shown is the same on the other database.
    if std::env::var("LUMASYNC_TEST_DATABASE").is_ok_and(|name| name == "postgres") {
        return;
    }
    let Some(light) = Browser::open(1_100, false) else { return };
    let Some(dark) = Browser::open(1_100, true) else { return };
    let bench = lively();
    let site = Site::start(&bench);
    sign_in(&light, &site);
    sign_in(&dark, &site);
    light.wait_for("The last hours");
    keep(&light, "overview");
    bench.scratch.write("autumn fair.csv", list("workshop", 560, 140));
    light.follow("Upload");
    light.write("#file", bench.scratch.path("autumn fair.csv").to_str().expect("a path"));
    light.press("Upload and show the plan");
    light.wait_for("people would be sent");
    keep(&light, "plan");
    dark.go(&format!("http://{}/runs/2", site.address));
    dark.wait_for("What happened when");
    keep(&dark, "run");
    site.goes_on();
}

fn keep(browser: &Browser, name: &str) {
    check(browser, name, "picture");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path: PathBuf = root.join(format!("docs/{name}.png"));
    if std::env::var_os("LUMASYNC_TEST_PICTURES").is_some() {
        fs::create_dir_all(root.join("docs")).expect("a folder");
        fs::write(&path, browser.picture()).expect("written");
    }
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    assert!(
        readme.contains(&format!("(docs/{name}.png)")) && path.is_file(),
        "README.md shows `{}`",
        path.display()
    );
}
