//! Limits: requests in a window, for calendars and organizations, and people whom imports may bring.

use super::*;

fn two_a_minute() -> Limit {
    Limit { requests: 2, ..Limit::default() }
}

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
}

#[tokio::test]
async fn every_answer_tells_the_quota_in_the_unit_that_was_chosen() {
    for (unit, window_end, block_end) in [
        ("seconds", "1767225660", "1767225661"),
        ("millis", "1767225660000", "1767225660250"),
        ("iso", "2026-01-01T00:01:00.000Z", "2026-01-01T00:01:00.250Z"),
    ] {
        let bench = Bench::new(Options { limit: Some(two_a_minute()), ..set(&[("reset", unit)]) }).await;
        let key = [("x-luma-api-key", KEY)];
        for (path, status, remaining) in
            [("/v1/users/get-self", 200, "1"), ("/v1/events/get?event_id=x", 403, "0")]
        {
            let answer = bench.send(Method::GET, path, &key, "").await;
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(header(&answer, "x-ratelimit-limit").as_deref(), Some("2"));
            assert_eq!(header(&answer, "x-ratelimit-remaining").as_deref(), Some(remaining));
            assert_eq!(header(&answer, "x-ratelimit-reset").as_deref(), Some(window_end), "{unit}");
            assert_eq!(header(&answer, "retry-after"), None);
            bench.clock.advance(Duration::from_millis(125));
        }
        let over = bench.send(Method::POST, IMPORT, &key, "nonsense").await;
        assert_eq!(header(&over, "x-ratelimit-reset").as_deref(), Some(block_end), "{unit}");
        assert_eq!(header(&over, "retry-after").as_deref(), Some("60"));
        assert_eq!(told(over).await, (429, refusal("Too many requests.")), "before the body is looked at");
    }
}

#[tokio::test]
async fn both_dialects_share_one_window() {
    let bench = Bench::new(Options { limit: Some(two_a_minute()), ..Options::default() }).await;
    assert_eq!(bench.get("/user").await.0, 200);
    assert_eq!(bench.get("/v1/users/get-self").await.0, 200);
    assert_eq!(bench.get("/user").await.0, 429);
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(bench.get("/v1/users/get-self").await.0, 429);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.get("/v1/users/get-self").await.0, 200);
}

#[tokio::test]
async fn a_window_may_be_fixed() {
    for (mode, status) in [("fixed", 200), ("sliding", 429)] {
        let bench = Bench::new(Options { limit: Some(two_a_minute()), ..set(&[("window", mode)]) }).await;
        assert_eq!(bench.get(LIST).await.0, 200);
        bench.clock.advance(Duration::from_secs(59));
        assert_eq!(bench.get(LIST).await.0, 200);
        bench.clock.advance(Duration::from_secs(1));
        assert_eq!(bench.get(LIST).await.0, 200);
        assert_eq!(bench.get(LIST).await.0, status, "{mode}");
    }
}

#[tokio::test]
async fn a_block_may_grow() {
    let bench = Bench::new(Options { limit: Some(two_a_minute()), ..set(&[("block", "grows")]) }).await;
    for status in [200, 200, 429] {
        assert_eq!(bench.get(LIST).await.0, status);
    }
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(bench.get(LIST).await.0, 429);
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(bench.get(LIST).await.0, 429);
    bench.clock.advance(Duration::from_mins(1));
    assert_eq!(bench.get(LIST).await.0, 200);
}

