//! What only a server can do to us: it goes away in the middle, it cuts connections, it keeps passwords.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use lumasync::clock::{Clock, Time};
use lumasync::store::{Store, StoreError, WorkerIdentity};

use crate::support::{
    Bench, Db, Outside, PATIENCE, People, Relay, Running, TestDatabase, own_cluster, url_in, wait_until,
    within,
};

const EXTRA: &str = "folder.path = \"\"\nbatch.max_rows = 10\nretry.max_attempts = 50\nqueue.max_rows = 300";
const FAULTS: &str = "500@5%,reset-after@3%,slow=10ms";

/// Rows of the queue as another program inserts them.
fn insert(db: &Db, rows: usize) {
    db.execute(&format!(
        "insert into member_queue (email, tags)
         select 'p' || i || '@example.org', case when i % 3 = 0 then 'vip' end from generate_series(1, {rows}) i"
    ));
}

fn delivered(bench: &Bench) -> i64 {
    bench.db().count("select count(*) from member_queue where state = 'delivered'")
}

/// Everybody arrived once in the database and with the right tags at Luma, and nothing is left open.
#[track_caller]
fn all_arrived(bench: &Bench, rows: usize, services: Vec<Running>) {
    let db = bench.db();
    wait_until(PATIENCE, "everybody's delivery", || {
        db.count("select count(*) from member_queue where state <> 'delivered'") == 0
    });
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
    let held = bench.luma.members();
    assert_eq!(held.len(), rows);
    assert_eq!((held["p3@example.org"].len(), held["p4@example.org"].len()), (1, 0));
    for (left, what) in [
        ("select count(*) from batches where state in ('pending', 'in_flight')", "batches"),
        ("select count(*) from attempts where verdict is null", "requests"),
        ("select count(*) from workers", "workers"),
    ] {
        assert_eq!(db.count(left), 0, "{what} are left open");
    }
    let rows = i64::try_from(rows).expect("few");
    assert_eq!(db.count("select members from accounts"), rows);
    assert_eq!(db.count("select count(*) from ledger"), rows);
    let requests = db.count("select count(*) from attempts where verdict <> 'abandoned'");
    let answered = i64::try_from(bench.luma.snapshot().requests).expect("few");
    assert!(requests <= answered, "{requests} requests on record, {answered} seen");
}

#[test]
fn a_server_that_stops_and_starts_three_times_costs_nothing() {
    let Some(mut cluster) = own_cluster() else { return };
    let bench = Bench::on(&cluster.url("postgres"), FAULTS, EXTRA);
    let services = vec![bench.serve(), bench.serve()];
    insert(&bench.db(), 4_000);
    for round in 1..=3 {
        wait_until(PATIENCE, "some deliveries", || delivered(&bench) >= round * 800);
        cluster.stop().expect("stopped");
        wait_until(PATIENCE, "a warning", || {
            services.iter().all(|service| service.stderr().matches("database").count() > 0)
        });
        cluster.start().expect("started");
    }
    all_arrived(&bench, 4_000, services);
}

#[test]
fn a_server_that_only_reads_for_a_while_is_waited_for() {
    let Some(mut cluster) = own_cluster() else { return };
    let bench = Bench::on(&cluster.url("postgres"), FAULTS, EXTRA);
    let service = bench.serve();
    insert(&bench.db(), 2_000);
    wait_until(PATIENCE, "some deliveries", || delivered(&bench) >= 400);
    cluster.stop().expect("done");
    // From its next start on it only reads, until it is promoted.
    std::fs::write(cluster.dir().join("data/standby.signal"), "").expect("a folder of ours");
    cluster.start().expect("done");
    let said = |what: &str| service.stderr().contains(what);
    wait_until(PATIENCE, "a warning", || said("read-only transaction"));
    let ended = bench.lumasync(["sync"]).run().with_code(75);
    assert!(ended.stderr.contains("name the one that takes writes"), "{ended}");
    let db = bench.db();
    // A standby refuses what these servers do by default.
    db.execute("set default_transaction_isolation = 'read committed'");
    assert_eq!(db.rows("select cast(pg_promote() as text)"), [["true"]]);
    assert!(!said("broke off"), "{}", service.stderr());
    all_arrived(&bench, 2_000, vec![service]);
}

