//! An event as today's API takes it: a name, a start and a zone, and much that may be left out.

use std::fmt;
use std::time::Duration;

use super::parse::{Problem, Reading, cover, https, invalid, minutes};
use super::{Coordinate, EventRules, Field, GeoAddress, Slug};
use crate::clock::Time;
use crate::domain::code::Code;

/// An event for today's API, found sound.
#[derive(Clone, Debug)]
pub struct V1Event(V1Fields);

/// What it says.
#[derive(Clone, Debug)]
pub struct V1Fields {
    /// Its name.
    pub name: String,
    /// When it begins.
    pub start_at: Time,
    /// When it ends; after it begins.
    pub end_at: Option<Time>,
    /// Its zone, by its IANA name.
    pub timezone: String,
    /// Its picture.
    pub cover_url: Option<String>,
    /// What it is about, in Markdown.
    pub description_md: Option<String>,
    /// Who sees it.
    pub visibility: Option<&'static str>,
    /// The end of its address, where the row names one.
    pub slug: Option<Slug>,
    /// How many may come.
    pub max_capacity: Option<u64>,
    /// Where it meets online.
    pub meeting_url: Option<String>,
    /// Where it is.
    pub geo_address: Option<GeoAddress>,
    /// Where that is on the map.
    pub coordinate: Option<Coordinate>,
    /// How guests give their names.
    pub name_requirement: Option<&'static str>,
    /// Whether guests give their numbers.
    pub phone_number_requirement: Option<&'static str>,
    /// Whether one guest may take several tickets.
    pub can_register_for_multiple_tickets: Option<bool>,
    /// Whether guests see who else comes.
    pub show_guest_list: Option<bool>,
    /// Whether Luma sends no reminders.
    pub reminders_disabled: Option<bool>,
    /// Whether and when guests are asked how it was.
    pub feedback_email: Option<FeedbackEmail>,
    /// The colour of its page.
    pub tint_color: Option<String>,
}

/// Whether and when guests are asked how it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedbackEmail {
    /// They are not.
    Off,
    /// They are, so long after its end: an ISO 8601 duration of at most seven days.
    On(Option<String>),
}

impl fmt::Display for FeedbackEmail {
    /// As a row may say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "false",
            Self::On(None) => "true",
            Self::On(Some(delay)) => delay,
        })
    }
}

const IMAGES: &str = "images.lumacdn.com";
const VISIBILITIES: [&str; 3] = ["public", "members-only", "private"];
/// The largest whole number that JSON carries safely.
const LARGEST: u64 = (1 << 53) - 1;
const SEVEN_DAYS: i64 = 7 * 24 * 60 * 60;

impl V1Event {
    /// What it says.
    #[must_use]
    pub const fn fields(&self) -> &V1Fields {
        &self.0
    }

    /// What the fields say; nothing only where a problem was found.
    pub(super) fn read(reading: &mut Reading<'_>, rules: &EventRules, now: Time) -> Option<Self> {
        let name = reading.name();
        let (start_at, end_at, timezone) = reading.times(rules, now);
        let hosts = [IMAGES.to_owned()];
        let fields = V1Fields {
            name,
            cover_url: reading.text(Field::CoverUrl, |text| cover(text, &hosts)),
            description_md: reading.text(Field::DescriptionMd, description),
            visibility: reading.one_of(Field::Visibility, &VISIBILITIES),
            slug: reading.text(Field::Slug, Slug::parse),
            max_capacity: reading.text(Field::MaxCapacity, capacity),
            meeting_url: reading.text(Field::MeetingUrl, |text| https(text).map(|_| text.to_owned())),
            geo_address: reading.geo_address(),
            coordinate: reading.coordinate(),
            name_requirement: reading.one_of(Field::NameRequirement, &["full-name", "first-last"]),
            phone_number_requirement: reading
                .one_of(Field::PhoneNumberRequirement, &["optional", "required"]),
            can_register_for_multiple_tickets: reading.answer(Field::CanRegisterForMultipleTickets),
            show_guest_list: reading.answer(Field::ShowGuestList),
            reminders_disabled: reading.answer(Field::RemindersDisabled),
            feedback_email: reading.text(Field::FeedbackEmail, feedback_email),
            tint_color: reading.text(Field::TintColor, tint_color),
            start_at: start_at?,
            end_at,
            timezone: timezone?,
        };
        Some(Self(fields))
    }
}

