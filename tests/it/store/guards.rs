//! Held runs: decided once, sent by nobody, approved by one of many and all of them or none.

use lumasync::domain::guard::{Concern, ConcernCode, Findings};
use lumasync::domain::state::{RunStatus, Trigger};
use lumasync::store::{Claim, Input, Intake, NewRun, RunSource, UnkeptLines};
use tokio::task::JoinSet;

use super::fixture::{ACCOUNT, FREE, Fixture, new_run, people, refs};

on_every_database! {
    a_run_is_held_or_let_go_once_whoever_decides,
    nothing_of_a_held_run_is_claimed_and_one_of_many_approves_it,
    several_runs_are_approved_together_or_not_at_all,
    a_list_is_compared_with_the_last_one_of_its_name_that_counts,
    who_waits_in_the_queue_is_counted_no_further_than_needed,
    one_run_is_filled_however_many_begin_it,
}

fn concern() -> Concern {
    Concern { code: ConcernCode::NewMembers, reason: "too many".to_owned() }
}

/// A list that is taken in and not let go.
async fn queued(db: &Fixture, range: std::ops::Range<usize>) -> i64 {
    let known = db.count("select count(*) from input_files").await;
    let (file, _) = db.file(&format!("list {known}"), 1).await;
    let (crowd, tags) = (people(range), db.tag_set("tag-vip").await);
    let people = refs(&crowd);
    let limits = lumasync::domain::batch::BatchLimits { max_rows: 3, max_bytes: 1 << 20 };
    let mut planner = lumasync::domain::batch::BatchPlanner::new(limits, []);
    let pending = super::fixture::pending_rows(&people, tags, &mut planner);
    let part = Intake {
        account: ACCOUNT,
        run_id: file.run_id,
        input: Input::File(file.id),
        part: 0,
        is_last: true,
        pending: &pending,
        new_members: pending.len() as u64,
        invalid: &[],
        unkept: &UnkeptLines::default(),
        batches: planner.touched(),
        now: db.now(),
    };
    assert!(!db.store.is_taken_in(file.run_id).await.expect("asked"));
    db.store.add_part(&part).await.expect("taken in");
    assert!(db.store.is_taken_in(file.run_id).await.expect("asked"));
    file.run_id
}

async fn status(db: &Fixture, run: i64) -> RunStatus {
    db.store.run(run).await.expect("read").expect("a run").status
}

async fn a_run_is_held_or_let_go_once_whoever_decides(db: &Fixture) {
    let run = queued(db, 0..6).await;
    assert!(!db.store.hold_run(run, 5, &[concern()]).await.expect("asked"), "it has taken in more since");
    assert!(db.store.hold_run(run, 6, &[concern()]).await.expect("held"));
    assert!(!db.store.hold_run(run, 6, &[concern()]).await.expect("asked"), "it is held already");
    db.store.release_run(run).await.expect("asked");
    assert_eq!(status(db, run).await, RunStatus::Held);
    assert_eq!(db.store.concerns(run).await.expect("read"), [concern()]);
    let counts =
        db.store.run_counts(&db.store.run(run).await.expect("read").expect("a run")).await.expect("counted");
    assert_eq!((counts.held, counts.pending, counts.accounted()), (6, 0, 6));

    let other = queued(db, 6..9).await;
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let store = db.open().await.expect("opened");
        tasks.spawn(async move {
            if number % 2 == 0 {
                store.release_run(other).await.expect("asked");
                false
            } else {
                store.hold_run(other, 3, &[concern()]).await.expect("asked")
            }
        });
    }
    let held = tasks.join_all().await.into_iter().filter(|held| *held).count();
    let is_held = status(db, other).await == RunStatus::Held;
    assert_eq!((held, db.store.concerns(other).await.expect("read").len()), (usize::from(is_held), held));
}

async fn nothing_of_a_held_run_is_claimed_and_one_of_many_approves_it(db: &Fixture) {
    let run = queued(db, 0..6).await;
    db.store.hold_run(run, 6, &[concern()]).await.expect("held");
    let worker = db.worker().await;
    assert_eq!(db.ask(worker, 9, FREE).await, Claim::Idle);
    let depth = db.store.queue_depth(ACCOUNT).await.expect("read");
    assert_eq!((depth.held, depth.pending, depth.oldest), (6, 0, None));
    assert_eq!(db.store.held_runs().await.expect("read").len(), 1);

    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let (store, now) = (db.open().await.expect("opened"), db.now());
        tasks.spawn(async move {
            store.approve_runs(&[run], &format!("person {number}"), now).await.expect("asked")
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|is_ours| *is_ours).count(), 1);
    assert_eq!(db.ask(worker, 9, FREE).await, Claim::Idle, "approved is not yet released");
    db.store.release_run(run).await.expect("released");
    let rows: usize = db.claim(worker, 9).await.iter().map(|batch| batch.recipients.len()).sum();
    assert_eq!(rows, 6);
    assert!(!db.store.hold_run(run, 6, &[concern()]).await.expect("asked"), "what was let go is not held");
    assert!(!db.store.approve_runs(&[run], "late", db.now()).await.expect("asked"));
}

