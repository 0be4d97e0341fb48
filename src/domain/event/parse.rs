//! From the fields of a row to an event, or to all that is wrong with them at once.

use url::{Host, Url};

use super::start::{moment, zone};
use super::{ClientKey, Event, Field, Fields, HIDDEN, Rsvp, Zoom, hide};
use crate::clock::Time;
use crate::domain::code::Code;

/// What a configuration says of events.
#[derive(Clone, Debug, Default)]
pub struct EventRules {
    /// Events that have begun already may be created too.
    pub allow_past: bool,
    /// The zone of times that have none.
    pub default_timezone: Option<String>,
    /// Hosts that covers may lie on, and all below them.
    pub cover_hosts: Vec<String>,
}

impl EventRules {
    /// Why an event that begins at `start` is created no more, where that is so.
    #[must_use]
    pub fn too_late(&self, start: Time, now: Time) -> Option<&'static str> {
        (start < now && !self.allow_past)
            .then_some("is in the past: write a later one, or set `events.allow_past = true`")
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub field: Field,
    /// The outcome.
    pub code: Code,
    /// The value and what is wrong with it; reads on after the field's name.
    pub said: String,
}

impl Problem {
    pub(super) fn conflict(field: Field, why: impl Into<String>) -> Self {
        Self { field, code: Code::FieldsConflict, said: why.into() }
    }
}

/// Problems in words; `column` says where a field stands, where that is known.
#[must_use]
pub fn said(problems: &[Problem], column: impl Fn(Field) -> Option<u64>) -> String {
    let one = |problem: &Problem| {
        let at = column(problem.field).map(|column| format!(" (column {column})")).unwrap_or_default();
        format!("`{}`{at} {}", problem.field, problem.said)
    };
    problems.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// An event that somebody wants, and what tells it from all others.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The event.
    pub event: Event,
    /// What tells it from others.
    pub key: ClientKey,
}

/// The reading of one row.
pub(super) struct Reading<'a> {
    pub(super) fields: &'a Fields,
    pub(super) problems: Vec<Problem>,
}

/// Reads a row, at this moment.
pub fn parse_event(fields: &Fields, rules: &EventRules, now: Time) -> Result<Wanted, Vec<Problem>> {
    let mut reading = Reading { fields, problems: Vec::new() };
    let name = reading.name();
    let start_at = reading.start_at(rules, now);
    let cover_url = reading.text(Field::CoverUrl, |text| cover(text, rules));
    let duration_minutes = reading.text(Field::DurationMinutes, minutes);
    let rsvp = reading.rsvp();
    let zoom = Zoom::read(&mut reading);
    let community_api_id = reading.text(Field::CommunityApiId, api_id);
    let given_key = reading.text(Field::ClientKey, ClientKey::parse);
    if !reading.problems.is_empty() {
        return Err(reading.problems);
    }
    let event = Event { name, start_at, cover_url, duration_minutes, rsvp, zoom, community_api_id };
    let key = given_key.unwrap_or_else(|| ClientKey::of(&event));
    Ok(Wanted { event, key })
}

const LONGEST: usize = 2_000;
const A_YEAR: u32 = 366 * 24 * 60;

