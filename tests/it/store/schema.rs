//! What the tables themselves refuse, what versions refuse each other, and how a moment is kept.

use std::time::Duration;

use lumasync::clock::Time;
use lumasync::store::{Store, StoreError};
use tokio::task::JoinSet;

use super::fixture::{Fixture, identity, people, refs};

on_every_database! {
    illegal_states_are_refused_by_the_tables,
    moments_come_back_to_the_microsecond,
    the_tables_of_a_newer_release_are_refused_in_clear_words,
    the_tables_are_made_once_however_many_open_them_at_once,
}

async fn illegal_states_are_refused_by_the_tables(db: &Fixture) {
    db.list(&refs(&people(0..3)), "tag-vip", 3).await;
    let worker = db.worker().await;
    let one = db.claim(worker, 1).await.remove(0);
    db.list(&refs(&people(3..6)), "tag-vip", 3).await;
    let before = db.everything().await;
    for sql in [
        "update member_queue set state = 'sent'",
        "update member_queue set state = 'in_flight'",
        "update member_queue set state = 'delivered'",
        "update member_queue set state = 'rejected', settled_at = created_at",
        "update member_queue set state = 'failed', settled_at = created_at, code = 'api_rejected'",
        "update member_queue set settled_at = created_at",
        "update member_queue set state = 'new'",
        "update member_queue set batch_id = null",
        "update member_queue set batch_id = 4711",
        "update member_queue set run_id = 4711",
        "insert into member_queue (email, run_id, state, batch_id, tag_set_id, key_hash)
         select 'ana@example.org', run_id, state, 4711, tag_set_id, key_hash from member_queue",
        "insert into member_queue (email, run_id, state, settled_at, code, reason)
         select 'ana@example.org', 4711, 'invalid', created_at, 'email_invalid', 'no' from member_queue",
        "update member_queue set attempts = -1",
        "update member_queue set line = 0",
        "update member_queue set email = null",
        "update member_queue set email = 'new@example.org'",
        "update member_queue set tags = 'vip'",
        "update member_queue set account = 'paris'",
        "update member_queue set address = 'new@example.org'",
        "insert into member_queue (email, state) values ('ana@example.org', 'pending')",
        "insert into member_queue (email, state, settled_at) values ('ana@example.org', 'delivered', '2026-11-22')",
        "update batches set state = 'sent'",
        "update batches set state = 'delivered'",
        "update batches set state = 'pending' where state = 'in_flight'",
        "update batches set state = 'in_flight' where state = 'pending'",
        "update batches set claim_id = 1 where state = 'pending'",
        "update batches set worker_id = null where state = 'in_flight'",
        "update batches set settled_at = due_at",
        "update batches set row_count = 0",
        "update batches set run_id = 4711",
        "update batches set id = id + 4711 where state = 'pending'",
        "update attempts set verdict = 'accepted'",
        "update attempts set finished_at = started_at",
        "update attempts set verdict = 'fine', finished_at = started_at",
        "update attempts set batch_id = null",
        "update runs set status = 'done'",
        "update runs set status = 'succeeded'",
        "update runs set status = 'failed', finished_at = created_at",
        "update runs set source = 'mail'",
        "update runs set started_by = 'chance'",
        "update runs set account = 'nobody'",
        "update input_files set parts_done = parts + 1",
        "update input_files set state = 'taken', parts_done = 0",
        "update input_files set identity = 'the same'",
        "update accounts set blocked_until = '2026-11-22T18:00:00.000000Z'",
        "update accounts set block_reason = 'no', block_cause = 'spite', blocked_until = '2026-11-22'",
        "update accounts set max_body = 5",
        "update accounts set members = -1",
        "insert into accounts (name) values ('main')",
        "insert into tag_sets (tags) values ('tag-vip')",
        "delete from runs",
        "delete from batches",
    ] {
        assert!(db.try_execute(sql).await.is_err(), "{sql}");
        assert_eq!(db.everything().await, before, "{sql}");
    }
    db.deliver(&one).await;
}

async fn moments_come_back_to_the_microsecond(db: &Fixture) {
    let moment = |text: &str| Time::parse(text).expect("a moment");
    let mut moments: Vec<Time> =
        [0, 1, -1, 999_999, 1_000_000, 1_795_370_400_123_456].map(Time::from_micros).into();
    moments.extend(
        [
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00.000001Z",
            "1969-12-31T23:59:59.999999Z",
            "2016-12-31T23:59:59.999999Z",
            "2038-01-19T03:14:08Z",
            "2026-03-29T02:30:00.5+02:00",
            "9999-12-30T21:59:59.999999Z",
        ]
        .map(moment),
    );
    let ends = [Time::from_micros(i64::MIN), Time::from_micros(0).plus(Duration::MAX)];
    moments.sort();
    for moment in &moments {
        let id = db.store.add_worker(&identity(), *moment, *moment).await.expect("a worker");
        let workers = db.store.workers().await.expect("read");
        let found = workers.iter().find(|worker| worker.id == id).expect("entered");
        assert_eq!((found.started_at, found.lease_until), (*moment, *moment));
    }
    let by_time = db.rows("select started_at from workers order by started_at, id").await;
    assert_eq!(
        by_time,
        db.rows("select started_at from workers order by id").await,
        "they compare as time does"
    );
    for end in ends {
        db.store.add_worker(&identity(), end, end).await.expect("a worker");
    }
    let workers = db.store.workers().await.expect("what no calendar holds is read back all the same");
    let [first, last] = [workers.len() - 2, workers.len() - 1].map(|at| workers[at].lease_until);
    assert!(moments.iter().all(|moment| first <= *moment && *moment <= last), "{first} {last}");
}

async fn the_tables_of_a_newer_release_are_refused_in_clear_words(db: &Fixture) {
    let newest = Store::schema_version();
    let newer = format!(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         select {newest} + 1, 'later', success, checksum, 0 from _sqlx_migrations where version = {newest}"
    );
    assert_eq!(db.execute(&newer).await, 1);
    let before = db.everything().await;
    let refused = db.open().await.expect_err("refused");
    assert!(
        matches!(&refused, StoreError::Newer { found, known } if (*found, *known) == (newest + 1, newest))
    );
    let said = refused.to_string();
    assert!(said.contains("newer lumasync") && said.contains("\nhint: "), "{said}");
    assert_eq!(db.everything().await, before);
    db.execute(&format!("delete from _sqlx_migrations where version > {newest}")).await;
    db.open().await.expect("opened");
}

async fn the_tables_are_made_once_however_many_open_them_at_once(db: &Fixture) {
    let fresh = db.another();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let fresh = fresh.clone();
        tasks.spawn(async move {
            let store = fresh.open().await.expect("opened");
            let accounts = store.account("main").await.expect("read");
            store.close().await;
            accounts.is_some()
        });
    }
    assert_eq!(tasks.join_all().await, [true; 8]);
}
