//! `lumasync sandbox` as it is typed: its settings, its file, its keys, over a bare connection.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Binary, Running, Scratch, wait_until};

/// What a request is answered: status, headers and body.
fn ask(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    let request =
        format!("{head} HTTP/1.1\r\nhost: luma\r\nconnection: close\r\ncontent-length: {length}\r\n");
    write!(stream, "{request}x-luma-api-key: k1\r\n\r\n{body}").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A sandbox with this state file, once it listens, and where it does.
fn start(scratch: &Scratch, more: &[&str]) -> (Running, String) {
    let args =
        ["--output", "json", "sandbox", "--listen", "127.0.0.1:0", "--key", "k1", "--state", "kept.json"];
    let running = Binary::new(scratch, args.iter().chain(more)).spawn();
    wait_until(crate::support::PATIENCE, "the sandbox", || running.stdout().contains("\"url\""));
    let told: Value = serde_json::from_str(&running.stdout()).expect("JSON");
    let url = told["url"].as_str().expect("an address");
    (running, url.trim_start_matches("http://").to_owned())
}

#[test]
fn what_a_sandbox_was_told_survives_its_end_by_a_signal() {
    let scratch = Scratch::new();
    let (running, address) = start(&scratch, &["--set", "reset=iso", "--tag", "tag-a=VIP"]);
    let body = r#"{"contacts":[{"email":"ana@example.org","name":"Ana"}],"tags":["VIP"]}"#;
    let imported = ask(&address, "POST /v1/calendars/contacts/import", body);
    assert!(imported.starts_with("HTTP/1.1 200 ") && imported.ends_with("{}"), "{imported}");
    let reset = imported.lines().find_map(|line| line.strip_prefix("x-ratelimit-reset: ")).expect("a header");
    assert!(reset.ends_with('Z') && reset.contains('T'), "{reset}");
    running.terminate();
    running.wait().with_code(143);

    let (_running, address) = start(&scratch, &[]);
    let page = ask(&address, "GET /v1/calendars/contacts/list?tags=VIP", "");
    assert!(page.contains(r#""email":"ana@example.org""#) && page.contains(r#""name":"Ana""#), "{page}");
}

#[test]
fn a_setting_that_is_none_and_a_file_of_no_use_are_told() {
    let scratch = Scratch::new();
    let ended = Binary::new(&scratch, ["sandbox", "--set", "batch.max_rows=1"]).run().with_code(2);
    assert!(ended.stderr.contains("`batch.max_rows` is not a setting of the sandbox"), "{ended}");
    assert!(ended.stderr.contains("hint: known are `unknown-tag`"), "{ended}");
    scratch.write("kept.json", "[]");
    let listen = ["sandbox", "--listen", "127.0.0.1:0", "--state", "kept.json"];
    let ended = Binary::new(&scratch, listen).run();
    assert!(ended.stderr.contains("cannot keep the state of the sandbox in `kept.json`"), "{ended}");
}

#[test]
fn the_help_names_every_setting_with_its_values() {
    let help = Binary::new(&Scratch::new(), ["sandbox", "--help"]).run().with_code(0).stdout;
    for line in lumasync::sandbox::v1::Settings::help().lines() {
        let (key, _) = line.trim().split_once(':').expect("a key and what it is about");
        assert!(help.contains(key), "`{key}` is not in\n{help}");
    }
}
