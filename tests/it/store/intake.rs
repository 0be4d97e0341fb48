//! Rows on their way in: a file once, a part once, a row of the queue once, a tag set once.

use lumasync::domain::batch::{BatchLimits, BatchPlanner, PlannedBatch};
use lumasync::domain::code::Code;
use lumasync::domain::proof::Verify;
use lumasync::domain::state::{Kind, RowState, RunStatus, Trigger};
use lumasync::domain::tag::TagSet;
use lumasync::store::{
    BadInput, Claim, FileState, Input, Intake, NewRun, PendingRow, QueueOutcome, QueueRow, QueueRun,
    RunSource, StoreError, UnkeptLines,
};
use tokio::task::JoinSet;

use super::fixture::{ACCOUNT, FREE, Fixture, key_hash, new_run, people, refs};

on_every_database! {
    the_same_bytes_are_one_file_however_many_bring_them_at_once,
    a_half_taken_file_goes_on_at_its_position,
    a_part_is_taken_by_one_of_many_and_wholly,
    a_tag_set_has_one_id_however_many_enter_it_at_once,
    rows_of_the_queue_are_read_by_one_of_many,
    a_batch_is_not_filled_once_it_is_claimed,
    the_ledger_moves_with_the_outcome_and_unites_tags,
}

/// Rows of the queue go there.
fn queue_run(id: i64) -> QueueRun<'static> {
    QueueRun { account: ACCOUNT, id, status: RunStatus::Running, new_members: 0 }
}

async fn the_same_bytes_are_one_file_however_many_bring_them_at_once(db: &Fixture) {
    let mut brought = Vec::new();
    for identity in ["one", "one", "two", "one", "two"] {
        brought.push(db.file(identity, 2).await);
    }
    assert_eq!(
        brought.iter().map(|(_, is_new)| *is_new).collect::<Vec<_>>(),
        [true, false, true, false, false]
    );
    assert_eq!(brought[1].0, brought[0].0);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, now) = (db.open().await.expect("opened"), db.now());
        tasks.spawn(async move {
            let run = new_run(now);
            let file = lumasync::store::NewFile {
                identity: "three",
                sha256: "three",
                size: 1,
                name: "list.csv",
                path: "list.csv",
                extra_tags: "",
                parts: 1,
                shape: "",
            };
            store.begin_file(run, &file).await.expect("a file")
        });
    }
    let raced = tasks.join_all().await;
    assert_eq!(raced.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(raced.iter().all(|(file, _)| *file == raced[0].0));
    assert_eq!(db.count("select count(*) from runs").await, 3, "and one run each");
}

async fn a_half_taken_file_goes_on_at_its_position(db: &Fixture) {
    let (crowd, tags) = (people(0..6), db.tag_set("tag-vip").await);
    let (file, _) = db.file("a list", 3).await;
    db.part(&file, 0, &refs(&crowd[..2]), tags, 9).await.expect("taken in");
    // Here a process died.
    let (file, is_new) = db.file("a list", 3).await;
    assert_eq!((is_new, file.parts_done, file.state), (false, 1, FileState::Taking));
    let before = db.everything().await;
    for part in [0, 2] {
        let out_of_turn = db.part(&file, part, &refs(&crowd[4..]), tags, 9).await;
        assert!(matches!(out_of_turn, Err(StoreError::Lost { .. })), "part {part}");
        assert_eq!(db.everything().await, before, "part {part}");
    }
    let worker = db.worker().await;
    assert_eq!(db.ask(worker, 9, FREE).await, Claim::Idle, "nothing is sent of a file that is being read");
    db.part(&file, 1, &refs(&crowd[2..4]), tags, 9).await.expect("taken in");
    db.part(&file, 2, &refs(&crowd[4..]), tags, 9).await.expect("taken in");
    let (file, _) = db.file("a list", 3).await;
    assert_eq!((file.parts_done, file.state), (3, FileState::Taken));
    let rows: usize = db.claim(worker, 9).await.iter().map(|batch| batch.recipients.len()).sum();
    assert_eq!(rows, 6);
}

