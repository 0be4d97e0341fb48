//! What only today's API has: names, tags by name, an allowance that others share, calendars, limits of imports.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use lumasync::sandbox::v1::Settings;
use lumasync::sandbox::{FurtherKey, Limit, Options};

use crate::support::{Bench, Ended, KEY, People};

const V1: &str = "luma.dialect = \"v1\"\n";

/// A calendar without a limit that has two tags.
fn calendar() -> Options {
    let known_tags = ["tag-vip=VIP", "tag-press=press"].map(str::to_owned).to_vec();
    Options { limit: None, known_tags, record: true, ..Options::default() }
}

/// The guesses about Luma, but for one.
fn guess(setting: &str) -> Settings {
    let mut settings = Settings::default();
    let (key, value) = setting.split_once('=').expect("a setting");
    settings.set(key, value).expect("a setting");
    settings
}

fn bench(options: Options, extra: &str) -> Bench {
    Bench::with(options, &format!("{V1}{extra}"))
}

#[track_caller]
fn sync(bench: &Bench, list: &str, code: i32) -> Ended {
    bench.scratch.write("list.csv", list);
    bench.sync(["list.csv"]).run().with_code(code)
}

#[test]
fn members_go_out_with_their_names_and_a_changed_name_alone_sends_nothing() {
    let bench = bench(calendar(), "");
    let list = "email,first_name,last_name,name\nana@example.org,Ana,Lima,\nbo@example.org,,,Bo \"B\" Ek\n\
                cy+1@example.org,,,\n";
    sync(&bench, list, 0);
    let wanted = [
        ("ana@example.org", Some("Ana Lima")),
        ("bo@example.org", Some("Bo \"B\" Ek")),
        ("cy+1@example.org", None),
    ];
    let wanted = wanted.map(|(email, name)| (email.to_owned(), name.map(str::to_owned)));
    assert_eq!(bench.luma.names(), wanted.clone().into());

    let ended = sync(&bench, &list.replace("Lima", "Souza"), 0);
    assert_eq!(ended.report().rows("unchanged"), 3, "{ended}");
    assert_eq!(bench.luma.names(), wanted.into());
    let said = bench.lumasync(["runs", "show", "2"]).run().with_code(0).stdout;
    assert!(said.contains("a changed name alone sends nothing, for Luma keeps the first"), "{said}");
}

#[test]
fn names_of_the_queue_are_whatever_somebody_wrote() {
    let bench = bench(calendar(), "");
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    let db = bench.db_to_write();
    for (email, name) in
        [("ana@example.org", "' A\n\u{1f}na '"), ("bo@example.org", "null"), ("cy@example.org", "''")]
    {
        db.execute(&format!("insert into member_queue (email, name) values ('{email}', {name})"));
    }
    if bench.is_sqlite() {
        db.execute(
            "insert into member_queue (email, name) values ('dee@example.org', cast(x'41ff42' as text))",
        );
    } else {
        db.execute("insert into member_queue (email) values ('dee@example.org')");
    }
    bench.sync([]).run().with_code(0);
    let names = bench.luma.names();
    assert_eq!(names.len(), 4);
    assert_eq!(names["ana@example.org"].as_deref(), Some("A  na"));
    assert!(names.values().filter(|name| name.is_none()).count() == 3, "{names:?}");
}

#[test]
fn tags_are_known_by_the_names_they_have_in_luma_and_an_unknown_one_is_not_sent() {
    let bench = bench(calendar(), "");
    let list = "email,tags\nana@example.org,VIP\nbo@example.org,Press;vip\ncy@example.org,Speaker\n\
                dee@example.org,tag-none\n";
    let ended = sync(&bench, list, 4);
    let members = bench.luma.members();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["ana@example.org", "bo@example.org"], "{ended}");
    assert_eq!(members["bo@example.org"], ["tag-press", "tag-vip"]);
    assert_eq!(ended.report().causes(), [("tag_unknown".to_owned(), 2)], "{ended}");
    assert_eq!(bench.luma.tags(), ["VIP", "press"], "none was made");

    // By hand: nothing at all is sent.
    let imports = bench.luma.snapshot().imports;
    bench.scratch.write("more.csv", "email\neva@example.org\n");
    let ended = bench.sync(["more.csv", "--tag", "Speaker"]).run().with_code(2);
    assert!(ended.stderr.contains("`Speaker` is neither a name in `[tags]` nor a tag in Luma"), "{ended}");
    assert_eq!(bench.luma.snapshot().imports, imports, "{ended}");
    bench.sync(["more.csv", "--tag", "VIP"]).run().with_code(0);
    assert_eq!(bench.luma.members()["eva@example.org"], ["tag-vip"]);
}

