//! The command line's contract: exit codes, what goes where, and what is written.

use crate::support::{Binary, Scratch, config_text};

#[test]
fn help_names_every_command_and_ends_well() {
    let ended = Binary::new(&Scratch::new(), ["--help"]).run().with_code(0);
    for command in ["init", "check", "run", "sync", "sandbox", "completions"] {
        let listed = ended.stdout.lines().any(|line| line.split_whitespace().next() == Some(command));
        assert!(listed, "no `{command}`\n{ended}");
    }
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_command_that_does_not_exist_is_a_mistake_in_usage() {
    let ended = Binary::new(&Scratch::new(), ["synchronise"]).run().with_code(2);
    assert!(ended.stderr.contains("synchronise"), "{ended}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn init_writes_a_configuration_and_folders_and_never_overwrites() {
    let scratch = Scratch::new();
    let ended = Binary::new(&scratch, ["init"]).run().with_code(0);
    assert!(ended.stdout.contains("lumasync.toml") || ended.stderr.contains("lumasync.toml"), "{ended}");
    assert!(scratch.path("drop/members").is_dir(), "{ended}");
    let written = scratch.read("lumasync.toml");
    assert!(written.contains("[luma]"), "{written}");

    scratch.write("lumasync.toml", "mine");
    let again = Binary::new(&scratch, ["init"]).run().with_code(1);
    assert!(again.stderr.contains("`./lumasync.toml` exists already\nhint: "), "{again}");
    assert_eq!(scratch.read("lumasync.toml"), "mine");
}

#[test]
fn check_names_every_mistake_at_once() {
    let scratch = Scratch::new();
    let mistakes =
        "luma.dialect = \"v7\"\nbatch.max_rosw = 500\nretry.max_backoff = \"fast\"\nqueue.poll = \"0s\"";
    scratch.write("lumasync.toml", config_text("t.db", "http://127.0.0.1:9", mistakes));
    let ended = Binary::new(&scratch, ["check"]).run().with_code(78);
    for key in
        ["`luma.dialect`", "`batch.max_rosw`", "`batch.max_rows`", "`retry.max_backoff`", "`queue.poll`"]
    {
        assert!(ended.stderr.contains(key), "no {key}\n{ended}");
    }
    assert!(!scratch.path("t.db").exists(), "a configuration that is refused touches nothing");
}

#[test]
fn completions_are_a_script_for_the_shell() {
    let ended = Binary::new(&Scratch::new(), ["completions", "bash"]).run().with_code(0);
    assert!(ended.stdout.contains("complete ") && ended.stdout.contains("lumasync"), "{ended}");
    assert_eq!(ended.stderr, "");
}
