//! Several processes on one database, some of them dead, some only thought to be, some at odds about
//! what the database is for.

use lumasync::domain::outcome::FAULTS_IN_A_ROW;
use lumasync::sandbox::Options;

use crate::support::{Bench, Luma, PATIENCE, People, Running, faulty, wait_until};

#[test]
fn a_process_that_was_thought_dead_comes_back_and_settles_nothing_of_others() {
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 2\nworker.lease = \"5s\"";
    let (bench, people) = (Bench::new("slow=200ms", extra), People::clean(400, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let suspended = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "imports", || bench.luma.snapshot().imports >= 4);
    suspended.suspend();
    let worker = bench.db().count("select max(id) from workers");
    let in_flight = "select count(*) from batches where state = 'in_flight'";
    assert!(bench.db().count(in_flight) > 0, "it was suspended at a moment that proves nothing");

    let other = bench.sync(["list.csv"]).spawn();
    let is_gone = format!("select count(*) from workers where id = {worker}");
    wait_until(PATIENCE, "the end of its lease", || bench.db().count(&is_gone) == 0);
    wait_until(PATIENCE, "work by the other", || bench.db().count(in_flight) > 0);
    suspended.resume();
    let (back, other) = (suspended.wait().with_code(0), other.wait().with_code(0));
    assert!(back.stderr.contains("the outcome came too late"), "{back}");
    assert!(bench.luma.members() == people.members, "{back}\n{other}");
    let db = bench.db();
    assert!(db.count("select count(*) from attempts where verdict = 'abandoned'") > 0, "{back}");
    assert_eq!(db.count("select count(*) from attempts where verdict is null"), 0, "{back}");
    // Each batch was ended by the answer to a request that was still its own, and by one alone.
    let odd = "select count(*) from batches b where b.state <> 'delivered' or 1 <> \
               (select count(*) from attempts a where a.batch_id = b.id and a.verdict = 'accepted')";
    assert_eq!(db.count(odd), 0, "{back}\n{other}");
    assert_eq!(db.count("select count(*) from member_queue where state <> 'delivered' or attempts <> 1"), 0);
    assert_eq!(db.count("select members from accounts"), 400);
    for ended in [&back, &other] {
        assert_eq!(ended.report().rows("delivered"), 400, "{ended}");
    }
}

#[test]
fn a_rehearsal_and_real_work_are_never_mixed_in_one_database() {
    let (bench, people) = (Bench::new("", ""), People::clean(30, None));
    bench.scratch.write("list.csv", &people.csv);
    bench.sync(["--sandbox", "list.csv"]).run().with_code(0);
    let counts = "select (select count(*) from ledger) || ' ' || (select count(*) from runs)";
    assert_eq!(bench.db().rows(counts), [["30 1"]]);
    for args in [vec!["sync", "list.csv"], vec!["sync"], vec!["run"]] {
        let refused = bench.lumasync(args).run().with_code(78);
        assert!(refused.stderr.contains("the record of a rehearsal"), "{refused}");
        assert!(refused.stderr.contains("hint: use another database"), "{refused}");
    }
    assert_eq!((bench.luma.snapshot().requests, bench.db().rows(counts)), (0, vec![vec!["30 1".to_owned()]]));
    bench.sync(["--sandbox", "list.csv"]).run().with_code(0);

    let real = Bench::new("", "");
    real.scratch.write("list.csv", &people.csv);
    real.sync(["list.csv"]).run().with_code(0);
    for args in [vec!["sync", "--sandbox", "list.csv"], vec!["run", "--sandbox"]] {
        let refused = real.lumasync(args).run().with_code(78);
        assert!(refused.stderr.contains("the record of a real account"), "{refused}");
    }
    assert_eq!(real.db().rows(counts), [["30 1"]]);
    real.sync(["list.csv"]).run().with_code(0);
}

#[test]
fn rows_that_wait_for_the_real_luma_are_not_delivered_to_a_rehearsal() {
    let bench = Bench::new("", "");
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    let insert = "insert into member_queue (email) values ('ana@example.org')";
    bench.db_to_write().execute(insert);
    let refused = bench.sync(["--sandbox"]).run().with_code(78);
    assert!(refused.stderr.contains("rows that are not a rehearsal's"), "{refused}");
    assert_eq!(bench.db().rows("select state from member_queue"), [["new"]]);
    bench.sync([]).run().with_code(0);
    assert_eq!(bench.luma.members().len(), 1);
}

#[test]
fn a_pause_after_faults_in_a_row_holds_for_every_process_and_ends_with_a_good_answer() {
    let faults: Vec<String> = (1..FAULTS_IN_A_ROW + 3).map(|import| format!("500@{import}")).collect();
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 1\nretry.max_attempts = 50\n\
                 retry.initial_backoff = \"3s\"\nretry.max_backoff = \"3s\"";
    let bench = Bench::new(&format!("{},slow=150ms", faults.join(",")), extra);
    let services = [bench.serve(), bench.serve()];
    wait_until(PATIENCE, "both to know their key", || bench.luma.snapshot().requests == 2);
    let status = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(status.contains("workers   2 alive"), "{status}");
    for service in &services {
        let pid = format!("process {} here, heartbeat good for ", service.id());
        assert!(status.lines().any(|line| line.starts_with("worker ") && line.contains(&pid)), "{status}");
    }
    bench.db_to_write().execute(
        "with recursive n(i) as (select 0 union all select i + 1 from n where i < 199)
         insert into member_queue (email) select 'p' || i || '@example.org' from n",
    );
    let block =
        "select coalesce(cast(min(blocked_until) as text), '') from accounts where block_cause = 'faults'";
    let blocked_until = || bench.db().rows(block)[0][0].clone();
    wait_until(PATIENCE, "a pause", || !blocked_until().is_empty());
    let last = bench.db().count("select max(id) from attempts");
    let until = blocked_until();
    let left = "select count(*) from member_queue where state <> 'delivered'";
    wait_until(PATIENCE, "everybody's delivery", || bench.db().count(left) == 0);
    let meanwhile = format!("select count(*) from attempts where id > {last} and started_at < '{until}'");
    assert_eq!(bench.db().count(&meanwhile), 0, "nobody sends in a pause");
    let workers = "select count(distinct worker_id) from attempts where batch_id is not null";
    assert_eq!(bench.db().count(workers), 2, "both had work");
    assert_eq!(bench.db().rows("select faults, block_cause from accounts"), [["0", "NULL"]]);
    assert_eq!(bench.luma.members().len(), 200);
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
}

#[test]
fn while_luma_fails_two_processes_ask_one_at_a_time() {
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 4\nretry.max_attempts = 50\n\
                 retry.initial_backoff = \"300ms\"\nretry.max_backoff = \"300ms\"";
    let failing = Options { limit: None, ..faulty("500,slow=50ms") };
    let (bench, people) = (Bench::with(failing, extra), People::clean(800, None));
    let lines: Vec<&str> = people.csv.lines().skip(1).collect();
    bench.scratch.write("one.csv", format!("email,tags\n{}\n", lines[..400].join("\n")));
    bench.scratch.write("two.csv", format!("email,tags\n{}\n", lines[400..].join("\n")));
    let both: Vec<Running> = ["one.csv", "two.csv"].map(|file| bench.sync([file]).spawn()).into();
    let faults = || bench.db().count("select coalesce(max(faults), 0) from accounts");
    wait_until(PATIENCE, "faults", || bench.has_db() && faults() >= 25);
    for running in both {
        running.terminate();
        running.wait().with_code(143);
    }
    // What left before the fifth fault was known may overlap: as many as both can have under way.
    let overlapping = "select count(*) from attempts a join attempts b on b.id = a.id + 1 \
                       where a.batch_id is not null and b.batch_id is not null and b.started_at < a.finished_at \
                       and a.id > (select min(id) + 5 + 2 * 4 from attempts where batch_id is not null)";
    assert_eq!(bench.db().count(overlapping), 0);
    let mended = Luma::start(Options { limit: None, ..Options::default() });
    bench.point_to(&mended, extra);
    bench.sync([]).run().with_code(0);
    assert!(mended.members() == people.members);
}

#[test]
fn eight_processes_that_start_at_once_make_the_tables_once() {
    let bench = Bench::new("", "");
    let started: Vec<Running> = (0..8).map(|_| bench.lumasync(["db", "migrate"]).spawn()).collect();
    for running in started {
        running.wait().with_code(0);
    }
    let made =
        "select count(*) - count(distinct version), max(version), min(case when success then 1 else 0 end)
                from _sqlx_migrations";
    let newest = lumasync::store::Store::schema_version().to_string();
    assert_eq!(bench.db().rows(made), [["0", newest.as_str(), "1"]]);
    assert_eq!(bench.db().rows("select name from accounts"), [["main"]]);
}

#[test]
fn eight_processes_that_start_at_once_on_nothing_share_the_work() {
    let (bench, people) = (Bench::new("", "batch.max_rows = 7"), People::clean(400, Some("vip")));
    let lines: Vec<&str> = people.csv.lines().skip(1).collect();
    let started: Vec<Running> = (0..8)
        .map(|part| {
            let name = format!("{part}.csv");
            bench.scratch.write(&name, format!("email,tags\n{}\n", lines[part * 50..][..50].join("\n")));
            bench.sync([name.as_str()]).spawn()
        })
        .collect();
    for running in started {
        let ended = running.wait().with_code(0);
        assert_eq!(ended.report().rows("delivered"), 50, "{ended}");
    }
    assert!(bench.luma.members() == people.members);
    assert_eq!(bench.luma.snapshot().repeats, 0);
    assert_eq!(bench.db().count("select count(*) from workers"), 0, "everybody has signed off");
}
