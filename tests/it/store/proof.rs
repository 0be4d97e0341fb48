//! What the proof of deliveries writes: only by its claim, together with how far it is, and so that numbers add up.

use lumasync::domain::code::Code;
use lumasync::domain::outcome::{Block, BlockCause};
use lumasync::domain::proof::{ProofDue, Verify, Way};
use lumasync::domain::tag::TagSet;
use lumasync::store::{
    Allowance, CountOutcome, Found, LookAnswer, LookClaim, PageFound, Prover, RunCounts, StoreError,
};

use super::fixture::{ACCOUNT, FREE, Fixture, LEASE, claims, faulted, people, refs};

on_every_database! {
    a_delivery_leaves_what_its_run_wants_to_be_found_out,
    one_worker_proves_until_it_leaves_or_dies,
    who_lost_the_proof_writes_nothing,
    a_page_counts_once_however_often_it_is_written,
    the_missing_leave_the_ledger_and_nobody_else_does,
    a_count_that_is_short_tells_every_row_and_keeps_it_delivered,
    a_run_waits_for_its_proof_and_a_canceled_one_does_not,
    a_look_waits_behind_whatever_is_due_and_whatever_blocks,
    a_request_of_the_proof_has_a_place_in_the_window,
    a_row_that_was_deleted_holds_nobody_up,
    a_person_who_is_missing_cannot_be_made_another,
}

/// People who were delivered in requests of two, in a run that proves so; the worker and the run.
pub(super) async fn delivered(db: &Fixture, verify: Verify, count: usize, tags: &str) -> (i64, i64) {
    let worker = db.worker().await;
    let run = db.list(&refs(&people(0..count)), tags, 2).await;
    db.store.set_verify(run, verify).await.expect("set");
    for batch in db.claim(worker, 99).await {
        db.deliver(&batch).await;
    }
    (worker, run)
}

pub(super) async fn prover(db: &Fixture, worker: i64) -> Prover {
    db.store.take_proof(ACCOUNT, worker).await.expect("asked").expect("the proof")
}

/// Everybody is sought, and the first look goes through the list.
pub(super) async fn looking(db: &Fixture, prover: &Prover) {
    while db.store.seek(prover, 1).await.expect("sought") > 0 {}
    db.store.begin_look(prover, 1, db.now()).await.expect("begun");
    db.store.choose_way(prover, Way::Listing).await.expect("chosen");
}

/// These rows, with all their tags.
pub(super) async fn sight(db: &Fixture, rows: &[i64]) -> Vec<Found> {
    let mut found = Vec::new();
    for row in rows {
        let batch_id = db.count(&format!("select batch_id from sought where row_id = {row}")).await;
        found.push(Found { row_id: *row, batch_id, lacking: TagSet::default() });
    }
    found
}

pub(super) async fn counts(db: &Fixture, run: i64) -> RunCounts {
    let run = db.store.run(run).await.expect("read").expect("a run");
    let counts = db.store.count_rows(&run).await.expect("counted");
    assert_eq!(db.store.run_counts(&run).await.expect("counted"), counts, "the quick count");
    assert_eq!(counts.accounted(), counts.read);
    counts
}

async fn a_delivery_leaves_what_its_run_wants_to_be_found_out(db: &Fixture) {
    for (verify, tags, proof) in [
        (Verify::None, "tag-vip", "NULL"),
        (Verify::Counts, "", "NULL"),
        (Verify::Counts, "tag-vip", "count"),
        (Verify::Full, "", "look"),
        (Verify::Full, "tag-vip", "look"),
    ] {
        let (_, run) = delivered(db, verify, 2, tags).await;
        let found = db.rows(&format!("select proof from batches where run_id = {run}")).await;
        assert_eq!(found, [[proof]], "{verify}, `{tags}`");
        let due = db.store.has_proof_due(ACCOUNT).await.expect("asked");
        assert_eq!(due, proof != "NULL");
        db.store.cancel_run(run, "done with", db.now()).await.expect("canceled");
        assert!(!db.store.has_proof_due(ACCOUNT).await.expect("asked"));
        db.execute("delete from ledger").await;
    }
}

async fn one_worker_proves_until_it_leaves_or_dies(db: &Fixture) {
    let (first, second) = (db.worker().await, db.worker().await);
    let held = prover(db, first).await;
    assert_eq!(db.store.take_proof(ACCOUNT, second).await.expect("asked"), None);
    db.store.leave_proof(&held).await.expect("left");
    let held = prover(db, second).await;
    db.store.leave_proof(&Prover { claim: held.claim - 1, ..held.clone() }).await.expect("too late");
    assert_eq!(db.store.take_proof(ACCOUNT, first).await.expect("asked"), None);
    db.clock.advance(LEASE);
    db.store.end_worker(second, db.now(), None).await.expect("ended");
    assert_eq!(prover(db, first).await.claim, held.claim + 1);
    db.store.end_worker(first, db.now(), None).await.expect("ended");
    assert_eq!(db.store.take_proof(ACCOUNT, first).await.expect("asked"), None, "the dead prove nothing");
}

