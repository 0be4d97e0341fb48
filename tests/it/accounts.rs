//! Several accounts in one process: each with its own key, people, tags and quota, and none in another's way.

use std::time::Duration;

use lumasync::sandbox::{FurtherKey, Limit, Options};

use crate::support::{Bench, KEY, Luma, PATIENCE, People, faulty, wait_until};

const PARIS: &str = "paris-key";
/// A further account with a key and a tag of its own.
const EXTRA: &str = "batch.max_rows = 10\naccounts.paris.api_key = \"file:paris.key\"\n\
                     accounts.paris.tags.vip = \"tag-paris-vip\"";

fn key(key: &str, limit: Option<Limit>) -> FurtherKey {
    FurtherKey { key: key.to_owned(), limit }
}

/// A Luma that knows both keys, and a configuration that has both accounts.
fn two_accounts(extra: &str) -> Bench {
    let options = Options { limit: None, further: vec![key(PARIS, None)], ..Options::default() };
    with(options, extra)
}

fn with(options: Options, extra: &str) -> Bench {
    let bench = Bench::with(options, &format!("{EXTRA}\n{extra}"));
    bench.scratch.write("paris.key", PARIS);
    bench
}

fn insert(bench: &Bench, sql: &str) {
    bench.db_to_write().execute(sql);
}

fn states(bench: &Bench, account: &str) -> Vec<Vec<String>> {
    bench.db().rows(&format!(
        "select state, count(*) from member_queue where account = '{account}' group by state order by state"
    ))
}

fn rows(state: &str, count: u64) -> Vec<Vec<String>> {
    vec![vec![state.to_owned(), count.to_string()]]
}

/// So many rows for an account, as another program inserts them.
fn insert_people(bench: &Bench, account: &str, count: u64) {
    insert(
        bench,
        &format!(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})
             insert into member_queue (account, email, tags)
             select '{account}', 'p' || i || '@example.org', 'vip' from n"
        ),
    );
}

