//! Fires: one process has each, a dead one's is taken over, and nobody ends what is no longer theirs.

use std::time::Duration;

use lumasync::clock::Time;
use lumasync::domain::schedule::{FireState, Missed, Overlap, Policy};
use lumasync::store::{DueFire, Fire, StoreError};
use tokio::task::JoinSet;

use super::fixture::Fixture;

on_every_database! {
    eight_that_see_a_due_time_at_once_have_one_fire,
    a_due_time_that_was_decided_is_not_decided_again_by_a_clock_that_went_back,
    a_fire_of_a_dead_worker_is_taken_over_once_and_its_late_words_count_for_nothing,
    a_fire_of_a_living_worker_is_not_taken_over,
    fires_by_hand_and_queued_ones_never_run_beside_another,
    a_changed_rule_and_a_resumed_schedule_begin_now,
    a_schedule_that_rests_is_not_judged,
    illegal_fires_are_refused_by_the_tables,
    a_change_of_standing_is_news_to_one,
}

const NAME: &str = "nightly";
const HOUR: Duration = Duration::from_hours(1);
const POLICY: Policy = Policy { missed: Missed::RunOnce, grace: HOUR, overlap: Overlap::Queue };

fn sources() -> Vec<String> {
    vec!["folder".to_owned(), "crm".to_owned()]
}

/// What `worker` says of a due time.
fn due(sources: &[String], due_at: Time, worker: i64) -> DueFire<'_> {
    DueFire { schedule: NAME, due_at, earlier: 0, sources, policy: POLICY, worker }
}

/// A due time an hour from the start, and a clock that has just passed it.
async fn now_due(db: &Fixture) -> Time {
    db.store.meet_schedule(NAME, "0 * * * * UTC", db.now()).await.expect("met");
    db.clock.advance(HOUR);
    let due_at = db.now();
    db.clock.advance(Duration::from_secs(1));
    due_at
}

async fn judged(db: &Fixture, due_at: Time, worker: i64) -> Option<Fire> {
    db.store.judge_fire(due(&sources(), due_at, worker), db.now()).await.expect("judged")
}

/// All sources are done with, and there are no runs.
async fn end(db: &Fixture, fire: &Fire) {
    for source in db.store.fire_sources(fire.id).await.expect("sources") {
        db.store.end_fire_source(fire, source.place, None, db.now()).await.expect("ended");
    }
    db.store.end_taking(fire, db.now()).await.expect("taken");
    assert!(db.store.end_fire(fire.id, FireState::Succeeded, db.now()).await.expect("ended"));
}

async fn eight_that_see_a_due_time_at_once_have_one_fire(db: &Fixture) {
    let due_at = now_due(db).await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, worker, now) = (db.open().await.expect("opened"), db.worker().await, db.now());
        tasks.spawn(async move {
            let fire = store.judge_fire(due(&sources(), due_at, worker), now).await.expect("judged");
            store.close().await;
            fire.map(|fire| (fire.worker == Some(worker), fire.state))
        });
    }
    let fires: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(fires, [(true, FireState::Running)]);
    assert_eq!(db.count("select count(*) from schedule_fires").await, 1);
    assert_eq!(db.count("select count(*) from schedule_fire_sources").await, 2);
}

async fn a_due_time_that_was_decided_is_not_decided_again_by_a_clock_that_went_back(db: &Fixture) {
    let (due_at, worker) = (now_due(db).await, db.worker().await);
    let fire = judged(db, due_at, worker).await.expect("a fire");
    end(db, &fire).await;
    assert_eq!(judged(db, due_at, worker).await, None);
    let judged_until = async || db.store.schedules().await.expect("schedules")[0].judged_until;
    assert_eq!(judged_until().await, due_at);
    let before = due_at.minus(Duration::from_mins(5));
    db.store.judge_from_now(before).await.expect("put right");
    assert_eq!(judged_until().await, before);
    assert_eq!(judged(db, due_at, worker).await, None, "it has its row");
    assert_eq!(judged_until().await, due_at);
    assert_eq!(db.count("select count(*) from schedule_fires").await, 1);
}

