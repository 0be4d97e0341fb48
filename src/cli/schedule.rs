//! `lumasync schedule list|pause|resume`: when what is taken in, and whether it is.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::Global;
use super::context::{Need, load};
use super::exit::Exit;
use super::out;
use super::place::{NoDatabase, open_known};
use super::schedule_args::PersonArgs;
use super::timetable::{local, next_fires};
use super::words::{count, moment};
use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::domain::schedule::{FireState, Schedule};
use crate::domain::state::{RunStatus, Trigger};
use crate::store::{Fire, FireSource, KnownSchedule, Store};

/// Due times that are shown of each schedule.
const NEXT: usize = 3;

/// A schedule, what comes and what was.
struct Line<'a> {
    schedule: &'a Schedule,
    known: Option<KnownSchedule>,
    next: Vec<Time>,
    last: Option<LastFire>,
}

/// The last fire, and what it took in.
struct LastFire {
    fire: Fire,
    sources: Vec<FireSource>,
    runs: Vec<(i64, RunStatus)>,
}

/// All of them.
pub(super) async fn list(global: &Global) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let now = Clock::system().now();
    let lines = match open_known(&config).await {
        Ok(store) => {
            let lines = Line::read_all(&config, &store, now).await?;
            store.close().await;
            lines
        }
        // What is due next can be told before anything was done.
        Err(error) if error.is::<NoDatabase>() => {
            config.schedules.iter().map(|schedule| Line::new(schedule, None, None, now)).collect()
        }
        Err(error) => return Err(error),
    };
    let text = || match lines.as_slice() {
        [] => "no schedule is configured: see `[[schedule]]` in the documented defaults".to_owned(),
        lines => lines.iter().map(Line::text).collect::<Vec<_>>().join("\n"),
    };
    let programs = || json!({ "schedules": lines.iter().map(Line::json).collect::<Vec<_>>() });
    out::result(global.output, text, programs)?;
    Ok(Exit::Ok)
}

impl<'a> Line<'a> {
    async fn read_all(config: &'a Config, store: &Store, now: Time) -> anyhow::Result<Vec<Self>> {
        let known = store.schedules().await?;
        let mut lines = Vec::new();
        for schedule in &config.schedules {
            let known = known.iter().find(|known| known.name == schedule.name).cloned();
            let last = match store.last_fires(&schedule.name, 1).await?.pop() {
                Some(fire) => Some(LastFire {
                    sources: store.fire_sources(fire.id).await?,
                    runs: store.fire_runs(fire.id).await?,
                    fire,
                }),
                None => None,
            };
            lines.push(Self::new(schedule, known, last, now));
        }
        Ok(lines)
    }

    fn new(schedule: &'a Schedule, known: Option<KnownSchedule>, last: Option<LastFire>, now: Time) -> Self {
        let is_paused = known.as_ref().is_some_and(|known| known.is_paused);
        let next = if is_paused { Vec::new() } else { next_fires(schedule, now, NEXT) };
        Self { schedule, known, next, last }
    }

    fn paused(&self) -> Option<&(Time, String)> {
        self.known.as_ref().filter(|known| known.is_paused)?.changed.as_ref()
    }

    fn text(&self) -> String {
        let Schedule { name, cron, zone, sources, .. } = self.schedule;
        let mut text = format!("{name}\n  takes in  {}\n  due       {cron} ({zone})\n", sources.join(", "));
        if let Some((at, by)) = self.paused() {
            let _ =
                writeln!(text, "  paused    by {by} at {}; `lumasync schedule resume {name}`", moment(*at));
        }
        for (place, next) in self.next.iter().enumerate() {
            let head = if place == 0 { "next" } else { "" };
            let _ = writeln!(text, "  {head:<8}  {}", local(self.schedule, *next));
        }
        if let Some(last) = &self.last {
            last.text(&mut text, self.schedule);
        }
        text
    }

    fn json(&self) -> Value {
        let Schedule { name, cron, zone, sources, policy, .. } = self.schedule;
        let changed = self.known.as_ref().and_then(|known| known.changed.as_ref());
        json!({
            "schedule": name,
            "cron": cron,
            "timezone": zone,
            "sources": sources,
            "missed": policy.missed.as_str(),
            "grace_seconds": policy.grace.as_secs_f64(),
            "overlap": policy.overlap.as_str(),
            "paused": self.paused().is_some(),
            "changed_at": changed.map(|(at, _)| at.to_string()),
            "changed_by": changed.map(|(_, by)| by),
            "next": self.next.iter().map(Time::to_string).collect::<Vec<_>>(),
            "last": self.last.as_ref().map(LastFire::json),
        })
    }
}

