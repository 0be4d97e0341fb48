//! The drop folder: whatever is dropped in, in whatever state, ends where it should, and its rows with it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, PATIENCE, People, wait_until, within};

/// The one file below `done` or `failed` whose name begins and ends so.
pub(crate) fn find(bench: &Bench, begin: &str, end: &str) -> Option<PathBuf> {
    let list = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let days = list(bench.scratch.path("drop/done")).flat_map(list);
    let mut found = days.chain(list(bench.scratch.path("drop/failed"))).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(begin) && name.ends_with(end)
    });
    let first = found.next();
    assert_eq!(found.next(), None, "more than one `{begin}*{end}`");
    first
}

#[track_caller]
pub(crate) fn await_file(bench: &Bench, begin: &str, end: &str) -> PathBuf {
    wait_until(PATIENCE, &format!("`{begin}*{end}`"), || find(bench, begin, end).is_some());
    find(bench, begin, end).expect("found")
}

/// The numbers of a receipt, which add up.
#[track_caller]
pub(crate) fn receipt(bench: &Bench, stem: &str) -> Value {
    let path = await_file(bench, stem, ".receipt.json");
    let mut said = Value::Null;
    wait_until(PATIENCE, "a whole receipt", || {
        said = serde_json::from_slice(&fs::read(&path).expect("a receipt")).unwrap_or_default();
        said.is_object()
    });
    if let Some(rows) = said["rows"].as_object() {
        let sum: u64 = rows.iter().filter(|(name, _)| *name != "read").filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(said["rows"]["read"], sum, "{said}");
    }
    said
}

