//! From the fields of a row to an event, or to all that is wrong with them at once. What every dialect
//! asks alike is held here.

use jiff::tz::TimeZone;
use url::{Host, Url};

use super::start::{moment, zone};
use super::{BetaEvent, ClientKey, Event, Field, Fields, HIDDEN, V1Event, hide};
use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::dialect::Dialect;

/// What a configuration says of events.
#[derive(Clone, Debug, Default)]
pub struct EventRules {
    /// The dialect they are created in.
    pub dialect: Dialect,
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
    reading.fields_of_others(rules.dialect);
    let event = match rules.dialect {
        Dialect::Beta2021 => Some(Event::Beta(BetaEvent::read(&mut reading, rules, now))),
        Dialect::V1 => V1Event::read(&mut reading, rules, now).map(Event::V1),
    };
    let given_key = reading.text(Field::ClientKey, ClientKey::parse);
    match event {
        Some(event) if reading.problems.is_empty() => {
            let key = given_key.unwrap_or_else(|| ClientKey::of(&event));
            Ok(Wanted { event, key })
        }
        _ => Err(reading.problems),
    }
}

/// The zone that local times of a row are in.
pub(super) enum Zone {
    /// The row names it.
    Named(TimeZone),
    /// The configuration does.
    Default(TimeZone),
    /// The row names one that is none, so nobody knows.
    Wrong,
    /// Nobody says.
    None,
}

impl Zone {
    pub(super) const fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }

    pub(super) const fn get(&self) -> Option<&TimeZone> {
        match self {
            Self::Named(zone) | Self::Default(zone) => Some(zone),
            Self::Wrong | Self::None => None,
        }
    }
}

const LONGEST: usize = 2_000;
/// What people write about an event may be longer, and has lines.
const LONGEST_DESCRIPTION: usize = 50_000;
const A_YEAR: u32 = 366 * 24 * 60;

impl Reading<'_> {
    /// What a field says, by a rule; nothing where it says nothing or breaks the rule.
    pub(super) fn text<T>(
        &mut self,
        field: Field,
        rule: impl FnOnce(&str) -> Result<T, (Code, String)>,
    ) -> Option<T> {
        let value = self.fields.get(field)?;
        let has_lines = field == Field::DescriptionMd;
        let longest = if has_lines { LONGEST_DESCRIPTION } else { LONGEST };
        let is_no_text =
            |c: char| c == '\u{fffd}' || (c.is_control() && !(has_lines && "\n\r\t".contains(c)));
        let read = if !has_lines && value.contains(HIDDEN) {
            let why = "was left out of a result file: write it in again";
            Err((Code::FieldInvalid, why.to_owned()))
        } else if value.chars().any(is_no_text) {
            Err((Code::FieldInvalid, "holds characters that are no text".to_owned()))
        } else if value.len() > longest {
            Err((Code::FieldInvalid, format!("is longer than {longest} bytes")))
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

    pub(super) fn name(&mut self) -> String {
        if self.fields.get(Field::Name).is_none() {
            let said = "is empty, and every event needs one".to_owned();
            self.problems.push(Problem { field: Field::Name, code: Code::NameMissing, said });
        }
        self.text(Field::Name, |name| Ok(name.to_owned())).unwrap_or_default()
    }

    pub(super) fn zone(&mut self, rules: &EventRules) -> Zone {
        if self.fields.get(Field::Timezone).is_some() {
            let named = self.text(Field::Timezone, |name| zone(name).map_err(invalid));
            return named.map_or(Zone::Wrong, Zone::Named);
        }
        let default = rules.default_timezone.as_deref().and_then(|name| zone(name).ok());
        default.map_or(Zone::None, Zone::Default)
    }

    /// When it begins; not in the past, unless the rules allow that.
    pub(super) fn start(&mut self, zone: &Zone, rules: &EventRules, now: Time) -> Option<Time> {
        let is_known = !matches!(zone, Zone::Wrong);
        let start = self.moment(Field::StartAt, Code::StartInvalid, zone)?;
        let why = rules.too_late(start, now).filter(|_| is_known);
        let Some(why) = why else { return Some(start) };
        self.text(Field::StartAt, |_| Err::<Time, _>((Code::StartInPast, why.to_owned())))
    }

    /// A moment, in the zone of the row where it has no offset.
    pub(super) fn moment(&mut self, field: Field, code: Code, zone: &Zone) -> Option<Time> {
        // What a time without an offset means in a zone that is none is not known; whether it is a time at
        // all is said all the same.
        let stand_in = TimeZone::UTC;
        let zone = if matches!(zone, Zone::Wrong) { Some(&stand_in) } else { zone.get() };
        self.text(field, |text| moment(text, zone).map_err(|why| (code, why)))
    }

    pub(super) fn answer(&mut self, field: Field) -> Option<bool> {
        self.text(field, boolean)
    }

    /// Fields that events of this dialect do not have.
    fn fields_of_others(&mut self, dialect: Dialect) {
        for (field, only) in Field::ALL.iter().filter_map(|field| Some((*field, field.only_in()?))) {
            if only != dialect && self.fields.get(field).is_some() {
                let said = format!(
                    "is a field of the dialect `{only}`, and `luma.dialect` is `{dialect}`: leave it out"
                );
                self.problems.push(Problem { field, code: Code::FieldInvalid, said });
            }
        }
    }
}

pub(super) fn invalid(why: String) -> (Code, String) {
    (Code::FieldInvalid, why)
}

fn boolean(text: &str) -> Result<bool, (Code, String)> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(invalid("is neither `true` nor `false`".to_owned())),
    }
}

pub(super) fn minutes(text: &str) -> Result<u32, (Code, String)> {
    let number = text.parse().ok().filter(|number| (1..=A_YEAR).contains(number));
    number.ok_or_else(|| invalid(format!("is no whole number of minutes from 1 to {A_YEAR}")))
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

/// An image on one of these hosts, or below them.
pub(super) fn cover(text: &str, hosts: &[String]) -> Result<String, (Code, String)> {
    let url = https(text).map_err(|(_, why)| (Code::CoverNotAllowed, why))?;
    let is_on = |host: &str, allowed: &String| {
        host == allowed || host.strip_suffix(allowed.as_str()).is_some_and(|rest| rest.ends_with('.'))
    };
    match url.host() {
        Some(Host::Domain(host)) if hosts.iter().any(|allowed| is_on(host, allowed)) => Ok(text.to_owned()),
        _ => {
            let hosts = hosts.join("`, `");
            Err((Code::CoverNotAllowed, format!("lies on none of the hosts that Luma takes: `{hosts}`")))
        }
    }
}

#[cfg(test)]
mod tests;
