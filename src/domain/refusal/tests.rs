//! The rule held against a simulated Luma: every pattern of rows ends, and in as few requests as is promised.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ROWS: [&str; 3] = ["ana@example.org", "bo@example.org", "cleo@example.org"];

fn tally(accepted: bool, refused_alone: u64) -> Tally {
    Tally { accepted, refused_alone }
}

fn evidence(same_tags: Tally, in_run: Tally) -> Evidence {
    Evidence { same_tags, in_run, ..Evidence::default() }
}

#[test]
fn named_rows_are_taken_out_and_others_halved() {
    let named = |message| after_refusal(message, &ROWS, Evidence::default());
    assert_eq!(named("Bo@Example.org is invalid."), AfterRefusal::RejectNamed(vec![1]));
    assert_eq!(named("bad: bo@example.org."), AfterRefusal::RejectNamed(vec![1]));
    assert_eq!(named("emails[2]: Invalid email"), AfterRefusal::RejectNamed(vec![2]));
    let zod = "Invalid request. - contacts[1].email: Invalid input: expected string, received undefined";
    assert_eq!(named(zod), AfterRefusal::RejectNamed(vec![1]));
    let several = "Invalid request. - contacts.0.email: Invalid email - contacts.2.name: Too long";
    assert_eq!(named(several), AfterRefusal::RejectNamed(vec![0, 2]));
    for cut in
        ["contacts[1…", "contacts[0].email: bad - contacts.1…", "no: ana@example.or…", "no: bo@example.org.…"]
    {
        let blamed =
            if cut.contains("[0]") { AfterRefusal::RejectNamed(vec![0]) } else { AfterRefusal::Halve };
        assert_eq!(named(cut), blamed, "{cut}: what was cut off names nobody");
    }
    assert_eq!(named("contacts.0.email: Invalid"), AfterRefusal::RejectNamed(vec![0]));
    assert_eq!(named("Invalid request."), AfterRefusal::Halve);
    assert_eq!(named("jimbo@example.org is invalid"), AfterRefusal::Halve);
    assert_eq!(named("bo@example.org.uk is invalid"), AfterRefusal::Halve);
    let alone = after_refusal("no", &ROWS[..1], Evidence::default());
    assert_eq!(alone, AfterRefusal::RejectOnly { probe: false });
}

#[test]
fn an_answer_that_blames_an_address_never_halts_a_run_and_one_about_the_request_does() {
    let thick = evidence(tally(false, 99), tally(false, 99));
    for blames in
        ["Invalid email.", "This is not a valid email address", "ana@example.org: no", "emails[0]: no"]
    {
        let alone = after_refusal(blames, &ROWS[..1], thick);
        assert_eq!(alone, AfterRefusal::RejectOnly { probe: false }, "{blames}");
        let accepted = evidence(tally(true, 99), tally(true, 99));
        assert_eq!(doubt(blames, &ROWS[..1], accepted), None, "{blames}");
    }
    assert_eq!(after_refusal("Invalid email.", &ROWS, thick), AfterRefusal::Halve);
    for other in [
        "Invalid request.\n- emails: Invalid input: expected array, received undefined",
        "Your email address is not valid yet: see your account",
        "no",
    ] {
        assert!(matches!(after_refusal(other, &ROWS, thick), AfterRefusal::Halt(_)), "{other}");
    }
}

