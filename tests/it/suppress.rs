//! People who are never sent: whatever list they are on, whichever way it comes, and whenever they were suppressed.

use std::io::Write as _;

use flate2::write::GzEncoder;
use lumasync::sandbox::{FurtherKey, Options};

use crate::support::{Bench, Ended, Foreign, KEY, Luma, PATIENCE, People, wait_until};

const QUIET: &str = "folder.path = \"\"\n";

fn suppress<'a>(bench: &Bench, args: impl IntoIterator<Item = &'a str>) -> Ended {
    bench.lumasync(["suppress"].into_iter().chain(args)).run()
}

/// Rows by their address: where they stand and why.
fn rows(bench: &Bench) -> Vec<Vec<String>> {
    bench.db().rows("select email, state, code from member_queue where code is not null order by id")
}

#[test]
fn suppressed_people_are_left_out_of_every_kind_of_list() {
    let source =
        "[[source]]\nname = \"crm\"\nurl = \"sqlite://crm.db\"\nquery = 'select email from people'\n";
    let bench = Bench::new("", source);
    let crm = Foreign::sqlite(&bench.scratch);
    crm.execute(
        "create table people (email text); insert into people values ('sue@example.org'), ('cy@example.org')",
    );
    let said = suppress(&bench, ["add", "Sue@EXAMPLE.org", "--reason", "asked by mail"]).with_code(0);
    assert!(said.stdout.starts_with("1 address is suppressed\nhint: "), "{said}");
    bench
        .scratch
        .write("list.csv", "email,tags\nana@example.org,vip\nsue@example.org,vip\nSUE@example.org,press\n");
    bench.scratch.write("only.csv", "email\nsue@example.org\n");
    bench.scratch.write("drop/members/dropped.csv", "email\nbo@example.org\n sue@example.org \n");

    let report = bench.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("delivered"), report.rows("suppressed"), report.rows("duplicate")), (1, 1, 1));
    assert_eq!(report.causes(), [("suppressed".to_owned(), 1)]);
    let report = bench.sync(["only.csv"]).run().with_code(0).report();
    assert_eq!(
        (report.text("status"), report.rows("suppressed"), report.number("requests")),
        ("succeeded", 1, 0)
    );
    assert_eq!(
        bench.db().count("select count(*) from batches where run_id = 2"),
        0,
        "nothing waits for a claim"
    );
    bench.sync(["--source", "crm"]).run().with_code(0);
    let insert = "insert into member_queue (email) values ('sue@Example.Org'), ('di@example.org'), ('SUE@example.org')";
    bench.db_to_write().execute(insert);
    bench.sync([]).run().with_code(0);

    let members = bench.luma.members();
    let everybody_else = ["ana", "bo", "cy", "di"].map(|name| format!("{name}@example.org"));
    assert_eq!(members.keys().cloned().collect::<Vec<_>>(), everybody_else);
    let left_out = rows(&bench);
    // Two files, two rows of the queue, one file of the folder, and a source that was read twice.
    assert_eq!(left_out.len(), 7, "{left_out:?}");
    assert!(left_out.iter().all(|row| row[1..] == ["suppressed", "suppressed"]), "{left_out:?}");
    let reasons = "select distinct reason from member_queue where code is not null";
    let reason = &bench.db().rows(reasons)[0][0];
    assert!(reason.starts_with("suppressed since 20") && reason.ends_with(": asked by mail"), "{reason}");
    let rejects = bench.lumasync(["rejects", "1"]).run().with_code(0).stdout;
    assert!(rejects.contains("sue@example.org,vip,3,suppressed,suppressed since"), "{rejects}");
}

