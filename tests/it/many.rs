//! Many processes on one Postgres, some of them killed all the time.

use lumasync::sandbox::{Limit, Options};

use crate::support::{Bench, Db, PATIENCE, Running, TestDatabase, faulty, wait_until};

/// Rows of the queue; `LUMASYNC_TEST_MANY` asks for more.
fn rows() -> usize {
    std::env::var("LUMASYNC_TEST_MANY").map_or(12_000, |rows| rows.parse().expect("a number of rows"))
}

/// The tags that a person is to have: every third none, the others one of two.
fn tags(person: usize) -> &'static [&'static str] {
    [&[][..], &["tag-vip"], &["tag-press"]][person % 3]
}

#[test]
fn of_four_processes_two_are_killed_again_and_again_and_everybody_arrives_once() {
    let Some(database) = TestDatabase::new() else { return };
    let (rows, window) = (rows(), std::time::Duration::from_secs(1));
    // Large enough to be done some day, small enough to be the limit; nothing is left to others.
    let requests = 60;
    let limit = Some(Limit { requests, window, block: window });
    let extra = format!(
        "folder.path = \"\"\nbatch.max_rows = 50\nqueue.max_rows = 1000\nretry.max_attempts = 50\n\
         retry.max_backoff = \"1s\"\nluma.rate_limit.requests = {requests}\nluma.rate_limit.window = \"1s\"\n\
         luma.rate_limit.reserve = 0\nluma.rate_limit.per_second = 1000\nworker.lease = \"5s\""
    );
    let options = Options { limit, ..faulty("500@3%,reset@2%,reset-after@3%,slow=20ms") };
    let bench = Bench::with_options_on(&database.url, options, &extra);
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    let db = bench.db();
    db.execute(&format!(
        "insert into member_queue (email, tags)
         select 'p' || i || '@example.org', (array[null, 'vip', 'press'])[i % 3 + 1] from generate_series(1, {rows}) i"
    ));
    let mut services: Vec<Running> = (0..4).map(|_| bench.serve()).collect();
    let mut rng = fastrand::Rng::with_seed(11);
    let (mut kills, mut last) = (0, 0);
    let delivered = || db.count("select count(*) from member_queue where state = 'delivered'");
    let step = i64::try_from(rows / 8).expect("few");
    while delivered() < step * 7 {
        // Both in the middle of something: each of the rounds has got somewhere.
        wait_until(PATIENCE * 10, "some deliveries", || delivered() >= (last + step).min(step * 7));
        last = delivered();
        for _ in 0..2 {
            let victim = services.swap_remove(rng.usize(..services.len()));
            assert_eq!(victim.kill().signal(), Some(9));
            services.push(bench.serve());
            kills += 1;
        }
    }
    assert!(kills >= 4, "{kills} kills prove little");
    wait_until(PATIENCE * 10, "everybody's delivery", || delivered() == i64::try_from(rows).expect("few"));
    wait_until(PATIENCE, "the end of the run", || {
        db.count("select count(*) from runs where status in ('queued', 'running')") == 0
    });
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
    nobody_is_missing_and_nothing_is_left(&bench, &db, rows);
    let seen = bench.luma.snapshot();
    assert_eq!(seen.throttled, 0, "{seen:?}");
    assert!(seen.max_in_window <= requests as usize, "{seen:?}");
}

#[track_caller]
fn nobody_is_missing_and_nothing_is_left(bench: &Bench, db: &Db, rows: usize) {
    let held = bench.luma.members();
    assert_eq!(held.len(), rows);
    for person in 1..=rows {
        assert_eq!(held[&format!("p{person}@example.org")], tags(person), "person {person}");
    }
    for (left, what) in [
        ("select count(*) from member_queue where state <> 'delivered'", "rows"),
        ("select count(*) from batches where state in ('pending', 'in_flight')", "batches"),
        ("select count(*) from attempts where verdict is null", "requests"),
        ("select count(*) from runs where status in ('queued', 'running', 'failed')", "runs"),
    ] {
        assert_eq!(db.count(left), 0, "{what} are left");
    }
    assert_eq!(db.count("select members from accounts"), i64::try_from(rows).expect("few"));
    // A request that Luma saw is on record; one on record was perhaps killed before it left.
    let answered = i64::try_from(bench.luma.snapshot().requests).expect("few");
    assert!(db.count("select count(*) from attempts") >= answered);
}