#[test]
fn where_nothing_was_accepted_many_rows_refused_alone_halt_and_the_reason_counts_them() {
    let after =
        |same, run, rows: &[&str]| after_refusal("no", rows, evidence(tally(false, same), tally(false, run)));
    assert_eq!(after(7, 7, &ROWS[..1]), AfterRefusal::RejectOnly { probe: true });
    assert_eq!(after(8, 8, &ROWS[..1]), AfterRefusal::RejectOnly { probe: false });
    assert_eq!(after(15, 15, &ROWS), AfterRefusal::Halve);
    let said = |whose| AfterRefusal::Halt(format!("16 rows refused one by one, none accepted {whose}"));
    assert_eq!(after(15, 15, &ROWS[..1]), said("with these tags"));
    assert_eq!(after(0, 16, &ROWS), said("in this run"));
    let accepted_elsewhere = evidence(tally(false, 15), tally(true, 0));
    assert_eq!(after_refusal("no", &ROWS[..1], accepted_elsewhere), said("with these tags"));
    let thick = evidence(tally(false, 99), tally(false, 99));
    let insisted = Evidence { is_insisted: true, ..thick };
    assert_eq!(after_refusal("no", &ROWS[..1], insisted), AfterRefusal::RejectOnly { probe: false });
    let halted = Evidence { is_halted: true, ..thick };
    assert_eq!(after_refusal("no", &ROWS[..1], halted), AfterRefusal::Wait);
}

#[test]
fn where_something_was_accepted_the_control_decides_and_nothing_else() {
    let accepted = evidence(tally(true, 7), tally(true, 7));
    assert_eq!(doubt("no", &ROWS[..1], accepted), Some(Control::SameTags));
    assert_eq!(doubt("no", &ROWS, accepted), None, "a refusal of several says nothing yet");
    let elsewhere = evidence(tally(false, 2), tally(true, 7));
    assert_eq!(doubt("no", &ROWS[..1], elsewhere), Some(Control::OtherTags));
    assert_eq!(doubt("no", &ROWS[..1], evidence(tally(false, 99), tally(false, 99))), None);
    let thick = evidence(tally(true, 99), tally(true, 99));
    let with = |control| after_refusal("no", &ROWS, Evidence { control, is_insisted: true, ..thick });
    assert_eq!(with(Answer::Accepted), AfterRefusal::Halve);
    assert_eq!(with(Answer::None), AfterRefusal::Halve);
    assert!(matches!(with(Answer::Refused), AfterRefusal::Halt(_)));
}

/// A row of the simulated run: is it good, and which tags does it want.
type SimRow = (bool, usize);

/// A batch that waits: its tags, its order, its rows by number.
#[derive(Clone)]
struct SimBatch {
    tags: usize,
    priority: i64,
    rows: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum SimEvent {
    Accepted(usize),
    RefusedAlone(usize, usize),
    Vouched(Option<usize>),
}

/// A run against the simplest Luma: it refuses every request with a bad row in it and says nothing.
struct Sim<'a> {
    rows: &'a [SimRow],
    /// Luma refuses everything from this request on.
    breaks_at: usize,
    waiting: Vec<SimBatch>,
    events: Vec<SimEvent>,
    delivered: BTreeSet<usize>,
    rejected: BTreeSet<usize>,
    requests: usize,
    controls: usize,
    is_insisted: bool,
    halted: bool,
}

