//! Who lost a claim writes nothing: claims are fenced by their number, and leases bring rows back.

use lumasync::domain::code::Code;
use lumasync::domain::outcome::Outcome;
use lumasync::domain::state::Kind;
use lumasync::domain::verdict::Cause;
use lumasync::store::{Claim, ClaimedBatch, Settlement, StoreError};

use super::fixture::{
    ACCOUNT, FREE, Fixture, LEASE, claims, delivered, faulted, identity, people, refs, settlement,
};

on_every_database! {
    a_claim_that_was_lost_on_its_way_is_freed_and_no_other,
    a_stale_settle_changes_nothing_whatever_it_says,
    a_lease_that_lapsed_brings_the_rows_back_at_no_cost,
    a_lease_that_was_renewed_meanwhile_is_spared,
    a_worker_declared_dead_claims_nothing_until_it_has_entered_again,
    a_settled_batch_cannot_be_settled_again,
    orphans_are_freed_and_their_requests_closed,
    a_request_without_rows_is_completed_once,
    what_a_living_worker_gives_up_is_pending_again_and_its_events_are_not_touched,
}

/// Every way in which a request may end.
fn outcomes(batch: &ClaimedBatch, db: &Fixture) -> Vec<Settlement> {
    let (reason, now) = ("no".to_owned(), db.now());
    let gone = Outcome::Failed { code: Code::AttemptsExhausted, reason: reason.clone() };
    let some = Outcome::Rejected { places: vec![0], reason: reason.clone(), probe: true };
    let all = Outcome::Rejected { places: vec![0, 1, 2], reason, probe: false };
    let halted = Settlement {
        halt: Some((Cause::Key, "the key".to_owned())),
        max_body: Some(5_000),
        ..settlement(batch, Outcome::Again { due_at: now, costs_attempt: false }, Some("halted"))
    };
    vec![
        delivered(batch),
        faulted(batch, now),
        settlement(batch, gone, Some("transient")),
        settlement(batch, some, Some("refused")),
        settlement(batch, all, Some("refused")),
        settlement(batch, Outcome::Split, Some("too_large")),
        settlement(batch, Outcome::Split, None),
        halted,
    ]
}

async fn is_lost_and_changes_nothing(db: &Fixture, stale: &ClaimedBatch) {
    let before = db.everything().await;
    for settlement in outcomes(stale, db) {
        let said = db.settle(settlement.clone()).await.expect_err("the claim is lost");
        assert!(matches!(said, StoreError::Lost { .. }), "{settlement:?}: {said}");
        assert_eq!(db.everything().await, before, "{settlement:?}");
    }
}

async fn a_stale_settle_changes_nothing_whatever_it_says(db: &Fixture) {
    db.list(&refs(&people(0..3)), "tag-vip", 3).await;
    let late = db.worker().await;
    let stale = db.claim(late, 1).await.remove(0);
    db.clock.advance(LEASE);
    assert_eq!(db.store.end_worker(late, db.now(), Some(db.now())).await.expect("ended"), 1);
    is_lost_and_changes_nothing(db, &stale).await;
    let quick = db.worker().await;
    let taken = db.claim(quick, 1).await.remove(0);
    assert_eq!(taken.id, stale.id);
    is_lost_and_changes_nothing(db, &stale).await;
    db.deliver(&taken).await;
    is_lost_and_changes_nothing(db, &stale).await;
}

async fn a_lease_that_lapsed_brings_the_rows_back_at_no_cost(db: &Fixture) {
    db.list(&refs(&people(0..6)), "tag-vip", 3).await;
    let (dead, alive) = (db.worker().await, db.worker().await);
    let lost = db.claim(dead, 1).await.remove(0);
    let kept = db.claim(alive, 1).await.remove(0);
    assert!(matches!(db.ask(alive, 9, FREE).await, Claim::Wait(_, "another worker's request")));
    db.clock.advance(LEASE);
    db.store.renew_worker(alive, &identity(), db.now(), db.now().plus(LEASE)).await.expect("renewed");
    assert_eq!(db.store.end_worker(dead, db.now(), Some(db.now())).await.expect("ended"), 1);
    let back = db.claim(alive, 9).await;
    assert_eq!(back.iter().map(|batch| (batch.id, batch.attempts)).collect::<Vec<_>>(), [(lost.id, 0)]);
    assert_eq!(back[0].recipients, lost.recipients);
    db.deliver(&kept).await;
    let verdicts = db.rows("select batch_id, coalesce(verdict, 'open') from attempts order by id").await;
    let (lost, kept) = (lost.id.to_string(), kept.id.to_string());
    assert_eq!(verdicts, [[&lost, "abandoned"], [&kept, "accepted"], [&lost, "open"]]);
}

async fn a_lease_that_was_renewed_meanwhile_is_spared(db: &Fixture) {
    db.list(&refs(&people(0..3)), "", 3).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    db.clock.advance(LEASE);
    let seen_expired = db.now();
    db.store.renew_worker(worker, &identity(), db.now(), db.now().plus(LEASE)).await.expect("renewed");
    let before = db.everything().await;
    assert_eq!(db.store.end_worker(worker, db.now(), Some(seen_expired)).await.expect("asked"), 0);
    assert_eq!(db.everything().await, before);
    db.deliver(&batch).await;
}

