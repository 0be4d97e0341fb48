//! Two hundred lost answers, a `kill -9` between the first look and the second, and a pause that is a minute
//! by anybody's clock: all through the binary, and nobody is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use lumasync::sandbox::Options;

use crate::support::{Bench, PATIENCE, faulty, wait_until};

const EVENTS: usize = 200;
/// Every so many requests one never arrives; of the others only the answer is lost.
const NEVER_ARRIVES: usize = 20;
const LOST: usize = EVENTS / NEVER_ARRIVES;
const V1: &str = "luma.dialect = \"v1\"\nretry.max_backoff = \"5ms\"\nretry.initial_backoff = \"1ms\"";

fn list() -> String {
    let mut csv = String::from("name,start_at,timezone,client_key\n");
    for number in 0..EVENTS {
        let hour = number % 8;
        let _ = writeln!(csv, "Office hours,2099-12-03T{hour:02}:00:00Z,Europe/Paris,key-{number}");
    }
    csv
}

#[test]
fn two_hundred_lost_answers_are_settled_over_a_kill_without_a_person_and_without_a_twin() {
    let fault = |nth: usize| if nth.is_multiple_of(NEVER_ARRIVES) { "reset" } else { "reset-after" };
    let faults: Vec<String> = (1..=EVENTS).map(|nth| format!("events:{}@{nth}", fault(nth))).collect();
    let bench = Bench::with(Options { limit: None, ..faulty(&faults.join(",")) }, V1);
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    bench.scratch.write("list.csv", list());
    let sync = ["--kind", "events", "list.csv"];
    let first = bench.sync(sync).spawn();
    let not_seen = "select count(*) from event_looks where absent_since is not null and look_at is not null";
    let lost = LOST.to_string();
    wait_until(PATIENCE, "the first looks", || bench.db().count(not_seen) > 0);
    let seen_missing = Instant::now();
    wait_until(PATIENCE, "all of them", || bench.db().count(not_seen).to_string() == lost);
    let ended = first.kill();
    assert_eq!(ended.signal(), Some(9), "{ended}");
    assert_eq!(bench.luma.events().len(), EVENTS - LOST);

    let ended = bench.sync(sync).run().with_code(0);
    let report = ended.report();
    assert_eq!((report.rows("created"), report.text("status")), (EVENTS as u64, "succeeded"), "{ended}");
    assert!(seen_missing.elapsed() > Duration::from_secs(55), "the pause was {:?}", seen_missing.elapsed());

    let mut held: BTreeMap<String, String> = BTreeMap::new();
    for event in bench.luma.events() {
        let slug = event.fields["slug"].as_str().expect("a slug").to_owned();
        assert!(held.insert(slug, event.api_id).is_none(), "a twin");
    }
    assert_eq!(held.len(), EVENTS);
    let mut ids: Vec<String> = held.into_values().collect();
    ids.sort();
    let rows = bench.db().rows("select api_id from event_queue where state = 'created' order by api_id");
    assert_eq!(rows.concat(), ids, "each row has its own");
    let decided = "select decided_by, decision, count(*) from event_resolutions group by 1, 2 order by 2";
    let found = (EVENTS - LOST).to_string();
    assert_eq!(bench.db().rows(decided), [["look-up", "created", &found], ["look-up", "send_again", &lost]]);
    bench.lumasync(["status"]).run().with_code(0);
}

#[test]
fn an_alarm_is_shown_and_ended_by_a_person_alone() {
    let bench = Bench::with(Options { limit: None, ..faulty("events:reset-after@2") }, V1);
    let list = |key: &str| {
        format!("name,start_at,timezone,client_key\nDemo night,2099-12-03T18:00:00Z,Europe/Paris,{key}\n")
    };
    bench.scratch.write("list.csv", list("a"));
    bench.sync(["--kind", "events", "list.csv"]).run().with_code(0);
    // Whoever comes after knows nothing of that one.
    bench.lose_data();
    bench.scratch.write("list.csv", list("b"));
    let ended = bench.sync(["--kind", "events", "list.csv"]).run().with_code(6);
    assert!(ended.stderr.contains("an event in doubt takes a person"), "{ended}");
    let ids: Vec<String> = bench.luma.events().into_iter().map(|event| event.api_id).collect();
    let [theirs, ours] = ids.as_slice() else { panic!("{ids:?}") };
    for args in [&["events", "list"][..], &["events", "show", "1"]] {
        let told = bench.lumasync(args.iter().copied()).run().with_code(0);
        for piece in [theirs, ours, "a person has to look at Luma"] {
            assert!(told.stdout.contains(piece), "{piece}: {told}");
        }
    }
    let show = bench.lumasync(["--output", "json", "events", "show", "1"]).run().with_code(0);
    assert!(show.stdout.contains("\"looks\""), "{show}");
    let requests = bench.luma.snapshot().requests;
    bench.sync([]).run().with_code(6);
    assert_eq!(bench.luma.snapshot().requests, requests);
    bench.lumasync(["events", "resolve", "1", "--created", ours, "--by", "Ana"]).run().with_code(0);
    bench.sync([]).run().with_code(0);
}
