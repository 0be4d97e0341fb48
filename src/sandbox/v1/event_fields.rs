//! What is demanded of an event, field by field.
//!
//! Knows nothing of the events that there are; a slug that is taken is theirs to tell.

use serde_json::{Map, Value};

use super::body::{Complaints, Object};
use super::moment;

const FIELDS: [&str; 20] = [
    "name",
    "start_at",
    "end_at",
    "timezone",
    "description_md",
    "cover_url",
    "visibility",
    "slug",
    "max_capacity",
    "meeting_url",
    "geo_address_json",
    "coordinate",
    "name_requirement",
    "phone_number_requirement",
    "can_register_for_multiple_tickets",
    "show_guest_list",
    "reminders_disabled",
    "feedback_email",
    "tint_color",
    "registration_questions",
];
const IMAGES: &str = "https://images.lumacdn.com/";
const KINDS: [&str; 15] = [
    "agree-check",
    "company",
    "dropdown",
    "github",
    "instagram",
    "linkedin",
    "long-text",
    "multi-select",
    "phone-number",
    "telegram",
    "text",
    "twitter",
    "url",
    "youtube",
    "terms",
];
/// The largest integer that every JSON reader keeps whole.
const SAFE: u64 = (1 << 53) - 1;
const MOST_OPTIONS: usize = 250;

/// Complains of everything that is wrong with an event.
pub(super) fn check(fields: &Map<String, Value>, complaints: &mut Complaints<'_>) {
    let event = Object::whole(fields);
    complaints.only(&event, &FIELDS);
    complaints.needed_text(&event, "name");
    check_times(&event, complaints);
    complaints.choice(&event, "visibility", &["public", "members-only", "private"]);
    complaints.choice(&event, "name_requirement", &["full-name", "first-last"]);
    complaints.choice_or_null(&event, "phone_number_requirement", &["optional", "required"]);
    for flag in ["can_register_for_multiple_tickets", "show_guest_list", "reminders_disabled"] {
        complaints.flag(&event, flag);
    }
    check_texts(&event, complaints);
    check_place(&event, complaints);
    check_capacity(&event, complaints);
    if let Some(feedback) = complaints.object(&event, "feedback_email") {
        complaints.needed_flag(&feedback, "enabled");
        if complaints.text(&feedback, "delay").is_some_and(|delay| !moment::is_within_a_week(delay)) {
            complaints.add("feedback_email.delay", "Invalid duration: expected no more than P7D");
        }
    }
    if event.get("registration_questions").is_some() {
        let questions = complaints.needed_list(&event, "registration_questions");
        for question in complaints.objects(&event, "registration_questions", questions) {
            check_question(&question, complaints);
        }
    }
}

fn check_times(event: &Object<'_>, complaints: &mut Complaints<'_>) {
    complaints.needed_text(event, "start_at");
    complaints.text(event, "end_at");
    let mut moment_of = |name: &str| {
        let text = event.get(name)?.as_str()?;
        let moment = moment::parse(text);
        if moment.is_none() {
            complaints.add(name, "Invalid ISO datetime");
        }
        moment
    };
    let (start, end) = (moment_of("start_at"), moment_of("end_at"));
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        complaints.add("end_at", "Invalid input: expected a moment after start_at");
    }
    let zone = complaints.needed_text(event, "timezone");
    if event.get("timezone").is_some_and(Value::is_string) && jiff::tz::TimeZone::get(zone).is_err() {
        complaints.add("timezone", "Invalid timezone");
    }
}

fn check_texts(event: &Object<'_>, complaints: &mut Complaints<'_>) {
    complaints.text(event, "meeting_url");
    if let Some(cover) = complaints.text(event, "cover_url")
        && event.get("cover_url").is_some_and(Value::is_string)
        && !cover.starts_with(IMAGES)
    {
        complaints.add("cover_url", &format!("Invalid string: must begin with {IMAGES}"));
    }
    if complaints
        .text(event, "description_md")
        .is_some_and(|text| !images(text).all(|at| at.starts_with(IMAGES)))
    {
        complaints.add("description_md", &format!("Invalid image: must begin with {IMAGES}"));
    }
    if let Some(slug) = event.get("slug").and_then(Value::as_str) {
        match slug.chars().count() {
            ..3 => complaints.add("slug", "Too small: expected string to have >=3 characters"),
            3..=50 => {}
            _ => complaints.add("slug", "Too big: expected string to have <=50 characters"),
        }
    } else {
        complaints.text(event, "slug");
    }
    let is_color = |text: &str| {
        text.strip_prefix('#').is_some_and(|hex| {
            matches!(hex.len(), 3 | 6 | 8) && hex.bytes().all(|letter| letter.is_ascii_hexdigit())
        })
    };
    if let Some(color) = event.get("tint_color").and_then(Value::as_str) {
        if !is_color(color) {
            complaints.add("tint_color", "Invalid hex color");
        }
    } else {
        complaints.text(event, "tint_color");
    }
}

