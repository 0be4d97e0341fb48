//! Is all well? One sentence: the worst that is the case. Pure: the state of all things is given.

use super::parts::Mood;
use super::snapshot::Snapshot;
use crate::domain::expect::Standing;
use crate::domain::state::RunStatus;
use crate::domain::waiting::waits;
use crate::domain::words::{count, moment};
use crate::engine::printable;
use crate::store::NoticesLeft;

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
    if let Some((folder, _)) = snapshot.folders.view.unreadable.first() {
        let folder = printable(&folder.display().to_string());
        return Some(format!("The folder {folder} cannot be looked through: nothing is taken in from it."));
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
    let folders = &snapshot.folders;
    if folders.view.failed_files > 0 {
        return Some(format!("{} could not be taken in.", count(folders.view.failed_files as u64, "file")));
    }
    if folders.are_left() {
        let (files, paused) = (count(folders.view.waiting as u64, "file"), folders.paused.join(", "));
        return Some(format!("{files} in the drop folder, and what takes it in is paused: {paused}."));
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
    if let Some(partial) = snapshot.unwell.first() {
        return Some(format!("Run {} ({}) left rows that were not sent.", partial.id, partial.label));
    }
    let ignored = folders.view.ignored.len() as u64;
    if ignored > 0 {
        let (lie, are) = if ignored == 1 { ("lies", "is") } else { ("lie", "are") };
        return Some(format!(
            "{} {lie} in the drop folder and {are} never taken in.",
            count(ignored, "file")
        ));
    }
    let NoticesLeft { waiting, given_up, answer, .. } = &snapshot.notices;
    if *given_up > 0 {
        return Some(format!("{} could not be posted.", count(*given_up, "notice")));
    }
    // One that is just on its way is no trouble.
    answer.as_ref().filter(|_| *waiting > 0)?;
    Some(format!("{} could not be posted yet.", count(*waiting, "notice")))
}