async fn a_worker_declared_dead_claims_nothing_until_it_has_entered_again(db: &Fixture) {
    db.list(&refs(&people(0..9)), "", 3).await;
    let worker = db.worker().await;
    let before_its_death = db.claim(worker, 1).await.remove(0);
    db.clock.advance(LEASE);
    db.store.end_worker(worker, db.now(), Some(db.now())).await.expect("ended");
    let before = db.everything().await;
    assert!(matches!(db.ask(worker, 9, FREE).await, Claim::Wait(_, "this worker's lease")));
    assert_eq!(db.everything().await, before);
    db.store.renew_worker(worker, &identity(), db.now(), db.now().plus(LEASE)).await.expect("entered again");
    let again = db.claim(worker, 9).await;
    assert_eq!(again.len(), 3);
    // It has the same batch under its own old number, and what it claimed before its death is still not its own.
    let claimed_anew = again.iter().find(|batch| batch.id == before_its_death.id).expect("freed");
    assert_ne!(claimed_anew.claim_id, before_its_death.claim_id);
    is_lost_and_changes_nothing(db, &before_its_death).await;
    for batch in &again {
        db.deliver(batch).await;
    }
    assert_eq!(db.ask(worker, 9, FREE).await, Claim::Idle);
}

async fn a_settled_batch_cannot_be_settled_again(db: &Fixture) {
    db.list(&refs(&people(0..3)), "tag-vip", 3).await;
    let worker = db.worker().await;
    for end in 0..7 {
        let Claim::Batches(batches) = db.ask(worker, 1, FREE).await else { break };
        let batch = &batches[0];
        if batch.recipients.len() < 3 {
            break;
        }
        let settlement = outcomes(batch, db).remove(if end == 0 { 1 } else { 5 });
        db.settle(settlement).await.expect("the first time");
        is_lost_and_changes_nothing(db, batch).await;
    }
    assert_eq!(db.count("select count(*) from batches where state = 'pending'").await, 1);
    assert_eq!(db.count("select count(*) from attempts where verdict is null").await, 1);
}

async fn orphans_are_freed_and_their_requests_closed(db: &Fixture) {
    db.list(&refs(&people(0..6)), "", 3).await;
    let (lost, alive) = (db.worker().await, db.worker().await);
    let orphan = db.claim(lost, 1).await.remove(0);
    let kept = db.claim(alive, 1).await.remove(0);
    db.execute(&format!("delete from workers where id = {lost}")).await;
    assert_eq!(db.store.free_orphans(db.now()).await.expect("freed"), 1);
    assert_eq!(db.store.free_orphans(db.now()).await.expect("looked"), 0);
    is_lost_and_changes_nothing(db, &orphan).await;
    db.deliver(&kept).await;
    assert_eq!(db.claim(alive, 9).await[0].id, orphan.id);
}

async fn a_request_without_rows_is_completed_once(db: &Fixture) {
    let claims = claims(db.worker().await, 1, FREE);
    let attempt = db.store.claim_request(&claims, &db.clock).await.expect("asked").expect("room");
    let settle = async || db.store.settle_request(attempt, Some(200), "accepted", None, db.now()).await;
    settle().await.expect("the first time");
    let before = db.everything().await;
    assert!(matches!(settle().await, Err(StoreError::Lost { .. })));
    assert_eq!(db.everything().await, before);
}

async fn a_claim_that_was_lost_on_its_way_is_freed_and_no_other(db: &Fixture) {
    db.list(&refs(&people(0..9)), "", 3).await;
    let (worker, other) = (db.worker().await, db.worker().await);
    let known = db.claim(worker, 1).await.remove(0);
    let theirs = db.claim(other, 1).await.remove(0);
    let lost = db.claim(worker, 1).await.remove(0);
    let free =
        async || db.store.free_unknown(ACCOUNT, worker, known.claim_id, db.now()).await.expect("looked");
    assert_eq!((free().await, free().await), (1, 0));
    let states = db.rows("select id, state from batches order by id").await;
    let state = |batch: i64| states.iter().find(|row| row[0] == batch.to_string()).map(|row| row[1].clone());
    assert_eq!(state(lost.id).as_deref(), Some("pending"));
    assert_eq!(state(known.id).as_deref(), Some("in_flight"));
    db.deliver(&known).await;
    db.deliver(&theirs).await;
    let again = db.claim(worker, 1).await.remove(0);
    assert_eq!((again.id, again.attempts), (lost.id, 0), "it cost no attempt");
}

async fn what_a_living_worker_gives_up_is_pending_again_and_its_events_are_not_touched(db: &Fixture) {
    db.list(&refs(&people(0..6)), "tag-vip", 3).await;
    let (worker, other) = (db.worker().await, db.worker().await);
    let stale = db.claim(worker, 1).await.remove(0);
    let kept = db.claim(other, 1).await.remove(0);
    let given_up = |kind| db.store.give_up_claims(worker, ACCOUNT, kind, db.now());
    assert_eq!(given_up(Kind::Events).await.expect("written"), 0);
    assert_eq!(given_up(Kind::Members).await.expect("written"), 1);
    is_lost_and_changes_nothing(db, &stale).await;
    let back = db.claim(worker, 9).await;
    assert_eq!(back.iter().map(|batch| (batch.id, batch.attempts)).collect::<Vec<_>>(), [(stale.id, 0)]);
    db.deliver(&kept).await;
    db.deliver(&back[0]).await;
}
