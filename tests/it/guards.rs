//! Runs that are held: nothing of them is sent until somebody approves them, and then exactly their rows.

use serde_json::Value;

use crate::support::{Bench, Members, PATIENCE, People, Running, wait_until};

/// No more than ten new people go unseen.
const FEW: &str = "guard.max_new_members = 10\nbatch.max_rows = 4";

/// A list of people with these numbers.
fn list(numbers: std::ops::Range<u32>) -> String {
    numbers.fold("email,tags\n".to_owned(), |csv, number| csv + &format!("p{number:06}@example.org,vip\n"))
}

fn members(numbers: std::ops::Range<u32>) -> Members {
    numbers.map(|number| (format!("p{number:06}@example.org"), vec!["tag-vip".to_owned()])).collect()
}

fn shown(bench: &Bench, run: &str) -> Value {
    let said = bench.lumasync(["--output", "json", "runs", "show", run]).run().with_code(0).stdout;
    serde_json::from_str(&said).expect("JSON")
}

fn status_of(bench: &Bench, run: u32) -> String {
    bench.db().rows(&format!("select status from runs where id = {run}"))[0][0].clone()
}

fn approve(bench: &Bench, run: &str) {
    bench.lumasync(["runs", "approve", run, "--by", "Ana"]).run().with_code(0);
}

fn stop(services: Vec<Running>) {
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
}

#[test]
fn more_new_people_than_may_go_unseen_wait_and_nothing_else_does() {
    let bench = Bench::new("", FEW);
    bench.scratch.write("many.csv", list(0..11));
    let held = bench.sync(["many.csv"]).run().with_code(5);
    let report = held.report();
    assert_eq!(
        (report.text("status"), report.rows("held"), report.rows("pending")),
        ("held", 11, 0),
        "{held}"
    );
    assert_eq!(
        (&report.0["held_for"][0]["code"], &report.0["new_members"]),
        (&"too_many_new".into(), &11.into())
    );
    assert_eq!(bench.luma.snapshot().requests, 0, "{held}");

    let text = bench.lumasync(["runs", "show", "1"]).env("USER", "ana").run().with_code(0).stdout;
    for said in [
        "11 people are new, and `guard.max_new_members` lets 10 go unseen (too_many_new)",
        "new, for example: p0000",
        "runs approve 1` lets exactly this run go",
        "runs cancel 1` gives it up",
    ] {
        assert!(text.contains(said), "`{said}`: {text}");
    }
    let status = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(status.contains("11 held") && status.contains("run 1 waits for a person: 11 people"), "{status}");

    // The same bytes again, everything there is, and another list.
    bench.sync(["many.csv"]).run().with_code(5);
    bench.sync([]).run().with_code(5);
    bench.scratch.write("few.csv", list(5..15));
    bench.sync(["few.csv"]).run().with_code(0);
    assert_eq!(bench.luma.members(), members(5..15));

    approve(&bench, "1");
    let again = bench.lumasync(["runs", "approve", "1"]).env("USER", "bo").run().with_code(0).stdout;
    assert!(again.contains("was approved by Ana"), "{again}");
    bench.lumasync(["runs", "approve", "2", "--by", "Ana"]).run().with_code(1);
    bench.lumasync(["runs", "approve", "7", "--by", "Ana"]).run().with_code(1);
    let sent = bench.sync([]).run().with_code(0).report();
    assert_eq!((sent.number("run"), sent.rows("delivered")), (1, 11), "{sent:?}");
    assert_eq!(bench.luma.members(), members(0..15));
    let text = bench.lumasync(["runs", "show", "1"]).run().with_code(0).stdout;
    assert!(text.contains("held: 11 people") && text.contains("approved by Ana at "), "{text}");
}

#[test]
fn a_share_of_invalid_rows_and_a_list_of_another_length_are_held_unless_they_are_short() {
    let bench =
        Bench::new("", "guard.max_invalid_ratio = 0.2\nguard.max_change_ratio = 0.5\nguard.min_rows = 50");
    let bad = |rows| "no address,\n".repeat(rows);
    bench.scratch.write("short.csv", list(0..3) + &bad(3));
    bench.sync(["short.csv"]).run().with_code(4);
    bench.scratch.write("good.csv", list(0..80) + &bad(20));
    bench.sync(["good.csv"]).run().with_code(4);
    bench.scratch.write("bad.csv", list(0..79) + &bad(21));
    let held = bench.sync(["bad.csv"]).run().with_code(5).report();
    assert_eq!(held.0["held_for"][0]["code"], "too_many_invalid");
    assert_eq!((held.rows("invalid"), held.rows("unchanged")), (21, 79));

    // Of this name there was a list of 100 rows.
    for (rows, code, status) in
        [(150, 0, "succeeded"), (226, 5, "held"), (75, 0, "succeeded"), (37, 5, "held")]
    {
        bench.scratch.write("good.csv", list(0..rows));
        let ended = bench.sync(["good.csv"]).run().with_code(code);
        let report = ended.report();
        assert_eq!((report.text("status"), report.rows("read")), (status, u64::from(rows)), "{ended}");
        if status == "held" {
            assert_eq!(report.0["held_for"][0]["code"], "list_changed", "{ended}");
        }
    }
    // Another name has nothing to be compared with.
    bench.scratch.write("other.csv", list(0..1_000));
    bench.sync(["other.csv"]).run().with_code(0);
}