#[test]
fn the_service_sends_nobody_once_it_was_said_that_they_are_suppressed() {
    let bench = Bench::new("slow=5ms", &format!("{QUIET}batch.max_rows = 5"));
    let service = bench.serve();
    let insert = |range: std::ops::Range<u32>, tag: &str| {
        let people: Vec<String> = range.map(|at| format!("('p{at}@example.org', '{tag}')")).collect();
        bench
            .db_to_write()
            .execute(&format!("insert into member_queue (email, tags) values {}", people.join(", ")));
    };
    insert(0..300, "vip");
    for at in (0..300).step_by(25) {
        suppress(&bench, ["add", &format!("p{at}@example.org")]).with_code(0);
        // As a list would that was made before.
        insert(at..at + 1, "press");
    }
    insert(0..300, "press");
    let db = bench.db();
    let open = "select count(*) from member_queue where settled_at is null";
    wait_until(PATIENCE, "an outcome for every row", || db.count(open) == 0);
    let members = bench.luma.members();
    for at in 0..300 {
        let tags = members.get(&format!("p{at}@example.org")).cloned().unwrap_or_default();
        let is_out = at % 25 == 0;
        assert_eq!(tags.contains(&"tag-press".to_owned()), !is_out, "p{at}: {tags:?}\n{}", service.stderr());
    }
    let late = "select count(*) from member_queue where tags = 'press' and state = 'suppressed'";
    assert_eq!(db.count(late), 24);
    let log = service.stderr();
    assert!(!log.contains("@example.org"), "{log}");
}

#[test]
fn failed_rows_of_suppressed_people_do_not_come_back() {
    let bench = Bench::new("500", &format!("{QUIET}retry.max_attempts = 1"));
    bench.scratch.write("list.csv", "email\nana@example.org\nsue@example.org\n");
    let report = bench.sync(["list.csv"]).run().with_code(4).report();
    assert_eq!(report.rows("failed"), 2);
    suppress(&bench, ["add", "sue@example.org"]).with_code(0);
    let mended = Luma::start(Options { limit: None, ..Options::default() });
    bench.point_to(&mended, QUIET);
    let said = bench.lumasync(["retry"]).run().with_code(0);
    assert!(said.stdout.starts_with("1 row of run 1: pending again"), "{said}");
    let report = bench.sync([]).run().with_code(0).report();
    assert_eq!((report.rows("delivered"), report.rows("suppressed")), (1, 1));
    assert_eq!(mended.members().into_keys().collect::<Vec<_>>(), ["ana@example.org"]);
    let told = bench.lumasync(["--output", "json", "trace", "sue@example.org"]).run().with_code(0).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let was_asked = |event: &serde_json::Value| event["event"] == "asked";
    assert!(told["events"].as_array().is_some_and(|events| events.iter().any(was_asked)), "{told:#}");
    // All that failed is of them: nobody is sent, and the run ends.
    let said = suppress(&bench, ["add", "ana@example.org"]).with_code(0);
    assert!(said.stdout.starts_with("1 address is suppressed\n"), "what was delivered stays\n{said}");
    assert_eq!(bench.db().count("select count(*) from ledger"), 1);
}

#[test]
fn a_list_is_read_however_it_is_written_and_bad_lines_are_named() {
    let bench = Bench::new("", QUIET);
    bench.scratch.write("plain.txt", "ana@example.org\n\nbo@example.org\nnonsense\nANA@example.org\n");
    let said = suppress(&bench, ["import", "plain.txt", "--reason", "left"]).with_code(4);
    assert!(said.stderr.contains("`plain.txt`: line 4, column 1: "), "{said}");
    assert!(
        said.stdout
            .starts_with("3 addresses are suppressed (1 on the list before); 1 line that could not be used"),
        "{said}"
    );

    // What else a row says does not matter: a tag that nobody knows, a guest who declined.
    let export = "name;email;tags;approval_status\nZo\u{eb};cy@example.org;unheard-of;declined\n";
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(export);
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&latin).expect("packed");
    bench.scratch.write("guests.csv.gz", packed.finish().expect("packed"));
    suppress(&bench, ["import", "guests.csv.gz"]).with_code(0);
    // Too few cells and too many: the address stands where it should.
    bench.scratch.write("ragged.csv", "id,email,note\n1,bo@example.org\n2,cy@example.org,a,b,c\n");
    let said = suppress(&bench, ["import", "ragged.csv"]).with_code(0);
    assert!(said.stdout.starts_with("2 addresses are suppressed (2 on the list before)\n"), "{said}");
    let object =
        "{\"email\":\"di@example.org\",\"tags\":[\"unheard-of\"],\"approval_status\":\"declined\"}\n";
    bench.scratch.write("people.jsonl", object);
    suppress(&bench, ["import", "people.jsonl"]).with_code(0);

    bench.scratch.write(
        "list.csv",
        "email\nana@example.org\nbo@example.org\ncy@example.org\ndi@example.org\ned@example.org\n",
    );
    let report = bench.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("delivered"), report.rows("suppressed")), (1, 4));
    // What was not sent can be suppressed as it is.
    bench.scratch.write("rejects.csv", bench.lumasync(["rejects", "1"]).run().with_code(0).stdout);
    let said = suppress(&bench, ["import", "rejects.csv"]).with_code(0);
    assert!(said.stdout.starts_with("4 addresses are suppressed (4 on the list before)\n"), "{said}");

    let said = suppress(&bench, ["import", "none.csv"]).with_code(1);
    assert!(said.stderr.contains("none.csv"), "{said}");
    let said = suppress(&bench, ["add", "ed@example.org", "nonsense"]).with_code(2);
    assert!(said.stderr.contains("argument 2 is no address"), "{said}");
    assert_eq!(bench.db().count("select count(*) from suppressions"), 4, "all or none\n{said}");
}