#[test]
fn missing_tags_are_made_once_where_that_is_wished() {
    let bench = bench(calendar(), "luma.create_missing_tags = true\n");
    let list = "email,tags\nana@example.org,Speaker;Volunteer\nbo@example.org,speaker|VIP\ncy@example.org,tag-none\n";
    let ended = sync(&bench, list, 4);
    assert_eq!(bench.luma.tags(), ["Speaker", "VIP", "Volunteer", "press"], "{ended}");
    assert_eq!(ended.report().causes(), [("tag_unknown".to_owned(), 1)], "an id is no name: {ended}");
    let members = bench.luma.members();
    assert_eq!((members["ana@example.org"].len(), members["bo@example.org"].len()), (2, 2), "{members:?}");

    let garbage: Vec<String> =
        (0..200).map(|number| format!("p{number}@example.org,word {number}")).collect();
    let ended = sync(&bench, &format!("email,tags\n{}\n", garbage.join("\n")), 4);
    assert_eq!(bench.luma.tags().len(), 4, "a column of something else is not made into tags: {ended}");
    assert!(ended.stderr.contains("more tags are missing than are made for one input"), "{ended}");
}

#[test]
fn a_tag_that_is_not_there_stops_the_run_before_a_request() {
    // Luma would drop an unknown tag without a word, and does not list its tags to the key of the first pass.
    let options = Options { settings: guess("unknown-tag=ignore"), ..calendar() };
    let bench = bench(options, "tags.vip = \"tag-none\"\n");
    bench.scratch.write("list.csv", "email,tags\nana@example.org,vip\n");
    bench.sync(["list.csv"]).env("TEST_LUMA_KEY", "another-key").run().with_code(78);
    assert_eq!(bench.db().count("select count(*) from member_queue where state = 'pending'"), 1);
    let ended = bench.sync([]).run().with_code(1);
    assert_eq!(bench.luma.snapshot().imports, 0, "{ended}");
    let report = ended.report();
    assert!(report.text("reason").contains("Luma has no tag `tag-none`"), "{ended}");
    assert_eq!(report.rows("pending"), 1, "{ended}");
}

