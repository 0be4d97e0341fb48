//! Which column of a file says what of an event: by the API's names, in any spelling of case and space.
//!
//! A column that is nearly one of them stops the file: an event without its start would be created.

use super::columns::{API_ID, EMAIL, OURS, plain};
use super::error::Fault;
use super::mapping::{Heading, excerpt, unread};
use crate::domain::dialect::Dialect;
use crate::domain::event::Field;

/// The places of the columns of events, from 0.
#[derive(Clone, Debug)]
pub(crate) struct EventColumns(pub(crate) Vec<(usize, Field)>);

impl EventColumns {
    /// Reads the first records of a file.
    pub(crate) fn new(rows: &[Vec<String>], dialect: Dialect) -> Result<(Heading, Self), Fault> {
        let mut heading = Heading::new(rows.first().ok_or(Fault::Empty)?);
        let mut places: Vec<(usize, Field)> = Vec::new();
        for (at, name) in heading.header.iter().enumerate() {
            if is_of_members(name) {
                return Err(Fault::EmailOfEvent { column: excerpt(name) });
            }
            let Some(field) = field_of(name) else {
                if let Some(meant) = nearly(name, dialect) {
                    return Err(Fault::EventColumn { column: excerpt(name), meant: meant.as_str() });
                }
                continue;
            };
            if let Some((first, _)) = places.iter().find(|(_, known)| *known == field) {
                let (first_at, second_at) = (first + 1, at + 1);
                return Err(Fault::EventColumnTwice { column: field.as_str(), first_at, second_at });
            }
            places.push((at, field));
        }
        if !places.iter().any(|(_, field)| *field == Field::Name) {
            let header: String = heading.header.join(", ").chars().take(200).collect();
            return Err(Fault::NoEventName { header });
        }
        let read: Vec<Option<usize>> = places.iter().map(|(at, _)| Some(*at)).collect();
        heading.notes.extend(unread(&heading.header, &read));
        Ok((heading, Self(places)))
    }
}

/// The field that a name stands for.
pub(super) fn field_of(name: &str) -> Option<Field> {
    let name = plain(name);
    Field::ALL.iter().copied().find(|field| plain(field.as_str()) == name)
}

/// Whether a name says that this is a list of people: each of them would become an event.
pub(super) fn is_of_members(name: &str) -> bool {
    EMAIL.contains(&plain(name).as_str())
}

/// The columns that hold what lets people into a meeting.
pub(super) fn discreet(header: &[String]) -> Vec<(usize, Field)> {
    header.iter().enumerate().filter_map(|(at, name)| Some((at, secret_of(name)?))).collect()
}

/// The field of those that are secret which a name means, also where it is misspelt.
pub(super) fn secret_of(name: &str) -> Option<Field> {
    let is_secret = |field: &Field| field.may_open_a_meeting();
    let near = || Dialect::ALL.iter().find_map(|dialect| nearly(name, *dialect).filter(is_secret));
    let known = field_of(name).or_else(near);
    known.filter(is_secret).or_else(|| {
        let plain = plain(name);
        let speaks_of = |word: &&str| plain.contains(*word);
        ["password", "passcode", "passwd", "pwd"].iter().any(speaks_of).then_some(Field::ZoomMeetingPassword)
    })
}

/// The field of a dialect that a name was probably meant for.
pub(super) fn nearly(name: &str, dialect: Dialect) -> Option<Field> {
    let name = name.trim();
    if OURS.contains(&name) || name == API_ID || name.starts_with('_') {
        return None;
    }
    let plain_name = plain(name);
    if plain_name.len() <= 2 {
        return None;
    }
    let short = SHORT
        .iter()
        .find(|(short, meant)| *short == plain_name && meant.is_in(dialect))
        .map(|(_, meant)| *meant);
    let nearest = || {
        let distance = |field: &Field| strsim::osa_distance(&plain(field.as_str()), &plain_name);
        let is_near =
            |field: &Field| distance(field) <= plain(field.as_str()).len().min(plain_name.len()) / 4;
        Field::ALL.iter().copied().filter(|field| field.is_in(dialect) && is_near(field)).min_by_key(distance)
    };
    short.or_else(nearest)
}

