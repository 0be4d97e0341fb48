//! Why nothing moves: the first of the reasons that hold, from the one that only a person can end to the one
//! that ends by itself.
//!
//! Decides on facts that others have looked up; knows neither the database nor a page.

use super::state::{RowState, RunStatus};
use super::words::{count, moment};
use crate::clock::Time;

/// What is known of a run and of what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where it stands.
    pub status: Option<RunStatus>,
    /// What was noted on it.
    pub reason: Option<String>,
    /// Whether somebody has let it go.
    pub is_approved: bool,
    /// Rows that wait for a request.
    pub pending: u64,
    /// Rows in a request.
    pub in_flight: u64,
    /// Events in doubt.
    pub unknown: u64,
    /// Delivered people who are still to be looked for.
    pub to_prove: u64,
    /// When the first of the pending rows is due.
    pub due: Option<Time>,
    /// Until when nobody sends for its account, and why.
    pub block: Option<(Time, String)>,
    /// Whether that is because Luma refuses the key.
    pub is_refused: bool,
    /// Until when its requests belong to processes that have fallen silent.
    pub silent_until: Option<Time>,
    /// Processes that are alive.
    pub workers: usize,
    /// Whether its account is configured in the process that looks.
    pub is_configured: bool,
    /// Requests that may leave now.
    pub quota_left: u32,
    /// When the window makes room.
    pub room_at: Option<Time>,
}

/// How one row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowFacts {
    /// Its state.
    pub state: RowState,
    /// Whether it is in a request.
    pub is_in_flight: bool,
    /// Whether its person is looked for in the audience.
    pub is_sought: bool,
}

/// Why something waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// For a person who approves it.
    Approval(Option<String>),
    /// It stopped, and a person has to mend the cause.
    Mending(String),
    /// Its input is still being taken in.
    Intake,
    /// A look at the queue.
    Reading,
    /// There is no process to send it.
    Worker,
    /// Its account is not configured here.
    Account,
    /// Luma refuses the key of its account.
    Key(String),
    /// Nobody sends before this moment.
    Block(Time, String),
    /// Until its rows are free of a process that has fallen silent.
    Lease(Time),
    /// Something that was noted on it.
    Noted(String),
    /// The window is full.
    Limit(Option<Time>),
    /// It is tried again then.
    Retry(Time),
    /// Luma's answer.
    Answer,
    /// A place among what else is due.
    Turn,
    /// A look at the audience.
    Proof,
    /// Somebody or something that finds out whether events exist.
    Doubt,
}

impl Waiting {
    /// Why a run waits; nothing where it has ended and nothing is left of it.
    #[must_use]
    pub fn of(facts: &Facts, now: Time) -> Option<Self> {
        let reason = || facts.reason.clone();
        match facts.status? {
            RunStatus::Held => return Some(Self::Approval(reason())),
            RunStatus::Queued if !facts.is_approved => return Some(Self::Intake),
            RunStatus::Failed if facts.pending > 0 => {
                return Some(Self::Mending(reason().unwrap_or_default()));
            }
            RunStatus::Queued | RunStatus::Running => {}
            RunStatus::Succeeded | RunStatus::Partial | RunStatus::Failed | RunStatus::Canceled => {
                return (facts.unknown > 0).then_some(Self::Doubt);
            }
        }
        if facts.pending + facts.in_flight + facts.to_prove == 0 {
            return (facts.unknown > 0).then_some(Self::Doubt);
        }
        if facts.workers == 0 {
            return Some(Self::Worker);
        }
        if !facts.is_configured {
            return Some(Self::Account);
        }
        if let Some((until, why)) = facts.block.clone().filter(|(until, _)| *until > now) {
            return Some(if facts.is_refused { Self::Key(why) } else { Self::Block(until, why) });
        }
        if let Some(reason) = reason() {
            return Some(Self::Noted(reason));
        }
        if facts.in_flight > 0 {
            let lease = facts.silent_until.filter(|until| *until > now);
            return Some(lease.map_or(Self::Answer, Self::Lease));
        }
        if facts.quota_left == 0 {
            return Some(Self::Limit(facts.room_at));
        }
        match facts.due {
            Some(due) if due > now => Some(Self::Retry(due)),
            _ if facts.pending == 0 => Some(Self::Proof),
            _ => Some(Self::Turn),
        }
    }

