//! Is all well? One sentence: the worst that is the case. Pure: the state of all things is given.

use super::parts::Mood;
use super::snapshot::Snapshot;
use crate::clock::Time;
use crate::domain::expect::Standing;
use crate::domain::state::RunStatus;
use crate::domain::waiting::waits;
use crate::domain::words::{count, moment};
use crate::store::Run;

/// For how long a run that left rows unsent is told of.
const TOLD: std::time::Duration = std::time::Duration::from_hours(24);

/// The sentence, and how bad it is.
pub(super) fn verdict(snapshot: &Snapshot) -> (Mood, String) {
    bad(snapshot)
        .map(|said| (Mood::Bad, said))
        .or_else(|| warn(snapshot).map(|said| (Mood::Warn, said)))
        .unwrap_or_else(|| {
            (Mood::Good, format!("All is well: {}.", waits(snapshot.waiting(), snapshot.oldest())))
        })
}

fn bad(snapshot: &Snapshot) -> Option<String> {
    if snapshot.alive() == 0 {
        return Some("No process keeps its heartbeat: nothing is sent.".to_owned());
    }
    if let Some((account, _)) = snapshot.refused().next() {
        return Some(format!("Luma refuses the key of account {account}: nothing is sent for it."));
    }
    let stopped = snapshot.stopped.len() + snapshot.standing.len();
    if stopped > 0 {
        let stand = if stopped == 1 { "stands" } else { "stand" };
        return Some(format!("{} {stand} still and wait for a person.", count(stopped as u64, "run")));
    }
    let failed = snapshot.unwell.iter().find(|run| run.status == RunStatus::Failed)?;
    Some(format!("Run {} ({}) failed.", failed.id, failed.label))
}

fn warn(snapshot: &Snapshot) -> Option<String> {
    if snapshot.unknown() > 0 {
        return Some(format!("{} may or may not exist on Luma.", count(snapshot.unknown(), "event")));
    }
    if !snapshot.held.is_empty() {
        return Some(format!("{} held for approval.", count(snapshot.held.len() as u64, "run")));
    }
    if snapshot.failed_files.1 > 0 {
        return Some(format!("{} could not be taken in.", count(snapshot.failed_files.1 as u64, "file")));
    }
    if let Some(source) = snapshot.overdue.first() {
        let how = if source.standing == Standing::Late { "is late" } else { "was too short" };
        return Some(format!("The source {} {how}.", source.name));
    }
    if let Some(account) = snapshot.accounts.iter().find(|account| account.is_left_alone()) {
        let name = &account.name;
        return Some(format!(
            "Account {name} is not configured in this process, and what waits for it is not sent by it."
        ));
    }
    let blocked = snapshot.accounts.iter().find_map(|account| Some((&account.name, account.block.as_ref()?)));
    if let Some((account, (until, _))) = blocked {
        return Some(format!("Nothing is sent for account {account} until {}.", moment(*until)));
    }
    let partial = snapshot.unwell.first()?;
    Some(format!("Run {} ({}) left rows that were not sent.", partial.id, partial.label))
}

/// Of runs, newest first, the last ones of their lists that ended a short while ago with rows unsent.
pub(super) fn unwell(runs: &[Run], now: Time) -> Vec<Run> {
    let list = |run: &Run| (run.account.clone(), run.kind, run.label.clone());
    let mut seen = Vec::new();
    let mut unwell = Vec::new();
    for run in runs.iter().filter(|run| run.finished_at.is_some()) {
        if seen.contains(&list(run)) {
            continue;
        }
        seen.push(list(run));
        let is_new = run.finished_at.is_some_and(|at| now.since(at) < TOLD);
        if is_new && matches!(run.status, RunStatus::Failed | RunStatus::Partial) {
            unwell.push(run.clone());
        }
    }
    unwell
}
