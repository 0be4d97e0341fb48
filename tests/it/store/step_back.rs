//! The clock was wrong and is put right: what it dated later than now holds nobody up for longer than
//! it was meant to, and never for less.

use std::time::Duration;

use lumasync::clock::Clock;
use lumasync::domain::outcome::{Block, BlockCause};
use lumasync::store::{Allowance, Claim, Settlement};

use super::fixture::{Fixture, LEASE, ask, delivered, faulted, people, refs};

on_every_database! {
    a_clock_that_steps_back_makes_room_after_one_window_and_not_before,
    a_block_and_a_retry_keep_their_length_over_a_step_back,
    what_was_written_after_a_step_back_stands,
    a_small_difference_between_clocks_changes_nothing,
    a_list_taken_in_by_a_clock_ahead_goes_out_at_once,
    a_lease_given_by_a_clock_ahead_is_cut_to_a_lease,
}

const QUOTA: Allowance = Allowance { requests: 4, window: Duration::from_mins(1), reserve: 0 };
const STEP: Duration = Duration::from_hours(24 * 365);

/// The clock that was put right.
fn stepped_back(db: &Fixture) -> Clock {
    Clock::manual(db.now().minus(STEP))
}

async fn redate(db: &Fixture, clock: &Clock) -> bool {
    db.store.redate(clock.now(), LEASE).await.expect("redated")
}

async fn a_clock_that_steps_back_makes_room_after_one_window_and_not_before(db: &Fixture) {
    db.list(&refs(&people(0..20)), "", 1).await;
    let worker = db.worker().await;
    for batch in db.claim(worker, 4).await {
        db.deliver(&batch).await;
    }
    let clock = stepped_back(db);
    assert!(redate(db, &clock).await);
    let asked = async || ask(&db.store, &clock, worker, 9, QUOTA).await;
    let opens = clock.now().plus(QUOTA.window);
    assert_eq!(asked().await, Claim::Wait(opens, "the rate limit"));
    clock.advance(QUOTA.window.saturating_sub(Duration::from_micros(1)));
    assert_eq!(asked().await, Claim::Wait(opens, "the rate limit"));
    clock.advance(Duration::from_micros(1));
    assert!(matches!(asked().await, Claim::Batches(batches) if batches.len() == 4));
    assert!(!redate(db, &clock).await, "once is enough");
}

async fn a_block_and_a_retry_keep_their_length_over_a_step_back(db: &Fixture) {
    db.list(&refs(&people(0..2)), "", 1).await;
    let worker = db.worker().await;
    let batches = db.claim(worker, 2).await;
    let retry_after = Duration::from_mins(9);
    db.settle(faulted(&batches[0], db.now().plus(retry_after))).await.expect("settled");
    let until = db.now().plus(Duration::from_mins(5));
    let block = Block { until, reason: "429".to_owned(), cause: BlockCause::Throttled };
    let throttled =
        Settlement { verdict: Some("throttled"), block: Some(block), ..faulted(&batches[1], until) };
    db.settle(throttled).await.expect("settled");
    db.clock.advance(Duration::from_mins(3));
    let clock = stepped_back(db);
    assert!(redate(db, &clock).await);
    let now = clock.now();
    let asked = async || ask(&db.store, &clock, worker, 9, super::fixture::FREE).await;
    clock.advance(Duration::from_mins(5));
    assert!(matches!(asked().await, Claim::Batches(batches) if batches.len() == 1));
    clock.advance(Duration::from_mins(4));
    assert!(matches!(asked().await, Claim::Batches(batches) if batches.len() == 1));
    assert_eq!(clock.now().since(now), retry_after);
}

async fn what_was_written_after_a_step_back_stands(db: &Fixture) {
    db.list(&refs(&people(0..9)), "", 1).await;
    let worker = db.worker().await;
    let batches = db.claim(worker, 2).await;
    db.deliver(&batches[0]).await;
    let clock = stepped_back(db);
    // Luma blocks after the step and before anybody has noticed it.
    let until = clock.now().plus(Duration::from_mins(5));
    let block = Block { until, reason: "429".to_owned(), cause: BlockCause::Throttled };
    let throttled =
        Settlement { verdict: Some("throttled"), block: Some(block), ..faulted(&batches[1], until) };
    db.store.turn(&[throttled], None, &clock).await.expect("settled");
    clock.advance(Duration::from_secs(7));
    assert!(redate(db, &clock).await);
    let asked = ask(&db.store, &clock, worker, 9, super::fixture::FREE).await;
    assert_eq!(asked, Claim::Wait(until, "a block by Luma"));
}

async fn a_small_difference_between_clocks_changes_nothing(db: &Fixture) {
    db.list(&refs(&people(0..4)), "", 1).await;
    let worker = db.worker().await;
    let batches = db.claim(worker, 2).await;
    db.settle(delivered(&batches[0])).await.expect("settled");
    let until = db.now().plus(Duration::from_mins(5));
    db.settle(faulted(&batches[1], until)).await.expect("settled");
    let before = db.everything().await;
    let behind = Clock::manual(db.now().minus(Duration::from_secs(30)));
    assert!(!redate(db, &behind).await);
    assert!(!redate(db, &db.clock).await);
    assert_eq!(db.everything().await, before);
}

async fn a_list_taken_in_by_a_clock_ahead_goes_out_at_once(db: &Fixture) {
    db.list(&refs(&people(0..4)), "", 1).await;
    let worker = db.worker().await;
    let clock = stepped_back(db);
    assert!(redate(db, &clock).await);
    let asked = ask(&db.store, &clock, worker, 9, QUOTA).await;
    assert!(matches!(asked, Claim::Batches(batches) if batches.len() == 4));
}

async fn a_lease_given_by_a_clock_ahead_is_cut_to_a_lease(db: &Fixture) {
    db.list(&refs(&people(0..4)), "", 1).await;
    let (dead, alive) = (db.worker().await, db.worker().await);
    let lost = db.claim(dead, 1).await.remove(0);
    db.deliver(&db.claim(alive, 1).await[0]).await;
    let clock = stepped_back(db);
    assert!(redate(db, &clock).await);
    let release = async || db.store.end_worker(dead, clock.now(), Some(clock.now())).await.expect("asked");
    assert_eq!(release().await, 0, "it may be alive, and has a lease to say so");
    clock.advance(LEASE);
    assert_eq!(release().await, 1);
    let Claim::Batches(back) = ask(&db.store, &clock, alive, 9, super::fixture::FREE).await else { panic!() };
    assert!(back.iter().any(|batch| batch.id == lost.id));
}
