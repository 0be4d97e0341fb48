//! `forget`: nothing of an address is left within reach, neighbours and numbers are as they were.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use lumasync::sandbox::Options;
use serde_json::Value;

use crate::support::{Bench, Luma, People, faulty, within};

/// Nobody else's address holds it.
const WHO: &str = "zqana@example.org";

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).expect("packed");
    packer.finish().expect("packed")
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// Every file of the folder that holds the address, packed or in UTF-16 too.
fn holding(bench: &Bench, who: &str) -> Vec<String> {
    let mut holding = Vec::new();
    look(bench.scratch.root(), who, &mut holding);
    if !bench.is_sqlite() && String::from_utf8_lossy(&bench.stored()).to_lowercase().contains(who) {
        holding.push("the database".to_owned());
    }
    holding
}

fn look(dir: &Path, who: &str, holding: &mut Vec<String>) {
    for path in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            look(&path, who, holding);
            continue;
        }
        let mut bytes = fs::read(&path).expect("read");
        let mut unpacked = Vec::new();
        if flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).is_ok() {
            bytes = unpacked;
        }
        bytes.make_ascii_lowercase();
        let narrow: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        let holds = |bytes: &[u8]| bytes.windows(who.len()).any(|window| window == who.as_bytes());
        if holds(&bytes) || holds(&narrow) {
            holding.push(path.display().to_string());
        }
    }
}

/// What is said of every run, but for the reasons of rows that are gone.
fn numbers(bench: &Bench) -> Value {
    let ended = bench.lumasync(["--output", "json", "runs", "list"]).run().with_code(0);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn forget(bench: &Bench, args: &[&str], code: i32) -> Value {
    let all = ["--output", "json", "forget", WHO].into_iter().chain(args.iter().copied());
    let ended = bench.lumasync(all).run().with_code(code);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended}"))
}

/// Lists in which the person stands in every way there is, all taken in.
fn filled(bench: &Bench) {
    let list = format!(
        "email,name,tags,referrer\nbo@example.org,Bo,vip,{WHO}\nZQana@Example.org,Ana,vip,\n{WHO},Ana,,\n\
         x{WHO},Xana,,\n\"Ana\n<{WHO}>\",\"Ana\nLima\",,\ncy@example.org,Cy,,\n{WHO},too,many,cells,here\nnonsense,No,,\n"
    );
    bench.scratch.write("drop/members/list.csv", &list);
    bench.scratch.write("drop/members/packed.csv.gz", gzip(&format!("email\ndi@example.org\n{WHO}\n")));
    bench
        .scratch
        .write("drop/members/wide.csv", utf16(&format!("email;name\r\nünï@example.org;X\r\n{WHO};Zoë\r\n")));
    bench.scratch.write(
        "drop/members/lines.jsonl",
        format!("{{\"email\":\"{WHO}\",\"tags\":[\"tag-new\"]}}\n{{\"email\":\"ed@example.org\",\"friend\":\"{WHO}\"}}\n"),
    );
    bench.scratch.write("drop/members/headless.csv", format!("id,contact\n1,{WHO}\n"));
    bench.sync([]).run();
    bench.db_to_write().execute(&format!("insert into member_queue (email, name) values ('{WHO}', 'Ana')"));
}

#[test]
fn nothing_of_the_address_is_left_and_the_numbers_stay() {
    let bench = Bench::new("", "batch.max_rows = 2");
    filled(&bench);
    let (before, x) = (numbers(&bench), format!("x{WHO}"));
    assert!(holding(&bench, WHO).len() > 8, "{:?}", holding(&bench, WHO));
    forget(&bench, &["--dry-run"], 0);
    bench.lumasync(["forget", WHO]).run().with_code(2);
    for everybody in ["example.org", "org", "@example.org", "zqana@"] {
        bench.lumasync(["forget", everybody, "--yes"]).run().with_code(2);
    }
    assert!(holding(&bench, WHO).len() > 8, "it was not meant");

    let said = forget(&bench, &["--yes", "--vacuum"], 0);
    assert_eq!(said["files_waiting"].as_array().map(Vec::len), Some(0), "{said:#}");
    assert_eq!(said["files_not_searched"].as_array().map(Vec::len), Some(0), "{said:#}");
    assert_eq!(numbers(&bench), before);
    // Only whose address ends like that.
    let left = holding(&bench, WHO);
    assert_eq!(left, holding(&bench, &x));
    forget_x(&bench, &x);
    assert_eq!(holding(&bench, WHO), Vec::<String>::new());
    assert_eq!(numbers(&bench), before);

    let day = fs::read_dir(bench.scratch.path("drop/done")).expect("a folder").next().expect("a day");
    let day = day.expect("a day").path();
    let list = fs::read_to_string(day.join("list.csv")).expect("the archive");
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines[1], "bo@example.org,Bo,vip,[forgotten]");
    assert_eq!((lines[2], lines[3], lines[4], lines[5], lines[6], lines[7]), ("", "", "", "", "", ""));
    assert_eq!(lines[8], "cy@example.org,Cy,,", "neighbours keep their lines");
    let files = || fs::read_dir(&day).expect("a folder").flatten();
    assert!(files().any(|file| file.path().to_string_lossy().ends_with(".receipt.json")));
    for file in files().filter(|file| file.path().to_string_lossy().contains(".receipt.")) {
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    }

    // What is left can still be worked with.
    for run in 1..=4 {
        bench.lumasync(["rejects", &run.to_string()]).run().with_code(0);
    }
    let told = bench.lumasync(["trace", WHO]).run().with_code(0).stdout;
    assert!(told.contains("no row and no file names this person"), "{told}");
    bench.sync([]).run().with_code(0);
    assert_eq!(numbers(&bench), before, "nothing comes back by itself");
}

