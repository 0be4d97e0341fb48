//! The helpers themselves: what tests rest on must fail where it should.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lumasync::config::{Config, Sources};
use lumasync::sandbox::Options;
use lumasync::store::Store;

use super::*;

const SOON: Duration = Duration::from_secs(20);

#[test]
#[should_panic(expected = "waited 30ms in vain for a file that nobody writes")]
fn a_wait_in_vain_says_what_for() {
    let scratch = Scratch::new();
    wait_until(Duration::from_millis(30), "a file that nobody writes", || scratch.path("a").exists());
}

#[test]
fn a_command_runs_in_its_folder_and_is_heard() {
    let scratch = Scratch::new();
    scratch.write("deep/down.txt", "found\n");
    let script = "cat deep/down.txt; echo \"$WORD\" >&2; exit 3";
    let ended = Binary::other("sh", &scratch, ["-c", script]).env("WORD", "aside").run().with_code(3);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("found\n", "aside\n"));
    assert_eq!(ended.signal(), None);
}

#[test]
#[should_panic(expected = "--- stdout\nout\n\n--- stderr\nerr\n")]
fn a_wrong_exit_code_shows_both_streams() {
    let script = "echo out; echo err >&2; exit 1";
    Binary::other("sh", &Scratch::new(), ["-c", script]).run().with_code(0);
}

#[test]
fn a_command_in_the_background_can_be_asked_to_stop_or_killed() {
    let scratch = Scratch::new();
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 1 & wait $!; done";
    for (gently, seen) in [(true, "ready\nbye\n"), (false, "ready\n")] {
        let running = Binary::other("sh", &scratch, ["-c", script]).spawn();
        wait_until(SOON, "the script", || running.stdout() == "ready\n");
        assert_eq!(running.stderr(), "");
        let ended = if gently {
            running.terminate();
            running.wait().with_code(7)
        } else {
            running.kill()
        };
        assert_eq!((ended.stdout.as_str(), ended.signal()), (seen, (!gently).then_some(9)));
    }
}

#[test]
fn the_local_luma_lets_the_tests_key_in_and_counts() {
    let luma = Luma::start(Options::default());
    let address = luma.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).expect("a connection");
    let head = format!(
        "GET /user HTTP/1.1\r\nhost: {address}\r\nx-luma-api-key: {KEY}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!((luma.snapshot().requests, luma.members().len()), (1, 0));
}

#[test]
fn the_database_is_read_as_text_and_never_written() {
    let scratch = Scratch::new();
    let path = scratch.path("a.db");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { Store::open_sqlite(&path).await.expect("opened").close().await });
    let db = Db::open(&path);
    assert_eq!(db.count("select count(*) from accounts"), 1);
    assert_eq!(db.rows("select name, members, identity from accounts"), [["main", "0", "NULL"]]);
    let write = std::panic::AssertUnwindSafe(|| db.rows("delete from accounts"));
    std::panic::catch_unwind(write).expect_err("refused");
    assert_eq!(db.count("select count(*) from accounts"), 1);
}

#[test]
fn the_configuration_for_tests_is_sound_and_gives_way() {
    let scratch = Scratch::new();
    let load = |extra: &str| {
        let file = scratch.write("lumasync.toml", config_text("sqlite://t.db", "http://127.0.0.1:9", extra));
        let env = [("TEST_LUMA_KEY".to_owned(), KEY.into())].into();
        Config::load(&Sources { file: Some(file), env, ..Sources::from_process() }).expect("sound")
    };
    let config = load("");
    assert_eq!((config.luma.rate_limit.requests, config.batch.max_rows), (200, 500));
    let config = load("luma.rate_limit.requests = 30\nbatch.max_rows = 7\ntags.gold = \"tag-gold\"");
    assert_eq!((config.luma.rate_limit.requests, config.batch.max_rows), (30, 7));
    assert!(scratch.read("lumasync.toml").contains("tags.gold"));
}
