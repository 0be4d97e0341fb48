//! Schedules as people run them: the real binary, several of it, killed and started again.
//!
//! A due time is brought about by telling the database that nobody has judged since long ago: to a process
//! that is what a time that has come looks like.

use lumasync::clock::Clock;
use serde_json::Value;

use crate::support::{Bench, PATIENCE, Running, wait_until};

const LONG_AGO: &str = "update schedules set judged_until = '2020-01-01T00:00:00.000000Z'";
/// Once a year, so that no test meets a real one.
const YEARLY: &str = "0 0 1 1 *";

fn schedule(name: &str, more: &str) -> String {
    format!("[[schedule]]\nname = \"{name}\"\ncron = \"{YEARLY}\"\nsources = [\"folder\"]\n{more}\n")
}

fn let_time_pass(bench: &Bench) {
    bench.db_to_write().execute(LONG_AGO);
}

/// The last time that all schedules here were due, and how many there were since long ago.
fn last_due() -> (String, i64) {
    let year: i64 = Clock::system().now().day()[..4].parse().expect("a year");
    (format!("{year}-01-01T00:00:00.000000Z"), year - 2020)
}

/// Waits until this many schedules are known.
#[track_caller]
fn wait_for_schedules(bench: &Bench, count: i64) {
    wait_until(PATIENCE, "schedules", || bench.db().count("select count(*) from schedules") == count);
}

fn count(bench: &Bench, condition: &str) -> i64 {
    bench.db().count(&format!("select count(*) from schedule_fires where {condition}"))
}

fn stop(services: Vec<Running>) -> Vec<String> {
    let stopped = services.into_iter().map(|service| {
        service.terminate();
        service.wait().with_code(143).stderr
    });
    stopped.collect()
}

#[test]
fn three_services_fire_each_due_time_once() {
    let names: Vec<String> = (0..25).map(|number| format!("s{number:02}")).collect();
    let extra: String = names.iter().map(|name| schedule(name, "")).collect();
    let bench = Bench::new("", &extra);
    bench.scratch.write("drop/members/a.csv", "email\nana@example.org\nbo@example.org\n");
    let services = vec![bench.serve(), bench.serve(), bench.serve()];
    wait_for_schedules(&bench, 25);
    let_time_pass(&bench);
    let over = || count(&bench, "state = 'succeeded'") == 25;
    wait_until(PATIENCE, "25 fires", over);
    // Clocks that go back find every due time decided.
    let_time_pass(&bench);
    let (due, _) = last_due();
    let judged = format!("select count(*) from schedules where judged_until = '{due}'");
    wait_until(PATIENCE, "another look", || bench.db().count(&judged) == 25);
    let said = stop(services).concat();
    assert_eq!(count(&bench, &format!("claims = 1 and due_at = '{due}'")), 25, "{said}");
    assert_eq!(bench.db().count("select count(*) from schedule_fires"), 25, "{said}");
    assert_eq!(said.matches("a schedule fires").count(), 25, "{said}");
    let runs = "select started_by, count(*), count(fire_id) from runs group by 1";
    assert_eq!(bench.db().rows(runs), [["schedule", "1", "1"]], "the list came in with one of them");
    assert_eq!(bench.luma.members().len(), 2);
}

#[test]
fn a_fire_that_was_killed_goes_on_and_is_neither_lost_nor_repeated() {
    // The file still grows when the fire begins: that is the moment to die in.
    let extra = format!("folder.settle = \"2s\"\nworker.lease = \"5s\"\n{}", schedule("nightly", ""));
    let bench = Bench::new("", &extra);
    let service = bench.serve();
    wait_for_schedules(&bench, 1);
    bench.scratch.write("drop/members/a.csv", "email\nana@example.org\n");
    let_time_pass(&bench);
    let begun = "state = 'running' and worker_id is not null and taken_at is null";
    wait_until(PATIENCE, "a fire", || count(&bench, begun) == 1);
    let killed = service.kill();
    assert_eq!(count(&bench, begun), 1, "it died at a moment that proves nothing\n{killed}");
    assert_eq!(bench.luma.members().len(), 0);

    let service = bench.serve();
    wait_until(PATIENCE, "its end", || count(&bench, "state = 'succeeded' and claims = 2") == 1);
    let said = stop(vec![service]).concat();
    assert_eq!(bench.db().count("select count(*) from schedule_fires"), 1, "{said}");
    let runs = "select status, read_rows, case when fire_id = (select id from schedule_fires) then 1 else 0 end from runs";
    assert_eq!(bench.db().rows(runs), [["succeeded", "1", "1"]], "{said}");
    assert_eq!((bench.luma.members().len(), bench.luma.snapshot().repeats), (1, 0));
    assert!(bench.scratch.path("drop/members/a.csv").symlink_metadata().is_err(), "put away");
}

