//! Rows that pass through several calls, one after the other: nobody is called done early, forgotten or stuck.

use std::collections::BTreeSet;
use std::sync::Arc;

use lumasync::domain::outcome::Outcome;
use lumasync::domain::plan::{CallKind, LaidRow};
use lumasync::store::{Claim, ClaimedBatch, Leftovers, NewCall, NewCalls, StoreError, Suppression};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixture::{FREE, Fixture, delivered, settlement};

on_every_database! {
    a_row_is_delivered_with_its_last_call_and_a_call_waits_for_those_before_it,
    whoever_is_refused_or_deleted_keeps_no_call_waiting,
    whoever_is_suppressed_on_the_way_goes_no_further_and_keeps_no_call_waiting,
    whoever_comes_too_late_for_a_call_gets_all_it_wants_alone,
    a_row_whose_calls_do_not_bring_all_is_not_called_delivered,
    calls_that_close_at_once_open_what_waits_for_both,
    what_was_claimed_meanwhile_is_not_laid_anew,
}

/// Two who want both tags and one who wants the first, in batches of their own; not laid yet.
async fn three_people(db: &Fixture) -> (i64, Leftovers) {
    let (file, _) = db.file("a list", 2).await;
    let both = db.tag_set("tag-a;tag-b").await;
    let first = db.tag_set("tag-a").await;
    db.part(&file, 0, &["ana@example.org", "bo@example.org"], both, 9).await.expect("taken in");
    db.part(&file, 1, &["cy@example.org"], first, 9).await.expect("taken in");
    let leftovers = db.store.leftovers(file.run_id, 9, 0, None).await.expect("read");
    assert_eq!((leftovers.batches.len(), leftovers.rows.len()), (2, 3));
    (file.run_id, leftovers)
}

/// The first tag for all of them, then the second for the two who want it.
async fn lay(db: &Fixture, run_id: i64, found: &Leftovers, second: &str) -> Result<(), StoreError> {
    let call = |tag_set, rows, first, waits| NewCall {
        tag_set,
        kind: CallKind::Import,
        rows,
        first,
        bytes: 9,
        waits,
    };
    let calls = [call(db.tag_set("tag-a").await, 3, 3, false), call(db.tag_set(second).await, 2, 0, true)];
    let (first, both) = (calls[0].tag_set, [vec![0], vec![0, 1]]);
    let rows: Vec<LaidRow> = found
        .rows
        .iter()
        .map(|row| LaidRow { row: row.id, calls: both[usize::from(row.tag_set != first)].clone() })
        .collect();
    let (batches, due_at) = (found.batches.as_slice(), db.now());
    db.store
        .lay_calls(&NewCalls { run_id, batches, calls: &calls, rows: &rows, waits: &[(1, 0)], due_at })
        .await
}

async fn laid(db: &Fixture) -> i64 {
    let (run_id, found) = three_people(db).await;
    lay(db, run_id, &found, "tag-b").await.expect("laid");
    run_id
}

fn emails(batch: &ClaimedBatch) -> BTreeSet<&str> {
    batch.recipients.iter().map(|to| to.email.as_str()).collect()
}

async fn pending_and_delivered(db: &Fixture, run_id: i64) -> (u64, u64) {
    let run = db.store.run(run_id).await.expect("read").expect("a run");
    let (exact, quick) = (
        db.store.count_rows(&run).await.expect("counted"),
        db.store.run_counts(&run).await.expect("counted"),
    );
    assert_eq!(exact.accounted(), exact.read);
    assert_eq!(
        (exact.pending, exact.in_flight, exact.delivered),
        (quick.pending + quick.in_flight, 0, quick.delivered),
        "row by row, and as the batches say"
    );
    (exact.pending, exact.delivered)
}

