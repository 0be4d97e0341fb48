//! Events: creating them, showing them, and finding them again.
//!
//! Asked twice for the same it creates two, unless their slug is one. What they have to be like is
//! `event_fields`' to say.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::body::{Complaints, Query};
use super::contacts::host;
use super::moment;
use super::paging::{Direction, Paging};
use super::settings::Settings;
use crate::clock::Time;
use crate::sandbox::answer::Answer;
use crate::sandbox::events::{Events, HeldEvent};
use crate::sandbox::state::{Calendar, Rules};

const COVER: &str = "https://images.lumacdn.com/event-defaults/sandbox.png";
/// How long an event is whose end nobody said.
const USUAL: Duration = Duration::from_hours(1);

/// Creates an event that has been checked.
pub(super) fn create(
    fields: Map<String, Value>,
    calendar: &mut Calendar<'_>,
    rules: &Rules,
) -> Result<Value, Answer> {
    if let Some(slug) = fields.get("slug").and_then(Value::as_str)
        && (is_calendar(slug, calendar).is_some() || find_by_slug(slug, calendar).is_some())
    {
        return Err(Answer::message(rules.settings.slug_taken, "This URL is already taken."));
    }
    let id = calendar.events.push(fields, calendar.now);
    Ok(json!({ "id": id }))
}

/// One event of this calendar.
pub(super) fn get(id: &str, calendar: &Calendar<'_>) -> Result<Value, Answer> {
    let mut shown = shown(find_own(id, calendar)?, calendar);
    shown["hosts"] = json!([host(calendar.place)]);
    Ok(shown)
}

/// The event with this id, unless it is another calendar's.
pub(super) fn find_own<'a>(id: &str, calendar: &'a Calendar<'_>) -> Result<&'a HeldEvent, Answer> {
    let event = calendar.events.all().iter().find(|event| event.api_id == id);
    event.ok_or_else(|| Answer::message(StatusCode::FORBIDDEN, "You don't have access to this event."))
}

/// Which event or calendar has this slug, whosever it is.
pub(super) fn find_entity(slug: &str, calendar: &Calendar<'_>) -> Value {
    if let Some(place) = is_calendar(slug, calendar) {
        let found = json!({ "id": calendar_id(place), "name": "Sandbox", "slug": slug, "avatar_url": null });
        return json!({ "entity": { "type": "calendar", "calendar": found } });
    }
    let Some(event) = find_by_slug(slug, calendar) else { return json!({ "entity": null }) };
    let (start, end) = times(event);
    let found = json!({
        "id": event.api_id,
        "name": event.fields.get("name"),
        "slug": slug,
        "cover_url": event.fields.get("cover_url").and_then(Value::as_str).unwrap_or(COVER),
        "start_at": moment::write(start),
        "end_at": moment::write(end),
    });
    json!({ "entity": { "type": "event", "event": found } })
}

/// Whether an event is on this calendar, by its id or its address.
pub(super) fn find(id: Option<&str>, url: Option<&str>, calendar: &Calendar<'_>) -> Value {
    let is_meant = |event: &&HeldEvent| match (id, url) {
        (Some(id), _) => event.api_id == id,
        (None, Some(url)) => url.trim_end_matches('/') == event.url(),
        (None, None) => false,
    };
    let found = calendar.events.all().iter().find(is_meant);
    json!({ "event": found.map(|event| json!({ "id": event.api_id, "status": "approved" })) })
}

fn find_by_slug<'a>(slug: &str, calendar: &'a Calendar<'_>) -> Option<&'a HeldEvent> {
    let others = calendar.elsewhere.iter().copied().flat_map(Events::all);
    calendar.events.all().iter().chain(others).find(|event| event.slug() == slug)
}

/// The calendar with this slug.
fn is_calendar(slug: &str, calendar: &Calendar<'_>) -> Option<u64> {
    (0..=calendar.elsewhere.len() as u64).find(|place| calendar_id(*place).strip_prefix("cal-") == Some(slug))
}

/// The id of the calendar of the key with this number.
pub(in super::super) fn calendar_id(place: u64) -> String {
    if place == 0 { "cal-sandbox".to_owned() } else { format!("cal-sandbox-{}", place + 1) }
}

/// Which events are to be listed.
pub(super) struct Wanted {
    before: Option<Time>,
    after: Option<Time>,
    is_nothing: bool,
    direction: Direction,
    paging: Paging,
}

impl Wanted {
    pub(super) fn read(query: &Query, settings: &Settings, complaints: &mut Complaints<'_>) -> Self {
        let mut moment_of = |name: &str| {
            let text = query.get(name)?;
            let moment = moment::parse(text);
            if moment.is_none() {
                complaints.add(name, "Invalid ISO datetime");
            }
            moment
        };
        let (before, after) = (moment_of("before"), moment_of("after"));
        for (index, platform) in query.all("platforms").enumerate() {
            complaints.check_choice(&format!("platforms[{index}]"), platform, &["luma", "external"]);
        }
        let status = query.get("status").unwrap_or("approved");
        complaints.check_choice("status", status, &["approved", "pending"]);
        complaints.check_choice("sort_column", query.get("sort_column").unwrap_or("start_at"), &["start_at"]);
        let asks_for_others = query.get("platforms").is_some() && query.all("platforms").all(|p| p != "luma");
        Self {
            before,
            after,
            is_nothing: asks_for_others || status == "pending",
            direction: Direction::read(query, complaints),
            paging: Paging::read(query, settings, complaints),
        }
    }

