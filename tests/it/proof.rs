//! Proof of delivery against a Luma that drops people without a word: who is missing is found, and nobody else.

mod held_up;
mod told;

use std::collections::BTreeSet;

use lumasync::sandbox::Options;

use crate::support::{Bench, Ended, People, faulty};

const LIST: &str = "GET /v1/calendars/contacts/list";
const APPLY: &str = "POST /v1/calendars/contact-tags/apply";

/// A Luma of today without a limit that has these faults and knows the tags of the tests.
fn options(faults: &str) -> Options {
    let known_tags = ["tag-vip", "tag-press", "tag-gold"].map(str::to_owned).into();
    Options { limit: None, known_tags, ..faulty(faults) }
}

/// A configuration for it with this proof and these lines.
fn lines(verify: &str, extra: &str) -> String {
    format!("luma.dialect = \"v1\"\nluma.verify = \"{verify}\"\n{extra}")
}

fn bench(faults: &str, verify: &str, extra: &str) -> Bench {
    Bench::with(options(faults), &lines(verify, extra))
}

/// Those of the list whom Luma does not hold.
fn lost(bench: &Bench, people: &People) -> BTreeSet<String> {
    let held = bench.luma.members();
    people.members.keys().filter(|email| !held.contains_key(*email)).cloned().collect()
}

fn column(bench: &Bench, sql: &str) -> BTreeSet<String> {
    bench.db().rows(sql).concat().into_iter().collect()
}

/// The addresses of rows in this state, as people are known by.
fn in_state(bench: &Bench, state: &str) -> BTreeSet<String> {
    column(
        bench,
        &format!("select lower(coalesce(address, email)) from member_queue where state = '{state}'"),
    )
}

/// How often Luma was asked for this, whatever it answered.
fn asked(bench: &Bench, route: &str) -> u64 {
    bench.luma.snapshot().answers.get(route).map_or(0, |answers| answers.values().sum())
}

/// The ledger holds whom Luma holds, and the account says how many those are.
#[track_caller]
fn the_ledger_is_true(bench: &Bench, ended: &Ended) {
    let held: BTreeSet<String> = bench.luma.members().into_keys().collect();
    assert!(
        column(bench, "select email_key from ledger") == held,
        "the ledger differs from the audience\n{ended}"
    );
    let members = bench.db().count("select members from accounts where name = 'main'");
    assert_eq!(members, i64::try_from(held.len()).expect("a number"), "{ended}");
}

