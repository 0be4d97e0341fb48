//! The numbers that machines watch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::site::{PAGES, Site, TOKEN};
use crate::support::{Bench, PATIENCE, wait_until};

/// Every sample by its name and labels. What is not in the format fails.
#[track_caller]
fn numbers(text: &str) -> BTreeMap<String, f64> {
    let mut typed = Vec::new();
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            typed.push(name.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            let family = typed.last().expect("a family");
            assert!(name.starts_with(family.as_str()), "{line} is not of {family}");
            let known = samples.insert(name.to_owned(), value.parse().expect("a number"));
            assert_eq!(known, None, "{line} twice");
        }
    }
    samples
}

#[test]
fn rows_runs_and_requests_are_counted_as_they_were() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("before.csv", "email\nana@example.org\nnonsense\n");
    bench.sync(["before.csv"]).run().with_code(4);
    let site = Site::start(&bench);
    bench.scratch.write(
        "drop/members/ben@example.org.csv",
        "email\nben@example.org\ncleo@example.org\nben@example.org\n",
    );
    let sample = |name: &str| numbers(&site.get("/metrics").with_status(200).text).get(name).copied();
    wait_until(PATIENCE, "the run", || {
        sample("lumasync_runs_total{source=\"folder\",status=\"succeeded\"}") == Some(1.0)
    });
    wait_until(PATIENCE, "the request", || {
        sample("lumasync_request_duration_seconds_count").is_some_and(|requests| requests >= 1.0)
    });
    for (name, value) in [
        ("lumasync_rows_total{source=\"file\",outcome=\"delivered\"}", 1.0),
        ("lumasync_rows_total{source=\"file\",outcome=\"invalid\"}", 1.0),
        ("lumasync_rows_total{source=\"folder\",outcome=\"delivered\"}", 2.0),
        ("lumasync_rows_total{source=\"folder\",outcome=\"duplicate\"}", 1.0),
        ("lumasync_runs_total{source=\"file\",status=\"partial\"}", 1.0),
        ("lumasync_queue_depth{account=\"main\",state=\"pending\"}", 0.0),
        ("lumasync_blocked_until_timestamp_seconds{account=\"main\"}", 0.0),
        ("lumasync_accounting_breaches_total", 0.0),
    ] {
        assert_eq!(sample(name), Some(value), "{name}");
    }
    let page = site.get("/metrics");
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let all = numbers(&page.text);
    let requests: f64 =
        all.iter().filter(|(name, _)| name.starts_with("lumasync_requests_total{")).map(|(_, n)| n).sum();
    assert_eq!(Some(requests), all.get("lumasync_request_duration_seconds_count").copied());
    let buckets = all.get("lumasync_request_duration_seconds_bucket{le=\"+Inf\"}").copied();
    assert_eq!(buckets, Some(requests));
    assert!(all["lumasync_scheduler_heartbeat_timestamp_seconds"] > 1e9);
    assert!(!page.text.contains("example.org") && !page.text.contains(".csv"), "{page:?}");
    site.goes_on();
}

#[test]
fn numbers_that_others_can_reach_need_the_token() {
    let bench = Bench::new("", &format!("{PAGES}\nweb.hosts = [\"sync.example.org\"]"));
    let site = Site::start(&bench);
    site.get("/metrics").with_status(401);
    site.ask("GET", "/metrics", &[&format!("Authorization: Bearer {TOKEN}")], "").with_status(200);
    site.goes_on();
}

