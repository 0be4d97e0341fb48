//! A database of an earlier release, with all that may be in it: everything is as it was once it is brought up to date.

use super::fixture::Fixture;

on_every_database! {
    rows_of_the_release_before_the_proof_are_what_they_were,
}

/// The last migration of that release.
const BEFORE: &str = "0011";

/// Rows in every state that there was, and holes in their numbers: the last ones are gone.
const FILL: &str = "
    insert into runs (account, source, started_by, label, status, reason, created_at, finished_at, read_rows)
    values ('main', 'file', 'manual', 'list.csv', 'partial', null, '2026-11-22T18:00:00.000000Z', '2026-11-22T18:00:01.000000Z', 9);
    insert into tag_sets (tags) values ('tag-vip');
    insert into batches (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at, attempts, settled_at)
    values ('main', 1, 1, 1000, 4, 80, 'delivered', '2026-11-22T18:00:00.000000Z', 1, '2026-11-22T18:00:01.000000Z');
    insert into batches (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at)
    values ('main', 1, 1, 1000, 1, 20, 'pending', '2026-11-22T18:00:00.000000Z');
    insert into member_queue (email, name, tags, state, code, reason, attempts, settled_at, run_id, line, address, key_hash, tag_set_id, batch_id)
    values ('Ana@Example.org', 'Ana', 'vip', 'delivered', null, null, 1, '2026-11-22T18:00:01.000000Z', 1, 2, 'Ana@example.org', -7, 1, 1),
           ('bo@example.org', null, null, 'rejected', 'api_rejected', 'no', 1, '2026-11-22T18:00:01.000000Z', 1, 3, null, 8, 1, 1),
           ('cy@example.org', null, null, 'failed', 'attempts_exhausted', 'no', 8, '2026-11-22T18:00:01.000000Z', 1, 4, null, 9, 1, 1),
           ('di@example.org', null, null, 'pending', null, null, 0, null, 1, 5, null, 10, 1, 2),
           ('nonsense', null, null, 'invalid', 'email_invalid', 'no', 0, '2026-11-22T18:00:01.000000Z', 1, 6, null, null, null, null),
           ('ana@example.org', null, null, 'duplicate', 'duplicate', 'again', 0, '2026-11-22T18:00:01.000000Z', 1, 7, null, null, null, null),
           ('ed@example.org', null, null, 'unchanged', 'unchanged', 'sent', 0, '2026-11-22T18:00:01.000000Z', 1, 8, null, null, null, null),
           ('flo@example.org', null, null, 'suppressed', 'guest_excluded', 'no', 0, '2026-11-22T18:00:01.000000Z', 1, 9, null, null, null, null),
           ('gus@example.org', null, null, 'canceled', 'canceled', 'no', 0, '2026-11-22T18:00:01.000000Z', 1, 10, null, null, null, null);
    insert into member_queue (email, tags) values ('new@example.org', 'vip'), ('last@example.org', 'vip');
    delete from member_queue where email = 'last@example.org'";

const COLUMNS: &str =
    "select id, account, email, name, tags, state, code, reason, attempts, created_at, settled_at,
    run_id, line, address, key_hash, tag_set_id, batch_id from member_queue order by id";

async fn rows_of_the_release_before_the_proof_are_what_they_were(db: &Fixture) {
    let older = db.another();
    older.make_as_of(BEFORE).await;
    let outside = older.outside().await;
    outside.execute(FILL).await;
    let (rows, made) = (outside.rows(COLUMNS).await, outside.rows(older.made_for_rows()).await);
    let batches = "select id, state, row_count, attempts, due_at, settled_at from batches order by id";
    let before = outside.rows(batches).await;
    assert_eq!((rows.len(), before.len()), (10, 2));
    assert!(made.len() >= 5, "{made:?}");

    let store = older.open().await.expect("brought up to date");
    assert_eq!(outside.rows(COLUMNS).await, rows);
    assert_eq!(outside.rows(batches).await, before);
    let mut now = outside.rows(older.made_for_rows()).await;
    now.retain(|one| one[1] != "member_queue_causes");
    assert_eq!(now, made, "indexes and triggers");
    assert_eq!(outside.rows("select distinct verify from runs").await, [["none"]]);
    assert_eq!(outside.rows("select distinct proof, verified_rows from batches").await, [["NULL", "0"]]);
    // Numbers go on behind the one that is gone, and what is left out is as it was.
    outside.execute("insert into member_queue (email) values ('next@example.org')").await;
    let next = "select id, account, state, attempts, created_at is not null from member_queue where email = 'next@example.org'";
    assert_eq!(outside.rows(next).await, [["12", "main", "new", "0", "1"]]);
    for refused in [
        "update member_queue set email = 'x@example.org' where state = 'pending'",
        "update member_queue set state = 'sent'",
        "update member_queue set run_id = 99 where state = 'delivered'",
        "update member_queue set settled_at = null where state = 'delivered'",
        "update member_queue set line = 0",
    ] {
        assert!(outside.try_execute(refused).await.is_err(), "{refused}");
    }
    outside.execute("update member_queue set state = 'verified' where state = 'delivered'").await;
    let run = store.run(1).await.expect("read").expect("a run");
    let counts = store.count_rows(&run).await.expect("counted");
    assert_eq!((counts.verified, counts.accounted(), counts.read), (1, 9, 9));
    store.close().await;
}
