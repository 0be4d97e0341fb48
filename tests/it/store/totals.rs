//! What machines and charts rest on: sums that only grow, notes of how much waited, pages of events and runs.

use std::collections::BTreeMap;
use std::time::Duration;

use lumasync::domain::code::Code;
use lumasync::domain::outcome::Outcome;
use lumasync::domain::state::RunStatus;
use lumasync::store::{PruneStep, RunFilter, Sum, Totals};

use super::fixture::{Fixture, people, refs, settlement};

on_every_database! {
    sums_are_those_of_the_runs_and_go_on_after_a_retry,
    whoever_counted_before_another_does_not_write_over_it,
    a_run_whose_rows_do_not_add_up_is_a_breach,
    rows_that_are_pruned_still_count,
    depths_are_kept_by_the_minute_for_as_long_as_they_are_shown,
    open_runs_are_found_by_where_they_stand,
}

async fn totals(db: &Fixture) -> Totals {
    // A count is known from the one before by its moment.
    db.clock.advance(Duration::from_secs(1));
    db.store.totals(db.now()).await.expect("counted")
}

/// Rows by what became of them.
fn rows(totals: &Totals) -> BTreeMap<&str, u64> {
    let mut rows = BTreeMap::new();
    for (sum, number) in &totals.sums {
        if let Sum::Rows(_, word) = sum {
            rows.insert(word.as_str(), *number);
        }
    }
    rows
}

fn runs(totals: &Totals, status: &str) -> u64 {
    totals.sums.get(&Sum::Runs("file".to_owned(), status.to_owned())).copied().unwrap_or_default()
}

/// Four people in two requests: one was delivered, one was given up.
async fn half_failed(db: &Fixture) -> i64 {
    let run = db.list(&refs(&people(0..4)), "tag-vip", 2).await;
    let worker = db.worker().await;
    let mut batches = db.claim(worker, 2).await;
    db.deliver(&batches.remove(0)).await;
    let gone = Outcome::Failed { code: Code::AttemptsExhausted, reason: "no luck".to_owned() };
    db.settle(settlement(&batches.remove(0), gone, Some("transient"))).await.expect("settled");
    assert!(db.store.end_run(run, RunStatus::Partial, None, 4, db.now()).await.expect("ended"));
    run
}

async fn sums_are_those_of_the_runs_and_go_on_after_a_retry(db: &Fixture) {
    assert_eq!(rows(&totals(db).await), BTreeMap::new());
    let run = half_failed(db).await;
    let before = totals(db).await;
    assert_eq!(rows(&before), BTreeMap::from([("delivered", 2), ("failed", 2)]));
    assert_eq!((runs(&before, "partial"), before.open.len(), before.successes.len()), (1, 0, 0));
    let counts = db.store.run_counts(&db.store.run(run).await.expect("read").expect("a run")).await;
    let counts = counts.expect("counted");
    assert_eq!((counts.delivered, counts.failed, counts.accounted()), (2, 2, counts.read));

    db.store.retry_failed(Some(run), None, [db.now(), db.now()], false).await.expect("brought back");
    let meanwhile = totals(db).await;
    assert_eq!(rows(&meanwhile), rows(&before), "nothing falls");
    assert_eq!(runs(&meanwhile, "partial"), 1);
    assert_eq!(meanwhile.open.values().sum::<u64>(), 1);
    assert_eq!(totals(db).await, meanwhile, "nothing is lost twice");

    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    let gone = Outcome::Failed { code: Code::AttemptsExhausted, reason: "no luck".to_owned() };
    db.settle(settlement(&batch, gone, Some("transient"))).await.expect("settled");
    assert!(db.store.end_run(run, RunStatus::Succeeded, None, 4, db.now()).await.expect("ended"));
    let after = totals(db).await;
    assert_eq!(rows(&after), BTreeMap::from([("delivered", 2), ("failed", 4)]), "they have failed twice");
    assert_eq!((runs(&after, "partial"), runs(&after, "succeeded"), after.open.len()), (1, 1, 0));
    assert!(after.successes.contains_key("file") && after.sums[&Sum::Breaches] == 0, "{after:?}");
    let other = db.open().await.expect("another process");
    assert_eq!(other.totals(db.now()).await.expect("counted"), after, "they are everybody's");
}

