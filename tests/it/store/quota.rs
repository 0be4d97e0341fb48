//! The sliding window, against a log that the test keeps itself: wherever between its leaving and its
//! answer each request arrives, no window holds more than the quota.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use lumasync::clock::Time;
use lumasync::store::{Allowance, Claim, ClaimedBatch, StoreError};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixture::{Fixture, LEASE, ask, claims, delivered, faulted, identity, people, refs};

on_every_database! {
    the_last_places_of_a_window_are_taken_once,
    questions_and_batches_at_once_share_one_window,
    no_window_holds_more_than_the_quota_over_workers_crashes_and_restarts,
    a_full_window_is_used_at_once_and_opens_to_the_microsecond,
    many_tasks_at_once_share_one_window,
}

const SMALL: Allowance = Allowance { requests: 7, window: Duration::from_secs(10), reserve: 0 };

/// A request as the test saw it: it arrived at some moment between these.
#[derive(Clone, Copy, Debug)]
struct Flight {
    claim: i64,
    left: Time,
    ended: Option<Time>,
}

#[track_caller]
fn within_the_quota(log: &[Flight], quota: Allowance) {
    for last in log {
        let may_share_a_window = |other: &&Flight| {
            other.left <= last.left && other.ended.is_none_or(|ended| ended > last.left.minus(quota.window))
        };
        let most = log.iter().filter(may_share_a_window).count();
        assert!(most <= quota.requests as usize, "{most} requests around {}", last.left);
    }
}

async fn no_window_holds_more_than_the_quota_over_workers_crashes_and_restarts(db: &Fixture) {
    db.list(&refs(&people(0..400)), "", 1).await;
    let mut rng = Rng::with_seed(17);
    let mut store = db.open().await.expect("opened");
    let mut workers = [db.worker().await, db.worker().await, db.worker().await];
    let (mut log, mut open): (Vec<Flight>, Vec<(usize, ClaimedBatch)>) = (Vec::new(), Vec::new());
    let mut was_full = 0;
    while log.len() < 150 {
        db.clock.advance(Duration::from_micros(rng.u64(0..2_500_000)));
        for worker in workers {
            let until = db.now().plus(LEASE);
            store.renew_worker(worker, &identity(), db.now(), until).await.expect("renewed");
        }
        let slot = rng.usize(0..workers.len());
        match rng.u8(0..10) {
            0..5 => match ask(&store, &db.clock, workers[slot], rng.usize(1..5), SMALL).await {
                Claim::Batches(batches) => {
                    log.extend(batches.iter().map(|batch| Flight {
                        claim: batch.claim_id,
                        left: db.now(),
                        ended: None,
                    }));
                    open.extend(batches.into_iter().map(|batch| (slot, batch)));
                }
                Claim::Wait(until, why) => {
                    was_full += u32::from(why == "the rate limit");
                    assert!(until > db.now());
                }
                Claim::Idle | Claim::Unknown => panic!("there is work"),
            },
            5..8 if !open.is_empty() => {
                let (_, batch) = open.swap_remove(rng.usize(0..open.len()));
                let now = db.now();
                let settlement = if rng.bool() { delivered(&batch) } else { faulted(&batch, now) };
                store.turn(&[settlement], None, &db.clock).await.expect("settled");
                end(&mut log, &batch, now);
            }
            8 => {
                // A worker dies: its requests may have arrived, until the moment of its death.
                store.end_worker(workers[slot], db.now(), None).await.expect("ended");
                let (dead, alive) = open.into_iter().partition::<Vec<_>, _>(|(of, _)| *of == slot);
                open = alive;
                for (_, batch) in dead {
                    end(&mut log, &batch, db.now());
                    let late = store.turn(&[delivered(&batch)], None, &db.clock).await;
                    assert!(matches!(late, Err(StoreError::Lost { .. })));
                }
                workers[slot] = db.worker().await;
            }
            _ => {
                store.close().await;
                store = db.open().await.expect("opened again");
            }
        }
    }
    within_the_quota(&log, SMALL);
    assert!(was_full > 20, "the quota was met {was_full} times only");
    assert!(std::panic::catch_unwind(|| within_the_quota(&log, Allowance { requests: 6, ..SMALL })).is_err());
}

fn end(log: &mut [Flight], batch: &ClaimedBatch, now: Time) {
    let flight = log.iter_mut().find(|flight| flight.claim == batch.claim_id).expect("on the log");
    flight.ended = Some(now);
}

