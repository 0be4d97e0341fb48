//! lumasync as `run` has it, in a process of its own: pages are served while runs are sent on demand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lumasync::clock::Clock;
use lumasync::domain::cron::{Cron, Timetable};
use lumasync::domain::schedule::{Missed, Overlap, Policy, Schedule};
use lumasync::engine::{DrainEnd, Fleet, Stopper};
use lumasync::store::Scope;
use lumasync::web::{Pages, Server};
use tokio::runtime::Runtime;

use crate::support::child::{command, tell};
use crate::support::ours;

pub(crate) const ROLE: &str = "serve";
/// Lets the visitor see what is behind the sign-in.
pub(crate) const TOKEN: &str = "of-the-benchmark-alone-0123456789";

/// The process. It ends with this value.
pub(crate) struct Service {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl Service {
    pub(crate) fn start(db: &Path, url: &str, in_flight: u32) -> anyhow::Result<Self> {
        let in_flight = in_flight.to_string();
        let mut child =
            command(ROLE, &[&db, &url, &in_flight])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the service has no output")?);
        let mut service = Self { child, orders, answers, address: String::new() };
        service.address = service.answer()?;
        Ok(service)
    }

    /// Where its pages are.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Sends what this run has, and how many seconds that took.
    pub(crate) fn drain(&mut self, run: i64) -> anyhow::Result<f64> {
        writeln!(self.orders.as_mut().context("it was ended")?, "{run}")?;
        Ok(self.answer()?.parse()?)
    }

    /// Ends it; MiB that it had at most.
    pub(crate) fn end(mut self) -> anyhow::Result<f64> {
        self.orders = None;
        let peak = self.answer()?;
        Ok(peak.trim_start_matches("peak ").parse()?)
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "the service has ended");
        Ok(line.trim().to_owned())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// The other side: serves pages, and sends each run whose number is read, until the input ends.
pub(crate) fn serve(db: &str, url: &str, in_flight: &str) -> anyhow::Result<()> {
    let in_flight = in_flight.parse()?;
    Runtime::new()?.block_on(async {
        let clock = Clock::system();
        let (store, mut equipment) = ours::equip(db, Path::new(db), url, in_flight).await?;
        equipment.settings.schedules = vec![hourly()?];
        let fleet = Fleet::start(&store, &clock, equipment, Vec::new(), 0).await?;
        let (_stopper, stop) = Stopper::new();
        let (pages_stopper, pages_stop) = Stopper::new();
        let alive = fleet.spawn_keep_alive(&stop);
        let server = Server::bind(([127, 0, 0, 1], 0).into()).await?;
        say(&server.address().to_string())?;
        let pages = Pages {
            fleet: fleet.clone(),
            store: store.clone(),
            clock,
            token: Some(TOKEN.to_owned().into()),
            max_upload: 1 << 20,
            hosts: Vec::new(),
            is_open: true,
            work: stop.clone(),
        };
        let engine = fleet.engines().next().context("no engine")?;
        let work = async {
            while let Some(run) = tokio::task::spawn_blocking(order).await?? {
                let started = Instant::now();
                let end = engine.drain(Scope::Run(run), false, &stop).await?;
                anyhow::ensure!(end == DrainEnd::Done, "the drain was stopped");
                say(&started.elapsed().as_secs_f64().to_string())?;
                engine.finish_run(run).await?;
            }
            pages_stopper.finish();
            anyhow::Ok(())
        };
        let ((), worked) = tokio::join!(server.serve(pages, &pages_stop), work);
        worked?;
        alive.abort();
        fleet.end().await?;
        store.close().await;
        tell(&[])
    })
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The next run to send; nothing once the input has ended.
fn order() -> anyhow::Result<Option<i64>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.is_empty() { Ok(None) } else { Ok(Some(line.trim().parse()?)) }
}

fn hourly() -> anyhow::Result<Schedule> {
    let (cron, zone) = ("0 * * * *", "UTC");
    let read = Cron::parse(cron).ok().context("an expression")?;
    Ok(Schedule {
        name: "hourly".to_owned(),
        cron: cron.to_owned(),
        zone: zone.to_owned(),
        timetable: Timetable::new(read, zone).context("a zone")?,
        sources: vec!["folder".to_owned()],
        policy: Policy { missed: Missed::Skip, grace: Duration::from_mins(1), overlap: Overlap::Skip },
    })
}