impl Reading<'_> {
    /// What a field says, by a rule; nothing where it says nothing or breaks the rule.
    pub(super) fn text<T>(
        &mut self,
        field: Field,
        rule: impl FnOnce(&str) -> Result<T, (Code, String)>,
    ) -> Option<T> {
        let value = self.fields.get(field)?;
        let read = if value.contains(HIDDEN) {
            let why = "was left out of a result file: write it in again";
            Err((Code::FieldInvalid, why.to_owned()))
        } else if value.chars().any(char::is_control) || value.contains('\u{fffd}') {
            Err((Code::FieldInvalid, "holds characters that are no text".to_owned()))
        } else if value.len() > LONGEST {
            Err((Code::FieldInvalid, format!("is longer than {LONGEST} bytes")))
        } else {
            rule(value)
        };
        match read {
            Ok(read) => Some(read),
            Err((code, why)) => {
                let hidden = hide(field, value);
                let shown: String = hidden.chars().filter(|c| !c.is_control()).take(60).collect();
                let more = if hidden.chars().count() > 60 { "…" } else { "" };
                self.problems.push(Problem { field, code, said: format!("is `{shown}{more}`, which {why}") });
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn one_of(&mut self, field: Field, words: &[&'static str]) -> Option<&'static str> {
        self.text(field, |text| {
            let known = words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied();
            known.ok_or_else(|| {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                (Code::FieldInvalid, format!("is none of {}", words.join(", ")))
            })
        })
    }

    fn name(&mut self) -> String {
        if self.fields.get(Field::Name).is_none() {
            let said = "is empty, and every event needs one".to_owned();
            self.problems.push(Problem { field: Field::Name, code: Code::NameMissing, said });
        }
        self.text(Field::Name, |name| Ok(name.to_owned())).unwrap_or_default()
    }

    fn start_at(&mut self, rules: &EventRules, now: Time) -> Option<Time> {
        let named = self.text(Field::Timezone, |name| zone(name).map_err(invalid));
        if self.fields.get(Field::Timezone).is_some() && named.is_none() {
            // What a time without an offset means is not known; whether it is one is said all the same.
            let utc = zone("UTC").ok();
            return self.text(Field::StartAt, |text| moment(text, utc.as_ref()).map_err(not_a_start));
        }
        if self.fields.get(Field::StartAt).is_none() && named.is_some() {
            self.problems.push(Problem::conflict(Field::Timezone, "says nothing without `start_at`"));
        }
        let zone = named.or_else(|| zone(rules.default_timezone.as_deref()?).ok());
        self.text(Field::StartAt, |text| {
            let start = moment(text, zone.as_ref()).map_err(not_a_start)?;
            match rules.too_late(start, now) {
                Some(why) => Err((Code::StartInPast, why.to_owned())),
                None => Ok(start),
            }
        })
    }

    fn rsvp(&mut self) -> Rsvp {
        let required = self.text(Field::RequireRsvp, boolean);
        let approval = self.text(Field::RequireRsvpApproval, boolean);
        // Where one of the two is no answer at all, that is problem enough.
        let is_read = |field, value: Option<bool>| value.is_some() || self.fields.get(field).is_none();
        if !is_read(Field::RequireRsvp, required) {
            return Rsvp::default();
        }
        Rsvp::new(required, approval).unwrap_or_else(|| {
            let why = "is true, which needs `require_rsvp` to be true as well";
            self.problems.push(Problem::conflict(Field::RequireRsvpApproval, why));
            Rsvp::default()
        })
    }
}

fn invalid(why: String) -> (Code, String) {
    (Code::FieldInvalid, why)
}

fn not_a_start(why: String) -> (Code, String) {
    (Code::StartInvalid, why)
}

fn boolean(text: &str) -> Result<bool, (Code, String)> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(invalid("is neither `true` nor `false`".to_owned())),
    }
}

fn minutes(text: &str) -> Result<u32, (Code, String)> {
    let number = text.parse().ok().filter(|number| (1..=A_YEAR).contains(number));
    number.ok_or_else(|| invalid(format!("is no whole number of minutes from 1 to {A_YEAR}")))
}

fn api_id(text: &str) -> Result<String, (Code, String)> {
    let is_id = text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_id { Ok(text.to_owned()) } else { Err(invalid("is no id of Luma's".to_owned())) }
}

/// An https address with a host.
pub(super) fn https(text: &str) -> Result<Url, (Code, String)> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.host().is_some());
    let is_bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    url.filter(is_bare)
        .filter(|_| !text.contains(|c: char| c.is_whitespace() || c == '\\'))
        // Others read what we were lenient about in another way.
        .filter(|_| text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://")))
        .filter(|_| !text[8..].starts_with('/'))
        .ok_or_else(|| invalid("is no address that begins with `https://`".to_owned()))
}

fn cover(text: &str, rules: &EventRules) -> Result<String, (Code, String)> {
    let url = https(text).map_err(|(_, why)| (Code::CoverNotAllowed, why))?;
    let is_on = |host: &str, allowed: &String| {
        host == allowed || host.strip_suffix(allowed.as_str()).is_some_and(|rest| rest.ends_with('.'))
    };
    match url.host() {
        Some(Host::Domain(host)) if rules.cover_hosts.iter().any(|allowed| is_on(host, allowed)) => {
            Ok(text.to_owned())
        }
        _ => {
            let hosts = rules.cover_hosts.join("`, `");
            Err((Code::CoverNotAllowed, format!("lies on none of the hosts that Luma takes: `{hosts}`")))
        }
    }
}

#[cfg(test)]
mod tests;