    /// Why a row waits; nothing where it has its outcome. The facts are those of its run and account, with its own
    /// due time; of its account alone where nobody has read it.
    #[must_use]
    pub fn of_row(row: RowFacts, run: &Facts, now: Time) -> Option<Self> {
        let RowFacts { state, is_in_flight, is_sought } = row;
        match state {
            RowState::New if run.workers == 0 => return Some(Self::Worker),
            RowState::New if !run.is_configured => return Some(Self::Account),
            RowState::New => return Some(Self::Reading),
            RowState::Pending | RowState::InFlight | RowState::Held => {}
            RowState::Delivered | RowState::Verified | RowState::Missing if is_sought => {}
            RowState::Delivered
            | RowState::Verified
            | RowState::Missing
            | RowState::Rejected
            | RowState::Failed
            | RowState::Invalid
            | RowState::Duplicate
            | RowState::Unchanged
            | RowState::Suppressed
            | RowState::Canceled => return None,
        }
        let is_in_flight = is_in_flight || state == RowState::InFlight;
        let own = Facts {
            pending: u64::from(state == RowState::Pending && !is_in_flight),
            in_flight: u64::from(is_in_flight),
            to_prove: u64::from(is_sought),
            unknown: 0,
            ..run.clone()
        };
        Self::of(&own, now)
    }

    /// The stable word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approval(_) => "approval",
            Self::Mending(_) => "mending",
            Self::Intake => "intake",
            Self::Reading => "reading",
            Self::Worker => "worker",
            Self::Account => "account",
            Self::Key(_) => "key",
            Self::Block(..) => "block",
            Self::Lease(_) => "lease",
            Self::Noted(_) => "noted",
            Self::Limit(_) => "limit",
            Self::Retry(_) => "retry",
            Self::Answer => "answer",
            Self::Turn => "turn",
            Self::Proof => "proof",
            Self::Doubt => "doubt",
        }
    }

    /// Whether it goes on only once a person has done something.
    #[must_use]
    pub const fn needs_a_person(&self) -> bool {
        match self {
            Self::Approval(_)
            | Self::Mending(_)
            | Self::Worker
            | Self::Account
            | Self::Key(_)
            | Self::Doubt => true,
            Self::Intake
            | Self::Reading
            | Self::Block(..)
            | Self::Lease(_)
            | Self::Noted(_)
            | Self::Limit(_)
            | Self::Retry(_)
            | Self::Answer
            | Self::Turn
            | Self::Proof => false,
        }
    }

    /// A sentence for people.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Self::Approval(None) => "It waits until somebody approves it.".to_owned(),
            Self::Approval(Some(why)) => format!("It waits until somebody approves it: {why}."),
            Self::Mending(why) => format!("It stopped: {why}. Mend the cause, then retry it."),
            Self::Intake => {
                "Its input is still being taken in; nothing is sent before all of it is.".to_owned()
            }
            Self::Reading => "Nobody has read it yet; the queue is looked at all the time.".to_owned(),
            Self::Worker => "No process is alive that could send it. Start `lumasync run`.".to_owned(),
            Self::Account => {
                "Its account is not configured in this process, which sends nothing for it.".to_owned()
            }
            Self::Key(why) => {
                format!("Luma refuses the key of its account: {why}. Mend it; it is tried again by itself.")
            }
            Self::Lease(until) => format!(
                "The process that had sent it has fallen silent; at {} its rows are free for others.",
                moment(*until)
            ),
            Self::Block(until, why) => format!("Nothing is sent until {}: {why}.", moment(*until)),
            Self::Noted(why) => format!("It stands still: {why}."),
            Self::Limit(None) => "The rate limit is used up; the window makes room shortly.".to_owned(),
            Self::Limit(Some(until)) => {
                format!("The rate limit is used up; the window makes room at {}.", moment(*until))
            }
            Self::Retry(due) => format!("The next request is due at {}.", moment(*due)),
            Self::Answer => "A request is under way; Luma's answer decides.".to_owned(),
            Self::Turn => "It is due, and goes out as soon as others have had their turn.".to_owned(),
            Self::Proof => "All is sent; Luma is asked whether everybody has arrived.".to_owned(),
            Self::Doubt => "Nobody knows yet whether some of its events exist.".to_owned(),
        }
    }
}