/// Somebody else who uses the key: the status of what they ask for.
fn ask_as_somebody_else(url: &str, route: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("connected");
    let length = body.len();
    let request = format!(
        "{route} HTTP/1.1\r\nhost: luma\r\nconnection: close\r\ncontent-length: {length}\r\nx-luma-api-key: {KEY}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[test]
fn who_is_left_out_of_an_import_is_not_called_delivered() {
    let bench = bench(Options { settings: guess("skipped=told"), ..calendar() }, "luma.verify = \"none\"\n");
    sync(&bench, "email\nAna@example.org\n", 0);
    let removed = r#"{"emails":["ana@example.org"]}"#;
    let url = bench.luma.url();
    assert_eq!(ask_as_somebody_else(&url, "POST /v1/calendars/contacts/remove", removed), 200);
    let list = "email,tags\nAna@example.org,vip\nbo@example.org,vip\ncy@example.org,vip\n";
    let ended = sync(&bench, list, 4);
    let report = ended.report();
    assert_eq!((report.rows("delivered"), report.rows("rejected")), (2, 1), "{ended}");
    let told = bench.db().rows("select email, reason from member_queue where state = 'rejected'");
    assert_eq!(told, [["Ana@example.org", "Luma left out Ana@example.org"]], "{ended}");
    assert_eq!(bench.db().count("select count(*) from ledger where tag_set_id <> 0"), 2, "{ended}");
}

#[test]
fn others_who_use_the_calendar_are_left_room() {
    let window = Duration::from_secs(3);
    for reset in ["seconds", "millis", "iso"] {
        let limit = Limit { requests: 40, window, block: window };
        let options =
            Options { limit: Some(limit), settings: guess(&format!("reset={reset}")), ..calendar() };
        let extra = "batch.max_rows = 10\nluma.rate_limit.requests = 40\nluma.rate_limit.window = \"3s\"\n\
                     luma.rate_limit.reserve = 4\nluma.max_in_flight = 2\n";
        let bench = bench(options, extra);
        let people = People::clean(500, None);
        bench.scratch.write("list.csv", &people.csv);
        // Half of what is allowed is gone already, and we do not know of it.
        let asked: Vec<u16> =
            (0..20).map(|_| ask_as_somebody_else(&bench.luma.url(), "GET /v1/users/get-self", "")).collect();
        assert_eq!(asked, [200; 20]);
        let ended = bench.sync(["list.csv"]).run().with_code(0);
        assert_eq!(bench.luma.snapshot().throttled, 0, "{reset}\n{ended}");
        assert!(bench.luma.members() == people.members, "{reset}\n{ended}");
    }
}

#[test]
fn an_organizations_key_acts_on_the_calendar_that_is_named() {
    let key = |key: &str| FurtherKey { key: key.to_owned(), limit: None };
    let options = Options { organization: Some(key("org-key")), further: vec![key("another")], ..calendar() };
    let bench = bench(options, "luma.calendar_id = \"cal-sandbox\"\n");
    bench.scratch.write("list.csv", "email,name\nana@example.org,Ana\n");
    let run = |bench: &Bench| bench.sync(["list.csv"]).env("TEST_LUMA_KEY", "org-key").run();
    run(&bench).with_code(0);
    assert_eq!(bench.luma.names().len(), 1);

    // Another calendar of the same user is not the one that the ledger is of.
    bench.configure(&format!("{V1}luma.calendar_id = \"cal-sandbox-2\"\n"));
    bench.scratch.write("list.csv", "email,name\nbo@example.org,Bo\n");
    let ended = run(&bench).with_code(78);
    assert!(ended.stderr.contains("in cal-sandbox-2`, and this database is the record of"), "{ended}");
    assert_eq!(bench.luma.snapshot().imports, 1, "{ended}");
}

#[test]
fn a_calendar_that_the_key_does_not_reach_is_told_as_such() {
    let organization = Some(FurtherKey { key: "org-key".to_owned(), limit: None });
    let bench = bench(Options { organization, ..calendar() }, "luma.calendar_id = \"cal-other\"\n");
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    let ended = bench.sync(["list.csv"]).env("TEST_LUMA_KEY", "org-key").run().with_code(78);
    assert!(ended.stderr.contains("check the account's `calendar_id`"), "{ended}");
    assert_eq!(bench.luma.snapshot().member_count, 0, "{ended}");
}

#[test]
fn a_limit_of_imports_is_told_in_words_and_blames_no_row() {
    let settings = guess("import-limit=30");
    let bench = bench(Options { settings, ..calendar() }, "batch.max_rows = 10\nluma.max_in_flight = 1\n");
    let people = People::clean(50, None);
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(78);
    assert!(ended.stderr.contains("Luma takes only so many new people by import"), "{ended}");
    let report = ended.report();
    assert_eq!(
        (report.rows("delivered"), report.rows("pending"), report.rows("rejected")),
        (30, 20, 0),
        "{ended}"
    );
    assert_eq!(bench.luma.members().len(), 30);
}

#[test]
fn a_ledger_outlives_the_change_from_the_beta() {
    let bench = Bench::with(calendar(), "luma.dialect = \"beta-2021\"\n");
    let list = "email,name,tags\nana@example.org,Ana,vip\nbo@example.org,Bo,press\n";
    sync(&bench, list, 0);
    bench.configure(V1);
    let ended = sync(&bench, &format!("{list}cy@example.org,Cy,VIP\n"), 0);
    let report = ended.report();
    assert_eq!((report.rows("unchanged"), report.rows("verified")), (2, 1), "{ended}");
    assert_eq!(bench.luma.members().len(), 3);
}

#[test]
fn check_names_the_tags_of_the_configuration_that_luma_does_not_have() {
    let bench = bench(calendar(), "");
    let said = bench.lumasync(["check", "--connect"]).run().with_code(0).stdout;
    assert!(said.contains("tags      ok      Luma has 2 tags"), "{said}");
    bench.configure(&format!("{V1}tags.vip = \"tag-gone\"\n"));
    let said = bench.lumasync(["check", "--connect"]).run().with_code(78).stdout;
    assert!(
        said.contains("tags      FAILED") && said.contains("`vip` is `tag-gone`, which Luma does not have"),
        "{said}"
    );
}
