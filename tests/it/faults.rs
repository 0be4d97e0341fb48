//! Luma and the network at their worst: everything arrives, and nothing is called delivered that was not.

use std::time::{Duration, Instant};

use lumasync::sandbox::{Limit, Options};

use crate::support::{Bench, Ended, KEY, Luma, PATIENCE, People, faulty, import_route, wait_until};

pub(crate) const SMALL: &str = "batch.max_rows = 10\nluma.timeout = \"500ms\"\n";

/// Every row that the database calls delivered is held by Luma.
#[track_caller]
pub(crate) fn no_false_delivery(bench: &Bench, ended: &Ended) {
    let held = bench.luma.members();
    let said = bench.db().rows("select email from member_queue where state = 'delivered'");
    let missing: Vec<_> = said.iter().filter(|row| !held.contains_key(&row[0].to_lowercase())).collect();
    assert!(missing.is_empty(), "{} rows are called delivered and are not\n{ended}", missing.len());
}

#[test]
fn a_passing_fault_of_any_kind_costs_no_row() {
    // What it costs: rows that Luma had already, sent again because its answer was lost.
    let kinds = [
        ("500@2", 0),
        ("502@1", 0),
        ("503@3", 0),
        ("504@5", 0),
        ("408@2", 0),
        ("425@2", 0),
        ("reset@2", 0),
        ("html@2", 0),
        ("html-ok@2", 0),
        ("reset-after@2", 10),
        ("empty@2", 10),
        ("truncated@2", 10),
        ("slow=30s@2", 10),
        ("500@1,503@2,reset@3,html-ok@4,empty@5,truncated@6,reset-after@7", 30),
        ("500@20%,reset@10%", 0),
    ];
    for (faults, repeats) in kinds {
        let (bench, people) = (Bench::new(faults, SMALL), People::clean(100, Some("vip")));
        bench.scratch.write("list.csv", &people.csv);
        let ended = bench.sync(["list.csv"]).run().with_code(0);
        assert!(bench.luma.members() == people.members, "{faults}\n{ended}");
        assert_eq!(ended.report().rows("delivered"), 100, "{faults}\n{ended}");
        assert_eq!(bench.luma.snapshot().repeats, repeats, "{faults}\n{ended}");
        let attempts = bench.db().count("select count(*) from attempts where verdict <> 'accepted'");
        assert!(attempts > 0, "{faults} was never met\n{ended}");
    }
}

#[test]
fn a_lasting_fault_fails_the_rows_and_is_never_called_a_delivery() {
    for faults in ["html-ok", "empty", "truncated", "500", "reset", "reset-after", "html", "slow=30s"] {
        let extra = "batch.max_rows = 10\nretry.max_attempts = 2\nluma.timeout = \"200ms\"\n";
        let (bench, people) = (Bench::new(faults, extra), People::clean(30, None));
        bench.scratch.write("list.csv", &people.csv);
        let ended = bench.sync(["list.csv"]).run().with_code(4);
        let report = ended.report();
        assert_eq!((report.rows("failed"), report.rows("delivered")), (30, 0), "{faults}\n{ended}");
        assert_eq!(report.causes(), [("attempts_exhausted".to_owned(), 30)], "{faults}\n{ended}");
        assert_eq!(bench.db().count("select count(*) from ledger"), 0, "{faults}\n{ended}");
        no_false_delivery(&bench, &ended);
        let attempts = bench.db().rows("select distinct attempts from member_queue");
        assert_eq!(attempts, [["2"]], "{faults}\n{ended}");

        let mended = Luma::start(Options { limit: None, ..Options::default() });
        bench.point_to(&mended, extra);
        bench.lumasync(["retry"]).run().with_code(0);
        let ended = bench.sync([]).run().with_code(0);
        assert!(mended.members() == people.members, "{faults}\n{ended}");
    }
}