/// How much waits and for how long, in a few words.
#[must_use]
pub fn waits(rows: u64, oldest: Option<std::time::Duration>) -> String {
    let oldest =
        oldest.map(|age| format!(", the oldest for {}", super::words::span(age))).unwrap_or_default();
    if rows == 0 { "nothing waits".to_owned() } else { format!("{} waiting{oldest}", count(rows, "row")) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Time = Time::from_micros(1_795_370_400_000_000);

    fn running() -> Facts {
        Facts {
            status: Some(RunStatus::Running),
            pending: 10,
            workers: 1,
            is_configured: true,
            quota_left: 5,
            ..Facts::default()
        }
    }

    fn word(facts: &Facts) -> Option<&'static str> {
        Waiting::of(facts, NOW).map(|waiting| waiting.as_str())
    }

    #[test]
    fn the_first_reason_that_holds_is_told() {
        let later = NOW.plus(Duration::from_mins(1));
        let mut facts = Facts { quota_left: 0, due: Some(later), in_flight: 1, ..running() };
        facts.reason = Some("the key is refused".to_owned());
        facts.block = Some((later, "asked to wait".to_owned()));
        facts.workers = 0;
        assert_eq!(word(&facts), Some("worker"));
        facts.workers = 1;
        assert_eq!(word(&facts), Some("block"));
        facts.is_refused = true;
        assert_eq!(word(&facts), Some("key"));
        facts.block = Some((NOW, "over".to_owned()));
        assert_eq!(word(&facts), Some("noted"));
        facts.reason = None;
        assert_eq!(word(&facts), Some("answer"));
        facts.silent_until = Some(later);
        assert_eq!(word(&facts), Some("lease"));
        facts.in_flight = 0;
        assert_eq!(word(&facts), Some("limit"));
        facts.quota_left = 1;
        assert_eq!(word(&facts), Some("retry"));
        facts.due = Some(NOW);
        assert_eq!(word(&facts), Some("turn"));
        facts.is_configured = false;
        assert_eq!(word(&facts), Some("account"));
        facts.status = Some(RunStatus::Held);
        assert_eq!(word(&facts), Some("approval"));
        facts.status = Some(RunStatus::Queued);
        assert_eq!(word(&facts), Some("intake"));
        facts.is_approved = true;
        assert_eq!(word(&facts), Some("account"), "what is approved is taken in, and waits as others do");
        facts.status = Some(RunStatus::Failed);
        assert_eq!(word(&facts), Some("mending"));
    }

    #[test]
    fn a_row_waits_for_what_its_run_waits_for_unless_it_has_its_outcome() {
        let row = |state| RowFacts { state, is_in_flight: false, is_sought: false };
        let why = |row, run: &Facts| Waiting::of_row(row, run, NOW).map(|waiting| waiting.as_str());
        let later = NOW.plus(Duration::from_mins(1));
        let run = Facts { pending: 0, in_flight: 9, to_prove: 9, unknown: 9, due: Some(later), ..running() };
        assert_eq!(why(row(RowState::Pending), &run), Some("retry"));
        assert_eq!(why(row(RowState::Pending), &Facts { quota_left: 0, ..run.clone() }), Some("limit"));
        assert_eq!(why(RowFacts { is_in_flight: true, ..row(RowState::Pending) }, &run), Some("answer"));
        let run = Facts { due: None, ..run };
        assert_eq!(why(RowFacts { is_sought: true, ..row(RowState::Delivered) }, &run), Some("proof"));
        let held = Facts { status: Some(RunStatus::Held), ..run.clone() };
        assert_eq!(why(row(RowState::Pending), &held), Some("approval"));
        for state in [RowState::Delivered, RowState::Invalid, RowState::Failed, RowState::Canceled] {
            assert_eq!((why(row(state), &run), why(row(state), &held)), (None, None), "{state:?}");
        }
        assert_eq!(why(row(RowState::New), &run), Some("reading"));
        assert_eq!(why(row(RowState::New), &Facts { workers: 0, ..run.clone() }), Some("worker"));
        assert_eq!(why(row(RowState::New), &Facts { is_configured: false, ..run }), Some("account"));
    }

    #[test]
    fn what_is_over_waits_for_nothing_unless_it_is_in_doubt() {
        for status in [RunStatus::Succeeded, RunStatus::Partial, RunStatus::Canceled] {
            let facts = Facts { status: Some(status), ..running() };
            assert_eq!(word(&facts), None);
            assert_eq!(word(&Facts { unknown: 1, ..facts }), Some("doubt"));
        }
        assert_eq!(word(&Facts { pending: 0, ..running() }), None);
        assert_eq!(word(&Facts { pending: 0, to_prove: 3, ..running() }), Some("proof"));
    }
}
