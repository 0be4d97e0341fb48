//! Somebody who has signed in and looks at one page after the other, several a second, and how long each of them took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::history::{EVENT, HELD, HUGE, QUEUE, SMALL, SOMEBODY};
use crate::service::TOKEN;
use crate::support::median;

/// From one page to the next.
const PACE: Duration = Duration::from_millis(100);
/// What a page may take.
pub(crate) const ALLOWED: f64 = 200.0;

/// A page: what it is called, and how it is asked for.
struct Page {
    name: &'static str,
    path: String,
    form: Option<&'static str>,
}

/// Milliseconds of one page: of the first look, and of all.
#[derive(Default)]
pub(crate) struct Times {
    first: f64,
    all: Vec<f64>,
}

/// Who looks, and what was seen.
pub(crate) struct Visitor {
    address: String,
    cookie: String,
    /// Where somebody is shown who was looked for.
    person: String,
    seen: BTreeMap<&'static str, Times>,
    order: Vec<&'static str>,
}

/// Every page, while this run is sent and this person was found.
fn pages(run: i64, person: &str) -> Vec<Page> {
    let page = |name, path: &str| Page { name, path: path.to_owned(), form: None };
    let search = |name, form| Page { name, path: "/runs".to_owned(), form: Some(form) };
    vec![
        page("Overview", "/"),
        page("Runs", "/runs"),
        page("Runs, partial", "/runs?status=partial"),
        search("Runs, searched", "text=list-00042"),
        search("Runs, searched in vain", "text=there+is+no+such+list"),
        page("Runs, far back", "/runs?before=1000"),
        page("Run, huge", &format!("/runs/{HUGE}")),
        page("Run, huge, from a queue", &format!("/runs/{QUEUE}")),
        page("Run, small", &format!("/runs/{SMALL}")),
        page("Run, held, with Approve", &format!("/runs/{HELD}")),
        page("Run, being sent", &format!("/runs/{run}")),
        page("People", "/people"),
        page("People, found", person),
        page("Upload", "/upload"),
        page("Events", "/events"),
        page("Events, rejected", "/events?state=rejected"),
        page("Event", &format!("/events/{EVENT}")),
        page("Schedules", "/schedules"),
        page("/metrics", "/metrics"),
        page("/api/v1/status", "/api/v1/status"),
        page("/api/v1/runs/{id}, huge", &format!("/api/v1/runs/{HUGE}")),
        page("/readyz", "/readyz"),
    ]
}

impl Visitor {
    /// Signs in, and looks for somebody once: that reads the whole queue.
    pub(crate) fn new(address: String) -> anyhow::Result<Self> {
        let mut visitor = Self {
            address,
            cookie: String::new(),
            person: String::new(),
            seen: BTreeMap::new(),
            order: Vec::new(),
        };
        let answer = visitor.ask("/sign-in", Some(&format!("token={TOKEN}")))?;
        let cookie = header(&answer, "set-cookie").context("not signed in")?;
        cookie.split(';').next().unwrap_or_default().clone_into(&mut visitor.cookie);
        let form = visitor.ask("/people", None)?;
        let (_, csrf) = form.split_once("name=\"csrf\" value=\"").context("no form")?;
        let csrf = csrf.split('"').next().unwrap_or_default();
        let answer = visitor.ask("/people", Some(&format!("csrf={csrf}&email={SOMEBODY}")))?;
        header(&answer, "location").context("no search")?.clone_into(&mut visitor.person);
        while header(&visitor.ask(&visitor.person, None)?, "refresh").is_some() {
            std::thread::park_timeout(PACE);
        }
        Ok(visitor)
    }

    /// Looks at all pages in turn while `is_looking`, until the other end of `stop` is gone.
    pub(crate) fn look_around(
        &mut self,
        run: i64,
        is_looking: &AtomicBool,
        stop: &Receiver<()>,
    ) -> anyhow::Result<()> {
        let pages = pages(run, &self.person);
        let mut pages = pages.iter().cycle();
        loop {
            let started = Instant::now();
            if is_looking.load(Ordering::Relaxed)
                && let Some(page) = pages.next()
            {
                self.look(page).with_context(|| format!("the page `{}`", page.name))?;
            }
            match stop.recv_timeout(PACE.saturating_sub(started.elapsed())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn look(&mut self, page: &Page) -> anyhow::Result<()> {
        let started = Instant::now();
        let answer = self.ask(&page.path, page.form)?;
        let took = started.elapsed().as_secs_f64() * 1_000.0;
        let head: String = answer.chars().take(64).collect();
        anyhow::ensure!(head.starts_with("HTTP/1.1 200 "), "answered `{head}`");
        if !self.seen.contains_key(page.name) {
            self.order.push(page.name);
        }
        let times = self.seen.entry(page.name).or_insert_with(|| Times { first: took, all: Vec::new() });
        times.all.push(took);
        Ok(())
    }

    /// The whole answer to a page that is asked for, or to a form that is sent.
    fn ask(&self, path: &str, form: Option<&str>) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        let (method, form) = form.map_or(("GET", ""), |form| ("POST", form));
        let (cookie, host) = (&self.cookie, &self.address);
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\ncontent-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Every page as a line, and how many were ever over what is allowed.
    pub(crate) fn table(&self) -> (String, usize) {
        let mut text = format!("{:<28}{:>8}", "milliseconds", "looks");
        for name in ["first", "median", "p99", "worst"] {
            let _ = write!(text, "{name:>9}");
        }
        text.push('\n');
        let mut over = 0;
        for name in &self.order {
            let Times { first, all } = &self.seen[name];
            let (middle, worst) = (median(all.iter().copied()), percentile(all, 100));
            let mark = if worst > ALLOWED { "   OVER" } else { "" };
            over += usize::from(worst > ALLOWED);
            let (looks, p99) = (all.len(), percentile(all, 99));
            let _ =
                writeln!(text, "{name:<28}{looks:>8}{first:>9.1}{middle:>9.1}{p99:>9.1}{worst:>9.1}{mark}");
        }
        (text, over)
    }
}

/// What so many in a hundred did not exceed.
fn percentile(numbers: &[f64], hundredths: usize) -> f64 {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable_by(f64::total_cmp);
    let place = (numbers.len() * hundredths).div_ceil(100).saturating_sub(1);
    numbers.get(place).copied().unwrap_or(f64::NAN)
}

/// A header of an answer.
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let lines = answer.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
