//! Schedules over sources of several accounts: each delivers to its own, once, whatever happens meanwhile.

use lumasync::sandbox::{FurtherKey, Options};
use serde_json::Value;

use crate::support::{Bench, Foreign, KEY, PATIENCE, wait_until};

const PARIS: &str = "paris-key";
const QUERY: &str = "query = \"select email from people\"";
const LONG_AGO: &str = "update schedules set judged_until = '2020-01-01T00:00:00.000000Z'";

/// An account beside `main` that has a source, and a schedule over it and the folder.
fn bench(of_source: &str) -> (Bench, Foreign) {
    let extra = format!(
        "accounts.paris.api_key = \"file:paris.key\"\n\
         [[source]]\nname = \"crm\"\naccount = \"paris\"\nurl = \"sqlite://crm.db\"\n{QUERY}\n{of_source}\n\
         [[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\nsources = [\"crm\", \"folder\"]\n"
    );
    let further = vec![FurtherKey { key: PARIS.to_owned(), limit: None }];
    let bench = Bench::with(Options { limit: None, further, ..Options::default() }, &extra);
    bench.scratch.write("paris.key", PARIS);
    let crm = Foreign::sqlite(&bench.scratch);
    crm.execute(
        "create table people (email text); insert into people values ('ana@example.org'), ('bo@example.org')",
    );
    (bench, crm)
}

fn fires(bench: &Bench, condition: &str) -> i64 {
    bench.db().count(&format!("select count(*) from schedule_fires where {condition}"))
}

#[track_caller]
fn let_time_pass(bench: &Bench) {
    wait_until(PATIENCE, "the schedule", || bench.db().count("select count(*) from schedules") == 1);
    bench.db_to_write().execute(LONG_AGO);
}

fn members(bench: &Bench, key: &str) -> Vec<String> {
    bench.luma.members_of(key).into_keys().collect()
}

#[test]
fn a_schedule_over_two_accounts_delivers_to_each_its_own_and_once() {
    let (bench, _crm) = bench("");
    let services = [bench.serve(), bench.serve()];
    bench.scratch.write("drop/members/a.csv", "email\ncy@example.org\n");
    bench.scratch.write("drop/@paris/members/a.csv", "email\ndi@example.org\n");
    let_time_pass(&bench);
    wait_until(PATIENCE, "its end", || fires(&bench, "state = 'succeeded'") == 1);
    let said = services.map(|service| {
        service.terminate();
        service.wait().with_code(143).stderr
    });
    let said = said.concat();
    assert_eq!(members(&bench, KEY), ["cy@example.org"], "{said}");
    assert_eq!(members(&bench, PARIS), ["ana@example.org", "bo@example.org", "di@example.org"], "{said}");
    assert_eq!(bench.luma.snapshot().repeats, 0, "{said}");
    let runs = "select account, source, started_by, count(*), count(fire_id), max(read_rows) from runs
                 group by 1, 2, 3 order by 1, 2, 3";
    let expected = [
        ["main", "folder", "schedule", "1", "1", "1"],
        ["paris", "folder", "schedule", "1", "1", "1"],
        ["paris", "sql", "schedule", "1", "1", "2"],
    ];
    assert_eq!(bench.db().rows(runs), expected, "{said}");
    assert_eq!(fires(&bench, "true"), 1, "{said}");
}

#[test]
fn a_source_that_is_away_for_a_moment_fails_no_fire_and_what_is_expected_of_it_is_held_against_any_pass() {
    let (bench, crm) = bench("expect = { every = \"1h\", min_rows = 3 }");
    crm.execute("begin exclusive");
    let service = bench.serve();
    let_time_pass(&bench);
    let broken = "select count(*) from source_passes where state = 'broken'";
    wait_until(PATIENCE, "a pass that breaks off", || bench.db().count(broken) > 0);
    crm.execute("commit");
    wait_until(PATIENCE, "its end", || fires(&bench, "state = 'succeeded' and claims = 1") == 1);
    service.terminate();
    let said = service.wait().with_code(143);
    assert!(said.stderr.contains("a source is not to be had now; it is tried again"), "{said}");
    assert_eq!((members(&bench, PARIS).len(), bench.luma.snapshot().repeats), (2, 0), "{said}");
    assert_eq!(expected(&bench), ("short".to_owned(), Some(2)));

    crm.execute("insert into people values ('ev@example.org')");
    let run = ["--output", "json", "schedule", "run", "nightly", "--by", "ana"];
    let ran = bench.lumasync(run).run().with_code(0);
    let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let run = &said["runs"][0];
    assert_eq!((&said["state"], &run["account"]), (&"succeeded".into(), &"paris".into()), "{ran}");
    assert_eq!((&run["rows"]["unchanged"], &run["rows"]["delivered"]), (&2.into(), &1.into()), "{ran}");
    assert_eq!(expected(&bench), ("met".to_owned(), Some(3)));
    crm.execute("delete from people where email = 'bo@example.org'");
    bench.sync(["--source", "crm"]).run().with_code(0);
    assert_eq!(expected(&bench), ("short".to_owned(), Some(2)));
}

/// How what is expected of the source stands, and its last rows.
fn expected(bench: &Bench) -> (String, Option<u64>) {
    let status = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let source = &status["sources"][0];
    assert_eq!(source["source"], "crm", "{status}");
    (source["standing"].as_str().expect("a word").to_owned(), source["last_rows"].as_u64())
}
