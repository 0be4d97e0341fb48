//! A file by the browser: its plan first, then sent once, over restarts and second clicks.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::site::{Answer, PAGES, Site};
use crate::support::{Bench, PATIENCE, wait_until};

pub(super) const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=----b0undary";

/// The parts of a form; a file is `file; filename="..."`.
pub(super) fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in parts {
        let (name, file) = name.split_once("; ").map_or((*name, String::new()), |(name, file)| {
            (name, format!("; {file}\r\nContent-Type: text/csv"))
        });
        let head = format!("------b0undary\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend([head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend(b"------b0undary--\r\n");
    body
}

/// Somebody who is signed in, and the form that they see.
pub(super) struct Person<'s> {
    pub(super) site: &'s Site,
    pub(super) cookie: String,
    pub(super) csrf: String,
}

impl<'s> Person<'s> {
    pub(super) fn sign_in(site: &'s Site) -> Self {
        let cookie = site.sign_in();
        let csrf = site.csrf("/upload", &cookie);
        Self { site, cookie, csrf }
    }

    pub(super) fn post(&self, lines: &[&str], body: &[u8]) -> Answer {
        self.site.send(&[self.head(lines, body.len()).as_bytes(), body].concat())
    }

    pub(super) fn head(&self, lines: &[&str], length: usize) -> String {
        let lines = lines.iter().fold(String::new(), |all, line| all + line + "\r\n");
        let (host, cookie) = (self.site.address, &self.cookie);
        format!(
            "POST /upload HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{cookie}\r\nContent-Length: {length}\r\n{lines}\r\n"
        )
    }

    pub(super) fn fields<'b>(
        &'b self,
        kind: &'b str,
        account: &'b str,
        file: &'b str,
        bytes: &'b [u8],
    ) -> Vec<u8> {
        form(&[
            ("csrf", self.csrf.as_bytes()),
            ("kind", kind.as_bytes()),
            ("account", account.as_bytes()),
            (file, bytes),
        ])
    }

    /// Uploads members under this name.
    pub(super) fn upload(&self, name: &str, text: &str) -> Answer {
        let file = format!("file; filename=\"{name}\"");
        self.post(&[MULTIPART], &self.fields("members", "main", &file, text.as_bytes()))
    }

    /// The same, with its page.
    #[track_caller]
    pub(super) fn staged(&self, name: &str, text: &str) -> String {
        let answer = self.upload(name, text).with_status(303);
        let path = answer.header("location").expect("a place").to_owned();
        assert!(path.starts_with("/upload/") && path.len() == 72, "{path}");
        path
    }

    pub(super) fn get(&self, path: &str) -> String {
        self.site.ask("GET", path, &[&self.cookie], "").with_status(200).text
    }

    /// The page once it says this.
    #[track_caller]
    pub(super) fn shows(&self, path: &str, said: &str) -> String {
        wait_until(PATIENCE, said, || self.get(path).contains(said));
        self.get(path)
    }

    pub(super) fn press(&self, path: &str) -> Answer {
        self.site.post(path, &[&self.cookie], &format!("csrf={}", self.csrf))
    }
}

