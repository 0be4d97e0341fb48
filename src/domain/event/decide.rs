//! From a verdict to what becomes of the event, and of everybody who sends.
//!
//! Pure: time, chance and what the database knows come in as arguments.

use super::state::Happening;
use super::verdict::{ApiId, EventVerdict};
use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::outcome::{Block, pause_after_faults};
use crate::domain::retry::RetryPolicy;
use crate::domain::verdict::Cause;

/// What becomes of an event that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// It exists.
    Created {
        /// Luma's id of it.
        api_id: ApiId,
    },
    /// It is not created: Luma does not want it, or it began before it could be asked for.
    Rejected {
        /// Which of the two.
        code: Code,
        /// Why, in words.
        reason: String,
    },
    /// Surely not created: to be asked for again, not before `due_at`.
    Again {
        /// When.
        due_at: Time,
        /// Whether the attempt counts.
        costs_attempt: bool,
    },
    /// Surely not created, and put off once too often.
    Failed {
        /// Why, in words.
        reason: String,
    },
    /// Nobody knows.
    Unknown {
        /// What was seen.
        reason: String,
    },
}

impl EventOutcome {
    /// What this is in the table of transitions.
    #[must_use]
    pub const fn happening(&self) -> Happening {
        match self {
            Self::Created { .. } => Happening::AnsweredCreated,
            Self::Rejected { .. } => Happening::AnsweredRejected,
            Self::Again { .. } => Happening::AnsweredNotDone,
            Self::Failed { .. } => Happening::AnsweredExhausted,
            Self::Unknown { .. } => Happening::Unanswered,
        }
    }

    /// The same, where an earlier request may have made the event: then no refusal says that there is none.
    #[must_use]
    pub fn after_a_guess(self, is_guess: bool) -> Self {
        match self {
            Self::Rejected { reason, .. } | Self::Failed { reason } if is_guess => Self::Unknown {
                reason: format!("an earlier request may have made it, and this one was refused: {reason}"),
            },
            outcome => outcome,
        }
    }

    /// Whether the request counts as an attempt.
    #[must_use]
    pub const fn costs_attempt(&self) -> bool {
        !matches!(self, Self::Again { costs_attempt: false, .. })
    }
}

/// What becomes of the event, and of everything around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDecision {
    /// Of the event.
    pub outcome: EventOutcome,
    /// Nobody sends for a while.
    pub block: Option<Block>,
    /// The run stops, for this reason.
    pub halt: Option<(Cause, String)>,
}

/// What a decision rests on besides the verdict.
#[derive(Clone, Copy, Debug)]
pub struct EventFacts {
    /// Attempts for this event that counted before.
    pub attempts: u32,
    /// Passing faults of the account in a row, before this one.
    pub faults: u32,
    /// An earlier request was left in doubt, and nobody has looked whether it made the event.
    pub is_guess: bool,
    /// Luma can be asked what stands under its address.
    pub can_look_up: bool,
    /// How passing faults are retried.
    pub retry: RetryPolicy,
    /// How long Luma blocks after an overrun, where it does not say.
    pub block: std::time::Duration,
    /// Chance, in `0.0..1.0`.
    pub jitter: f64,
    /// The present.
    pub now: Time,
}

/// Decides what a verdict means for the event it is about.
#[must_use]
pub fn decide_event(verdict: &EventVerdict, facts: &EventFacts) -> EventDecision {
    let only = |outcome: EventOutcome| EventDecision {
        outcome: outcome.after_a_guess(facts.is_guess),
        block: None,
        halt: None,
    };
    let again = |due_at, costs_attempt| EventOutcome::Again { due_at, costs_attempt };
    let attempts = facts.attempts.saturating_add(1);
    let pause = |reason: &str| pause_after_faults(reason, facts.faults, facts.retry, facts.jitter, facts.now);
    match verdict {
        EventVerdict::Created { api_id } => only(EventOutcome::Created { api_id: api_id.clone() }),
        // Nobody else is likely to have this address where it was asked for before: a look-up tells.
        EventVerdict::Taken { message } if facts.attempts > 0 => only(EventOutcome::Unknown {
            reason: format!("an earlier request may have created it: {message}"),
        }),
        // Nobody knows all the words for it.
        EventVerdict::Refused { message } if facts.attempts > 0 && facts.can_look_up => {
            only(EventOutcome::Unknown {
                reason: format!("an earlier request may have created it: {message}"),
            })
        }
        EventVerdict::Taken { message } if facts.can_look_up => only(EventOutcome::Unknown {
            reason: format!("its address is taken, by what is still to be seen: {message}"),
        }),
        EventVerdict::Refused { message } | EventVerdict::Taken { message } => {
            only(EventOutcome::Rejected { code: Code::ApiRejected, reason: message.clone() })
        }
        EventVerdict::Throttled { retry_after } => {
            let block = Block::throttled(*retry_after, facts.block, facts.now);
            let until = block.until;
            EventDecision { block: Some(block), ..only(again(until, false)) }
        }
        EventVerdict::Unreached { reason } => {
            let wait = facts.retry.backoff(facts.faults + 1, facts.jitter, None);
            EventDecision { block: pause(reason), ..only(again(facts.now.plus(wait), false)) }
        }
        EventVerdict::PutOff { reason, .. } if facts.retry.is_exhausted(attempts) => {
            let plural = if attempts == 1 { "" } else { "s" };
            let reason = format!("given up after {attempts} attempt{plural}, the last one: {reason}");
            only(EventOutcome::Failed { reason })
        }
        EventVerdict::PutOff { reason, retry_after } => {
            let wait = facts.retry.backoff(attempts, facts.jitter, *retry_after);
            EventDecision { block: pause(reason), ..only(again(facts.now.plus(wait), true)) }
        }
        EventVerdict::Halted { cause, reason } => {
            EventDecision { halt: Some((*cause, reason.clone())), ..only(again(facts.now, false)) }
        }
        EventVerdict::Ambiguous { reason } => {
            EventDecision { block: pause(reason), ..only(EventOutcome::Unknown { reason: reason.clone() }) }
        }
    }
}