impl<'a> Sim<'a> {
    fn new(rows: &'a [SimRow], max_rows: usize, breaks_at: usize) -> Self {
        let mut waiting = Vec::new();
        for tags in 0..=rows.iter().map(|row| row.1).max().unwrap_or(0) {
            let all: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].1 == tags).collect();
            let batch = |rows: &[usize]| SimBatch { tags, priority: 1_000, rows: rows.to_vec() };
            waiting.extend(all.chunks(max_rows).map(batch));
        }
        Self {
            rows,
            breaks_at,
            waiting,
            events: Vec::new(),
            delivered: BTreeSet::new(),
            rejected: BTreeSet::new(),
            requests: 0,
            controls: 0,
            is_insisted: false,
            halted: false,
        }
    }

    fn is_broken(&mut self) -> bool {
        self.requests += 1;
        self.requests > self.breaks_at
    }

    fn tally(&self, tags: Option<usize>) -> Tally {
        let is_ours = |of: usize| tags.is_none_or(|tags| tags == of);
        let since = self.events.iter().rev().take_while(|event| match event {
            SimEvent::Accepted(of) => !is_ours(*of),
            SimEvent::Vouched(of) => of.is_some_and(|of| !is_ours(of)) || (of.is_none() && tags.is_some()),
            SimEvent::RefusedAlone(..) => true,
        });
        let alone = |event: &&SimEvent| matches!(event, SimEvent::RefusedAlone(_, of) if is_ours(*of));
        Tally {
            accepted: self.events.iter().any(|event| matches!(event, SimEvent::Accepted(of) if is_ours(*of))),
            refused_alone: since.filter(alone).count() as u64,
        }
    }

    fn evidence(&mut self, batch: &SimBatch, names: &[&str]) -> Evidence {
        let mut evidence = evidence(self.tally(Some(batch.tags)), self.tally(None));
        evidence.is_insisted = self.is_insisted;
        if let Some(control) = doubt("no", names, evidence) {
            self.controls += 1;
            if self.is_broken() {
                evidence.control = Answer::Refused;
            } else {
                evidence.control = Answer::Accepted;
                let same = control == Control::SameTags;
                self.events.push(SimEvent::Vouched(same.then_some(batch.tags)));
            }
        }
        evidence
    }

    /// Sends what waits, `at_once` requests at a time, until nothing does or the run is halted.
    fn drain(&mut self, at_once: usize) {
        self.halted = false;
        while !self.halted && !self.waiting.is_empty() {
            self.waiting.sort_by_key(|batch| batch.priority);
            let sent: Vec<SimBatch> = self.waiting.drain(..at_once.min(self.waiting.len())).collect();
            // All are judged by what was known before any of them was settled.
            let judged: Vec<(SimBatch, Option<AfterRefusal>)> =
                sent.into_iter().map(|batch| (batch.clone(), self.send(&batch))).collect();
            let (halting, others): (Vec<_>, Vec<_>) =
                judged.into_iter().partition(|(_, after)| matches!(after, Some(AfterRefusal::Halt(_))));
            for (batch, after) in others.into_iter().chain(halting) {
                self.settle(batch, after.as_ref());
            }
        }
    }

    /// What follows from the refusal of a batch; nothing where it is accepted.
    fn send(&mut self, batch: &SimBatch) -> Option<AfterRefusal> {
        let is_good = batch.rows.iter().all(|row| self.rows[*row].0);
        if !self.is_broken() && is_good {
            return None;
        }
        let names: Vec<String> = batch.rows.iter().map(|row| format!("p{row}@example.org")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let evidence = self.evidence(batch, &names);
        Some(after_refusal("no", &names, evidence))
    }

    fn settle(&mut self, batch: SimBatch, after: Option<&AfterRefusal>) {
        let tags = batch.tags;
        match after {
            None => {
                for row in batch.rows {
                    assert!(self.delivered.insert(row), "row {row} is sent again after it was accepted");
                }
                self.events.push(SimEvent::Accepted(tags));
            }
            Some(AfterRefusal::Halve) => {
                let middle = batch.rows.len().div_ceil(2);
                let half =
                    |rows: &[usize]| SimBatch { tags, priority: batch.priority - 1, rows: rows.to_vec() };
                let (first, second) = batch.rows.split_at(middle);
                self.waiting.extend([half(first), half(second)]);
            }
            Some(AfterRefusal::RejectOnly { probe }) => {
                self.rejected.extend(&batch.rows);
                self.events.push(SimEvent::RefusedAlone(batch.rows[0], tags));
                let others = self.waiting.iter_mut().filter(|other| other.tags == tags);
                if let Some(largest) = others.max_by_key(|other| other.rows.len()).filter(|_| *probe) {
                    largest.priority = 0;
                }
            }
            Some(AfterRefusal::Halt(_)) => {
                self.halted = true;
                self.waiting.push(batch);
                self.put_back();
                for batch in self.waiting.iter_mut().filter(|batch| batch.tags == tags) {
                    batch.priority += 1_000_000;
                }
            }
            Some(AfterRefusal::RejectNamed(_) | AfterRefusal::Wait) => panic!("no row is named"),
        }
    }

    /// Rows refused alone since the last acceptance with their tags wait again.
    fn put_back(&mut self) {
        let events = std::mem::take(&mut self.events);
        for (at, event) in events.iter().enumerate() {
            let SimEvent::RefusedAlone(row, tags) = *event else { continue };
            if !events[at..].contains(&SimEvent::Accepted(tags)) {
                self.rejected.remove(&row);
                self.waiting.push(SimBatch { tags, priority: 1_000, rows: vec![row] });
            }
        }
        let is_answer = |event: &SimEvent| matches!(event, SimEvent::Accepted(_));
        self.events = events.into_iter().filter(is_answer).collect();
    }
}

