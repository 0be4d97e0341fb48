//! Many ask for work at once: every row is somebody's, and nobody's twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use lumasync::domain::outcome::Outcome;
use lumasync::domain::state::RunStatus;
use lumasync::store::{Claim, ClaimedBatch, StoreError};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixture::{FREE, Fixture, ask, delivered, people, refs, settlement};

on_every_database! {
    claims_never_overlap_however_many_ask_at_once,
    a_turn_settles_all_of_its_batches_or_none,
    a_batch_carries_its_rows_in_order_and_what_was_learnt,
    halves_hold_the_same_rows_and_what_is_refused_leaves_them,
    a_run_ends_only_with_the_counts_it_was_looked_at_with,
}

async fn claims_never_overlap_however_many_ask_at_once(db: &Fixture) {
    let crowd = people(0..360);
    db.list(&refs(&crowd[..180]), "tag-vip", 3).await;
    db.list(&refs(&crowd[180..]), "", 3).await;
    let mut tasks = JoinSet::new();
    // Nobody asks twice before everybody has asked once: there is enough for that.
    let (start, again) = (Arc::new(Barrier::new(12)), Arc::new(Barrier::new(12)));
    for _ in 0..4 {
        // As another process has it.
        let store = db.open().await.expect("opened");
        for limit in [1, 2, 5] {
            let (store, clock, worker) = (store.clone(), db.clock.clone(), db.worker().await);
            let (start, again) = (Arc::clone(&start), Arc::clone(&again));
            tasks.spawn(async move {
                let mut mine: Vec<ClaimedBatch> = Vec::new();
                start.wait().await;
                if let Claim::Batches(batches) = ask(&store, &clock, worker, limit, FREE).await {
                    mine.extend(batches);
                }
                again.wait().await;
                loop {
                    match ask(&store, &clock, worker, limit, FREE).await {
                        Claim::Batches(batches) => mine.extend(batches),
                        // The others hold the rest, and nobody settles here.
                        Claim::Wait(..) | Claim::Idle | Claim::Unknown => return mine,
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
    }
    let claimed = tasks.join_all().await;
    assert!(claimed.iter().all(|mine| !mine.is_empty()), "somebody got nothing of what there was");
    let all: Vec<&ClaimedBatch> = claimed.iter().flatten().collect();
    let distinct =
        |of: &dyn Fn(&ClaimedBatch) -> i64| all.iter().map(|one| of(one)).collect::<BTreeSet<_>>().len();
    assert_eq!((all.len(), distinct(&|one| one.id), distinct(&|one| one.claim_id)), (120, 120, 120));
    let rows: Vec<_> = all.iter().flat_map(|batch| &batch.recipients).map(|row| row.email.as_str()).collect();
    let each: BTreeSet<_> = rows.iter().copied().collect();
    assert_eq!((rows.len(), each), (360, crowd.iter().map(String::as_str).collect()));
    let on_record = "select count(*) from batches b join attempts a on a.id = b.claim_id \
                     where b.state = 'in_flight' and a.batch_id = b.id and a.worker_id = b.worker_id";
    assert_eq!(db.count(on_record).await, 120, "each claim is its worker's request");
}

async fn a_turn_settles_all_of_its_batches_or_none(db: &Fixture) {
    let crowd = people(0..6);
    db.list(&refs(&crowd), "tag-vip", 3).await;
    let worker = db.worker().await;
    let batches = db.claim(worker, 2).await;
    db.deliver(&batches[0]).await;
    let before = db.everything().await;
    // The first is still ours, the second is settled already.
    let both = [delivered(&batches[1]), delivered(&batches[0])];
    let lost = db.store.turn(&both, None, &db.clock).await.expect_err("lost");
    assert!(matches!(lost, StoreError::Lost { .. }), "{lost}");
    assert_eq!(db.everything().await, before);
    db.deliver(&batches[1]).await;
    let counts = "select count(*) from member_queue q join ledger l on l.email_key = q.email \
                  where q.state = 'delivered' and l.tag_set_id = q.tag_set_id";
    assert_eq!(db.count(counts).await, 6);
}

async fn a_batch_carries_its_rows_in_order_and_what_was_learnt(db: &Fixture) {
    let crowd = people(0..4);
    db.list(&refs(&crowd), "tag-press;tag-vip", 4).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    let mut learnt =
        settlement(&batch, Outcome::Again { due_at: db.now(), costs_attempt: true }, Some("transient"));
    learnt.max_body = Some(70_000);
    db.settle(learnt).await.expect("settled");
    let again = db.claim(worker, 1).await.remove(0);
    assert_eq!((again.id, again.attempts, again.faults, again.max_body), (batch.id, 1, 1, Some(70_000)));
    assert!(again.claim_id > batch.claim_id);
    assert_eq!(again.tags.to_string(), "tag-press;tag-vip");
    assert_eq!(again.recipients.iter().map(|row| row.email.as_str()).collect::<Vec<_>>(), refs(&crowd));
    assert!(again.recipients.is_sorted_by_key(|row| row.row_id));
}

async fn halves_hold_the_same_rows_and_what_is_refused_leaves_them(db: &Fixture) {
    let crowd = people(0..5);
    let run = db.list(&refs(&crowd), "", 5).await;
    let worker = db.worker().await;
    let whole = db.claim(worker, 1).await.remove(0);
    db.settle(settlement(&whole, Outcome::Split, Some("refused"))).await.expect("settled");
    let halves = db.claim(worker, 9).await;
    let rows =
        |batch: &ClaimedBatch| batch.recipients.iter().map(|row| row.email.clone()).collect::<Vec<_>>();
    assert_eq!(halves.iter().map(rows).collect::<Vec<_>>(), [&crowd[..3], &crowd[3..]]);
    let refused = Outcome::Rejected { places: vec![1], reason: "no".to_owned(), probe: false };
    db.settle(settlement(&halves[0], refused, Some("refused"))).await.expect("settled");
    let rest = db.claim(worker, 9).await;
    assert_eq!(rest.iter().map(rows).collect::<Vec<_>>(), [vec![crowd[0].clone(), crowd[2].clone()]]);
    db.deliver(&rest[0]).await;
    db.deliver(&halves[1]).await;
    let states = db.rows("select email, state from member_queue order by id").await;
    let state = |at: usize| if at == 1 { "rejected" } else { "delivered" };
    let expected: Vec<_> = (0..5).map(|at| vec![crowd[at].clone(), state(at).to_owned()]).collect();
    assert_eq!(states, expected);
    let run = db.store.run(run).await.expect("read").expect("a run");
    let counts = db.store.count_rows(&run).await.expect("counted");
    assert_eq!((counts.delivered, counts.rejected, counts.accounted()), (4, 1, counts.read));
    assert_eq!(db.store.run_counts(&run).await.expect("counted"), counts);
}

async fn a_run_ends_only_with_the_counts_it_was_looked_at_with(db: &Fixture) {
    let crowd = people(0..2);
    let run = db.list(&refs(&crowd), "", 5).await;
    let worker = db.worker().await;
    let end =
        async |read| db.store.end_run(run, RunStatus::Succeeded, None, read, db.now()).await.expect("asked");
    assert!(!end(2).await, "rows are pending");
    let batch = db.claim(worker, 1).await.remove(0);
    assert!(!end(2).await, "rows are in flight");
    db.deliver(&batch).await;
    assert!(!end(1).await, "more was read than was counted");
    assert!(end(2).await);
    let before = db.everything().await;
    assert!(!end(2).await, "it has ended already");
    assert_eq!(db.everything().await, before);
}
