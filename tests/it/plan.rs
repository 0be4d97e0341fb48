//! Plans: the numbers that a sync then has, with nothing sent and nothing written; and carried out exactly or not
//! at all.

use std::fs;

use lumasync::domain::dialect::Dialect;
use serde_json::Value;

use crate::support::{Bench, Ended, Foreign, PATIENCE, People, dialect, wait_until};

fn plan(bench: &Bench, args: &[&str]) -> Value {
    let ended = bench
        .lumasync(["--output", "json", "plan"].into_iter().chain(args.iter().copied()))
        .run()
        .with_code(0);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended}"))
}

/// All that a plan must not write to.
fn written(bench: &Bench) -> Vec<Vec<String>> {
    let tables = ["runs", "input_files", "batches", "member_queue", "ledger", "tag_sets", "unkept_lines"];
    let counts = tables.map(|table| format!("(select count(*) from {table})")).join(", ");
    bench.db().rows(&format!("select {counts}, (select count(*) from member_queue where state = 'new')"))
}

fn apply(bench: &Bench, code: i32) -> Ended {
    bench.lumasync(["--output", "json", "apply", "plan.json"]).env("USER", "ana").run().with_code(code)
}

fn people(numbers: std::ops::Range<u32>, tag: &str) -> String {
    numbers.fold("email,tags\n".to_owned(), |csv, number| csv + &format!("p{number:06}@example.org,{tag}\n"))
}

#[test]
fn a_plan_has_the_numbers_of_the_sync_that_follows_and_sends_and_writes_nothing() {
    let bench = Bench::new("", "batch.max_rows = 20");
    let first = People::messy(300, 7);
    bench.scratch.write("first.csv", &first.csv);
    bench.sync(["first.csv"]).run().with_code(4);
    // Some of them again, some with more tags, some new.
    bench.scratch.write(
        "list.csv",
        first.csv.clone() + People::messy(600, 8).csv.trim_start_matches("name,email,tags\n"),
    );
    let (before, asked) = (written(&bench), bench.luma.snapshot().requests);
    let planned = plan(&bench, &["list.csv", "--tag", "press"]);
    let dry = bench.sync(["list.csv", "--tag", "press", "--dry-run"]).run().with_code(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&dry).expect("JSON")["inputs"], planned["inputs"]);
    assert_eq!(written(&bench), before);
    assert_eq!(bench.luma.snapshot().requests, asked);
    assert!(bench.scratch.path("list.csv").exists());

    let input = &planned["inputs"][0];
    let rows = |kind: &str| input["rows"][kind].as_u64().expect("a count");
    let sent = bench.sync(["list.csv", "--tag", "press"]).run().with_code(4).report();
    assert_eq!(rows("new") + rows("changed"), sent.rows("delivered"));
    assert_eq!(rows("new"), sent.number("new_members"));
    for kind in ["read", "unchanged", "duplicate", "invalid", "suppressed"] {
        assert_eq!(rows(kind), sent.rows(kind), "{kind}");
    }
    assert!(
        rows("new") > 0 && rows("changed") > 0 && rows("duplicate") > 0 && rows("invalid") > 0,
        "{input}"
    );
    assert_eq!(input["requests"], sent.number("requests"));
    assert!(
        input["samples"]["invalid"][0]["said"].as_str().is_some_and(|said| said.contains(": ")),
        "{input}"
    );
    assert_eq!(input["samples"]["new"].as_array().map(Vec::len), Some(3));
}

