//! Notices: every change of state is noted by the transaction that makes it, one process at a time tells of them,
//! and nobody writes what is no longer theirs to write.

use std::time::Duration;

use lumasync::domain::expect::Standing;
use lumasync::domain::notice::{Topic, Trouble};
use lumasync::domain::state::RunStatus;
use lumasync::store::{Change, HookClaim, Notice, NoticesLeft, Posted, StoreError};
use tokio::task::JoinSet;

use super::fixture::{ACCOUNT, Fixture, people, refs};
use super::looks::in_doubt;

on_every_database! {
    a_change_is_noted_with_the_transaction_that_makes_it,
    what_was_noted_before_anybody_asked_is_forgotten,
    one_of_eight_has_the_right_to_post,
    whoever_lost_the_right_writes_nothing,
    a_clock_that_was_ahead_keeps_nobody_from_posting,
    a_receiver_is_left_alone_and_what_it_took_is_over,
    a_doubt_is_noted_once_and_only_where_a_person_must_look,
    what_is_old_is_forgotten_and_what_waits_is_not,
    illegal_notices_are_refused_by_the_tables,
}

/// A lease is 30 s.
const ALMOST: Duration = Duration::from_secs(29);

async fn noted(db: &Fixture) -> Vec<Vec<String>> {
    db.rows("select coalesce(source, cast(run_id as text), events), standing from notices order by id").await
}

async fn claim(db: &Fixture) -> Option<HookClaim> {
    db.store.claim_hook(db.now()).await.expect("asked")
}

async fn next(db: &Fixture) -> Notice {
    db.store.next_notice().await.expect("read").expect("a notice")
}

/// A receiver, the right to post to it, and a change to be told.
async fn ready(db: &Fixture) -> (HookClaim, Notice) {
    db.store.meet_hook().await.expect("met");
    let run = db.list(&refs(&people(0..1)), "", 1).await;
    db.execute(&format!("update runs set status = 'held' where id = {run}")).await;
    (claim(db).await.expect("free"), next(db).await)
}

async fn word(db: &Fixture, claim: HookClaim, notice: &Notice) -> Result<(), StoreError> {
    let trouble = Some(("subject", 7, Trouble::Begins));
    db.store.word_notice(claim, notice.id, Some((Topic::Held, "{}")), trouble, db.now()).await
}

async fn settle(db: &Fixture, claim: HookClaim, id: i64, posted: &Posted) -> Result<(), StoreError> {
    db.store.settle_notice(claim, id, posted, db.now()).await
}

async fn a_change_is_noted_with_the_transaction_that_makes_it(db: &Fixture) {
    let run = db.list(&refs(&people(0..2)), "", 1).await;
    assert_eq!(noted(db).await, Vec::<Vec<String>>::new(), "a run that begins is no news");
    let ended = db.store.end_run(run, RunStatus::Partial, None, 2, db.now()).await.expect("asked");
    assert!(!ended, "rows are left");
    for status in ["held", "held", "running", "held", "canceled"] {
        let finished = if status == "canceled" { "created_at" } else { "null" };
        db.execute(&format!(
            "update runs set status = '{status}', finished_at = {finished} where id = {run}"
        ))
        .await;
    }
    let undone = format!("begin; update runs set status = 'failed', reason = 'x' where id = {run}; rollback");
    db.execute(&undone).await;
    db.execute(
        "insert into expectations (source, since, changed_at) select 'crm', created_at, created_at from runs",
    )
    .await;
    for standing in [Standing::Late, Standing::Late, Standing::Short, Standing::Met] {
        db.store.note_standing("crm", standing, db.now()).await.expect("noted");
    }
    let id = run.to_string();
    let told = [[id.as_str(), "held"], [&id, "held"], ["crm", "late"], ["crm", "short"], ["crm", "met"]];
    assert_eq!(noted(db).await, told);
    let first = next(db).await;
    assert_eq!((first.change, first.worded), (Change::Run(run, RunStatus::Held), None));
}

