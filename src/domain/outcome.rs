//! From a verdict to what becomes of the batch: the one place that decides it.
//!
//! Pure: time, chance and what the database knows come in as arguments.

use std::time::Duration;

use super::code::Code;
use super::refusal::{AfterRefusal, Evidence, after_refusal};
use super::retry::RetryPolicy;
use super::verdict::{Cause, Verdict};
use crate::clock::Time;

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Luma took every row.
    Delivered,
    /// To be sent again, not before `due_at`.
    Again {
        /// When.
        due_at: Time,
        /// Whether the attempt counts.
        costs_attempt: bool,
    },
    /// Given up: every row has failed.
    Failed {
        /// Why.
        code: Code,
        /// Why, in words.
        reason: String,
    },
    /// Luma refused these rows, by their places; the others are sent again.
    Rejected {
        /// Places of the refused rows, ascending.
        places: Vec<usize>,
        /// Why, in words.
        reason: String,
        /// Whether the largest batch of the same tags goes next, to tell bad rows from a bad request.
        probe: bool,
    },
    /// Halved, and both halves are sent.
    Split,
}

/// What becomes of the batch, and of everything around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Of the batch.
    pub outcome: Outcome,
    /// Nobody sends for a while.
    pub block: Option<Block>,
    /// Bytes of the largest body worth trying from now on.
    pub max_body: Option<usize>,
    /// The run stops, for this reason.
    pub halt: Option<(Cause, String)>,
}

/// Nobody sends before a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The moment.
    pub until: Time,
    /// Why, in words.
    pub reason: String,
    /// What it is about.
    pub cause: BlockCause,
}

/// What a block is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockCause {
    /// Luma said too many requests: it stands.
    Throttled,
    /// Luma refuses the key or the plan: it ends when the key is known.
    Refused,
    /// Luma fails or is out of reach: it ends with the first good answer.
    Faults,
}

impl BlockCause {
    /// The stored text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Faults => "faults",
        }
    }
}

/// So many passing faults in a row are Luma's, not the batch's: everybody pauses, longer each time.
pub const FAULTS_IN_A_ROW: u32 = 5;
/// The shortest wait after a 429, whatever it says.
const SHORTEST_BLOCK: Duration = Duration::from_secs(1);
/// Bodies smaller than this are taken by everybody: what refuses them is no limit of size.
const SMALLEST_BODY: usize = 1_024;

/// What a decision rests on besides the verdict.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The addresses of the request.
    pub addresses: &'a [&'a str],
    /// Bytes of its body.
    pub body_bytes: usize,
    /// Attempts of this batch that failed before.
    pub attempts: u32,
    /// Passing faults of the account in a row, before this one.
    pub faults: u32,
    /// What became of the run's other requests.
    pub evidence: Evidence,
    /// How passing faults are retried.
    pub retry: RetryPolicy,
    /// How long Luma blocks after an overrun, where it does not say.
    pub block: Duration,
    /// Chance, in `0.0..1.0`.
    pub jitter: f64,
    /// The present.
    pub now: Time,
}

impl Decision {
    const fn only(outcome: Outcome) -> Self {
        Self { outcome, block: None, max_body: None, halt: None }
    }

    const fn free_retry(due_at: Time) -> Self {
        Self::only(Outcome::Again { due_at, costs_attempt: false })
    }
}

impl Block {
    /// Too many requests: for as long as Luma says, or `otherwise` where it does not.
    #[must_use]
    pub fn throttled(retry_after: Option<Duration>, otherwise: Duration, now: Time) -> Self {
        let until = now.plus(retry_after.unwrap_or(otherwise).max(SHORTEST_BLOCK));
        Self {
            until,
            reason: "Luma answered 429: too many requests".to_owned(),
            cause: BlockCause::Throttled,
        }
    }
}

