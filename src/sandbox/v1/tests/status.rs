//! Each row of the table of statuses, and the order in which things are looked at.

use super::*;

#[tokio::test]
async fn a_key_is_asked_for_before_anything_else_but_the_route() {
    let bench = Bench::new(Options::default()).await;
    for (method, path) in [(Method::GET, "/v1/users/get-self"), (Method::POST, IMPORT), (Method::GET, LIST)] {
        for (key, answer) in [
            (None, (400, refusal("Please provide an API key."))),
            (Some(""), (400, refusal("Please provide an API key."))),
            (Some("other"), (401, refusal("You are not signed in."))),
        ] {
            let headers: Vec<_> = key.map(|key| ("x-luma-api-key", key)).into_iter().collect();
            let sent = bench.send(method.clone(), path, &headers, "nonsense").await;
            assert!(sent.headers().get("x-ratelimit-limit").is_none(), "only who is known has a quota");
            assert_eq!(told(sent).await, answer, "{path} {key:?}");
        }
    }
    assert_eq!(
        told(bench.send(Method::GET, "/v1/nowhere", &[], "").await).await,
        (404, refusal("Not found."))
    );
    assert_eq!(told(bench.send(Method::GET, IMPORT, &[], "").await).await.0, 404, "every write is a POST");
    assert_eq!(bench.counts().max_in_window, 0);
}

