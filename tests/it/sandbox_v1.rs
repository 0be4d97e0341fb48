//! `lumasync sandbox` as it is typed: its settings, its file, its keys, over a bare connection.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Binary, Running, Scratch, wait_until};

/// What a request is answered: status, headers and body.
fn ask(address: &str, head: &str, body: &str) -> String {
    try_ask(address, head, body).expect("an answer")
}

/// The same of somebody who may be gone.
fn try_ask(address: &str, head: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    let request =
        format!("{head} HTTP/1.1\r\nhost: luma\r\nconnection: close\r\ncontent-length: {length}\r\n");
    write!(stream, "{request}x-luma-api-key: k1\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
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
fn a_kill_between_two_writes_loses_nothing_that_was_answered() {
    let scratch = Scratch::new();
    let import = |address: &str, round: usize, number: usize| {
        let body = format!(r#"{{"contacts":[{{"email":"p{round}-{number}@example.org"}}]}}"#);
        try_ask(address, "POST /v1/calendars/contacts/import", &body)
    };
    let mut answered = Vec::new();
    for round in 0..4 {
        let (running, address) = start(&scratch, &["--no-limit"]);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let answers = (0..).map_while(|number| {
                    let is_answered =
                        import(&address, round, number).is_ok_and(|answer| answer.ends_with("{}"));
                    is_answered.then(|| format!("p{round}-{number}@example.org"))
                });
                answers.collect::<Vec<_>>()
            });
            // Far enough for a write to be under way.
            wait_until(crate::support::PATIENCE, "a few imports", || {
                scratch.read("kept.json").contains(&format!("p{round}-5@"))
            });
            running.kill();
            answered.extend(writer.join().expect("a writer"));
        });
    }
    assert!(answered.len() > 20, "{}", answered.len());
    let (_running, address) = start(&scratch, &["--no-limit"]);
    let state = ask(&address, "GET /sandbox/state?members=true", "");
    for email in &answered {
        assert!(state.contains(&format!("\"{email}\"")), "{email} was answered and is lost");
    }
}

#[test]
fn a_setting_that_is_none_and_a_file_of_no_use_are_told() {
    let scratch = Scratch::new();
    let ended = Binary::new(&scratch, ["sandbox", "--set", "batch.max_rows=1"]).run().with_code(2);
    assert!(ended.stderr.contains("`batch.max_rows` is not a setting of the sandbox"), "{ended}");
    assert!(ended.stderr.contains("hint: known are `unknown-tag`"), "{ended}");
    for damaged in ["[]", r#"{"version":1,"calendars":{"cal-sandbox":{"tags":[],"eve"#, ""] {
        scratch.write("kept.json", damaged);
        let listen = ["sandbox", "--listen", "127.0.0.1:0", "--state", "kept.json"];
        let ended = Binary::new(&scratch, listen).run().with_code(1);
        assert!(ended.stderr.contains("cannot keep the state of the sandbox in `kept.json`"), "{ended}");
        assert!(ended.stderr.contains("hint: put it aside to begin with nothing"), "{ended}");
        assert_eq!(scratch.read("kept.json"), damaged, "what is damaged may be mended");
    }
}

#[test]
fn the_help_names_every_setting_with_its_values() {
    let help = Binary::new(&Scratch::new(), ["sandbox", "--help"]).run().with_code(0).stdout;
    for line in lumasync::sandbox::v1::Settings::help().lines() {
        let (key, _) = line.trim().split_once(':').expect("a key and what it is about");
        assert!(help.contains(key), "`{key}` is not in\n{help}");
    }
}