#[test]
fn without_names_everything_that_a_sync_would_take_is_looked_at_and_left_where_it_is() {
    let bench = Bench::new("", "");
    let crm = Foreign::sqlite(&bench.scratch);
    crm.execute("create table people (email text, tags text)");
    crm.insert("people", 0..5, |number| format!("'c{number}@example.org', 'vip'"));
    let source =
        format!("[[source]]\nname = \"crm\"\nurl = \"{}\"\nquery = \"select * from people\"", crm.url);
    bench.configure(&format!("guard.max_new_members = 6\n{source}"));
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    bench.scratch.write("drop/members/list.csv", people(0..7, "vip;press"));
    bench
        .scratch
        .write("drop/events/events.csv", "name,start_at\nDemo,2099-12-03T18:00:00Z\n,2099-12-03T18:00:00Z\n");
    bench
        .db_to_write()
        .execute("insert into member_queue (email, tags) values ('q@example.org', 'vip'), ('no', null)");
    let before = written(&bench);
    let planned = plan(&bench, &[]);
    assert_eq!(written(&bench), before);
    assert!(bench.scratch.path("drop/members/list.csv").exists());
    let read = |source: &str, kind: &str| {
        let inputs = planned["inputs"].as_array().expect("inputs");
        let input = inputs.iter().find(|input| input["source"] == source && input["kind"] == kind);
        input.unwrap_or_else(|| panic!("no {kind} of {source}: {planned}")).clone()
    };
    let list = read("folder", "members");
    assert_eq!(
        (&list["rows"]["new"], &list["tags"]["tag-vip"], &list["requests"]),
        (&7.into(), &7.into(), &1.into())
    );
    assert_eq!(list["would_be_held_for"][0]["code"], "too_many_new");
    let events = read("folder", "events");
    // Today's API wants a zone too.
    let wanted = u64::from(dialect() == Dialect::Beta2021);
    assert_eq!((&events["rows"]["read"], &events["rows"]["new"]), (&2.into(), &wanted.into()));
    assert_eq!(read("sql", "members")["rows"]["new"], 5);
    let queue = read("queue", "members");
    assert_eq!((&queue["rows"]["new"], &queue["rows"]["invalid"]), (&1.into(), &1.into()));
    assert_eq!(planned["requests"], 3 + wanted);

    let text = bench.lumasync(["plan"]).run().with_code(0).stdout;
    for said in [
        "7 rows read = 7 new",
        "would be held: 7 people are new",
        "nothing was sent",
        &format!("{} requests, 0 s at the limit", 3 + wanted),
    ] {
        assert!(text.contains(said), "`{said}`: {text}");
    }
    bench.scratch.write("broken.csv", "name\nAna\n");
    let ended = bench.lumasync(["plan", "broken.csv"]).run().with_code(1);
    assert!(ended.stdout.contains("broken.csv"), "{ended}");
}

#[test]
fn a_list_that_is_much_longer_or_has_many_sets_of_tags_is_warned_about() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", people(0..100, "vip"));
    bench.sync(["list.csv"]).run().with_code(0);
    let tags: Vec<String> =
        (0..30).map(|number| format!("n{number:06}@example.org,tag-{number}\n")).collect();
    bench.scratch.write("list.csv", people(0..110, "vip") + &tags.concat());
    let planned = plan(&bench, &["list.csv"]);
    let warnings = planned["inputs"][0]["warnings"].to_string();
    assert!(warnings.contains("much longer than the last time: 140 rows, 100 then"), "{warnings}");
    assert!(warnings.contains("31 different sets of tags take 31 requests"), "{warnings}");
}

#[test]
fn a_plan_is_carried_out_exactly_and_approves_what_a_guard_would_hold_of_it() {
    let bench = Bench::new("", "guard.max_new_members = 10");
    let list = People::clean(50, Some("vip"));
    bench.scratch.write("list.csv", &list.csv);
    bench.lumasync(["plan", "list.csv", "--out", "plan.json"]).run().with_code(0);
    let text = bench.scratch.read("plan.json");
    assert!(!text.contains('@'), "no address is in it: {text}");
    let applied = apply(&bench, 0).report();
    assert_eq!((applied.rows("delivered"), applied.text("status")), (50, "succeeded"));
    assert_eq!(applied.0["approved"]["by"], "ana (apply)");
    assert!(bench.luma.members() == list.members);
    // Once is enough.
    let again = apply(&bench, 1);
    assert!(again.stderr.contains("`list.csv` was taken in by run 1 since"), "{again}");
    // What it does not name, it does not approve.
    bench.scratch.write("other.csv", people(100..120, "vip"));
    bench.sync(["other.csv"]).run().with_code(5);
}