async fn a_part_is_taken_by_one_of_many_and_wholly(db: &Fixture) {
    let (crowd, tags) = (people(0..5), db.tag_set("").await);
    let (file, _) = db.file("a list", 1).await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, now, file, crowd) =
            (db.open().await.expect("opened"), db.now(), file.clone(), crowd.clone());
        tasks.spawn(async move {
            let mut planner = BatchPlanner::new(BatchLimits { max_rows: 2, max_bytes: 1_000 }, []);
            let row = |(email, line): (&'static str, i64), batch| PendingRow {
                email,
                name: None,
                line,
                key_hash: key_hash(email),
                tag_set: tags,
                batch,
            };
            let leaked: Vec<&'static str> = crowd.into_iter().map(|email| &*email.leak()).collect();
            let pending: Vec<_> =
                leaked.into_iter().zip(2..).map(|at| row(at, planner.place(tags, 23))).collect();
            let invalid =
                [BadInput { email: "ana at", line: 9, code: Code::EmailInvalid, reason: "has no `@`" }];
            let unkept = UnkeptLines { chunks: vec![vec![1, 2, 3]], duplicates: 2, unchanged: 3 };
            let intake = Intake {
                account: ACCOUNT,
                run_id: file.run_id,
                input: Input::File(file.id),
                part: 0,
                is_last: true,
                pending: &pending,
                new_members: 0,
                invalid: &invalid,
                unkept: &unkept,
                batches: planner.touched(),
                now,
            };
            store.add_part(&intake).await
        });
    }
    let raced = tasks.join_all().await;
    assert_eq!(raced.iter().filter(|taken| taken.is_ok()).count(), 1);
    assert!(raced.iter().all(|taken| matches!(taken, Ok(_) | Err(StoreError::Lost { .. }))));
    let run = db.store.run(file.run_id).await.expect("read").expect("a run");
    let counts = db.store.count_rows(&run).await.expect("counted");
    assert_eq!((counts.read, counts.accounted()), (11, 11));
    assert_eq!((counts.pending, counts.invalid, counts.duplicate, counts.unchanged), (5, 1, 2, 3));
    assert_eq!(db.count("select count(*) from unkept_lines").await, 1);
}

async fn a_tag_set_has_one_id_however_many_enter_it_at_once(db: &Fixture) {
    let sets: Vec<TagSet> =
        (0..20).map(|n| TagSet::parse(&format!("tag-a{n};tag-b")).expect("ids")).collect();
    let mut tasks = JoinSet::new();
    for turn in 0..8 {
        let (store, mut sets) = (db.open().await.expect("opened"), sets.clone());
        sets.rotate_left(turn);
        tasks.spawn(async move {
            let mut ids = store.intern_tag_sets(&sets).await.expect("ids");
            ids.rotate_right(turn);
            ids
        });
    }
    let ids = tasks.join_all().await;
    assert!(ids.iter().all(|each| *each == ids[0]), "{ids:?}");
    let known = db.store.tag_sets().await.expect("read");
    assert_eq!(known.len(), 21, "and the empty one");
    assert!(ids[0].iter().zip(&sets).all(|(id, set)| known[id] == *set));
}

async fn rows_of_the_queue_are_read_by_one_of_many(db: &Fixture) {
    for email in people(0..40) {
        db.execute(&format!("insert into member_queue (email, tags) values ('{email}', 'tag-vip')")).await;
    }
    let run = NewRun {
        account: ACCOUNT,
        kind: Kind::Members,
        source: RunSource::Queue,
        trigger: Trigger::Queue,
        fire: None,
        verify: Verify::None,
        planned: false,
        label: "queue",
        now: db.now(),
    };
    let (run, tags) = (db.store.begin_running(run).await.expect("a run"), db.tag_set("tag-vip").await);
    let rows = db.store.new_rows(ACCOUNT, 100).await.expect("read");
    assert_eq!(rows.len(), 40);
    let outcome = |row: &lumasync::store::NewRow| match row.id % 2 {
        0 => QueueOutcome::Pending { address: None, key_hash: key_hash(&row.email), tag_set: tags, batch: 0 },
        _ => QueueOutcome::Ended {
            state: RowState::Invalid,
            code: Code::EmailInvalid,
            reason: "no".to_owned(),
        },
    };
    let taken: Vec<_> = rows.iter().map(|row| QueueRow { id: row.id, outcome: outcome(row) }).collect();
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let (store, now, taken) = (db.open().await.expect("opened"), db.now(), taken.clone());
        tasks.spawn(async move {
            let batch = PlannedBatch { id: None, tag_set: tags, rows: 20, stored: 0, bytes: 460 };
            store.take_rows(queue_run(run), &taken, &[batch], (500, now), now).await
        });
    }
    let raced = tasks.join_all().await;
    assert_eq!(raced.iter().filter(|taken| taken.is_ok()).count(), 1);
    assert!(raced.iter().all(|taken| matches!(taken, Ok(_) | Err(StoreError::Lost { .. }))));
    let run = db.store.run(run).await.expect("read").expect("a run");
    let counts = db.store.count_rows(&run).await.expect("counted");
    assert_eq!((counts.read, counts.pending, counts.invalid), (40, 20, 20));
    assert_eq!(db.count("select count(*) from batches").await, 1);
    assert!(db.store.new_rows(ACCOUNT, 100).await.expect("read").is_empty());
}

