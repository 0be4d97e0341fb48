//! What people read: hints that work as printed, numbers that add up, names that do nothing to a terminal.

use std::fs;

use crate::support::{Bench, People};

#[test]
fn rows_taken_from_under_a_run_are_unaccounted_for_and_the_numbers_add_up() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", &People::clean(300, None).csv);
    bench.sync(["list.csv"]).run().with_code(0);
    bench.db_to_write().execute("delete from member_queue where id % 3 = 0");
    let text = bench.lumasync(["runs", "show", "1"]).run().with_code(0).stdout;
    assert!(text.contains("300 rows read = 200 delivered + 100 unaccounted"), "{text}");
}

#[test]
fn a_file_is_named_so_that_a_terminal_stays_as_it_is() {
    let bench = Bench::new("", "");
    bench.scratch.write("drop/members/e\u{1b}[31mred\n.csv", "email\nana@example.org\n");
    bench.sync([]).run().with_code(0);
    for command in [&["runs", "list"][..], &["runs", "show", "1"], &["status"]] {
        let text = bench.lumasync(command.iter().copied()).run().with_code(0).stdout;
        assert!(text.contains("e\\u{1b}[31mred\\n.csv") && !text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn what_cannot_be_right_is_said_before_anything_is_made() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    let ended = bench.sync(["list.csv", "--tag", "nix"]).run().with_code(2);
    assert!(!bench.scratch.path("t.db").exists(), "{ended}");
    let ended = bench.sync(["/dev/null"]).run().with_code(1);
    assert!(ended.stderr.contains("`/dev/null` is no regular file\nhint: "), "{ended}");
}

#[test]
fn a_title_above_the_header_is_told_by_its_line() {
    let bench = Bench::new("", "");
    for title in ["# exported 2026\n\n", "Members of the club,\n,\n"] {
        for header in ["email,name", "email;name"] {
            bench.scratch.write("list.csv", format!("{title}{header}\nana@example.org,Ana\n"));
            let ended = bench.sync(["list.csv"]).run().with_code(1);
            let hint = "hint: the column names stand on line 3: delete what is above";
            assert!(ended.stderr.contains(hint), "{ended}");
        }
    }
}

#[test]
fn the_way_from_rejects_to_a_second_try_works_as_it_is_printed() {
    let bench = Bench::new("", "");
    fs::remove_file(bench.scratch.path("lumasync.toml")).expect("gone");
    bench.scratch.write("list.csv", "email\nana@example.org\nnonsense\n");
    let ended = bench.lumasync(["sync", "--sandbox", "list.csv"]).run().with_code(4);
    let hint = ended.stdout.lines().find(|line| line.contains("fix.csv")).expect("a hint").to_owned();
    let mut commands = hint.split('`').skip(1).step_by(2);
    for code in [0, 4] {
        let command = commands.next().expect("a command");
        let mut shell = std::process::Command::new("sh");
        let ran = shell.args(["-c", command]).current_dir(bench.scratch.path("."));
        assert_eq!(ran.output().expect("run").status.code(), Some(code), "{command}");
    }
}

#[test]
fn one_file_by_two_hands_is_taken_in_once_and_reported_by_both() {
    let bench = Bench::new("", "");
    let people = People::clean(60_000, None);
    bench.scratch.write("list.csv", &people.csv);
    let both = [bench.sync(["list.csv"]).spawn(), bench.sync(["list.csv"]).spawn()];
    for one in both {
        assert_eq!(one.wait().with_code(0).report().rows("delivered"), 60_000);
    }
    assert!(bench.luma.members() == people.members);
    assert_eq!(bench.db().count("select count(*) from runs"), 1);
}
