//! Members read from somebody else's database: each test over a file of `SQLite` and over a Postgres server.

mod cursor;
mod kills;
mod told;
mod world;

use world::{World, on_every_source};

on_every_source! {
    every_type_of_column_is_read_as_text_and_lists_are_tags,
    a_pass_over_the_same_rows_sends_only_what_is_new,
    columns_are_mapped_by_name_and_every_row_gets_the_tags_of_the_source,
    a_query_that_writes_is_refused_by_the_database_itself,
    a_source_that_breaks_in_the_middle_leaves_nothing_half_taken,
    no_name_of_a_column_gets_into_a_statement,
    rejects_come_from_what_is_on_record,
    sync_without_names_takes_every_source_and_one_that_fails_holds_up_no_other,
}

fn every_type_of_column_is_read_as_text_and_lists_are_tags(world: &World) {
    let (tags, bytes) = if world.is_postgres() { ("tags text[]", "bytea") } else { ("tags text", "blob") };
    world.crm.execute(&format!(
        "create table people (email {}, name integer, first_name text, {tags}, joined date, paid boolean, photo {bytes});",
        if world.is_postgres() { "varchar(80)" } else { "text" }
    ));
    let list = |tags: &str| {
        let quoted: Vec<String> = tags.split(',').map(|tag| format!("\"{tag}\"")).collect();
        if world.is_postgres() {
            format!("'{{{}}}'", quoted.join(","))
        } else {
            format!("'[{}]'", quoted.join(","))
        }
    };
    world.crm.execute(&format!(
        "insert into people values
            ('Ana@Example.org', 42, null, {}, '2026-11-22', true, null),
            ('bo@example.org', null, 'Bo', null, null, false, null),
            (null, 7, null, null, null, null, null),
            ('17', null, null, null, null, null, null),
            ('cy@example.org', null, null, {}, null, null, null)",
        list("vip,tag-press"),
        list("nobody-knows"),
    ));
    world.source("crm", "select * from people", "");
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(4);
    let report = ended.report();
    assert_eq!((report.rows("read"), report.rows("delivered"), report.rows("invalid")), (5, 2, 3), "{ended}");
    let causes = [("email_invalid", 1), ("email_missing", 1), ("tag_unknown", 1)];
    assert_eq!(report.causes(), causes.map(|(code, rows)| (code.to_owned(), rows)), "{ended}");
    assert_eq!((report.text("source"), report.text("label")), ("sql", "crm"));
    let tagged = vec!["tag-press".to_owned(), "tag-vip".to_owned()];
    let members = [("ana@example.org".to_owned(), tagged), ("bo@example.org".to_owned(), vec![])];
    assert_eq!(world.bench.luma.members(), members.into());
    let names =
        world.bench.db().rows("select name from member_queue where state = 'delivered' order by line");
    assert_eq!(names, [["42"], ["Bo"]]);
    // Numbers, dates and bytes are text as well, wherever they stand.
    for column in ["name", "joined", "paid", "photo"] {
        world.source("crm", "select * from people", &format!("columns = {{ email = \"{column}\" }}"));
        let report = world.bench.sync(["--source", "crm"]).run().with_code(4).report();
        assert_eq!((report.rows("read"), report.rows("invalid")), (5, 5), "{column}");
    }
}