async fn a_fire_of_a_dead_worker_is_taken_over_once_and_its_late_words_count_for_nothing(db: &Fixture) {
    let (due_at, dead) = (now_due(db).await, db.worker().await);
    let fire = judged(db, due_at, dead).await.expect("a fire");
    db.store.end_fire_source(&fire, 0, None, db.now()).await.expect("the first is done with");
    db.store.end_worker(dead, db.now(), None).await.expect("ended");
    let (one, other) = (db.worker().await, db.worker().await);
    let taken = db.store.take_over_fire(&fire, one).await.expect("asked").expect("taken over");
    assert_eq!((taken.worker, taken.claim), (Some(one), 2));
    assert_eq!(db.store.take_over_fire(&fire, other).await.expect("asked"), None);
    assert_eq!(db.store.take_over_fire(&taken, other).await.expect("asked"), None);

    let late = [
        db.store.end_fire_source(&fire, 1, Some("late"), db.now()).await,
        db.store.end_taking(&fire, db.now()).await,
    ];
    for late in late {
        assert!(matches!(late, Err(StoreError::Lost { .. })), "{late:?}");
    }
    let sources = db.store.fire_sources(fire.id).await.expect("sources");
    assert!(sources[0].taken_at.is_some() && sources[1].taken_at.is_none(), "{sources:?}");
    let again = db.store.end_fire_source(&taken, 0, None, db.now()).await;
    assert!(matches!(again, Err(StoreError::Lost { .. })), "done with once");
    let early = db.store.end_taking(&taken, db.now()).await;
    assert!(matches!(early, Err(StoreError::Lost { .. })), "a source is left");
    assert!(!db.store.end_fire(fire.id, FireState::Succeeded, db.now()).await.expect("asked"));
    db.store.end_fire_source(&taken, 1, None, db.now()).await.expect("the second");
    db.store.end_taking(&taken, db.now()).await.expect("taken");
    assert!(db.store.end_fire(fire.id, FireState::Succeeded, db.now()).await.expect("asked"));
}

async fn a_fire_of_a_living_worker_is_not_taken_over(db: &Fixture) {
    let (due_at, worker) = (now_due(db).await, db.worker().await);
    let fire = judged(db, due_at, worker).await.expect("a fire");
    let other = db.worker().await;
    assert_eq!(db.store.take_over_fire(&fire, other).await.expect("asked"), None);
    let own = db.store.take_over_fire(&fire, worker).await.expect("asked").expect("its own");
    assert_eq!(own.claim, fire.claim + 1);
}

async fn fires_by_hand_and_queued_ones_never_run_beside_another(db: &Fixture) {
    let (due_at, worker) = (now_due(db).await, db.worker().await);
    let first = judged(db, due_at, worker).await.expect("a fire");
    let sources = sources();
    let by_hand = |now| db.store.fire_by_hand(due(&sources, now, worker), "ana", now);
    assert_eq!(by_hand(db.now()).await.expect("asked"), None);
    let second = judged(db, due_at.plus(Duration::from_millis(1)), worker).await.expect("a fire");
    let third = judged(db, due_at.plus(Duration::from_millis(2)), worker).await.expect("a fire");
    assert_eq!((second.state, third.state), (FireState::Queued, FireState::Skipped));
    assert_eq!(db.store.begin_queued(&second, worker, db.now()).await.expect("asked"), None);
    end(db, &first).await;
    assert_eq!(by_hand(db.now()).await.expect("asked"), None, "one waits");
    let begun = db.store.begin_queued(&second, worker, db.now()).await.expect("asked").expect("begun");
    assert_eq!(db.store.begin_queued(&second, worker, db.now()).await.expect("asked"), None);
    end(db, &begun).await;
    let fire = by_hand(db.now()).await.expect("asked").expect("a fire");
    assert_eq!((fire.person.as_deref(), fire.state), (Some("ana"), FireState::Running));
}

