//! Rows that the proof did not find, and those of which it found out nothing, are sent or looked for once more.

use lumasync::domain::code::Code;
use lumasync::domain::proof::{ProofDue, Verify};
use lumasync::domain::state::RunStatus;
use lumasync::store::{CountOutcome, PageFound};

use super::fixture::{ACCOUNT, Fixture};
use super::proof::{counts, delivered, looking, prover, sight, with_missing};

on_every_database! {
    the_missing_come_back_in_a_request_of_their_own,
    a_short_request_comes_back_whole,
    what_could_not_be_proved_is_delivered_and_can_be_proved_again,
}

async fn the_missing_come_back_in_a_request_of_their_own(db: &Fixture) {
    let (worker, run) = with_missing(db).await;
    let none =
        db.store.retry_failed(None, Some("tags_lacking"), [db.now(); 2], false).await.expect("retried");
    assert_eq!(none, (0, vec![]));
    let code = Some(Code::NotInAudience.as_str());
    assert_eq!(
        db.store.retry_failed(None, code, [db.now(); 2], true).await.expect("counted"),
        (3, vec![run])
    );
    assert_eq!(
        db.store.retry_failed(None, code, [db.now(); 2], false).await.expect("retried"),
        (3, vec![run])
    );
    let counted = counts(db, run).await;
    assert_eq!((counted.pending, counted.verified, counted.missing), (3, 1, 0));
    let batches = db.claim(worker, 9).await;
    let sent: Vec<usize> = batches.iter().map(|batch| batch.recipients.len()).collect();
    assert_eq!(sent, [1, 2]);
    for batch in &batches {
        db.deliver(batch).await;
    }
    let counted = counts(db, run).await;
    assert_eq!((counted.delivered, counted.verified), (3, 1));
    assert_eq!(db.count("select members from accounts where name = 'main'").await, 4);
    assert!(db.store.has_proof_due(ACCOUNT).await.expect("asked"), "they are to be proved again");
}

async fn a_short_request_comes_back_whole(db: &Fixture) {
    let (worker, run) = delivered(db, Verify::Counts, 2, "tag-vip").await;
    let prover = prover(db, worker).await;
    let short = CountOutcome::Short { absent: 1, reason: "one of two".to_owned() };
    db.store.settle_count(&prover, 1, &short, db.now()).await.expect("written");
    let code = Some(Code::CountShort.as_str());
    assert_eq!(
        db.store.retry_failed(Some(run), code, [db.now(); 2], false).await.expect("retried"),
        (2, vec![run])
    );
    assert_eq!(counts(db, run).await.pending, 2);
    assert!(!db.store.unproved(run).await.expect("read").is_any());
    db.store.set_verify(run, Verify::Full).await.expect("set");
    let batch = db.claim(worker, 9).await.remove(0);
    db.deliver(&batch).await;
    assert_eq!(db.rows("select proof from batches").await, [["look"]]);
    assert_eq!(db.rows("select distinct code from member_queue").await, [["NULL"]]);
}

async fn what_could_not_be_proved_is_delivered_and_can_be_proved_again(db: &Fixture) {
    let (worker, run) = delivered(db, Verify::Full, 4, "tag-vip").await;
    let prover = prover(db, worker).await;
    looking(db, &prover).await;
    let found = sight(db, &[1]).await;
    db.store
        .settle_page(&prover, &PageFound { from: None, next: Some("p2"), found: &found }, db.now())
        .await
        .expect("written");
    assert_eq!(db.store.give_up_proof(&prover, ProofDue::Sought, "no list").await.expect("written"), 2);
    assert!(!db.store.has_proof_due(ACCOUNT).await.expect("asked"));
    let counted = counts(db, run).await;
    assert_eq!((counted.verified, counted.delivered, counted.missing), (1, 3, 0));
    let unproved = db.store.unproved(run).await.expect("read");
    assert_eq!((unproved.rows, unproved.why.as_deref()), (3, Some("no list")));
    assert_eq!(db.count("select count(*) from ledger").await, 4);
    assert_eq!(db.count("select count(*) from sought").await, 0);
    assert_eq!(db.store.unproved_runs(None).await.expect("read"), [], "the run has not ended");
    end(db, run).await;
    assert_eq!(db.store.unproved_runs(None).await.expect("read"), [(run, 3)]);
    db.store.prove_again(run, Verify::Full).await.expect("again");
    assert!(db.store.has_proof_due(ACCOUNT).await.expect("asked"));
    while db.store.seek(&prover, 9).await.expect("sought") > 0 {}
    assert_eq!(db.rows("select row_id from sought order by 1").await, [["2"], ["3"], ["4"]]);
}

async fn end(db: &Fixture, run: i64) {
    let read = db.store.run(run).await.expect("read").expect("a run").read_rows;
    let status = RunStatus::Partial;
    assert!(db.store.end_run(run, status, None, read, db.now()).await.expect("ended"));
}