async fn a_full_window_is_used_at_once_and_opens_to_the_microsecond(db: &Fixture) {
    db.list(&refs(&people(0..20)), "", 1).await;
    let worker = db.worker().await;
    let Claim::Batches(first) = db.ask(worker, 99, SMALL).await else { panic!("a fresh window") };
    assert_eq!(first.len(), 7);
    assert!(matches!(db.ask(worker, 1, SMALL).await, Claim::Wait(_, "the rate limit")));
    // A request counts from before it leaves until a whole window after its answer.
    db.clock.advance(Duration::from_mins(1));
    assert!(matches!(db.ask(worker, 1, SMALL).await, Claim::Wait(_, "the rate limit")));
    for batch in &first {
        db.deliver(batch).await;
        db.clock.advance(Duration::from_micros(1));
    }
    let opens = db.now().minus(Duration::from_micros(7)).plus(SMALL.window);
    assert_eq!(db.ask(worker, 1, SMALL).await, Claim::Wait(opens, "the rate limit"));
    assert_eq!(db.store.quota_left("main", 7, SMALL.window, db.now()).await.expect("read"), 0);
    db.clock.advance(opens.since(db.now()));
    let Claim::Batches(next) = db.ask(worker, 99, SMALL).await else { panic!("the window moved on") };
    assert_eq!(next.len(), 1, "the others were answered a microsecond later each");
    let larger = Allowance { requests: 9, ..SMALL };
    assert!(matches!(db.ask(worker, 99, larger).await, Claim::Batches(batches) if batches.len() == 2));
}

async fn many_tasks_at_once_share_one_window(db: &Fixture) {
    db.list(&refs(&people(0..40)), "", 1).await;
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (store, clock, worker) = (db.open().await.expect("opened"), db.clock.clone(), db.worker().await);
        tasks.spawn(async move {
            match ask(&store, &clock, worker, 3, SMALL).await {
                Claim::Batches(batches) => batches.len(),
                Claim::Wait(..) | Claim::Idle | Claim::Unknown => 0,
            }
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 7);
}

async fn the_last_places_of_a_window_are_taken_once(db: &Fixture) {
    const TASKS: usize = 6;
    db.list(&refs(&people(0..300)), "", 1).await;
    let allowance = Allowance { requests: 4, window: Duration::from_secs(1), reserve: 0 };
    let mut hands = Vec::new();
    for _ in 0..TASKS {
        hands.push((db.open().await.expect("opened"), db.worker().await));
    }
    for round in 0..15 {
        let start = Arc::new(Barrier::new(TASKS));
        let mut tasks = JoinSet::new();
        for (store, worker) in hands.clone() {
            let (start, clock) = (Arc::clone(&start), db.clock.clone());
            tasks.spawn(async move {
                start.wait().await;
                match ask(&store, &clock, worker, 3, allowance).await {
                    Claim::Batches(batches) => batches,
                    Claim::Wait(..) | Claim::Idle | Claim::Unknown => Vec::new(),
                }
            });
        }
        let claimed: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(claimed.len(), 4, "round {round}");
        for batch in &claimed {
            db.deliver(batch).await;
        }
        db.clock.advance(Duration::from_secs(2));
    }
}

async fn questions_and_batches_at_once_share_one_window(db: &Fixture) {
    const TASKS: usize = 8;
    db.list(&refs(&people(0..300)), "", 1).await;
    let allowance = Allowance { requests: 4, window: Duration::from_secs(1), reserve: 0 };
    let mut hands = Vec::new();
    for place in 0..TASKS {
        hands.push((db.open().await.expect("opened"), db.worker().await, place % 2 == 0));
    }
    for round in 0..15 {
        let start = Arc::new(Barrier::new(TASKS));
        let mut tasks = JoinSet::new();
        for (store, worker, asks_a_question) in hands.clone() {
            let (start, clock) = (Arc::clone(&start), db.clock.clone());
            tasks.spawn(async move {
                start.wait().await;
                if asks_a_question {
                    let granted = store.claim_request(&claims(worker, 1, allowance), &clock).await;
                    return (granted.expect("asked").ok(), Vec::new());
                }
                match ask(&store, &clock, worker, 1, allowance).await {
                    Claim::Batches(batches) => (None, batches),
                    Claim::Wait(..) | Claim::Idle | Claim::Unknown => (None, Vec::new()),
                }
            });
        }
        let (questions, claimed): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().unzip();
        let questions: Vec<i64> = questions.into_iter().flatten().collect();
        let claimed: Vec<_> = claimed.into_iter().flatten().collect();
        assert_eq!(questions.len() + claimed.len(), 4, "round {round}");
        for question in questions {
            let now = db.now();
            db.store.settle_request(question, Some(200), "accepted", None, now).await.expect("settled");
        }
        for batch in &claimed {
            db.deliver(batch).await;
        }
        db.clock.advance(Duration::from_secs(2));
    }
}
