//! `trace`: rows, requests, answers, the ledger and lines of files, of one person and nobody else.

use serde_json::Value;

use crate::support::Bench;

fn trace(bench: &Bench, email: &str) -> Value {
    let ended = bench.lumasync(["--output", "json", "trace", email]).run().with_code(0);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended}"))
}

/// `path`, `line` and `outcome` of every line of a file.
fn lines(told: &Value) -> Vec<(String, u64, String)> {
    let files = told["files"].as_array().expect("files");
    let lines = files.iter().flat_map(|file| {
        let path = file["path"].as_str().expect("a path").rsplit('/').next().unwrap_or_default().to_owned();
        file["lines"].as_array().expect("lines").iter().map(move |line| {
            let outcome = line["outcome"].as_str().unwrap_or_default().to_owned();
            (path.clone(), line["line"].as_u64().expect("a line"), outcome)
        })
    });
    lines.collect()
}

#[test]
fn everything_about_one_person_is_told_and_nothing_of_others() {
    let bench = Bench::new("", "");
    let list = "email,name,tags\nbo@example.org,Bo,vip\nAna@Example.org,Ana,vip\nana@example.org,Ana,\n\
                joana@example.org,Joana,\n\"Ana <ana@example.org>\",Ana,\n";
    bench.scratch.write("drop/members/list.csv", list);
    bench.sync([]).run().with_code(4);
    bench.scratch.write("drop/members/more.csv", "email,tags\nana@example.org,vip\n");
    bench.sync([]).run().with_code(0);
    bench.scratch.write("drop/members/.later.csv.part", "email\nana@example.org\n");
    bench
        .db_to_write()
        .execute("insert into member_queue (email, tags) values (' ANA@example.org', 'press')");

    let told = trace(&bench, "ANA@EXAMPLE.ORG");
    let rows = told["rows"].as_array().expect("rows");
    let states: Vec<&str> = rows.iter().filter_map(|row| row["state"].as_str()).collect();
    assert_eq!(states, ["delivered", "invalid", "new"], "{told:#}");
    assert_eq!(told["confirmed"][0]["tags"], "tag-vip");
    let events: Vec<&str> = told["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    for (event, times) in [("came", 3), ("asked", 1), ("answered", 1), ("ended", 2)] {
        assert_eq!(events.iter().filter(|found| **found == event).count(), times, "{event}: {told:#}");
    }
    let lines = lines(&told);
    let has = |path: &str, line: u64, outcome: &str| {
        assert!(
            lines.iter().any(|told| told.0 == path && told.1 == line && told.2.starts_with(outcome)),
            "{lines:#?}"
        );
    };
    has("list.csv", 3, "");
    has("list.csv", 6, "");
    has("list.1.success.csv", 4, "line 4 of the original, duplicate: same person as line 3");
    has("list.1.rejects.csv", 2, "line 6 of the original, email_invalid");
    has("more.2.success.csv", 2, "line 2 of the original, unchanged");
    has(".later.csv.part", 2, "");
    assert_eq!(told["files_not_searched"], Value::Array(Vec::new()));
    let joana = trace(&bench, "joana@example.org");
    assert_eq!((joana["rows"].as_array().map(Vec::len), lines_of(&joana, "list.csv")), (Some(1), vec![5]));

    let text = bench.lumasync(["trace", "ana@example.org"]).run().with_code(0).stdout;
    for said in [
        "confirmed by Luma in account `main`: tag-vip, last by run 1",
        "row 2 is delivered",
        "is not read yet",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("joana"), "{text}");
}

fn lines_of(told: &Value, path: &str) -> Vec<u64> {
    lines(told).into_iter().filter(|line| line.0 == path).map(|line| line.1).collect()
}

#[test]
fn nobody_is_told_of_where_nothing_is_on_record() {
    let bench = Bench::new("", "");
    if bench.is_sqlite() {
        bench.lumasync(["trace", "ana@example.org"]).run().with_code(1);
        assert!(!bench.scratch.path("t.db").exists(), "a look makes no database");
    }
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    let text = bench.lumasync(["trace", "bo@example.org"]).run().with_code(0).stdout;
    assert!(text.contains("no row and no file names this person"), "{text}");
    let told = trace(&bench, "ana@example.org");
    assert_eq!(lines_of(&told, "list.csv"), [2], "taken in by hand, and still there");
    bench.lumasync(["trace", " "]).run().with_code(2);
}

#[test]
fn whoever_passes_through_several_requests_is_told_of_each_and_forgotten_in_all() {
    let bench = Bench::new("", "");
    let list = "email,tags\na@example.org,vip\nb@example.org,vip\nc@example.org,press\nd@example.org,press\n\
                both@example.org,vip;press\n";
    bench.scratch.write("list.csv", list);
    bench.sync(["list.csv"]).run().with_code(0);
    let told = trace(&bench, "both@example.org");
    let asked = |told: &Value| {
        let events = told["events"].as_array().expect("events");
        events.iter().filter(|event| event["event"] == "asked").count()
    };
    assert_eq!((asked(&told), asked(&trace(&bench, "a@example.org"))), (2, 1), "{told:#}");
    let numbers = || bench.lumasync(["--output", "json", "runs", "show", "1"]).run().with_code(0).stdout;
    let before = numbers();
    bench.lumasync(["forget", "both@example.org", "--yes"]).run().with_code(0);
    assert_eq!(numbers(), before);
    let passes = "select count(*) from row_passes where row_id not in (select id from member_queue)";
    assert_eq!(bench.db().count(passes), 0);
}