#[test]
fn a_storm_of_faults_ends_with_every_person_held() {
    let faults = "500@15%,reset@10%,reset-after@10%,html-ok@5%,empty@5%,truncated@5%,408@2%,425@2%";
    let options = Options { limit: None, seed: 5, ..faulty(faults) };
    let bench =
        Bench::with(options, "batch.max_rows = 20\nretry.max_attempts = 30\nretry.max_backoff = \"20ms\"");
    let people = People::messy(3_000, 3);
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    assert!(bench.luma.members() == people.members, "{ended}");
    assert_eq!(ended.report().rows("delivered"), people.members.len() as u64);
    assert_eq!(ended.report().rows("failed"), 0);
}

#[test]
fn a_wrong_key_ends_at_once_and_the_right_one_goes_on() {
    let (bench, people) = (Bench::new("", SMALL), People::clean(50, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).env("TEST_LUMA_KEY", "some-other-key").run().with_code(78);
    assert!(ended.stderr.contains("key refused"), "{ended}");
    let counts = bench.luma.snapshot();
    assert_eq!((counts.requests, counts.imports), (1, 0), "{ended}");
    assert_eq!(bench.db().count("select count(*) from member_queue where state = 'pending'"), 50);
    let why = "key refused: 401: You are not signed in; `lumasync sync` goes on once the key is right";
    for args in [vec!["status"], vec!["runs", "show", "1"]] {
        let said = bench.lumasync(args).run().with_code(0);
        assert!(said.stdout.contains(why), "{said}");
    }
    let said = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&said["standing_runs"][0]["run"], &said["runs"][0]["status"]),
        (&1.into(), &"running".into())
    );
    let said = bench.lumasync(["--output", "json", "runs", "show", "1"]).run().with_code(0).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(
        said["reason"].as_str().is_some_and(|reason| reason.starts_with("stopped: key refused")),
        "{said}"
    );

    let ended = bench.sync([]).run().with_code(0);
    assert!(bench.luma.members() == people.members, "{ended}");
    assert_eq!(ended.report().0["reason"], serde_json::Value::Null, "{ended}");
    let said = bench.lumasync(["status"]).run().with_code(0);
    assert!(!said.stdout.contains("stopped"), "{said}");
}

#[test]
fn a_service_that_starts_with_a_wrong_key_leaves_the_reason_too() {
    let (bench, people) = (Bench::new("", SMALL), People::clean(20, None));
    bench.scratch.write("list.csv", &people.csv);
    bench.sync(["list.csv"]).env("TEST_LUMA_KEY", "some-other-key").run().with_code(78);
    let db = bench.db_to_write();
    db.execute("update runs set reason = null");
    bench.lumasync(["run"]).env("TEST_LUMA_KEY", "some-other-key").run().with_code(78);
    let said = bench.lumasync(["status"]).run().with_code(0);
    assert!(said.stdout.contains("stopped   run 1: key refused"), "{said}");
}

