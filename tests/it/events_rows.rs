//! Five hundred events with every combination of fields, good and bad: the bad ones are refused before
//! any request, the good ones arrive with exactly what was given.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::support::Bench;

/// What one field, or a few that belong together, may hold: what is written, what arrives, what is wrong.
struct Choice {
    cells: &'static [(&'static str, &'static str)],
    arrives: Value,
    /// The field that is refused and a piece of why.
    wrong: Option<(&'static str, &'static str)>,
}

fn good(cells: &'static [(&'static str, &'static str)], arrives: Value) -> Choice {
    Choice { cells, arrives, wrong: None }
}

fn bad(cells: &'static [(&'static str, &'static str)], field: &'static str, why: &'static str) -> Choice {
    Choice { cells, arrives: json!({}), wrong: Some((field, why)) }
}

fn starts() -> Vec<Choice> {
    let six = json!({ "start_at": "2099-12-03T18:00:00.000Z" });
    vec![
        good(&[], json!({})),
        good(&[("start_at", "2099-12-03T18:00:00Z")], six.clone()),
        good(&[("start_at", "2099-12-03T19:00+01:00")], six.clone()),
        good(&[("start_at", "2099-12-03T19:00"), ("timezone", "Europe/Paris")], six),
        bad(&[("start_at", "2099-12-03T19:00")], "start_at", "has no offset"),
        bad(&[("start_at", "2001-01-01T00:00Z")], "start_at", "is in the past"),
        bad(&[("start_at", "next week")], "start_at", "is no date"),
        bad(&[("start_at", "2099-12-03T19:00"), ("timezone", "Paris")], "timezone", "is no zone"),
    ]
}

fn covers_and_lengths() -> Vec<Choice> {
    let cover = "https://images.unsplash.com/photo-1?w=1";
    vec![
        good(&[], json!({})),
        good(&[("cover_url", "https://images.unsplash.com/photo-1?w=1")], json!({ "cover_url": cover })),
        good(&[("duration_minutes", "90")], json!({ "duration_minutes": 90 })),
        good(
            &[("cover_url", "https://images.unsplash.com/photo-1?w=1"), ("duration_minutes", "1")],
            json!({ "cover_url": cover, "duration_minutes": 1 }),
        ),
        bad(&[("cover_url", "http://images.unsplash.com/p")], "cover_url", "begins with `https://`"),
        bad(&[("cover_url", "https://example.org/p")], "cover_url", "lies on none of the hosts"),
        bad(&[("duration_minutes", "0")], "duration_minutes", "is no whole number of minutes"),
        bad(&[("duration_minutes", "an hour")], "duration_minutes", "is no whole number of minutes"),
    ]
}

fn rsvps() -> Vec<Choice> {
    vec![
        good(&[], json!({})),
        good(&[("require_rsvp", "true")], json!({ "require_rsvp": true })),
        good(&[("require_rsvp", "no")], json!({ "require_rsvp": false })),
        good(
            &[("require_rsvp", "1"), ("require_rsvp_approval", "TRUE")],
            json!({ "require_rsvp": true, "require_rsvp_approval": true }),
        ),
        bad(&[("require_rsvp_approval", "true")], "require_rsvp_approval", "needs `require_rsvp`"),
        bad(
            &[("require_rsvp", "false"), ("require_rsvp_approval", "true")],
            "require_rsvp_approval",
            "needs `require_rsvp`",
        ),
        bad(&[("require_rsvp", "perhaps")], "require_rsvp", "is neither `true` nor `false`"),
    ]
}

fn zooms() -> Vec<Choice> {
    let automatic = ("zoom_creation_method", "created-automatically");
    let existing = ("zoom_creation_method", "existing-attached");
    let manual = ("zoom_creation_method", "manually-entered");
    let list = vec![
        (vec![], json!({}), None),
        (vec![automatic], json!({ "zoom_creation_method": "created-automatically" }), None),
        (
            vec![automatic, ("zoom_session_type", "webinar")],
            json!({ "zoom_creation_method": "created-automatically", "zoom_session_type": "webinar" }),
            None,
        ),
        (
            vec![existing, ("zoom_meeting_id", "123 456 7890")],
            json!({ "zoom_creation_method": "existing-attached", "zoom_meeting_id": "123 456 7890" }),
            None,
        ),
        (
            vec![manual, ("zoom_meeting_url", "https://zoom.us/j/1"), ("zoom_meeting_password", "zqsecret")],
            json!({
                "zoom_creation_method": "manually-entered", "zoom_meeting_url": "https://zoom.us/j/1",
                "zoom_meeting_password": "zqsecret",
            }),
            None,
        ),
        (vec![existing], json!({}), Some(("zoom_creation_method", "needs `zoom_meeting_id`"))),
        (
            vec![automatic, ("zoom_meeting_id", "1234567890")],
            json!({}),
            Some(("zoom_meeting_id", "does not go with")),
        ),
        (
            vec![("zoom_meeting_password", "zqsecret")],
            json!({}),
            Some(("zoom_meeting_password", "says nothing")),
        ),
        (vec![("zoom_creation_method", "magic")], json!({}), Some(("zoom_creation_method", "is none of"))),
        (
            vec![manual, ("zoom_meeting_id", "12x")],
            json!({}),
            Some(("zoom_meeting_id", "is no number of a meeting")),
        ),
        (
            vec![automatic, ("zoom_session_type", "call")],
            json!({}),
            Some(("zoom_session_type", "is none of `meeting`, `webinar`")),
        ),
    ];
    list.into_iter().map(|(cells, arrives, wrong)| Choice { cells: cells.leak(), arrives, wrong }).collect()
}