    pub(super) fn page(&self, calendar: &Calendar<'_>) -> Value {
        let key = |number: usize, event: &HeldEvent| (times(event).0, number);
        let held = calendar.events.all();
        let is_within = |start: Time| {
            self.after.is_none_or(|after| start >= after) && self.before.is_none_or(|before| start <= before)
        };
        let all = held.iter().enumerate().map(|(number, event)| (key(number, event), event));
        let mut rows: Vec<_> = all.filter(|((start, _), _)| !self.is_nothing && is_within(*start)).collect();
        rows.sort_by_key(|(key, _)| *key);
        if self.direction.descending {
            rows.reverse();
        }
        let last = self.paging.after.and_then(|number| Some(key(number, held.get(number)?)));
        let is_seen = |key: (Time, usize)| {
            last.is_some_and(|last| if self.direction.descending { key >= last } else { key <= last })
        };
        let rest = rows.into_iter().filter(|(key, _)| !is_seen(*key));
        self.paging.page(rest.map(|((_, number), event)| {
            let mut row = shown(event, calendar);
            row["tags"] = json!([]);
            (number, row)
        }))
    }
}

/// When an event begins and ends; one of the beta that says neither begins when it was made.
fn times(event: &HeldEvent) -> (Time, Time) {
    let text = |name: &str| event.fields.get(name).and_then(Value::as_str);
    let read = |name: &str| text(name).and_then(|text| moment::parse(text).or_else(|| Time::parse(text)));
    let start = read("start_at").or_else(|| Time::parse(&event.created_at)).unwrap_or(Time::from_micros(0));
    let minutes = event.fields.get("duration_minutes").and_then(Value::as_u64);
    let length = minutes.map_or(USUAL, |minutes| Duration::from_secs(minutes.saturating_mul(60)));
    (start, read("end_at").unwrap_or_else(|| start.plus(length)))
}

/// An event as `get` and `list` show it.
fn shown(event: &HeldEvent, calendar: &Calendar<'_>) -> Value {
    let field = |name: &str| event.fields.get(name).cloned();
    let text = |name: &str| event.fields.get(name).and_then(Value::as_str);
    let (start, end) = times(event);
    let description = text("description_md").unwrap_or_default();
    let place = field("geo_address_json").map_or(Value::Null, |asked| address(&asked));
    let mut shown = json!({
        "platform": "luma",
        "id": event.api_id,
        "user_id": host(calendar.place)["id"],
        "calendar_id": calendar_id(calendar.place),
        "start_at": moment::write(start),
        "duration_interval": moment::write_length(end.since(start)),
        "end_at": moment::write(end),
        "created_at": event.created_at,
        "timezone": text("timezone").unwrap_or("UTC"),
        "name": text("name"),
        "description": description,
        "description_md": description,
        "coordinate": field("coordinate"),
        "meeting_url": text("meeting_url"),
        "location_type": location_type(text("meeting_url"), place.is_object()),
        "geo_address_json": place,
        "location_visibility": "public",
        "cover_url": text("cover_url").unwrap_or(COVER),
        "url": event.url(),
        "visibility": text("visibility").unwrap_or("public"),
        "waitlist_status": "disabled",
        "feedback_email": field("feedback_email").unwrap_or_else(|| json!({ "enabled": false })),
        "max_capacity": field("max_capacity"),
    });
    if let Some(questions) = field("registration_questions") {
        shown["registration_questions"] = questions;
    }
    shown
}

/// An address as it comes back: of a place of Google no more is known here than its id.
fn address(asked: &Value) -> Value {
    let written = asked["address"].as_str().or(asked["place_id"].as_str()).unwrap_or_default();
    json!({
        "address": written,
        "city": null,
        "region": null,
        "country": null,
        "city_state": null,
        "full_address": written,
        "google_maps_place_id": asked["place_id"],
        "apple_maps_place_id": null,
        "description": asked["description"],
    })
}

fn location_type(meeting: Option<&str>, has_address: bool) -> &'static str {
    let Some(meeting) = meeting else { return if has_address { "offline" } else { "missing" } };
    let hosts = [
        ("zoom.us", "zoom"),
        ("meet.google.com", "meet"),
        ("youtube.com", "youtube"),
        ("twitch.tv", "twitch"),
        ("discord.", "discord"),
        ("twitter.com", "twitter"),
    ];
    hosts.iter().find(|(host, _)| meeting.contains(host)).map_or("unknown", |(_, kind)| kind)
}
