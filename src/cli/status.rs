//! `lumasync status`: health at a glance.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::{Global, StatusArgs};
use super::context::{Need, load};
use super::crew::Crew;
use super::exit::Exit;
use super::health::{AccountHealth, events_json, queue_json};
use super::notify::{REMEMBERED, left_json, left_text};
use super::out;
use super::place::{open_known, program};
use super::timetable::Outlook;
use super::words::moment;
use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::engine::is_alive_here;
use crate::store::{EventDepth, HeldRun, NoticesLeft, QueueDepth, Run, Store};

/// Runs that are shown.
const RUNS: u32 = 5;

/// All that is shown.
struct Health {
    /// `main` first.
    accounts: Vec<AccountHealth>,
    crew: Crew,
    /// Runs that ended with rows left to send.
    stopped: Vec<i64>,
    /// Runs that wait for a person.
    held: Vec<HeldRun>,
    /// Open runs that nobody sends, and why.
    standing: Vec<(i64, String)>,
    runs: Vec<Run>,
    outlook: Outlook,
    notices: NoticesLeft,
    now: Time,
}

/// The command.
pub(super) async fn run(global: &Global, args: &StatusArgs) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    if args.alive {
        let is_alive = is_alive_here(&store, &Clock::system()).await?;
        store.close().await;
        let text = if is_alive { "alive" } else { "no service of this machine works on this database" };
        out::result(global.output, || text.to_owned(), || json!({ "alive": is_alive }))?;
        return Ok(if is_alive { Exit::Ok } else { Exit::Failed });
    }
    let health = Health::read(&config, &store, Clock::system().now()).await?;
    store.close().await;
    out::result(global.output, || health.text(&program(global, &config)), || health.json())?;
    Ok(if health.events().unknown > 0 { Exit::Unknown } else { Exit::Ok })
}

impl Health {
    async fn read(config: &Config, store: &Store, now: Time) -> anyhow::Result<Self> {
        Ok(Self {
            accounts: AccountHealth::of_all(config, store, now).await?,
            crew: Crew::new(store.workers().await?, now),
            stopped: store.stopped_runs(None).await?,
            held: store.held_runs().await?,
            standing: store.standing_runs().await?,
            runs: store.runs(RUNS).await?,
            outlook: Outlook::read(config, store, now).await?,
            notices: store.notices_left(now.minus(REMEMBERED)).await?,
            now,
        })
    }

    fn text(&self, command: &str) -> String {
        let accounts: Vec<String> = self.accounts.iter().map(|account| account.text(command)).collect();
        let mut text = accounts.join("\n");
        if accounts.len() > 1 {
            text.push('\n');
        }
        self.crew.text(&mut text);
        for (run, why) in &self.standing {
            let _ = writeln!(text, "stopped   run {run}: {}", why.trim_start_matches("stopped: "));
        }
        for run in &self.stopped {
            let _ = writeln!(text, "stopped   run {run} needs a person: `{command} runs show {run}`");
        }
        for HeldRun { id, reason, .. } in &self.held {
            let _ =
                writeln!(text, "held      run {id} waits for a person: {reason}: `{command} runs show {id}`");
        }
        self.outlook.text(&mut text, self.now);
        left_text(&self.notices, &mut text);
        for run in &self.runs {
            let (status, began) = (run.status.as_str(), moment(run.created_at));
            let whose = if accounts.len() > 1 { format!("{:<10}  ", run.account) } else { String::new() };
            let _ = writeln!(text, "run {:<5} {status:<10} {began}  {whose}{}", run.id, run.label);
        }
        text
    }

    /// What stands for all accounts together, and for `main` where it cannot be added up.
    fn json(&self) -> Value {
        let accounts: Vec<Value> = self.accounts.iter().map(AccountHealth::json).collect();
        let main = accounts.first().cloned().unwrap_or_default();
        let depth =
            self.accounts.iter().fold(QueueDepth::default(), |sum, AccountHealth { depth, .. }| QueueDepth {
                new: sum.new + depth.new,
                pending: sum.pending + depth.pending,
                in_flight: sum.in_flight + depth.in_flight,
                stopped: sum.stopped + depth.stopped,
                held: sum.held + depth.held,
                oldest: None,
            });
        let oldest = self.accounts.iter().filter_map(|account| account.oldest).max();
        json!({
            "queue": queue_json(&depth, oldest),
            "events": events_json(&self.events()),
            "workers": self.crew.alive(),
            "worker_list": self.crew.json(),
            "members": self.accounts.iter().map(|account| account.members).sum::<u64>(),
            "quota": main["quota"],
            "blocked_until": main["blocked_until"],
            "block_reason": main["block_reason"],
            "folder": main["folder"],
            "accounts": accounts,
            "stopped_runs": self.stopped,
            "held_runs": self.held.iter().map(|run| json!({
                "run": run.id, "account": run.account, "label": run.label, "reason": run.reason,
            })).collect::<Vec<_>>(),
            "standing_runs": self.standing.iter().map(|(run, why)| json!({ "run": run, "reason": why }))
                .collect::<Vec<_>>(),
            "schedules": self.outlook.next_json(),
            "sources": self.outlook.sources_json(),
            "notices": left_json(&self.notices),
            "runs": self.runs.iter().map(|run| json!({
                "run": run.id, "account": run.account, "status": run.status.as_str(), "label": run.label,
                "reason": run.reason, "created_at": run.created_at.to_string(),
            })).collect::<Vec<_>>(),
        })
    }

    /// Those of every account.
    fn events(&self) -> EventDepth {
        self.accounts.iter().fold(EventDepth::default(), |sum, AccountHealth { events, .. }| EventDepth {
            new: sum.new + events.new,
            pending: sum.pending + events.pending,
            in_flight: sum.in_flight + events.in_flight,
            unknown: sum.unknown + events.unknown,
            created: sum.created + events.created,
            oldest: sum.oldest.into_iter().chain(events.oldest).min(),
        })
    }
}