async fn a_row_is_delivered_with_its_last_call_and_a_call_waits_for_those_before_it(db: &Fixture) {
    let run = laid(db).await;
    let worker = db.worker().await;
    assert_eq!(pending_and_delivered(db, run).await, (3, 0));
    let [first] = &db.claim(worker, 9).await[..] else { panic!("one call waits for the other") };
    assert_eq!((first.recipients.len(), first.last_rows), (3, 1));
    assert!(matches!(db.ask(worker, 9, FREE).await, Claim::Idle));
    let waiting = "select count(*) from batches where state = 'pending' and waits = 1";
    assert_eq!(db.count(waiting).await, 1, "a call that waits is left as it is");
    db.deliver(first).await;
    assert_eq!(pending_and_delivered(db, run).await, (2, 1));
    let ledger =
        "select count(*) from ledger l join tag_sets t on t.id = l.tag_set_id where t.tags = 'tag-a'";
    assert_eq!(db.count(ledger).await, 3, "what was sent is known of everybody");
    let [second] = &db.claim(worker, 9).await[..] else { panic!("nothing is before it any more") };
    assert_eq!(emails(second), BTreeSet::from(["ana@example.org", "bo@example.org"]));
    db.deliver(second).await;
    assert_eq!(pending_and_delivered(db, run).await, (0, 3));
    assert_eq!(db.count("select members from accounts").await, 3);
    assert_eq!(db.count("select count(*) from row_passes").await, 2);
    assert!(matches!(db.ask(worker, 9, FREE).await, Claim::Idle));
}

async fn whoever_is_refused_or_deleted_keeps_no_call_waiting(db: &Fixture) {
    let run = laid(db).await;
    let worker = db.worker().await;
    let [first] = &db.claim(worker, 9).await[..] else { panic!("one call") };
    let ana = first.recipients.iter().position(|to| to.email.starts_with("ana")).expect("ana");
    let refused = Outcome::Rejected { places: vec![ana], reason: "no".to_owned(), probe: false };
    db.settle(settlement(first, refused, Some("refused"))).await.expect("settled");
    let [rest] = &db.claim(worker, 9).await[..] else { panic!("the others go on, and nothing else") };
    assert_eq!(rest.recipients.len(), 2);
    db.deliver(rest).await;
    db.execute("delete from member_queue where email = 'bo@example.org'").await;
    // The last call has nobody left.
    assert!(matches!(db.ask(worker, 9, FREE).await, Claim::Batches(batches) if batches.is_empty()));
    assert!(matches!(db.ask(worker, 9, FREE).await, Claim::Idle));
    assert_eq!(db.count("select count(*) from batches where state in ('pending', 'in_flight')").await, 0);
    let states = "select count(*) from member_queue where state = 'delivered'";
    assert_eq!(db.count(states).await, 1);
    assert!(!db.store.has_work(run).await.expect("read"));
}

async fn whoever_is_suppressed_on_the_way_goes_no_further_and_keeps_no_call_waiting(db: &Fixture) {
    let why = Suppression { account: None, reason: None, origin: "by hand", now: db.now() };
    let (run, worker) = (laid(db).await, db.worker().await);
    let [first] = &db.claim(worker, 9).await[..] else { panic!("one call") };
    db.deliver(first).await;
    db.store.suppress(&["bo@example.org"], &why).await.expect("suppressed");
    assert_eq!(db.store.end_suppressed(db.now()).await.expect("ended").ended, 1);
    assert_eq!(pending_and_delivered(db, run).await, (1, 1));
    let [second] = &db.claim(worker, 9).await[..] else { panic!("the other goes on") };
    assert_eq!(emails(second), BTreeSet::from(["ana@example.org"]));
    db.deliver(second).await;
    assert_eq!(pending_and_delivered(db, run).await, (0, 2));

    db.execute("delete from ledger").await;
    db.execute("update input_files set identity = 'before'").await;
    db.store.unsuppress(&["bo@example.org"], None).await.expect("taken off");
    let run = laid(db).await;
    for (email, waiting) in [("ana@example.org", 2), ("bo@example.org", 1)] {
        db.store.suppress(&[email], &why).await.expect("suppressed");
        db.store.end_suppressed(db.now()).await.expect("ended");
        assert_eq!(
            pending_and_delivered(db, run).await,
            (waiting, 0),
            "{email} was awaited by the second call"
        );
    }
    while let Claim::Batches(batches) = db.ask(worker, 9, FREE).await {
        for batch in &batches {
            assert_eq!(emails(batch), BTreeSet::from(["cy@example.org"]));
            db.deliver(batch).await;
        }
    }
    assert_eq!(pending_and_delivered(db, run).await, (0, 1));
    assert!(!db.store.has_work(run).await.expect("read"));
}