async fn what_was_noted_before_anybody_asked_is_forgotten(db: &Fixture) {
    let run = db.list(&refs(&people(0..1)), "", 1).await;
    db.execute(&format!("update runs set status = 'held' where id = {run}")).await;
    assert_eq!(claim(db).await, None, "nobody is to be told");
    db.store.meet_hook().await.expect("met");
    assert!(!db.store.has_notices().await.expect("read"));
    db.execute(&format!("update runs set status = 'running' where id = {run}")).await;
    db.execute(&format!("update runs set status = 'held' where id = {run}")).await;
    db.store.meet_hook().await.expect("met");
    assert!(db.store.has_notices().await.expect("read"), "it is known by now");
}

async fn one_of_eight_has_the_right_to_post(db: &Fixture) {
    db.store.meet_hook().await.expect("met");
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, now) = (db.open().await.expect("opened"), db.now());
        tasks.spawn(async move {
            let claim = store.claim_hook(now).await.expect("asked");
            store.close().await;
            claim
        });
    }
    let claims: Vec<HookClaim> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(claims.len(), 1);
    db.store.let_go_of_hook(claims[0]).await.expect("written");
    assert_eq!(claim(db).await.map(|claim| claim.id), Some(claims[0].id + 1));
}

async fn whoever_lost_the_right_writes_nothing(db: &Fixture) {
    let (first, notice) = ready(db).await;
    db.clock.advance(ALMOST);
    assert_eq!(claim(db).await, None);
    word(db, first, &notice).await.expect("still its own, and prolonged");
    db.clock.advance(ALMOST);
    assert_eq!(claim(db).await, None);
    db.clock.advance(Duration::from_secs(1));
    let second = claim(db).await.expect("its lease has ended");
    let before = db.rows("select * from notices").await;
    for posted in [Posted::Delivered, Posted::Later(db.now(), "no".into()), Posted::GivenUp("no".into())] {
        let lost = settle(db, first, notice.id, &posted).await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
    }
    db.store.let_go_of_hook(first).await.expect("no harm");
    assert_eq!((db.rows("select * from notices").await, claim(db).await), (before, None));
    assert_eq!(next(db).await.worded, Some((Topic::Held, "{}".to_owned())), "what is posted stands");
    settle(db, second, notice.id, &Posted::Delivered).await.expect("its own");
    let again = settle(db, second, notice.id, &Posted::Delivered).await;
    assert!(matches!(again, Err(StoreError::Lost { .. })), "{again:?}");
}

async fn a_clock_that_was_ahead_keeps_nobody_from_posting(db: &Fixture) {
    let (held, notice) = ready(db).await;
    word(db, held, &notice).await.expect("written");
    let ahead = db.now().plus(Duration::from_hours(48));
    db.store
        .settle_notice(held, notice.id, &Posted::Later(ahead, "no".into()), ahead)
        .await
        .expect("written");
    let now = db.now();
    assert!(db.store.is_hook_due(now).await.expect("read"));
    assert!(db.store.claim_hook(now).await.expect("asked").is_some());
}

async fn a_receiver_is_left_alone_and_what_it_took_is_over(db: &Fixture) {
    let (first, notice) = ready(db).await;
    word(db, first, &notice).await.expect("written");
    assert_eq!(db.store.trouble("subject").await.expect("read"), Some(7));
    let due_at = db.now().plus(Duration::from_mins(1));
    settle(db, first, notice.id, &Posted::Later(due_at, "it answered 500".into())).await.expect("written");
    db.store.let_go_of_hook(first).await.expect("written");
    assert!(!db.store.is_hook_due(db.now()).await.expect("read"));
    assert_eq!(claim(db).await, None);
    let left = db.store.notices_left(db.now()).await.expect("read");
    let expected = NoticesLeft {
        waiting: 1,
        oldest: Some(notice.noted_at),
        answer: Some("it answered 500".into()),
        ..NoticesLeft::default()
    };
    assert_eq!(left, expected);
    db.clock.advance(Duration::from_mins(1));
    let second = claim(db).await.expect("due");
    assert_eq!(second.faults, 1);
    settle(db, second, notice.id, &Posted::GivenUp("it answered 410".into())).await.expect("written");
    let left = db.store.notices_left(db.now()).await.expect("read");
    assert_eq!((left.waiting, left.given_up, left.given_up_at), (0, 1, Some(db.now())));
    db.store.let_go_of_hook(second).await.expect("written");
    assert_eq!(claim(db).await.map(|claim| claim.faults), Some(0), "an answer is an answer");
}