#[test]
fn one_block_is_one_warning() {
    let window = Duration::from_secs(1);
    let limit = Some(Limit { requests: 4, window, block: window });
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 8\nluma.rate_limit.requests = 1000";
    let (bench, people) =
        (Bench::with(Options { limit, ..faulty("slow=100ms") }, extra), People::clean(100, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    let warned = ended.stderr.lines().filter(|line| line.contains("too many requests")).count() as u64;
    let throttled = bench.luma.snapshot().throttled;
    assert!(warned >= 1 && warned < throttled, "{warned} warnings for {throttled} answers\n{ended}");
}

#[test]
fn a_key_that_is_revoked_half_way_stops_the_run_and_keeps_its_rows() {
    let extra = format!("{SMALL}luma.max_in_flight = 1");
    let (bench, people) = (Bench::new("401@3+", &extra), People::clean(100, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(78);
    let report = ended.report();
    assert_eq!((report.rows("delivered"), report.rows("pending")), (20, 80), "{ended}");
    assert!(report.text("reason").contains("401"), "{ended}");
    assert_eq!(bench.luma.snapshot().requests, 4, "one refusal is enough\n{ended}");
    assert_eq!(bench.db().count("select sum(attempts) from member_queue where state = 'pending'"), 0);

    let mended = Luma::start(Options { limit: None, ..Options::default() });
    bench.point_to(&mended, &extra);
    let standing = bench.lumasync(["status"]).run();
    assert!(standing.stdout.contains("Luma refuses every request: 401"), "{standing}");
    let ended = bench.sync([]).run().with_code(0);
    assert_eq!(mended.members().len(), 80, "{ended}");
}

#[test]
fn a_lapsed_plan_stops_the_run_and_blames_no_row() {
    let (bench, people) = (Bench::new("plan", SMALL), People::clean(500, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(78);
    let report = ended.report();
    assert_eq!((report.text("status"), report.rows("pending")), ("running", 500), "{ended}");
    assert!(report.text("reason").contains("plan"), "{ended}");
    assert_eq!(ended.stderr.matches("not because of its rows").count(), 1, "told once\n{ended}");
    let requests = bench.luma.snapshot().requests;
    assert!(requests <= 1 + 4, "{requests} requests, and at most those in flight had to be\n{ended}");
}

#[test]
fn bodies_that_are_too_large_are_halved_and_the_ceiling_is_remembered() {
    let (bench, people) = (Bench::new("max-rows=100", ""), People::clean(5_000, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    let counts = bench.luma.snapshot();
    assert!(bench.luma.members() == people.members, "{ended}");
    assert_eq!(counts.repeats, 0);
    // Without a memory each of the ten would be refused 7 times.
    let refused = counts.answers[import_route()].get(&413).copied().unwrap_or(0);
    assert!(refused <= 20 && counts.requests <= 1 + 80 + 20, "{counts:?}");

    bench.scratch.write("more.csv", People::clean(6_000, None).csv);
    bench.sync(["more.csv"]).run().with_code(0);
    let after = bench.luma.snapshot().answers[import_route()][&413];
    assert_eq!(after, refused, "the next run knows the ceiling");
}

#[test]
fn everybody_waits_for_as_long_as_a_429_says() {
    let window = Duration::from_secs(2);
    let limit = Some(Limit { requests: 1_000, window, block: window });
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 1\nluma.rate_limit.window = \"60s\"";
    let (bench, people) = (Bench::with(Options { limit, ..faulty("429@2") }, extra), People::clean(50, None));
    bench.scratch.write("list.csv", &people.csv);
    let begun = Instant::now();
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    let spent = begun.elapsed();
    assert!(bench.luma.members() == people.members, "{ended}");
    assert_eq!(bench.luma.snapshot().throttled, 1, "{ended}");
    assert!(spent >= window && spent < window * 5, "{spent:?}\n{ended}");
    let attempts = bench.db().rows("select distinct attempts from member_queue");
    assert_eq!(attempts, [["1"]], "a throttled send costs no attempt");
}

#[test]
fn a_429_for_one_process_holds_back_the_next() {
    let window = Duration::from_secs(2);
    let limit = Some(Limit { requests: 1_000, window, block: window });
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 1\nluma.rate_limit.window = \"60s\"";
    let bench = Bench::with(Options { limit, ..faulty("429@1") }, extra);
    let people = People::clean(20, None);
    bench.scratch.write("list.csv", &people.csv);
    let first = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "a 429", || bench.luma.snapshot().throttled == 1);
    let has_block = || bench.db().count("select count(*) from accounts where blocked_until is not null") == 1;
    wait_until(PATIENCE, "the block on record", has_block);
    first.kill();
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(bench.luma.snapshot().throttled, 1, "the block is kept over restarts\n{ended}");
    assert!(bench.luma.members() == people.members);
}

#[test]
fn a_luma_out_of_reach_is_tried_later() {
    let (bench, people) = (Bench::new("", "retry.max_attempts = 2"), People::clean(10, None));
    bench.scratch.write("list.csv", &people.csv);
    bench.write_config("http://127.0.0.1:9", "retry.max_attempts = 2");
    let ended = bench.sync(["list.csv"]).run().with_code(75);
    assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY), "{ended}");
    bench.configure("");
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert!(bench.luma.members() == people.members, "{ended}");
    no_false_delivery(&bench, &ended);
}