impl LastFire {
    fn text(&self, text: &mut String, schedule: &Schedule) {
        let Fire { due_at, state, trigger, person, reason, earlier, .. } = &self.fire;
        let by_hand = match (trigger, person) {
            (Trigger::Manual, Some(person)) => format!(", by {person}"),
            _ => String::new(),
        };
        let _ = write!(text, "  last      {}{by_hand}: {state}", local(schedule, *due_at));
        let began = self.fire.started_at.filter(|began| began.since(*due_at) > super::timetable::PUNCTUAL);
        if let Some(began) = began {
            let _ = write!(text, ", late: begun at {}", moment(began));
        }
        if *earlier > 0 {
            let _ =
                write!(text, ", stands for {} more that nobody was there for", count(*earlier, "due time"));
        }
        if let Some(reason) = reason {
            let _ = write!(text, ": {reason}");
        }
        text.push('\n');
        for source in &self.sources {
            if let Some(reason) = &source.reason {
                let _ = writeln!(text, "            {}: {reason}", source.source);
            }
        }
        for (run, status) in &self.runs {
            let _ = writeln!(text, "            run {run}: {status}");
        }
    }

    fn json(&self) -> Value {
        let Fire { id, due_at, state, trigger, person, reason, earlier, started_at, ended_at, .. } =
            &self.fire;
        let is_over = !matches!(state, FireState::Queued | FireState::Running);
        json!({
            "fire": id,
            "due_at": due_at.to_string(),
            "state": state.as_str(),
            "is_over": is_over,
            "started_by": trigger.as_str(),
            "person": person,
            "reason": reason,
            "stands_for_earlier": earlier,
            "started_at": started_at.map(|at| at.to_string()),
            "ended_at": ended_at.map(|at| at.to_string()),
            "sources": self.sources.iter().map(|source| json!({
                "source": source.source,
                "taken_at": source.taken_at.map(|at| at.to_string()),
                "reason": source.reason,
            })).collect::<Vec<_>>(),
            "runs": self.runs.iter().map(|(run, status)| json!({ "run": run, "status": status.as_str() }))
                .collect::<Vec<_>>(),
        })
    }
}

/// Lets a schedule rest.
pub(super) async fn pause(global: &Global, args: &PersonArgs) -> anyhow::Result<Exit> {
    change(global, args, true).await
}

/// Lets it go on from now.
pub(super) async fn resume(global: &Global, args: &PersonArgs) -> anyhow::Result<Exit> {
    change(global, args, false).await
}

async fn change(global: &Global, args: &PersonArgs, is_pause: bool) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let Some(schedule) = find(&config, &args.name) else { return Ok(Exit::Usage) };
    let Some(person) = args.person() else { return Ok(Exit::Usage) };
    let (store, now) = (open_known(&config).await?, Clock::system().now());
    store.meet_schedule(&schedule.name, &schedule.rule(), now).await?;
    let name = &schedule.name;
    let is_news = if is_pause {
        store.pause_schedule(name, &person, now).await?
    } else {
        store.resume_schedule(name, &person, now).await?
    };
    store.close().await;
    let text = || match (is_pause, is_news) {
        (true, true) => {
            format!("`{name}` is paused by {person}; `lumasync schedule resume {name}` ends that")
        }
        (true, false) => format!("`{name}` was paused already"),
        (false, true) => {
            let next = next_fires(schedule, now, 1).first().map(|next| local(schedule, *next));
            format!("`{name}` goes on; next {}", next.unwrap_or_else(|| "never".to_owned()))
        }
        (false, false) => format!("`{name}` was not paused"),
    };
    let programs = || json!({ "schedule": name, "paused": is_pause, "changed": is_news, "by": person });
    out::result(global.output, text, programs)?;
    Ok(Exit::Ok)
}

/// The schedule of this name; where there is none, that is told.
pub(super) fn find<'a>(config: &'a Config, name: &str) -> Option<&'a Schedule> {
    let found = config.schedules.iter().find(|schedule| schedule.name == name);
    if found.is_none() {
        let names: Vec<_> = config.schedules.iter().map(|schedule| format!("`{}`", schedule.name)).collect();
        let hint = if names.is_empty() {
            "write a `[[schedule]]` into the configuration".to_owned()
        } else {
            format!("known are {}", names.join(", "))
        };
        out::talk(&format!("error: there is no schedule `{name}`\nhint: {hint}"));
    }
    found
}
