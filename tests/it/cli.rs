//! The command line's contract: exit codes, what goes where, and what is written.

use crate::support::{Bench, Binary, Scratch, config_text};

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
    scratch.write("lumasync.toml", config_text("sqlite://t.db", "http://127.0.0.1:9", mistakes));
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

#[test]
fn arguments_that_mean_nothing_are_mistakes_in_usage() {
    let scratch = Scratch::new();
    for (args, word) in [
        (vec!["--set", "foo", "status"], "foo"),
        (vec!["sync", "--sandbox", "--fault", "foo", "a.csv"], "foo"),
        (vec!["run", "--sandbox", "--fault", "500@200%"], "500@200%"),
        (vec!["sandbox", "--fault", "foo"], "foo"),
        (vec!["sandbox", "--listen", "0.0.0.0:1"], "0.0.0.0:1"),
        (vec!["sandbox", "--listen", "localhost"], "localhost"),
        (vec!["sandbox", "--window", "long"], "long"),
        (vec!["--log-level", "loud", "status"], "loud"),
        (vec!["runs", "cancel", "x"], "x"),
        (vec!["retry", "--code", "no_such"], "no_such"),
    ] {
        let ended = Binary::new(&scratch, &args).run().with_code(2);
        assert!(ended.stderr.contains(word) && ended.stdout.is_empty(), "{args:?}\n{ended}");
    }
    assert!(std::fs::read_dir(scratch.root()).expect("a folder").next().is_none(), "nothing is left behind");
}

#[test]
fn commands_that_look_make_no_database() {
    let scratch = Scratch::new();
    let commands = [
        vec!["status"],
        vec!["runs", "list"],
        vec!["runs", "show", "1"],
        vec!["runs", "cancel", "1"],
        vec!["rejects", "1"],
        vec!["retry", "--dry-run"],
        vec!["retry"],
    ];
    for args in &commands {
        let ended = Binary::new(&scratch, args).run().with_code(1);
        assert!(ended.stderr.contains("there is no database at `lumasync.db` yet\nhint: "), "{ended}");
        assert!(!ended.stderr.contains("rehearsal"), "{ended}");
        assert!(std::fs::read_dir(scratch.root()).expect("a folder").next().is_none(), "{ended}");
    }
    scratch.write("lumasync.toml", config_text("sqlite://t.db", "http://127.0.0.1:9", "folder.path = \"\""));
    let ended = Binary::new(&scratch, ["check", "--connect"]).run();
    assert!(ended.stdout.contains("`t.db` is not there yet"), "{ended}");
    assert!(!scratch.path("t.db").exists(), "{ended}");
}

#[test]
fn the_record_of_a_rehearsal_is_pointed_to() {
    let scratch = Scratch::new();
    scratch.write("list.csv", "email\nana@example.org\n");
    Binary::new(&scratch, ["sync", "--sandbox", "list.csv"]).run().with_code(0);
    let ended = Binary::new(&scratch, ["runs", "show", "1"]).run().with_code(1);
    let command = "lumasync --set database.url=sqlite://lumasync-sandbox.db runs show 1";
    assert!(ended.stderr.contains(&format!("{command}` looks at that")), "{ended}");
    let shown = Binary::new(&scratch, command.split(' ').skip(1)).run().with_code(0);
    assert!(shown.stdout.contains("1 delivered"), "{shown}");
}

#[test]
fn a_rehearsal_on_a_real_record_names_the_command_that_works() {
    let bench = Bench::new("", "");
    bench.scratch.write("my list.csv", "email\nana@example.org\n");
    bench.sync(["my list.csv"]).run().with_code(0);
    let ended = bench.lumasync(["sync", "--sandbox", "my list.csv"]).run().with_code(78);
    let command = "lumasync --set database.url=sqlite://lumasync-sandbox.db sync --sandbox 'my list.csv'";
    assert!(ended.stderr.contains(&format!("{command}`")), "{ended}");
    let args = ["--set", "database.url=sqlite://lumasync-sandbox.db", "sync", "--sandbox", "my list.csv"];
    bench.lumasync(args).run().with_code(0);
    let ended = bench.lumasync(["run", "--sandbox"]).run().with_code(78);
    assert!(ended.stderr.contains("--set folder.path=drop-sandbox run --sandbox"), "{ended}");
    let ended =
        bench.lumasync(["--set", "database.url=sqlite://lumasync-sandbox.db", "sync"]).run().with_code(78);
    assert!(ended.stderr.contains("lumasync --set database.url=sqlite://lumasync.db sync`"), "{ended}");
}
