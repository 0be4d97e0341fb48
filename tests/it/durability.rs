//! `kill -9` at any moment, and SIGTERM: nothing is lost, nothing is stuck, nothing is claimed in vain.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lumasync::sandbox::Options;

use crate::support::{Bench, Binary, Members, PATIENCE, People, faulty, wait_until, within};

/// Every row that the database calls delivered is held by Luma, with its tags.
#[track_caller]
fn nothing_is_called_delivered_in_vain(bench: &Bench) {
    let held: Members = bench.luma.members();
    let said = bench.db().rows(
        "select lower(coalesce(q.address, q.email)), t.tags from member_queue q \
         join tag_sets t on t.id = q.tag_set_id where q.state = 'delivered' \
         union all select l.email_key, t.tags from ledger l join tag_sets t on t.id = l.tag_set_id",
    );
    for row in said {
        let has = held.get(&row[0]).unwrap_or_else(|| panic!("`{}` is called delivered and is not", row[0]));
        let (has, wants): (BTreeSet<&str>, BTreeSet<&str>) = (
            has.iter().map(String::as_str).collect(),
            row[1].split(';').filter(|tag| !tag.is_empty()).collect(),
        );
        assert!(wants.is_subset(&has), "`{}` has {has:?} and not all of {wants:?}", row[0]);
    }
}

#[test]
fn kills_at_twenty_random_moments_lose_nothing_and_leave_nothing_stuck() {
    let options = Options { limit: None, seed: 9, ..faulty("500@10%,reset@5%,reset-after@5%,slow=10ms") };
    let extra = "batch.max_rows = 20\nretry.max_attempts = 50\nretry.max_backoff = \"20ms\"\n\
                 luma.rate_limit.per_second = 20";
    let (bench, people) = (Bench::with(options, extra), People::messy(12_000, 21));
    bench.scratch.write("list.csv", &people.csv);
    let mut rng = Rng::with_seed(42);
    let mut kills = 0;
    while kills < 20 {
        let imports = bench.luma.snapshot().imports;
        let running = bench.sync(["list.csv"]).spawn();
        // Some while it opens and takes in, most while it sends.
        let moment = Duration::from_millis(match kills % 4 {
            0 => rng.u64(5..120),
            1 => rng.u64(60..400),
            _ => {
                wait_until(PATIENCE, "a request", || bench.luma.snapshot().imports > imports);
                rng.u64(0..200)
            }
        });
        let begun = Instant::now();
        let _ = within(moment, || begun.elapsed() >= moment);
        let ended = running.kill();
        assert_eq!(ended.signal(), Some(9), "it was done before the kill: the test is too small\n{ended}");
        kills += 1;
        if bench.has_db() {
            nothing_is_called_delivered_in_vain(&bench);
        }
    }
    let before = bench.db().count("select count(*) from member_queue where state = 'delivered'");
    assert!(before > 0, "no kill met a run that sends");
    bench.configure("batch.max_rows = 20\nretry.max_attempts = 50\nretry.max_backoff = \"20ms\"");
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let report = ended.report();
    assert!(bench.luma.members() == people.members, "{ended}");
    nothing_is_called_delivered_in_vain(&bench);
    assert_eq!(report.rows("delivered"), people.members.len() as u64, "{ended}");
    assert_eq!(report.rows("invalid"), people.invalid + people.unknown_tags, "{ended}");
    assert_eq!(report.rows("duplicate"), people.duplicates, "{ended}");
    assert_eq!(report.rows("read"), people.rows, "{ended}");
    let left = "select count(*) from batches where state in ('pending', 'in_flight')";
    assert_eq!(bench.db().count(left), 0, "{ended}");
    assert_eq!(bench.db().count("select count(*) from attempts where verdict is null"), 0, "{ended}");
    assert_eq!(bench.db().count("select count(*) from runs"), 1, "{ended}");
    assert_eq!(
        bench.db().count("select members from accounts"),
        i64::try_from(people.members.len()).expect("few")
    );
    if bench.is_sqlite() {
        assert_eq!(bench.db().rows("pragma integrity_check"), [["ok"]]);
    }
}