fn a_pass_over_the_same_rows_sends_only_what_is_new(world: &World) {
    world.people(0..300);
    world.source("crm", "select email, tags from people -- all of them", "");
    let first = world.bench.sync(["--source", "crm"]).run().with_code(0);
    assert_eq!(first.report().rows("delivered"), 300, "{first}");
    let requests = world.bench.luma.snapshot().requests;
    let again = world.bench.sync(["--source", "crm"]).run().with_code(0);
    assert_eq!((again.report().rows("read"), again.report().rows("unchanged")), (300, 300), "{again}");
    assert_eq!(
        world.bench.luma.snapshot().requests,
        requests,
        "nothing is sent, and nobody is asked\n{again}"
    );

    world.people(300..302);
    world.crm.execute("update people set tags = 'press' where email = 'p000007@example.org'");
    world.crm.execute("delete from people where email = 'p000008@example.org'");
    world
        .crm
        .execute("insert into people values (900, ' P000009@EXAMPLE.org ', 'vip', '2026-11-22 12:00:00')");
    let third = world.bench.sync(["--source", "crm"]).run().with_code(0).report();
    assert_eq!((third.rows("delivered"), third.rows("unchanged"), third.rows("duplicate")), (3, 298, 1));
    let held = world.bench.luma.members();
    assert_eq!(
        (held.len(), &held["p000007@example.org"]),
        (302, &vec!["tag-press".to_owned(), "tag-vip".to_owned()])
    );
    assert!(held.contains_key("p000008@example.org"), "who is no longer in the list is left alone");
}

fn columns_are_mapped_by_name_and_every_row_gets_the_tags_of_the_source(world: &World) {
    world.crm.execute("create table people (email text, mail text, groups text, tags text)");
    world.crm.execute(
        "insert into people values ('work@example.org', 'home@example.org', 'press', 'nobody-knows')",
    );
    let query = "select * from people;";
    world.source("crm", query, "columns = { email = \"mail\", tags = \"groups\" }\ntags = [\"vip\"]");
    let checked = world.bench.lumasync(["check", "--connect"]).run().with_code(0);
    let said = "`crm` reads `mail` as email, `groups` as tags; not read: `email`, `tags`";
    assert!(checked.stdout.contains(said), "{checked}");
    let unasked = world.bench.lumasync(["check"]).run().with_code(0);
    assert!(unasked.stdout.contains("`crm`: its database and query are looked at with"), "{unasked}");
    world.bench.sync(["--source", "crm"]).run().with_code(0);
    let tagged = vec!["tag-press".to_owned(), "tag-vip".to_owned()];
    assert_eq!(world.bench.luma.members(), [("home@example.org".to_owned(), tagged)].into());
}

fn a_query_that_writes_is_refused_by_the_database_itself(world: &World) {
    world.people(0..3);
    let mut queries = vec![
        "delete from people returning email",
        "insert into people values (9, 'x@example.org', '', '') returning email",
        "select email from people; delete from people",
        "select email from people) select 1; delete from people; with z as (select 1",
        "update people set email = 'x'",
        "with gone as (delete from people returning email) select * from gone",
        "drop table people",
    ];
    if world.is_postgres() {
        queries.extend([
            "select email from people where setval('people_seq', 7) > 0",
            "select email from people; commit; delete from people",
            "with q as (select 1) insert into people values (9, 'x@example.org', '', now()) returning email",
        ]);
    } else {
        queries.extend(["pragma query_only = off", "attach database 'other.db' as other"]);
    }
    world.crm.execute(if world.is_postgres() { "create sequence people_seq" } else { "select 1" });
    for query in queries {
        world.source("crm", query, "");
        let checked = world.bench.lumasync(["check", "--connect"]).run();
        let ended = world.bench.sync(["--source", "crm"]).run().with_code(78);
        assert!(ended.stderr.contains("error: source `crm` has "), "{query}\n{checked}\n{ended}");
        assert!(ended.stderr.contains("\nhint: "), "{query}\n{ended}");
    }
    world.source("crm", "select email from people", "");
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(0);
    assert_eq!(ended.report().rows("delivered"), 3, "nothing was written\n{ended}");
    assert!(!world.bench.scratch.path("other.db").exists());
}

