//! Who is held, under which name, and the pages of them.

use super::*;

/// `p000@example.org` and so on.
async fn crowd(bench: &Bench, many: usize, tags: &[&str]) -> Vec<String> {
    let all: Vec<String> = (0..many).map(|number| format!("p{number:03}@example.org")).collect();
    bench.import(&all.iter().map(String::as_str).collect::<Vec<_>>(), tags).await;
    all
}

/// Every page, from the first to the last.
async fn all_pages(bench: &Bench, query: &str) -> (Vec<String>, Vec<usize>) {
    let (mut all, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let (status, page) = bench.get(&format!("{LIST}?{query}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        sizes.push(emails(&page).len());
        all.extend(emails(&page));
        if page["has_more"] == false {
            return (all, sizes);
        }
        cursor = format!("&pagination_cursor={}", page["next_cursor"].as_str().expect("a cursor"));
    }
}

#[tokio::test]
async fn pages_hold_everybody_once_in_order() {
    let bench = Bench::new(Options::default()).await;
    let crowd = crowd(&bench, 250, &[]).await;
    for (query, sizes) in [
        ("", vec![50; 5]),
        ("pagination_limit=100&", vec![100, 100, 50]),
        ("pagination_limit=1000&", vec![100, 100, 50]),
        ("pagination_limit=120&sort_column=name&", vec![100, 100, 50]),
    ] {
        assert_eq!(all_pages(&bench, query).await, (crowd.clone(), sizes), "{query}");
    }
    let mut back = crowd.clone();
    back.reverse();
    assert_eq!(all_pages(&bench, "sort_direction=desc&").await.0, back);
    assert_eq!(all_pages(&bench, "sort_direction=desc&sort_column=name&").await.0, back);
}

#[tokio::test]
async fn who_comes_or_goes_between_two_pages_moves_nobody() {
    let bench = Bench::new(Options::default()).await;
    let crowd = crowd(&bench, 101, &[]).await;
    for sort in ["", "&sort_column=name"] {
        let (_, page) = bench.get(&format!("{LIST}?pagination_limit=100{sort}")).await;
        let cursor = page["next_cursor"].as_str().expect("a cursor");
        let last = emails(&page).pop().expect("a row");
        bench.post("/v1/calendars/contacts/remove", json!({ "emails": ["p000@example.org", last] })).await;
        let rest = bench.emails(&format!("pagination_cursor={cursor}{sort}")).await;
        assert_eq!(rest, crowd[100..], "{sort}");
        bench.post("/v1/calendars/contacts/restore", json!({ "emails": ["p000@example.org", last] })).await;
    }
}

#[tokio::test]
async fn the_last_page_names_a_next_one_unless_it_is_told_not_to() {
    for (mode, is_named) in [("always", true), ("with-more", false)] {
        let bench =
            Bench::new(set(&[("next-cursor", mode), ("page-size", "2"), ("max-page-size", "3")])).await;
        crowd(&bench, 3, &[]).await;
        let first = bench.get(LIST).await.1;
        assert_eq!((emails(&first).len(), first["has_more"] == true), (2, true));
        let last = bench.get(&format!("{LIST}?pagination_limit=9")).await.1;
        assert_eq!((emails(&last).len(), last["has_more"] == false), (3, true));
        assert_eq!(last.get("next_cursor").is_some(), is_named, "{mode}");
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        assert_eq!(bench.emails(&format!("pagination_cursor={cursor}")).await, ["p002@example.org"]);
    }
}

#[tokio::test]
async fn tags_are_joined_by_or_and_a_plus_has_to_be_spelt_out() {
    let bench = Bench::new(Options::default()).await;
    let (vip, press) = (bench.tag("VIP").await, bench.tag("press").await);
    bench.import(&["Ana+a@example.org"], &[&vip]).await;
    bench.import(&["bo@example.org"], &["press"]).await;
    bench.import(&["cy@example.org", "bo@example.org"], &[]).await;
    assert_eq!(bench.emails("tags=VIP&tags=press").await, ["ana+a@example.org", "bo@example.org"]);
    assert_eq!(bench.emails(&format!("tags={press}")).await, ["bo@example.org"]);
    assert_eq!(bench.emails("tags=vip").await, Vec::<String>::new(), "names are taken to the letter");
    assert_eq!(bench.emails("query=ana%2Ba%40").await, ["ana+a@example.org"]);
    assert_eq!(bench.emails("query=ana+a%40").await, Vec::<String>::new(), "a bare plus is a space");
    assert_eq!(bench.emails("query=EXAMPLE&tags=press").await, ["bo@example.org"]);
    assert_eq!(bench.emails("membership_status=approved").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_name_is_written_once_and_tags_only_grow() {
    let bench = Bench::new(Options::default()).await;
    let (a, b) = (bench.tag("a").await, bench.tag("b").await);
    let import = async |email: &str, name: Value, tags: Value| {
        let body = json!({ "contacts": [{ "email": email, "name": name }], "tags": tags });
        assert_eq!(bench.post(IMPORT, body).await, (200, json!({})));
    };
    import("Ana@Example.org", Value::Null, json!([b])).await;
    bench.clock.advance(Duration::from_mins(5));
    import("ana@example.org", json!("Ana Maria Lima"), json!(["a"])).await;
    import("ANA@example.org", json!("Somebody Else"), json!([])).await;
    let (_, page) = bench.get(LIST).await;
    let row = json!({
        "id": "calmem-sandbox0-0000001",
        "user_id": page["entries"][0]["user_id"],
        "created_at": "2026-01-01T00:00:00.000Z",
        "email": "ana@example.org",
        "name": "Ana Maria Lima",
        "first_name": "Ana",
        "last_name": "Maria Lima",
        "avatar_url": "https://images.lumacdn.com/avatars/sandbox.png",
        "event_approved_count": 0,
        "event_checked_in_count": 0,
        "revenue_usd_cents": 0,
        "tags": [{ "id": a, "name": "a" }, { "id": b, "name": "b" }],
        "membership": null,
    });
    assert_eq!(page["entries"], json!([row]));
    assert!(page["entries"][0]["user_id"].as_str().is_some_and(|id| id.starts_with("usr-")));
    assert_eq!(bench.counts().repeats, 1);
}

#[tokio::test]
async fn who_was_sent_away_stays_away() {
    for (mode, is_back) in [("stay", false), ("return", true)] {
        let bench = Bench::new(set(&[("away", mode)])).await;
        bench.import(&["ana@example.org", "bo@example.org", "cy@example.org"], &[]).await;
        let gone = |email: &str| json!({ "emails": [email] });
        assert_eq!(
            bench.post("/v1/calendars/contacts/remove", gone("Ana@example.org")).await,
            (200, json!({}))
        );
        assert_eq!(
            bench.post("/v1/calendars/contacts/block", gone("bo@example.org")).await,
            (200, json!({}))
        );
        assert_eq!(bench.emails("").await, ["cy@example.org"]);
        bench.import(&["ana@example.org", "bo@example.org"], &[]).await;
        let back = if is_back { vec!["ana@example.org", "cy@example.org"] } else { vec!["cy@example.org"] };
        assert_eq!(bench.emails("").await, back, "{mode}");
        assert_eq!(bench.counts().away, if is_back { 1 } else { 2 });
        assert_eq!(bench.counts().member_count, back.len());
        bench.post("/v1/calendars/contacts/restore", gone("bo@example.org")).await;
        assert!(bench.emails("").await.contains(&"bo@example.org".to_owned()));
    }
}

#[tokio::test]
async fn both_dialects_see_one_audience() {
    let bench = Bench::new(Options::default()).await;
    let beta = json!({ "emails": ["ana@example.org"], "member_tag_api_ids": ["tag-old"] });
    assert_eq!(bench.post("/user/audience/import", beta).await, (200, json!({})));
    bench.import(&["ana@example.org", "bo@example.org"], &["tag-old"]).await;
    assert_eq!(bench.get("/v1/calendars/contact-tags/list").await.1["entries"][0]["name"], "tag-old");
    let (_, state) = bench.get("/sandbox/state?members=true&tags=true").await;
    assert_eq!(state["members"], json!({ "ana@example.org": ["tag-old"], "bo@example.org": ["tag-old"] }));
    assert_eq!((&state["tags"]["tag-old"], &state["repeats"]), (&json!(2), &json!(1)));
    assert_eq!(state["answers"]["POST /v1/calendars/contacts/import"]["200"], 1);
}

#[tokio::test]
async fn odd_questions_are_refused() {
    let bench = Bench::new(Options::default()).await;
    for (query, line) in [
        ("pagination_limit=0", "pagination_limit: Too small: expected number to be >0"),
        ("pagination_limit=x", "pagination_limit: Invalid input: expected number, received string"),
        ("pagination_cursor=x", "pagination_cursor: Invalid cursor"),
        (
            "sort_column=age",
            "sort_column: Invalid option: expected one of \"created_at\"|\"event_checked_in_count\"\
             |\"event_approved_count\"|\"name\"|\"revenue_usd_cents\"",
        ),
    ] {
        let answer = bench.get(&format!("{LIST}?{query}")).await;
        assert_eq!(answer, (400, refusal(&format!("Invalid request.\n- {line}"))), "{query}");
    }
}

#[tokio::test]
async fn a_name_belongs_to_its_person_in_every_calendar() {
    let second = FurtherKey { key: "second".into(), limit: None };
    let bench = Bench::new(Options { further: vec![second], ..Options::default() }).await;
    let import = async |key: &str, name: Option<&str>| {
        let body = json!({ "contacts": [{ "email": "ana@example.org", "name": name }] }).to_string();
        let sent = bench.send(Method::POST, IMPORT, &[("x-luma-api-key", key)], &body).await;
        assert_eq!(told(sent).await, (200, json!({})));
    };
    import("second", None).await;
    import(KEY, Some("Ana Lima")).await;
    import("second", Some("Somebody Else")).await;
    for key in [KEY, "second"] {
        let contacts = bench.sandbox.contacts_of(key);
        assert_eq!(contacts.len(), 1);
        assert_eq!(contacts[0].name.as_deref(), Some("Ana Lima"), "{key}");
    }
}

#[tokio::test]
async fn an_address_is_shown_in_lower_case_or_as_it_first_came() {
    for (mode, shown) in [("lower", "ana@example.org"), ("kept", "Ana@Example.org")] {
        let bench = Bench::new(set(&[("email-case", mode)])).await;
        bench.import(&["Ana@Example.org"], &[]).await;
        bench.import(&["ANA@example.org"], &[]).await;
        assert_eq!(bench.emails("query=ana%40example").await, [shown]);
        assert_eq!(bench.sandbox.contacts_of(KEY)[0].email, shown);
    }
}

#[tokio::test]
async fn new_people_may_take_a_while_to_be_seen() {
    let bench = Bench::new(set(&[("lag", "30s")])).await;
    let vip = bench.tag("VIP").await;
    bench.import(&["ana@example.org"], &[&vip]).await;
    let apply = async || {
        let body = json!({ "tag": "VIP", "emails": ["ana@example.org"] });
        bench.post("/v1/calendars/contact-tags/apply", body).await.1
    };
    bench.clock.advance(Duration::from_secs(29));
    assert_eq!(bench.emails("").await, Vec::<String>::new());
    assert_eq!(apply().await, json!({ "applied_count": 0, "skipped_count": 1 }));
    assert_eq!(bench.counts().member_count, 1, "they are there all the same");
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.emails("tags=VIP").await, ["ana@example.org"]);
    assert_eq!(apply().await, json!({ "applied_count": 1, "skipped_count": 0 }));
}
