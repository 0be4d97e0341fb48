//! Pruning: rows and requests go, the numbers of runs stay, and whatever may still be wanted is left.

use std::time::Duration;

use lumasync::domain::code::Code;
use lumasync::domain::outcome::Outcome;
use lumasync::domain::state::RunStatus;
use lumasync::store::{Allowance, Claim, PruneStep};

use super::fixture::{ACCOUNT, Fixture, people, refs, settlement};
use super::forget::counts;

on_every_database! {
    rows_and_requests_go_and_the_numbers_stay,
    a_run_that_can_be_retried_keeps_everything,
    a_run_that_goes_on_keeps_everything,
    no_request_goes_that_a_window_counts,
    claims_go_on_between_the_steps,
}

const DAY: Duration = Duration::from_hours(24);

/// A run of so many people that was delivered and has ended.
async fn ended(db: &Fixture, range: std::ops::Range<usize>, per_batch: usize) -> i64 {
    let rows = range.len() as u64;
    let run = db.list(&refs(&people(range)), "tag-vip", per_batch).await;
    let worker = db.worker().await;
    while let Claim::Batches(batches) = db.ask(worker, 100, super::fixture::FREE).await {
        for batch in &batches {
            db.deliver(batch).await;
        }
    }
    end(db, run, rows).await;
    run
}

async fn end(db: &Fixture, run: i64, rows: u64) {
    assert!(db.store.end_run(run, RunStatus::Succeeded, None, rows, db.now()).await.expect("ended"));
}

async fn prune(db: &Fixture, run: i64) -> u64 {
    let mut all = 0;
    while let PruneStep::Rows(rows) = db.store.prune_run(run, db.now()).await.expect("pruned") {
        all += rows;
        // Whenever somebody looks.
        counts(db, run).await;
    }
    all
}

async fn rows_and_requests_go_and_the_numbers_stay(db: &Fixture) {
    let run = ended(db, 0..1_203, 600).await;
    let (before, requests) = (counts(db, run).await, db.store.run_requests(run).await.expect("counted"));
    assert_eq!(db.store.prunable_runs(db.now(), 10).await.expect("read"), Vec::<i64>::new(), "not old yet");
    db.clock.advance(DAY);
    assert_eq!(db.store.prunable_runs(db.now(), 10).await.expect("read"), [run]);
    let would = db.store.count_prunable(Some(db.now()), Some(db.now())).await.expect("counted");
    assert_eq!((would.runs, would.rows, would.attempts), (1, 1_203, requests));
    assert_eq!(prune(db, run).await, 1_203);
    assert_eq!(
        (counts(db, run).await, db.store.run_requests(run).await.expect("counted")),
        (before, requests)
    );
    assert_eq!(db.store.prune_attempts(ACCOUNT, db.now()).await.expect("pruned"), requests);
    assert_eq!(db.store.run_requests(run).await.expect("counted"), requests);
    for table in ["member_queue", "batches", "attempts"] {
        assert_eq!(db.count(&format!("select count(*) from {table}")).await, 0, "{table}");
    }
    assert_eq!(db.count("select count(*) from ledger").await, 1_203, "it is never pruned");
    assert_eq!(db.store.prunable_runs(db.now(), 10).await.expect("read"), Vec::<i64>::new());
}

async fn a_run_that_can_be_retried_keeps_everything(db: &Fixture) {
    let run = db.list(&refs(&people(0..4)), "tag-vip", 2).await;
    let worker = db.worker().await;
    let mut batches = db.claim(worker, 2).await;
    db.deliver(&batches.remove(0)).await;
    let gone = Outcome::Failed { code: Code::AttemptsExhausted, reason: "no luck".to_owned() };
    db.settle(settlement(&batches.remove(0), gone, Some("transient"))).await.expect("settled");
    end(db, run, 4).await;
    db.clock.advance(DAY);
    assert_eq!(db.store.prunable_runs(db.now(), 10).await.expect("read"), Vec::<i64>::new());
    assert_eq!(db.store.prune_run(run, db.now()).await.expect("pruned"), PruneStep::Done);
    assert_eq!(db.count("select count(*) from member_queue").await, 4);
}

async fn a_run_that_goes_on_keeps_everything(db: &Fixture) {
    let run = db.list(&refs(&people(0..4)), "tag-vip", 2).await;
    db.clock.advance(DAY);
    assert_eq!(db.store.prune_run(run, db.now()).await.expect("pruned"), PruneStep::Done);
    // One that was stopped with rows left to send.
    db.execute("update runs set status = 'failed', reason = 'halted', finished_at = created_at").await;
    assert_eq!(db.store.prune_run(run, db.now()).await.expect("pruned"), PruneStep::Done);
    assert_eq!(db.count("select count(*) from member_queue").await, 4);
}

async fn no_request_goes_that_a_window_counts(db: &Fixture) {
    let run = db.list(&refs(&people(0..4)), "tag-vip", 1).await;
    let worker = db.worker().await;
    let allowance = Allowance { requests: 2, window: DAY, reserve: 0 };
    let Claim::Batches(batches) = db.ask(worker, 4, allowance).await else { panic!("work is due") };
    assert_eq!(batches.len(), 2);
    db.deliver(&batches[0]).await;
    let retention = lumasync::domain::retention::Retention { attempts: Some(DAY), ..Default::default() };
    let before = retention.before(db.now(), DAY).attempts.expect("a moment");
    assert_eq!(db.store.prune_attempts(ACCOUNT, before).await.expect("pruned"), 0);
    db.clock.advance(DAY * 2);
    let before = retention.before(db.now(), DAY).attempts.expect("a moment");
    // The one under way has no answer, so it counts however old it is.
    assert_eq!(
        db.store.prune_attempts(ACCOUNT, before.plus(Duration::from_secs(1))).await.expect("pruned"),
        1
    );
    assert_eq!(db.store.run_requests(run).await.expect("counted"), 2);
    let Claim::Batches(batches) = db.ask(worker, 4, allowance).await else { panic!("one place is free") };
    assert_eq!(batches.len(), 1);
}

async fn claims_go_on_between_the_steps(db: &Fixture) {
    let old = ended(db, 0..2_000, 500).await;
    db.clock.advance(DAY);
    let run = db.list(&refs(&people(3_000..3_040)), "tag-vip", 10).await;
    let worker = db.worker().await;
    let mut left = 4;
    while let PruneStep::Rows(_) = db.store.prune_run(old, db.now()).await.expect("pruned") {
        if left > 0 {
            db.deliver(&db.claim(worker, 1).await.remove(0)).await;
            left -= 1;
        }
    }
    assert_eq!((left, counts(db, run).await.delivered, counts(db, old).await.delivered), (0, 40, 2_000));
}