fn a_source_that_breaks_in_the_middle_leaves_nothing_half_taken(world: &World) {
    world.people(0..5_000);
    // Found out only when the row is met.
    let broken = if world.is_postgres() {
        "select email, 1 / (id - 4500) as name from people order by id"
    } else {
        "select email, case when id = 4500 then json_extract('{', '$') end as name from people order by id"
    };
    world.source("crm", broken, "");
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(78);
    let said = if world.is_postgres() { "division by zero" } else { "malformed JSON" };
    assert!(ended.stderr.contains(said), "{ended}");
    let db = world.bench.db();
    assert_eq!(db.count("select count(*) from member_queue") + db.count("select count(*) from batches"), 0);
    assert_eq!(db.rows("select status, read_rows from runs"), [["failed", "0"]]);
    let reason = &db.rows("select reason from runs")[0][0];
    assert!(reason.contains(said) && !reason.contains('\n'), "{reason}");
    drop(db);
    assert_eq!(world.bench.luma.snapshot().requests, 0);
    world.source("crm", "select email from people", "");
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(0);
    assert_eq!(ended.report().rows("delivered"), 5_000, "{ended}");
}

fn no_name_of_a_column_gets_into_a_statement(world: &World) {
    world.people(0..3);
    let evil = "c0) as x; drop table people; --";
    let query =
        format!("select email, tags as \"{evil}\", updated_at as \"u\"\"; --\", id as \"'i\" from people");
    let lines =
        format!("columns = {{ tags = '{evil}' }}\ncursor = 'u\"; --'\nkey = \"'i\"\noverlap = \"0s\"");
    world.source("crm", &query, &lines);
    for (rows, next) in [(3, 3), (1, 4)] {
        let ended = world.bench.sync(["--source", "crm"]).run().with_code(0);
        assert_eq!(ended.report().rows("delivered"), rows, "{ended}");
        world.people(next..next + 1);
    }
    assert_eq!(world.bench.luma.members()["p000003@example.org"], ["tag-vip"]);
}

fn rejects_come_from_what_is_on_record(world: &mut World) {
    world.crm.execute("create table people (email text, name text, tags text)");
    world.crm.execute(
        "insert into people values ('ana@example.org', 'Ana', 'vip'), ('no address', 'Bo', 'vip'), ('bad@example.org', 'Cy', 'press')",
    );
    world.luma("reject=bad@example.org");
    world.source("crm", "select email, name, tags from people", "");
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(4);
    assert_eq!((ended.report().rows("rejected"), ended.report().rows("invalid")), (1, 1), "{ended}");
    let rejects = world.bench.lumasync(["rejects", "1"]).run().with_code(0);
    let lines: Vec<&str> = rejects.stdout.lines().collect();
    assert_eq!(lines[0], "email,name,tags,_row,_code,_reason", "{rejects}");
    assert!(lines[1].starts_with("no address,<missing>,<missing>,2,email_invalid,"), "{rejects}");
    assert!(lines[2].starts_with("bad@example.org,Cy,tag-press,3,api_rejected,"), "{rejects}");
    assert!(rejects.stderr.contains("are read again by the next pass"), "{rejects}");
}

fn sync_without_names_takes_every_source_and_one_that_fails_holds_up_no_other(world: &World) {
    world.people(0..4);
    world.source("crm", "select email from people where id < 2", "");
    world.add_source("gone", "sqlite://not-there.db", "select email from people");
    world.add_source("rest", &world.crm.url, "select email from people where id >= 2");
    let ended = world.bench.sync([]).run().with_code(1);
    assert!(ended.stderr.contains("error: source `gone` cannot open its database"), "{ended}");
    assert_eq!(world.bench.luma.members().len(), 4, "{ended}");
    let labels: Vec<String> = ended.reports().iter().map(|report| report.text("label").to_owned()).collect();
    assert_eq!(labels, ["crm", "rest"], "{ended}");
    let unknown = world.bench.lumasync(["sync", "--source", "cmr"]).run().with_code(2);
    assert!(unknown.stderr.contains("the sources are `crm`, `gone`, `rest`"), "{unknown}");
}