async fn several_runs_are_approved_together_or_not_at_all(db: &Fixture) {
    let runs = [queued(db, 0..3).await, queued(db, 3..6).await, queued(db, 6..9).await];
    for run in &runs[..2] {
        db.store.hold_run(*run, 3, &[concern()]).await.expect("held");
    }
    let before = db.everything().await;
    assert!(!db.store.approve_runs(&runs, "Ana", db.now()).await.expect("asked"), "one of them is not held");
    assert_eq!(db.everything().await, before);
    assert!(db.store.approve_runs(&runs[..2], "Ana", db.now()).await.expect("asked"));
    let approved = db.store.run(runs[0]).await.expect("read").expect("a run").approved;
    assert_eq!(approved, Some(("Ana".to_owned(), db.now())));
}

async fn a_list_is_compared_with_the_last_one_of_its_name_that_counts(db: &Fixture) {
    let before = async |run: i64| {
        let run = db.store.run(run).await.expect("read").expect("a run");
        let Findings { new_members, read, before, .. } = db.store.findings(&run).await.expect("found");
        assert_eq!(new_members, read);
        before
    };
    let first = queued(db, 0..9).await;
    assert_eq!(before(first).await, None, "there is nothing to compare it with");
    let second = queued(db, 9..12).await;
    assert_eq!(before(second).await, None, "the first is not let go");
    db.store.release_run(first).await.expect("released");
    assert_eq!(before(second).await, Some(9));
    db.store.hold_run(second, 3, &[concern()]).await.expect("held");
    let third = queued(db, 12..15).await;
    assert_eq!(before(third).await, Some(9), "the second is held");
    db.store.approve_runs(&[second], "Ana", db.now()).await.expect("approved");
    db.store.release_run(second).await.expect("released");
    assert_eq!(before(third).await, Some(3));
    db.store.cancel_run(second, "no", db.now()).await.expect("canceled");
    assert_eq!(before(third).await, Some(9), "the second was given up");
    let elsewhere = db.store.rows_of_last(ACCOUNT, "folder", "list.csv", i64::MAX).await;
    assert_eq!(elsewhere.expect("asked"), None, "a list of this name from elsewhere is another");
}

/// A run of the queue.
fn of_queue(db: &Fixture) -> NewRun<'static> {
    NewRun { source: RunSource::Queue, trigger: Trigger::Queue, label: "member_queue", ..new_run(db.now()) }
}

async fn who_waits_in_the_queue_is_counted_no_further_than_needed(db: &Fixture) {
    let waiting = async |enough| db.store.queue_waiting(ACCOUNT, enough).await.expect("counted");
    assert_eq!(waiting(10).await, 0);
    for person in people(0..7) {
        db.execute(&format!("insert into member_queue (email) values ('{person}')")).await;
    }
    db.execute("insert into member_queue (email, account) values ('ana@example.org', 'nobody')").await;
    assert_eq!((waiting(10).await, waiting(5).await), (7, 5));
}

async fn one_run_is_filled_however_many_begin_it(db: &Fixture) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, run) = (db.open().await.expect("opened"), of_queue(db));
        tasks.spawn(async move { store.begin_filling(run).await.expect("a run") });
    }
    let begun = tasks.join_all().await;
    assert!(begun.iter().all(|run| *run == begun[0]), "{begun:?}");
    assert_eq!(db.store.filling_run(ACCOUNT).await.expect("asked"), Some(begun[0]));
    db.store.release_run(begun[0]).await.expect("asked");
    db.store.release_filled(begun[0], 3).await.expect("asked");
    assert_eq!(status(db, begun[0]).await, RunStatus::Queued, "others have come since it was looked at");
    db.store.release_filled(begun[0], 0).await.expect("released");
    assert_eq!(status(db, begun[0]).await, RunStatus::Running);
    assert_eq!(db.store.filling_run(ACCOUNT).await.expect("asked"), None);
}