fn left_in(bench: &Bench, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(bench.scratch.path(folder)).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn is_empty(bench: &Bench, folder: &str) -> bool {
    left_in(bench, folder).is_empty()
}

#[test]
fn a_file_is_taken_in_and_put_away_with_what_became_of_its_rows() {
    let bench = Bench::new("reject=cy@example.org", "");
    let service = bench.serve();
    let list = "email;name;tags\nana@example.org;Ana;vip\nANA@example.org;;press\nnonsense;=cmd;\ncy@example.org;Cy;\n";
    bench.scratch.write("drop/members/list.csv", list);
    let archived = await_file(&bench, "list.csv", "");
    assert_eq!(fs::read_to_string(archived).expect("text"), list);
    assert_eq!(bench.luma.members()["ana@example.org"], ["tag-press", "tag-vip"]);

    let files = ["success.csv", "rejects.csv", "receipt.json"].map(|end| await_file(&bench, "list.", end));
    for file in &files {
        let mode = fs::metadata(file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let [success, rejects, _] = files.map(|file| fs::read_to_string(file).expect("text"));
    let lines = |text: &str| {
        text.lines().map(|line| line.split(';').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&success), ["email", "ana@example.org", "ANA@example.org"], "{success}");
    assert_eq!(lines(&rejects), ["email", "nonsense", "cy@example.org"], "{rejects}");
    assert!(rejects.starts_with("email;name;tags;_row;_code;_reason\n"), "{rejects}");
    assert!(!rejects.contains(";=cmd;"), "a formula is told to be text\n{rejects}");
    let said = receipt(&bench, "list.");
    assert_eq!((&said["status"], &said["rows"]["read"]), (&"partial".into(), &4.into()), "{said}");
    assert_eq!((&said["rows"]["delivered"], &said["rows"]["rejected"]), (&1.into(), &1.into()), "{said}");
    assert!(is_empty(&bench, "drop/members") && is_empty(&bench, "drop/processing"));

    bench.scratch.write("drop/members/mended.csv", rejects.replace("nonsense", "bo@example.org"));
    await_file(&bench, "mended.csv", "");
    let names = bench.db().rows("select name from member_queue where email = 'bo@example.org'");
    assert_eq!(names, [["=cmd"]], "the mark against formulas is taken off again");
    assert!(bench.luma.members().contains_key("bo@example.org"));
    service.terminate();
    service.wait().with_code(143);
}

#[test]
fn a_file_that_grows_is_not_taken_before_it_stands_still() {
    let bench = Bench::new("", "folder.settle = \"800ms\"");
    let service = bench.serve();
    let path = bench.scratch.write("drop/members/growing.csv", "email\n");
    let mut file = File::options().append(true).open(path).expect("opened");
    for step in 0..30 {
        for number in 0..20 {
            writeln!(file, "p{step}x{number}@example.org").expect("written");
        }
        // Half a line, which the next step would complete.
        write!(file, "half{step}@exa").and_then(|()| file.flush()).expect("written");
        let is_taken = within(Duration::from_millis(100), || !is_empty(&bench, "drop/processing"));
        assert!(!is_taken, "taken in while it grew\n{}", service.stderr());
        writeln!(file, "mple.org").expect("written");
    }
    drop(file);
    let said = receipt(&bench, "growing.");
    assert_eq!((&said["rows"]["read"], &said["rows"]["delivered"]), (&630.into(), &630.into()), "{said}");
    assert_eq!(bench.luma.members().len(), 630);
    assert_eq!(bench.db().count("select count(*) from runs"), 1);
}

#[test]
fn the_same_bytes_again_send_nothing_and_the_same_name_with_new_bytes_does() {
    let bench = Bench::new("", "");
    let service = bench.serve();
    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\n");
    receipt(&bench, "list.1.");
    wait_until(PATIENCE, "the archive", || is_empty(&bench, "drop/processing"));
    let requests = bench.luma.snapshot().requests;

    bench.scratch.write("drop/members/other-name.csv", "email\nana@example.org\n");
    let said = receipt(&bench, "other-name");
    assert_eq!((&said["status"], &said["run"]), (&"already_taken".into(), &1.into()), "{said}");
    await_file(&bench, "other-name.csv", "");
    assert_eq!(bench.luma.snapshot().requests, requests, "{}", service.stderr());
    assert_eq!(bench.db().count("select count(*) from runs"), 1);

    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\nbo@example.org\n");
    let said = receipt(&bench, "list.2.");
    assert_eq!((&said["rows"]["unchanged"], &said["rows"]["delivered"]), (&1.into(), &1.into()), "{said}");
    wait_until(PATIENCE, "the archive", || is_empty(&bench, "drop/processing"));
    let both = [await_file(&bench, "list.csv", ""), await_file(&bench, "list.2.csv", "")];
    let mut sizes = both.map(|path| fs::metadata(path).expect("a file").len());
    sizes.sort_unstable();
    assert_eq!(sizes, [22, 37], "neither took the other's place");
    assert_eq!(bench.luma.members().len(), 2);
}

#[test]
fn what_is_no_file_of_members_is_left_or_put_aside_and_harms_no_other() {
    let bench = Bench::new("", "");
    let inbox = |name: &str| bench.scratch.path(&format!("drop/members/{name}"));
    bench.scratch.write("outside.csv", "email\nlinked@example.org\n");
    fs::create_dir_all(inbox("folder.csv")).expect("a folder");
    symlink(bench.scratch.path("outside.csv"), inbox("link.csv")).expect("a link");
    for name in
        ["half.csv.part", ".hidden.csv", "x.tmp", "~$list.csv", "y.crdownload", "z.filepart", "notes.txt"]
    {
        bench.scratch.write(&format!("drop/members/{name}"), "email\nnot-yet@example.org\n");
    }
    bench.scratch.write("drop/members/binary.csv", (0..=255_u8).cycle().take(9_000).collect::<Vec<_>>());
    bench.scratch.write("drop/members/empty.csv", "");
    bench.scratch.write("drop/members/columns.csv", "id,emial\n1,ana@example.org\n");
    bench.scratch.write("drop/members/broken.csv.gz", b"\x1f\x8b\x08 this is not gzip");
    let service = bench.serve();
    bench.scratch.write("drop/members/good.csv", "email\nana@example.org\n");
    await_file(&bench, "good.csv", "");
    for stem in ["binary", "empty", "columns", "broken"] {
        let said = receipt(&bench, stem);
        assert_eq!(said["status"], "failed", "{said}");
        assert!(said["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{said}");
        await_file(&bench, stem, if stem == "broken" { ".csv.gz" } else { ".csv" });
    }
    let kept = left_in(&bench, "drop/members");
    let expected = [
        ".hidden.csv",
        "folder.csv",
        "half.csv.part",
        "link.csv",
        "notes.txt",
        "x.tmp",
        "y.crdownload",
        "z.filepart",
        "~$list.csv",
    ];
    assert_eq!(kept, expected, "{}", service.stderr());
    for (name, why) in
        [("link.csv", "symbolic link"), ("folder.csv", "no regular file"), ("notes.txt", "does not end")]
    {
        let said = service.stderr();
        let lines = said.lines().filter(|line| line.contains(name) && line.contains(why)).count();
        assert_eq!(lines, 1, "`{name}` is named once\n{said}");
    }
    assert_eq!(bench.luma.members().into_keys().collect::<Vec<_>>(), ["ana@example.org"]);

    fs::rename(inbox("half.csv.part"), inbox("half.csv")).expect("renamed");
    await_file(&bench, "half.csv", "");
    assert!(bench.luma.members().contains_key("not-yet@example.org"), "a finished upload is taken");
}

#[test]
fn a_file_that_may_not_be_read_waits_for_its_permission() {
    let bench = Bench::new("", "");
    let path = bench.scratch.write("drop/members/locked.csv", "email\nana@example.org\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("set");
    if File::open(&path).is_ok() {
        // Nothing is locked for root.
        return;
    }
    let service = bench.serve();
    wait_until(PATIENCE, "a word about it", || service.stderr().contains("check its permissions"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    await_file(&bench, "locked.csv", "");
    assert_eq!(bench.luma.members().len(), 1);
}

#[test]
fn a_service_killed_while_it_takes_a_file_in_or_sends_it_goes_on_where_it_was() {
    let bench = Bench::new("", "batch.max_rows = 100\nluma.rate_limit.per_second = 20");
    let people = People::messy(60_000, 4);
    let mut service = bench.serve();
    bench.scratch.write("drop/members/large.csv", &people.csv);
    wait_until(PATIENCE, "the beginning", || !is_empty(&bench, "drop/processing"));
    assert_eq!(service.kill().signal(), Some(9));
    service = bench.serve();
    wait_until(PATIENCE, "rows", || bench.db().count("select count(*) from input_files") == 1);
    assert_eq!(service.kill().signal(), Some(9));
    for imports in [1, 40] {
        service = bench.serve();
        wait_until(PATIENCE, "imports", || bench.luma.snapshot().imports >= imports);
        assert_eq!(service.kill().signal(), Some(9));
    }
    bench.configure("batch.max_rows = 1000");
    service = bench.serve();
    await_file(&bench, "large.csv", "");
    assert!(bench.luma.members() == people.members, "{}", service.stderr());
    let said = receipt(&bench, "large.");
    assert_eq!(said["rows"]["read"], people.rows, "{said}");
    assert_eq!(said["rows"]["delivered"], people.members.len() as u64, "{said}");
    assert_eq!(said["rows"]["duplicate"], people.duplicates, "{said}");
    assert_eq!(bench.db().count("select count(*) from runs"), 1);
    let success = fs::read_to_string(await_file(&bench, "large.", "success.csv")).expect("text");
    let rejects = fs::read_to_string(await_file(&bench, "large.", "rejects.csv")).expect("text");
    let good = people.members.len() as u64 + people.duplicates;
    assert_eq!(
        (success.lines().count() as u64, rejects.lines().count() as u64),
        (1 + good, 1 + people.rows - good)
    );
}

#[test]
fn one_invalid_row_refuses_its_file_where_that_is_asked_for() {
    let bench = Bench::new("", "folder.on_error = \"refuse\"");
    let service = bench.serve();
    bench.scratch.write("drop/members/bad.csv", "email\nana@example.org\nnonsense\n");
    bench.scratch.write("drop/members/good.csv", "email\nbo@example.org\n");
    let said = receipt(&bench, "bad");
    assert!(said["reason"].as_str().is_some_and(|reason| reason.contains('3')), "it names the line: {said}");
    await_file(&bench, "good.csv", "");
    assert_eq!(
        bench.luma.members().into_keys().collect::<Vec<_>>(),
        ["bo@example.org"],
        "{}",
        service.stderr()
    );
}

#[test]
fn a_stop_leaves_the_rest_for_the_next_start() {
    let bench = Bench::new("slow=200ms", "batch.max_rows = 10\nluma.max_in_flight = 2");
    let people = People::clean(400, Some("vip"));
    bench.scratch.write("drop/members/list.csv", &people.csv);
    let service = bench.serve();
    wait_until(PATIENCE, "imports", || bench.luma.snapshot().imports >= 4);
    service.terminate();
    let ended = service.wait().with_code(143);
    let counts = bench.luma.snapshot();
    assert!(counts.imports < 20, "{ended}");
    assert_eq!(
        bench.db().count("select count(*) from member_queue where state = 'delivered'"),
        i64::try_from(counts.rows_received).expect("few")
    );
    assert_eq!(bench.db().count("select count(*) from workers"), 0, "its lease is given back\n{ended}");
    bench.configure("batch.max_rows = 10\nluma.max_in_flight = 16");
    let report = bench.sync([]).run().with_code(0).report();
    assert_eq!(report.rows("delivered"), 400);
    await_file(&bench, "list.csv", "");
    assert!(bench.luma.members() == people.members && bench.luma.snapshot().repeats == 0);
}

#[test]
fn two_services_on_one_folder_take_each_file_once() {
    let bench = Bench::new("", "");
    let (one, two) = (bench.serve(), bench.serve());
    let mut expected = 0;
    for number in 0..10 {
        let mut list = "email\n".to_owned();
        for row in 0..50 {
            let _ = writeln!(list, "p{number}x{row}@example.org");
        }
        expected += 50;
        bench.scratch.write(&format!("drop/members/list{number}.csv"), list);
    }
    for number in 0..10 {
        await_file(&bench, &format!("list{number}.csv"), "");
    }
    let counts = bench.luma.snapshot();
    assert_eq!(
        (bench.luma.members().len(), counts.repeats),
        (expected, 0),
        "{}\n{}",
        one.stderr(),
        two.stderr()
    );
    assert_eq!(bench.db().count("select count(*) from runs"), 10);
}