pub(super) fn names(bench: &Bench, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(bench.scratch.path(folder)) else { return Vec::new() };
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

/// Folders of uploads.
pub(super) fn waiting(bench: &Bench) -> Vec<PathBuf> {
    let words = names(bench, "drop/.uploads").into_iter().filter(|name| name.len() == 64);
    words.map(|word| bench.scratch.path("drop/.uploads").join(word)).collect()
}

/// The upload of this page came years ago.
pub(super) fn make_old(bench: &Bench, path: &str) {
    let note = format!("drop/.uploads/{}/note.json", path.trim_start_matches("/upload/"));
    let text = bench.scratch.read(&note);
    let at = text.split("\"at\": \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a moment");
    bench.scratch.write(&note, text.replace(at, "2020-01-01T00:00:00.000000Z"));
}

#[track_caller]
fn number(page: &str, name: &str) -> u64 {
    let after = page.split(&format!("<th scope=\"row\">{name}</th><td class=\"number\">")).nth(1);
    let text = after.unwrap_or_else(|| panic!("no `{name}` on {page}")).trim_start_matches("<strong>");
    text.split('<').next().expect("a number").parse().expect("a number")
}

pub(super) fn bench(extra: &str) -> Bench {
    Bench::new("", &format!("{PAGES}\n{extra}"))
}

pub(super) const LIST: &str = "email,tags\nana@example.org,vip\nben@example.org,vip;press\nana@example.org,vip\nnonsense,\ncleo@example.org,\n";

#[test]
fn a_plan_is_shown_first_and_the_file_is_sent_once() {
    let bench = bench("");
    bench.scratch.write("first.csv", "email\ncleo@example.org\n");
    bench.sync(["first.csv"]).run().with_code(0);
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let form = ana.get("/upload");
    assert!(
        form.find("name=\"csrf\"").expect("a field") < form.find("type=\"file\"").expect("a field"),
        "{form}"
    );
    let path = ana.staged("Größe <b>.csv", LIST);
    let page = ana.shows(&path, "people would be sent");
    let kinds = ["new", "changed", "unchanged", "duplicate", "invalid", "suppressed"];
    assert_eq!(kinds.map(|kind| number(&page, kind)), [2, 0, 1, 1, 1, 0]);
    assert_eq!(number(&page, "read"), 5);
    for part in [
        "Größe -b-.csv",
        "2 people would be sent in 2 requests",
        "email_invalid",
        "same person as 2",
        "UTF-8",
    ] {
        assert!(page.contains(part), "no `{part}` on {page}");
    }
    assert!(!page.contains("http-equiv") && bench.luma.members().len() == 1, "{page}");
    assert!(ana.get("/upload").contains(&path), "not in the list");

    for said in ["on its way", "is sent once"] {
        let answer = ana.press(&format!("{path}/send"));
        assert_eq!((answer.status, answer.header("location")), (303, Some(path.as_str())), "{answer:?}");
        let page = ana.get(&path);
        assert!(page.contains(said), "no `{said}` on {page}");
    }
    let page = ana.shows(&path, "href=\"/runs/2\"");
    assert!(!page.contains("http-equiv"), "{page}");
    wait_until(PATIENCE, "the run", || ana.get("/runs/2").contains("partial"));
    let run = ana.get("/runs/2");
    assert_eq!((number(&run, "delivered"), number(&run, "read")), (2, 5), "{run}");
    assert_eq!((bench.luma.members().len(), bench.db().count("select count(*) from runs")), (3, 2));

    let again = ana.staged("other.csv", LIST);
    let page = ana.shows(&again, "These bytes were taken in by");
    assert!(page.contains("href=\"/runs/2\"") && !page.contains("/send\""), "{page}");
    assert!(!site.service.stderr().contains("example.org") && !site.service.stderr().contains("Größe <"));
    site.goes_on();
}

#[test]
fn two_files_of_one_name_are_two_and_neither_hits_another() {
    let bench = bench("folder.settle = \"1h\"");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    bench.scratch.write("drop/members/list.csv", "email\nsomebody@example.org\n");
    for number in 2..4 {
        let path = ana.staged("list.csv", &format!("email\n{number}@example.org\n"));
        ana.shows(&path, "1 person would be sent");
        ana.press(&format!("{path}/send")).with_status(303);
        let page = ana.get(&path);
        assert!(
            page.contains("It lies in the drop folder") && page.contains("http-equiv=\"refresh\""),
            "{page}"
        );
    }
    assert_eq!(names(&bench, "drop/members"), ["list-2.csv", "list-3.csv", "list.csv"]);
    assert_eq!(bench.scratch.read("drop/members/list.csv"), "email\nsomebody@example.org\n");
    let sent = bench.scratch.path("drop/members/list-2.csv");
    assert_eq!(fs::metadata(sent).expect("there").permissions().mode() & 0o777, 0o600);
    site.goes_on();
}

#[test]
fn a_file_that_cannot_be_read_says_where_and_what_to_do_and_is_not_sent() {
    let bench = bench("");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    for (text, said) in [
        ("mail addres,name\nana@example.org,Ana\n", "What to do"),
        ("\"email,name\nana@example.org,Ana\n", "(line 1, column 1)"),
        ("", "`list.csv` is empty"),
        ("# exported\nemail\nana@example.org\n", "line 2"),
    ] {
        let path = ana.staged("list.csv", text);
        let page = ana.shows(&path, "It cannot be taken in");
        assert!(page.contains(said), "no `{said}` on {page}");
        assert!(!page.contains(".uploads") && !page.contains("/send\""), "{page}");
        ana.press(&format!("{path}/send")).with_status(409);
        ana.press(&format!("{path}/discard")).with_status(303);
        ana.press(&format!("{path}/discard")).with_status(404);
        assert_eq!(site.ask("GET", &path, &[&ana.cookie], "").status, 404);
    }
    assert_eq!((waiting(&bench).len(), names(&bench, "drop/members").len()), (0, 0));
    site.goes_on();
}

#[test]
fn files_of_events_and_of_other_accounts_go_where_they_belong() {
    let bench = bench("accounts.paris.api_key = \"env:TEST_LUMA_KEY\"\nfolder.settle = \"1h\"");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    assert!(ana.get("/upload").contains("<option value=\"paris\">"));
    let upload = |kind: &str, account: &str, text: &str| {
        ana.post(&[MULTIPART], &ana.fields(kind, account, "file; filename=\"list.csv\"", text.as_bytes()))
    };
    let path = upload("events", "paris", "name,duration_minutes\nDemo night,90\n,90\n").with_status(303);
    let path = path.header("location").expect("a place");
    let page = ana.shows(path, "1 event would be asked for");
    assert_eq!(["new", "invalid", "read"].map(|kind| number(&page, kind)), [1, 1, 2]);
    ana.press(&format!("{path}/send")).with_status(303);
    assert_eq!((names(&bench, "drop/@paris/events").len(), names(&bench, "drop/events").len()), (1, 0));
    upload("members", "rome", "email\n").with_status(422);
    upload("people", "main", "email\n").with_status(422);
    assert_eq!(waiting(&bench).len(), 0);
    let path = upload("members", "main", "email\nana@example.org\n").with_status(303);
    let path = path.header("location").expect("a place");
    ana.shows(path, "1 person would be sent");
    fs::remove_dir_all(bench.scratch.path("drop/members")).expect("gone");
    bench.scratch.write("drop/members", "in its place");
    let refused = ana.press(&format!("{path}/send")).with_status(409);
    assert!(
        refused.text.contains("The drop folder of the account") && waiting(&bench).len() == 1,
        "{refused:?}"
    );
    site.goes_on();
}

#[test]
fn an_upload_outlives_a_kill_and_what_is_over_does_not() {
    let bench = bench("");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let kept = ana.staged("kept.csv", "email\nana@example.org\n");
    let old = ana.staged("old.csv", "email\nold@example.org\n");
    let mut broken = site.connect();
    let body = ana.fields("members", "main", "file; filename=\"broken.csv\"", LIST.as_bytes());
    broken.write_all(ana.head(&[MULTIPART], body.len() + 9_000).as_bytes()).expect("sent");
    broken.write_all(&body[..body.len() - 40]).expect("sent");
    wait_until(PATIENCE, "an upload that comes", || waiting(&bench).len() == 3);
    site.service.kill();
    assert_eq!(waiting(&bench).len(), 3);
    make_old(&bench, &old);

    let site = Site::start(&bench);
    wait_until(PATIENCE, "what is over to go", || waiting(&bench).len() == 1);
    let ana = Person::sign_in(&site);
    assert_eq!(site.ask("GET", &old, &[&ana.cookie], "").status, 404);
    ana.shows(&kept, "1 person would be sent");
    ana.press(&format!("{kept}/send")).with_status(303);
    ana.shows(&kept, "href=\"/runs/1\"");
    wait_until(PATIENCE, "the run", || ana.get("/runs/1").contains("succeeded"));
    assert_eq!(bench.luma.members().len(), 1);
    // Also the one that was sent is known after another start.
    site.goes_on();
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    ana.shows(&kept, "href=\"/runs/1\"");
    ana.press(&format!("{kept}/send")).with_status(303);
    assert_eq!(bench.db().count("select count(*) from runs"), 1);
    site.goes_on();
}

#[test]
fn a_plan_says_what_a_guard_would_hold_it_for() {
    let bench = bench("guard.max_new_members = 1");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let path = ana.staged("list.csv", LIST);
    let page = ana.shows(&path, "It would be held for approval");
    assert!(page.contains("new_members"), "{page}");
    ana.press(&format!("{path}/send")).with_status(303);
    ana.shows(&path, "href=\"/runs/1\"");
    wait_until(PATIENCE, "the run", || ana.get("/runs/1").contains("held"));
    assert_eq!(bench.luma.members().len(), 0);
    site.goes_on();
}
