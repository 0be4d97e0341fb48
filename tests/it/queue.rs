//! The queue table: other programs insert rows while the service runs, and read the outcome on the same row.

use lumasync::domain::dialect::Dialect;
use lumasync::sandbox::Options;

use crate::support::{Bench, Luma, PATIENCE, dialect, wait_until};

const QUIET: &str = "folder.path = \"\"\n";

/// A program that inserts, and waits until all its rows have an outcome.
fn insert(bench: &Bench, sql: &str) {
    let db = bench.db_to_write();
    db.execute(sql);
}

fn settle(bench: &Bench, of: &str) {
    let db = bench.db();
    let open = format!("select count(*) from member_queue where settled_at is null and {of}");
    wait_until(PATIENCE, "an outcome for every row", || db.count(&open) == 0);
}

fn outcome(bench: &Bench, id: i64) -> (String, String) {
    let rows = bench.db().rows(&format!("select state, code from member_queue where id = {id}"));
    (rows[0][0].clone(), rows[0][1].clone())
}

fn told(state: &str, code: &str) -> (String, String) {
    (state.to_owned(), code.to_owned())
}

#[test]
fn rows_of_others_end_in_an_outcome_on_the_same_row() {
    let bench = Bench::new("reject=di@example.org", QUIET);
    let service = bench.serve();
    insert(
        &bench,
        "insert into member_queue (email, name, tags) values ('Ana@Example.org', 'Ana', 'vip;press');
         insert into member_queue (email, name, tags) values ('bo@example.org', null, null);
         insert into member_queue (email, name, tags) values ('ana@example.org', 'Ana L', 'press');
         insert into member_queue (email) values ('not an address');
         insert into member_queue (email, tags) values ('cy@example.org', 'vip;unheard-of');
         insert into member_queue (email) values ('  ');
         insert into member_queue (email, account) values ('ed@example.org', 'paris');
         insert into member_queue (email) values ('di@example.org')",
    );
    settle(&bench, "true");
    for (id, expected) in [
        (1, told("delivered", "NULL")),
        (2, told("delivered", "NULL")),
        (3, told("duplicate", "duplicate")),
        (4, told("invalid", "email_invalid")),
        (5, told("invalid", "tag_unknown")),
        (6, told("invalid", "email_missing")),
        (7, told("invalid", "account_unknown")),
        (8, told("rejected", "api_rejected")),
    ] {
        assert_eq!(outcome(&bench, id), expected, "row {id}\n{}", service.stderr());
    }
    let held = bench.luma.members();
    assert_eq!(held.keys().collect::<Vec<_>>(), ["ana@example.org", "bo@example.org"]);
    assert_eq!(held["ana@example.org"], ["tag-press", "tag-vip"]);
    let odd = "select count(*) from member_queue where (state = 'delivered') = (reason is not null)";
    assert_eq!(bench.db().count(odd), 0, "a reason stands where a row was not sent, and only there");
    assert_eq!(bench.db().count("select min(attempts) from member_queue where state = 'delivered'"), 1);

    insert(&bench, "insert into member_queue (email, tags) values ('ANA@EXAMPLE.ORG', 'vip')");
    settle(&bench, "true");
    assert_eq!(outcome(&bench, 9), told("unchanged", "unchanged"));
    service.terminate();
    let ended = service.wait().with_code(143);
    assert_eq!(bench.luma.snapshot().repeats, 0, "{ended}");
}

#[test]
fn tags_of_several_rows_end_in_their_union() {
    let bench = Bench::new("", QUIET);
    let service = bench.serve();
    for tags in ["vip", "press", "tag-gold|vip", ""] {
        insert(
            &bench,
            &format!("insert into member_queue (email, tags) values ('ana@example.org', '{tags}')"),
        );
    }
    insert(
        &bench,
        "insert into member_queue (email, tags) values ('bo@example.org', 'vip'), ('BO@example.org', 'press'),
         ('bo@EXAMPLE.org', 'tag-gold'), ('bo@example.org', 'vip')",
    );
    settle(&bench, "true");
    assert_eq!(outcome(&bench, 8), told("duplicate", "duplicate"), "the fifth row says what the first did");
    assert_eq!(bench.luma.members()["ana@example.org"], ["tag-gold", "tag-press", "tag-vip"]);
    assert_eq!(bench.luma.members()["bo@example.org"], ["tag-gold", "tag-press", "tag-vip"]);
    let ledger = "select email_key, tags from ledger join tag_sets on id = tag_set_id order by 1";
    let union = "tag-gold;tag-press;tag-vip".to_owned();
    let known = [["ana@example.org".to_owned(), union.clone()], ["bo@example.org".to_owned(), union]];
    assert_eq!(bench.db().rows(ledger), known, "the ledger knows what Luma holds\n{}", service.stderr());
}

#[test]
fn rows_that_keep_coming_are_all_delivered_over_kills() {
    let bench = Bench::new("500@10%,reset-after@5%", &format!("{QUIET}retry.max_attempts = 50"));
    let mut service = bench.serve();
    for round in 0..6 {
        let first = round * 400;
        insert(
            &bench,
            &format!(
                "with recursive n(i) as (select {first} union all select i + 1 from n where i < {first} + 399)
                 insert into member_queue (email, tags)
                 select 'p' || i || '@example.org', case when i % 3 = 0 then 'vip' else '' end from n"
            ),
        );
        if round % 2 == 1 {
            assert_eq!(service.kill().signal(), Some(9));
            service = bench.serve();
        }
    }
    settle(&bench, "true");
    let states = bench.db().rows("select state, count(*) from member_queue group by 1");
    assert_eq!(states, [["delivered", "2400"]], "{}", service.stderr());
    let held = bench.luma.members();
    assert_eq!((held.len(), held["p3@example.org"].as_slice()), (2_400, ["tag-vip".to_owned()].as_slice()));
}