async fn whoever_comes_too_late_for_a_call_gets_all_it_wants_alone(db: &Fixture) {
    let run = laid(db).await;
    let worker = db.worker().await;
    let [first] = &db.claim(worker, 9).await[..] else { panic!("one call") };
    db.settle(settlement(first, Outcome::Split, Some("refused"))).await.expect("settled");
    let halves = db.claim(worker, 9).await;
    let (one, other) = (&halves[0], &halves[1]);
    let failed = |batch| {
        let (code, reason) = (lumasync::domain::code::Code::AttemptsExhausted, "down".to_owned());
        settlement(batch, Outcome::Failed { code, reason }, Some("transient"))
    };
    db.settle(failed(one)).await.expect("settled");
    db.deliver(other).await;
    while let Claim::Batches(batches) = db.ask(worker, 9, FREE).await {
        for batch in &batches {
            db.deliver(batch).await;
        }
    }
    let (rows, _) = db.store.retry_failed(Some(run), None, [db.now(); 2], false).await.expect("retried");
    assert_eq!(rows, one.recipients.len() as u64);
    while let Claim::Batches(batches) = db.ask(worker, 9, FREE).await {
        for batch in &batches {
            assert!(batch.call_id.is_none(), "nobody else goes with them");
            db.deliver(batch).await;
        }
    }
    assert_eq!(pending_and_delivered(db, run).await, (0, 3));
    let whole =
        "select count(*) from ledger l join tag_sets t on t.id = l.tag_set_id where t.tags = 'tag-a;tag-b'";
    assert_eq!(db.count(whole).await, 2);
}

async fn a_row_whose_calls_do_not_bring_all_is_not_called_delivered(db: &Fixture) {
    let (run, found) = three_people(db).await;
    // A plan that forgets the second tag.
    lay(db, run, &found, "tag-a").await.expect("laid");
    let worker = db.worker().await;
    for _ in 0..2 {
        let [call] = &db.claim(worker, 9).await[..] else { panic!("one call after the other") };
        db.deliver(call).await;
    }
    assert_eq!(pending_and_delivered(db, run).await, (2, 1));
    let [alone] = &db.claim(worker, 9).await[..] else { panic!("they are sent what they lack") };
    assert_eq!((alone.tags.to_string(), alone.recipients.len()), ("tag-a;tag-b".to_owned(), 2));
    db.deliver(alone).await;
    assert_eq!(pending_and_delivered(db, run).await, (0, 3));
}

async fn calls_that_close_at_once_open_what_waits_for_both(db: &Fixture) {
    let (run_id, found) = three_people(db).await;
    let tag_set = db.tag_set("tag-a;tag-b").await;
    let call = |rows, first, waits| NewCall { tag_set, kind: CallKind::Import, rows, first, bytes: 9, waits };
    // One call for each of two, and one for both that waits for either.
    let calls = [call(2, 2, false), call(1, 1, false), call(3, 0, true)];
    let rows: Vec<LaidRow> = (0..)
        .zip(&found.rows)
        .map(|(place, row)| LaidRow { row: row.id, calls: vec![u32::from(place == 2), 2] })
        .collect();
    let (batches, due_at, waits) = (found.batches.as_slice(), db.now(), [(2, 0), (2, 1)]);
    let new = NewCalls { run_id, batches, calls: &calls, rows: &rows, waits: &waits, due_at };
    db.store.lay_calls(&new).await.expect("laid");
    let worker = db.worker().await;
    let both = db.claim(worker, 9).await;
    assert_eq!(both.len(), 2);
    let (start, mut settles) = (Arc::new(Barrier::new(2)), JoinSet::new());
    for batch in &both {
        let (store, clock, start) = (db.open().await.expect("opened"), db.clock.clone(), Arc::clone(&start));
        let settlement = delivered(batch);
        settles.spawn(async move {
            start.wait().await;
            store.turn(&[settlement], None, &clock).await.expect("settled");
        });
    }
    settles.join_all().await;
    let [last] = &db.claim(worker, 9).await[..] else { panic!("nothing holds it up any more") };
    assert_eq!(last.recipients.len(), 3);
}

async fn what_was_claimed_meanwhile_is_not_laid_anew(db: &Fixture) {
    let (run, found) = three_people(db).await;
    let worker = db.worker().await;
    let claimed = db.claim(worker, 1).await;
    assert!(matches!(lay(db, run, &found, "tag-b").await, Err(StoreError::Lost { .. })));
    db.deliver(&claimed[0]).await;
    let again = db.store.leftovers(run, 9, 0, None).await.expect("read");
    assert_eq!(again.batches.len(), 1);
    assert_eq!(db.count("select count(*) from batches where call_id is not null").await, 0);
}