async fn who_lost_the_proof_writes_nothing(db: &Fixture) {
    let (dead, _) = delivered(db, Verify::Full, 4, "tag-vip").await;
    let stale = prover(db, dead).await;
    looking(db, &stale).await;
    let found = sight(db, &[1]).await;
    db.store.end_worker(dead, db.now(), None).await.expect("ended");
    let alive = db.worker().await;
    prover(db, alive).await;
    let before =
        [db.everything().await, db.rows("select * from sought").await, db.rows("select * from proofs").await];
    let page = PageFound { from: None, next: Some("p2"), found: &found };
    let now = db.now();
    let (store, gate) = (&db.store, claims(dead, 0, FREE));
    let unproved = CountOutcome::Unproved("no".to_owned());
    let lost = [
        store.settle_page(&stale, &page, now).await.err(),
        store.call_missing(&stale, 9, now).await.err(),
        store.settle_count(&stale, 1, &CountOutcome::Verified, now).await.err(),
        store.settle_count(&stale, 1, &unproved, now).await.err(),
        store.seek(&stale, 9).await.err(),
        store.begin_look(&stale, 2, now).await.err(),
        store.choose_way(&stale, Way::Singles).await.err(),
        store.give_up_proof(&stale, ProofDue::Sought, "no").await.err(),
        store.claim_look(&stale, &gate, false, &db.clock).await.err(),
    ];
    for (place, error) in lost.iter().enumerate() {
        assert!(matches!(error, Some(StoreError::Lost { .. })), "{place}: {error:?}");
    }
    let after =
        [db.everything().await, db.rows("select * from sought").await, db.rows("select * from proofs").await];
    assert_eq!(after, before);
    db.execute("delete from sought").await;
    assert!(matches!(store.end_looks(&stale).await, Err(StoreError::Lost { .. })));
}

async fn a_page_counts_once_however_often_it_is_written(db: &Fixture) {
    let (worker, run) = delivered(db, Verify::Full, 4, "tag-vip").await;
    let prover = prover(db, worker).await;
    looking(db, &prover).await;
    let found = sight(db, &[1, 3]).await;
    let page = PageFound { from: None, next: Some("p2"), found: &found };
    assert_eq!(db.store.settle_page(&prover, &page, db.now()).await.expect("written"), 2);
    let error = db.store.settle_page(&prover, &page, db.now()).await.expect_err("written before");
    assert!(matches!(error, StoreError::Lost { .. }), "{error}");
    let counted = counts(db, run).await;
    assert_eq!((counted.verified, counted.delivered, counted.missing), (2, 2, 0));
    assert_eq!(db.rows("select row_id from sought order by 1").await, [["2"], ["4"]]);
    let look = db.store.current_look(ACCOUNT).await.expect("read").expect("a look");
    assert_eq!((look.cursor.as_deref(), look.pages), (Some("p2"), 1));
    assert!(!db.store.end_looks(&prover).await.expect("asked"), "two are still sought");
    let rest = sight(db, &[2, 4]).await;
    let page = PageFound { from: Some("p2"), next: None, found: &rest };
    db.store.settle_page(&prover, &page, db.now()).await.expect("written");
    assert!(db.store.end_looks(&prover).await.expect("asked"));
    assert_eq!(counts(db, run).await.verified, 4);
    assert_eq!(db.store.last_pages(ACCOUNT).await.expect("read"), Some(2));
    assert!(!db.store.has_work(run).await.expect("asked"));
}

async fn the_missing_leave_the_ledger_and_nobody_else_does(db: &Fixture) {
    let (worker, run) = delivered(db, Verify::Full, 5, "tag-press;tag-vip").await;
    let prover = prover(db, worker).await;
    looking(db, &prover).await;
    let mut found = sight(db, &[1, 2]).await;
    found[1].lacking = TagSet::parse("tag-press").expect("a tag");
    db.store
        .settle_page(&prover, &PageFound { from: None, next: None, found: &found }, db.now())
        .await
        .expect("written");
    assert_eq!(db.store.call_missing(&prover, 3, db.now()).await.expect("written"), 3);
    assert_eq!(db.store.call_missing(&prover, 3, db.now()).await.expect("written"), 1);
    assert_eq!(db.store.call_missing(&prover, 3, db.now()).await.expect("written"), 0);
    assert!(db.store.end_looks(&prover).await.expect("asked"));
    assert_eq!(db.rows("select email_key from ledger").await, [["p0000@example.org"]]);
    assert_eq!(db.count("select members from accounts where name = 'main'").await, 1);
    let rows = db.rows("select id, state, code from member_queue order by id").await;
    let (gone, lacking) = (Code::NotInAudience.as_str(), Code::TagsLacking.as_str());
    let expected = [
        ["1", "verified", "NULL"],
        ["2", "missing", lacking],
        ["3", "missing", gone],
        ["4", "missing", gone],
        ["5", "missing", gone],
    ];
    assert_eq!(rows, expected);
    let counted = counts(db, run).await;
    assert_eq!((counted.verified, counted.missing, counted.bad()), (1, 4, 4));
}

