//! Rows that Luma refuses, and requests: told apart, at little cost, and nobody else is held up.

use std::collections::BTreeSet;

use lumasync::domain::dialect::Dialect;
use lumasync::sandbox::Options;

use crate::faults::{SMALL, no_false_delivery};
use crate::support::{Bench, Luma, People, dialect};

#[test]
fn a_tag_that_luma_does_not_know_stops_the_run_after_a_few_requests() {
    if dialect() == Dialect::V1 {
        // Its tags are listed: the rows are told apart before a request.
        return;
    }
    let known_tags = vec!["tag-press".to_owned()];
    let bench = Bench::with(Options { limit: None, known_tags, ..Options::default() }, SMALL);
    let people = People::clean(1_000, Some("vip"));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(1);
    let report = ended.report();
    assert!(report.text("reason").contains("Tag not found"), "{ended}");
    assert!(report.text("reason").contains("[tags]"), "it says where to look\n{ended}");
    assert_eq!((report.rows("pending"), report.rows("rejected")), (1_000, 0), "{ended}");
    let requests = bench.luma.snapshot().requests;
    assert!(requests <= 1 + 4, "{requests} requests\n{ended}");

    let mended = Luma::start(Options { limit: None, ..Options::default() });
    bench.point_to(&mended, SMALL);
    let ended = bench.sync([]).run().with_code(1);
    assert!(
        ended.stderr.contains("run 1 stopped with rows still waiting"),
        "nobody is told that all is well\n{ended}"
    );
    bench.lumasync(["retry"]).run().with_code(0);
    let ended = bench.sync([]).run().with_code(0);
    assert!(mended.members() == people.members, "{ended}");
}

