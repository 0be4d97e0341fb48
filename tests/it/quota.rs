//! The rate limit: never overrun, and used to the full, over crashes and over processes.

use std::time::{Duration, Instant};

use lumasync::sandbox::{Limit, Options};

use crate::support::{Bench, PATIENCE, People, wait_until};

/// A Luma that allows so many requests in so many seconds and blocks for as long, and a configuration that
/// knows it.
fn limited(requests: u32, seconds: u64) -> Bench {
    let window = Duration::from_secs(seconds);
    let limit = Some(Limit { requests, window, block: window });
    let extra = format!(
        "batch.max_rows = 10\nluma.rate_limit.requests = {requests}\nluma.rate_limit.window = \"{seconds}s\"\n\
         luma.rate_limit.reserve = 0\nluma.rate_limit.per_second = 1000"
    );
    Bench::with(Options { limit, ..Options::default() }, &extra)
}

/// The shortest time for so many requests: whole windows but the last, which is used at once.
fn best(requests: u32, limit: u32, window: Duration) -> Duration {
    window * (requests.div_ceil(limit) - 1)
}

#[test]
fn two_hundred_and_twenty_requests_at_fifty_in_five_seconds_meet_no_429_and_lose_no_time() {
    let (bench, people) = (limited(50, 5), People::clean(2_200, None));
    bench.scratch.write("list.csv", &people.csv);
    let begun = Instant::now();
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    let spent = begun.elapsed();
    let counts = bench.luma.snapshot();
    assert_eq!((counts.throttled, counts.imports, counts.requests), (0, 220, 221), "{ended}");
    assert!(bench.luma.members() == people.members, "{ended}");
    assert!(counts.max_in_window <= 50, "{counts:?}");
    let best = best(221, 50, Duration::from_secs(5));
    assert!(spent >= best && spent <= best.mul_f64(1.15), "{spent:?}, and the best is {best:?}\n{ended}");
}

#[test]
fn the_quota_outlives_a_kill_in_the_middle() {
    let (bench, people) = (limited(20, 2), People::clean(800, None));
    bench.scratch.write("list.csv", &people.csv);
    let begun = Instant::now();
    // Right after a burst, when a new process that knew nothing would send another one.
    for requests in [20, 40, 60] {
        let running = bench.sync(["list.csv"]).spawn();
        wait_until(PATIENCE, "half of the requests", || bench.luma.snapshot().requests >= requests);
        assert_eq!(running.kill().signal(), Some(9));
    }
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    let spent = begun.elapsed();
    let counts = bench.luma.snapshot();
    assert_eq!(counts.throttled, 0, "{counts:?}\n{ended}");
    assert!(bench.luma.members() == people.members, "{ended}");
    assert_eq!(bench.db().count("select count(*) from member_queue where state <> 'delivered'"), 0);
    let requests = u32::try_from(counts.requests).expect("few");
    // Each kill may leave requests on record that never left: as many as can be under way.
    let best = best(requests + 3 * 4, 20, Duration::from_secs(2));
    assert!(
        spent <= best.mul_f64(1.15) + Duration::from_secs(1),
        "{spent:?} for {requests} requests\n{ended}"
    );
}

#[test]
fn two_processes_on_one_database_share_one_quota() {
    let bench = limited(20, 2);
    let both = People::clean(1_000, None);
    let lines: Vec<&str> = both.csv.lines().skip(1).collect();
    bench.scratch.write("one.csv", format!("email,tags\n{}\n", lines[..500].join("\n")));
    bench.scratch.write("two.csv", format!("email,tags\n{}\n", lines[500..].join("\n")));
    let begun = Instant::now();
    let (one, two) = (bench.sync(["one.csv"]).spawn(), bench.sync(["two.csv"]).spawn());
    let (one, two) = (one.wait().with_code(0), two.wait().with_code(0));
    let spent = begun.elapsed();
    let counts = bench.luma.snapshot();
    assert_eq!((counts.throttled, counts.imports, counts.repeats), (0, 100, 0), "{counts:?}\n{one}\n{two}");
    assert!(bench.luma.members() == both.members);
    let best = best(102, 20, Duration::from_secs(2));
    assert!(spent <= best.mul_f64(1.15) + Duration::from_secs(1), "{spent:?}\n{one}\n{two}");
}

#[test]
fn the_reserve_of_each_window_is_left_to_others() {
    let window = Duration::from_secs(1);
    let limit = Some(Limit { requests: 12, window, block: window });
    let extra = "batch.max_rows = 10\nluma.rate_limit.requests = 12\nluma.rate_limit.window = \"1s\"\n\
                 luma.rate_limit.reserve = 8\nluma.rate_limit.per_second = 1000";
    let bench = Bench::with(Options { limit, ..Options::default() }, extra);
    let people = People::clean(110, None);
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    let counts = bench.luma.snapshot();
    assert_eq!((counts.throttled, counts.max_in_window), (0, 4), "{counts:?}\n{ended}");
    assert!(bench.luma.members() == people.members);
}

#[test]
fn requests_are_spread_over_the_seconds() {
    let (bench, people) =
        (Bench::new("", "batch.max_rows = 10\nluma.rate_limit.per_second = 10"), People::clean(200, None));
    bench.scratch.write("list.csv", &people.csv);
    let begun = Instant::now();
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    let spent = begun.elapsed();
    assert!(bench.luma.members() == people.members, "{ended}");
    // 21 requests, of which the first ten may leave at once.
    assert!(spent >= Duration::from_millis(900), "{spent:?}\n{ended}");
}