/// Where the images of a text in Markdown lie.
fn images(text: &str) -> impl Iterator<Item = &str> {
    text.split("![").skip(1).filter_map(|rest| {
        let (_, address) = rest.split_once("](")?;
        address.split([')', ' ']).next()
    })
}

fn check_place(event: &Object<'_>, complaints: &mut Complaints<'_>) {
    if let Some(address) = complaints.object(event, "geo_address_json") {
        match address.get("type").and_then(Value::as_str) {
            Some("manual") => {
                complaints.needed_text(&address, "address");
            }
            Some("google") => {
                complaints.needed_text(&address, "place_id");
                complaints.text_or_null(&address, "description");
            }
            Some(other) => complaints.check_choice("geo_address_json.type", other, &["manual", "google"]),
            None => {
                complaints.needed_text(&address, "type");
            }
        }
    }
    if let Some(coordinate) = complaints.object(event, "coordinate") {
        complaints.needed_number(&coordinate, "longitude");
        complaints.needed_number(&coordinate, "latitude");
    }
}

fn check_capacity(event: &Object<'_>, complaints: &mut Complaints<'_>) {
    let Some(capacity) = event.get("max_capacity").filter(|value| !value.is_null()) else { return };
    if !capacity.is_number() {
        complaints.needed_number(event, "max_capacity");
    } else if capacity.as_i64().is_none_or(|number| number.unsigned_abs() > SAFE) {
        complaints.add("max_capacity", "Invalid input: expected int, received number");
    }
}

fn check_question(question: &Object<'_>, complaints: &mut Complaints<'_>) {
    complaints.needed_text(question, "id");
    complaints.needed_text(question, "label");
    complaints.needed_flag(question, "required");
    let kind = complaints.needed_text(question, "question_type");
    if question.get("question_type").is_some_and(Value::is_string) {
        complaints.check_choice(&question.path("question_type"), kind, &KINDS);
    }
    if matches!(kind, "dropdown" | "multi-select") {
        complaints.needed_list(question, "options");
        if complaints.texts(question, "options", false).len() > MOST_OPTIONS {
            let most = format!("Too big: expected array to have <={MOST_OPTIONS} items");
            complaints.add(&question.path("options"), &most);
        }
    }
    if kind == "terms" {
        match complaints.object(question, "terms") {
            Some(terms) => check_terms(&terms, complaints),
            None if question.get("terms").is_none() => {
                complaints.add(&question.path("terms"), "Invalid input: expected object, received undefined");
            }
            None => {}
        }
    }
}