#[test]
fn of_a_hundred_thousand_exactly_those_who_were_dropped_are_missing() {
    let (bench, people) = (bench("lose=1%", "full", ""), People::clean(100_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let lost = lost(&bench, &people);
    assert!((500..2_000).contains(&lost.len()), "{} of them", lost.len());
    assert!(in_state(&bench, "missing") == lost, "others are missing\n{ended}");
    assert!(
        in_state(&bench, "verified") == bench.luma.members().into_keys().collect(),
        "others are verified\n{ended}"
    );
    let report = ended.report();
    assert_eq!(report.rows("missing"), lost.len() as u64, "{ended}");
    assert_eq!(report.rows("verified") + report.rows("missing"), 100_000, "{ended}");
    assert_eq!(
        (report.text("status"), report.causes()),
        ("partial", vec![("not_in_audience".to_owned(), lost.len() as u64)])
    );
    the_ledger_is_true(&bench, &ended);
    // Twice at most, and the cost was said.
    assert!((991..=2_001).contains(&asked(&bench, LIST)), "{}", asked(&bench, LIST));
    assert!(ended.stderr.contains("verification: about 1000 requests"), "{ended}");

    let rejects = bench.lumasync(["rejects", "1"]).run().with_code(0).stdout;
    let told: BTreeSet<String> =
        rejects.lines().skip(1).filter_map(|line| line.split(',').next()).map(str::to_owned).collect();
    assert!(told == lost, "other rejects");
}

#[test]
fn of_a_hundred_thousand_a_count_finds_exactly_the_requests_that_lost_somebody() {
    let (bench, people) =
        (bench("lose=1%", "counts", "batch.max_rows = 100"), People::clean(100_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let lost = lost(&bench, &people);
    let batches = bench.db().rows("select batch_id, email from member_queue");
    let (mut short, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for row in &batches {
        let kind = if lost.contains(&row[1]) { &mut short } else { &mut whole };
        kind.insert(row[0].clone());
    }
    let whole: BTreeSet<String> = whole.difference(&short).cloned().collect();
    assert!(short.len() > 100 && whole.len() > 100, "{} short, {} whole", short.len(), whole.len());
    let of = |what: &str| column(&bench, &format!("select batch_id from member_queue where {what}"));
    assert!(of("state = 'delivered' and code = 'count_short'") == short, "other requests are short\n{ended}");
    assert!(of("state = 'verified'") == whole, "other requests are verified\n{ended}");
    assert!(column(&bench, "select id from batches where absent_rows is not null") == short);
    assert_eq!(
        bench.db().count("select sum(absent_rows) from batches"),
        i64::try_from(lost.len()).expect("a number")
    );
    let report = ended.report();
    assert_eq!((report.text("status"), report.number("absent")), ("partial", lost.len() as u64), "{ended}");
    assert_eq!(report.number("short_requests"), short.len() as u64, "{ended}");
    // A request each, and the list is left alone.
    assert_eq!((asked(&bench, APPLY), asked(&bench, LIST)), (batches.len() as u64 / 100, 0));
    assert!(ended.stderr.contains("verification: about 1000 requests"), "{ended}");
    assert_eq!(of("state not in ('verified', 'delivered')"), BTreeSet::new());
}

#[test]
fn a_count_costs_nothing_where_nobody_has_a_tag_and_says_nothing_of_them() {
    let (bench, people) = (bench("lose=5%", "counts", ""), People::clean(2_000, None));
    bench.scratch.write("list.csv", &people.csv);
    let report = bench.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("delivered"), report.rows("verified")), (2_000, 0));
    assert_eq!((asked(&bench, APPLY), asked(&bench, LIST)), (0, 0));
}

#[test]
fn nothing_is_asked_where_nothing_is_to_be_proved() {
    let (bench, people) = (bench("lose=5%", "none", ""), People::clean(1_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(ended.report().rows("delivered"), 1_000);
    assert_eq!((asked(&bench, APPLY), asked(&bench, LIST)), (0, 0));
    assert!(!ended.stderr.contains("verification"), "{ended}");
}

#[test]
fn who_has_not_got_every_tag_is_missing_and_the_tag_is_named() {
    let bench = bench("reads:401@3", "full", "");
    bench.scratch.write(
        "list.csv",
        "email,tags\nana@example.org,vip\nbo@example.org,vip;press\ncy@example.org,press\n",
    );
    bench.sync(["list.csv"]).run().with_code(78);
    let body = r#"{"tag":"tag-press","emails":["bo@example.org","cy@example.org"]}"#;
    bench.luma.post("/v1/calendars/contact-tags/unapply", body);
    let ended = bench.sync([]).run().with_code(4);
    assert_eq!(in_state(&bench, "verified"), BTreeSet::from(["ana@example.org".to_owned()]));
    let rows =
        bench.db().rows("select email, code, reason from member_queue where state = 'missing' order by 1");
    let said: Vec<(&str, &str)> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    assert_eq!(said, [("bo@example.org", "tags_lacking"), ("cy@example.org", "tags_lacking")], "{ended}");
    assert!(rows.iter().all(|row| row[2].contains("without the tag tag-press")), "{rows:?}");
    assert_eq!(column(&bench, "select email_key from ledger").len(), 1, "{ended}");
}

#[test]
fn people_are_known_in_any_spelling_whichever_way_they_are_looked_for() {
    let bench = bench("", "none", "");
    let crowd = People::clean(1_000, None);
    bench.scratch.write("crowd.csv", &crowd.csv);
    bench.sync(["crowd.csv"]).run().with_code(0);
    let odd =
        "email,tags\nAna+News@Example.ORG,vip\nbo%2b&c=d@example.org,\nCY.O'Neil+a+b@example.org,press;vip\n";
    bench.scratch.write("odd.csv", odd);
    bench.configure(&lines("full", ""));
    let ended = bench.sync(["odd.csv"]).run().with_code(0);
    assert_eq!(ended.report().rows("verified"), 3, "{ended}");
    // Each of them by one question, because the list has more pages than that.
    assert_eq!(asked(&bench, LIST), 3, "{ended}");
    let ended = bench.sync(["--again", "crowd.csv"]).run().with_code(0);
    assert_eq!((ended.report().rows("unchanged"), asked(&bench, LIST)), (1_000, 3), "{ended}");

    let many: Vec<String> = (0..40).map(|n| format!("Person+{n}@Example.org")).collect();
    bench.scratch.write("many.csv", format!("email\n{}\n", many.join("\n")));
    let ended = bench.sync(["many.csv"]).run().with_code(0);
    assert_eq!(ended.report().rows("verified"), 40, "{ended}");
    assert_eq!(asked(&bench, LIST), 3 + 11, "eleven pages are cheaper than forty questions\n{ended}");
    the_ledger_is_true(&bench, &ended);
}

#[test]
fn the_missing_are_sent_again_by_a_retry_and_by_the_next_list() {
    let (bench, people) = (bench("lose=10%", "full", ""), People::clean(1_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    bench.sync(["list.csv"]).run().with_code(4);
    let lost = lost(&bench, &people);
    let before = bench.luma.snapshot().rows_received;
    let ended = bench.sync(["--again", "list.csv"]).run().with_code(4);
    assert_eq!(bench.luma.snapshot().rows_received - before, lost.len() as u64, "{ended}");
    let report = ended.report();
    assert_eq!(
        (report.rows("missing"), report.rows("unchanged")),
        (lost.len() as u64, 1_000 - lost.len() as u64)
    );
    let ended = bench.lumasync(["retry", "--run", "1", "--code", "tags_lacking"]).run().with_code(0);
    assert!(ended.stdout.contains("nothing to retry"), "{ended}");

    let mended = crate::support::Luma::start(options(""));
    bench.point_to(&mended, &lines("full", ""));
    bench.lumasync(["retry", "--run", "1"]).run().with_code(0);
    bench.sync([]).run().with_code(0);
    assert_eq!(mended.snapshot().rows_received, lost.len() as u64);
    assert_eq!(mended.members().into_keys().collect::<BTreeSet<_>>(), lost);
    let rows = bench.db().rows("select state, count(*) from member_queue where run_id = 1 group by state");
    assert_eq!(rows, [["verified", "1000"]]);
    let said = bench.lumasync(["--output", "json", "runs", "show", "1"]).run().with_code(0).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["status"], &said["rows"]["verified"]), (&"succeeded".into(), &1_000.into()), "{said}");
}

#[test]
fn after_a_count_that_is_short_the_way_out_finds_who_is_missing() {
    let (bench, people) = (bench("lose=1%", "counts", ""), People::clean(2_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    bench.sync(["list.csv"]).run().with_code(4);
    let lost = lost(&bench, &people);
    let shown = bench.lumasync(["runs", "show", "1"]).run().with_code(0).stdout;
    let short = bench.db().count("select count(*) from batches where absent_rows is not null");
    assert!(short > 0 && !lost.is_empty());
    let told = shown.matches(" people of batch ").count();
    assert_eq!(told, usize::try_from(short.min(5)).expect("a number"), "{shown}");
    assert!(
        shown.contains("as not in the audience (line") && shown.contains("`verify = \"full\"`"),
        "{shown}"
    );
    bench.configure(&lines("full", ""));
    bench.lumasync(["retry", "--run", "1"]).run().with_code(0);
    let ended = bench.sync([]).run().with_code(4);
    assert!(in_state(&bench, "missing") == lost, "{ended}");
    assert_eq!(ended.report().rows("verified"), 2_000 - lost.len() as u64, "{ended}");
    the_ledger_is_true(&bench, &ended);
}