#[test]
fn yes_approves_what_is_held_of_this_pass_and_of_no_other() {
    let bench = Bench::new("", FEW);
    bench.scratch.write("one.csv", list(0..20));
    bench.scratch.write("two.csv", list(20..40));
    bench.sync(["one.csv"]).run().with_code(5);
    let second = bench.sync(["two.csv", "--yes"]).run().with_code(0);
    assert_eq!(second.report().rows("delivered"), 20, "{second}");
    assert!(second.stderr.contains("is approved by `--yes`"), "{second}");
    bench.scratch.write("drop/members/three.csv", list(40..60));
    let all = bench.sync(["--yes"]).run().with_code(5);
    let statuses: Vec<_> = all.reports().iter().map(|run| run.text("status").to_owned()).collect();
    assert_eq!(statuses, ["held", "succeeded"], "{all}");
    assert_eq!(bench.luma.members(), members(20..60));
    // Whoever names the file means its run.
    bench.sync(["one.csv", "--yes"]).run().with_code(0);
    assert_eq!(bench.luma.members(), members(0..60));
}

#[test]
fn three_services_send_nothing_of_a_held_run_over_restarts_and_after_approval_exactly_its_rows() {
    let bench = Bench::new("", FEW);
    let start = || vec![bench.serve(), bench.serve(), bench.serve()];
    let services = start();
    bench.scratch.write("drop/members/many.csv", list(0..50));
    wait_until(PATIENCE, "a held run", || status_of_first(&bench) == "held");
    let told: usize = services.iter().map(|service| service.stderr().matches("a run is held").count()).sum();
    assert_eq!(told, 1, "it is told once");
    for service in services {
        service.kill();
    }
    let services = start();
    // They are at work: another list goes its way.
    bench.scratch.write("drop/members/few.csv", list(100..110));
    let archived = |name: &str| {
        let sql = format!("select count(*) from input_files where name = '{name}' and state = 'archived'");
        bench.db().count(&sql) == 1
    };
    wait_until(PATIENCE, "the other list", || archived("few.csv"));
    assert_eq!((status_of(&bench, 1).as_str(), bench.luma.members()), ("held", members(100..110)));
    let claimed = "select count(*) from attempts where run_id = 1";
    assert_eq!(bench.db().count(claimed), 0, "not even a request was written down");
    assert!(bench.scratch.path("drop/processing").exists() && !archived("many.csv"));

    let approvals: Vec<_> =
        (0..4).map(|_| bench.lumasync(["runs", "approve", "1", "--by", "Ana"]).spawn()).collect();
    let said: String = approvals.into_iter().map(|ended| ended.wait().with_code(0).stdout).collect();
    assert_eq!((said.matches("50 rows to send").count(), said.matches("already").count()), (1, 3), "{said}");
    wait_until(PATIENCE, "the archive", || archived("many.csv"));
    let mut all = members(0..50);
    all.extend(members(100..110));
    assert_eq!(bench.luma.members(), all);
    let sent = "select sum(row_count) from attempts where run_id = 1";
    assert_eq!(bench.db().count(sent), 50, "each of its rows left once");
    stop(services);
}

fn status_of_first(bench: &Bench) -> String {
    let rows = bench.db().rows("select status from runs where id = 1");
    rows.first().map(|row| row[0].clone()).unwrap_or_default()
}

#[test]
fn a_held_run_that_is_given_up_sends_nothing_and_its_bytes_may_come_again() {
    let bench = Bench::new("", FEW);
    bench.scratch.write("drop/members/many.csv", list(0..20));
    bench.sync([]).run().with_code(5);
    bench.lumasync(["runs", "cancel", "1"]).run().with_code(0);
    bench.sync([]).run().with_code(0);
    let said = shown(&bench, "1");
    assert_eq!(
        (&said["status"], &said["rows"]["canceled"], &said["rows"]["held"]),
        (&"canceled".into(), &20.into(), &0.into())
    );
    assert_eq!(bench.luma.members().len(), 0);
    bench.lumasync(["runs", "approve", "1", "--by", "Ana"]).run().with_code(1);
    bench.scratch.write("drop/members/many.csv", list(0..20));
    bench.sync(["--yes"]).run().with_code(0);
    assert_eq!(bench.luma.members(), members(0..20));
}

