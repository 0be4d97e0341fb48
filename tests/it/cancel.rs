//! A run that is given up: what waits is not sent, what is in a request ends as it does, and the numbers add up.

use std::fs;

use crate::support::{Bench, PATIENCE, People, wait_until};

/// Every row of the run by its state.
fn states(bench: &Bench, run: i64) -> Vec<Vec<String>> {
    let sql = format!("select state, count(*) from member_queue where run_id = {run} group by 1 order by 1");
    bench.db().rows(&sql)
}

fn shown(bench: &Bench, run: &str) -> serde_json::Value {
    let said = bench.lumasync(["--output", "json", "runs", "show", run]).run().with_code(0).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let rows = said["rows"].as_object().expect("rows");
    let sum: u64 = rows.iter().filter(|(state, _)| *state != "read").filter_map(|(_, n)| n.as_u64()).sum();
    assert_eq!(said["rows"]["read"], sum, "the accounting law: {said}");
    said
}

#[test]
fn rows_that_wait_are_given_up_and_the_file_may_be_sent_anew() {
    let bench = Bench::new("", "batch.max_rows = 10");
    let people = People::clean(50, None);
    bench.scratch.write("list.csv", &people.csv);
    bench.sync(["list.csv"]).env("TEST_LUMA_KEY", "another").run().with_code(78);
    let ended = bench.lumasync(["runs", "cancel", "1"]).run().with_code(0);
    assert!(ended.stdout.contains("run 1 is canceled: 50 rows will not be sent"), "{ended}");
    assert_eq!(states(&bench, 1), [["canceled", "50"]]);
    let said = shown(&bench, "1");
    assert_eq!(
        (&said["status"], &said["causes"][0]["code"]),
        (&"canceled".into(), &"canceled".into()),
        "{said}"
    );
    assert!(
        said["reason"].as_str().is_some_and(|reason| reason.contains("before that: stopped: key refused"))
    );
    bench.sync([]).run().with_code(0);
    assert_eq!(bench.luma.members().len(), 0, "what is canceled stays so");
    bench.lumasync(["runs", "cancel", "1"]).run().with_code(1);
    bench.lumasync(["runs", "cancel", "7"]).run().with_code(1);

    let report = bench.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!((report.number("run"), report.rows("delivered")), (2, 50));
    assert!(bench.luma.members() == people.members);
}

#[test]
fn rows_in_a_request_end_as_it_does_and_those_that_come_back_are_dropped() {
    for (faults, sent) in [("slow=1s", 20), ("slow=1s,500", 0)] {
        let bench = Bench::new(faults, "batch.max_rows = 10\nluma.max_in_flight = 2");
        bench.scratch.write("drop/members/list.csv", People::clean(100, None).csv);
        let service = bench.serve();
        let in_flight = "select count(*) from batches where state = 'in_flight'";
        wait_until(PATIENCE, "requests", || bench.has_db() && bench.db().count(in_flight) == 2);
        let ended = bench.lumasync(["runs", "cancel", "1"]).run().with_code(0);
        assert!(ended.stdout.contains("80 rows will not be sent; 20 rows in a request"), "{ended}");
        assert_eq!(shown(&bench, "1")["rows"]["in_flight"], 20);
        let receipt = || bench.db().count("select count(*) from input_files where state = 'archived'") == 1;
        wait_until(PATIENCE, "the archive", receipt);
        let said = shown(&bench, "1");
        assert_eq!(
            (&said["rows"]["canceled"], &said["rows"]["delivered"]),
            (&(100 - sent).into(), &sent.into())
        );
        assert_eq!(bench.luma.members().len(), usize::try_from(sent).expect("few"), "{}", service.stderr());
        let open = "select count(*) from batches where state in ('pending', 'in_flight')";
        assert_eq!(bench.db().count(open), 0, "{}", service.stderr());
    }
}

#[test]
fn a_half_taken_file_that_has_changed_can_be_given_up() {
    let bench = Bench::new("", "");
    let people = People::clean(300_000, None);
    bench.scratch.write("list.csv", &people.csv);
    let running = bench.sync(["list.csv"]).spawn();
    let begun = "select count(*) from input_files where parts_done > 0";
    wait_until(PATIENCE, "a part", || bench.has_db() && bench.db().count(begun) == 1);
    running.kill();
    // However far it came: half of it is enough.
    let db = bench.db_to_write();
    let taken = db.rows("select parts_done, parts from input_files")[0].clone();
    assert_ne!(taken[0], taken[1], "the file is too small for this test");
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    let said = shown(&bench, "1");
    assert_eq!(said["status"], "queued");
    let text = bench.lumasync(["runs", "show", "1"]).run().with_code(0).stdout;
    assert!(text.contains("runs cancel 1` gives it up"), "{text}");

    bench.lumasync(["runs", "cancel", "1"]).run().with_code(0);
    let said = shown(&bench, "1");
    assert_eq!(
        (&said["status"], &said["rows"]["canceled"]),
        (&"canceled".into(), &said["rows"]["read"]),
        "{said}"
    );
    let reason = said["reason"].as_str().expect("a reason");
    assert!(reason.contains(&format!("{} of {} parts", taken[0], taken[1])), "{reason}");
    bench.sync([]).run().with_code(0);
    assert_eq!(bench.luma.members().len(), 1, "nothing of it was sent");

    fs::write(bench.scratch.path("list.csv"), &people.csv).expect("written");
    let report = bench.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!((report.number("run"), report.rows("delivered")), (3, 300_000));
}
