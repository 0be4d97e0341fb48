//! Which column of a file says what of an event: by the API's names, in any spelling of case and space.
//!
//! A column that is nearly one of them stops the file: an event without its start would be created.

use super::columns::{API_ID, OURS, plain};
use super::error::Fault;
use super::mapping::{Heading, excerpt, unread};
use crate::domain::event::Field;

/// The places of the columns of events, from 0.
#[derive(Clone, Debug)]
pub(crate) struct EventColumns(pub(crate) Vec<(usize, Field)>);

impl EventColumns {
    /// Reads the first records of a file.
    pub(crate) fn new(rows: &[Vec<String>]) -> Result<(Heading, Self), Fault> {
        let mut heading = Heading::new(rows.first().ok_or(Fault::Empty)?);
        let mut places: Vec<(usize, Field)> = Vec::new();
        for (at, name) in heading.header.iter().enumerate() {
            let Some(field) = field_of(name) else {
                if let Some(meant) = nearly(name) {
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

/// The columns that hold what lets people into a meeting.
pub(super) fn discreet(header: &[String]) -> Vec<(usize, Field)> {
    let secret = |name: &String| {
        field_of(name).filter(|field| matches!(field, Field::ZoomMeetingPassword | Field::ZoomMeetingUrl))
    };
    header.iter().enumerate().filter_map(|(at, name)| Some((at, secret(name)?))).collect()
}

/// The field that a name was probably meant for.
pub(super) fn nearly(name: &str) -> Option<Field> {
    let name = name.trim();
    if OURS.contains(&name) || name == API_ID || name.starts_with('_') {
        return None;
    }
    let plain_name = plain(name);
    let is_near = |field: &Field| {
        let known = plain(field.as_str());
        let distance = strsim::osa_distance(&known, &plain_name);
        distance <= known.len().min(plain_name.len()) / 4
            || SHORT.iter().any(|(short, meant)| *meant == *field && *short == plain_name)
    };
    Field::ALL.iter().copied().filter(|_| plain_name.len() > 2).find(is_near)
}

/// What people call fields.
const SHORT: [(&str, Field); 10] = [
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
];

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str) -> Result<Vec<(usize, Field)>, String> {
        let row = header.split(',').map(str::to_owned).collect();
        EventColumns::new(&[row]).map(|(_, columns)| columns.0).map_err(|fault| fault.to_string())
    }

    #[test]
    fn names_are_the_apis_in_any_case_and_others_are_passed_over() {
        let found =
            columns("id,Name,Start At,DURATION_MINUTES,note,_row,_code,_reason,_api_id").expect("mapped");
        assert_eq!(found, [(1, Field::Name), (2, Field::StartAt), (3, Field::DurationMinutes)]);
    }

    #[test]
    fn what_is_nearly_a_field_stops_the_file() {
        for (header, said) in [
            ("name,start", "has a column `start`, which no event has"),
            ("name,strat_at", "has a column `strat_at`, which no event has"),
            ("name,require_rsvp_aproval", "has a column `require_rsvp_aproval`, which no event has"),
            ("name,Name", "has the column `name` twice (numbers 1 and 2)"),
            ("title,start_at", "has no column `name`; its header is `title, start_at`"),
        ] {
            assert_eq!(columns(header), Err(said.to_owned()), "{header}");
        }
    }
}
