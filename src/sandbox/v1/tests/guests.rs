//! Guests: who is one, and who would have been sent a mail.

use super::*;
use crate::sandbox::v1::{Mail, MailKind};

const ADD: &str = "/v1/events/guests/add";
const INVITE: &str = "/v1/events/guests/send-invites";

/// A sandbox with an event, and its id.
async fn with_event(options: Options) -> (Bench, String) {
    let bench = Bench::new(options).await;
    let (_, made) = bench.post(CREATE, event("Demo", None)).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    (bench, id)
}

fn guests(event: &str, emails: &[&str]) -> Value {
    let rows: Vec<_> = emails.iter().map(|email| json!({ "email": email, "name": "Ana Lima" })).collect();
    json!({ "event_id": event, "guests": rows })
}

#[tokio::test]
async fn nobody_is_mailed_but_guests() {
    let (bench, event) = with_event(Options::default()).await;
    bench.import(&["ana@example.org"], &[]).await;
    assert_eq!(bench.sandbox.outbox_of(KEY), [], "neither an event nor an import sends mail");
    let mut silent = guests(&event, &["Ana@example.org"]);
    silent["send_email"] = false.into();
    assert_eq!(bench.post(ADD, silent).await, (200, json!({})));
    assert_eq!(bench.counts().mail_count, 0);
    assert_eq!(bench.post(ADD, guests(&event, &["bo@example.org"])).await, (200, json!({})));
    assert_eq!(bench.post(INVITE, guests(&event, &["bo@example.org", "cy@example.org"])).await.0, 200);
    let mail = |to: &str, kind| Mail { to: to.to_owned(), event_id: event.clone(), kind };
    let sent = [
        mail("bo@example.org", MailKind::Added),
        mail("bo@example.org", MailKind::Invited),
        mail("cy@example.org", MailKind::Invited),
    ];
    assert_eq!((bench.sandbox.outbox_of(KEY), bench.counts().mail_count), (sent.to_vec(), 3));
    let (_, state) = bench.get("/sandbox/state?outbox=true").await;
    assert_eq!(state["outbox"][0], json!({ "to": "bo@example.org", "event_id": event, "kind": "added" }));
    assert_eq!(bench.emails("").await, ["ana@example.org"], "guests are no contacts");
}

#[tokio::test]
async fn a_guest_is_found_by_id_and_address_and_is_unknown_to_other_events() {
    let (bench, event) = with_event(Options::default()).await;
    bench.post(ADD, guests(&event, &["ana@example.org"])).await;
    bench.post(INVITE, guests(&event, &["bo@example.org"])).await;
    let get = async |event: &str, id: &str| {
        bench.get(&format!("/v1/events/guests/get?event_id={event}&id={id}")).await
    };
    let (status, guest) = get(&event, "Ana%40example.org").await;
    assert_eq!(
        (status, &guest["user_name"], &guest["approval_status"]),
        (200, &json!("Ana Lima"), &json!("approved"))
    );
    assert_eq!(get(&event, guest["id"].as_str().expect("an id")).await.1, guest);
    assert_eq!(get(&event, "bo%40example.org").await.1["approval_status"], "invited");
    assert_eq!(get(&event, "cy%40example.org").await, (404, refusal("Guest not found.")));
    let none = (403, refusal("You don't have access to this event."));
    assert_eq!(get("evt-none", "ana%40example.org").await, none);
    assert_eq!(bench.post(ADD, guests("evt-none", &["ana@example.org"])).await, none);
    let line = "Invalid request.\n- guests: Invalid input: expected array, received undefined";
    assert_eq!(bench.post(ADD, json!({ "event_id": event })).await, (400, refusal(line)));
    let mut long = guests(&event, &[]);
    long["message"] = "a".repeat(201).into();
    assert_eq!(bench.post(INVITE, long).await.0, 400);
    let elder =
        bench.get(&format!("/public/v1/event/get-guest?event_api_id={event}&email=ana%40example.org")).await;
    assert_eq!(elder.1["guest"]["api_id"], guest["id"]);
}

#[tokio::test]
async fn who_was_sent_away_is_no_guest_and_may_be_named() {
    for (mode, answer) in
        [("silent", json!({})), ("told", json!({ "skipped": [{ "email": "Ana@example.org" }] }))]
    {
        let (bench, event) = with_event(set(&[("skipped", mode)])).await;
        bench.post(IMPORT, json!({ "contacts": [{ "email": "ana@example.org" }] })).await;
        bench.post("/v1/calendars/contacts/remove", json!({ "emails": ["ana@example.org"] })).await;
        let both = ["Ana@example.org", "bo@example.org"];
        assert_eq!(bench.post(ADD, guests(&event, &both)).await, (200, answer.clone()));
        assert_eq!(bench.counts().mail_count, 1);
        let contacts = both.map(|email| json!({ "email": email }));
        assert_eq!(bench.post(IMPORT, json!({ "contacts": contacts })).await, (200, answer));
    }
}