/// Names of ours in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_sign = |c: char| c.is_ascii_lowercase() || c == '_';
    let starts = text.match_indices("lumasync_").map(|(at, _)| &text[at..]);
    starts.map(|rest| &rest[..rest.find(|c| !is_sign(c)).unwrap_or(rest.len())]).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_numbers_that_there_are() {
    let bench = Bench::new("", PAGES);
    let site = Site::start(&bench);
    let all = || site.get("/metrics").with_status(200).text;
    wait_until(PATIENCE, "the sums", || all().contains("lumasync_accounting_breaches_total 0"));
    let text = all();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["deploy/alerts.yml", "deploy/grafana.json"] {
        let asked = fs::read_to_string(root.join(file)).expect(file);
        let asked = names(&asked);
        assert!(asked.len() > 5, "{file}: {asked:?}");
        for name in asked {
            let family = name.trim_end_matches("_bucket");
            assert!(text.contains(&format!("# TYPE {family} ")), "{file} asks for `{name}`");
        }
    }
    let dashboard = fs::read_to_string(root.join("deploy/grafana.json")).expect("a dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| !panels.is_empty()));
    site.goes_on();
}

#[test]
fn what_waits_for_a_person_is_counted() {
    let bench = Bench::new("", &format!("{PAGES}\nguard.max_new_members = 2"));
    bench.scratch.write("list.csv", "email\nana@example.org\nben@example.org\ncleo@example.org\n");
    bench.sync(["list.csv"]).run().with_code(5);
    let site = Site::start(&bench);
    let all = numbers(&site.get("/metrics").with_status(200).text);
    assert_eq!(all.get("lumasync_runs_waiting{for=\"approval\"}"), Some(&1.0));
    assert_eq!(all.get("lumasync_runs_waiting{for=\"retry\"}"), Some(&0.0));
    site.goes_on();
}

#[test]
fn sums_go_on_after_a_retry_and_a_restart() {
    let bench = Bench::new("", PAGES);
    bench.scratch.write("once.csv", "email\nana@example.org\nben@example.org\n");
    bench.sync(["once.csv"]).run().with_code(0);
    // As it is when Luma was away for too long.
    let db = bench.db_to_write();
    db.execute("update batches set state = 'failed'");
    db.execute("update member_queue set state = 'failed', code = 'attempts_exhausted', reason = 'no luck'");
    db.execute("update runs set status = 'partial'");
    let site = Site::start(&bench);
    let sample =
        |site: &Site, name: &str| numbers(&site.get("/metrics").with_status(200).text).get(name).copied();
    let sums = ["failed", "delivered"]
        .map(|word| format!("lumasync_rows_total{{source=\"file\",outcome=\"{word}\"}}"));
    wait_until(PATIENCE, "the sums", || sample(&site, &sums[0]) == Some(2.0));
    let cookie = site.sign_in();
    let csrf = site.csrf("/runs/1", &cookie);
    site.post("/runs/1/retry", &[&cookie], &format!("csrf={csrf}")).with_status(303);
    wait_until(PATIENCE, "the second try", || sample(&site, &sums[1]) == Some(2.0));
    let ended = "lumasync_runs_total{source=\"file\",status=\"succeeded\"}";
    wait_until(PATIENCE, "the end", || sample(&site, ended) == Some(1.0));
    assert_eq!(sample(&site, &sums[0]), Some(2.0), "they have failed all the same");
    assert_eq!(sample(&site, "lumasync_runs_total{source=\"file\",status=\"partial\"}"), Some(1.0));
    site.goes_on();
    let site = Site::start(&bench);
    wait_until(PATIENCE, "the sums", || sample(&site, &sums[1]).is_some());
    assert_eq!(sample(&site, &sums[0]), Some(2.0));
    assert_eq!(sample(&site, &sums[1]), Some(2.0));
    site.goes_on();
}

#[test]
fn what_waited_before_a_restart_is_still_on_the_chart() {
    let bench = Bench::new("", PAGES);
    bench.sync([]).run().with_code(0);
    let site = Site::start(&bench);
    wait_until(PATIENCE, "a note", || bench.db().count("select count(*) from depth_notes") >= 1);
    let moment = if bench.is_sqlite() {
        "strftime('%Y-%m-%dT%H:%M:00.000000Z', 'now', '-60 minutes')"
    } else {
        "date_trunc('minute', now() - interval '60 minutes')"
    };
    site.goes_on();
    bench
        .db_to_write()
        .execute(&format!("insert into depth_notes (noted_at, waiting) values ({moment}, 4711)"));
    let site = Site::start(&bench);
    let page = site.get("/").with_status(200).text;
    assert!(page.contains("4711 at most"), "{page}");
    site.goes_on();
}
