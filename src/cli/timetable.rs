//! Due times and expectations as `schedule list` and `status` show them.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::context::expectations;
use super::words::{count, moment, span};
use crate::clock::Time;
use crate::config::Config;
use crate::domain::expect::{Expectation, Pass, Standing};
use crate::domain::schedule::Schedule;
use crate::store::Store;

/// What is begun within this time is not called late.
pub(super) const PUNCTUAL: Duration = Duration::from_mins(1);

/// The next due times.
pub(super) fn next_fires(schedule: &Schedule, now: Time, count: usize) -> Vec<Time> {
    schedule.timetable.moments(now).take(count).collect()
}

/// A moment by the clocks of a schedule's zone, and in UTC.
pub(super) fn local(schedule: &Schedule, time: Time) -> String {
    match schedule.timetable.clocks_show(time) {
        Some(shown) if schedule.zone != "UTC" => format!("{shown} {} ({})", schedule.zone, moment(time)),
        _ => moment(time),
    }
}

/// What of schedules and sources belongs to health at a glance.
pub(super) struct Outlook {
    /// Each schedule and when it is due next; `None` while it is paused.
    next: Vec<(Schedule, Option<Time>)>,
    sources: Vec<SourceHealth>,
}

/// A source that something is expected of.
struct SourceHealth {
    name: String,
    expected: Expectation,
    last: Option<Pass>,
    standing: Standing,
}

impl Outlook {
    pub(super) async fn read(config: &Config, store: &Store, now: Time) -> anyhow::Result<Self> {
        let known = store.schedules().await?;
        let is_paused = |name: &str| known.iter().any(|known| known.name == name && known.is_paused);
        let next = config.schedules.iter().map(|schedule| {
            let next = next_fires(schedule, now, 1).pop().filter(|_| !is_paused(&schedule.name));
            (schedule.clone(), next)
        });
        let seen = store.expected_sources().await?;
        let sources = expectations(config).into_iter().map(|(name, expected)| {
            let known = seen.iter().find(|seen| seen.source == name);
            let last = known.and_then(|known| known.last);
            // Before anybody has waited for it, nothing is late.
            let standing = known.map_or(Standing::Met, |known| expected.standing(known.since, last, now));
            SourceHealth { name, expected, last, standing }
        });
        Ok(Self { next: next.collect(), sources: sources.collect() })
    }

    pub(super) fn text(&self, text: &mut String, now: Time) {
        for (schedule, next) in &self.next {
            let when = next.map_or_else(|| "paused".to_owned(), |next| local(schedule, next));
            let _ = writeln!(text, "next      `{}` {when}", schedule.name);
        }
        for source in &self.sources {
            source.text(text, now);
        }
    }

    /// Schedules for programs.
    pub(super) fn next_json(&self) -> Value {
        let next = self.next.iter().map(|(schedule, next)| {
            json!({ "schedule": schedule.name, "next": next.map(|next| next.to_string()), "paused": next.is_none() })
        });
        next.collect()
    }

    /// Sources for programs.
    pub(super) fn sources_json(&self) -> Value {
        self.sources.iter().map(SourceHealth::json).collect()
    }
}

impl SourceHealth {
    fn text(&self, text: &mut String, now: Time) {
        let Self { name, expected, last, standing } = self;
        let every = span(expected.every.unwrap_or_default());
        let _ = match (standing, last) {
            (Standing::Met, _) => Ok(()),
            (Standing::Late, None) => {
                writeln!(text, "late      `{name}` has never come, and is expected every {every}")
            }
            (Standing::Late, Some(pass)) => {
                let ago = span(now.since(pass.at));
                writeln!(text, "late      `{name}` came last {ago} ago, and is expected every {every}")
            }
            (Standing::Short, last) => {
                let rows = count(last.map_or(0, |pass| pass.rows), "row");
                let wanted = expected.min_rows.unwrap_or_default();
                writeln!(text, "short     `{name}` had {rows}, and at least {wanted} are expected")
            }
        };
    }

    fn json(&self) -> Value {
        json!({
            "source": self.name,
            "standing": self.standing.as_str(),
            "last_at": self.last.map(|pass| pass.at.to_string()),
            "last_rows": self.last.map(|pass| pass.rows),
            "expected_every_seconds": self.expected.every.map(|every| every.as_secs_f64()),
            "expected_min_rows": self.expected.min_rows,
        })
    }
}
