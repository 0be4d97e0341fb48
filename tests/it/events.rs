//! Events from outside: their ways in, what happens when answers are lost, and the way out of doubt.

use std::time::Duration;

use lumasync::sandbox::{Limit, Options};
use serde_json::Value;

use crate::support::{Bench, Luma, PATIENCE, People, faulty, wait_until};

pub(crate) fn names(bench: &Bench) -> Vec<String> {
    let mut names: Vec<String> = bench
        .luma
        .events()
        .iter()
        .map(|event| event.fields["name"].as_str().expect("a name").into())
        .collect();
    names.sort();
    names
}

fn states(bench: &Bench) -> Vec<Vec<String>> {
    bench.db().rows("select name, state from event_queue order by id")
}

pub(crate) fn migrated(faults: &str, extra: &str) -> Bench {
    let bench = Bench::new(faults, extra);
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    bench
}

pub(crate) fn insert(bench: &Bench, values: &str) {
    let sql = format!("insert into event_queue (name, start_at, duration_minutes) values {values}");
    bench.db_to_write().execute(&sql);
}

#[test]
fn events_come_in_by_queue_folder_and_hand_and_the_service_creates_them() {
    let bench = migrated("", "");
    insert(
        &bench,
        "('From the queue', '2099-12-03T18:00:00Z', 90), ('', null, null), ('Late', '2001-01-01T00:00Z', 1)",
    );
    let service = bench.serve();
    bench
        .scratch
        .write("drop/events/list.csv", "name,start_at\nFrom the folder,2099-12-03T18:00:00Z\n,soon\n");
    bench.scratch.write("drop/events/more.jsonl", "{\"name\":\"From JSON\",\"client_key\":\"k1\"}\n");
    bench.scratch.write(
        "drop/members/list.jsonl",
        "{\"email\":\"ana@example.org\",\"tags\":[\"vip\"]}\n{\"email\":\"x\"}\n",
    );
    wait_until(PATIENCE, "three events", || bench.luma.events().len() == 3);
    wait_until(PATIENCE, "Ana", || bench.luma.members().contains_key("ana@example.org"));
    let archived = "select count(*) from input_files where state = 'archived'";
    wait_until(PATIENCE, "the archive", || bench.db().count(archived) == 3);
    service.terminate();
    service.wait().with_code(143);
    assert_eq!(names(&bench), ["From JSON", "From the folder", "From the queue"]);
    let row = bench.db().rows(
        "select state, code, attempts, api_id is not null, settled_at is not null from event_queue order by id limit 3",
    );
    assert_eq!(row[0], ["created", "NULL", "1", "1", "1"]);
    assert_eq!((row[1][1].as_str(), row[2][1].as_str()), ("name_missing", "start_in_past"));
    let day =
        std::fs::read_dir(bench.scratch.path("drop/done")).expect("a day").next().expect("one").expect("one");
    let file = |end: &str| {
        let of_day = std::fs::read_dir(day.path()).expect("files").flatten();
        let found = of_day.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with(end));
        std::fs::read_to_string(found.unwrap_or_else(|| panic!("no `{end}`"))).expect("text")
    };
    let csv = file(".success.csv");
    assert!(csv.starts_with("name,start_at,_row,_code,_reason,_api_id\nFrom the folder,"), "{csv}");
    assert!(csv.contains(",2,created,,evt-sandbox"), "{csv}");
    let rejects = bench.scratch.path("drop/done").join(day.file_name());
    assert!(std::fs::read_dir(rejects).expect("files").count() >= 11, "three files and their results");
    assert_eq!(
        bench.db().rows("select label, kind, status from runs order by label"),
        [
            ["event_queue", "events", "partial"],
            ["list.csv", "events", "partial"],
            ["list.jsonl", "members", "partial"],
            ["more.jsonl", "events", "succeeded"],
        ]
    );
}