#[test]
fn whoever_is_forgotten_and_suppressed_is_never_sent_again_and_nothing_names_them() {
    let bench = Bench::new("", "folder.path = \"\"");
    bench.scratch.write("list.csv", format!("email\n{WHO}\nbo@example.org\n"));
    bench.sync(["list.csv"]).run().with_code(0);
    fs::remove_file(bench.scratch.path("list.csv")).expect("removed");
    bench.lumasync(["forget", "nobody", "--suppress", "--yes"]).run().with_code(2);
    forget(&bench, &["--yes", "--suppress", "--vacuum"], 0);
    assert_eq!(holding(&bench, WHO), Vec::<String>::new());
    let requests = bench.luma.snapshot().imports;
    bench.scratch.write("list.csv", format!("email\n{WHO}\n"));
    bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(bench.luma.snapshot().imports, requests, "asked to be left alone, and was not");
}

#[test]
fn what_is_named_after_them_is_told_and_names_of_others_are_erased() {
    let bench = Bench::new("", "");
    bench.scratch.write(&format!("drop/members/{WHO}.csv"), format!("email,name\nbo@example.org,{WHO}\n"));
    bench.sync([]).run().with_code(0);
    let names = "select count(*) from member_queue where name is not null";
    assert_eq!(bench.db().count(names), 1);
    let said = forget(&bench, &["--yes"], 4);
    assert_eq!((said["names"].as_u64(), said["names_waiting"].as_u64()), (Some(1), Some(0)), "{said:#}");
    assert!(said["files_named"].as_array().is_some_and(|files| !files.is_empty()), "{said:#}");
    assert_eq!(bench.db().count(names), 0);
    assert_eq!(bench.db().count("select count(*) from member_queue where state = 'delivered'"), 1);
}

fn forget_x(bench: &Bench, x: &str) {
    bench.lumasync(["forget", x, "--yes", "--vacuum"]).run().with_code(0);
}

#[test]
fn result_files_of_a_file_without_them_can_be_written_anew() {
    let bench = Bench::new("500@2+", "batch.max_rows = 1\nretry.max_attempts = 1");
    bench
        .scratch
        .write("drop/members/list.csv", format!("email\nbo@example.org\n{WHO}\n{WHO}\ncy@example.org\n"));
    bench.sync([]).run();
    let failed = bench.db().count("select count(*) from member_queue where state = 'failed'");
    assert!(failed > 0, "some are to be tried again");
    forget(&bench, &["--yes"], 0);
    let well = Luma::start(Options { limit: None, ..faulty("") });
    bench.point_to(&well, "batch.max_rows = 1");
    bench.lumasync(["retry"]).run().with_code(0);
    bench.sync([]).run();
    let open = bench.db().count("select count(*) from input_files where state <> 'archived'");
    assert_eq!(open, 0, "the file is put away again");
    let left: Vec<String> = holding(&bench, WHO).into_iter().filter(|path| !path.contains("t.db")).collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(!well.members().contains_key(WHO));
    // One of them was taken before the faults began.
    let first = bench.luma.members();
    let is_there = |who: &str| well.members().contains_key(who) || first.contains_key(who);
    assert!(is_there("bo@example.org") && is_there("cy@example.org"));
}

#[test]
fn the_same_bytes_again_send_nothing_and_are_told_of() {
    let bench = Bench::new("", "");
    let list = format!("email\nbo@example.org\n{WHO}\n");
    bench.scratch.write("drop/members/list.csv", &list);
    bench.sync([]).run().with_code(0);
    forget(&bench, &["--yes"], 0);
    let requests = bench.luma.snapshot().requests;
    bench.scratch.write("drop/members/list.csv", &list);
    let said = forget(&bench, &["--yes"], 4);
    assert_eq!(said["files_waiting"].as_array().map(Vec::len), Some(1), "it would come back: {said:#}");
    bench.sync([]).run();
    assert_eq!(bench.luma.snapshot().requests, requests);
    assert_eq!(bench.db().count("select count(*) from runs"), 1);
}

#[test]
fn a_kill_at_any_moment_leaves_work_that_the_next_time_ends() {
    let people = People::clean(3_000, None);
    for wait in [0, 5, 15, 30, 60, 120, 250] {
        let bench = Bench::new("", "");
        filled(&bench);
        bench.scratch.write("drop/members/many.csv", format!("{}{WHO},\n", people.csv));
        bench.sync([]).run();
        let before = numbers(&bench);
        let running = bench.lumasync(["forget", WHO, "--yes"]).spawn();
        assert!(!within(Duration::from_millis(wait), || false));
        running.kill();
        let killed = numbers(&bench);
        assert_eq!(killed, before, "after {wait} ms");
        forget(&bench, &["--yes", "--vacuum"], 0);
        assert_eq!(numbers(&bench), before);
        forget_x(&bench, &format!("x{WHO}"));
        assert_eq!(holding(&bench, WHO), Vec::<String>::new(), "after {wait} ms");
        let changed = bench.db().rows("select name from input_files where state <> 'archived'");
        assert_eq!(changed, Vec::<Vec<String>>::new());
    }
}
