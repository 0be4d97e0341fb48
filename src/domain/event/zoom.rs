//! Where an event meets on Zoom. What does not belong together cannot be built.

use secrecy::SecretString;

use super::Field;
use super::parse::{Problem, Reading};
use crate::domain::code::Code;

/// A meeting that Luma makes, or one that exists.
#[derive(Clone, Debug)]
pub enum Zoom {
    /// Luma makes one.
    Automatic {
        /// `meeting` or `webinar`, where it was said.
        session_type: Option<&'static str>,
    },
    /// One that exists: it has a number or an address.
    Existing {
        /// How it comes to the event.
        method: &'static str,
        /// Its number.
        id: Option<String>,
        /// Its address.
        url: Option<String>,
        /// What lets people in.
        password: Option<SecretString>,
        /// `meeting` or `webinar`, where it was said.
        session_type: Option<&'static str>,
    },
}

const AUTOMATIC: &str = "created-automatically";
const METHODS: [&str; 3] = [AUTOMATIC, "existing-attached", "manually-entered"];
const SESSIONS: [&str; 2] = ["meeting", "webinar"];
/// The fields that name a meeting, or let into one.
const OF_A_MEETING: [Field; 3] = [Field::ZoomMeetingId, Field::ZoomMeetingPassword, Field::ZoomMeetingUrl];

impl Zoom {
    /// How the meeting comes to the event, as the API calls it.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Automatic { .. } => AUTOMATIC,
            Self::Existing { method, .. } => method,
        }
    }

    /// `meeting` or `webinar`.
    #[must_use]
    pub const fn session_type(&self) -> Option<&'static str> {
        match self {
            Self::Automatic { session_type } | Self::Existing { session_type, .. } => *session_type,
        }
    }

    /// Number, address and password of a meeting that exists.
    #[must_use]
    pub fn meeting(&self) -> (Option<&str>, Option<&str>, Option<&SecretString>) {
        match self {
            Self::Automatic { .. } => (None, None, None),
            Self::Existing { id, url, password, .. } => (id.as_deref(), url.as_deref(), password.as_ref()),
        }
    }

    /// Reads what the fields say of Zoom; nothing where they say nothing. Problems stay in `reading`.
    pub(super) fn read(reading: &mut Reading<'_>) -> Option<Self> {
        let method = reading.one_of(Field::ZoomCreationMethod, &METHODS);
        let session_type = reading.one_of(Field::ZoomSessionType, &SESSIONS);
        let id = reading.text(Field::ZoomMeetingId, meeting_id);
        let url = reading.text(Field::ZoomMeetingUrl, |url| super::parse::https(url).map(|_| url.to_owned()));
        let password = reading.text(Field::ZoomMeetingPassword, password);
        let is_given = |field: &Field| reading.fields.get(*field).is_some();
        let said: Vec<Field> = OF_A_MEETING.into_iter().filter(is_given).collect();
        match method {
            Some(AUTOMATIC) => {
                for field in said {
                    let why =
                        "does not go with `zoom_creation_method` = `created-automatically`: leave it out";
                    reading.problems.push(Problem::conflict(field, why));
                }
                Some(Self::Automatic { session_type })
            }
            Some(method) => {
                if !is_given(&Field::ZoomMeetingId) && !is_given(&Field::ZoomMeetingUrl) {
                    let why = format!("is `{method}`, which needs `zoom_meeting_id` or `zoom_meeting_url`");
                    reading.problems.push(Problem::conflict(Field::ZoomCreationMethod, why));
                }
                Some(Self::Existing { method, id, url, password, session_type })
            }
            // A method that is none has its own problem.
            None if is_given(&Field::ZoomCreationMethod) => None,
            None => {
                let rest = said.into_iter().chain(
                    [Field::ZoomSessionType].into_iter().filter(|field| reading.fields.get(*field).is_some()),
                );
                for field in rest.collect::<Vec<_>>() {
                    let why = "says nothing without `zoom_creation_method`: write `existing-attached`, `manually-entered` or `created-automatically`";
                    reading.problems.push(Problem::conflict(field, why));
                }
                None
            }
        }
    }
}

/// Numbers of meetings have 9 to 12 digits, which people group with spaces or hyphens.
fn meeting_id(text: &str) -> Result<String, (Code, String)> {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c == ' ' || c == '-');
    if is_plain && (9..=12).contains(&digits) {
        Ok(text.to_owned())
    } else {
        Err((Code::FieldInvalid, "is no number of a meeting: write its 9 to 12 digits".to_owned()))
    }
}

fn password(text: &str) -> Result<SecretString, (Code, String)> {
    if text.chars().count() > 100 {
        return Err((Code::FieldInvalid, "is longer than 100 characters".to_owned()));
    }
    Ok(text.into())
}