#[test]
fn the_list_is_shown_and_taken_from_and_names_nobody() {
    let bench = Bench::new("", QUIET);
    suppress(&bench, ["add", "sue@example.org", "bo@example.org", "--reason", "said no"]).with_code(0);
    bench.scratch.write("left.csv", "email\ncy@example.org\n");
    suppress(&bench, ["import", "left.csv"]).with_code(0);
    let shown = suppress(&bench, ["list"]).with_code(0).stdout;
    assert!(shown.starts_with("3 entries on the list\n"), "{shown}");
    assert!(
        shown.contains("by hand") && shown.contains("said no") && shown.contains("file left.csv"),
        "{shown}"
    );
    let shown = bench.lumasync(["suppress", "list", "--output", "json"]).run().with_code(0).stdout;
    let said: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&said["entries"], said["last"].as_array().map(Vec::len)), (&3.into(), Some(3)));
    assert_eq!(said["last"][0]["hash"].as_str().map(str::len), Some(8), "{shown}");
    let stored = String::from_utf8_lossy(&bench.stored()).into_owned();
    assert!(!stored.contains("example.org") && !shown.contains("example.org"), "an address is on record");

    let said = suppress(&bench, ["remove", "SUE@example.org", "never@example.org"]).with_code(1);
    assert_eq!(said.stdout, "1 address is off the list; 1 address is not on it\n");
    bench.scratch.write("list.csv", "email\nsue@example.org\nbo@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(bench.luma.members().into_keys().collect::<Vec<_>>(), ["sue@example.org"]);
}

#[test]
fn what_is_said_to_one_account_holds_for_it_and_without_a_name_for_all() {
    let paris = FurtherKey { key: "paris-key".to_owned(), limit: None };
    let options = Options { limit: None, further: vec![paris], ..Options::default() };
    let bench = Bench::with(options, &format!("{QUIET}accounts.paris.api_key = \"file:paris.key\""));
    bench.scratch.write("paris.key", "paris-key");
    suppress(&bench, ["add", "--account", "paris", "sue@example.org"]).with_code(0);
    suppress(&bench, ["add", "bo@example.org"]).with_code(0);
    let said = suppress(&bench, ["add", "--account", "rome", "sue@example.org"]).with_code(2);
    assert!(said.stderr.contains("there is no account `rome`"), "{said}");
    bench.scratch.write("list.csv", "email\nana@example.org\nbo@example.org\nsue@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    bench.sync(["--account", "paris", "list.csv"]).run().with_code(0);
    let held = |key| bench.luma.members_of(key).into_keys().collect::<Vec<_>>();
    assert_eq!(held(KEY), ["ana@example.org", "sue@example.org"]);
    assert_eq!(held("paris-key"), ["ana@example.org"]);
    let off = suppress(&bench, ["remove", "--account", "paris", "bo@example.org"]).with_code(1);
    assert_eq!(off.stdout, "0 addresses are off the list; 1 address is not on it for `paris` alone\n");
}

#[test]
fn a_long_list_against_a_long_list() {
    let bench = Bench::new("", QUIET);
    let people = People::clean(60_000, None);
    let left: Vec<&str> = people.members.keys().step_by(2).map(String::as_str).collect();
    bench.scratch.write("left.txt", left.join("\n"));
    bench.scratch.write("list.csv", &people.csv);
    let said = suppress(&bench, ["import", "left.txt"]).with_code(0);
    assert!(said.stdout.starts_with("30000 addresses are suppressed\n"), "{said}");
    let report = bench.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("delivered"), report.rows("suppressed")), (30_000, 30_000));
    assert!(bench.luma.members().keys().eq(people.members.keys().skip(1).step_by(2)));
}