#[test]
fn the_same_person_is_in_each_account_with_the_tags_of_that_account() {
    let (bench, people) = (two_accounts(""), People::clean(25, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let main = bench.sync(["list.csv"]).run().with_code(0);
    let paris = bench.sync(["--account", "paris", "list.csv"]).run().with_code(0);
    assert!(bench.luma.members_of(KEY) == people.members, "{main}");
    let held = bench.luma.members_of(PARIS);
    assert_eq!(held.len(), 25, "{paris}");
    assert!(held.values().all(|tags| *tags == ["tag-paris-vip"]), "{held:?}");
    assert_eq!((main.report().text("account"), paris.report().text("account")), ("main", "paris"));
    let ledger =
        "select account, count(*), count(distinct tag_set_id) from ledger group by account order by account";
    assert_eq!(bench.db().rows(ledger), [["main", "25", "1"], ["paris", "25", "1"]]);
    assert_eq!(
        bench.db().rows("select name, members from accounts order by name"),
        [["main", "25"], ["paris", "25"]]
    );

    // Each knows what it has delivered, and nothing of the other.
    bench.scratch.write("longer.csv", format!("{}new@example.org,vip\n", people.csv));
    let again = bench.sync(["--account", "paris", "longer.csv"]).run().with_code(0);
    assert_eq!((again.report().rows("unchanged"), again.report().rows("delivered")), (25, 1), "{again}");
    assert_eq!((bench.luma.members_of(KEY).len(), bench.luma.members_of(PARIS).len()), (25, 26));
    let tag = bench.sync(["--account", "paris", "--tag", "press", "list.csv"]).run().with_code(2);
    assert!(tag.stderr.contains("press"), "a tag of `main` is none of another account\n{tag}");
    let unknown = bench.sync(["--account", "pariss", "list.csv"]).run().with_code(2);
    assert!(unknown.stderr.contains("known are `main`, `paris`"), "{unknown}");
}

#[test]
fn rows_of_the_queues_go_to_the_account_they_name() {
    let bench = two_accounts("");
    let service = bench.serve();
    insert(
        &bench,
        "insert into member_queue (account, email, tags) values ('paris', 'ana@example.org', 'vip');
         insert into member_queue (email, tags) values ('ana@example.org', 'vip');
         insert into member_queue (account, email) values ('rome', 'bo@example.org');
         insert into event_queue (account, name, start_at) values ('paris', 'Soirée', '2999-12-03T18:00:00Z');
         insert into event_queue (name, start_at) values ('Night', '2999-12-03T18:00:00Z');
         insert into event_queue (account, name, start_at) values ('rome', 'Notte', '2999-12-03T18:00:00Z')",
    );
    let open = "select (select count(*) from member_queue where settled_at is null)
                     + (select count(*) from event_queue where settled_at is null)";
    wait_until(PATIENCE, "an outcome for every row", || bench.db().count(open) == 0);
    let outcomes = "select account, state, coalesce(code, '-') from member_queue
                    union all select account, state, coalesce(code, '-') from event_queue order by 1, 2";
    let expected = [
        ["main", "created", "-"],
        ["main", "delivered", "-"],
        ["paris", "created", "-"],
        ["paris", "delivered", "-"],
        ["rome", "invalid", "account_unknown"],
        ["rome", "invalid", "account_unknown"],
    ];
    assert_eq!(bench.db().rows(outcomes), expected, "{}", service.stderr());
    assert_eq!(bench.luma.members_of(KEY)["ana@example.org"], ["tag-vip"]);
    assert_eq!(bench.luma.members_of(PARIS)["ana@example.org"], ["tag-paris-vip"]);
    let names =
        |key| bench.luma.events_of(key).iter().map(|event| event.fields["name"].clone()).collect::<Vec<_>>();
    assert_eq!((names(KEY), names(PARIS)), (vec!["Night".into()], vec!["Soirée".into()]));
    service.terminate();
    service.wait().with_code(143);

    let listed = bench.lumasync(["--output", "json", "events", "list"]).run().with_code(0).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let shown: Vec<_> =
        listed["events"].as_array().expect("events").iter().map(|event| &event["account"]).collect();
    assert_eq!(shown, ["rome", "main", "paris"]);
    let of_paris = bench.lumasync(["events", "list", "--account", "paris"]).run().with_code(0).stdout;
    assert!(of_paris.contains("Soirée") && !of_paris.contains("Night"), "{of_paris}");
    let runs = bench.lumasync(["runs", "list"]).run().with_code(0).stdout;
    assert!(runs.contains("  paris "), "{runs}");
}

#[test]
fn a_key_that_is_refused_at_the_start_holds_up_no_other() {
    let bench = two_accounts("");
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    bench.scratch.write("paris.key", "nobodys-key");
    let service = bench.serve();
    wait_until(PATIENCE, "the accounts", || bench.db().count("select count(*) from accounts") == 2);
    insert_people(&bench, "paris", 20);
    insert_people(&bench, "main", 20);
    wait_until(PATIENCE, "everybody of `main`", || bench.luma.members_of(KEY).len() == 20);
    let standing = "select count(*) from runs where account = 'paris' and reason like '%key refused%'";
    wait_until(PATIENCE, "the reason on the run", || bench.db().count(standing) == 1);
    assert_eq!(states(&bench, "paris"), rows("pending", 20));
    assert!(service.stderr().contains("nothing is sent for this account"), "{}", service.stderr());
    service.terminate();
    let ended = service.wait().with_code(143);
    assert!(!ended.stderr.contains("nobodys-key"), "{ended}");

    // By hand as well: the worst of both is the end of it.
    insert(&bench, "insert into member_queue (email) values ('late@example.org')");
    let ended = bench.sync([]).run().with_code(78);
    assert!(
        ended.stderr.contains("account `paris`") && ended.stderr.contains("accounts.paris.api_key"),
        "{ended}"
    );
    assert!(!ended.reports().is_empty(), "what the others came to is told all the same\n{ended}");
    assert_eq!(bench.luma.members_of(KEY).len(), 21, "{ended}");
    let status = bench.lumasync(["status"]).run().with_code(0);
    assert!(status.stdout.contains("account   main: Luma user `usr-sandbox`"), "{status}");
    assert!(status.stdout.contains("account   paris: Luma was not asked yet"), "{status}");

    bench.scratch.write("paris.key", PARIS);
    bench.sync([]).run().with_code(0);
    assert_eq!(bench.luma.members_of(PARIS).len(), 20);
    assert_eq!(states(&bench, "paris"), rows("delivered", 20));
}

#[test]
fn where_every_key_is_refused_there_is_nothing_to_run_for() {
    let bench = two_accounts("");
    bench.scratch.write("paris.key", "nobodys-key");
    let service = bench.lumasync(["run"]).env("TEST_LUMA_KEY", "another").spawn();
    let ended = service.wait().with_code(78);
    assert!(ended.stderr.contains("key refused"), "{ended}");
    assert_eq!(bench.db().count("select count(*) from workers"), 0, "{ended}");
}

#[test]
fn a_key_that_is_refused_later_and_a_block_hold_up_no_other() {
    for (faults, cause) in [("401@2+", "refused"), ("429@2", "throttled")] {
        let limit =
            Some(Limit { requests: 1_000, window: Duration::from_mins(5), block: Duration::from_mins(5) });
        let elsewhere = Luma::start(Options { limit, ..faulty(faults) });
        let bench = two_accounts("");
        bench.scratch.write("paris.key", KEY);
        bench.configure(&format!(
            "{EXTRA}\naccounts.paris.base_url = \"{}\"\naccounts.paris.max_in_flight = 1",
            elsewhere.url()
        ));
        let service = bench.serve();
        insert_people(&bench, "paris", 50);
        let block = "select block_cause from accounts where name = 'paris' and blocked_until is not null";
        wait_until(PATIENCE, cause, || bench.db().rows(block) == [[cause]]);
        insert_people(&bench, "main", 50);
        wait_until(PATIENCE, "everybody of `main`", || states(&bench, "main") == rows("delivered", 50));
        assert_eq!(
            bench.db().count("select count(*) from accounts where blocked_until is not null"),
            1,
            "{cause}"
        );
        assert_eq!(bench.luma.members_of(KEY).len(), 50);
        assert_eq!(elsewhere.members().len(), 10, "what was taken before");
        let status = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        let blocked: Vec<bool> =
            [0, 1].map(|place| status["accounts"][place]["blocked_until"].is_string()).into();
        assert_eq!(blocked, [false, true], "{status}");
        service.terminate();
        service.wait().with_code(143);
    }
}

#[test]
fn each_account_keeps_its_own_quota_in_every_window_over_two_processes() {
    let limit = |requests| {
        let window = Duration::from_secs(1);
        Some(Limit { requests, window, block: Duration::from_secs(30) })
    };
    let options = Options { limit: limit(20), further: vec![key(PARIS, limit(6))], ..Options::default() };
    let extra = "luma.rate_limit.requests = 20\nluma.rate_limit.window = \"1s\"\nluma.rate_limit.reserve = 0\n\
                 luma.rate_limit.per_second = 1000\naccounts.paris.rate_limit.requests = 6";
    let bench = with(options, extra);
    let services = [bench.serve(), bench.serve()];
    insert_people(&bench, "main", 600);
    insert_people(&bench, "paris", 200);
    wait_until(PATIENCE, "everybody", || {
        bench.luma.members_of(KEY).len() == 600 && bench.luma.members_of(PARIS).len() == 200
    });
    wait_until(PATIENCE, "the end of both runs", || {
        bench.db().count("select count(*) from runs where finished_at is null") == 0
    });
    for (account, most) in [(KEY, 20), (PARIS, 6)] {
        let counts = bench.luma.snapshot_of(account);
        assert_eq!((counts.throttled, counts.repeats), (0, 0), "{counts:?}");
        assert!(counts.max_in_window <= most, "{counts:?}");
    }
    let workers = bench.db().count("select count(distinct worker_id) from attempts");
    assert_eq!((workers, bench.db().count("select count(*) from workers")), (2, 2), "one worker a process");
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
}

#[test]
fn a_further_account_has_folders_of_its_own() {
    let (bench, people) = (two_accounts(""), People::clean(12, Some("vip")));
    let service = bench.serve();
    wait_until(PATIENCE, "its folders", || bench.scratch.path("drop/@paris/events").is_dir());
    bench.scratch.write("drop/@paris/members/list.csv", &people.csv);
    bench.scratch.write("drop/members/list.csv", &people.csv);
    bench.scratch.write("drop/@paris/events/night.csv", "name,start_at\nSoirée,2999-12-03T18:00:00Z\n");
    bench.scratch.write("drop/@rome/members/list.csv", &people.csv);
    let archived =
        "select account, kind, state from input_files f join runs r on r.id = f.run_id order by 1, 2";
    let expected =
        [["main", "members", "archived"], ["paris", "events", "archived"], ["paris", "members", "archived"]];
    wait_until(PATIENCE, "the archive", || bench.db().rows(archived) == expected);
    assert_eq!((bench.luma.members_of(KEY).len(), bench.luma.members_of(PARIS).len()), (12, 12));
    assert_eq!((bench.luma.events_of(KEY).len(), bench.luma.events_of(PARIS).len()), (0, 1));
    for (root, account) in [("drop", "main"), ("drop/@paris", "paris")] {
        let days = std::fs::read_dir(bench.scratch.path(&format!("{root}/done"))).expect("an archive");
        let names = days.flatten().flat_map(|day| std::fs::read_dir(day.path()).expect("a day").flatten());
        let mut receipts = names.filter(|name| name.file_name().to_string_lossy().starts_with("list."));
        let receipt = receipts.find(|name| name.file_name().to_string_lossy().ends_with(".receipt.json"));
        let said = std::fs::read(receipt.expect("a receipt").path()).expect("read");
        let said: serde_json::Value = serde_json::from_slice(&said).expect("JSON");
        assert_eq!((&said["account"], &said["rows"]["delivered"]), (&account.into(), &12.into()), "{said}");
    }
    let status = bench.lumasync(["status"]).run().with_code(0);
    assert!(status.stdout.contains("drop/@rome`: no account is called so"), "{status}");
    assert!(bench.scratch.path("drop/@rome/members/list.csv").exists());
    service.terminate();
    service.wait().with_code(143);
}

#[test]
fn a_key_of_another_user_is_refused_for_its_account_alone() {
    let further = vec![key(PARIS, None), key("stranger", None)];
    let bench = with(Options { limit: None, further, ..Options::default() }, "");
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    bench.sync([]).run().with_code(0);
    let insert_both = |name: &str| {
        insert(
            &bench,
            &format!(
                "insert into member_queue (email) values ('{name}@example.org');
                 insert into member_queue (account, email) values ('paris', '{name}@example.org')"
            ),
        );
    };
    insert_both("ana");
    bench.sync([]).run().with_code(0);
    let identities = "select name, identity from accounts order by name";
    assert_eq!(bench.db().rows(identities), [["main", "usr-sandbox"], ["paris", "usr-sandbox-2"]]);

    insert_both("bo");
    bench.scratch.write("paris.key", "stranger");
    let ended = bench.sync([]).run().with_code(78);
    assert!(ended.stderr.contains("usr-sandbox-3"), "{ended}");
    assert_eq!(bench.luma.members_of(KEY).len(), 2, "{ended}");
    assert_eq!((bench.luma.members_of(PARIS).len(), bench.luma.members_of("stranger").len()), (1, 0));
    bench.scratch.write("paris.key", PARIS);
    bench.sync([]).run().with_code(0);
    assert_eq!(bench.luma.members_of(PARIS).len(), 2);
}

#[test]
fn one_calendar_under_two_names_is_told_of() {
    let bench = two_accounts("");
    bench.scratch.write("paris.key", KEY);
    let said = bench.lumasync(["check", "--connect"]).run().with_code(0);
    assert!(said.stderr.contains("`accounts.paris.api_key` is the key of `luma.api_key` too"), "{said}");
    assert!(said.stdout.contains("account `main` belongs to the same user"), "{said}");
    assert!(bench.scratch.path("drop/@paris/members").is_dir(), "{said}");
    bench.scratch.write("paris.key", "nobodys-key");
    let said = bench.lumasync(["check", "--connect"]).run().with_code(78);
    assert!(said.stdout.contains("paris: key refused") && said.stdout.contains("account `main`"), "{said}");
}

#[test]
fn what_waits_for_an_account_that_is_not_configured_any_more_is_shown_and_kept() {
    let bench = two_accounts("");
    bench.sync([]).run().with_code(0);
    insert_people(&bench, "paris", 3);
    bench.configure("");
    bench.sync([]).run().with_code(0);
    assert_eq!(states(&bench, "paris"), rows("new", 3));
    let status = bench.lumasync(["status"]).run().with_code(0);
    assert!(status.stdout.contains("account   paris: not configured here"), "{status}");
    bench.configure(EXTRA);
    bench.sync([]).run().with_code(0);
    assert_eq!(states(&bench, "paris"), rows("delivered", 3));
}

#[test]
fn a_rehearsal_has_every_account() {
    let (bench, people) = (two_accounts(""), People::clean(8, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    bench.scratch.write("drop/@paris/members/list.csv", &people.csv);
    bench.scratch.write("drop/members/list.csv", &people.csv);
    let ended = bench.sync(["--sandbox"]).run().with_code(0);
    assert!(ended.stderr.contains("the built-in Luma held 16 members"), "{ended}");
    let by_account = "select account, count(*) from ledger group by account order by account";
    assert_eq!(bench.db().rows(by_account), [["main", "8"], ["paris", "8"]]);
    assert_eq!(bench.luma.snapshot().requests, 0, "{ended}");
    let refused = bench.sync([]).run().with_code(78);
    assert!(refused.stderr.contains("the record of a rehearsal"), "{refused}");
    bench.sync(["--sandbox", "--account", "paris", "list.csv"]).run().with_code(0);
}

#[test]
fn runs_of_any_account_are_retried_and_canceled() {
    let elsewhere = Luma::start(Options { limit: None, ..faulty("500") });
    let bench = two_accounts("retry.max_attempts = 1");
    bench.scratch.write("paris.key", KEY);
    let extra = format!("{EXTRA}\nretry.max_attempts = 1\naccounts.paris.base_url = \"{}\"", elsewhere.url());
    bench.configure(&extra);
    bench.scratch.write("list.csv", People::clean(20, None).csv);
    let failed = bench.sync(["--account", "paris", "list.csv"]).run().with_code(4);
    let report = failed.report();
    assert_eq!(report.rows("failed"), 20, "{failed}");
    let run = report.number("run").to_string();
    bench.lumasync(["retry", "--run", &run]).run().with_code(0);
    let canceled = bench.lumasync(["runs", "cancel", &run]).run().with_code(0);
    assert!(canceled.stdout.contains("20 rows will not be sent"), "{canceled}");
    let shown = bench.lumasync(["runs", "show", &run]).run().with_code(0);
    assert!(shown.stdout.contains("account paris"), "{shown}");
}
