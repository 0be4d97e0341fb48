//! When a schedule is due: five fields as cron writes them, read in a zone.
//!
//! Clock changes go by what the hours say. An expression that names hours means times of day: each comes
//! once, a time that spring leaves out at the first moment after the gap, one that autumn repeats at its
//! first pass. One that takes every hour (`*/15 * * * *`) means a pace: it goes on by real time, so in the
//! repeated hour it comes in both passes, and of a missing hour there is nothing to make up for.
//!
//! Knows no schedule, no fire and no present.

mod days;
mod field;
mod next;

use jiff::tz::TimeZone;

use days::DayRule;
use field::{Field, Read, Wrong};

/// What is wrong with an expression, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nhint: {hint}")]
pub struct CronError {
    /// Which field, and what is wrong with it.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Times of day on certain days: numbers as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: DayRule,
}

/// Bits 0 to 23.
const EVERY_HOUR: u64 = (1 << 24) - 1;

const WHOLE: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

impl Cron {
    /// Reads `minute hour day-of-month month day-of-week`, or a word like `@daily`.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let text = text.trim();
        if text.starts_with('@') {
            let word = text.to_ascii_lowercase();
            let fields = WHOLE.iter().find(|(known, _)| *known == word).map(|(_, fields)| *fields);
            return fields.map_or_else(|| Err(unknown_word(text)), Self::parse);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(wrong_count(fields.len()));
        };
        let (minutes, hours) = (Field::MINUTE.read(minute)?, Field::HOUR.read(hour)?);
        let days = Field::DAY.read(day)?;
        let (months, weekdays) = (Field::MONTH.read(month)?, Field::WEEKDAY.read(weekday)?);
        let days = DayRule::new(days, months, weekdays).ok_or_else(|| CronError {
            message: format!("day of month `{day}` does not occur in month `{month}`"),
            hint: "write a day that the month has".to_owned(),
        })?;
        Ok(Self { minutes: minutes.bits, hours: hours.bits, days })
    }

    /// Whether it is a pace and not a list of times of day.
    const fn takes_every_hour(&self) -> bool {
        self.hours == EVERY_HOUR
    }
}

fn unknown_word(word: &str) -> CronError {
    CronError {
        message: format!("`{word}` is no word for a time"),
        hint: "write `@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`, or five fields".to_owned(),
    }
}

fn wrong_count(count: usize) -> CronError {
    let message = match count {
        0 => "there is nothing in it".to_owned(),
        1 => "there is 1 field, and five are needed".to_owned(),
        6 | 7 => format!("there are {count} fields, and five are needed: seconds and years are not taken"),
        count => format!("there are {count} fields, and five are needed"),
    };
    let hint = "write `minute hour day-of-month month day-of-week`, like `0 3 * * *`".to_owned();
    CronError { message, hint }
}

impl From<Wrong> for CronError {
    fn from(wrong: Wrong) -> Self {
        let Field { name, least, most, .. } = wrong.field;
        Self {
            message: format!("{name} {}", wrong.said),
            hint: format!("write {least} to {most}, {}", wrong.how),
        }
    }
}

/// An expression and the zone whose clocks it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
}

impl Timetable {
    /// Puts both together; `None` where there is no such zone.
    #[must_use]
    pub fn new(cron: Cron, zone: &str) -> Option<Self> {
        let zone = super::event::is_zone(zone).then(|| TimeZone::get(zone).ok())??;
        Some(Self { cron, zone })
    }
}

#[cfg(test)]
mod tests;