#[tokio::test]
async fn the_user_has_all_six_keys() {
    let bench = Bench::new(Options::default()).await;
    let user = json!({
        "id": "usr-sandbox",
        "name": "Sandbox Host",
        "first_name": "Sandbox",
        "last_name": "Host",
        "email": "host@example.org",
        "avatar_url": "https://images.lumacdn.com/avatars/sandbox.png",
    });
    assert_eq!(bench.get("/v1/users/get-self").await, (200, user));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_line_by_line() {
    let bench = Bench::new(Options::default()).await;
    for (body, message) in [
        ("{\"contacts\":", "Invalid request."),
        ("[]", "Invalid request.\n- Invalid input: expected object, received array"),
        ("{}", "Invalid request.\n- contacts: Invalid input: expected array, received undefined"),
        (
            r#"{"contacts":[{"email":"a@b.org"},{},{"email":7,"name":1},"x"],"tags":"vip"}"#,
            "Invalid request.\n- tags: Invalid input: expected array, received string\
             \n- contacts[3]: Invalid input: expected object, received string\
             \n- contacts[1].email: Invalid input: expected string, received undefined\
             \n- contacts[2].email: Invalid input: expected string, received number\
             \n- contacts[2].name: Invalid input: expected string, received number",
        ),
    ] {
        let sent = bench.send(Method::POST, IMPORT, &[("x-luma-api-key", KEY)], body).await;
        assert_eq!(told(sent).await, (400, refusal(message)), "{body}");
    }
    assert_eq!((bench.counts().imports, bench.counts().max_in_window), (0, 4));
}

#[tokio::test]
async fn mistakes_are_placed_with_dots_where_that_is_wished() {
    let bench = Bench::new(set(&[("path", "dots")])).await;
    let message = "Invalid request.\n- contacts.0.email: Invalid input: expected string, received undefined";
    assert_eq!(bench.post(IMPORT, json!({ "contacts": [{}] })).await, (400, refusal(message)));
}

#[tokio::test]
async fn an_import_of_nobody_is_none_the_worse() {
    let bench = Bench::new(Options::default()).await;
    assert_eq!(bench.post(IMPORT, json!({ "contacts": [], "tags": null })).await, (200, json!({})));
}

#[tokio::test]
async fn a_malformed_address_is_dropped_refused_or_taken() {
    let body = json!({ "contacts": [{ "email": "ana@example.org" }, { "email": "ana at example" }] });
    for (malformed, status, held) in
        [(Malformed::Drop, 200, 1), (Malformed::Reject, 400, 0), (Malformed::Accept, 200, 2)]
    {
        let bench = Bench::new(Options { malformed, ..Options::default() }).await;
        let (answered, answer) = bench.post(IMPORT, body.clone()).await;
        assert_eq!((answered, bench.sandbox.members().len()), (status, held), "{malformed:?}");
        if malformed == Malformed::Reject {
            let line = "Invalid request.\n- contacts[1].email: Invalid email address: \"ana at example\"";
            assert_eq!(answer, refusal(line));
        }
        assert_eq!(bench.counts().dropped, u64::from(malformed == Malformed::Drop));
    }
}

#[tokio::test]
async fn an_unknown_tag_is_refused_or_ignored_and_never_created() {
    let body = json!({ "contacts": [{ "email": "ana@example.org" }], "tags": ["vip", "press"] });
    for (mode, answer, tags) in [
        ("reject", (400, refusal("Tag not found.")), None),
        ("ignore", (200, json!({})), Some(vec!["tag-sandbox00001".to_owned()])),
    ] {
        let bench = Bench::new(set(&[("unknown-tag", mode)])).await;
        bench.tag("vip").await;
        assert_eq!(bench.post(IMPORT, body.clone()).await, answer, "{mode}");
        assert_eq!(bench.sandbox.members().get("ana@example.org").cloned(), tags, "{mode}");
        let (_, list) = bench.get("/v1/calendars/contact-tags/list").await;
        assert_eq!(list["entries"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn more_than_a_batch_may_hold_is_refused() {
    let bench = Bench::new(set(&[("max-batch", "1")])).await;
    let two = json!([{ "email": "ana@example.org" }, { "email": "bo@example.org" }]);
    let line = "Invalid request.\n- contacts: Too big: expected array to have <=1 items";
    assert_eq!(bench.post(IMPORT, json!({ "contacts": two })).await, (400, refusal(line)));
    bench.import(&["ana@example.org"], &[]).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let bench = Bench::new(Options { max_body: 60, ..Options::default() }).await;
    let long = json!({ "contacts": [{ "email": "somebody-with-a-long-address@example.org" }] });
    assert_eq!(bench.post(IMPORT, long).await, (413, refusal("Request entity too large.")));
    bench.import(&["a@b.org"], &[]).await;
}

#[tokio::test]
async fn keys_that_a_body_should_not_have_are_a_matter_of_taste() {
    let body = json!({ "contacts": [{ "email": "ana@example.org", "phone": "1" }], "notify": true });
    let lax = Bench::new(Options::default()).await;
    assert_eq!(lax.post(IMPORT, body.clone()).await.0, 200);
    let strict = Bench::new(set(&[("unknown-fields", "reject")])).await;
    let lines = "Invalid request.\n- notify: Unrecognized key: \"notify\"\
                 \n- contacts[0].phone: Unrecognized key: \"phone\"";
    assert_eq!(strict.post(IMPORT, body).await, (400, refusal(lines)));
}

#[tokio::test]
async fn elder_routes_take_elder_bodies_and_answer_in_their_words() {
    let bench = Bench::new(Options { known_tags: vec!["tag-a=VIP".into()], ..Options::default() }).await;
    for (path, email) in
        [("/public/v1/calendar/import-people", "ana@b.org"), ("/v1/calendar/import-people", "bo@b.org")]
    {
        let body = json!({ "infos": [{ "email": email, "name": "A B" }], "tag_names": ["VIP"], "tag_api_ids": ["tag-a"] });
        assert_eq!(bench.post(path, body).await, (200, json!({})));
        assert_eq!(bench.sandbox.members()[email], ["tag-a"]);
        assert_eq!(bench.post(path, json!({ "contacts": [] })).await.0, 400, "today's body");
    }
    let first = bench.get("/public/v1/user/get-self").await.1;
    assert_eq!((&first["api_id"], &first["id"]), (&json!("usr-sandbox"), &Value::Null));
    let second = bench.get("/v1/user/get-self").await.1;
    assert_eq!((&second["api_id"], &second["id"]), (&json!("usr-sandbox"), &json!("usr-sandbox")));
    let page = bench.get("/v1/calendar/list-people?query=ana").await.1;
    assert_eq!(page["entries"][0]["api_id"], page["entries"][0]["id"]);

    let (status, made) = bench.post("/public/v1/event/create", event("Demo", None)).await;
    assert_eq!((status, made.as_object().map(serde_json::Map::len)), (200, Some(1)));
    let id = made["api_id"].as_str().expect("an id").to_owned();
    let shown = bench.get(&format!("/public/v1/event/get?event_api_id={id}")).await.1;
    assert_eq!(shown["event"]["api_id"], id.as_str());
    let rows = bench.get("/public/v1/calendar/list-events").await.1;
    assert_eq!(rows["entries"][0]["event"]["name"], "Demo");

    let old = Bench::new(set(&[("answers", "g1")])).await;
    assert_eq!(old.post(CREATE, event("Demo", None)).await.1, json!({ "api_id": "evt-sandbox00001" }));
}
