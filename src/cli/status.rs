//! `lumasync status`: health at a glance.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Global;
use super::context::{Need, folder_settings, load};
use super::exit::Exit;
use super::out;
use super::place::{open_known, program};
use super::words::{count, moment, span};
use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::engine::{FolderView, MAIN_ACCOUNT, printable};
use crate::store::{EventDepth, QueueDepth, Run, Store};

/// Runs that are shown.
const RUNS: u32 = 5;
/// Files of the drop folder that are named.
const FILES: usize = 5;

/// All that is shown.
struct Health {
    depth: QueueDepth,
    events: EventDepth,
    oldest: Option<Duration>,
    workers: usize,
    members: u64,
    left: u32,
    allowed: u32,
    window: Duration,
    block: Option<(Time, String)>,
    /// Runs that ended with rows left to send.
    stopped: Vec<i64>,
    /// Open runs that nobody sends, and why.
    standing: Vec<(i64, String)>,
    runs: Vec<Run>,
    folder: Option<FolderView>,
}

/// The command.
pub(super) async fn run(global: &Global) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    let health = Health::read(&config, &store, Clock::system().now()).await?;
    store.close().await;
    out::result(global.output, || health.text(&program(global, &config)), || health.json())?;
    Ok(if health.events.unknown > 0 { Exit::Unknown } else { Exit::Ok })
}

impl Health {
    async fn read(config: &Config, store: &Store, now: Time) -> anyhow::Result<Self> {
        let depth = store.queue_depth(MAIN_ACCOUNT).await?;
        let account = store.account(MAIN_ACCOUNT).await?;
        let rate = config.luma.rate_limit;
        let allowed = rate.requests - rate.reserve;
        let workers = store.workers().await?;
        Ok(Self {
            depth,
            events: store.event_depth(MAIN_ACCOUNT).await?,
            oldest: depth.oldest.filter(|_| depth.new + depth.pending > 0).map(|at| now.since(at)),
            workers: workers.iter().filter(|worker| worker.lease_until > now).count(),
            members: account.as_ref().map_or(0, |account| account.members),
            left: store.quota_left(MAIN_ACCOUNT, allowed, rate.window, now).await?,
            allowed,
            window: rate.window,
            block: account.and_then(|account| account.block).filter(|(until, _)| *until > now),
            stopped: store.stopped_runs().await?,
            standing: store.standing_runs().await?,
            runs: store.runs(RUNS).await?,
            folder: folder_settings(config).map(|settings| FolderView::look(&settings, now)),
        })
    }

    fn text(&self, command: &str) -> String {
        let depth = &self.depth;
        let oldest = self.oldest.map(|age| format!("; the oldest waits {}", span(age))).unwrap_or_default();
        let mut text = format!(
            "queue     {} new, {} pending, {} in flight{oldest}\n",
            depth.new, depth.pending, depth.in_flight
        );
        if self.events != EventDepth::default() {
            let EventDepth { new, pending, in_flight, unknown, created } = self.events;
            let _ = writeln!(
                text,
                "events    {new} new, {pending} pending, {in_flight} in flight, {unknown} unknown, {created} created"
            );
        }
        if self.events.unknown > 0 {
            let events = count(self.events.unknown, "event");
            let _ = writeln!(
                text,
                "unknown   {events} may or may not exist: `{command} events list --state unknown`"
            );
        }
        let _ = writeln!(text, "workers   {} alive", self.workers);
        let _ = writeln!(text, "ledger    {} delivered", count(self.members, "member"));
        let (left, allowed) = (self.left, count(self.allowed.into(), "request"));
        let _ = writeln!(text, "quota     {left} of {allowed} left in {:?}", self.window);
        if let Some((until, why)) = &self.block {
            let _ = writeln!(text, "blocked   until {}: {why}", moment(*until));
        }
        for (run, why) in &self.standing {
            let _ = writeln!(text, "stopped   run {run}: {}", why.trim_start_matches("stopped: "));
        }
        for run in &self.stopped {
            let _ = writeln!(text, "stopped   run {run} needs a person: `{command} runs show {run}`");
        }
        self.folder_text(&mut text);
        for run in &self.runs {
            let (status, began) = (run.status.as_str(), moment(run.created_at));
            let _ = writeln!(text, "run {:<5} {status:<10} {began}  {}", run.id, run.label);
        }
        text
    }

    fn folder_text(&self, text: &mut String) {
        let Some(folder) = &self.folder else { return };
        for (path, why) in folder.ignored.iter().take(FILES) {
            let _ = writeln!(text, "ignored   `{}`: {why}", printable(&path.to_string_lossy()));
        }
        for file in &folder.failed {
            let reason = file.reason.replace('\n', "; ");
            let _ =
                writeln!(text, "failed    now in `{}`: {reason}", printable(&file.path.to_string_lossy()));
        }
        let more = |all: usize, named: usize| count(all.saturating_sub(named) as u64, "more file");
        if folder.ignored.len() > FILES {
            let _ = writeln!(text, "ignored   and {}", more(folder.ignored.len(), FILES));
        }
        if folder.failed_files > folder.failed.len() {
            let _ = writeln!(text, "failed    and {}", more(folder.failed_files, folder.failed.len()));
        }
    }

    fn json(&self) -> Value {
        let (depth, block) = (&self.depth, &self.block);
        json!({
            "queue": {
                "new": depth.new, "pending": depth.pending, "in_flight": depth.in_flight,
                "stopped": depth.stopped, "oldest_seconds": self.oldest.map(|age| age.as_secs()),
            },
            "events": {
                "new": self.events.new, "pending": self.events.pending, "in_flight": self.events.in_flight,
                "unknown": self.events.unknown, "created": self.events.created,
            },
            "workers": self.workers,
            "members": self.members,
            "quota": {
                "left": self.left, "allowed": self.allowed, "window_seconds": self.window.as_secs_f64(),
            },
            "blocked_until": block.as_ref().map(|(until, _)| until.to_string()),
            "block_reason": block.as_ref().map(|(_, why)| why.clone()),
            "stopped_runs": self.stopped,
            "standing_runs": self.standing.iter().map(|(run, why)| json!({ "run": run, "reason": why }))
                .collect::<Vec<_>>(),
            "folder": self.folder.as_ref().map(|folder| json!({
                "ignored": folder.ignored.iter().map(|(path, why)| json!({ "path": path, "reason": why }))
                    .collect::<Vec<_>>(),
                "failed": folder.failed.iter().map(|file| json!({ "path": file.path, "reason": file.reason }))
                    .collect::<Vec<_>>(),
                "failed_files": folder.failed_files,
            })),
            "runs": self.runs.iter().map(|run| json!({
                "run": run.id, "status": run.status.as_str(), "label": run.label, "reason": run.reason,
                "created_at": run.created_at.to_string(),
            })).collect::<Vec<_>>(),
        })
    }
}