/// Decides what a verdict means for the batch it is about.
#[must_use]
pub fn decide(verdict: &Verdict, facts: &Facts<'_>) -> Decision {
    match verdict {
        Verdict::Accepted => Decision::only(Outcome::Delivered),
        Verdict::Interrupted => Decision::free_retry(facts.now),
        Verdict::Throttled { retry_after } => {
            let block = Block::throttled(*retry_after, facts.block, facts.now);
            let until = block.until;
            Decision { block: Some(block), ..Decision::free_retry(until) }
        }
        Verdict::Transient { reason, retry_after, unreached } => {
            let outcome = after_fault(reason, *retry_after, *unreached, facts);
            Decision { block: pause(reason, facts), ..Decision::only(outcome) }
        }
        Verdict::TooLarge { message } => {
            if facts.addresses.len() > 1 {
                // A half is a little more than half: addresses differ, and each body has its frame.
                let max_body = Some(facts.body_bytes / 10 * 6).filter(|bytes| *bytes >= SMALLEST_BODY);
                Decision { max_body, ..Decision::only(Outcome::Split) }
            } else {
                Decision::only(reject_all(facts, message, false))
            }
        }
        Verdict::Halted { cause, reason } => halt(*cause, reason.clone(), facts),
        Verdict::Refused { message } => refused(message, facts),
    }
}

fn after_fault(reason: &str, retry_after: Option<Duration>, unreached: bool, facts: &Facts<'_>) -> Outcome {
    let attempts = facts.attempts + 1;
    if unreached {
        let wait = facts.retry.backoff(attempts, facts.jitter, retry_after);
        Outcome::Again { due_at: facts.now.plus(wait), costs_attempt: false }
    } else if facts.retry.is_exhausted(attempts) {
        let plural = if attempts == 1 { "" } else { "s" };
        let reason = format!("given up after {attempts} attempt{plural}, the last one: {reason}");
        Outcome::Failed { code: Code::AttemptsExhausted, reason }
    } else {
        let wait = facts.retry.backoff(attempts, facts.jitter, retry_after);
        Outcome::Again { due_at: facts.now.plus(wait), costs_attempt: true }
    }
}

/// The pause for everybody after faults in a row.
fn pause(reason: &str, facts: &Facts<'_>) -> Option<Block> {
    pause_after_faults(reason, facts.faults, facts.retry, facts.jitter, facts.now)
}

/// The pause for everybody where this fault, after so many others in a row, is one too many.
#[must_use]
pub fn pause_after_faults(
    reason: &str,
    faults: u32,
    retry: RetryPolicy,
    jitter: f64,
    now: Time,
) -> Option<Block> {
    let beyond = (faults + 1).checked_sub(FAULTS_IN_A_ROW)?;
    let until = now.plus(retry.backoff(beyond + 1, 0.5 + jitter / 2.0, None));
    Some(Block { until, reason: format!("Luma does not answer well: {reason}"), cause: BlockCause::Faults })
}

fn refused(message: &str, facts: &Facts<'_>) -> Decision {
    match after_refusal(message, facts.addresses, facts.evidence) {
        AfterRefusal::RejectNamed(places) => {
            Decision::only(Outcome::Rejected { places, reason: message.to_owned(), probe: false })
        }
        AfterRefusal::RejectOnly { probe } => Decision::only(reject_all(facts, message, probe)),
        AfterRefusal::Halve => Decision::only(Outcome::Split),
        AfterRefusal::Halt(why) => halt(Cause::Unknown, format!("{message}; {why}"), facts),
        AfterRefusal::Wait => Decision::free_retry(facts.now),
    }
}

fn reject_all(facts: &Facts<'_>, message: &str, probe: bool) -> Outcome {
    Outcome::Rejected { places: (0..facts.addresses.len()).collect(), reason: message.to_owned(), probe }
}