#[test]
fn a_plan_is_refused_before_anything_is_taken_in_where_the_world_has_moved() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", people(0..20, "vip"));
    let make =
        || bench.lumasync(["plan", "list.csv", "--tag", "press", "--out", "plan.json"]).run().with_code(0);
    let refused = |why: &str| {
        let (before, asked) = (written(&bench), bench.luma.snapshot().requests);
        let ended = apply(&bench, 1);
        assert!(ended.stderr.contains(why), "`{why}`: {ended}");
        assert_eq!((written(&bench), bench.luma.snapshot().requests), (before, asked), "{ended}");
    };
    make();
    // Somebody was delivered meanwhile.
    bench.scratch.write("other.csv", people(5..6, "press;vip"));
    bench.sync(["other.csv"]).run().with_code(0);
    refused("what `list.csv` would send has changed (19 people now, 20 in the plan)");
    make();
    bench.configure("tags.press = \"tag-gold\"");
    refused("what `list.csv` would send has changed (20 people now, 19 in the plan)");
    bench.configure("");
    make();
    bench.scratch.write("list.csv", people(0..21, "vip"));
    refused("`list.csv` holds other bytes");
    fs::remove_file(bench.scratch.path("list.csv")).expect("gone");
    refused("`list.csv` is not there any more");
    fs::write(bench.scratch.path("plan.json"), "{}").expect("written");
    refused("`plan.json` is no plan of this release");
}

#[test]
fn of_the_folder_and_sources_all_is_applied_or_nothing() {
    let bench = Bench::new("", "");
    let crm = Foreign::sqlite(&bench.scratch);
    crm.execute("create table people (email text, tags text)");
    crm.insert("people", 0..5, |number| format!("'c{number}@example.org', 'vip'"));
    let source =
        format!("[[source]]\nname = \"crm\"\nurl = \"{}\"\nquery = \"select * from people\"", crm.url);
    bench.configure(&source);
    bench.scratch.write("drop/members/list.csv", people(0..7, "vip"));
    bench.lumasync(["plan", "--out", "plan.json"]).run().with_code(0);
    bench.scratch.write("drop/members/more.csv", people(7..9, "vip"));
    assert!(apply(&bench, 1).stderr.contains("`more.csv` has come since"));
    crm.insert("people", 5..6, |number| format!("'c{number}@example.org', 'vip'"));
    fs::remove_file(bench.scratch.path("drop/members/more.csv")).expect("gone");
    assert!(
        apply(&bench, 1).stderr.contains("what `crm` would send has changed (6 people now, 5 in the plan)")
    );
    crm.execute("delete from people where email like 'c5%'");
    let applied = apply(&bench, 0);
    let delivered: u64 = applied.reports().iter().map(|run| run.rows("delivered")).sum();
    assert_eq!((delivered, bench.luma.members().len()), (12, 12), "{applied}");
    let archived = "select count(*) from input_files where state = 'archived'";
    assert_eq!(bench.db().count(archived), 1, "{applied}");
}

#[test]
fn what_moves_while_a_plan_is_carried_out_is_seen_at_the_gate() {
    let bench = Bench::new("", "");
    if !bench.is_sqlite() {
        return;
    }
    // It has somebody more while lumasync takes it in.
    let query = "select 'ana@example.org' as email union all
                 select 'bo@example.org' where exists (select 1 from source_passes where state = 'taking')";
    bench.configure(&format!(
        "[[source]]\nname = \"own\"\nurl = \"sqlite://t.db\"\nquery = \"\"\"{query}\"\"\""
    ));
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    let made = bench.lumasync(["plan", "--source", "own", "--out", "plan.json"]).run().with_code(0);
    assert!(made.stdout.contains("1 row read = 1 new"), "{made}");
    // A service lets any run go that is taken in: not this one.
    let service = bench.serve();
    let ended = apply(&bench, 5);
    assert!(ended.stderr.contains("run 1, `own`, is not what was planned"), "{ended}");
    let report = ended.report();
    assert_eq!((report.text("status"), report.rows("held")), ("held", 2), "{ended}");
    assert_eq!(report.0["held_for"][0]["code"], "not_as_planned", "{ended}");
    assert_eq!(bench.luma.snapshot().imports, 0, "{}", service.stderr());
    bench.lumasync(["runs", "approve", "1", "--by", "Ana"]).run().with_code(0);
    wait_until(PATIENCE, "both", || bench.luma.members().len() == 2);
}
