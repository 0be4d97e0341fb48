//! Notices: which changes of state people are told of, in which words none of which is an address, and what
//! follows from the receiver's answer.
//!
//! Knows neither where a change is kept nor how a notice is posted.

mod fate;
mod label;

pub use fate::{BACKOFF, Fate, GIVEN_UP_AFTER, Heard};
pub use label::{safe_label, subject};

use super::expect::Standing;
use super::state::{RunStatus, text_enum};

text_enum! {
    /// What a change of state is to people.
    Topic {
        /// A run has failed.
        Failed = "failed",
        /// A run has ended with rows that did not arrive.
        Partial = "partial",
        /// A run waits for approval.
        Held = "held",
        /// Events may or may not exist, and a person has to look.
        Unknown = "unknown",
        /// What is expected of a source does not hold.
        Late = "late",
        /// What was wrong went well again.
        Recovered = "recovered",
    }
}

/// What becomes of the trouble that something was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is as it was.
    Same,
    /// It begins, or goes on.
    Begins,
    /// It is over.
    Ends,
}

impl Topic {
    /// What it is that a run has come to this status; and what that says of the trouble in which the last run
    /// of the same kind was, or was not: `before` is how that one stands. What fails time after time is told once,
    /// and nothing has recovered as long as one of the kind is held.
    #[must_use]
    pub const fn of_run(
        status: RunStatus,
        before: Option<RunStatus>,
        is_one_held: bool,
    ) -> (Option<Self>, Trouble) {
        match status {
            RunStatus::Failed if matches!(before, Some(RunStatus::Failed)) => (None, Trouble::Begins),
            RunStatus::Failed => (Some(Self::Failed), Trouble::Begins),
            RunStatus::Partial => (Some(Self::Partial), Trouble::Begins),
            RunStatus::Held => (Some(Self::Held), Trouble::Same),
            RunStatus::Succeeded if before.is_some() && !is_one_held => {
                (Some(Self::Recovered), Trouble::Ends)
            }
            RunStatus::Succeeded | RunStatus::Queued | RunStatus::Running | RunStatus::Canceled => {
                (None, Trouble::Same)
            }
        }
    }

    /// What it is that a source has come to stand so.
    #[must_use]
    pub const fn of_source(standing: Standing) -> Self {
        match standing {
            Standing::Late | Standing::Short => Self::Late,
            Standing::Met => Self::Recovered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_told_only_after_trouble_and_failure_once() {
        let troubles = [None, Some(RunStatus::Partial), Some(RunStatus::Failed)];
        let of = |status, is_held| troubles.map(|before| Topic::of_run(status, before, is_held));
        let recovered = (Some(Topic::Recovered), Trouble::Ends);
        assert_eq!(of(RunStatus::Succeeded, false), [(None, Trouble::Same), recovered, recovered]);
        assert_eq!(of(RunStatus::Succeeded, true), [(None, Trouble::Same); 3], "somebody still waits");
        let failed = (Some(Topic::Failed), Trouble::Begins);
        assert_eq!(of(RunStatus::Failed, false), [failed, failed, (None, Trouble::Begins)]);
        assert_eq!(of(RunStatus::Partial, false), [(Some(Topic::Partial), Trouble::Begins); 3]);
        assert_eq!(
            of(RunStatus::Held, true),
            [(Some(Topic::Held), Trouble::Same); 3],
            "nothing is known yet"
        );
        for silent in [RunStatus::Queued, RunStatus::Running, RunStatus::Canceled] {
            assert_eq!(of(silent, false), [(None, Trouble::Same); 3]);
        }
    }
}
