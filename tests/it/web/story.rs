//! A day of somebody who never types a command: in a browser, from a list on the desk to people on Luma.

use std::fs;
use std::path::{Path, PathBuf};

use super::driver::Browser;
use super::everybody::check;
use super::site::{PAGES, Site, TOKEN};
use crate::support::{Bench, PATIENCE, wait_until};

/// One person, at one browser.
struct Day<'a> {
    bench: &'a Bench,
    site: &'a Site,
    browser: &'a Browser,
    name: &'a str,
}

impl Day<'_> {
    fn sign_in(&self) {
        self.browser.go(&format!("http://{}/sign-in", self.site.address));
        self.look("sign-in");
        self.browser.write("#token", "this is not the token");
        self.browser.press("Sign in");
        self.browser.wait_for("This is not the token.");
        // What a browser says of an answer with 401 is no complaint about the page.
        assert_eq!(self.browser.complaints().len(), 1);
        self.browser.write("#token", TOKEN);
        self.browser.write("#name", "Ana");
        self.browser.press("Sign in");
        self.browser.wait_for("Sign out");
    }

    /// Nothing is wrong with the page that is shown.
    #[track_caller]
    fn look(&self, page: &str) {
        check(self.browser, page, self.name);
    }

    /// Uploads a list, looks at its plan, and sends it; then its run is shown.
    #[track_caller]
    fn send(&self, list: &Path, plan: &str) {
        let before = self.bench.luma.snapshot().imports;
        self.browser.follow("Upload");
        self.look("upload");
        self.browser.write("#file", list.to_str().expect("a path"));
        self.browser.press("Upload and show the plan");
        self.browser.wait_for(plan);
        self.look("plan");
        assert_eq!(before, self.bench.luma.snapshot().imports, "a plan sends nothing");
        self.browser.press("Send");
        self.browser.wait_for("shows what becomes of it");
        let run = self.browser.script("return document.querySelector('main a[href^=\"/runs/\"]').innerText");
        self.browser.follow(run.as_str().expect("a link"));
        self.browser.wait_for("What happened when");
    }

    fn upload_a_list_with_a_bad_row(&self) -> PathBuf {
        let list = self
            .write("members.csv", "email,name\nana@example.org,Ana\nnonsense,Ben\ncleo@example.org,Cleo\n");
        self.send(&list, "2 people would be sent in 1 request");
        // The page shows the end by itself.
        self.browser.wait_for("partial");
        self.browser.wait_for("email_invalid");
        self.look("run");
        let lines = self.browser.script(
            "return [...document.querySelectorAll('main tr')].find((row) => row.innerText.includes('email_invalid')).lastElementChild.innerText",
        );
        assert_eq!(lines, "3", "the bad row is on line 3");
        let desk = self.bench.scratch.path("desk");
        fs::create_dir_all(&desk).expect("a folder");
        self.browser.download_to(&desk);
        self.browser.follow("rejects");
        let rejects = desk.join("run-2-rejects.csv");
        // A browser makes an empty file first.
        wait_until(PATIENCE, "the download", || {
            fs::read_to_string(&rejects).is_ok_and(|text| text.ends_with('\n'))
        });
        rejects
    }

    fn fix_and_send_again(&self, rejects: &Path) {
        let bad = fs::read_to_string(rejects).expect("the rejects");
        assert!(bad.contains("nonsense") && !bad.contains("ana@example.org"), "{bad}");
        let good = bad.replace("nonsense", "ben@example.org");
        self.send(&self.write("mended.csv", &good), "1 person would be sent in 1 request");
        self.browser.wait_for("succeeded");
    }

    fn approve_a_held_run(&self) {
        let many =
            (0..9).fold("email\n".to_owned(), |list, number| format!("{list}guest{number}@example.org\n"));
        self.send(&self.write("many.csv", &many), "It would be held for approval");
        self.browser.wait_for("held");
        self.browser.follow("Overview");
        self.browser.wait_for("held for approval");
        self.look("overview");
        self.browser.follow("Run 4");
        self.browser.wait_for("Approve it…");
        self.look("held");
        self.browser.click("main details summary");
        self.browser.press("Approve run 4");
        self.browser.wait_for("succeeded");
        self.browser.wait_for("by Ana");
    }

    fn settle_an_unknown_event(&self) {
        self.browser.follow("Events");
        self.browser.wait_for("Each of these may or may not exist");
        self.look("events");
        let event = self.browser.script("return document.querySelector('main tbody a').innerText");
        self.browser.follow(event.as_str().expect("a link"));
        self.browser.wait_for("Why is this waiting?");
        self.look("event");
        self.browser.write("#created", "evt-seen-on-luma");
        self.browser.press("It exists");
        self.browser.wait_for("the event is created now");
    }

    fn search_a_person(&self) {
        self.browser.follow("People");
        self.look("people");
        self.browser.write("#email", "ben@example.org");
        self.browser.press("Look for them");
        self.browser.wait_for("searched.");
        self.browser.wait_for("delivered");
        self.look("person");
        let address = self.browser.script("return location.href + document.title + document.referrer");
        assert!(!address.as_str().expect("text").contains("ben"), "{address}");
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        self.bench.scratch.write(&format!("lists/{name}"), text);
        self.bench.scratch.path(&format!("lists/{name}"))
    }
}

#[test]
fn a_day_without_a_command_ends_with_everybody_on_luma() {
    for (width, is_dark) in [(375, true), (1_280, false)] {
        let Some(browser) = Browser::open(width, is_dark) else { return };
        let bench = Bench::new("events:reset-after@1", &format!("{PAGES}\nguard.max_new_members = 5"));
        bench.scratch.write("events.csv", "name,start_at\nDemo night,2099-12-03T18:00:00Z\n");
        bench.sync(["--kind", "events", "events.csv"]).run().with_code(6);
        assert_eq!(bench.db().count("select max(id) from runs"), 1, "the lists are runs 2 to 4");
        let site = Site::start(&bench);
        let name = format!("story-{width}");
        let day = Day { bench: &bench, site: &site, browser: &browser, name: &name };
        day.sign_in();
        let rejects = day.upload_a_list_with_a_bad_row();
        day.fix_and_send_again(&rejects);
        day.approve_a_held_run();
        day.settle_an_unknown_event();
        day.search_a_person();
        assert_eq!(bench.luma.members().len(), 12, "Ana, Ben, Cleo and nine guests");
        assert!(!site.service.stderr().contains("example.org"), "{}", site.service.stderr());
        drop(browser);
        site.goes_on();
    }
}
