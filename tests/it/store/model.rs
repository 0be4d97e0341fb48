//! What must be true of rows, ledger and claims, kept in memory by the simplest rules there are.

use std::collections::{BTreeMap, BTreeSet};

use lumasync::domain::code::Code;
use lumasync::domain::outcome::Outcome;
use lumasync::store::{ClaimedBatch, Settlement};

use super::fixture::{ACCOUNT, Fixture, settlement};

/// What Luma answered, or what became of a request without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Accepted,
    Throttled,
    Fault,
    LastFault,
    Refused(u8),
    RefusedAlone,
    TooLarge,
    NeverSent,
    Interrupted,
}

/// Why rows go nowhere at intake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsent {
    pub(super) duplicates: u8,
    pub(super) unchanged: u8,
}

pub(super) struct Held {
    pub(super) batch: ClaimedBatch,
    pub(super) worker: i64,
    pub(super) is_ours: bool,
}

#[derive(Default)]
pub(super) struct Model {
    /// Where each row stands, by run and address.
    rows: BTreeMap<(i64, String), &'static str>,
    /// Rows of each run that go nowhere.
    unsent: BTreeMap<i64, u64>,
    ledger: BTreeMap<String, BTreeSet<String>>,
    pub(super) held: Vec<Held>,
}

impl Model {
    pub(super) fn took(&mut self, run: i64, people: &[&str], unsent: Unsent) {
        self.rows.extend(people.iter().map(|email| ((run, (*email).to_owned()), "pending")));
        self.unsent.insert(run, u64::from(unsent.duplicates) + u64::from(unsent.unchanged));
    }

    pub(super) fn rows_that_are(&self, state: &str) -> usize {
        self.rows.values().filter(|is| **is == state).count()
    }

    /// A claim holds rows that are pending and nobody's.
    pub(super) fn claimed(&mut self, worker: i64, batches: Vec<ClaimedBatch>) {
        for batch in batches {
            for row in &batch.recipients {
                let key = (batch.run_id, row.email.clone());
                assert_eq!(self.rows[&key], "pending", "{key:?} was claimed");
                let holds = |held: &Held| {
                    held.is_ours && held.batch.run_id == batch.run_id && held.batch.recipients.contains(row)
                };
                assert!(!self.held.iter().any(holds), "{key:?} was claimed twice");
            }
            self.held.push(Held { batch, worker, is_ours: true });
        }
    }

    pub(super) fn died(&mut self, worker: i64) -> u64 {
        let lost = self.held.iter_mut().filter(|held| held.is_ours && held.worker == worker);
        lost.map(|held| held.is_ours = false).count() as u64
    }

    pub(super) fn retried(&mut self) -> u64 {
        let failed = self.rows.values_mut().filter(|is| **is == "failed");
        failed.map(|is| *is = "pending").count() as u64
    }

    /// The answer to one of the requests takes effect.
    pub(super) fn answered(&mut self, batch: &ClaimedBatch, answer: Answer) {
        for (place, row) in batch.recipients.iter().enumerate() {
            let becomes = match answer {
                Answer::Accepted => "delivered",
                Answer::LastFault => "failed",
                Answer::RefusedAlone => "rejected",
                Answer::Refused(mask) if is_guilty(mask, place) => "rejected",
                Answer::Refused(_)
                | Answer::Throttled
                | Answer::Fault
                | Answer::TooLarge
                | Answer::NeverSent
                | Answer::Interrupted => "pending",
            };
            self.rows.insert((batch.run_id, row.email.clone()), becomes);
            if becomes == "delivered" {
                let tags = self.ledger.entry(row.email.clone()).or_default();
                tags.extend(batch.tags.ids().iter().map(ToString::to_string));
            }
        }
    }