#[test]
fn a_cancel_that_stands_in_the_way_of_another_transaction_is_tried_again() {
    let Some(database) = TestDatabase::new() else { return };
    let bench = Bench::on(&database.url, "", EXTRA);
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    bench.sync(["list.csv"]).env("TEST_LUMA_KEY", "another").run().with_code(78);
    let (holder, db) = (bench.db(), bench.db());
    // It is the cancel that finds out, however slow this machine is.
    db.execute(
        "do $$ begin execute format('alter database %I set deadlock_timeout = ''3s''', current_database()); end $$",
    );
    holder.execute("begin; set local deadlock_timeout = '1min'; select 1 from batches for update");
    let cancel = bench.lumasync(["runs", "cancel", "1"]).spawn();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    wait_until(PATIENCE, "the cancel to wait", || db.count(waits) == 1);
    holder.execute("select 1 from runs for update");
    holder.execute("commit");
    let ended = cancel.wait().with_code(0);
    assert!(ended.stdout.contains("run 1 is canceled: 1 row will not be sent"), "{ended}");
}

#[test]
fn connections_that_are_cut_at_random_cost_nothing() {
    let Some(database) = TestDatabase::new() else { return };
    let bench = Bench::on(&database.url, FAULTS, EXTRA);
    let services = vec![bench.serve(), bench.serve(), bench.serve()];
    let db = bench.db();
    insert(&db, 3_000);
    let mut rng = fastrand::Rng::with_seed(4);
    for cut in 0..40 {
        let _ = within(Duration::from_millis(rng.u64(20..120)), || false);
        db.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and pid <> pg_backend_pid() and random() < 0.5",
        );
        let left = db.count("select count(*) from member_queue where state <> 'delivered'");
        assert!(cut > 10 || left > 0, "it was done before the cuts: the test is too small");
    }
    all_arrived(&bench, 3_000, services);
}

#[test]
fn work_that_is_dropped_half_way_leaves_no_transaction_open() {
    let Some(database) = TestDatabase::new() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let store = Store::open_postgres(&database.url, "a test").await.expect("opened");
        let now = Clock::system().now();
        let identity = WorkerIdentity { host: "here".into(), pid: 1, birth: "1".into() };
        let worker = store.add_worker(&identity, now, now).await.expect("a worker");
        let outside = Outside::postgres(&database.url).await;
        let open = "select count(*) from pg_stat_activity
                     where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null";
        // Dropped after a growing number of steps: at the beginning, between statements, at the commit.
        for steps in 1..40 {
            let mut renewal = Box::pin(store.renew_worker(worker, &identity, now, now));
            let mut left = steps;
            poll_fn(|context| {
                left -= 1;
                if left == 0 { Poll::Ready(()) } else { renewal.as_mut().poll(context).map(|_| ()) }
            })
            .await;
            drop(renewal);
            let end = Clock::system().now().plus(PATIENCE);
            while outside.count(open).await > 0 {
                assert!(Clock::system().now() < end, "a transaction stays open after {steps} steps");
            }
        }
        let later = Time::from_micros(now.as_micros() + 1);
        store.renew_worker(worker, &identity, now, later).await.expect("renewed");
        assert_eq!(store.workers().await.expect("read")[0].lease_until, later);
        outside.close().await;
        store.close().await;
    });
}

/// More than there are connections.
const READS: usize = 12;

#[test]
fn a_server_that_is_gone_without_a_word_is_waited_for_no_longer_than_patience_lasts() {
    let Some(cluster) = own_cluster() else { return };
    let relay = Relay::to(&cluster);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let url = url_in(relay.folder(), "postgres");
        let store = Store::open_postgres_with(&url, "a test", Duration::from_secs(4)).await.expect("opened");
        let now = Clock::system().now();
        let identity = WorkerIdentity { host: "here".into(), pid: 1, birth: "1".into() };
        let worker = store.add_worker(&identity, now, now).await.expect("a worker");
        let (holder, outside) = (
            Outside::postgres(&cluster.url("postgres")).await,
            Outside::postgres(&cluster.url("postgres")).await,
        );
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        for round in 0..2 {
            holder.execute("begin; lock table workers in access exclusive mode").await;
            let write = {
                let (store, identity) = (store.clone(), identity.clone());
                tokio::spawn(async move { store.renew_worker(worker, &identity, now, now).await })
            };
            let reads: Vec<_> = (0..READS)
                .map(|_| {
                    let store = store.clone();
                    tokio::spawn(async move { store.workers().await.map(drop) })
                })
                .collect();
            let both_wait = async { while outside.count(waiting).await < 2 {} };
            tokio::time::timeout(PATIENCE, both_wait).await.expect("work that waits for an answer");
            relay.forget();
            holder.execute("rollback").await;
            for work in std::iter::once(write).chain(reads) {
                let done = tokio::time::timeout(PATIENCE, work).await.expect("an end").expect("no panic");
                assert!(done.as_ref().err().is_none_or(StoreError::is_passing), "round {round}: {done:?}");
            }
            // As soon as the others are given up.
            let renewed = async { while store.renew_worker(worker, &identity, now, now).await.is_err() {} };
            tokio::time::timeout(PATIENCE, renewed).await.expect("renewed by another connection");
        }
        holder.close().await;
        outside.close().await;
        store.close().await;
    });
}

