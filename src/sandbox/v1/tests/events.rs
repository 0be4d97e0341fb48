//! Events: what creating one is answered, and how it is found again.

use super::*;

async fn create(bench: &Bench, event: Value) -> String {
    let (status, answer) = bench.post(CREATE, event).await;
    assert_eq!((status, answer.as_object().map(serde_json::Map::len)), (200, Some(1)), "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn what_is_missing_has_a_line_each() {
    let bench = Bench::new(Options::default()).await;
    let lines = "Invalid request.\n- name: Invalid input: expected string, received undefined\
                 \n- start_at: Invalid input: expected string, received undefined\
                 \n- timezone: Invalid input: expected string, received undefined";
    assert_eq!(bench.post(CREATE, json!({})).await, (400, refusal(lines)));
    assert_eq!(bench.counts().event_count, 0);
}

#[tokio::test]
async fn the_same_twice_is_two_events_unless_its_slug_is_taken() {
    let bench = Bench::new(set(&[("slug-taken", "409")])).await;
    assert_ne!(create(&bench, event("Demo", None)).await, create(&bench, event("Demo", None)).await);
    create(&bench, event("Demo", Some("demo"))).await;
    let taken = refusal("This URL is already taken.");
    assert_eq!(bench.post(CREATE, event("Other", Some("demo"))).await, (409, taken.clone()));
    assert_eq!(bench.post(CREATE, event("Other", Some("sandbox"))).await, (409, taken), "the calendar's own");
    assert_eq!(bench.counts().event_count, 3);
    let usual = Bench::new(Options::default()).await;
    create(&usual, event("Demo", Some("demo"))).await;
    assert_eq!(usual.post(CREATE, event("Demo", Some("demo"))).await.0, 400);
}

#[tokio::test]
async fn an_event_is_shown_with_all_that_was_asked() {
    let bench = Bench::new(Options::default()).await;
    let mut asked = event("Demo", Some("demo-1"));
    asked["end_at"] = "2026-12-03T21:30:00+02:00".into();
    asked["geo_address_json"] = json!({ "type": "manual", "address": "Rua 1" });
    asked["description_md"] = "Doors at six.".into();
    asked["visibility"] = "private".into();
    let id = create(&bench, asked).await;
    let (status, shown) = bench.get(&format!("/v1/events/get?event_id={id}")).await;
    assert_eq!(status, 200);
    for (key, value) in [
        ("platform", json!("luma")),
        ("id", json!(id)),
        ("user_id", json!("usr-sandbox")),
        ("calendar_id", json!("cal-sandbox")),
        ("start_at", json!("2026-12-03T18:00:00.000Z")),
        ("end_at", json!("2026-12-03T19:30:00.000Z")),
        ("duration_interval", json!("PT1H30M")),
        ("created_at", json!("2026-01-01T00:00:00.000Z")),
        ("timezone", json!("Europe/Lisbon")),
        ("name", json!("Demo")),
        ("description", json!("Doors at six.")),
        ("description_md", json!("Doors at six.")),
        ("coordinate", Value::Null),
        ("meeting_url", Value::Null),
        ("location_type", json!("offline")),
        ("location_visibility", json!("public")),
        ("url", json!("https://luma.com/demo-1")),
        ("visibility", json!("private")),
        ("waitlist_status", json!("disabled")),
        ("feedback_email", json!({ "enabled": false })),
    ] {
        assert_eq!(shown.get(key), Some(&value), "{key}");
    }
    assert_eq!(shown["geo_address_json"]["full_address"], "Rua 1");
    assert_eq!(shown["hosts"][0]["email"], "host@example.org");
    let none = (403, refusal("You don't have access to this event."));
    assert_eq!(bench.get("/v1/events/get?event_id=evt-none").await, none);
    let line = "Invalid request.\n- event_id: Invalid input: expected string, received undefined";
    assert_eq!(bench.get("/v1/events/get").await, (400, refusal(line)));
}

#[tokio::test]
async fn events_are_listed_by_when_they_begin() {
    let bench = Bench::new(Options::default()).await;
    for (name, day) in [("c", 5), ("a", 3), ("b", 4), ("b2", 4)] {
        let mut asked = event(name, None);
        asked["start_at"] = format!("2026-12-0{day}T18:00Z").into();
        create(&bench, asked).await;
    }
    let names = async |query: &str| {
        let (status, page) = bench.get(&format!("/v1/calendars/events/list?{query}")).await;
        assert_eq!(status, 200, "{page}");
        let rows = page["entries"].as_array().expect("rows").clone();
        let names: Vec<String> =
            rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect();
        (names, page)
    };
    let (all, page) = names("").await;
    assert_eq!(all, ["a", "b", "b2", "c"]);
    assert_eq!((&page["entries"][0]["tags"], page["entries"][0].get("hosts")), (&json!([]), None));
    assert_eq!(names("sort_direction=desc").await.0, ["c", "b2", "b", "a"]);
    assert_eq!(names("after=2026-12-04T18:00Z&before=2026-12-04T18:00:00Z").await.0, ["b", "b2"]);
    assert_eq!(names("status=pending").await.0, Vec::<String>::new());
    assert_eq!(names("platforms=external").await.0, Vec::<String>::new());
    assert_eq!(names("platforms=external&platforms=luma").await.0.len(), 4);
    for direction in ["", "&sort_direction=desc"] {
        let (mut seen, page) = names(&format!("pagination_limit=2{direction}")).await;
        let cursor = page["next_cursor"].as_str().expect("a cursor").to_owned();
        let (rest, page) = names(&format!("pagination_limit=2&pagination_cursor={cursor}{direction}")).await;
        seen.extend(rest);
        assert_eq!(
            (seen, &page["has_more"]),
            (names(direction.trim_start_matches('&')).await.0, &json!(false))
        );
    }
    assert_eq!(bench.get("/v1/calendars/events/list?after=soon").await.0, 400);
}

#[tokio::test]
async fn a_slug_and_an_address_lead_to_their_event() {
    let bench = Bench::new(Options::default()).await;
    let id = create(&bench, event("Demo", Some("demo-1"))).await;
    let (_, found) = bench.get("/v1/entities/lookup?slug=demo-1").await;
    assert_eq!((&found["entity"]["type"], &found["entity"]["event"]["id"]), (&json!("event"), &json!(id)));
    assert_eq!(found["entity"]["event"]["end_at"], "2026-12-03T19:00:00.000Z");
    let both = bench.get("/v1/entity/lookup?slug=demo-1").await.1;
    assert_eq!(
        (&both["entity"]["event"]["id"], &both["entity"]["event"]["api_id"]),
        (&json!(id), &json!(id))
    );
    assert_eq!(bench.get("/v1/entities/lookup?slug=none").await, (200, json!({ "entity": null })));
    assert_eq!(bench.get("/v1/entities/lookup?slug=sandbox").await.1["entity"]["type"], "calendar");
    assert_eq!(bench.get("/v1/entities/lookup").await.0, 400);

    for path in ["/v1/calendars/events/lookup", "/v1/calendar/lookup-event"] {
        for query in [format!("event_id={id}"), "url=https%3A%2F%2Fluma.com%2Fdemo-1%2F".to_owned()] {
            let (_, found) = bench.get(&format!("{path}?{query}")).await;
            assert_eq!((&found["event"]["id"], &found["event"]["status"]), (&json!(id), &json!("approved")));
        }
        assert_eq!(bench.get(&format!("{path}?event_id=evt-none")).await, (200, json!({ "event": null })));
    }
}

#[tokio::test]
async fn the_beta_may_create_no_events_any_more() {
    let bench = Bench::new(set(&[("beta-create", "refused")])).await;
    let refused = (400, refusal("Invalid request."));
    assert_eq!(bench.post("/event/create", json!({ "name": "Old" })).await, refused);
    assert_eq!((bench.get("/user").await.0, bench.counts().event_count), (200, 0));
    create(&bench, event("Demo", None)).await;
}

#[tokio::test]
async fn an_event_of_the_beta_is_shown_too() {
    let bench = Bench::new(Options::default()).await;
    let body = json!({ "name": "Old", "start_at": "2026-12-03T18:00:00Z", "duration_minutes": 30 });
    let (_, made) = bench.post("/event/create", body).await;
    let id = made["api_id"].as_str().expect("an id");
    let (_, shown) = bench.get(&format!("/v1/events/get?event_id={id}")).await;
    assert_eq!((&shown["end_at"], &shown["timezone"]), (&json!("2026-12-03T18:30:00.000Z"), &json!("UTC")));
}
