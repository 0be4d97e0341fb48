//! The archive of the drop folder: nothing that lies there is lost to anything that comes later.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::Bench;

/// Every file of the archive and what is in it.
fn archive(bench: &Bench) -> BTreeMap<String, String> {
    let list = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = list(bench.scratch.path("drop/done")).flat_map(list);
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.map(|path| (name(&path), fs::read_to_string(&path).expect("text"))).collect()
}

fn drop_in(bench: &Bench, name: &str, text: &str) {
    bench.scratch.write(&format!("drop/members/{name}"), text);
    bench.sync([]).run().with_code(0);
}

#[test]
fn no_result_takes_the_place_of_an_input_and_no_database_that_of_another() {
    let bench = Bench::new("", "");
    drop_in(&bench, "a.2.success.csv", "email\nana@example.org\n");
    drop_in(&bench, "a.csv", "email\nbo@example.org\n");
    drop_in(&bench, "a.csv", "email\ncy@example.org\n");
    let first = archive(&bench);
    for (name, text) in [
        ("a.2.success.1.csv", "email\nana@example.org\n"),
        ("a.csv", "email\nbo@example.org\n"),
        ("a.3.csv", "email\ncy@example.org\n"),
    ] {
        assert_eq!(first.get(name).map(String::as_str), Some(text), "{:?}", first.keys());
    }
    assert!(first["a.2.success.csv"].contains("bo@example.org"), "{first:?}");
    assert_eq!(first.len(), 9, "{:?}", first.keys());
    let said: Value = serde_json::from_str(&first["a.3.receipt.json"]).expect("JSON");
    for (key, text) in [("archive", "email\ncy@example.org\n"), ("success", &first["a.3.success.csv"])] {
        let path = PathBuf::from(said[key].as_str().expect("a path"));
        assert!(path.is_absolute(), "{said}");
        assert_eq!(fs::read_to_string(path).expect("there"), text);
    }
    assert_eq!(said["rejects"], Value::Null, "there are none: {said}");

    bench.lose_data();
    for text in ["email\ndi@example.org\n", "email\nel@example.org\n"] {
        drop_in(&bench, "a.csv", text);
    }
    let second = archive(&bench);
    for (name, text) in &first {
        assert_eq!(second.get(name), Some(text), "`{name}` is as it was");
    }
    assert_eq!(second["a.2-2.success.csv"].lines().nth(1).map(|line| line.starts_with("el@")), Some(true));
}

#[test]
fn what_a_crash_leaves_between_the_results_and_the_receipt_is_written_over_itself() {
    let bench = Bench::new("", "");
    bench.scratch.write("drop/members/a.csv", "email\nana@example.org\nnonsense\n");
    bench.sync([]).run().with_code(4);
    let before = archive(&bench);
    let receipt = before.keys().find(|name| name.ends_with(".receipt.json")).expect("a receipt");
    let day = fs::read_dir(bench.scratch.path("drop/done")).expect("a folder").next().expect("a day");
    fs::remove_file(day.expect("a day").path().join(receipt)).expect("gone");
    let db = bench.db_to_write();
    db.execute("update input_files set state = 'taken'");
    bench.sync([]).run().with_code(0);
    assert_eq!(archive(&bench), before, "nothing is numbered anew");
}

#[test]
fn an_empty_file_that_was_being_taken_in_gets_its_receipt() {
    let bench = Bench::new("", "");
    bench.scratch.write("drop/processing/list.csv", "");
    bench.sync([]).run().with_code(1);
    let said =
        fs::read_to_string(bench.scratch.path("drop/failed/list_csv.receipt.json")).expect("a receipt");
    assert!(said.contains("is empty") && bench.scratch.path("drop/failed/list.csv").exists(), "{said}");
}