async fn a_doubt_is_noted_once_and_only_where_a_person_must_look(db: &Fixture) {
    let run = in_doubt(db, 3).await;
    let note =
        async |can_look_up, until| db.store.note_doubts(ACCOUNT, can_look_up, until).await.expect("noted");
    assert_eq!(note(true, None).await, 0, "Luma is asked first");
    assert_eq!(note(false, Some(8)).await, 0, "it is asked for again");
    assert_eq!(db.store.note_doubts("paris", false, None).await.expect("noted"), 0, "another's");
    let look = "insert into event_looks (attempt_id, event_id, looked_at, look_at)
                select claim_id, id, created_at, ";
    db.execute(&format!("{look} null from event_queue where line = 1")).await;
    db.execute(&format!("{look} created_at from event_queue where line = 2")).await;
    assert_eq!((note(true, None).await, note(true, None).await), (1, 0), "its looks have ended");
    db.execute("update event_queue set attempts = 8 where line = 2").await;
    assert_eq!((note(false, Some(8)).await, note(false, Some(8)).await), (1, 0), "nobody asks again");
    assert_eq!((note(false, None).await, note(false, None).await), (1, 0));
    let by_line = db
        .rows(&format!(
            "select '[' || id || ']', 'unknown' from event_queue where run_id = {run} order by line"
        ))
        .await;
    assert_eq!(noted(db).await, by_line);
    // Another request has left another doubt.
    db.execute("update event_queue set claim_id = claim_id + 100").await;
    assert_eq!(note(false, None).await, 3);
    let all = db.rows("select events from notices where id = (select max(id) from notices)").await;
    assert_eq!(all[0][0].matches(',').count(), 2, "in one notice: {all:?}");
}

async fn what_is_old_is_forgotten_and_what_waits_is_not(db: &Fixture) {
    let (held, notice) = ready(db).await;
    word(db, held, &notice).await.expect("written");
    for days in [6, 8, 29, 31] {
        let at = db.now().minus(Duration::from_hours(24 * days));
        db.execute(&format!(
            "insert into notices (noted_at, source, standing) values ('{at}', 'untold {days}', 'late')"
        ))
        .await;
        db.execute(&format!(
            "insert into notices (noted_at, source, standing, topic, body, outcome, ended_at)
             values ('{at}', 'told {days}', 'late', 'late', '{{}}', 'delivered', '{at}')"
        ))
        .await;
    }
    let long_ago = db.now().minus(Duration::from_hours(24 * 99));
    db.execute(&format!("update notices set noted_at = '{long_ago}' where run_id is not null")).await;
    db.store.prune_notices(db.now()).await.expect("pruned");
    let left = db.rows("select coalesce(source, 'waits') from notices order by id").await;
    assert_eq!(left, [["waits"], ["untold 6"], ["told 6"], ["told 8"], ["told 29"]]);
}

async fn illegal_notices_are_refused_by_the_tables(db: &Fixture) {
    let (_, notice) = ready(db).await;
    let before = db.rows("select * from notices").await;
    for sql in [
        "insert into notices (standing) values ('late')".to_owned(),
        "insert into notices (run_id, source, standing) values (1, 'crm', 'late')".to_owned(),
        "insert into notices (account, standing) values ('main', 'unknown')".to_owned(),
        format!("update notices set topic = 'held' where id = {}", notice.id),
        "update notices set outcome = 'delivered', ended_at = noted_at".to_owned(),
        "update notices set topic = 'held', body = '{}', outcome = 'delivered'".to_owned(),
        "update notices set topic = 'held', body = '{}', outcome = 'lost', ended_at = noted_at".to_owned(),
        "insert into hook (id) values (2)".to_owned(),
    ] {
        assert!(db.try_execute(&sql).await.is_err(), "{sql}");
    }
    assert_eq!(db.rows("select * from notices").await, before);
}