#[test]
fn a_rush_into_the_queue_is_one_held_run_and_who_comes_later_passes() {
    let bench = Bench::new("", &format!("{FEW}\nqueue.max_rows = 7\nfolder.path = \"\""));
    let insert = |numbers: std::ops::Range<u32>| {
        let rows = numbers.map(|number| format!("('p{number:06}@example.org', 'vip')")).collect::<Vec<_>>();
        bench
            .db_to_write()
            .execute(&format!("insert into member_queue (email, tags) values {}", rows.join(", ")));
    };
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    insert(0..30);
    let services = [bench.serve(), bench.serve()];
    wait_until(PATIENCE, "a held run", || status_of_first(&bench) == "held");
    assert_eq!(
        bench.db().rows("select count(*), sum(read_rows), sum(new_members) from runs"),
        [["1", "30", "30"]]
    );
    insert(100..105);
    insert(105..110);
    let later = "select count(*) from member_queue where run_id > 1 and state = 'delivered'";
    wait_until(PATIENCE, "who came later", || bench.db().count(later) == 10);
    assert_eq!(bench.luma.members(), members(100..110));
    assert_eq!(bench.db().count("select count(*) from attempts where run_id = 1"), 0);

    // Many who are known are no rush.
    insert(100..110);
    insert(100..110);
    let open = "select count(*) from member_queue where run_id is null or run_id > 1 and settled_at is null";
    wait_until(PATIENCE, "who is known", || bench.db().count(open) == 0);
    assert_eq!(bench.db().count("select count(*) from runs where status = 'held'"), 1);

    approve(&bench, "1");
    wait_until(PATIENCE, "the rush", || status_of(&bench, 1) == "succeeded");
    let mut all = members(0..30);
    all.extend(members(100..110));
    assert_eq!(bench.luma.members(), all);
    stop(services.into());
}

#[test]
fn a_schedule_goes_on_though_a_run_of_it_is_held() {
    let bench = Bench::new("", "");
    let crm = crate::support::Foreign::sqlite(&bench.scratch);
    crm.execute("create table people (email text, tags text)");
    let enter = |numbers: std::ops::Range<u64>| {
        crm.insert("people", numbers, |number| format!("'p{number:06}@example.org', 'vip'"));
    };
    let source =
        format!("[[source]]\nname = \"crm\"\nurl = \"{}\"\nquery = \"select * from people\"", crm.url);
    let schedule = "[[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\nsources = [\"crm\"]";
    bench.configure(&format!("{FEW}\nfolder.path = \"\"\n{source}\n{schedule}"));
    let fire = |code| {
        let args = ["--output", "json", "schedule", "run", "nightly", "--by", "Ana"];
        let said = bench.lumasync(args).run().with_code(code).stdout;
        serde_json::from_str::<Value>(&said).expect("JSON")
    };
    enter(0..20);
    assert_eq!(fire(5)["state"], "partial");
    // The next fire leaves them to the run that is held, and sends who has come since.
    enter(20..25);
    let next = fire(5);
    assert_eq!((&next["state"], bench.luma.members()), (&"succeeded".into(), members(20..25)), "{next}");
    assert_eq!(bench.db().count("select count(*) from runs where status = 'held'"), 1);
    approve(&bench, "1");
    assert_eq!(fire(0)["state"], "succeeded");
    assert_eq!(bench.luma.members(), members(0..25));

    // A list that is half gone.
    crm.execute("delete from people where email > 'p000009'");
    bench.configure(&format!(
        "guard.max_change_ratio = 0.5\nguard.min_rows = 20\nfolder.path = \"\"\n{source}\n{schedule}"
    ));
    let held = fire(5);
    assert_eq!(held["runs"][0]["held_for"][0]["code"], "list_changed", "{held}");
}

#[test]
fn guards_are_on_where_nothing_is_said_and_example_members_pass() {
    let bench = Bench::new(
        "",
        "guard.max_new_members = 10000\nguard.max_invalid_ratio = 0.2\nguard.max_change_ratio = 0.5",
    );
    bench.scratch.write("list.csv", People::clean(10_001, None).csv);
    bench.sync(["list.csv"]).run().with_code(5);
    let examples = std::fs::read_to_string("examples/members.csv").expect("the examples");
    std::fs::remove_file(bench.scratch.path("lumasync.toml")).expect("gone");
    bench.scratch.write("members.csv", examples);
    bench.lumasync(["sync", "--sandbox", "members.csv"]).run().with_code(4);
}
