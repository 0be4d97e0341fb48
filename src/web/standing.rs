//! Numbers of what waits for a person, so that somebody is called: runs that stopped or are held, sources that are
//! late or short. Knows no row.

use super::prometheus::{Exposition, Kind};
use super::site::Site;
use super::snapshot::Snapshot;

impl Site {
    /// Adds them to the text.
    pub(super) fn standing_numbers(&self, snapshot: &Snapshot, text: &mut Exposition) {
        let mut family = text.family("lumasync_runs_waiting", Kind::Gauge, "Runs that wait for a person.");
        for (what, runs) in
            [("retry", snapshot.stopped.len() + snapshot.standing.len()), ("approval", snapshot.held.len())]
        {
            family.sample(&[("for", what)], f64::from(u32::try_from(runs).unwrap_or(u32::MAX)));
        }
        let folders = &snapshot.folders.view;
        for (name, help, found) in [
            (
                "lumasync_files_failed",
                "Files that could not be taken in and lie in `failed`.",
                folders.failed_files,
            ),
            (
                "lumasync_files_ignored",
                "Files in the drop folder that are never taken in.",
                folders.ignored.len(),
            ),
            (
                "lumasync_folders_unreadable",
                "Inboxes that cannot be looked through.",
                folders.unreadable.len(),
            ),
        ] {
            let found = f64::from(u32::try_from(found).unwrap_or(u32::MAX));
            text.family(name, Kind::Gauge, help).sample(&[], found);
        }
        let help = "1 where a source is late or was too short, of those of which something is expected.";
        let mut family = text.family("lumasync_source_overdue", Kind::Gauge, help);
        let expectations = self.fleet.engines().flat_map(|engine| &engine.settings().expectations);
        let mut names: Vec<&str> = expectations.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let is_overdue = snapshot.overdue.iter().any(|source| source.name == name);
            family.sample(&[("source", name)], f64::from(u8::from(is_overdue)));
        }
    }
}