fn communities() -> Vec<Choice> {
    vec![
        good(&[], json!({})),
        good(&[("community_api_id", "com-1")], json!({ "community_api_id": "com-1" })),
        bad(&[("community_api_id", "com 1")], "community_api_id", "is no id of Luma's"),
    ]
}

/// One row: what is written, what is to arrive, and everything that is wrong with it.
struct Row {
    cells: BTreeMap<&'static str, String>,
    arrives: Map<String, Value>,
    wrong: Vec<(&'static str, &'static str)>,
}

/// Rows that together have each pair of choices often: about half of them good.
fn rows(count: usize, rng: &mut Rng) -> Vec<Row> {
    let groups = [starts(), covers_and_lengths(), rsvps(), zooms(), communities()];
    let row = |number: usize| {
        let name = format!("Event {number:03}");
        let mut row = Row {
            cells: BTreeMap::from([("name", name.clone())]),
            arrives: Map::from_iter([("name".to_owned(), json!(name))]),
            wrong: Vec::new(),
        };
        let wants_good = number.is_multiple_of(2);
        for group in &groups {
            let fits: Vec<&Choice> =
                group.iter().filter(|choice| !wants_good || choice.wrong.is_none()).collect();
            let choice = fits[rng.usize(0..fits.len())];
            row.cells.extend(choice.cells.iter().map(|(field, text)| (*field, (*text).to_owned())));
            row.arrives.extend(choice.arrives.as_object().expect("an object").clone());
            row.wrong.extend(choice.wrong);
        }
        row
    };
    (0..count).map(row).collect()
}

const COLUMNS: [&str; 13] = [
    "name",
    "start_at",
    "timezone",
    "cover_url",
    "duration_minutes",
    "require_rsvp",
    "require_rsvp_approval",
    "zoom_creation_method",
    "zoom_meeting_id",
    "zoom_meeting_password",
    "zoom_meeting_url",
    "zoom_session_type",
    "community_api_id",
];

fn csv(rows: &[Row]) -> String {
    let line =
        |row: &Row| COLUMNS.map(|name| row.cells.get(name).cloned().unwrap_or_default()).join(",") + "\n";
    COLUMNS.join(",") + "\n" + &rows.iter().map(line).collect::<String>()
}

fn jsonl(rows: &[Row]) -> String {
    rows.iter().map(|row| json!(row.cells).to_string() + "\n").collect()
}

#[test]
fn of_five_hundred_events_the_bad_are_refused_with_the_reason_and_the_good_arrive_as_given() {
    let rows = rows(500, &mut Rng::with_seed(3));
    let (first, second) = rows.split_at(250);
    let bench = Bench::new("", "luma.max_in_flight = 8");
    bench.scratch.write("a.csv", csv(first));
    bench.scratch.write("b.jsonl", jsonl(second));
    let ended = bench.sync(["--kind", "events", "a.csv", "b.jsonl"]).run().with_code(4);
    let good: Vec<&Row> = rows.iter().filter(|row| row.wrong.is_empty()).collect();
    assert!((200..400).contains(&good.len()), "{} are good", good.len());

    let mut held: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for event in bench.luma.events() {
        let name = event.fields["name"].as_str().expect("a name").to_owned();
        assert!(held.insert(name, event.fields).is_none(), "a twin\n{ended}");
    }
    let wanted: BTreeMap<String, Map<String, Value>> =
        good.iter().map(|row| (row.cells["name"].clone(), row.arrives.clone())).collect();
    assert!(held == wanted, "{held:?}\n{wanted:?}");
    let requests: u64 = bench.luma.snapshot().answers["POST /event/create"].values().sum();
    assert_eq!(requests, good.len() as u64, "only good ones are asked for");

    let db = bench.db();
    for (number, row) in rows.iter().enumerate().filter(|(_, row)| !row.wrong.is_empty()) {
        let (run, line) = if number < 250 { (1, number + 2) } else { (2, number - 250 + 1) };
        let sql = format!(
            "select state, name, reason from event_queue where run_id = {run} and line = {line} and code is not null"
        );
        let told = db.rows(&sql);
        assert_eq!((told[0][0].as_str(), &told[0][1]), ("invalid", &row.cells["name"]));
        let reason = &told[0][2];
        for (field, why) in &row.wrong {
            assert!(reason.contains(&format!("`{field}` (column ")) && reason.contains(why), "{reason}");
            let value = &row.cells[field];
            let shows_value = reason.contains(value.as_str())
                || why.starts_with("does not go")
                || why.starts_with("says nothing")
                || why.starts_with("needs");
            assert!(shows_value, "`{value}` is not shown: {reason}");
        }
        assert!(!reason.contains("zqsecret"), "{reason}");
    }
    let reports = ended.reports();
    let sum = |state: &str| reports.iter().map(|report| report.rows(state)).sum::<u64>();
    assert_eq!((sum("read"), sum("created")), (500, good.len() as u64));
    let secrets =
        "select count(*) from event_queue where zoom_meeting_password is not null or body is not null";
    assert_eq!(db.count(secrets), 0, "nothing that lets people into a meeting is kept");
}