#[test]
fn a_request_that_was_under_way_at_a_kill_is_sent_again_and_not_counted_as_an_attempt() {
    let (bench, people) =
        (Bench::new("slow=30s@1", "batch.max_rows = 10\nluma.max_in_flight = 1"), People::clean(30, None));
    bench.scratch.write("list.csv", &people.csv);
    let running = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "an import", || bench.luma.snapshot().imports == 1);
    running.kill();
    assert_eq!(bench.db().count("select count(*) from batches where state = 'in_flight'"), 1);
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(bench.luma.snapshot().repeats, 10, "an import may be repeated\n{ended}");
    assert!(bench.luma.members() == people.members);
    let verdicts =
        bench.db().rows("select verdict, count(*) from attempts where batch_id is not null group by 1");
    assert_eq!(verdicts, [["abandoned", "1"], ["accepted", "3"]], "{ended}");
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_releases_the_rest_without_cost() {
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 2";
    let (bench, people) = (Bench::new("slow=300ms", extra), People::clean(1_000, None));
    bench.scratch.write("list.csv", &people.csv);
    let running = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "imports", || bench.luma.snapshot().imports >= 4);
    running.terminate();
    let ended = running.wait().with_code(143);
    let imports = i64::try_from(bench.luma.snapshot().imports).expect("few");
    assert!(imports < 20, "it went on as if nothing had been said\n{ended}");
    let db = bench.db();
    let delivered = db.count("select count(*) from member_queue where state = 'delivered'");
    assert_eq!(delivered, imports * 10, "what was in flight is settled\n{ended}");
    assert_eq!(db.count("select count(*) from member_queue where state = 'pending'"), 1_000 - delivered);
    assert_eq!(db.count("select count(*) from batches where state = 'in_flight'"), 0, "{ended}");
    assert_eq!(db.count("select coalesce(sum(attempts), 0) from batches where state = 'pending'"), 0);
    assert_eq!(db.count("select count(*) from attempts where verdict is null or verdict = 'abandoned'"), 0);
    drop(db);

    bench.configure("batch.max_rows = 10");
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(
        (bench.luma.members().len(), bench.luma.snapshot().repeats),
        (people.members.len(), 0),
        "{ended}"
    );
}

#[test]
fn sigterm_while_everybody_waits_for_the_quota_ends_at_once() {
    let extra = "batch.max_rows = 10\nluma.rate_limit.requests = 3\nluma.rate_limit.window = \"60s\"\n\
                 luma.rate_limit.reserve = 0";
    let (bench, people) = (Bench::new("", extra), People::clean(100, None));
    bench.scratch.write("list.csv", &people.csv);
    let running = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "a full window", || bench.luma.snapshot().requests == 3);
    let begun = Instant::now();
    running.terminate();
    let ended = running.wait().with_code(143);
    assert!(begun.elapsed() < Duration::from_secs(5), "{ended}");
    assert_eq!(bench.luma.members().len(), 20);
}

/// Lets a process write no file beyond this size, as a full disk would.
#[cfg(target_os = "linux")]
fn limit_files(pid: u32, bytes: &str) {
    let (limit, pid) = (format!("--fsize={bytes}:unlimited"), pid.to_string());
    let set = std::process::Command::new("prlimit").args([&limit, "--pid", &pid]).status();
    assert!(set.expect("the program `prlimit`").success(), "no limit for {pid}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_holds_a_run_up_and_costs_it_nothing() {
    let bench = Bench::new("slow=40ms", "batch.max_rows = 10");
    if !bench.is_sqlite() {
        // The disk is the server's, and not to be filled from here.
        return;
    }
    let people = People::clean(1_000, None);
    bench.scratch.write("list.csv", &people.csv);
    // Without the trap the system would end the process.
    let script = format!("trap '' XFSZ; exec {} --output json sync list.csv", env!("CARGO_BIN_EXE_lumasync"));
    let running = Binary::other("sh", &bench.scratch, ["-c", &script]).spawn();
    wait_until(PATIENCE, "a request", || bench.luma.snapshot().imports > 8);
    let log = bench.scratch.path("t.db-wal").metadata().expect("a log").len();
    limit_files(running.id(), &log.to_string());
    wait_until(PATIENCE, "the full disk", || running.stderr().contains("could not write an outcome yet"));
    limit_files(running.id(), "unlimited");
    let ended = running.wait().with_code(0);
    assert_eq!(ended.report().rows("delivered"), 1_000, "{ended}");
    assert_eq!((bench.luma.members(), bench.luma.snapshot().repeats), (people.members, 0), "{ended}");
    nothing_is_called_delivered_in_vain(&bench);
}