#[test]
fn rows_that_wait_are_sent_by_hand_too_and_counted() {
    let bench = Bench::new("", QUIET);
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    insert(
        &bench,
        "insert into member_queue (email) values ('ana@example.org'), ('bo@example.org'), ('ana@example.org'), ('x')",
    );
    let report = bench.sync([]).run().with_code(4).report();
    assert_eq!((report.text("source"), report.rows("read")), ("queue", 4));
    assert_eq!((report.rows("delivered"), report.rows("duplicate"), report.rows("invalid")), (2, 1, 1));
    assert_eq!(bench.luma.members().len(), 2);
}

#[test]
fn failed_rows_of_the_queue_come_back_by_retry() {
    let bench = Bench::new("500", &format!("{QUIET}retry.max_attempts = 2"));
    let service = bench.serve();
    insert(&bench, "insert into member_queue (email) values ('ana@example.org')");
    settle(&bench, "true");
    assert_eq!(outcome(&bench, 1), told("failed", "attempts_exhausted"));
    assert_eq!(bench.db().rows("select attempts from member_queue"), [["2"]]);
    service.terminate();
    service.wait().with_code(143);

    let mended = Luma::start(Options::default());
    bench.point_to(&mended, QUIET);
    let service = bench.serve();
    bench.lumasync(["retry", "--code", "attempts_exhausted"]).run().with_code(0);
    wait_until(PATIENCE, "the delivery", || outcome(&bench, 1) == told("delivered", "NULL"));
    assert_eq!(mended.members().len(), 1, "{}", service.stderr());
}

#[test]
fn the_state_of_things_can_be_read_by_programs() {
    let bench =
        Bench::new("401", &format!("{QUIET}luma.rate_limit.requests = 50\nluma.rate_limit.window = \"60s\""));
    bench.scratch.write("list.csv", "email\nana@example.org\nbo@example.org\n");
    bench.sync(["list.csv"]).run().with_code(78);
    insert(&bench, "insert into member_queue (email) values ('cy@example.org')");
    let said = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["queue"]["new"], &said["queue"]["in_flight"]), (&1.into(), &0.into()), "{said}");
    assert_eq!((&said["stopped_runs"], &said["members"]), (&serde_json::json!([]), &0.into()), "{said}");
    // Both requests of the pass count: 50, less 5 for others, less 2.
    assert_eq!((&said["quota"]["allowed"], &said["quota"]["left"]), (&45.into(), &43.into()), "{said}");
    assert_eq!(
        (&said["runs"][0]["run"], &said["runs"][0]["status"]),
        (&1.into(), &"running".into()),
        "{said}"
    );
    let text = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(text.contains("stopped   run 1: Luma refuses every request: 401"), "{text}");
}

#[test]
fn a_row_that_was_read_cannot_be_turned_into_another_while_it_is_sent() {
    let bench = Bench::new("slow=30s", QUIET);
    let _service = bench.serve();
    insert(&bench, "insert into member_queue (email) values ('old@example.org')");
    wait_until(PATIENCE, "a request", || bench.luma.snapshot().imports == 1);
    let db = bench.db_to_write();
    for change in ["email = 'new@example.org'", "tags = 'vip'", "account = 'paris'", "address = 'x@y.org'"] {
        let refused = db.try_execute(&format!("update member_queue set {change}")).expect_err("fixed");
        assert!(refused.contains("fixed once it was read"), "{change}: {refused}");
    }
}

#[test]
fn rows_of_bytes_that_are_no_text_spoil_only_themselves() {
    let bench = Bench::new("", QUIET);
    if !bench.is_sqlite() {
        // Postgres takes in nothing but text.
        return;
    }
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    insert(
        &bench,
        "insert into member_queue (email) values ('ana@example.org'), (cast(x'61ff406578616d706c652e6f7267' as text));
         insert into member_queue (email, tags) values ('bo@example.org', cast(x'ff' as text));
         insert into member_queue (email, account) values ('cy@example.org', cast(x'ff' as text));
         insert into member_queue (email, name) values ('di@example.org', cast(x'ff' as text));
         insert into event_queue (name) values ('Demo'), (cast(x'41ff42' as text)), ('More')",
    );
    bench.sync([]).run().with_code(4);
    for (id, state, code) in [
        (1, "delivered", "NULL"),
        (2, "invalid", "encoding_invalid"),
        (3, "invalid", "tag_unknown"),
        (4, "invalid", "account_unknown"),
        (5, "delivered", "NULL"),
    ] {
        assert_eq!(outcome(&bench, id), told(state, code), "row {id}");
    }
    let events = bench.db().rows("select state, coalesce(code, '') from event_queue order by id");
    // Today's API wants a start as well; what matters is that neighbours are read.
    let neighbour = match dialect() {
        Dialect::Beta2021 => ["created", ""],
        Dialect::V1 => ["invalid", "start_invalid"],
    };
    assert_eq!(events, [neighbour, ["invalid", "field_invalid"], neighbour]);
    for args in
        [vec!["events", "list"], vec!["events", "show", "2"], vec!["rejects", "1"], vec!["rejects", "2"]]
    {
        bench.lumasync(args).run().with_code(0);
    }
}