async fn whoever_counted_before_another_does_not_write_over_it(db: &Fixture) {
    let long_ago = db.now();
    let run = half_failed(db).await;
    totals(db).await;
    db.store.retry_failed(Some(run), None, [db.now(), db.now()], false).await.expect("brought back");
    // A count that was begun earlier and is written only now.
    let late = db.store.totals(long_ago).await.expect("counted");
    assert_eq!(rows(&late)["failed"], 2);
    assert_eq!(db.count("select cast(sum(lost) as bigint) from totals").await, 0, "it was not written");
    assert_eq!(rows(&totals(db).await)["failed"], 2);
    // Rows and run.
    assert_eq!(db.count("select cast(sum(lost) as bigint) from totals").await, 3);
}

async fn a_run_whose_rows_do_not_add_up_is_a_breach(db: &Fixture) {
    let run = half_failed(db).await;
    assert_eq!(totals(db).await.sums[&Sum::Breaches], 0);
    db.execute(&format!("update runs set read_rows = read_rows + 1 where id = {run}")).await;
    assert_eq!(totals(db).await.sums[&Sum::Breaches], 1);
}

async fn rows_that_are_pruned_still_count(db: &Fixture) {
    let run = db.list(&refs(&people(0..4)), "tag-vip", 4).await;
    let worker = db.worker().await;
    db.deliver(&db.claim(worker, 1).await.remove(0)).await;
    assert!(db.store.end_run(run, RunStatus::Succeeded, None, 4, db.now()).await.expect("ended"));
    let before = totals(db).await;
    db.clock.advance(Duration::from_hours(1));
    while let PruneStep::Rows(_) = db.store.prune_run(run, db.now()).await.expect("pruned") {}
    assert_eq!(db.count("select count(*) from member_queue").await, 0);
    assert_eq!(totals(db).await, before);
    assert_eq!(db.count("select cast(sum(lost) as bigint) from totals").await, 0);
}

async fn depths_are_kept_by_the_minute_for_as_long_as_they_are_shown(db: &Fixture) {
    let minute = |number: u32| db.now().plus(Duration::from_mins(1) * number);
    for (at, waiting) in [(0, 5), (1, 7), (1, 6), (3, 0)] {
        db.store.note_depth(minute(at), waiting, minute(0)).await.expect("noted");
    }
    let all = [(minute(0), 5), (minute(1), 6), (minute(3), 0)];
    assert_eq!(db.store.depth_notes(minute(0)).await.expect("read"), all);
    assert_eq!(db.store.depth_notes(minute(2)).await.expect("read"), all[2..]);
    db.store.note_depth(minute(4), 1, minute(3)).await.expect("noted");
    assert_eq!(db.store.depth_notes(minute(0)).await.expect("read"), [all[2], (minute(4), 1)]);
}

async fn open_runs_are_found_by_where_they_stand(db: &Fixture) {
    let first = db.list(&refs(&people(0..2)), "tag-vip", 2).await;
    let second = db.list(&refs(&people(2..4)), "tag-vip", 2).await;
    let third = db.list(&refs(&people(4..6)), "tag-vip", 2).await;
    db.execute(&format!("update runs set status = 'held', reason = 'many' where id = {second}")).await;
    db.execute(&format!("update runs set reason = 'stopped: why' where id = {third}")).await;
    let of = async |status| {
        let filter = RunFilter { status: Some(status), ..RunFilter::default() };
        let page = db.store.runs_page(&filter, 10).await.expect("read");
        page.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(of(RunStatus::Held).await, [second]);
    assert_eq!(of(RunStatus::Running).await, [third, first]);
    assert_eq!(of(RunStatus::Queued).await, Vec::<i64>::new());
    assert_eq!(of(RunStatus::Succeeded).await, Vec::<i64>::new());
    let standing = db.store.standing_runs().await.expect("read");
    assert_eq!(standing, [(third, "stopped: why".to_owned())]);
}
