//! Schedules: which sources are taken in when, and what becomes of a due time that nobody was there for
//! or that comes while the one before is not over.
//!
//! Knows no database and no process: what is open and how late it is are arguments.

use std::time::Duration;

use super::cron::Timetable;
use super::state::{RunStatus, text_enum};

/// The drop folder, where a schedule names its sources.
pub const FOLDER: &str = "folder";

/// Sources that are taken in at certain times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What people call it.
    pub name: String,
    /// Its expression as it was written.
    pub cron: String,
    /// The zone whose clocks it means.
    pub zone: String,
    /// Both of them, read.
    pub timetable: Timetable,
    /// What is taken in, in this order.
    pub sources: Vec<String>,
    /// What becomes of due times that are not met.
    pub policy: Policy,
}

impl Schedule {
    /// What its due times rest on: where this changes, those that are past have never been due.
    #[must_use]
    pub fn rule(&self) -> String {
        format!("{} {}", self.cron, self.zone)
    }

    /// Whether the drop folder is taken in by it.
    #[must_use]
    pub fn takes_folder(&self) -> bool {
        self.sources.iter().any(|source| source == FOLDER)
    }
}

text_enum! {
    /// What becomes of a due time that is later than the grace allows.
    Missed {
        /// Nothing: the next one counts.
        Skip = "skip",
        /// It is made up for, once however many there were.
        RunOnce = "run_once",
    }
}

text_enum! {
    /// What becomes of a due time while an earlier fire is not over.
    Overlap {
        /// Nothing: the next one counts.
        Skip = "skip",
        /// It waits; no more than one does.
        Queue = "queue",
    }
}

text_enum! {
    /// Where a fire stands.
    FireState {
        /// Waits until the fire before it is over.
        Queued = "queued",
        /// Its sources are taken in, or rows of its runs are still to be sent.
        Running = "running",
        /// All its runs have succeeded.
        Succeeded = "succeeded",
        /// Some rows were not sent, or are held.
        Partial = "partial",
        /// A source could not be taken in, or a run failed.
        Failed = "failed",
        /// Nothing was done.
        Skipped = "skipped",
    }
}

impl FireState {
    /// How a fire ends whose runs ended so; `None` while one has not.
    #[must_use]
    pub fn of_runs(runs: &[RunStatus], is_source_missing: bool) -> Option<Self> {
        let of_run = |run: &RunStatus| match run {
            RunStatus::Queued | RunStatus::Running => None,
            RunStatus::Succeeded => Some(Self::Succeeded),
            // A person may take days: the schedule does not wait for it.
            RunStatus::Partial | RunStatus::Canceled | RunStatus::Held => Some(Self::Partial),
            RunStatus::Failed => Some(Self::Failed),
        };
        let own = if is_source_missing { Self::Failed } else { Self::Succeeded };
        // From good to bad, as they are declared.
        runs.iter().map(of_run).try_fold(own, |worst, state| state.map(|state| worst.max(state)))
    }
}

/// What was decided beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Where nobody was there in time.
    pub missed: Missed,
    /// How late a fire is still on time.
    pub grace: Duration,
    /// Where the fire before is not over.
    pub overlap: Overlap,
}

/// Which fires of the schedule are not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// One is under way.
    pub running: bool,
    /// One waits.
    pub queued: bool,
}

/// What becomes of a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is run.
    Run,
    /// It waits until the one before is over.
    Wait,
    /// It is not run, for this reason.
    Skip(&'static str),
}

impl Policy {
    /// What becomes of a due time that is found this late.
    #[must_use]
    pub fn rule(&self, late: Duration, open: Open) -> Ruling {
        let is_missed = late > self.grace;
        match (self.missed, self.overlap) {
            (Missed::Skip, _) if is_missed => Ruling::Skip("nobody was there in time"),
            _ if !open.running && !open.queued => Ruling::Run,
            (_, Overlap::Skip) => Ruling::Skip("the fire before was not over"),
            (_, Overlap::Queue) if open.queued => {
                Ruling::Skip("the fire before was not over, and another waits for it")
            }
            (_, Overlap::Queue) => Ruling::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_secs(61);
    const IN_TIME: Duration = Duration::from_mins(1);

    fn rule(missed: Missed, overlap: Overlap, late: Duration, open: Open) -> Ruling {
        Policy { missed, grace: IN_TIME, overlap }.rule(late, open)
    }

    #[test]
    fn what_is_late_is_skipped_or_made_up_for() {
        let nobody = Open::default();
        for overlap in [Overlap::Skip, Overlap::Queue] {
            assert_eq!(rule(Missed::Skip, overlap, IN_TIME, nobody), Ruling::Run);
            assert!(matches!(rule(Missed::Skip, overlap, LATE, nobody), Ruling::Skip(_)));
            assert_eq!(rule(Missed::RunOnce, overlap, LATE, nobody), Ruling::Run);
        }
    }

    #[test]
    fn no_two_fires_run_and_no_two_wait() {
        let running = Open { running: true, queued: false };
        let both = Open { running: true, queued: true };
        let waiting = Open { running: false, queued: true };
        for missed in [Missed::Skip, Missed::RunOnce] {
            for open in [running, both, waiting] {
                assert!(matches!(rule(missed, Overlap::Skip, IN_TIME, open), Ruling::Skip(_)));
            }
            assert_eq!(rule(missed, Overlap::Queue, IN_TIME, running), Ruling::Wait);
            for open in [both, waiting] {
                assert!(matches!(rule(missed, Overlap::Queue, IN_TIME, open), Ruling::Skip(_)));
            }
        }
    }

    #[test]
    fn a_fire_ends_as_the_worst_of_its_runs_and_not_before_the_last() {
        use RunStatus::{Canceled, Failed, Held, Partial, Running, Succeeded};
        for (runs, missing, state) in [
            (&[][..], false, Some(FireState::Succeeded)),
            (&[], true, Some(FireState::Failed)),
            (&[Succeeded, Succeeded], false, Some(FireState::Succeeded)),
            (&[Partial, Succeeded], false, Some(FireState::Partial)),
            (&[Canceled], false, Some(FireState::Partial)),
            (&[Failed, Partial], false, Some(FireState::Failed)),
            (&[Succeeded], true, Some(FireState::Failed)),
            (&[Failed, Running], true, None),
            (&[Held, Succeeded], false, Some(FireState::Partial)),
            (&[Held, Running], false, None),
        ] {
            assert_eq!(FireState::of_runs(runs, missing), state, "{runs:?}");
        }
    }
}