    /// What the database says is what the model says, down to the last row.
    pub(super) async fn hold_against(&self, db: &Fixture) {
        let rows = db.rows("select run_id, email, state from member_queue order by run_id, email").await;
        let expected: Vec<_> = self
            .rows
            .iter()
            .map(|((run, email), state)| vec![run.to_string(), email.clone(), (*state).to_owned()])
            .collect();
        assert_eq!(rows, expected);
        let ledger =
            "select l.email_key, t.tags from ledger l join tag_sets t on t.id = l.tag_set_id order by 1";
        let expected: Vec<_> = self
            .ledger
            .iter()
            .map(|(who, tags)| vec![who.clone(), tags.iter().cloned().collect::<Vec<_>>().join(";")])
            .collect();
        assert_eq!(db.rows(ledger).await, expected);
        let account = db.store.account(ACCOUNT).await.expect("read").expect("an account");
        assert_eq!(account.members, self.ledger.len() as u64);
        let ours: BTreeSet<i64> =
            self.held.iter().filter(|held| held.is_ours).map(|held| held.batch.claim_id).collect();
        for open in [
            "select claim_id from batches where state = 'in_flight' order by 1",
            "select id from attempts where verdict is null order by 1",
        ] {
            let expected: Vec<_> = ours.iter().map(|claim| vec![claim.to_string()]).collect();
            assert_eq!(db.rows(open).await, expected, "{open}");
        }
        self.hold_counts_against(db).await;
    }

    /// The accounting law, twice: row by row, and by what the batches say.
    async fn hold_counts_against(&self, db: &Fixture) {
        for (run, unsent) in &self.unsent {
            let is = |state: &str| {
                let of_run = self.rows.iter().filter(|((of, _), is)| of == run && **is == state);
                of_run.count() as u64
            };
            let of_run = self.held.iter().filter(|held| held.is_ours && held.batch.run_id == *run);
            let in_flight: u64 = of_run.map(|held| held.batch.recipients.len() as u64).sum();
            let stored = db.store.run(*run).await.expect("read").expect("a run");
            let counts = db.store.count_rows(&stored).await.expect("counted");
            assert_eq!(counts.read, counts.accounted(), "the accounting law: {counts:?}");
            assert_eq!(
                (counts.pending, counts.delivered, counts.rejected, counts.failed),
                (is("pending"), is("delivered"), is("rejected"), is("failed"))
            );
            assert_eq!(counts.duplicate + counts.unchanged, *unsent);
            let quick = db.store.run_counts(&stored).await.expect("counted");
            assert_eq!((quick.pending, quick.in_flight), (counts.pending - in_flight, in_flight));
            assert_eq!(
                (quick.delivered, quick.bad(), quick.accounted()),
                (counts.delivered, counts.bad(), counts.read)
            );
        }
    }
}

fn is_guilty(mask: u8, place: usize) -> bool {
    mask >> (place % 8) & 1 == 1
}

/// What is written for an answer.
pub(super) fn settlement_for(batch: &ClaimedBatch, answer: Answer, db: &Fixture) -> Settlement {
    let (now, no) = (db.now(), "no".to_owned());
    let again = |costs_attempt| Outcome::Again { due_at: now, costs_attempt };
    let all = (0..batch.recipients.len()).collect::<Vec<_>>();
    let (outcome, verdict) = match answer {
        Answer::Accepted => (Outcome::Delivered, Some("accepted")),
        Answer::Throttled => (again(false), Some("throttled")),
        Answer::Interrupted => (again(false), Some("interrupted")),
        Answer::Fault => (again(true), Some("transient")),
        Answer::LastFault => {
            (Outcome::Failed { code: Code::AttemptsExhausted, reason: no }, Some("transient"))
        }
        Answer::RefusedAlone => (Outcome::Rejected { places: all, reason: no, probe: true }, Some("refused")),
        Answer::Refused(mask) => {
            let places = all.into_iter().filter(|place| is_guilty(mask, *place)).collect();
            (Outcome::Rejected { places, reason: no, probe: false }, Some("refused"))
        }
        Answer::TooLarge => (Outcome::Split, Some("too_large")),
        Answer::NeverSent => (Outcome::Split, None),
    };
    settlement(batch, outcome, verdict)
}