#[test]
fn why_a_server_cannot_be_used_is_said_once_with_what_to_do() {
    let Some(cluster) = own_cluster() else { return };
    let nobody = cluster.url("postgres").replace("user=postgres", "user=nobody");
    let guest = cluster.url("postgres").replace("user=postgres", "user=guest");
    let away = cluster.url("postgres").replace("host=", "host=/nowhere");
    let outside = Bench::on(&cluster.url("postgres"), "", EXTRA);
    outside.lumasync(["db", "migrate"]).run().with_code(0);
    outside.db().execute("create role guest login");
    for (url, said, hint, code) in [
        (cluster.url("absent"), "database \"absent\" does not exist", "createdb", 1),
        (nobody, "role \"nobody\" does not exist", "pg_hba.conf", 1),
        (guest, "permission denied for table", "let the user own", 1),
        (cluster.url("postgres") + "&sslmode=often", "unknown value \"often\"", "what follows the `?`", 1),
        (away, "No such file or directory", "whether the server is up", 75),
        ("postgres://ana@127.0.0.1:9/members".to_owned(), "Connection refused", "try again", 75),
    ] {
        let ended = Bench::on(&url, "", EXTRA).lumasync(["status"]).run().with_code(code);
        assert_eq!(ended.stderr.matches(said).count(), 1, "{ended}");
        assert!(ended.stderr.contains(hint) && !ended.stderr.contains("at line"), "{ended}");
    }
}

#[test]
fn a_password_is_never_repeated() {
    // Nobody listens there.
    for url in
        ["postgres://ana:s3cret@127.0.0.1:9/members", "postgres://ana:s3cret@127.0.0.1:9/members?sslmode=x"]
    {
        let bench = Bench::on(url, "", EXTRA);
        for args in [vec!["check", "--connect"], vec!["sync"]] {
            let ended = bench.lumasync(["--log-level", "trace"].into_iter().chain(args)).run();
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!said.contains("s3cret"), "{ended}");
            assert!(said.contains("127.0.0.1/members"), "it names host and database\n{ended}");
        }
    }
}

#[test]
fn a_settle_reads_its_own_batch_and_no_others() {
    const ROWS: u64 = 3_000;
    let Some(database) = TestDatabase::new() else { return };
    let bench = Bench::on(&database.url, "", EXTRA);
    bench.scratch.write("list.csv", People::clean(ROWS, None).csv);
    let report = bench.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!(report.rows("delivered"), ROWS);
    // The server counts what a connection has read until it ends, and the tables have no statistics yet.
    let db = bench.db();
    let others = "select count(*) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
    wait_until(PATIENCE, "the end of its connections", || db.count(others) == 0);
    let read =
        db.count("select idx_tup_read from pg_stat_user_indexes where indexrelname = 'member_queue_batch'");
    let rows = i64::try_from(ROWS).expect("few");
    assert!(read >= rows, "nothing is counted: {read}");
    assert!(read < 20 * rows, "{read} entries read to settle {rows} rows");
}

#[test]
fn a_row_and_the_loss_of_its_batch_wait_for_each_other() {
    const ROW: &str = "insert into member_queue (email, run_id, state, batch_id, tag_set_id, key_hash)
                       select 'ana@example.org', run_id, 'pending', id, 0, 1 from batches";
    const LOSS: &str = "delete from batches";
    let Some(database) = TestDatabase::new() else { return };
    let bench = Bench::on(&database.url, "", EXTRA);
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    let (first, second, looking) = (bench.db(), bench.db(), bench.db());
    for db in [&first, &second] {
        db.execute("set session characteristics as transaction isolation level read committed");
    }
    first.execute(
        "insert into runs (account, source, started_by, label, status, created_at)
         values ('main', 'file', 'manual', 'list.csv', 'running', clock_timestamp());
         insert into batches (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at)
         select account, id, 0, 1, 1, 1, 'pending', created_at from runs",
    );
    let waits = "select count(*) from pg_stat_activity
                  where datname = current_database() and wait_event_type = 'Lock'";
    for (earlier, later) in [(ROW, LOSS), (LOSS, ROW)] {
        first.execute("delete from member_queue");
        first.execute(&format!("begin; {earlier}"));
        std::thread::scope(|scope| {
            let later = scope.spawn(|| second.try_execute(later));
            wait_until(PATIENCE, "the wait", || looking.count(waits) == 1);
            first.execute("commit");
            let refused = later.join().expect("carried out").expect_err("both happened");
            assert!(refused.contains("which is not there"), "{refused}");
        });
    }
    assert_eq!(
        looking.rows("select count(*), (select count(*) from batches) from member_queue"),
        [["0", "0"]]
    );
}
