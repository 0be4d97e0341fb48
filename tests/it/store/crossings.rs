//! Two who write about the same rows at once: on a server neither sees the other by itself, and both may wait.

use lumasync::clock::Clock;
use lumasync::domain::outcome::Outcome;
use lumasync::domain::state::Kind;
use lumasync::domain::verdict::Cause;
use lumasync::store::{Settlement, StoreError};
use tokio::task::JoinHandle;

use super::fixture::{ACCOUNT, Fixture, delivered, on_postgres, people, refs, settlement};
use crate::support::PATIENCE;

#[test]
fn a_refusal_written_while_its_run_is_halted_blames_nobody() {
    on_postgres(async |db| refuse_while_halting(&db).await);
}

#[test]
fn what_is_given_up_while_its_outcome_is_written_ends_in_no_circle() {
    on_postgres(async |db| give_up_while_settling(&db).await);
}

async fn refuse_while_halting(db: &Fixture) {
    db.list(&refs(&people(0..4)), "", 1).await;
    let worker = db.worker().await;
    let (refused, halted) = (db.claim(worker, 1).await.remove(0), db.claim(worker, 1).await.remove(0));
    let refusal = Outcome::Rejected { places: vec![0], reason: "no".to_owned(), probe: false };
    let refusal = settlement(&refused, refusal, Some("refused"));
    let again = Outcome::Again { due_at: db.now(), costs_attempt: false };
    let halt = Settlement {
        halt: Some((Cause::Unknown, "it refuses everybody".to_owned())),
        ..settlement(&halted, again, Some("refused"))
    };
    // The last thing a halt does is to put those that wait behind others: there it is held up.
    let person = db.outside().await;
    person.execute("begin; select 1 from batches where state = 'pending' for update").await;
    let halting = settle(db, halt);
    wait_for(db, || halting.is_finished(), 1).await;
    let refusing = settle(db, refusal);
    wait_for(db, || refusing.is_finished(), 2).await;
    person.execute("commit").await;
    halting.await.expect("ended").expect("halted");
    refusing.await.expect("ended").expect("refused");
    person.close().await;
    assert_eq!(db.rows("select distinct state from member_queue").await, [["pending"]]);
    assert_eq!(db.rows("select distinct state from batches").await, [["pending"]]);
}

async fn give_up_while_settling(db: &Fixture) {
    db.list(&refs(&people(0..1)), "", 1).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    // The request is what both write last.
    let person = db.outside().await;
    person.execute("begin; select 1 from attempts for update").await;
    let (store, now) = (db.store.clone(), db.now());
    let giving_up =
        tokio::spawn(async move { store.give_up_claims(worker, ACCOUNT, Kind::Members, now).await });
    wait_for(db, || giving_up.is_finished(), 1).await;
    let settling = settle(db, delivered(&batch));
    wait_for(db, || settling.is_finished(), 2).await;
    person.execute("commit").await;
    assert_eq!(giving_up.await.expect("ended").expect("written"), 1);
    let settled = settling.await.expect("ended");
    assert!(matches!(settled, Err(StoreError::Lost { .. })), "{settled:?}");
    person.close().await;
    assert_eq!(db.rows("select state from batches").await, [["pending"]]);
}

fn settle(db: &Fixture, settlement: Settlement) -> JoinHandle<Result<(), StoreError>> {
    let (store, clock) = (db.store.clone(), db.clock.clone());
    tokio::spawn(async move { store.turn(&[settlement], None, &clock).await.map(drop) })
}

/// Until it is done, or so many wait for a lock.
async fn wait_for(db: &Fixture, is_done: impl Fn() -> bool, waiting: i64) {
    let held_up = "select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'";
    let end = Clock::system().now().plus(PATIENCE);
    while !is_done() && db.count(held_up).await < waiting {
        assert!(Clock::system().now() < end, "nobody waits");
    }
}