async fn a_batch_is_not_filled_once_it_is_claimed(db: &Fixture) {
    let run = db.list(&refs(&people(0..2)), "", 10).await;
    let open = db.store.open_batches(run, 10).await.expect("read").remove(0);
    let worker = db.worker().await;
    let claimed = db.claim(worker, 1).await.remove(0);
    assert!(db.store.open_batches(run, 10).await.expect("read").is_empty());
    db.execute("insert into member_queue (email) values ('late@example.org')").await;
    let row = db.store.new_rows(ACCOUNT, 1).await.expect("read").remove(0);
    let late = QueueRow {
        id: row.id,
        outcome: QueueOutcome::Pending {
            address: None,
            key_hash: key_hash(&row.email),
            tag_set: open.tag_set,
            batch: 0,
        },
    };
    let grown = PlannedBatch { rows: open.rows + 1, bytes: open.bytes + 20, ..open };
    let before = db.everything().await;
    let added = db.store.take_rows(queue_run(run), &[late], &[grown], (10, db.now()), db.now()).await;
    assert!(matches!(added, Err(StoreError::Lost { .. })), "a row would be delivered unsent");
    assert_eq!(db.everything().await, before);
    db.deliver(&claimed).await;
    assert_eq!(db.count("select count(*) from member_queue where state = 'delivered'").await, 2);
}

async fn the_ledger_moves_with_the_outcome_and_unites_tags(db: &Fixture) {
    let crowd = people(0..3);
    let worker = db.worker().await;
    let ledger = "select l.email_key, t.tags from ledger l join tag_sets t on t.id = l.tag_set_id order by 1";
    db.list(&refs(&crowd[..2]), "tag-vip", 9).await;
    let first = db.claim(worker, 1).await.remove(0);
    assert!(db.rows(ledger).await.is_empty(), "a request that left proves nothing");
    db.deliver(&first).await;
    db.list(&refs(&crowd[1..]), "tag-press", 9).await;
    let second = db.claim(worker, 1).await.remove(0);
    // The ledger cannot be written: then nothing of the outcome is.
    db.execute("alter table ledger rename to elsewhere").await;
    db.settle(super::fixture::delivered(&second)).await.expect_err("no ledger");
    db.execute("alter table elsewhere rename to ledger").await;
    assert_eq!(db.count("select count(*) from member_queue where state = 'delivered'").await, 2);
    assert_eq!(db.count("select count(*) from batches where state = 'in_flight'").await, 1);
    db.deliver(&second).await;
    let both = ["tag-vip", "tag-press;tag-vip", "tag-press"];
    let expected: Vec<_> =
        crowd.iter().zip(both).map(|(who, tags)| vec![who.clone(), tags.to_owned()]).collect();
    assert_eq!(db.rows(ledger).await, expected);
    assert_eq!(db.count("select members from accounts").await, 3);
    let mut hashes: Vec<i64> = crowd.iter().map(|who| key_hash(who)).collect();
    hashes.sort_unstable();
    let all = db.store.ledger_range(ACCOUNT, i64::MIN, i64::MAX).await.expect("read");
    let some = db.store.ledger_lookup(ACCOUNT, &hashes[1..]).await.expect("read");
    let found = |slice: &lumasync::store::LedgerSlice| -> Vec<i64> {
        slice.entries().expect("sound").iter().map(|entry| entry.key_hash).collect()
    };
    assert_eq!((found(&all), found(&some)), (hashes.clone(), hashes[1..].to_vec()));
}