async fn a_changed_rule_and_a_resumed_schedule_begin_now(db: &Fixture) {
    now_due(db).await;
    let judged_until = async || db.store.schedules().await.expect("schedules")[0].judged_until;
    let first = judged_until().await;
    db.store.meet_schedule(NAME, "0 * * * * UTC", db.now()).await.expect("met");
    assert_eq!(judged_until().await, first, "the same rule");
    db.store.meet_schedule(NAME, "0 3 * * * UTC", db.now()).await.expect("met");
    assert_eq!(judged_until().await, db.now());
    assert!(!db.store.resume_schedule(NAME, "ana", db.now()).await.expect("asked"), "was not paused");
    assert!(db.store.pause_schedule(NAME, "ana", db.now()).await.expect("paused"));
    assert!(!db.store.pause_schedule(NAME, "bo", db.now()).await.expect("asked"), "was paused");
    db.clock.advance(HOUR);
    assert!(db.store.resume_schedule(NAME, "bo", db.now()).await.expect("resumed"));
    let known = db.store.schedules().await.expect("schedules").remove(0);
    assert_eq!((known.judged_until, known.is_paused), (db.now(), false));
    assert_eq!(known.changed, Some((db.now(), "bo".to_owned())));
}

async fn a_schedule_that_rests_is_not_judged(db: &Fixture) {
    let (due_at, worker) = (now_due(db).await, db.worker().await);
    db.store.pause_schedule(NAME, "ana", db.now()).await.expect("paused");
    assert_eq!(judged(db, due_at, worker).await, None);
    assert_eq!(db.count("select count(*) from schedule_fires").await, 0);
}

async fn illegal_fires_are_refused_by_the_tables(db: &Fixture) {
    let (due_at, worker) = (now_due(db).await, db.worker().await);
    let fire = judged(db, due_at, worker).await.expect("a fire");
    let rows = "select * from schedule_fires";
    let before = db.rows(rows).await;
    for sql in [
        "update schedule_fires set state = 'done'",
        "update schedule_fires set state = 'queued'",
        "update schedule_fires set state = 'succeeded', ended_at = due_at",
        "update schedule_fires set state = 'skipped', ended_at = due_at",
        "update schedule_fires set worker_id = null",
        "update schedule_fires set taken_at = due_at",
        "update schedule_fires set started_at = null",
        "update schedule_fires set person = 'ana'",
        "update schedule_fires set started_by = 'manual'",
        "update schedule_fires set earlier = -1",
        "update schedule_fires set schedule = 'nobody'",
        "insert into schedule_fires (schedule, due_at, started_by, state, reason, created_at, ended_at)
         select schedule, due_at, 'schedule', 'skipped', 'twice', due_at, due_at from schedule_fires",
        "update schedules set paused = 1",
        "update schedules set changed_by = 'ana'",
        "delete from schedules",
    ] {
        assert!(db.try_execute(sql).await.is_err(), "{sql}");
        assert_eq!(db.rows(rows).await, before, "{sql}");
    }
    end(db, &fire).await;
}

async fn a_change_of_standing_is_news_to_one(db: &Fixture) {
    use lumasync::domain::expect::{Pass, Standing};
    db.store.expect_source("crm", db.now()).await.expect("expected");
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, now) = (db.open().await.expect("opened"), db.now());
        tasks.spawn(async move {
            let news = store.note_standing("crm", Standing::Late, now).await.expect("noted");
            store.close().await;
            news
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|news| *news).count(), 1);
    let pass = Pass { at: db.now(), rows: 7 };
    db.store.note_pass("crm", pass).await.expect("noted");
    db.store.note_pass("other", pass).await.expect("noted");
    let known = db.store.expected_sources().await.expect("sources");
    let told: Vec<_> =
        known.iter().map(|known| (known.source.as_str(), known.standing, known.last)).collect();
    assert_eq!(told, [("crm", Standing::Late, Some(pass)), ("other", Standing::Met, Some(pass))]);
}
