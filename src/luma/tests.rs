//! What the client sends and reads, in both dialects: each body held against what its route is documented to
//! take, each answer in the spelling of every generation.

mod look_up;
mod schema;
mod server;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use self::server::luma;
use super::{Applied, Contact, Quota, Reply, Routes, event_body, likeness_of};
use crate::clock::Time;
use crate::domain::dialect::Dialect;
use crate::domain::event::{EventBody, EventRules, EventVerdict, Field, Fields, parse_event};
use crate::domain::tag::{TagId, TagSet};
use crate::domain::verdict::{Cause, Verdict};

const OK: &str = "200 OK";
const BAD: &str = "400 Bad Request";

fn tags(text: &str) -> TagSet {
    TagSet::parse(text).expect("a tag set")
}

fn tag(text: &str) -> TagId {
    TagId::parse(text).expect("a tag id")
}

fn people() -> [Contact<'static>; 3] {
    let plain = Contact::from("bo+news@example.org");
    let named = Contact { name: Some("Ana \"Lima\""), ..Contact::from("ana@example.org") };
    [named, plain, Contact { name: Some("  "), ..Contact::from("cy@example.org") }]
}

#[track_caller]
fn hold(route: &str, body: &Value) {
    let is = schema::of_route(route).unwrap_or_else(|| panic!("`{route}` is documented"));
    assert_eq!(schema::faults(body, is, ""), Vec::<String>::new(), "{route}: {body}");
}

