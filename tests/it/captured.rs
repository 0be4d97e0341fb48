//! Every request that the binary makes, held against what is written down about the routes, in both dialects.

use lumasync::sandbox::{Options, Request};
use serde_json::Value;

use crate::support::Bench;

#[path = "../../src/luma/tests/schema.rs"]
mod schema;

/// What may follow the `?` of a question.
fn query_of(route: &str) -> Option<&'static [&'static str]> {
    Some(match route {
        "GET /user" | "GET /v1/users/get-self" | "GET /v1/calendars/contact-tags/list" => &[],
        "GET /v1/calendars/contacts/list" => &[
            "query",
            "tags",
            "calendar_membership_tier_id",
            "membership_status",
            "pagination_cursor",
            "pagination_limit",
            "sort_column",
            "sort_direction",
        ],
        "GET /v1/calendars/events/list" => &[
            "before",
            "after",
            "platforms",
            "status",
            "pagination_cursor",
            "pagination_limit",
            "sort_column",
            "sort_direction",
        ],
        "GET /v1/entity/lookup" | "GET /v1/entities/lookup" => &["slug"],
        _ => return None,
    })
}

/// What is wrong with a request; nothing where it is as the route wants it.
fn faults(request: &Request) -> Vec<String> {
    let route = format!("{} {}", request.method, request.path);
    let header = |name: &str| request.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut found = Vec::new();
    if request.method == "GET" {
        let pairs = url::form_urlencoded::parse(request.query.as_bytes());
        match query_of(&route) {
            Some(known) => found.extend(
                pairs
                    .filter(|(key, _)| !known.contains(&key.as_ref()))
                    .map(|(key, _)| format!("?{key}: unknown")),
            ),
            None => found.push("no such route".to_owned()),
        }
    } else {
        let body = request.body.as_deref().unwrap_or_default();
        match (schema::of_route(&route), serde_json::from_slice::<Value>(body)) {
            (Some(is), Ok(body)) => found.extend(schema::faults(&body, is, "")),
            (is, body) => found.push(format!("known: {}, JSON: {}", is.is_some(), body.is_ok())),
        }
        if !header("content-type") || !request.query.is_empty() {
            found.push("a body is JSON, and there is no query beside it".to_owned());
        }
    }
    found.into_iter().map(|fault| format!("{route} {fault}")).collect()
}

/// Members, events and questions, and everything that was asked for them.
fn asked_for_everything(dialect: &str, extra: &str, events: &str) -> Vec<Request> {
    let known_tags = ["tag-vip=VIP", "tag-press=press"].map(str::to_owned).to_vec();
    let options = Options { limit: None, known_tags, record: true, ..Options::default() };
    let bench = Bench::with(options, &format!("luma.dialect = \"{dialect}\"\n{extra}"));
    bench.scratch.write(
        "members.csv",
        "email,name,tags\nana@example.org,Ana \"A\" Lima,vip\nbo+1@example.org,,vip;press\ncy@example.org,Çy,\n",
    );
    bench.scratch.write("events.jsonl", events);
    bench.sync(["members.csv"]).run().with_code(0);
    bench.sync(["--kind", "events", "events.jsonl"]).run().with_code(0);
    bench.lumasync(["check", "--connect"]).run().with_code(0);
    bench.luma.requests()
}

#[track_caller]
fn all_are_sound(requests: &[Request], routes: &[&str]) {
    for request in requests {
        assert_eq!(faults(request), Vec::<String>::new());
    }
    for route in routes {
        let is_it = |request: &&Request| format!("{} {}", request.method, request.path) == *route;
        assert!(requests.iter().any(|request| is_it(&request)), "`{route}` was never asked for");
    }
}

#[test]
fn the_beta_is_asked_as_its_document_says() {
    let event = r#"{"name":"Demo","start_at":"2099-12-03T18:00:00Z","duration_minutes":90,"require_rsvp":true,
        "require_rsvp_approval":true,"cover_url":"https://images.unsplash.com/a","zoom_creation_method":"manually-entered",
        "zoom_meeting_url":"https://zoom.us/j/1","zoom_meeting_password":"s3cret","zoom_session_type":"meeting",
        "community_api_id":"com-1"}"#;
    let events = format!("{}\n{{\"name\":\"Bare\"}}\n", event.replace('\n', ""));
    let requests = asked_for_everything("beta-2021", "", &events);
    all_are_sound(&requests, &["GET /user", "POST /user/audience/import", "POST /event/create"]);
}

#[test]
fn todays_api_is_asked_as_its_schema_says() {
    let event = r##"{"name":"Demo","start_at":"2099-12-03T18:00:00Z","timezone":"Europe/Paris","duration_minutes":90,
        "description_md":"**Hello**","visibility":"members-only","max_capacity":40,"meeting_url":"https://meet.example.org/a",
        "geo_address":"1 Rue de Rivoli","latitude":48.85,"longitude":2.35,"name_requirement":"full-name",
        "phone_number_requirement":"optional","show_guest_list":false,"feedback_email":"P1D","tint_color":"#bb2dc7",
        "cover_url":"https://images.lumacdn.com/a"}"##;
    let bare =
        r#"{"name":"Bare","start_at":"2099-12-04T18:00:00+01:00","timezone":"UTC","slug":"bare-2099"}"#;
    let events = format!("{}\n{bare}\n", event.replace('\n', ""));
    let requests = asked_for_everything("v1", "", &events);
    let routes = [
        "GET /v1/users/get-self",
        "GET /v1/calendars/contact-tags/list",
        "POST /v1/calendars/contacts/import",
        "POST /v1/events/create",
    ];
    all_are_sound(&requests, &routes);
}