/// What people call fields.
const SHORT: [(&str, Field); 21] = [
    ("start", Field::StartAt),
    ("starts", Field::StartAt),
    ("startsat", Field::StartAt),
    ("starttime", Field::StartAt),
    ("duration", Field::DurationMinutes),
    ("minutes", Field::DurationMinutes),
    ("cover", Field::CoverUrl),
    ("tz", Field::Timezone),
    ("zoomurl", Field::ZoomMeetingUrl),
    ("zoompassword", Field::ZoomMeetingPassword),
    ("end", Field::EndAt),
    ("ends", Field::EndAt),
    ("endsat", Field::EndAt),
    ("endtime", Field::EndAt),
    ("description", Field::DescriptionMd),
    ("capacity", Field::MaxCapacity),
    ("address", Field::GeoAddress),
    ("location", Field::GeoAddress),
    ("lat", Field::Latitude),
    ("lng", Field::Longitude),
    ("coordinate", Field::Latitude),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str) -> Result<Vec<(usize, Field)>, String> {
        columns_in(Dialect::Beta2021, header)
    }

    fn columns_in(dialect: Dialect, header: &str) -> Result<Vec<(usize, Field)>, String> {
        let row = header.split(',').map(str::to_owned).collect();
        EventColumns::new(&[row], dialect).map(|(_, columns)| columns.0).map_err(|fault| fault.to_string())
    }

    #[test]
    fn names_are_the_apis_in_any_case_and_others_are_passed_over() {
        let found =
            columns("id,Name,Start At,DURATION_MINUTES,note,_row,_code,_reason,_api_id").expect("mapped");
        assert_eq!(found, [(1, Field::Name), (2, Field::StartAt), (3, Field::DurationMinutes)]);
    }

    #[test]
    fn secrets_are_known_also_where_they_are_misspelt() {
        for name in ["zoom_meeting_pasword", "Zoom Passcode", "pwd", "zoom_meeting_password"] {
            assert_eq!(secret_of(name), Some(Field::ZoomMeetingPassword), "{name}");
        }
        assert_eq!(secret_of("zoom_meeting_ulr"), Some(Field::ZoomMeetingUrl));
        assert_eq!(secret_of("name"), None);
    }

    #[test]
    fn what_is_nearly_a_field_stops_the_file() {
        for (header, said) in [
            ("name,start", "has a column `start`, which no event has"),
            ("name,strat_at", "has a column `strat_at`, which no event has"),
            ("name,require_rsvp_aproval", "has a column `require_rsvp_aproval`, which no event has"),
            ("name,Name", "has the column `name` twice (numbers 1 and 2)"),
            ("email,name", "has a column `email`, which no event has"),
            ("title,start_at", "has no column `name`; its header is `title, start_at`"),
        ] {
            assert_eq!(columns(header), Err(said.to_owned()), "{header}");
        }
    }

    #[test]
    fn what_is_nearly_a_field_of_another_dialect_is_somebody_elses() {
        for header in ["name,description", "name,location", "name,ends_at", "name,geo_adress"] {
            assert_eq!(columns(header), Ok(vec![(0, Field::Name)]), "{header}");
            let said = columns_in(Dialect::V1, header).expect_err(header);
            assert!(said.contains("which no event has"), "{said}");
        }
        // Under its very name it is read, so that its row says what is wrong.
        assert_eq!(columns("name,slug"), Ok(vec![(0, Field::Name), (1, Field::Slug)]));
        assert_eq!(columns_in(Dialect::V1, "name,require_rsvp").map(|found| found.len()), Ok(2));
    }
}
