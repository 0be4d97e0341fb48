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
    /// of the same kind was, or was not.
    #[must_use]
    pub const fn of_run(status: RunStatus, was_in_trouble: bool) -> (Option<Self>, Trouble) {
        match status {
            RunStatus::Failed => (Some(Self::Failed), Trouble::Begins),
            RunStatus::Partial => (Some(Self::Partial), Trouble::Begins),
            RunStatus::Held => (Some(Self::Held), Trouble::Same),
            RunStatus::Succeeded if was_in_trouble => (Some(Self::Recovered), Trouble::Ends),
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
    fn success_is_told_only_after_trouble() {
        let of = |status| [false, true].map(|in_trouble| Topic::of_run(status, in_trouble));
        assert_eq!(
            of(RunStatus::Succeeded),
            [(None, Trouble::Same), (Some(Topic::Recovered), Trouble::Ends)]
        );
        assert_eq!(of(RunStatus::Failed), [(Some(Topic::Failed), Trouble::Begins); 2]);
        assert_eq!(of(RunStatus::Partial), [(Some(Topic::Partial), Trouble::Begins); 2]);
        assert_eq!(of(RunStatus::Held), [(Some(Topic::Held), Trouble::Same); 2], "nothing is known yet");
        for silent in [RunStatus::Queued, RunStatus::Running, RunStatus::Canceled] {
            assert_eq!(of(silent), [(None, Trouble::Same); 2]);
        }
    }
}