/// Rows stay as they are: they were not to blame.
fn halt(cause: Cause, reason: String, facts: &Facts<'_>) -> Decision {
    Decision { halt: Some((cause, reason)), ..Decision::free_retry(facts.now) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::Tally;

    const ROWS: [&str; 2] = ["ana@example.org", "bo@example.org"];

    fn facts(attempts: u32) -> Facts<'static> {
        Facts {
            addresses: &ROWS,
            body_bytes: 8_000,
            attempts,
            faults: 0,
            evidence: Evidence::default(),
            retry: RetryPolicy {
                max_attempts: 3,
                initial_backoff: Duration::from_secs(1),
                max_backoff: Duration::from_secs(10),
            },
            block: Duration::from_mins(1),
            jitter: 0.5,
            now: Time::from_micros(0),
        }
    }

    fn after(secs: u64) -> Time {
        Time::from_micros(0).plus(Duration::from_secs(secs))
    }

    #[test]
    fn only_an_acceptance_delivers() {
        let verdicts = [
            Verdict::Refused { message: "no".into() },
            Verdict::TooLarge { message: "big".into() },
            Verdict::Throttled { retry_after: None },
            Verdict::Transient { reason: "500".into(), retry_after: None, unreached: false },
            Verdict::Halted { cause: Cause::Key, reason: "401".into() },
            Verdict::Interrupted,
        ];
        assert_eq!(decide(&Verdict::Accepted, &facts(0)).outcome, Outcome::Delivered);
        for verdict in verdicts {
            assert_ne!(decide(&verdict, &facts(0)).outcome, Outcome::Delivered, "{verdict:?}");
        }
    }

    #[test]
    fn only_a_passing_fault_costs_an_attempt() {
        let costs = |verdict: &Verdict| match decide(verdict, &facts(0)).outcome {
            Outcome::Again { costs_attempt, .. } => costs_attempt,
            other => panic!("{other:?}"),
        };
        assert!(costs(&Verdict::Transient { reason: "500".into(), retry_after: None, unreached: false }));
        assert!(!costs(&Verdict::Throttled { retry_after: None }));
        assert!(!costs(&Verdict::Halted { cause: Cause::Key, reason: "401".into() }));
        assert!(!costs(&Verdict::Interrupted));
    }

    #[test]
    fn a_throttle_blocks_everybody_for_as_long_as_luma_says() {
        let said = Verdict::Throttled { retry_after: Some(Duration::from_mins(90)) };
        let decision = decide(&said, &facts(0));
        assert_eq!(decision.block.map(|block| block.until), Some(after(5_400)));
        let silent = decide(&Verdict::Throttled { retry_after: None }, &facts(0));
        assert_eq!(silent.block.map(|block| block.until), Some(after(60)));
    }

    #[test]
    fn nobody_to_ask_costs_no_attempt_and_faults_in_a_row_pause_everybody() {
        let nobody =
            Verdict::Transient { reason: "cannot connect".into(), retry_after: None, unreached: true };
        let decision = decide(&nobody, &facts(99));
        assert!(matches!(decision.outcome, Outcome::Again { costs_attempt: false, .. }));
        assert_eq!(decision.block, None);
        let fifth = decide(&nobody, &Facts { faults: FAULTS_IN_A_ROW - 1, ..facts(0) }).block;
        let ninth = decide(&nobody, &Facts { faults: FAULTS_IN_A_ROW + 3, ..facts(0) }).block;
        let (fifth, ninth) = (fifth.expect("a pause"), ninth.expect("a pause"));
        assert_eq!(fifth.cause, BlockCause::Faults);
        assert!(fifth.until < ninth.until);
    }

    #[test]
    fn the_last_attempt_gives_the_rows_up() {
        let fault = Verdict::Transient { reason: "502".into(), retry_after: None, unreached: false };
        assert!(matches!(decide(&fault, &facts(1)).outcome, Outcome::Again { costs_attempt: true, .. }));
        let Outcome::Failed { code, reason } = decide(&fault, &facts(2)).outcome else { panic!() };
        assert_eq!(code, Code::AttemptsExhausted);
        assert!(reason.contains("3 attempts") && reason.contains("502"), "{reason}");
    }

    #[test]
    fn a_body_too_large_is_halved_and_remembered_until_a_row_stands_alone() {
        let large = Verdict::TooLarge { message: "big".into() };
        let decision = decide(&large, &facts(0));
        assert_eq!((decision.outcome, decision.max_body), (Outcome::Split, Some(4_800)));
        let alone = Facts { addresses: &ROWS[..1], ..facts(0) };
        assert!(matches!(decide(&large, &alone).outcome, Outcome::Rejected { .. }));
    }

    #[test]
    fn a_refusal_that_is_not_about_rows_halts_and_blames_no_row() {
        let decision = decide(&Verdict::Halted { cause: Cause::Plan, reason: "403".into() }, &facts(0));
        assert_eq!(decision.halt, Some((Cause::Plan, "403".into())));
        let none = Tally { accepted: false, refused_alone: 16 };
        let suspicious = Evidence { same_tags: none, in_run: none, ..Evidence::default() };
        let after =
            |evidence| decide(&Verdict::Refused { message: "no".into() }, &Facts { evidence, ..facts(0) });
        let said = "no; 16 rows refused one by one, none accepted with these tags";
        assert_eq!(after(suspicious).halt, Some((Cause::Unknown, said.into())));
        let late = Evidence { is_halted: true, ..suspicious };
        assert_eq!(after(late), Decision::free_retry(facts(0).now), "rows of a halted run wait");
    }
}
