//! What each route is documented to take, and a checker that holds a body against it.

use serde_json::{Map, Value};

/// What a value must be.
#[derive(Clone, Copy)]
pub(super) enum Is {
    Text,
    /// From so many to so many characters.
    Sized(usize, usize),
    /// A moment with an offset, on a day that exists.
    Moment,
    /// A zone by its IANA name.
    Zone,
    /// An address that begins so.
    Url(&'static str),
    OneOf(&'static [&'static str]),
    Whole,
    Number,
    Answer,
    /// An ISO 8601 duration of at most seven days.
    Delay,
    List(&'static Is),
    Object(&'static [Key]),
    /// Any of these.
    Either(&'static [Is]),
}

/// A key of an object: its name, whether it is required, and what it must be.
pub(super) type Key = (&'static str, bool, Is);

const CONTACT: [Key; 2] = [("email", true, Is::Text), ("name", false, Is::Text)];
const POINT: [Key; 2] = [("longitude", true, Is::Number), ("latitude", true, Is::Number)];
const MANUAL: [Key; 2] = [("type", true, Is::OneOf(&["manual"])), ("address", true, Is::Text)];
const GOOGLE: [Key; 3] =
    [("type", true, Is::OneOf(&["google"])), ("place_id", true, Is::Text), ("description", false, Is::Text)];
const FEEDBACK: [Key; 2] = [("enabled", true, Is::Answer), ("delay", false, Is::Delay)];

/// What a route takes; nothing is known of others.
pub(super) fn of_route(route: &str) -> Option<Is> {
    Some(Is::Object(match route {
        "POST /user/audience/import" => {
            &[("emails", true, Is::List(&Is::Text)), ("member_tag_api_ids", false, Is::List(&Is::Text))]
        }
        "POST /event/create" => &[
            ("name", true, Is::Text),
            ("start_at", false, Is::Moment),
            ("cover_url", false, Is::Url("https://")),
            ("duration_minutes", false, Is::Whole),
            ("require_rsvp", false, Is::Answer),
            ("require_rsvp_approval", false, Is::Answer),
            (
                "zoom_creation_method",
                false,
                Is::OneOf(&["created-automatically", "existing-attached", "manually-entered"]),
            ),
            ("zoom_meeting_id", false, Is::Text),
            ("zoom_meeting_password", false, Is::Text),
            ("zoom_meeting_url", false, Is::Url("https://")),
            ("zoom_session_type", false, Is::OneOf(&["meeting", "webinar"])),
            ("community_api_id", false, Is::Text),
        ],
        "POST /v1/calendars/contacts/import" => {
            &[("contacts", true, Is::List(&Is::Object(&CONTACT))), ("tags", false, Is::List(&Is::Text))]
        }
        "POST /v1/calendars/contact-tags/create" => &[("name", true, Is::Text)],
        "POST /v1/calendars/contact-tags/apply" => {
            &[("tag", true, Is::Text), ("emails", false, Is::List(&Is::Text))]
        }
        "POST /v1/events/create" => &[
            ("name", true, Is::Text),
            ("start_at", true, Is::Moment),
            ("timezone", true, Is::Zone),
            ("end_at", false, Is::Moment),
            ("description_md", false, Is::Text),
            ("cover_url", false, Is::Url("https://images.lumacdn.com/")),
            ("visibility", false, Is::OneOf(&["public", "members-only", "private"])),
            ("slug", false, Is::Sized(3, 50)),
            ("max_capacity", false, Is::Whole),
            ("meeting_url", false, Is::Text),
            ("geo_address_json", false, Is::Either(&[Is::Object(&MANUAL), Is::Object(&GOOGLE)])),
            ("coordinate", false, Is::Object(&POINT)),
            ("name_requirement", false, Is::OneOf(&["full-name", "first-last"])),
            ("phone_number_requirement", false, Is::OneOf(&["optional", "required"])),
            ("can_register_for_multiple_tickets", false, Is::Answer),
            ("show_guest_list", false, Is::Answer),
            ("reminders_disabled", false, Is::Answer),
            ("feedback_email", false, Is::Object(&FEEDBACK)),
            ("tint_color", false, Is::Text),
        ],
        _ => return None,
    }))
}

/// What is wrong with a value, each with the path to it.
pub(super) fn faults(value: &Value, is: Is, path: &str) -> Vec<String> {
    let text = value.as_str();
    let fits = |fits: bool| if fits { Vec::new() } else { vec![format!("{path}: {value}")] };
    match is {
        Is::Text => fits(text.is_some()),
        Is::Sized(least, most) => {
            fits(text.is_some_and(|text| (least..=most).contains(&text.chars().count())))
        }
        Is::Moment => {
            fits(text.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok() && text.contains('T')))
        }
        Is::Zone => fits(text.is_some_and(|text| {
            jiff::tz::TimeZone::get(text).is_ok_and(|zone| zone.iana_name() == Some(text))
        })),
        Is::Url(begin) => {
            fits(text.is_some_and(|text| text.starts_with(begin) && url::Url::parse(text).is_ok()))
        }
        Is::OneOf(words) => fits(text.is_some_and(|text| words.contains(&text))),
        Is::Whole => fits(value.is_i64() || value.is_u64()),
        Is::Number => fits(value.is_number()),
        Is::Answer => fits(value.is_boolean()),
        Is::Delay => fits(text.is_some_and(is_short)),
        Is::List(item) => match value.as_array() {
            Some(items) => {
                let each = |(place, value)| faults(value, *item, &format!("{path}[{place}]"));
                items.iter().enumerate().flat_map(each).collect()
            }
            None => fits(false),
        },
        Is::Object(keys) => match value.as_object() {
            Some(object) => of_object(object, keys, path),
            None => fits(false),
        },
        Is::Either(choices) => fits(choices.iter().any(|choice| faults(value, *choice, path).is_empty())),
    }
}

fn of_object(object: &Map<String, Value>, keys: &[Key], path: &str) -> Vec<String> {
    let unknown = object.keys().filter(|name| keys.iter().all(|(known, ..)| known != name));
    let mut found: Vec<String> = unknown.map(|name| format!("{path}.{name}: unknown")).collect();
    for (name, is_required, is) in keys {
        match object.get(*name) {
            Some(value) => found.extend(faults(value, *is, &format!("{path}.{name}"))),
            None if *is_required => found.push(format!("{path}.{name}: missing")),
            None => {}
        }
    }
    found
}

fn is_short(text: &str) -> bool {
    let Ok(span) = text.parse::<jiff::SignedDuration>().or_else(|_| {
        text.parse::<jiff::Span>()
            .and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()))
    }) else {
        return false;
    };
    text.starts_with('P') && !span.is_negative() && span <= jiff::SignedDuration::from_hours(7 * 24)
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let good = serde_json::json!({
        "name": "Demo", "start_at": "2026-12-03T18:00:00.000Z", "timezone": "Europe/Paris",
        "geo_address_json": {"type": "google", "place_id": "p"}, "coordinate": {"longitude": 1, "latitude": 2.5},
        "feedback_email": {"enabled": true, "delay": "P1D"}, "cover_url": "https://images.lumacdn.com/a",
    });
    let is = of_route("POST /v1/events/create").expect("known");
    assert_eq!(faults(&good, is, ""), Vec::<String>::new());
    for (name, value) in [
        ("name", serde_json::json!(null)),
        ("start_at", serde_json::json!("2026-02-31T18:00:00Z")),
        ("start_at", serde_json::json!("2026-02-01T18:00:00")),
        ("timezone", serde_json::json!("europe/paris")),
        ("slug", serde_json::json!("ab")),
        ("max_capacity", serde_json::json!(1.5)),
        ("visibility", serde_json::json!("Public")),
        ("show_guest_list", serde_json::json!(1)),
        ("geo_address_json", serde_json::json!({"type": "google", "address": "x"})),
        ("coordinate", serde_json::json!({"longitude": 1})),
        ("feedback_email", serde_json::json!({"enabled": true, "delay": "P8D"})),
        ("cover_url", serde_json::json!("https://elsewhere.org/a")),
        ("duration_minutes", serde_json::json!(5)),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert_eq!(faults(&bad, is, "").len(), 1, "{bad}");
        bad.as_object_mut().expect("an object").remove("name");
        assert!(!faults(&bad, is, "").is_empty());
    }
}
