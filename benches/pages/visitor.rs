//! Somebody who looks at one page after the other, several a second, and how long each of them took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::history::{EVENT, HUGE, QUEUE, SMALL};
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
    seen: BTreeMap<&'static str, Times>,
    order: Vec<&'static str>,
}

/// Every page, while this run is sent.
fn pages(run: i64) -> Vec<Page> {
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
        page("Run, being sent", &format!("/runs/{run}")),
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
    pub(crate) fn new(address: String) -> Self {
        Self { address, seen: BTreeMap::new(), order: Vec::new() }
    }

    /// Looks at all pages in turn, until the other end of `stop` is gone.
    pub(crate) fn look_around(&mut self, run: i64, stop: &Receiver<()>) -> anyhow::Result<()> {
        for page in pages(run).iter().cycle() {
            let started = Instant::now();
            self.look(page).with_context(|| format!("the page `{}`", page.name))?;
            match stop.recv_timeout(PACE.saturating_sub(started.elapsed())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn look(&mut self, page: &Page) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut stream = TcpStream::connect(&self.address)?;
        let (method, form) = page.form.map_or(("GET", ""), |form| ("POST", form));
        let (path, host) = (&page.path, &self.address);
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let took = started.elapsed().as_secs_f64() * 1_000.0;
        let head = String::from_utf8_lossy(&answer[..answer.len().min(64)]).into_owned();
        anyhow::ensure!(head.starts_with("HTTP/1.1 200 "), "answered `{head}`");
        if !self.seen.contains_key(page.name) {
            self.order.push(page.name);
        }
        let times = self.seen.entry(page.name).or_insert_with(|| Times { first: took, all: Vec::new() });
        times.all.push(took);
        Ok(())
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
