//! The proof as a service does it, and what is left beside the file.

use std::collections::BTreeSet;

use super::{APPLY, LIST, asked, bench, in_state, lines, lost, options};
use crate::support::{Bench, PATIENCE, People, wait_until};

#[test]
fn a_service_proves_before_it_puts_the_file_away() {
    let (bench, people) = (bench("lose=5%", "full", ""), People::clean(1_000, Some("vip")));
    bench.scratch.write("drop/members/list.csv", &people.csv);
    let service = bench.serve();
    let archived = "select path from input_files where state = 'archived'";
    wait_until(PATIENCE, "the result files", || !bench.db().rows(archived).is_empty());
    service.terminate();
    service.wait().with_code(143);
    let lost = lost(&bench, &people);
    let path = bench.scratch.path(&bench.db().rows(archived)[0][0]);
    let told = std::fs::read_to_string(path.with_file_name("list.1.rejects.csv")).expect("a file of rejects");
    let told: BTreeSet<String> =
        told.lines().skip(1).filter_map(|line| line.split(',').next()).map(str::to_owned).collect();
    assert!(!lost.is_empty() && told == lost, "other rejects");
    assert!(in_state(&bench, "missing") == lost);
}

#[test]
fn rows_of_the_queue_are_proved_as_they_come() {
    let bench = bench("lose=5%", "full", "");
    let service = bench.serve();
    let people = People::clean(300, Some("vip"));
    for (n, email) in people.members.keys().enumerate() {
        bench
            .db_to_write()
            .execute(&format!("insert into member_queue (email, tags) values ('{email}', 'vip')"));
        if n == 150 {
            wait_until(PATIENCE, "the first proofs", || !in_state(&bench, "verified").is_empty());
        }
    }
    let open = "select count(*) from member_queue where state not in ('verified', 'missing')";
    wait_until(PATIENCE, "every proof", || bench.db().count(open) == 0);
    wait_until(PATIENCE, "the ends of the runs", || {
        bench.db().count("select count(*) from runs where finished_at is null") == 0
    });
    service.terminate();
    service.wait().with_code(143);
    assert!(in_state(&bench, "missing") == lost(&bench, &people));
}

#[test]
fn today_s_api_counts_where_nobody_says_and_the_beta_has_nothing_to_ask() {
    let counted = Bench::with(options(""), "luma.dialect = \"v1\"");
    let people = People::clean(1_000, Some("vip"));
    counted.scratch.write("list.csv", &people.csv);
    let report = counted.sync(["list.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("verified"), asked(&counted, APPLY), asked(&counted, LIST)), (1_000, 2, 0));

    let beta = Bench::new("", "");
    beta.scratch.write("list.csv", &people.csv);
    assert_eq!(beta.sync(["list.csv"]).run().with_code(0).report().rows("delivered"), 1_000);
    beta.configure("luma.verify = \"counts\"");
    let ended = beta.sync(["list.csv"]).run().with_code(78);
    assert!(ended.stderr.contains("`luma.verify` is `counts`, but `dialect` is `beta-2021`"), "{ended}");
    beta.configure(&lines("half", ""));
    let ended = beta.sync(["list.csv"]).run().with_code(78);
    assert!(
        ended.stderr.contains("hint: write `\"none\"` or `\"counts\"` or `\"full\"`, or leave it out"),
        "{ended}"
    );
}
