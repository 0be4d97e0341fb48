//! Blocks and pauses: what one process learns of Luma holds for all of them.

use std::time::Duration;

use lumasync::clock::Time;
use lumasync::domain::outcome::{Block, BlockCause, FAULTS_IN_A_ROW};
use lumasync::store::{Claim, ClaimedBatch, Settlement};

use super::fixture::{ACCOUNT, FREE, Fixture, ask, delivered, faulted, people, refs};

on_every_database! {
    a_block_holds_for_every_process_to_the_microsecond,
    a_block_is_never_cut_short_by_a_shorter_one,
    an_end_of_time_that_luma_asks_for_can_be_read_back,
    faults_in_a_row_let_one_request_at_a_time_go_over_all_processes,
    a_good_answer_ends_a_pause_of_ours_and_not_a_block_by_luma,
}

fn block(until: Time, cause: BlockCause) -> Block {
    Block { until, reason: "a reason".to_owned(), cause }
}

fn throttled(batch: &ClaimedBatch, until: Time) -> Settlement {
    Settlement {
        verdict: Some("throttled"),
        block: Some(block(until, BlockCause::Throttled)),
        ..faulted(batch, until)
    }
}

async fn a_block_holds_for_every_process_to_the_microsecond(db: &Fixture) {
    db.list(&refs(&people(0..9)), "", 3).await;
    let (first, second) = (db.worker().await, db.worker().await);
    let batch = db.claim(first, 1).await.remove(0);
    let until = db.now().plus(Duration::from_micros(7_654_321));
    db.settle(throttled(&batch, until)).await.expect("settled");
    let other = db.open().await.expect("opened");
    let asked = async || ask(&other, &db.clock, second, 9, FREE).await;
    assert_eq!(asked().await, Claim::Wait(until, "a block by Luma"));
    db.clock.advance(Duration::from_micros(7_654_320));
    assert_eq!(asked().await, Claim::Wait(until, "a block by Luma"));
    db.clock.advance(Duration::from_micros(1));
    assert!(matches!(asked().await, Claim::Batches(batches) if batches.len() == 3));
}

async fn a_block_is_never_cut_short_by_a_shorter_one(db: &Fixture) {
    let (near, far) = (db.now().plus(Duration::from_secs(5)), db.now().plus(Duration::from_mins(5)));
    let blocked_until = async || {
        let account = db.store.account(ACCOUNT).await.expect("read").expect("an account");
        account.block.map(|(until, _)| until)
    };
    for until in [near, far, near] {
        db.store.block(ACCOUNT, &block(until, BlockCause::Throttled)).await.expect("blocked");
    }
    assert_eq!(blocked_until().await, Some(far));
    db.store.end_own_block(ACCOUNT).await.expect("asked");
    assert_eq!(blocked_until().await, Some(far), "it is Luma's");
}

async fn an_end_of_time_that_luma_asks_for_can_be_read_back(db: &Fixture) {
    db.list(&refs(&people(0..3)), "", 3).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    let until = db.now().plus(Duration::MAX);
    db.settle(throttled(&batch, until)).await.expect("settled");
    // A refusal of an absurd length must not make the database unreadable.
    let account = db.store.account(ACCOUNT).await.expect("read").expect("an account");
    assert!(
        account.block.is_some_and(|(until, _)| until > db.now().plus(Duration::from_hours(24 * 365_000)))
    );
    assert!(matches!(db.ask(worker, 1, FREE).await, Claim::Wait(..)));
}

async fn faults_in_a_row_let_one_request_at_a_time_go_over_all_processes(db: &Fixture) {
    db.list(&refs(&people(0..60)), "", 3).await;
    let (first, second) = (db.worker().await, db.worker().await);
    let before = db.claim(first, FAULTS_IN_A_ROW as usize).await;
    for batch in &before {
        db.settle(faulted(batch, db.now())).await.expect("settled");
    }
    // The sixth finds out whether it goes on.
    let other = db.open().await.expect("opened");
    let Claim::Batches(probe) = ask(&other, &db.clock, second, 9, FREE).await else { panic!("no probe") };
    assert_eq!((probe.len(), probe[0].faults), (1, FAULTS_IN_A_ROW));
    for (store, worker) in [(&db.store, first), (&other, second)] {
        let asked = ask(store, &db.clock, worker, 9, FREE).await;
        assert!(matches!(asked, Claim::Wait(_, "Luma to answer well")), "{asked:?}");
    }
    db.settle(delivered(&probe[0])).await.expect("settled");
    assert_eq!(db.claim(first, 9).await.len(), 9, "it does, and everybody goes on");
}

async fn a_good_answer_ends_a_pause_of_ours_and_not_a_block_by_luma(db: &Fixture) {
    for (cause, ends) in [(BlockCause::Faults, true), (BlockCause::Throttled, false)] {
        let worker = db.worker().await;
        db.list(&refs(&people(0..6)), "", 3).await;
        let batches = db.claim(worker, 2).await;
        let until = db.now().plus(Duration::from_mins(5));
        let paused = Settlement { block: Some(block(until, cause)), ..faulted(&batches[0], db.now()) };
        db.settle(paused).await.expect("settled");
        assert!(matches!(db.ask(worker, 1, FREE).await, Claim::Wait(at, _) if at == until), "{cause:?}");
        // One that left before the pause comes back well.
        let faults = 1;
        db.settle(delivered(&ClaimedBatch { faults, ..batches[1].clone() })).await.expect("settled");
        let goes_on = matches!(db.ask(worker, 1, FREE).await, Claim::Batches(_));
        assert_eq!(goes_on, ends, "{cause:?}");
        db.store.end_worker(worker, db.now(), None).await.expect("ended");
        db.clock.advance(Duration::from_hours(1));
    }
}
