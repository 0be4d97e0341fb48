//! One account at a glance: what waits, what its quota still allows, what keeps it from sending.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::context::folder_settings;
use super::words::{count, moment, span};
use crate::clock::Time;
use crate::config::{Account, Config};
use crate::engine::{FolderView, printable};
use crate::store::{EventDepth, ProofLeft, QueueDepth, Store};

/// Files of the drop folder that are named.
const FILES: usize = 5;

/// An account as it stands.
pub(super) struct AccountHealth {
    pub(super) name: String,
    /// Whom its key belongs to, once Luma was asked.
    user: Option<String>,
    pub(super) depth: QueueDepth,
    pub(super) events: EventDepth,
    pub(super) oldest: Option<Duration>,
    pub(super) members: u64,
    /// Delivered, and still to be verified.
    proof: ProofLeft,
    /// Nothing of an account that the configuration does not have: nobody sends for it.
    pub(super) quota: Option<Quota>,
    pub(super) block: Option<(Time, String)>,
    pub(super) folder: Option<FolderView>,
}

/// What may still be sent.
pub(super) struct Quota {
    left: u32,
    allowed: u32,
    window: Duration,
}

impl AccountHealth {
    /// Every account that is configured, and those that are not and have something waiting.
    pub(super) async fn of_all(config: &Config, store: &Store, now: Time) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for account in config.accounts() {
            all.push(Self::read(config, store, account.name.as_str(), Some(&account), now).await?);
        }
        for known in store.accounts().await? {
            if config.account(&known.name).is_none() {
                let left = Self::read(config, store, &known.name, None, now).await?;
                all.extend(Some(left).filter(Self::has_work));
            }
        }
        Ok(all)
    }

    async fn read(
        config: &Config,
        store: &Store,
        name: &str,
        account: Option<&Account>,
        now: Time,
    ) -> anyhow::Result<Self> {
        let (depth, events) = (store.queue_depth(name).await?, store.event_depth(name).await?);
        let rows = depth.oldest.filter(|_| depth.new + depth.pending > 0);
        let known = store.account(name).await?;
        let quota = match account {
            None => None,
            Some(account) => {
                let rate = account.luma.rate_limit;
                let allowed = rate.requests - rate.reserve;
                let left = store.quota_left(name, allowed, rate.window, now).await?;
                Some(Quota { left, allowed, window: rate.window })
            }
        };
        let folder = account.and_then(|account| folder_settings(config, &account.name));
        Ok(Self {
            name: name.to_owned(),
            depth,
            events,
            oldest: rows.into_iter().chain(events.oldest).min().map(|at| now.since(at)),
            proof: store.proof_left(name).await?,
            members: known.as_ref().map_or(0, |known| known.members),
            user: known.as_ref().and_then(|known| known.identity.clone()),
            quota,
            block: known.and_then(|known| known.block).filter(|(until, _)| *until > now),
            folder: folder.map(|settings| FolderView::look(&settings, now)),
        })
    }

    fn has_work(&self) -> bool {
        let events = self.events;
        self.depth.new + self.depth.pending + self.depth.held + events.new + events.pending + events.unknown
            > 0
    }

    pub(super) fn text(&self, command: &str) -> String {
        let depth = &self.depth;
        let user = match (&self.user, &self.quota) {
            (_, None) => "not configured here; what waits for it is not sent".to_owned(),
            (Some(user), _) => format!("Luma user `{user}`"),
            (None, _) => "Luma was not asked yet whose key it is".to_owned(),
        };
        let oldest = self.oldest.map(|age| format!("; the oldest waits {}", span(age))).unwrap_or_default();
        let held = if depth.held > 0 { format!(", {} held", depth.held) } else { String::new() };
        let mut text = format!(
            "account   {}: {user}\nqueue     {} new, {} pending, {} in flight{held}{oldest}\n",
            self.name, depth.new, depth.pending, depth.in_flight
        );
        if self.events != EventDepth::default() {
            let EventDepth { new, pending, in_flight, unknown, created, .. } = self.events;
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
        let _ = writeln!(text, "ledger    {} delivered", count(self.members, "member"));
        if self.proof.batches > 0 {
            let (people, requests) = (count(self.proof.people, "row"), count(self.proof.batches, "request"));
            let _ = writeln!(text, "verify    {people} of {requests} still to be verified");
        }
        if let Some(Quota { left, allowed, window }) = &self.quota {
            let allowed = count((*allowed).into(), "request");
            let _ = writeln!(text, "quota     {left} of {allowed} left in {window:?}");
        }
        if let Some((until, why)) = &self.block {
            let _ = writeln!(text, "blocked   until {}: {why}", moment(*until));
        }
        self.folder_text(&mut text);
        text
    }

    fn folder_text(&self, text: &mut String) {
        let Some(folder) = &self.folder else { return };
        for (path, why) in &folder.unreadable {
            let _ = writeln!(
                text,
                "folder    `{}` cannot be looked through: {why}",
                printable(&path.to_string_lossy())
            );
        }
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

    pub(super) fn json(&self) -> Value {
        let block = &self.block;
        json!({
            "account": self.name,
            "configured": self.quota.is_some(),
            "user": self.user,
            "queue": queue_json(&self.depth, self.oldest),
            "events": events_json(&self.events),
            "members": self.members,
            "to_verify": self.proof.people,
            "quota": self.quota.as_ref().map(|quota| json!({
                "left": quota.left, "allowed": quota.allowed, "window_seconds": quota.window.as_secs_f64(),
            })),
            "blocked_until": block.as_ref().map(|(until, _)| until.to_string()),
            "block_reason": block.as_ref().map(|(_, why)| why.clone()),
            "folder": self.folder.as_ref().map(|folder| json!({
                "unreadable": folder.unreadable.iter().map(|(path, why)| json!({ "path": path, "reason": why }))
                    .collect::<Vec<_>>(),
                "ignored": folder.ignored.iter().map(|(path, why)| json!({ "path": path, "reason": why }))
                    .collect::<Vec<_>>(),
                "failed": folder.failed.iter().map(|file| json!({ "path": file.path, "reason": file.reason }))
                    .collect::<Vec<_>>(),
                "failed_files": folder.failed_files,
            })),
        })
    }
}

pub(super) fn queue_json(depth: &QueueDepth, oldest: Option<Duration>) -> Value {
    json!({
        "new": depth.new, "pending": depth.pending, "in_flight": depth.in_flight,
        "stopped": depth.stopped, "held": depth.held, "oldest_seconds": oldest.map(|age| age.as_secs()),
    })
}

pub(super) fn events_json(events: &EventDepth) -> Value {
    json!({
        "new": events.new, "pending": events.pending, "in_flight": events.in_flight,
        "unknown": events.unknown, "created": events.created,
    })
}