#[test]
fn a_refusal_of_everything_without_a_reason_stops_the_run_soon() {
    let (bench, people) = (Bench::new("400", "batch.max_rows = 500"), People::clean(10_000, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(1);
    let report = ended.report();
    assert_eq!((report.text("status"), report.rows("delivered")), ("failed", 0), "{ended}");
    assert!(report.rows("rejected") <= 8, "{ended}");
    let requests = bench.luma.snapshot().requests;
    // Two for each of the sixteen rows refused alone, and what the four in flight halve meanwhile.
    assert!(requests <= 2 * 16 + 4 * (2 * 9 + 4), "{requests} requests\n{ended}");
}

#[test]
fn one_bad_address_among_ten_thousand_is_found_and_stands_alone() {
    let (bench, people) = (Bench::new("reject=p006789@example.org", ""), People::clean(10_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let report = ended.report();
    assert_eq!((report.rows("rejected"), report.rows("delivered")), (1, 9_999), "{ended}");
    let told = bench.db().rows("select email, code, line from member_queue where state = 'rejected'");
    assert_eq!(told, [["p006789@example.org", "api_rejected", "6791"]]);
    let counts = bench.luma.snapshot();
    assert!(counts.requests <= 1 + 20 + 20, "{counts:?}");
    assert_eq!((counts.repeats, counts.rows_received), (0, 9_999), "nobody is sent twice\n{ended}");
    let mut expected = people.members;
    expected.remove("p006789@example.org");
    assert!(bench.luma.members() == expected);
}

#[test]
fn a_bad_address_that_luma_names_is_taken_out_at_once() {
    let faults = "reject-named=p000007@example.org,reject-named=p000777@example.org";
    let (bench, people) = (Bench::new(faults, ""), People::clean(1_000, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    assert_eq!((ended.report().rows("rejected"), ended.report().rows("delivered")), (2, 998), "{ended}");
    let told: BTreeSet<_> = bench
        .db()
        .rows("select email from member_queue where state = 'rejected'")
        .concat()
        .into_iter()
        .collect();
    assert_eq!(told, ["p000007@example.org".to_owned(), "p000777@example.org".to_owned()].into());
    assert_eq!((bench.luma.snapshot().requests, bench.luma.snapshot().repeats), (1 + 2 + 2, 0), "{ended}");
}

#[test]
fn several_bad_addresses_are_each_found() {
    let bad = ["p000000@example.org", "p000001@example.org", "p000250@example.org", "p000999@example.org"];
    let faults = bad.map(|address| format!("reject={address}")).join(",");
    let (bench, people) = (Bench::new(&faults, "batch.max_rows = 100"), People::clean(1_000, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let told =
        bench.db().rows("select email from member_queue where state = 'rejected' order by email").concat();
    assert_eq!(told, bad, "{ended}");
    assert_eq!((bench.luma.members().len(), bench.luma.snapshot().repeats), (996, 0), "{ended}");
}

#[test]
fn a_list_of_only_bad_addresses_does_not_look_delivered() {
    let faults = "reject=p000000@example.org,reject=p000001@example.org";
    let (bench, people) = (Bench::new(faults, ""), People::clean(2, None));
    bench.scratch.write("list.csv", &people.csv);
    let report = bench.sync(["list.csv"]).run().with_code(4).report();
    assert_eq!((report.rows("rejected"), report.rows("delivered")), (2, 0));
    assert_eq!(bench.luma.members().len(), 0);
}

/// A fault for each of these people, and them.
fn refusing(bad: impl Iterator<Item = u64>) -> (String, u64) {
    let faults: Vec<String> = bad.map(|at| format!("reject=p{at:06}@example.org")).collect();
    (faults.join(","), faults.len() as u64)
}

#[test]
fn a_list_mostly_of_bad_addresses_delivers_each_of_its_good_ones() {
    for (rows, every, max_rows) in [(20, 3, 500), (40, 4, 500), (80, 5, 500), (80, 5, 10)] {
        let (faults, bad) = refusing((0..rows).filter(|at| at % every != 0));
        let (bench, people) =
            (Bench::new(&faults, &format!("batch.max_rows = {max_rows}")), People::clean(rows, Some("vip")));
        bench.scratch.write("list.csv", &people.csv);
        let ended = bench.sync(["list.csv"]).run().with_code(4);
        let report = ended.report();
        let counts = (report.rows("rejected"), report.rows("delivered"), report.rows("pending"));
        assert_eq!(counts, (bad, rows - bad, 0), "{ended}");
        no_false_delivery(&bench, &ended);
        // What is sent twice are the controls: one row each, at most one for each few refused alone.
        let repeats = bench.luma.snapshot().repeats;
        assert!(repeats <= bad / 8 + 1, "{repeats} rows sent twice\n{ended}");
    }
}

#[test]
fn a_list_wholly_of_bad_addresses_is_halted_once_and_a_retry_rejects_each() {
    let (faults, bad) = refusing(0..12);
    let (bench, people) = (Bench::new(&faults, ""), People::clean(12, None));
    bench.scratch.write("list.csv", &people.csv);
    let report = bench.sync(["list.csv"]).run().with_code(4).report();
    assert_eq!(report.rows("rejected"), bad, "too few to tell: each is refused alone");

    let (faults, bad) = refusing(0..40);
    let (bench, people) = (Bench::new(&faults, ""), People::clean(40, None));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(1);
    let report = ended.report();
    assert!(
        report.text("reason").contains(" rows refused one by one, none accepted with these tags"),
        "{ended}"
    );
    assert_eq!((report.rows("pending"), report.rows("rejected")), (40, 0), "nobody is blamed yet\n{ended}");
    let run = report.number("run").to_string();
    bench.lumasync(["retry", "--run", &run]).run().with_code(0);
    let ended = bench.sync([]).run().with_code(4);
    assert_eq!((ended.report().rows("rejected"), ended.report().rows("pending")), (bad, 0), "{ended}");
}

#[test]
fn what_breaks_half_way_without_a_word_is_told_from_bad_rows_by_one_request() {
    let extra = "batch.max_rows = 10\nluma.max_in_flight = 1";
    let (bench, people) = (Bench::new("400@6+", extra), People::clean(200, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(1);
    let report = ended.report();
    let counts = (report.rows("delivered"), report.rows("pending"), report.rows("rejected"));
    assert_eq!(counts, (50, 150, 0), "{ended}");
    assert!(report.text("reason").contains("accepted earlier in this run is refused now"), "{ended}");
    let requests = bench.luma.snapshot().requests;
    assert!(requests <= 1 + 5 + 2 * 8 + 4 + 1, "{requests} requests\n{ended}");

    let mended = Luma::start(Options { limit: None, ..Options::default() });
    bench.point_to(&mended, extra);
    bench.lumasync(["retry"]).run().with_code(0);
    bench.lumasync(["retry", "--run", "1"]).run().with_code(0);
    let ended = bench.sync([]).run().with_code(0);
    assert_eq!(mended.members().len(), 150, "{ended}");
}
