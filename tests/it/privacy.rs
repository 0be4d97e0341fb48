//! Logs and errors hold no address and no key, whatever goes wrong.

use lumasync::sandbox::{Malformed, Options};

use crate::support::{Bench, Binary, Ended, KEY, PATIENCE, Scratch, config_text, faulty, wait_until};

/// Part of every address here, so that a piece of one is seen too.
const MARK: &str = "zqprivate";

/// A list of which nearly every row is wrong in its own way.
fn list() -> String {
    let m = MARK;
    format!(
        "email,name,tags\nana.{m}@example.org,Ana,vip\nbo.{m}@example.org,Bo,\ncy.{m}@example.org,Cy,press\n\
         ANA.{m}@example.org,Ana,press\ndi.{m} at example.org,Di,\ned.{m}@example..org,Ed,\n\
         flo.{m}@example.org,Flo,unheard-of\n\"Gus <gus.{m}@example.org>\",Gus,\nhal.{m}@example.org,too,many,cells\n\
         ida.{m}@example.org,Ida,{m}@example.org\njo.{m}@example.org;kim.{m}@example.org,Jo,\n\
         lou.{m}@münchen-.example,Lou,\nmia.{m}@example.org,Mia,\nned.{m}@example.org,\"never closed\n"
    )
}

fn options() -> Options {
    let faults = format!(
        "500@1,reset@2,html-ok@3,empty@4,truncated@5,reset-after@6,\
         reject-named=bo.{MARK}@example.org,reject=mia.{MARK}@example.org"
    );
    Options { limit: None, malformed: Malformed::Reject, ..faulty(&faults) }
}

#[track_caller]
fn discreet(text: &str, ended: &Ended) {
    assert!(!text.to_lowercase().contains(MARK), "an address\n{ended}");
    assert!(!text.contains(KEY), "the key\n{ended}");
}

#[test]
fn logs_of_a_run_where_everything_goes_wrong_hold_no_address_and_no_key() {
    for format in ["text", "json"] {
        let bench = Bench::with(options(), "batch.max_rows = 2\nluma.timeout = \"2s\"");
        bench.scratch.write("list.csv", list());
        let args = ["--log-level", "info", "--log-format", format, "sync", "list.csv"];
        let ended = bench.lumasync(args).run().with_code(4);
        assert!(ended.stderr.contains("a passing fault"), "the log says something\n{ended}");
        assert!(ended.stderr.contains("Luma refused a request"), "{ended}");
        discreet(&ended.stderr, &ended);
        assert!(!ended.stdout.contains(KEY), "{ended}");
        let held = bench.luma.members();
        assert!(held.contains_key(&format!("ana.{MARK}@example.org")), "{ended}");
    }
}

#[test]
fn logs_of_the_service_hold_no_address_and_no_key() {
    let bench = Bench::with(options(), "batch.max_rows = 2");
    bench.scratch.write("drop/members/list.csv", list());
    bench.scratch.write("drop/members/headless.csv", format!("{MARK}@example.org,x@example.org\n"));
    let running = bench.lumasync(["--log-level", "info", "--log-format", "json", "run"]).spawn();
    let done = || {
        let folder = bench.scratch.path("drop/done");
        let days = std::fs::read_dir(folder).into_iter().flatten().flatten();
        days.flat_map(|day| std::fs::read_dir(day.path()).into_iter().flatten().flatten())
            .any(|file| file.file_name() == "list.csv")
    };
    wait_until(PATIENCE, "the archive", done);
    running.terminate();
    let ended = running.wait().with_code(143);
    discreet(&ended.stderr, &ended);
    assert!(ended.stderr.contains("\"level\":\"INFO\""), "{ended}");
}

#[test]
fn the_key_is_nowhere_even_where_everything_is_told() {
    let bench = Bench::with(options(), "batch.max_rows = 2");
    bench.scratch.write("list.csv", list());
    let ended = bench.lumasync(["--log-level", "trace", "sync", "list.csv"]).run().with_code(4);
    assert!(ended.stderr.contains("TRACE") || ended.stderr.contains("DEBUG"), "{ended}");
    assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY), "{ended}");
    let stored = bench.stored();
    let holds = |what: &str| stored.windows(what.len()).any(|window| window == what.as_bytes());
    assert!(!holds(KEY) && holds("@example.org"), "the key is in the database, or nothing is");
}

#[test]
fn a_file_that_cannot_be_taken_does_not_speak_of_its_people() {
    let bench = Bench::new("", "folder.on_error = \"refuse\"");
    for (name, text) in [
        ("refused.csv", format!("email,tags\nana.{MARK}@example.org,vip\nnot {MARK}@example.org,\n")),
        ("headless.csv", format!("ana.{MARK}@example.org,bo.{MARK}@example.org\n")),
        ("columns.csv", format!("id,contact\n1,ana.{MARK}@example.org\n")),
    ] {
        bench.scratch.write(name, text);
        let ended = bench.lumasync(["--log-level", "info", "sync", name]).run().with_code(1);
        discreet(&ended.stderr, &ended);
    }
}

#[test]
fn a_refused_key_is_not_repeated() {
    let bench = Bench::new("", "");
    let secret = "zq-the-wrong-key";
    for args in [["check", "--connect"], ["--log-level=trace", "sync"]] {
        bench.scratch.write("drop/members/list.csv", "email\nana@example.org\n");
        let ended = bench.lumasync(args).env("TEST_LUMA_KEY", secret).run().with_code(78);
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains("key refused"), "{ended}");
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{ended}");
    }
}

#[test]
fn a_key_in_the_file_is_refused_and_not_repeated() {
    let scratch = Scratch::new();
    let secret = "zq-a-literal-key";
    let extra = format!("luma.api_key = \"{secret}\"");
    scratch.write("lumasync.toml", config_text("sqlite://t.db", "http://127.0.0.1:9", &extra));
    for args in [vec!["check"], vec!["--output", "json", "check"], vec!["sync"], vec!["run"]] {
        let ended = Binary::new(&scratch, args).run().with_code(78);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("luma.api_key") && !said.contains(secret), "{ended}");
    }
}