/// Lists of any share of bad rows, of up to four tag sets.
fn lists() -> impl Strategy<Value = Vec<SimRow>> {
    (0.0_f64..=1.0, 1_usize..5).prop_flat_map(|(share, tag_sets)| {
        prop::collection::vec((prop::bool::weighted(1.0 - share), 0..tag_sets), 1..200)
    })
}

proptest! {
    #[test]
    fn every_good_row_is_delivered_and_every_bad_one_rejected_after_one_retry_at_most(
        rows in lists(), max_rows in 1_usize..100, at_once in 1_usize..5
    ) {
        let mut sim = Sim::new(&rows, max_rows, usize::MAX);
        sim.drain(at_once);
        if sim.halted {
            prop_assert!(sim.delivered.is_empty() || !sim.rejected.is_empty() || !sim.waiting.is_empty());
            sim.is_insisted = true;
            sim.drain(at_once);
        }
        prop_assert!(!sim.halted, "halted twice");
        let good = |wanted: bool| (0..rows.len()).filter(|row| rows[*row].0 == wanted).collect::<BTreeSet<_>>();
        prop_assert_eq!(&sim.delivered, &good(true));
        prop_assert_eq!(&sim.rejected, &good(false));
        // A control for every few rows refused alone, and in each round of several at once.
        prop_assert!(sim.controls * 8 <= (sim.rejected.len() + 8) * 2 * at_once, "{} controls", sim.controls);
    }

    #[test]
    fn a_luma_that_refuses_everything_halts_the_run_after_a_bounded_number_of_requests(
        rows in lists(), max_rows in 1_usize..600, at_once in 1_usize..5, breaks_at in 0_usize..40
    ) {
        let mut sim = Sim::new(&rows, max_rows, breaks_at);
        sim.drain(at_once);
        // Each row that is refused alone costs one request for itself and one on the way to it; the way
        // down into a batch is its depth, gone twice for each that was under way.
        let depth = usize::try_from(max_rows.next_power_of_two().ilog2()).expect("small");
        let bound = breaks_at + 2 * 16 + at_once * (2 * depth + 4);
        prop_assert!(sim.requests <= bound, "{} requests, {bound} allowed", sim.requests);
        let after_the_break = rows.len() - sim.delivered.len();
        if sim.halted {
            prop_assert!(after_the_break > 0);
        } else {
            // Too few were left to tell.
            prop_assert!(sim.rejected.len() <= rows.len() && sim.waiting.is_empty());
        }
    }
}

#[test]
fn twelve_bad_rows_end_as_rejected_without_a_halt() {
    let rows = [(false, 0); 12];
    let mut sim = Sim::new(&rows, 500, usize::MAX);
    sim.drain(1);
    assert!(!sim.halted);
    assert_eq!((sim.rejected.len(), sim.waiting.len()), (12, 0));
}

#[test]
fn ten_thousand_rows_refused_alike_cost_fifty_requests() {
    let rows = vec![(true, 0); 10_000];
    let mut sim = Sim::new(&rows, 500, 0);
    sim.drain(1);
    assert!(sim.halted && sim.rejected.is_empty() && sim.delivered.is_empty());
    assert!(sim.requests <= 50, "{} requests", sim.requests);
}
