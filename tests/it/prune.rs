//! `db prune` and `[retention]`: what is old goes, numbers stay, work goes on.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, PATIENCE, People, wait_until, within};

/// A list that was taken in by the folder, of a day long ago.
fn grown_old(bench: &Bench, people: &People) {
    bench.scratch.write("drop/members/list.csv", &people.csv);
    bench.sync([]).run();
    age(bench);
}

/// All that has happened happened in 2020.
fn age(bench: &Bench) {
    let db = bench.db_to_write();
    let moment = "2020-01-02T03:04:05.000000Z";
    let began: Vec<String> = db.rows("select cast(created_at as text) from runs").concat();
    db.execute(&format!(
        "update runs set created_at = '{moment}', finished_at = '{moment}';
         update attempts set started_at = '{moment}', finished_at = '{moment}';
         update member_queue set created_at = '{moment}', settled_at = '{moment}'"
    ));
    let done = bench.scratch.path("drop/done");
    for day in fs::read_dir(&done).expect("a folder").flatten() {
        for file in fs::read_dir(day.path()).expect("a folder").flatten().map(|entry| entry.path()) {
            if file.to_string_lossy().ends_with(".receipt.json") {
                let said = fs::read_to_string(&file).expect("a receipt");
                let mut said: Value = serde_json::from_str(&said).expect("JSON");
                assert!(began.len() == 1);
                said["began_at"] = moment.into();
                fs::write(&file, said.to_string()).expect("written");
            }
        }
        fs::rename(day.path(), done.join("2020-01-02")).expect("renamed");
    }
}

fn numbers(bench: &Bench) -> [Value; 2] {
    ["list", "show"].map(|what| {
        let args = ["--output", "json", "runs", what].into_iter().chain((what == "show").then_some("1"));
        let ended = bench.lumasync(args).run().with_code(0);
        serde_json::from_str(&ended.stdout).expect("JSON")
    })
}

fn prune(bench: &Bench, args: &[&str]) -> Value {
    let all = ["--output", "json", "db", "prune"].into_iter().chain(args.iter().copied());
    let ended = bench.lumasync(all).run().with_code(0);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

#[test]
fn old_rows_requests_and_files_go_and_every_number_stays() {
    let bench = Bench::new("", "batch.max_rows = 300");
    let people = People::clean(2_000, None);
    grown_old(&bench, &people);
    let before = numbers(&bench);
    let would = prune(&bench, &["--dry-run"]);
    assert_eq!(bench.db().count("select count(*) from member_queue"), 2_000);
    let was = prune(&bench, &["--vacuum"]);
    for key in ["rows", "runs", "requests", "files"] {
        assert!(was[key].as_u64() > Some(0), "{key}: {was:#}");
        if key != "requests" {
            assert_eq!(would[key], was[key], "{key}");
        }
    }
    assert_eq!(numbers(&bench), before);
    for table in ["member_queue", "batches", "unkept_lines"] {
        assert_eq!(bench.db().count(&format!("select count(*) from {table}")), 0, "{table}");
    }
    assert!(!bench.scratch.path("drop/done/2020-01-02").exists(), "the day is empty and gone");
    // Who was delivered is still known.
    bench.scratch.write("again.csv", format!("{}\n", people.csv));
    assert_eq!(bench.sync(["again.csv"]).run().with_code(0).report().rows("unchanged"), 2_000);
    assert_eq!(prune(&bench, &[])["rows"], 0);
}

#[test]
fn an_archived_file_that_cannot_be_removed_holds_up_nothing_else() {
    let bench = Bench::new("", "");
    grown_old(&bench, &People::clean(40, None));
    let list = bench.scratch.path("drop/done/2020-01-02/list.csv");
    fs::remove_file(&list).expect("removed");
    // A folder is no file, whoever asks.
    fs::create_dir(&list).expect("a folder");
    let was = prune(&bench, &[]);
    assert_eq!((was["rows"].as_u64(), was["files"].as_u64()), (Some(40), Some(0)), "{was:#}");
    fs::remove_dir(&list).expect("removed");
    assert!(prune(&bench, &[])["files"].as_u64() > Some(0), "its receipt had stayed");
}

#[test]
fn what_can_be_retried_and_what_is_not_ours_stays() {
    let bench = Bench::new("500@2+", "batch.max_rows = 10\nretry.max_attempts = 1");
    grown_old(&bench, &People::clean(40, None));
    bench.scratch.write("drop/done/2020-01-02/notes.txt", "mine");
    bench.scratch.write("drop/done/2020-01-01/other.7.receipt.json", "{\"run\":1,\"archive\":\"other.csv\"}");
    bench.scratch.write("drop/done/2020-01-01/other.csv", "email\n");
    let was = prune(&bench, &[]);
    assert_eq!((was["rows"].as_u64(), was["files"].as_u64()), (Some(0), Some(0)), "{was:#}");
    assert_eq!(bench.db().count("select count(*) from member_queue"), 40);
    assert!(bench.scratch.path("drop/done/2020-01-01/other.csv").exists());
    assert!(bench.scratch.path("drop/done/2020-01-02/list.csv").exists());
    let kept = bench.lumasync(["db", "prune", "--set", "retention.rows=forever"]).run().with_code(0);
    assert!(kept.stdout.contains("removed: 0 rows"), "{kept}");
}

#[test]
fn the_service_removes_what_is_old_while_it_takes_in_what_is_new() {
    let bench = Bench::new("", "batch.max_rows = 100");
    grown_old(&bench, &People::clean(5_000, None));
    let before = numbers(&bench);
    let running = bench.serve();
    bench.scratch.write("drop/members/new.csv", "email\nnew@example.org\n");
    wait_until(PATIENCE, "the new person", || bench.luma.members().contains_key("new@example.org"));
    wait_until(PATIENCE, "the old rows", || {
        bench.db().count("select count(*) from member_queue where run_id = 1") == 0
    });
    running.terminate();
    running.wait().with_code(143);
    assert_eq!(numbers(&bench)[1], before[1]);
}

#[test]
fn a_kill_at_any_moment_of_pruning_loses_no_number() {
    let bench = Bench::new("", "batch.max_rows = 50");
    grown_old(&bench, &People::clean(4_000, None));
    let before = numbers(&bench);
    for wait in [20, 60, 100, 160, 240] {
        let running = bench.lumasync(["db", "prune"]).spawn();
        assert!(!within(Duration::from_millis(wait), || false));
        running.kill();
        assert_eq!(numbers(&bench), before, "after {wait} ms");
    }
    prune(&bench, &[]);
    assert_eq!(numbers(&bench), before);
    assert_eq!(bench.db().count("select count(*) from member_queue"), 0);
}
