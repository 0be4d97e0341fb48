//! `kill -9` of the service at random moments, against a Luma that loses answers: no twin, no lost event,
//! and of what is in doubt the truth can be found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lumasync::sandbox::Options;

use crate::support::{Bench, PATIENCE, faulty, wait_until, within};

const EVENTS: usize = 150;
const KILLS: usize = 30;

fn fill(bench: &Bench) {
    let mut sql = String::from("insert into event_queue (name, start_at, duration_minutes) values ");
    for number in 0..EVENTS {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(sql, "{comma}('Event {number:03}', '2099-12-03T18:00:00Z', {})", number + 1);
    }
    bench.db_to_write().execute(&sql);
}

/// Luma's ids of each event, by its name.
fn held(bench: &Bench) -> BTreeMap<String, Vec<String>> {
    let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in bench.luma.events() {
        let name = event.fields["name"].as_str().expect("a name").to_owned();
        held.entry(name).or_default().push(event.api_id);
    }
    held
}

/// What the database says is what Luma holds; of what is in doubt nothing is said.
#[track_caller]
fn nothing_is_said_in_vain(bench: &Bench) {
    let rows = bench.db().rows("select name, state, api_id from event_queue");
    let held = held(bench);
    for row in rows {
        let on_luma = held.get(&row[0]).map(Vec::as_slice).unwrap_or_default();
        assert!(on_luma.len() <= 1, "a twin of `{}`", row[0]);
        match row[1].as_str() {
            "created" => assert_eq!(on_luma, [row[2].as_str()], "`{}` is called created", row[0]),
            "in_flight" | "unknown" => {}
            state => assert!(on_luma.is_empty(), "`{}` is {state} and exists", row[0]),
        }
    }
}

#[test]
fn kills_at_thirty_random_moments_make_no_twin_and_lose_no_event() {
    let faults = "reset-after@10%,reset@10%,400@4%,slow=15ms";
    let extra =
        "luma.rate_limit.per_second = 30\nretry.initial_backoff = \"5ms\"\nretry.max_backoff = \"10ms\"";
    let bench = Bench::with(Options { limit: None, seed: 4, ..faulty(faults) }, extra);
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    fill(&bench);
    let mut rng = Rng::with_seed(11);
    let mut met = 0;
    for _ in 0..KILLS {
        let running = bench.lumasync(["run"]).spawn();
        let (begun, moment) = (Instant::now(), Duration::from_millis(rng.u64(20..260)));
        let _ = within(moment, || begun.elapsed() >= moment);
        let ended = running.kill();
        assert_eq!(ended.signal(), Some(9), "{ended}");
        met += bench.db().count("select count(*) from event_queue where state = 'in_flight'");
        nothing_is_said_in_vain(&bench);
    }
    assert!(met > 0, "no kill met a request");

    // Everything comes to an end, or to a doubt that is known.
    let open = "select count(*) from event_queue where state in ('new', 'pending', 'in_flight')";
    let service = bench.serve();
    wait_until(PATIENCE, "the end of all that can be known", || bench.db().count(open) == 0);
    service.terminate();
    service.wait().with_code(143);
    nothing_is_said_in_vain(&bench);
    let in_doubt = "select count(*) from event_queue where state = 'unknown'";
    assert!(bench.db().count(in_doubt) > 10, "the test is too kind");
    bench.lumasync(["status"]).run().with_code(6);

    // A person looks at Luma's list, and says what is there.
    while bench.db().count(in_doubt) > 0 {
        let held = held(&bench);
        for row in bench.db().rows("select id, name from event_queue where state = 'unknown'") {
            let verdict = match held.get(&row[1]).map(Vec::as_slice) {
                Some([api_id]) => vec!["--created", api_id.as_str()],
                Some(twins) => panic!("twins {twins:?}"),
                None => vec!["--send-again"],
            };
            let args = ["events", "resolve", &row[0], "--by", "Ana"];
            bench.lumasync(args.into_iter().chain(verdict)).run().with_code(0);
        }
        let ended = bench.sync([]).run();
        assert!(!ended.stderr.contains("error:"), "{ended}");
    }
    nothing_is_said_in_vain(&bench);
    let created = bench.db().count("select count(*) from event_queue where state = 'created'");
    let rejected = bench.db().count("select count(*) from event_queue where state = 'rejected'");
    assert_eq!(usize::try_from(created + rejected), Ok(EVENTS));
    assert_eq!(usize::try_from(created), Ok(bench.luma.events().len()));
    let decided = bench.db().count("select count(*) from event_resolutions where decided_by = 'Ana'");
    assert!(decided > 10, "{decided} decisions");
    if bench.is_sqlite() {
        assert_eq!(bench.db().rows("pragma integrity_check"), [["ok"]]);
    }
}

#[test]
fn an_intake_once_more_that_was_killed_goes_on_and_makes_no_third_set() {
    let bench = Bench::with(Options { limit: None, ..faulty("slow=20ms") }, "luma.max_in_flight = 1");
    let list: Vec<String> = (0..30).map(|number| format!("Event {number}")).collect();
    bench.scratch.write("list.csv", format!("name\n{}\n", list.join("\n")));
    let sync = ["--kind", "events", "list.csv"];
    bench.sync(sync).run().with_code(0);
    let again = sync.into_iter().chain(["--again"]);
    let running = bench.sync(again.clone()).spawn();
    wait_until(PATIENCE, "some of the second set", || bench.luma.events().len() > 35);
    running.kill();
    let ended = bench.sync(again).run();
    assert!(ended.stderr.contains("which is not done: going on"), "{ended}");
    assert_eq!(bench.db().count("select count(*) from runs"), 2, "{ended}");
    let unknown = bench.db().count("select count(*) from event_queue where state = 'unknown'");
    assert!(held(&bench).values().all(|ids| ids.len() <= 2), "a third of one of them\n{ended}");
    assert!(bench.luma.events().len() + usize::try_from(unknown).expect("few") >= 60, "{ended}");
}