impl EventVerdict {
    /// Whether this is a fault of Luma or of the way to it, not of the event.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Unreached { .. } | Self::PutOff { .. } | Self::Ambiguous { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::outcome::BlockCause;
    use crate::domain::outcome::FAULTS_IN_A_ROW;

    fn facts(attempts: u32, faults: u32) -> EventFacts {
        let retry = RetryPolicy {
            max_attempts: 3,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_mins(5),
        };
        EventFacts {
            attempts,
            faults,
            is_guess: false,
            can_look_up: false,
            retry,
            block: Duration::from_mins(1),
            jitter: 1.0,
            now: Time::from_micros(0),
        }
    }

    fn decide(verdict: &EventVerdict, attempts: u32, faults: u32) -> EventDecision {
        decide_event(verdict, &facts(attempts, faults))
    }

    #[test]
    fn doubt_is_never_sent_again_however_often_it_comes() {
        let doubt = EventVerdict::Ambiguous { reason: "reset".into() };
        for (attempts, faults) in [(0, 0), (50, 0), (0, 50)] {
            let decision = decide(&doubt, attempts, faults);
            assert_eq!(decision.outcome, EventOutcome::Unknown { reason: "reset".into() });
            assert_eq!(decision.block.is_some(), faults + 1 >= FAULTS_IN_A_ROW);
        }
    }

    #[test]
    fn a_refusal_after_a_guess_proves_nothing() {
        let code = Code::ApiRejected;
        let refused = EventOutcome::Rejected { code, reason: "no".into() };
        assert_eq!(refused.clone().after_a_guess(false), refused);
        assert!(
            matches!(refused.after_a_guess(true), EventOutcome::Unknown { reason } if reason.ends_with(": no"))
        );
        let failed = EventOutcome::Failed { reason: "late".into() };
        assert!(matches!(failed.after_a_guess(true), EventOutcome::Unknown { .. }));
    }

    #[test]
    fn an_address_that_is_taken_is_doubt_where_the_event_was_asked_for_before() {
        let taken = EventVerdict::Taken { message: "taken".into() };
        assert!(matches!(decide(&taken, 0, 0).outcome, EventOutcome::Rejected { .. }));
        assert!(matches!(decide(&taken, 1, 0).outcome, EventOutcome::Unknown { .. }));
        let looking = |attempts| EventFacts { can_look_up: true, ..facts(attempts, 0) };
        assert!(matches!(decide_event(&taken, &looking(0)).outcome, EventOutcome::Unknown { .. }));
        // Whatever the words are, where a look tells.
        let refused = EventVerdict::Refused { message: "no".into() };
        assert!(matches!(decide_event(&refused, &looking(1)).outcome, EventOutcome::Unknown { .. }));
        assert!(matches!(decide_event(&refused, &looking(0)).outcome, EventOutcome::Rejected { .. }));
        assert!(matches!(decide(&refused, 1, 0).outcome, EventOutcome::Rejected { .. }));
    }

    #[test]
    fn what_is_surely_not_done_is_asked_for_again_and_only_put_off_costs() {
        let again = |secs: u64, costs_attempt| EventOutcome::Again {
            due_at: Time::from_micros(0).plus(Duration::from_secs(secs)),
            costs_attempt,
        };
        let nobody = EventVerdict::Unreached { reason: "refused".into() };
        assert_eq!(decide(&nobody, 99, 0).outcome, again(1, false));
        let throttled = EventVerdict::Throttled { retry_after: None };
        let decision = decide(&throttled, 99, 0);
        assert_eq!(decision.outcome, again(60, false));
        assert!(decision.block.is_some_and(|block| block.cause == BlockCause::Throttled));
        let put_off =
            EventVerdict::PutOff { reason: "early".into(), retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(decide(&put_off, 0, 0).outcome, again(7, true));
        assert!(matches!(decide(&put_off, 2, 0).outcome, EventOutcome::Failed { .. }));
        let halted = EventVerdict::Halted { cause: Cause::Key, reason: "401".into() };
        let decision = decide(&halted, 0, 0);
        assert_eq!((decision.outcome, decision.halt), (again(0, false), Some((Cause::Key, "401".into()))));
    }
}