fn check_terms(terms: &Object<'_>, complaints: &mut Complaints<'_>) {
    complaints.needed_flag(terms, "collect_signature");
    match complaints.needed_text(terms, "content_type") {
        "text" => complaints.needed_text(terms, "content_md"),
        "link" => complaints.needed_text(terms, "url"),
        other => {
            complaints.check_choice(&terms.path("content_type"), other, &["text", "link"]);
            ""
        }
    };
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use serde_json::json;

    /// What is said of a sound event with one field changed.
    fn told(name: &str, value: Value) -> Vec<String> {
        let mut fields =
            json!({ "name": "Demo", "start_at": "2026-12-03T18:00Z", "timezone": "Europe/Lisbon" });
        fields[name] = value;
        let settings = Settings::default();
        let mut complaints = Complaints::new(&settings);
        check(fields.as_object().expect("an object"), &mut complaints);
        complaints.into_lines()
    }

    #[test]
    fn sound_values_of_every_field_pass() {
        let question =
            |kind: &str| json!({ "id": "a", "label": "b", "required": true, "question_type": kind });
        let mut menu = question("dropdown");
        menu["options"] = json!(vec!["a"; 250]);
        let mut terms = question("terms");
        terms["terms"] =
            json!({ "content_type": "link", "url": "https://a.org", "collect_signature": false });
        let simple: Vec<Value> = KINDS
            .iter()
            .filter(|kind| !matches!(**kind, "dropdown" | "multi-select" | "terms"))
            .map(|kind| question(kind))
            .collect();
        for (name, value) in [
            ("end_at", json!("2026-12-03T20:00:00.000+01:00")),
            ("description_md", json!("Six. ![a](https://images.lumacdn.com/a.png) [b](https://b.org)")),
            ("cover_url", json!("https://images.lumacdn.com/a.png")),
            ("visibility", json!("members-only")),
            ("slug", json!("abc")),
            ("max_capacity", json!(null)),
            ("max_capacity", json!(SAFE)),
            ("meeting_url", json!("https://meet.example.org/a")),
            ("geo_address_json", json!({ "type": "manual", "address": "Rua 1" })),
            ("geo_address_json", json!({ "type": "google", "place_id": "a", "description": null })),
            ("coordinate", json!({ "longitude": -9.1, "latitude": 38 })),
            ("name_requirement", json!("first-last")),
            ("phone_number_requirement", json!(null)),
            ("can_register_for_multiple_tickets", json!(true)),
            ("feedback_email", json!({ "enabled": true, "delay": "P7D" })),
            ("tint_color", json!("#1a2B3c")),
            ("registration_questions", json!(simple)),
            ("registration_questions", json!([menu, terms])),
            ("something_else", json!(1)),
        ] {
            assert_eq!(told(name, value), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn each_wrong_field_has_its_line() {
        for (name, value, line) in [
            ("name", json!(null), "name: Invalid input: expected string, received null"),
            ("start_at", json!("2026-02-31T18:00Z"), "start_at: Invalid ISO datetime"),
            ("end_at", json!("2026-12-03T18:00Z"), "end_at: Invalid input: expected a moment after start_at"),
            ("timezone", json!("Europe/Nowhere"), "timezone: Invalid timezone"),
            (
                "description_md",
                json!("![a](https://a.org/a.png)"),
                "description_md: Invalid image: must begin with https://images.lumacdn.com/",
            ),
            (
                "cover_url",
                json!("https://cdn.lu.ma/a.png"),
                "cover_url: Invalid string: must begin with https://images.lumacdn.com/",
            ),
            (
                "visibility",
                json!("secret"),
                "visibility: Invalid option: expected one of \"public\"|\"members-only\"|\"private\"",
            ),
            ("visibility", json!(1), "visibility: Invalid input: expected string, received number"),
            ("slug", json!("ab"), "slug: Too small: expected string to have >=3 characters"),
            ("slug", json!("a".repeat(51)), "slug: Too big: expected string to have <=50 characters"),
            ("slug", json!(7), "slug: Invalid input: expected string, received number"),
            ("max_capacity", json!("9"), "max_capacity: Invalid input: expected number, received string"),
            ("max_capacity", json!(1.5), "max_capacity: Invalid input: expected int, received number"),
            ("meeting_url", json!([]), "meeting_url: Invalid input: expected string, received array"),
            (
                "geo_address_json",
                json!({ "type": "manual" }),
                "geo_address_json.address: Invalid input: expected string, received undefined",
            ),
            (
                "geo_address_json",
                json!({ "type": "near" }),
                "geo_address_json.type: Invalid option: expected one of \"manual\"|\"google\"",
            ),
            (
                "coordinate",
                json!({ "longitude": 1 }),
                "coordinate.latitude: Invalid input: expected number, received undefined",
            ),
            (
                "show_guest_list",
                json!("yes"),
                "show_guest_list: Invalid input: expected boolean, received string",
            ),
            (
                "feedback_email",
                json!({ "enabled": true, "delay": "P8D" }),
                "feedback_email.delay: Invalid duration: expected no more than P7D",
            ),
            ("tint_color", json!("blue"), "tint_color: Invalid hex color"),
            (
                "registration_questions",
                json!([{ "id": "a", "label": "b", "required": true, "question_type": "dropdown" }]),
                "registration_questions[0].options: Invalid input: expected array, received undefined",
            ),
        ] {
            assert_eq!(told(name, value), [line], "{name}");
        }
    }
}