impl Reading<'_> {
    /// Start, end and zone.
    fn times(&mut self, rules: &EventRules, now: Time) -> (Option<Time>, Option<Time>, Option<String>) {
        for field in [Field::StartAt, Field::Timezone] {
            let is_set = field == Field::Timezone && rules.default_timezone.is_some();
            if self.fields.get(field).is_none() && !is_set {
                let (code, how) = if field == Field::StartAt {
                    (Code::StartInvalid, "write it like `2026-12-03T18:00:00Z`")
                } else {
                    (
                        Code::FieldInvalid,
                        "write its IANA name, like `Europe/Paris`, or set `events.default_timezone`",
                    )
                };
                let said = format!("is empty, and every event of the dialect `v1` needs one: {how}");
                self.problems.push(Problem { field, code, said });
            }
        }
        let zone = self.zone(rules);
        let start = self.start(&zone, rules, now);
        let end = self.moment(Field::EndAt, Code::FieldInvalid, &zone);
        let length = self.text(Field::DurationMinutes, minutes);
        if self.fields.get(Field::EndAt).is_some() && self.fields.get(Field::DurationMinutes).is_some() {
            let why = "says what `end_at` says: keep one of the two";
            self.problems.push(Problem::conflict(Field::DurationMinutes, why));
        }
        if let (Some(start), Some(end)) = (start, end)
            && end <= start
        {
            self.problems.push(Problem::conflict(Field::EndAt, "is not after `start_at`"));
        }
        let by_length =
            start.zip(length).map(|(start, length)| start.plus(Duration::from_mins(length.into())));
        let name = zone.get().and_then(|zone| zone.iana_name()).map(str::to_owned);
        (start, end.or(by_length), name)
    }
}

/// Luma shows only images of its own.
fn description(text: &str) -> Result<String, (Code, String)> {
    let mut rest = text;
    while let Some(at) = rest.find("![") {
        rest = &rest[at + 2..];
        let Some(target) = rest.split_once(']').and_then(|(_, after)| after.strip_prefix('(')) else {
            continue;
        };
        let target = target.split([')', ' ', '\n']).next().unwrap_or_default();
        if cover(target, &[IMAGES.to_owned()]).is_err() {
            let shown: String = target.chars().take(60).collect();
            return Err(invalid(format!(
                "shows the image `{shown}`, and Luma takes only those on `{IMAGES}`"
            )));
        }
    }
    Ok(text.to_owned())
}

fn capacity(text: &str) -> Result<u64, (Code, String)> {
    let number = text.parse().ok().filter(|number| (1..=LARGEST).contains(number));
    number.ok_or_else(|| invalid("is no whole number from 1".to_owned()))
}

/// `true`, `false`, a time after the end, or what the API takes.
fn feedback_email(text: &str) -> Result<FeedbackEmail, (Code, String)> {
    let wrong = || {
        let why = "is neither `true` nor `false` nor a time after the end of at most seven days, like `P1D` or `PT12H`";
        invalid(why.to_owned())
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => return Ok(FeedbackEmail::On(None)),
        "false" | "no" | "0" => return Ok(FeedbackEmail::Off),
        _ if !text.starts_with('{') => {
            return delay(text).map(|delay| FeedbackEmail::On(Some(delay))).ok_or_else(wrong);
        }
        _ => {}
    }
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|_| wrong())?;
    let is_known = object.keys().all(|name| name == "enabled" || name == "delay");
    let given = object.get("delay").filter(|delay| !delay.is_null());
    let after = given.map(|given| given.as_str().and_then(delay).ok_or_else(wrong)).transpose()?;
    match (object.get("enabled").and_then(serde_json::Value::as_bool), after) {
        (Some(true), after) if is_known => Ok(FeedbackEmail::On(after)),
        (Some(false), None) if is_known => Ok(FeedbackEmail::Off),
        _ => Err(wrong()),
    }
}

/// An ISO 8601 duration of days and less, at most seven days.
fn delay(text: &str) -> Option<String> {
    let text = text.to_ascii_uppercase();
    let span: jiff::Span = text.parse().ok().filter(|_| text.starts_with('P'))?;
    let is_short = span.get_years() == 0 && span.get_months() == 0 && !span.is_negative();
    let seconds = (i64::from(span.get_weeks()) * 7 + i64::from(span.get_days())) * 86_400
        + i64::from(span.get_hours()) * 3_600
        + span.get_minutes() * 60
        + span.get_seconds();
    (is_short && seconds <= SEVEN_DAYS).then_some(text)
}

fn tint_color(text: &str) -> Result<String, (Code, String)> {
    let digits = text.strip_prefix('#').filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    if digits.is_some_and(|digits| matches!(digits.len(), 3 | 6)) {
        Ok(text.to_owned())
    } else {
        Err(invalid("is no colour: write it like `#bb2dc7`".to_owned()))
    }
}

#[cfg(test)]
mod tests;
