//! What is said of a source that cannot be read, and what is never said.

use super::world::{World, on_every_source};

on_every_source! {
    what_is_wrong_with_a_query_is_said_before_a_row_is_read,
    a_reading_that_takes_too_long_is_given_up,
    no_address_is_told_above_debug,
    duplicates_and_causes_are_told_by_the_number_of_the_row,
}

fn what_is_wrong_with_a_query_is_said_before_a_row_is_read(world: &World) {
    world.crm.execute("create table people (id integer, mail_adress text, groups text)");
    for (query, lines, said, hint) in [
        (
            "select nothing from people",
            "",
            "has a query that its database refuses",
            "in the database's own shell",
        ),
        (
            "select id, mail_adress from people",
            "",
            "has no e-mail column; it has `id`, `mail_adress`",
            "as email",
        ),
        (
            "select id, mail_adress from people",
            "columns = { email = \"mail_address\" }",
            "has no column `mail_address`, which `columns.email` names",
            "did you mean `mail_adress`?",
        ),
        (
            "select mail_adress as email, id from people",
            "cursor = \"updated\"\nkey = \"id\"",
            "which `cursor` names",
            "",
        ),
        (
            "select mail_adress as \"Email\", mail_adress as \"E-mail\" from people",
            "",
            "has two e-mail columns",
            "say which",
        ),
        ("select mail_adress as email from people where id > $1", "", "has a placeholder", "leave it out"),
        (
            "delete from people returning mail_adress as email",
            "",
            "has a query that its database refuses",
            if world.is_postgres() { "only read from" } else { "own shell" },
        ),
    ] {
        world.source("crm", query, lines);
        let checked = world.bench.lumasync(["check", "--connect"]).run().with_code(78);
        let line = checked.stdout.lines().find(|line| line.starts_with("source")).unwrap_or_default();
        assert!(line.contains("FAILED") && line.contains(said), "{query}\n{checked}");
        assert!(checked.stdout.contains(hint), "{query}\n{checked}");
        let synced = world.bench.sync(["--source", "crm"]).run().with_code(78);
        assert!(synced.stderr.contains(said) && synced.stderr.contains(hint), "{query}\n{synced}");
    }
    if world.is_postgres() {
        world.source("crm", "select mail_adress as email\nfrom people\nwhere nothing", "");
        let checked = world.bench.lumasync(["check", "--connect"]).run().with_code(78);
        assert!(
            checked.stdout.contains("(line 3, column 7): column \"nothing\" does not exist"),
            "{checked}"
        );
    }
    world.source("crm", "select mail_adress as email, groups from people", "");
    let checked = world.bench.lumasync(["check", "--connect"]).run().with_code(0);
    assert!(checked.stdout.contains("nobody is tagged by column"), "{checked}");
}

fn a_reading_that_takes_too_long_is_given_up(world: &World) {
    let endless = if world.is_postgres() {
        "select pg_sleep(60), 'ana@example.org' as email"
    } else {
        "with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) as name, 'a@b.org' as email from n"
    };
    world.source("crm", endless, "timeout = \"1s\"");
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(75);
    assert!(ended.stderr.contains("source `crm` took longer than 1s"), "{ended}");
    let runs = world.bench.db().rows("select status, reason from runs");
    assert_eq!(runs[0][0], "failed", "{runs:?}");
}

fn no_address_is_told_above_debug(world: &World) {
    world.people(0..5);
    world.crm.execute("insert into people values (7, 'no address of p000007@example.org', '', null)");
    let quoting = if world.is_postgres() {
        "select email, cast(email as integer) as name from people"
    } else {
        "select email, json_extract(email, '$') as name from people"
    };
    for (query, code) in [(quoting, 78), ("select email, tags from people", 4)] {
        world.source("crm", query, "");
        let logged = ["--log-level", "info", "sync", "--source", "crm"];
        let ended = world.bench.lumasync(logged).run().with_code(code);
        assert!(!ended.stderr.contains("p00000") && !ended.stdout.contains("p00000"), "{ended}");
    }
    let reasons = world.bench.db().rows("select coalesce(reason, '') from runs").concat();
    assert!(!reasons.concat().contains("p00000"), "{reasons:?}");
}

fn duplicates_and_causes_are_told_by_the_number_of_the_row(world: &World) {
    world.crm.execute("create table people (email text)");
    world.crm.execute("insert into people values ('a@example.org'), ('A@example.org'), ('none')");
    world.source("crm", "select email from people", "");
    let ended = world.bench.lumasync(["sync", "--source", "crm"]).run().with_code(4);
    assert!(ended.stdout.contains("duplicates: row 2 is row 1 again"), "{ended}");
    assert!(ended.stdout.contains("(row 3)") && ended.stdout.contains("read as `email`"), "{ended}");
}

#[test]
fn a_password_is_told_nowhere() {
    let world = World::sqlite();
    let url = "postgres://lumasync:s3cret-word@127.0.0.1:1/crm?application_name=s3cret-word";
    world.source("crm", "select 'a@b.org' as email", "");
    world.point("env:CRM_URL");
    for (args, code) in [
        (&["--log-level", "trace", "check", "--connect"][..], 75),
        (&["--log-level", "trace", "sync", "--source", "crm"], 75),
        (&["--log-format", "json", "--log-level", "trace", "sync"], 75),
    ] {
        let ended = world.bench.lumasync(args.iter().copied()).env("CRM_URL", url).run().with_code(code);
        assert!(!ended.stderr.contains("s3cret") && !ended.stdout.contains("s3cret"), "{ended}");
        assert!(format!("{ended}").contains("cannot open its database"), "{ended}");
    }
    for wrong in [
        "postgres://me:s3cret-word",
        "mysql://me:s3cret-word@h/d",
        "postgres://me:s3cret-word@h/d?passwd=s3cret",
    ] {
        let ended = world.bench.lumasync(["check"]).env("CRM_URL", wrong).run().with_code(78);
        assert!(!ended.stderr.contains("s3cret") && ended.stderr.contains("`source.1.url`"), "{ended}");
    }
    let rows = world.bench.db().rows("select reason from runs");
    assert!(!rows.is_empty() && !rows.concat().concat().contains("s3cret"), "{rows:?}");
}