#[test]
fn the_same_event_is_created_once_however_it_comes_unless_another_is_asked_for() {
    let bench = migrated("", "");
    insert(&bench, "('Demo', '2099-12-03T18:00:00Z', 90), ('Demo', '2099-12-03T19:00:00+01:00', 90)");
    bench.sync([]).run().with_code(0);
    let rows =
        "name,start_at,duration_minutes,client_key\nDemo,2099-12-03T18:00:00.000Z,90,\nA,,,k1\nB,,,k1\n";
    bench.scratch.write("a.csv", rows);
    let report = bench.sync(["--kind", "events", "a.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("created"), report.rows("duplicate")), (1, 2));
    let told = bench.db().rows("select reason from event_queue where state = 'duplicate' order by id");
    assert_eq!(told[0][0], "the same event as row 1 (run 1), which is pending");
    assert!(
        told[1][0].starts_with("the same event as row 1 (run 1), which is created as `evt-sandbox"),
        "{told:?}"
    );
    assert!(told[2][0].starts_with("the same event as row 4 (run 2, line 3)"), "{told:?}");
    bench.sync(["--kind", "events", "a.csv"]).run().with_code(0);
    assert_eq!(names(&bench), ["A", "Demo"], "the same bytes again");
    let again = bench.sync(["--kind", "events", "--again", "a.csv"]).run().with_code(0).report();
    assert_eq!((again.rows("created"), again.rows("duplicate")), (2, 1));
    assert_eq!(names(&bench), ["A", "A", "Demo", "Demo"]);
}

#[test]
fn an_event_whose_answer_is_lost_waits_for_a_person_and_its_result_files_follow() {
    let bench = migrated("reset-after@1,reset@2", "luma.max_in_flight = 1");
    let list = "name,zoom_creation_method,zoom_meeting_id,zoom_meeting_password\nMade,manually-entered,123456789,zqsecret\nLost,,,\nGood,,,\n";
    bench.scratch.write("drop/events/list.csv", list);
    let ended = bench.lumasync(["--log-level", "debug", "sync"]).run().with_code(6);
    assert_eq!(states(&bench), [["Made", "unknown"], ["Lost", "unknown"], ["Good", "created"]]);
    let day =
        std::fs::read_dir(bench.scratch.path("drop/done")).expect("a day").next().expect("one").expect("one");
    let read = |end: &str| std::fs::read_to_string(day.path().join(format!("list.1.{end}"))).expect(end);
    assert_eq!(read("success.csv").lines().count(), 2);
    let rejects = day.path().join("list.1.rejects.csv");
    assert!(!rejects.exists(), "what is in doubt is not to be sent again");
    assert!(read("receipt.json").contains("\"unknown\": 2"));
    let requests = bench.luma.snapshot().requests;
    bench.lumasync(["sync"]).run().with_code(6);
    assert_eq!(bench.luma.snapshot().requests, requests, "nothing in doubt is sent again");

    let list =
        bench.lumasync(["--output", "json", "events", "list", "--state", "unknown"]).run().with_code(0);
    let said: Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert_eq!(said["events"].as_array().map(Vec::len), Some(2));
    let show = bench.lumasync(["events", "show", "1"]).run().with_code(0);
    for piece in ["bytes of body may have left", "look for it on Luma: an event named `Made`", "[hidden]"] {
        assert!(show.stdout.contains(piece), "{show}");
    }
    bench.scratch.write("members.csv", "email\nana@example.org\n");
    bench.sync(["members.csv"]).run().with_code(6);
    let api_id = bench.luma.events()[0].api_id.clone();
    bench
        .lumasync(["events", "resolve", "1", "--created", "https://lu.ma/made", "--by", "Ana"])
        .run()
        .with_code(2);
    bench.lumasync(["events", "resolve", "3", "--send-again", "--by", "Ana"]).run().with_code(1);
    bench.lumasync(["events", "resolve", "2", "--send-again", "--by", "Ana"]).run().with_code(0);
    bench.lumasync(["events", "resolve", "1", "--created", &api_id]).env("USER", "bo").run().with_code(0);
    let report = bench.sync([]).run().with_code(0).report();
    assert_eq!((report.rows("created"), report.text("status")), (3, "succeeded"));
    assert_eq!(names(&bench), ["Good", "Lost", "Made"]);
    assert!(read("success.csv").contains(&api_id) && read("success.csv").lines().count() == 4);
    assert!(read("receipt.json").contains("\"unknown\": 0"));
    let decided = bench.db().rows("select event_id, decided_by, decision, api_id from event_resolutions");
    assert_eq!(decided, [["2", "Ana", "send_again", "NULL"], ["1", "bo", "created", &api_id]]);
    for text in [read("success.csv"), read("receipt.json"), show.stdout, ended.stderr, ended.stdout] {
        assert!(!text.contains("zqsecret"), "{text}");
    }
}

#[test]
fn a_request_that_was_under_way_at_a_kill_is_in_doubt_and_never_sent_again_by_itself() {
    let bench = migrated("slow=30s@1", "");
    insert(&bench, "('Slow', null, null)");
    let running = bench.lumasync(["sync"]).spawn();
    wait_until(PATIENCE, "the request", || bench.luma.events().len() == 1);
    running.kill();
    insert(&bench, "('Quick', null, null)");
    let ended = bench.sync([]).run().with_code(6);
    let slow = bench.db().rows("select state, attempts, reason from event_queue where name = 'Slow'");
    assert_eq!(slow, [["unknown", "1", "the process that asked for it ended before the answer"]], "{ended}");
    assert_eq!(names(&bench), ["Quick", "Slow"]);
    let verdicts = bench.db().rows("select verdict from attempts where event_id = 1");
    assert_eq!(verdicts, [["abandoned"]]);
}

#[test]
fn what_is_surely_not_created_is_asked_for_again_at_no_cost() {
    let block = Duration::from_millis(500);
    let limit = Some(Limit { requests: 1_000, window: block, block });
    let bench = Bench::with(Options { limit, ..faulty("429@1") }, "luma.rate_limit.window = \"500ms\"");
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    insert(&bench, "('Demo', null, null)");
    bench.sync([]).run().with_code(0);
    assert_eq!(bench.db().rows("select state, attempts from event_queue"), [["created", "1"]]);

    let bench = migrated("401@1", "");
    insert(&bench, "('Demo', null, null)");
    bench.sync([]).run().with_code(78);
    assert_eq!(bench.db().rows("select state, attempts from event_queue"), [["pending", "0"]]);
    bench.lumasync(["retry", "--run", "1"]).run().with_code(0);
    bench.sync([]).run().with_code(0);
    assert_eq!(names(&bench), ["Demo"]);

    // Nobody listens there: not a byte leaves.
    let bench = migrated("", "");
    let gone = Luma::start(Options::default());
    insert(&bench, "('Demo', null, null)");
    bench.point_to(&gone, "retry.max_attempts = 2");
    drop(gone);
    bench.sync([]).run().with_code(75);
    assert_eq!(bench.db().rows("select state, attempts from event_queue"), [["pending", "0"]]);
    bench.configure("");
    bench.sync([]).run().with_code(0);
    assert_eq!(names(&bench), ["Demo"]);
}

#[test]
fn one_refused_event_holds_up_no_other_and_can_be_brought_back() {
    for fault in ["400@1", "403@1", "404@1"] {
        let bench = migrated(fault, "luma.max_in_flight = 1");
        insert(&bench, "('Refused', null, null), ('Good', null, null)");
        let report = bench.sync([]).run().with_code(4).report();
        assert_eq!((report.rows("created"), report.rows("rejected")), (1, 1), "{fault}");
        assert_eq!(report.causes(), [("api_rejected".to_owned(), 1)]);
        bench.lumasync(["retry", "--event", "2"]).run().with_code(1);
        bench.lumasync(["retry", "--event", "1"]).run().with_code(0);
        bench.sync([]).run().with_code(0);
        assert_eq!(names(&bench), ["Good", "Refused"]);
    }
}

#[test]
fn bad_rows_of_the_queue_come_back_as_a_file_of_events() {
    let bench = migrated("", "");
    let db = bench.db_to_write();
    db.execute(
        "insert into event_queue (name, start_at, duration_minutes, zoom_creation_method, zoom_meeting_password, account)
         values ('=Short, night', '2099-12-03T18:00:00Z', -5, null, null, 'main'),
                ('Nobody''s', null, 30, null, null, 'tokyo'), ('Open', null, null, null, 's3cret', 'main')",
    );
    let run = bench.sync([]).run().with_code(4).report().number("run").to_string();
    let listed = bench.lumasync(["events", "list"]).run().with_code(0).stdout;
    assert!(listed.contains("Nobody's"), "{listed}");
    let rejects = bench.lumasync(["rejects", &run]).run().with_code(0).stdout;
    assert!(rejects.starts_with("name,start_at,cover_url,duration_minutes,"), "{rejects}");
    assert!(rejects.contains(",account_unknown,") && !rejects.contains("s3cret"), "{rejects}");
    let lines = bench.lumasync(["rejects", &run, "--format", "jsonl"]).run().with_code(0).stdout;
    assert!(lines.contains(r#""duration_minutes":"-5""#) && !lines.contains("s3cret"), "{lines}");
    bench.scratch.write("mended.csv", rejects.replace(",'-5,", ",5,"));
    let report = bench.sync(["--kind", "events", "mended.csv"]).run().with_code(4).report();
    // What stood in the column of passwords is not known any more: somebody has to write it anew.
    assert_eq!((report.rows("created"), report.rows("invalid")), (2, 1));
    assert_eq!(names(&bench), ["=Short, night", "Nobody's"]);
}

#[test]
fn a_live_event_does_not_wait_behind_thousands_of_batches() {
    let limit = "luma.rate_limit.requests = 12\nluma.rate_limit.window = \"1s\"\nluma.rate_limit.reserve = 0\n\
                 luma.rate_limit.per_second = 100\nbatch.max_rows = 1";
    let bench = Bench::with(faulty(""), limit);
    bench.scratch.write("drop/members/list.csv", People::clean(2_000, None).csv);
    let service = bench.serve();
    wait_until(PATIENCE, "members", || bench.luma.members().len() >= 10);
    let values: Vec<String> = (0..40).map(|number| format!("('Live {number}', null, null)")).collect();
    insert(&bench, &values.join(","));
    wait_until(PATIENCE, "the first event", || !bench.luma.events().is_empty());
    let before = bench.luma.members().len();
    wait_until(PATIENCE, "the events", || bench.luma.events().len() == 40);
    let meanwhile = bench.luma.members().len() - before;
    // A few places are left to members, so that lists do not starve.
    assert!(meanwhile <= 16, "{meanwhile} members went before 40 events\n{}", service.stderr());
    service.terminate();
    service.wait().with_code(143);
}

#[test]
fn files_that_are_no_events_say_why() {
    let bench = migrated("", "");
    for (name, text, said) in [
        ("a.csv", "name,start\nA,x\n", "has a column `start`, which no event has"),
        ("b.csv", "title\nA\n", "has no column `name`"),
        ("c.jsonl", "[{\"name\":\"A\"}]\n", "is a list of JSON"),
        ("d.csv", "{\"name\":\"A\"}\n", "is JSON, not CSV"),
        ("e.jsonl", "", "is empty"),
    ] {
        bench.scratch.write(name, text);
        let ended = bench.sync(["--kind", "events", name]).run().with_code(1);
        assert!(ended.stderr.contains(said), "{ended}");
    }
    bench.scratch.write("f.csv", "name\n");
    let report = bench.sync(["--kind", "events", "f.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("read"), report.text("status")), (0, "succeeded"));
    bench.sync(["--kind", "events", "--tag", "vip", "f.csv"]).run().with_code(2);
    // A row that cannot be taken apart comes back as one that is refused, never as a name.
    for (name, text) in [("g.csv", "name,start_at\nA,B,C,D\n"), ("g.jsonl", "{\"name\":\"A\"\n")] {
        bench.scratch.write(name, text);
        let run =
            bench.sync(["--kind", "events", name]).run().with_code(4).report().number("run").to_string();
        let rejects = bench.lumasync(["rejects", &run]).run().with_code(0).stdout;
        let back = format!("back-{name}");
        bench.scratch.write(&back, rejects);
        let report = bench.sync(["--kind", "events", &back]).run().with_code(4).report();
        assert_eq!((report.rows("read"), report.rows("invalid")), (1, 1));
    }
    assert_eq!(bench.luma.events().len(), 0);
}