#[test]
fn a_downtime_over_a_due_time_goes_by_the_policy() {
    let extra = schedule("made-up-for", "missed = \"run_once\"") + &schedule("left-out", "missed = \"skip\"");
    let bench = Bench::new("", &extra);
    let service = bench.serve();
    wait_for_schedules(&bench, 2);
    stop(vec![service]);
    let_time_pass(&bench);
    let service = bench.serve();
    wait_until(PATIENCE, "both", || count(&bench, "state in ('succeeded', 'skipped')") == 2);
    stop(vec![service]);
    let fires = "select schedule, state, earlier, reason from schedule_fires order by schedule";
    let earlier = (last_due().1 - 1).to_string();
    let told = [
        ["left-out", "skipped", &earlier, "nobody was there in time"],
        ["made-up-for", "succeeded", &earlier, "NULL"],
    ];
    assert_eq!(bench.db().rows(fires), told);
}

#[test]
fn a_folder_that_a_schedule_names_has_its_times_and_can_be_set_off_by_hand() {
    let bench = Bench::new("", &schedule("nightly", "timezone = \"Europe/Paris\""));
    let service = bench.serve();
    wait_for_schedules(&bench, 1);
    bench.scratch.write("drop/members/a.csv", "email\nana@example.org\nnobody\n");
    // The other loops have turned many times meanwhile, and so would a watched folder's.
    let queued = "insert into member_queue (email) values ('bo@example.org')";
    bench.db_to_write().execute(queued);
    wait_until(PATIENCE, "the queue's row", || bench.luma.members().len() == 1);
    assert!(bench.scratch.path("drop/members/a.csv").exists());

    let run = ["--output", "json", "schedule", "run", "nightly", "--by", "ana"];
    let ran = bench.lumasync(run).run().with_code(4);
    let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&said["state"], &said["person"]), (&"partial".into(), &"ana".into()), "{ran}");
    assert_eq!(said["runs"][0]["rows"]["delivered"], 1, "{ran}");
    assert_eq!(bench.luma.members().len(), 2);
    wait_until(PATIENCE, "the archive", || {
        bench.db().count("select count(*) from input_files where state = 'archived'") == 1
    });
    stop(vec![service]);

    let listed = bench.lumasync(["--output", "json", "schedule", "list"]).run().with_code(0);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let nightly = &listed["schedules"][0];
    assert_eq!(
        (&nightly["paused"], &nightly["last"]["state"]),
        (&false.into(), &"partial".into()),
        "{nightly}"
    );
    assert!(
        nightly["next"][0].as_str().is_some_and(|next| next.ends_with("-12-31T23:00:00.000000Z")),
        "{nightly}"
    );
    let text = bench.lumasync(["schedule", "list"]).run().with_code(0).stdout;
    assert!(text.contains("-01-01 00:00 Europe/Paris") && text.contains(", by ana: partial"), "{text}");
}

#[test]
fn schedules_are_paused_and_resumed_by_somebody() {
    let bench = Bench::new("", &schedule("nightly", ""));
    let listed = bench.lumasync(["schedule", "list"]).run().with_code(0).stdout;
    assert!(listed.contains("  next      ") && !(bench.is_sqlite() && bench.has_db()), "{listed}");
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    let unknown = bench.lumasync(["schedule", "pause", "nigtly", "--by", "ana"]).run().with_code(2);
    assert!(unknown.stderr.contains("hint: known are `nightly`"), "{unknown}");
    let paused = bench.lumasync(["schedule", "pause", "nightly", "--by", "ana"]).run().with_code(0);
    assert!(paused.stdout.contains("paused by ana"), "{paused}");
    let status = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(status.contains("next      `nightly` paused"), "{status}");
    let listed = bench.lumasync(["schedule", "list"]).run().with_code(0).stdout;
    assert!(listed.contains("paused    by ana at ") && !listed.contains("  next      "), "{listed}");

    let service = bench.serve();
    let_time_pass(&bench);
    let resumed = bench.lumasync(["schedule", "resume", "nightly", "--by", "bo"]).run().with_code(0);
    assert!(resumed.stdout.contains("`nightly` goes on; next "), "{resumed}");
    let status = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert!(status["schedules"][0]["next"].is_string(), "{status}");
    stop(vec![service]);
    assert_eq!(bench.db().count("select count(*) from schedule_fires"), 0, "nothing was missed in the pause");
    assert_eq!(bench.db().rows("select paused, changed_by from schedules"), [["0", "bo"]]);
}

#[test]
fn a_source_that_stays_away_is_told_once_and_so_is_its_return() {
    let bench = Bench::new("", "folder.expect = { every = \"1s\", min_rows = 2 }");
    let service = bench.serve();
    let late = "nothing has come from a source for too long";
    wait_until(PATIENCE, "a warning", || service.stderr().contains(late));
    let status = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(status.contains("late      `folder` has never come, and is expected every 1 s"), "{status}");
    bench.configure("folder.expect = { every = \"1h\", min_rows = 2 }");
    let said = stop(vec![service]).concat();
    assert_eq!(said.matches(late).count(), 1, "{said}");

    let service = bench.serve();
    wait_until(PATIENCE, "its recovery", || service.stderr().contains("a source is again as expected"));
    bench.scratch.write("drop/members/a.csv", "email\nana@example.org\n");
    let short = "a source had fewer rows than expected";
    wait_until(PATIENCE, "a warning", || service.stderr().contains(short));
    let status = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let source = &status["sources"][0];
    assert_eq!((&source["standing"], &source["last_rows"]), (&"short".into(), &1.into()), "{status}");
    stop(vec![service]);
}
