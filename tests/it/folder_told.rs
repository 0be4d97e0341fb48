//! What the drop folder tells: in `status`, and in result files that stay true.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::folder::{await_file, find, receipt};
use crate::support::{Bench, PATIENCE, wait_until};

#[test]
fn status_tells_of_files_that_failed_or_are_not_taken() {
    let bench = Bench::new("", "");
    bench.scratch.write("drop/list.csv", "email\nana@example.org\n");
    bench.scratch.write("drop/members/notes.txt", "x");
    fs::create_dir_all(bench.scratch.path("drop/members/old.csv")).expect("a folder");
    symlink(bench.scratch.path("drop/list.csv"), bench.scratch.path("drop/members/link.csv"))
        .expect("a link");
    bench.scratch.write("drop/members/columns.csv", "id,emial\n1,ana@example.org\n");
    let service = bench.serve();
    receipt(&bench, "columns");
    wait_until(PATIENCE, "a word about it", || {
        service.stderr().contains("beside the folders `members` and `events`")
    });
    let text = bench.lumasync(["status"]).run().with_code(0).stdout;
    for (name, why) in [
        ("drop/list.csv", "beside the folders `members` and `events`"),
        ("drop/members/notes.txt", "does not end in"),
        ("drop/members/old.csv", "no regular file"),
        ("drop/members/link.csv", "symbolic link"),
        ("drop/failed/columns.csv", "no e-mail column"),
    ] {
        let told = text.lines().filter(|line| line.contains(name) && line.contains(why)).count();
        assert_eq!(told, 1, "`{name}`: {why}\n{text}");
    }
    let said = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["folder"]["failed"][0]["path"], "drop/failed/columns.csv", "{said}");
    assert_eq!(
        (&said["folder"]["failed_files"], &said["folder"]["ignored"][3]["path"]),
        (&1.into(), &"drop/members/old.csv".into()),
        "{said}"
    );
    let warned = service.stderr().lines().filter(|line| line.contains("beside the folder")).count();
    assert_eq!(warned, 1, "once a file\n{}", service.stderr());

    fs::remove_file(bench.scratch.path("drop/failed/columns.csv")).expect("gone");
    fs::remove_file(bench.scratch.path("drop/list.csv")).expect("gone");
    let text = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(!text.contains("columns.csv") && !text.contains("drop/list.csv"), "{text}");
}

#[test]
fn result_files_tell_the_truth_again_after_a_retry() {
    let bench = Bench::new("500", "retry.max_attempts = 1");
    bench.scratch.write("drop/members/old.csv", "email\nana@example.org\n");
    let ok = crate::support::Luma::start(lumasync::sandbox::Options { limit: None, ..Default::default() });
    bench.point_to(&ok, "");
    bench.sync([]).run().with_code(0);
    bench.configure("retry.max_attempts = 1");
    let list = "email,name\nana@example.org,Ana\nbo@example.org,Bo\nBO@example.org,Bo\ncy@example.org,Cy\nnonsense,\n";
    bench.scratch.write("drop/members/list.csv", list);
    let report = bench.sync([]).run().with_code(4).report();
    assert_eq!((report.rows("failed"), report.rows("unchanged"), report.rows("duplicate")), (2, 1, 1));
    let read = |end: &str| fs::read_to_string(await_file(&bench, "list.", end)).expect("text");
    let people = |text: String| {
        text.lines()
            .skip(1)
            .map(|line| line.split(',').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(people(read("rejects.csv")), ["bo@example.org", "cy@example.org", "nonsense"]);

    bench.point_to(&ok, "");
    bench.lumasync(["retry"]).run().with_code(0);
    let db = bench.db_to_write();
    db.execute("create table kept as select * from unkept_lines");
    bench.sync([]).run().with_code(4);
    assert_eq!(bench.db().count("select count(*) from unkept_lines"), 0);
    // What a kill between the result files and the note that they are written leaves: it is all done once more.
    db.execute("insert into unkept_lines select * from kept; update input_files set state = 'taken' where run_id = 2");
    bench.sync([]).run().with_code(0);
    assert_eq!(people(read("rejects.csv")), ["nonsense"]);
    assert_eq!(
        people(read("success.csv")),
        ["ana@example.org", "bo@example.org", "BO@example.org", "cy@example.org"]
    );
    let said = receipt(&bench, "list.");
    assert_eq!((&said["rows"]["failed"], &said["rows"]["delivered"]), (&0.into(), &2.into()), "{said}");
    await_file(&bench, "list.csv", "");
    assert_eq!(find(&bench, "list.2.csv", ""), None, "the file stays where it was put");
    assert_eq!(bench.db().count("select count(*) from unkept_lines"), 0);
}

#[test]
fn a_file_without_a_bad_row_has_no_rejects() {
    let bench = Bench::new("", "");
    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\n");
    bench.sync([]).run().with_code(0);
    await_file(&bench, "list.1.", "success.csv");
    await_file(&bench, "list.1.", "receipt.json");
    assert_eq!(find(&bench, "list.1.", "rejects.csv"), None);
    let ended = bench.lumasync(["rejects", "1"]).run().with_code(0);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("nothing to mend"), "{ended}");
}