fn transient(reply: &Reply) -> &str {
    match &reply.verdict {
        Verdict::Transient { reason, unreached: false, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_import_is_what_its_route_takes_in_both_dialects() {
    let (beta, asked) = luma(Dialect::Beta2021, &[(OK, &[], "{}")]);
    assert_eq!(beta.import(&tags("tag-1"), people().into_iter()).await.verdict, Verdict::Accepted);
    let sent = asked.recv().expect("asked");
    assert_eq!(sent.line, beta.routes().import);
    hold(&sent.line, &sent.body);
    assert_eq!(
        sent.body["emails"],
        serde_json::json!(["ana@example.org", "bo+news@example.org", "cy@example.org"])
    );
    assert_eq!((sent.header("x-luma-api-key"), sent.header("x-luma-calendar-id")), (Some("key"), None));

    let (today, asked) = luma(Dialect::V1, &[(OK, &[], "{}"), (OK, &[], "{}")]);
    assert_eq!(today.import(&tags("tag-1;tag-2"), people().into_iter()).await.verdict, Verdict::Accepted);
    let sent = asked.recv().expect("asked");
    assert_eq!(sent.line, today.routes().import);
    hold(&sent.line, &sent.body);
    assert_eq!(
        sent.body,
        serde_json::json!({
            "contacts": [
                {"email": "ana@example.org", "name": "Ana \"Lima\""},
                {"email": "bo+news@example.org"},
                {"email": "cy@example.org"},
            ],
            "tags": ["tag-1", "tag-2"],
        })
    );
    assert_eq!(
        (sent.header("x-luma-api-key"), sent.header("x-luma-calendar-id")),
        (Some("key"), Some("cal-1"))
    );
    today.import(&TagSet::default(), people().into_iter()).await;
    assert!(asked.recv().expect("asked").body.get("tags").is_none());
}

#[tokio::test]
async fn an_identity_needs_an_id_and_is_read_in_every_spelling() {
    let (client, asked) = luma(
        Dialect::V1,
        &[
            (OK, &[], r#"{"id":"usr-1","name":null,"first_name":null,"email":"ira@example.org","new":[1]}"#),
            (OK, &[], r#"{"user":{"api_id":"usr-1","name":"Ira"}}"#),
            (OK, &[], r#"{"name":"Ira"}"#),
        ],
    );
    let (found, _) = client.whoami().await.expect("known");
    assert_eq!((found.id.as_deref(), found.name), (Some("usr-1"), None));
    let (found, _) = client.whoami().await.expect("known");
    assert_eq!((found.id.as_deref(), found.name.as_deref()), (Some("usr-1"), Some("Ira")));
    let lacks = client.whoami().await.expect_err("odd");
    assert_eq!(transient(&lacks), "200 with an answer that lacks `id`");
    assert_eq!(asked.recv().expect("asked").line, "GET /v1/users/get-self");
}

#[tokio::test]
async fn what_is_left_of_the_allowance_comes_with_every_answer() {
    const LEFT: &[(&str, &str)] =
        &[("X-RateLimit-Limit", "200"), ("X-RateLimit-Remaining", "3"), ("X-RateLimit-Reset", "30")];
    let (client, _asked) = luma(
        Dialect::V1,
        &[
            (OK, LEFT, "{}"),
            ("429 Too Many Requests", LEFT, r#"{"message":"Too many requests.","code":null}"#),
            (OK, LEFT, r#"{"entries":[]}"#),
            (OK, LEFT, r#"{"id":"evt-1"}"#),
            (OK, &[], "{}"),
        ],
    );
    let left =
        |quota: Option<Quota>| quota.map(|quota| (quota.limit, quota.remaining, quota.reset.is_some()));
    let all = Some((Some(200), 3, true));
    assert_eq!(left(client.import(&TagSet::default(), people().into_iter()).await.quota), all);
    assert_eq!(left(client.import(&TagSet::default(), people().into_iter()).await.quota), all);
    assert_eq!(left(client.tags().await.expect_err("odd").quota), all);
    assert_eq!(left(client.create_event(&EventBody::new("{}".into())).await.quota), all);
    assert_eq!(client.import(&TagSet::default(), people().into_iter()).await.quota, None);
}

#[tokio::test]
async fn tags_are_listed_made_and_given() {
    let (client, asked) = luma(
        Dialect::V1,
        &[
            (
                OK,
                &[],
                r#"{"entries":[{"id":"tag-1","name":"VIP","color":"red"},{"api_id":"tag-2","name":"Press"}],"has_more":false}"#,
            ),
            (OK, &[], r#"{"entries":[],"has_more":true}"#),
            (
                OK,
                &[],
                r#"{"entries":[{"id":"7","name":"Odd"},{"id":"tag-1","name":"VIP"}],"has_more":false}"#,
            ),
            (OK, &[], r#"{"entries":[{"name":"VIP"}],"has_more":false}"#),
            (OK, &[], r#"{"id":"tag-3"}"#),
            (OK, &[], r#"{"tag_api_id":"tag-3"}"#),
            (OK, &[], r#"{"id":"3"}"#),
            (OK, &[], r#"{"applied_count":2,"skipped_count":1.0}"#),
            (OK, &[], r#"{"applied_count":2}"#),
            (BAD, &[], r#"{"message":"Tag not found.","code":null}"#),
        ],
    );
    let (list, _) = client.tags().await.expect("listed");
    let found: Vec<_> = list.tags.iter().map(|tag| (tag.name.as_str(), tag.id.as_str())).collect();
    assert_eq!((found, list.is_complete), (vec![("VIP", "tag-1"), ("Press", "tag-2")], true));
    assert!(!client.tags().await.expect("listed").0.is_complete);
    let (odd, _) = client.tags().await.expect("listed");
    assert_eq!((odd.tags.len(), odd.is_complete), (1, false), "one odd tag keeps nobody from the others");
    assert_eq!(transient(&client.tags().await.expect_err("odd")), "200 with an answer that lacks `id`");
    for _ in 0..2 {
        assert_eq!(client.create_tag("New").await.expect("made").0, tag("tag-3"));
    }
    let odd = client.create_tag("New").await.expect_err("odd");
    assert_eq!(transient(&odd), "200 with an answer that names a tag `3`, which is no id of one");
    let given = client.apply_tag(&tag("tag-1"), &["ana@example.org", "bo@example.org"]).await;
    assert_eq!(given.expect("given").0, Applied { applied: 2, skipped: 1 });
    let odd = client.apply_tag(&tag("tag-1"), &[]).await.expect_err("odd");
    assert_eq!(transient(&odd), "200 with an answer that lacks `skipped_count`");
    let unknown = client.apply_tag(&tag("tag-1"), &[]).await.expect_err("refused");
    assert!(matches!(unknown.verdict, Verdict::Halted { cause: Cause::Tags, .. }), "{unknown:?}");
    for sent in asked.try_iter().filter(|sent| sent.line.starts_with("POST")) {
        hold(&sent.line, &sent.body);
    }
}

#[tokio::test]
async fn the_audience_is_read_page_by_page_and_a_plus_arrives_as_one() {
    let (client, asked) = luma(
        Dialect::V1,
        &[
            (
                OK,
                &[],
                r#"{"entries":[{"id":"calmem-1","email":"bo+news@example.org","name":null,"tags":[{"id":"tag-1","name":"VIP"},{"id":"7","name":"old"}]}],"has_more":true,"next_cursor":"a+b/c="}"#,
            ),
            (
                OK,
                &[],
                r#"{"entries":[{"api_id":"calmem-2","email":"cy@example.org","name":"Cy","tags":[{"tag_api_id":"tag-2","name":"VIP"}]}],"has_more":false,"next_cursor":"filled all the same"}"#,
            ),
            (OK, &[], r#"{"entries":[],"has_more":true}"#),
            (OK, &[], r#"{"entries":[{"id":"calmem-1","tags":[]}],"has_more":false}"#),
            (OK, &[], r#"{"entries":[{"email":"cy@example.org"}],"has_more":false}"#),
            (OK, &[], r#"{"entries":[{"email":"cy@example.org","tags":["vip"]}],"has_more":false}"#),
            (OK, &[], r#"{"has_more":false}"#),
        ],
    );
    let (first, _) = client.contacts(Some("bo+news@example.org"), None).await.expect("a page");
    assert_eq!(
        (first.contacts[0].email.as_str(), &first.contacts[0].tags),
        ("bo+news@example.org", &vec![tag("tag-1")])
    );
    assert_eq!(first.next.as_deref(), Some("a+b/c="));
    let (second, _) = client.contacts(None, first.next.as_deref()).await.expect("a page");
    assert_eq!((second.contacts[0].name.as_deref(), second.next), (Some("Cy"), None));
    assert_eq!(second.contacts[0].tags, [tag("tag-2")]);
    for lacking in [
        "says that there is more and lacks `next_cursor`",
        "lacks `email`",
        "lacks `tags`",
        "lacks `id`",
        "lacks `entries`",
    ] {
        let odd = client.contacts(None, None).await.expect_err("odd");
        assert_eq!(transient(&odd), format!("200 with an answer that {lacking}"));
    }
    let sent: Vec<_> = asked.try_iter().collect();
    assert!(sent.iter().all(|sent| sent.route() == "GET /v1/calendars/contacts/list"));
    assert!(sent[0].line.contains("query=bo%2Bnews%40example.org"), "{}", sent[0].line);
    assert!(sent[1].query().contains(&("pagination_cursor".into(), "a+b/c=".into())), "{}", sent[1].line);
}

#[tokio::test]
async fn an_event_is_looked_for_by_its_address_and_by_its_hour() {
    let (client, asked) = luma(
        Dialect::V1,
        &[
            (OK, &[], r#"{"entity":null}"#),
            (OK, &[], r#"{"entity":{"type":"calendar","calendar":{"id":"cal-1"}}}"#),
            (
                OK,
                &[],
                r#"{"entity":{"type":"event","event":{"api_id":"evt-1","name":"Demo","slug":"demo","start_at":"2026-12-03T18:00:00.000Z"}}}"#,
            ),
            (OK, &[], r#"{"entity":{"type":"event","event":{"id":"evt-1","name":"Demo"}}}"#),
            (OK, &[], "{}"),
            (
                OK,
                &[],
                r#"{"entries":[{"platform":"luma","id":"evt-1","name":"Demo","start_at":"2026-12-03T18:00:00Z","url":"https://luma.com/demo"},{"platform":"external","id":"x"},{"api_id":"calev-1","event":{"api_id":"evt-2","name":"Other","start_at":"2026-12-03T18:00:00.000Z","url":"other"}}],"has_more":false}"#,
            ),
            ("404 Not Found", &[], r#"{"message":"Not found.","code":null}"#),
        ],
    );
    assert_eq!(client.find_event("de+mo").await.expect("told").0, None);
    assert_eq!(client.find_event("demo").await.expect("told").0, None);
    let (found, _) = client.find_event("demo").await.expect("told");
    let found = found.expect("there");
    let start = Time::parse("2026-12-03T18:00:00Z").expect("a moment");
    assert_eq!((found.id.as_str(), found.slug.as_deref(), found.start_at), ("evt-1", Some("demo"), start));
    for lacking in ["lacks `start_at`", "lacks `entity`"] {
        let odd = client.find_event("demo").await.expect_err("odd");
        assert_eq!(transient(&odd), format!("200 with an answer that {lacking}"));
    }
    let (page, _) = client.events_at(start, None).await.expect("told");
    let seen: Vec<_> = page.events.iter().map(|event| (event.id.as_str(), event.slug.as_deref())).collect();
    assert_eq!(seen, [("evt-1", Some("demo")), ("evt-2", Some("other"))]);
    let gone = client.events_at(start, None).await.expect_err("refused");
    assert!(matches!(gone.verdict, Verdict::Halted { cause: Cause::Route, .. }), "{gone:?}");
    let sent: Vec<_> = asked.try_iter().collect();
    assert_eq!(sent[0].line, "GET /v1/entities/lookup?slug=de%2Bmo");
    let around = sent[5].query();
    assert!(around.contains(&("after".into(), "2026-12-03T17:59:59.000Z".into())), "{around:?}");
    assert!(around.contains(&("before".into(), "2026-12-03T18:00:01.000Z".into())), "{around:?}");
}

#[tokio::test]
async fn the_beta_offers_no_look_up_and_nothing_is_sent_for_one() {
    let (beta, asked) = luma(Dialect::Beta2021, &[(OK, &[], "{}")]);
    let refused = [
        beta.tags().await.expect_err("not offered"),
        beta.create_tag("x").await.expect_err("not offered"),
        beta.apply_tag(&tag("tag-1"), &[]).await.expect_err("not offered"),
        beta.contacts(None, None).await.expect_err("not offered"),
        beta.find_event("x").await.expect_err("not offered"),
        beta.events_at(Time::from_micros(0), None).await.expect_err("not offered"),
    ];
    for reply in refused {
        assert!(matches!(reply.verdict, Verdict::Halted { cause: Cause::Route, .. }), "{reply:?}");
        assert_eq!(reply.status, None);
    }
    assert!(!beta.routes().can_look_up());
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_created_event_has_an_id_in_every_spelling_and_a_taken_address_is_told() {
    let (client, asked) = luma(
        Dialect::V1,
        &[
            (OK, &[], r#"{"id":"evt-1"}"#),
            (OK, &[], r#"{"api_id":"evt-1"}"#),
            (OK, &[], r#"{"event":{"id":"evt-1"}}"#),
            (OK, &[], "{}"),
            (BAD, &[], r#"{"message":"This slug is already taken.","code":null}"#),
            ("403 Forbidden", &[], r#"{"message":"You don't have access to this event.","code":null}"#),
            (BAD, &[], r#"{"message":"Please provide an API key.","code":null}"#),
            (BAD, &[], r#"{"message":"No meeting at https://a.org/1?pwd=s3cret","code":null}"#),
        ],
    );
    let body = EventBody::new(r#"{"name":"Demo","meeting_url":"https://a.org/1?pwd=s3cret"}"#.into());
    let mut verdicts = Vec::new();
    for _ in 0..8 {
        verdicts.push(client.create_event(&body).await.verdict);
    }
    let said: Vec<&str> = verdicts.iter().map(EventVerdict::as_str).collect();
    assert_eq!(
        said,
        ["accepted", "accepted", "accepted", "ambiguous", "refused", "refused", "halted", "refused"]
    );
    let EventVerdict::Taken { message } = &verdicts[4] else { panic!("{:?}", verdicts[4]) };
    assert_eq!(message, "This slug is already taken.");
    assert!(
        matches!(&verdicts[7], EventVerdict::Refused { message } if !message.contains("s3cret")),
        "{verdicts:?}"
    );
    assert!(asked.try_iter().all(|sent| sent.line == "POST /v1/events/create"));
}

/// Anything that a row may say, sound or not.
fn value() -> impl Strategy<Value = String> {
    let known = [
        "Demo night",
        "2026-12-03T18:00:00Z",
        "2026-12-03T20:00",
        "Europe/Paris",
        "europe/lisbon",
        "true",
        "no",
        "90",
        "38.7",
        "-9.1",
        "demo-night",
        "https://images.lumacdn.com/a.png",
        "https://images.unsplash.com/a",
        "https://zoom.us/j/1?pwd=x",
        "private",
        "first-last",
        "required",
        "P1D",
        "PT90M",
        "#bb2dc7",
        "123456789",
        "existing-attached",
        "created-automatically",
        "webinar",
        "{\"type\":\"manual\",\"address\":\"x\"}",
        "{\"type\":\"google\",\"place_id\":\"p\",\"description\":\"d\"}",
        "{\"enabled\":true,\"delay\":\"PT1H\"}",
    ];
    prop_oneof![9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,60}"]
}

proptest! {
    #[test]
    fn whatever_row_is_sound_its_body_is_what_the_route_takes(
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
        row in prop::collection::btree_map(prop::sample::select(Field::ALL.to_vec()), value(), 0..12),
    ) {
        let mut fields = Fields::default();
        for (field, value) in [(Field::Name, "Demo"), (Field::StartAt, "2026-12-03T18:00:00Z")] {
            fields.set(field, value);
        }
        for (field, value) in row.iter().filter(|(field, _)| field.is_in(dialect)) {
            fields.set(*field, value);
        }
        let default_timezone = Some("Asia/Tokyo".to_owned());
        let cover_hosts = vec!["unsplash.com".to_owned()];
        let rules = EventRules { dialect, allow_past: true, default_timezone, cover_hosts };
        if let Ok(wanted) = parse_event(&fields, &rules, Time::from_micros(0)) {
            let body = event_body(&wanted.event, &wanted.key, "main");
            let json: Value = serde_json::from_str(body.0.expose_secret()).expect("JSON");
            let route = Routes::of(dialect).create_event;
            let faults = schema::faults(&json, schema::of_route(route).expect("documented"), "");
            prop_assert!(faults.is_empty(), "{faults:?} in {json}");
            let likeness = likeness_of(&body);
            prop_assert_eq!(likeness.is_some(), dialect == Dialect::V1);
            if let Some(likeness) = likeness {
                prop_assert_eq!(Some(likeness.start_at), wanted.event.start_at());
            }
        }
    }
}