async fn a_count_that_is_short_tells_every_row_and_keeps_it_delivered(db: &Fixture) {
    let (worker, run) = delivered(db, Verify::Counts, 6, "tag-vip").await;
    let prover = prover(db, worker).await;
    let outcomes = [
        CountOutcome::Verified,
        CountOutcome::Short { absent: 1, reason: "one of two".to_owned() },
        CountOutcome::Unproved("odd".to_owned()),
    ];
    for outcome in &outcomes {
        let people = db.store.next_count(ACCOUNT).await.expect("read").expect("a batch");
        assert_eq!((people.emails.len(), people.tags.to_string().as_str()), (2, "tag-vip"));
        db.store.settle_count(&prover, people.batch_id, outcome, db.now()).await.expect("written");
    }
    assert_eq!(db.store.next_count(ACCOUNT).await.expect("read"), None);
    let rows =
        db.rows("select state, code, count(*) from member_queue group by 1, 2 order by 1, 2 desc, 3").await;
    let mut rows: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    rows.sort();
    assert_eq!(rows, ["delivered NULL 2", "delivered count_short 2", "verified NULL 2"]);
    let unproved = db.store.unproved(run).await.expect("read");
    assert_eq!((unproved.rows, unproved.short, unproved.absent), (2, 1, 1));
    assert_eq!(unproved.why.as_deref(), Some("odd"));
    let counted = counts(db, run).await;
    assert_eq!((counted.verified, counted.delivered, counted.bad()), (2, 4, 0));
    assert_eq!(db.count("select count(*) from ledger").await, 6, "who is absent is not known");
}

/// Row 1 is verified, the others are missing.
pub(super) async fn with_missing(db: &Fixture) -> (i64, i64) {
    let (worker, run) = delivered(db, Verify::Full, 4, "tag-vip").await;
    let prover = prover(db, worker).await;
    looking(db, &prover).await;
    let found = sight(db, &[1]).await;
    db.store
        .settle_page(&prover, &PageFound { from: None, next: None, found: &found }, db.now())
        .await
        .expect("written");
    db.store.call_missing(&prover, 9, db.now()).await.expect("written");
    assert!(db.store.end_looks(&prover).await.expect("asked"));
    (worker, run)
}

async fn a_run_waits_for_its_proof_and_a_canceled_one_does_not(db: &Fixture) {
    let (worker, run) = delivered(db, Verify::Full, 4, "tag-vip").await;
    assert!(
        db.store.has_work(run).await.expect("asked") && db.store.is_only_proving(run).await.expect("asked")
    );
    let status = lumasync::domain::state::RunStatus::Succeeded;
    assert!(!db.store.end_run(run, status, None, 4, db.now()).await.expect("asked"));
    let prover = prover(db, worker).await;
    looking(db, &prover).await;
    assert!(!db.store.end_run(run, status, None, 4, db.now()).await.expect("asked"));
    db.store.cancel_run(run, "by hand", db.now()).await.expect("canceled");
    assert!(!db.store.has_work(run).await.expect("asked"));
    assert!(db.store.end_looks(&prover).await.expect("asked"), "nobody is sought any more");
    assert_eq!(counts(db, run).await.delivered, 4);
    // Nobody is looked for before a run has sent all it has.
    let run = db.list(&refs(&people(10..14)), "tag-vip", 2).await;
    db.store.set_verify(run, Verify::Full).await.expect("set");
    let first = db.claim(worker, 1).await.remove(0);
    db.deliver(&first).await;
    assert!(!db.store.has_proof_due(ACCOUNT).await.expect("asked"));
    assert_eq!(db.store.seek(&prover, 9).await.expect("asked"), 0);
    let second = db.claim(worker, 1).await.remove(0);
    db.deliver(&second).await;
    assert_eq!(db.store.seek(&prover, 9).await.expect("asked"), 2);
}