#[tokio::test]
async fn an_organization_names_a_calendar_and_has_a_window_of_its_own() {
    let key = |key: &str, requests| FurtherKey {
        key: key.to_owned(),
        limit: Some(Limit { requests, ..Limit::default() }),
    };
    let options = Options {
        limit: Some(two_a_minute()),
        further: vec![key("second", 2)],
        organization: Some(key("organization", 7)),
        ..Options::default()
    };
    let bench = Bench::new(options).await;
    let ask = async |method: Method, path: &str, calendar: Option<&str>, body: Value| {
        let mut headers = vec![("x-luma-api-key", "organization")];
        headers.extend(calendar.map(|id| ("X-Luma-Calendar-Id", id)));
        bench.send(method, path, &headers, &body.to_string()).await
    };
    let of_second = Some("cal-sandbox-2");
    let contacts = json!({ "contacts": [{ "email": "ana@example.org" }] });
    let user = ask(Method::GET, "/v1/users/get-self", None, Value::Null).await;
    assert_eq!((user.status().as_u16(), header(&user, "x-ratelimit-remaining").as_deref()), (200, Some("6")));
    let unnamed = told(ask(Method::POST, IMPORT, None, contacts.clone()).await).await;
    assert_eq!(unnamed, (400, refusal("Please provide a calendar with x-luma-calendar-id.")));
    let bad = told(ask(Method::POST, IMPORT, None, json!({})).await).await;
    assert!(bad.1["message"].as_str().is_some_and(|told| told.contains("- contacts: ")), "fields come first");
    let others = told(ask(Method::POST, IMPORT, Some("cal-none"), contacts.clone()).await).await;
    assert_eq!(others, (403, refusal("You don't have access to this calendar.")));
    assert_eq!(told(ask(Method::POST, IMPORT, of_second, contacts).await).await, (200, json!({})));
    assert_eq!((bench.sandbox.members().len(), bench.sandbox.members_of("second").len()), (0, 1));
    let made = told(ask(Method::POST, CREATE, of_second, event("Demo", Some("demo-1"))).await).await.1;

    let own = bench.get(&format!("/v1/events/get?event_id={}", made["id"].as_str().expect("an id"))).await;
    assert_eq!(own.0, 403, "another calendar's");
    assert_eq!(bench.post(CREATE, event("Demo", Some("demo-1"))).await.0, 400, "slugs are everybody's");
    let beta = [("x-luma-api-key", "organization")];
    assert_eq!(bench.send(Method::GET, "/user", &beta, "").await.status().as_u16(), 401);
    assert_eq!(ask(Method::GET, LIST, of_second, Value::Null).await.status().as_u16(), 200);
    assert_eq!(ask(Method::GET, LIST, of_second, Value::Null).await.status().as_u16(), 429);
    let second = [("x-luma-api-key", "second")];
    assert_eq!(bench.send(Method::GET, LIST, &second, "").await.status().as_u16(), 200, "no block of theirs");
}

#[tokio::test]
async fn an_import_past_the_limit_is_refused_whole_or_stored_in_part() {
    let contacts = |emails: &[&str]| json!({ "contacts": emails.iter().map(|email| json!({ "email": email })).collect::<Vec<_>>() });
    for (mode, status, told) in [
        ("all-or-nothing", 403, refusal("You have reached the import limit of this calendar.")),
        ("partial-200", 200, json!({})),
    ] {
        let bench = Bench::new(set(&[("import-limit", "2"), ("over-limit", mode)])).await;
        bench.import(&["ana@example.org"], &[]).await;
        let three = contacts(&["Ana@example.org", "bo@example.org", "cy@example.org", "Bo@example.org"]);
        assert_eq!(bench.post(IMPORT, three).await, (status, told), "{mode}");
        let held = if status == 200 { 2 } else { 1 };
        assert_eq!(
            (bench.sandbox.members().len(), bench.counts().over_limit),
            (held, held as u64 - 1),
            "{mode}"
        );
    }
    let bench = Bench::new(set(&[("import-limit", "1"), ("import-limit-status", "400")])).await;
    bench.import(&["ana@example.org"], &[]).await;
    bench.import(&["ana@example.org", "nonsense"], &[]).await;
    assert_eq!(bench.post(IMPORT, contacts(&["bo@example.org"])).await.0, 400);
    assert_eq!(bench.post("/sandbox/follow", json!(["ana@example.org"])).await, (200, json!({})));
    bench.import(&["bo@example.org"], &[]).await;
    assert_eq!(bench.post(IMPORT, contacts(&["cy@example.org"])).await.0, 400);
    let beta = json!({ "emails": ["cy@example.org"], "member_tag_api_ids": ["tag-new"] });
    assert_eq!(bench.post("/user/audience/import", beta).await.0, 400, "the limit is the calendar's");
    assert_eq!(bench.sandbox.tags_of(KEY).len(), 0, "nothing of it is stored");
}
