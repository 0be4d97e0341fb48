//! Whatever holds the proof up: kills, other processes, blocks, faults, a key that is refused.

use std::time::Duration;

use lumasync::sandbox::{Limit, Options};

use super::{APPLY, LIST, asked, bench, in_state, lines, lost, options};
use crate::support::{Bench, PATIENCE, People, wait_until};

/// A Luma that gives ten people a page, and takes its time.
fn slow_reader(faults: &str, verify: &str) -> Bench {
    let mut options = options(faults);
    options.settings.max_page_size = 10;
    Bench::with(options, &lines(verify, ""))
}

/// How many pages of the list are written down.
fn pages(bench: &Bench) -> i64 {
    // Before the first import there may be no tables yet.
    let is_begun = bench.luma.snapshot().imports > 0;
    if is_begun { bench.db().count("select coalesce(sum(pages), 0) from proofs") } else { 0 }
}

#[test]
fn a_kill_in_the_middle_of_the_list_costs_one_page() {
    let (bench, people) = (slow_reader("reads:slow=10ms", "full"), People::clean(1_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    for goal in [20, 50, 80] {
        let running = bench.sync(["list.csv"]).spawn();
        wait_until(PATIENCE, "some pages", || pages(&bench) >= goal);
        running.kill();
        let verified = bench.db().count("select count(*) from member_queue where state = 'verified'");
        assert!((goal * 10..1_000).contains(&verified), "{verified} after {goal} pages");
    }
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(ended.report().rows("verified"), 1_000, "{ended}");
    let pages = asked(&bench, LIST);
    // A hundred pages hold them all; a page that was asked for when the kill came is asked for again.
    assert!((100..=103).contains(&pages), "{pages} pages");
    assert_eq!(bench.luma.snapshot().rows_received, 1_000);
}

#[test]
fn of_two_processes_one_proves_and_the_other_goes_on_where_it_died() {
    let (bench, people) = (slow_reader("reads:slow=10ms", "full"), People::clean(1_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let first = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "some pages", || pages(&bench) >= 5);
    let second = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "more pages", || pages(&bench) >= 40);
    assert_eq!(bench.db().count("select claims from proofs"), 1, "the second one took it over");
    first.kill();
    let ended = second.wait().with_code(0);
    assert_eq!(ended.report().rows("verified"), 1_000, "{ended}");
    assert_eq!(bench.db().count("select claims from proofs"), 2);
    let pages = asked(&bench, LIST);
    assert!((100..=102).contains(&pages), "{pages} pages");
}

#[test]
fn blocks_and_faults_in_the_middle_only_take_time() {
    let limit =
        Some(Limit { requests: 100_000, window: Duration::from_secs(1), block: Duration::from_secs(1) });
    let faults =
        "lose=2%,reads:500@3,reads:429@5,reads:html@7,reads:reset@9,reads:empty@11,reads:truncated@13";
    let mut slow = Options { limit, ..options(faults) };
    slow.settings.max_page_size = 10;
    let (bench, people) = (Bench::with(slow, &lines("full", "")), People::clean(500, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let lost = lost(&bench, &people);
    assert!(!lost.is_empty() && in_state(&bench, "missing") == lost, "{ended}");
    assert_eq!(ended.report().rows("verified"), 500 - lost.len() as u64, "{ended}");

    let tagging = Options { limit, ..options("tags:503@2,tags:429@3,tags:reset-after@4") };
    let counted = Bench::with(tagging, &lines("counts", "batch.max_rows = 50"));
    counted.scratch.write("list.csv", &people.csv);
    let ended = counted.sync(["list.csv"]).run().with_code(0);
    assert_eq!(ended.report().rows("verified"), 500, "{ended}");
    assert_eq!(counted.db().count("select faults from accounts where name = 'main'"), 0);
}

#[test]
fn the_quota_holds_with_the_proof_in_it() {
    let limit = Limit { requests: 20, window: Duration::from_secs(2), block: Duration::from_secs(5) };
    let mut options = options("");
    (options.limit, options.settings.max_page_size) = (Some(limit), 25);
    let rate = "luma.rate_limit.requests = 20\nluma.rate_limit.window = \"2s\"\nluma.rate_limit.reserve = 2\n\
                luma.rate_limit.per_second = 1000";
    let (bench, people) = (Bench::with(options, &lines("full", rate)), People::clean(1_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(ended.report().rows("verified"), 1_000, "{ended}");
    let counts = bench.luma.snapshot();
    assert_eq!((counts.throttled, asked(&bench, LIST)), (0, 40), "{ended}");
    assert!(counts.max_in_window <= 18, "{counts:?}");
}

#[test]
fn where_luma_does_not_tell_nothing_is_called_verified_or_missing() {
    let people = People::clean(300, Some("vip"));
    for (verify, faults, route) in [
        ("full", "reads:403@3+", LIST),
        ("full", "reads:404@3+", LIST),
        ("full", "reads:400@3+", LIST),
        ("full", "reads:500@3+", LIST),
        ("counts", "tags:403", APPLY),
        ("counts", "tags:404", APPLY),
        ("counts", "tags:400", APPLY),
        ("counts", "tags:500", APPLY),
    ] {
        let extra = "retry.max_attempts = 3\nretry.max_backoff = \"20ms\"";
        let bench = bench(faults, verify, extra);
        bench.scratch.write("list.csv", &people.csv);
        let (code, status) = if verify == "full" { (4, "partial") } else { (0, "succeeded") };
        let ended = bench.sync(["list.csv"]).run().with_code(code);
        let report = ended.report();
        assert_eq!(
            (report.rows("delivered"), report.number("unverified")),
            (300, 300),
            "{verify}, {faults}\n{ended}"
        );
        assert_eq!(report.text("status"), status);
        assert!(report.text("reason").starts_with("300 delivered rows could not be verified: "), "{ended}");
        assert!((1..=3).contains(&asked(&bench, route)), "{verify}, {faults}\n{ended}");
        assert_eq!(bench.db().count("select count(*) from ledger"), 300);

        // Once Luma tells, a retry is enough, and sends nothing.
        let mended = crate::support::Luma::start(options(""));
        bench.point_to(&mended, &lines("none", ""));
        bench.db_to_write().execute("delete from ledger");
        bench.sync(["--again", "list.csv"]).run().with_code(0);
        bench.point_to(&mended, &lines(verify, ""));
        bench.lumasync(["retry", "--run", "1"]).run().with_code(0);
        bench.sync([]).run().with_code(0);
        let rows =
            bench.db().rows("select state, count(*) from member_queue where run_id = 1 group by state");
        assert_eq!(
            (rows, mended.snapshot().rows_received),
            (vec![vec!["verified".to_owned(), "300".to_owned()]], 300)
        );
    }
}

#[test]
fn a_key_that_is_refused_meanwhile_keeps_the_proof_for_later() {
    // The first things that are read are the tags and whom the key belongs to.
    let (bench, people) = (bench("reads:401@3", "full", ""), People::clean(300, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(78);
    assert_eq!(
        bench.db().count("select count(*) from member_queue where state = 'delivered'"),
        300,
        "{ended}"
    );
    let status = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(status.contains("300 rows of 1 request still to be verified"), "{status}");
    let ended = bench.sync([]).run().with_code(0);
    assert_eq!(ended.report().rows("verified"), 300, "{ended}");
}

#[test]
fn a_run_that_is_given_up_while_it_is_proved_keeps_what_was_delivered() {
    let (bench, people) = (slow_reader("reads:slow=10ms", "full"), People::clean(1_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let running = bench.sync(["list.csv"]).spawn();
    wait_until(PATIENCE, "some pages", || pages(&bench) >= 5);
    bench.lumasync(["runs", "cancel", "1"]).run().with_code(0);
    let ended = running.wait().with_code(4);
    assert_eq!(ended.report().text("status"), "canceled", "{ended}");
    let report = ended.report();
    assert_eq!(report.rows("verified") + report.rows("delivered"), 1_000, "{ended}");
    assert!(report.rows("delivered") > 0 && asked(&bench, LIST) < 100, "{ended}");
    assert_eq!(bench.db().count("select count(*) from sought"), 0);
}