async fn a_look_waits_behind_whatever_is_due_and_whatever_blocks(db: &Fixture) {
    let (worker, _) = delivered(db, Verify::Full, 2, "tag-vip").await;
    let prover = prover(db, worker).await;
    let ask = async |is_last| {
        db.store.claim_look(&prover, &claims(worker, 0, FREE), is_last, &db.clock).await.expect("asked")
    };
    db.list(&refs(&people(10..12)), "tag-vip", 2).await;
    assert!(matches!(ask(true).await, LookClaim::Wait(_, "members and events, which go first")));
    assert!(matches!(ask(false).await, LookClaim::Granted { faults: 0, .. }));
    let batch = db.claim(worker, 1).await.remove(0);
    db.settle(faulted(&batch, db.now().plus(LEASE))).await.expect("settled");
    assert!(matches!(ask(true).await, LookClaim::Granted { faults: 1, .. }), "it is not due yet");
    for (cause, why) in [
        (BlockCause::Faults, "Luma to answer well"),
        (BlockCause::Refused, "Luma to answer well"),
        (BlockCause::Throttled, "a block by Luma"),
    ] {
        let until = db.now().plus(LEASE);
        db.store.block(ACCOUNT, &Block { until, reason: "no".to_owned(), cause }).await.expect("blocked");
        assert_eq!(ask(false).await, LookClaim::Wait(until, why));
        db.execute("update accounts set blocked_until = null, block_reason = null, block_cause = null").await;
    }
    // While Luma fails, one request at a time.
    db.execute("update accounts set faults = 5").await;
    assert!(matches!(ask(false).await, LookClaim::Wait(_, "Luma to answer well")), "others are under way");
}

async fn a_request_of_the_proof_has_a_place_in_the_window(db: &Fixture) {
    let (worker, _) = delivered(db, Verify::Full, 2, "tag-vip").await;
    let prover = prover(db, worker).await;
    // The import has one place.
    let three = Allowance { requests: 3, window: LEASE, reserve: 0 };
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let claim = db.store.claim_look(&prover, &claims(worker, 0, three), false, &db.clock).await;
        let LookClaim::Granted { attempt, faults } = claim.expect("asked") else { panic!("no place") };
        attempts.push((attempt, faults));
    }
    let full =
        db.store.claim_look(&prover, &claims(worker, 0, three), false, &db.clock).await.expect("asked");
    assert!(matches!(full, LookClaim::Wait(_, "the rate limit")), "{full:?}");
    let answer = |(attempt, faults), verdict| LookAnswer {
        attempt,
        status: Some(500),
        verdict,
        detail: Some("why"),
        faults,
        block: None,
    };
    db.store.settle_look(ACCOUNT, &answer(attempts[0], "transient"), db.now()).await.expect("written");
    assert_eq!(db.count("select faults from accounts where name = 'main'").await, 1);
    db.store.settle_look(ACCOUNT, &answer((attempts[1].0, 1), "accepted"), db.now()).await.expect("written");
    assert_eq!(db.count("select faults from accounts where name = 'main'").await, 0);
    let twice = db.store.settle_look(ACCOUNT, &answer(attempts[0], "accepted"), db.now()).await;
    assert!(matches!(twice, Err(StoreError::Lost { .. })));
}

async fn a_row_that_was_deleted_holds_nobody_up(db: &Fixture) {
    let (worker, run) = delivered(db, Verify::Full, 4, "tag-vip").await;
    let prover = prover(db, worker).await;
    looking(db, &prover).await;
    db.execute("delete from member_queue where id = 2").await;
    let gone = db.store.next_sought(ACCOUNT, 1).await.expect("read").expect("a row");
    assert_eq!((gone.row_id, gone.email_key), (2, None));
    assert_eq!(db.store.call_missing(&prover, 9, db.now()).await.expect("written"), 4);
    assert!(db.store.end_looks(&prover).await.expect("asked"));
    assert!(!db.store.has_work(run).await.expect("asked"));
    assert_eq!(
        db.count("select count(*) from ledger").await,
        1,
        "of the row that is gone nobody knows anything"
    );
}

async fn a_person_who_is_missing_cannot_be_made_another(db: &Fixture) {
    with_missing(db).await;
    assert!(
        db.try_execute("update member_queue set email = 'x@example.org' where state = 'missing'")
            .await
            .is_err()
    );
    assert!(
        db.try_execute("update member_queue set state = 'missing' where state = 'verified'").await.is_err(),
        "why?"
    );
    assert!(
        db.try_execute("update member_queue set settled_at = null where state = 'verified'").await.is_err()
    );
    assert!(
        db.try_execute("update member_queue set batch_id = null where state = 'verified'").await.is_err()
    );
}
