//! The dialect `v1`, Luma's API of today, and the elder routes beside it.
//!
//! A request is read and judged as a whole before it touches anything, in the order in which Luma looks:
//! body, fields, whose calendar, effect. Knows nothing of keys, quotas, faults' timing or connections.

mod body;
mod contacts;
mod event_fields;
mod events;
mod generation;
mod guests;
mod import;
mod moment;
mod paging;
mod routes;
mod settings;
mod tags;
#[cfg(test)]
mod tests;

use hyper::StatusCode;
use serde_json::{Map, Value};

use self::body::{Complaints, Object, Query};
use self::contacts::People;
use self::import::Import;
use self::routes::Generation;
use super::answer::Answer;
use super::audience::Presence;
use super::fault::Trouble;
use super::state::{Calendar, Rules};

pub(super) use events::calendar_id;
pub(super) use guests::Guests;
pub use guests::{Mail, MailKind};
pub(super) use moment::write as write_moment;
pub(super) use routes::{Call, Look, Route, Write};
pub use settings::{
    Answers, Away, BetaCreate, Block, EmailCase, EmptyApply, NextCursor, OverLimit, PathStyle, SettingError,
    Settings, Skipped, TagAgain, TagCase, TagTwice, UnknownFields, UnknownTag, Window,
};
pub(super) use tags::{Tag, Tags};

/// Answers a request that was let in. The body is `None` where it was too large; the calendar is a
/// refusal where the key has to name one and did not, or another's.
pub(super) fn answer(
    call: Call,
    query: &str,
    body: Option<&[u8]>,
    rules: &Rules,
    trouble: &Trouble<'_>,
    place: u64,
    calendar: Result<Calendar<'_>, Answer>,
) -> Answer {
    let answered = Ask::read(call, query, body, rules).and_then(|ask| match ask {
        Ask::User => Ok(contacts::host(place)),
        Ask::Of(task) if trouble.max_rows.is_some_and(|most| task.rows() > most) => Err(too_large()),
        Ask::Of(task) => task.carry_out(&mut calendar?, rules, trouble),
    });
    match answered {
        Ok(value) => {
            let generation = call.answered(rules.settings.answers);
            Answer::json(generation::told_in(value, call.route, generation).to_string())
        }
        Err(refusal) => refusal,
    }
}

/// A request that was read and has nothing wrong with it.
enum Ask {
    /// Whose key it is, which is about no calendar.
    User,
    Of(Task),
}

/// What is to be done with a calendar.
enum Task {
    Import(Import),
    Contacts(contacts::Wanted),
    Move(Presence, People),
    Tags(tags::Ask),
    Guests(guests::Ask),
    CreateEvent(Map<String, Value>),
    Event { id: String },
    Events(events::Wanted),
    FindBySlug { slug: String },
    FindEvent { id: Option<String>, url: Option<String> },
}

impl Ask {
    /// Reads a request, or says all that is wrong with it.
    fn read(call: Call, query: &str, body: Option<&[u8]>, rules: &Rules) -> Result<Self, Answer> {
        let mut complaints = Complaints::new(&rules.settings);
        let ask = match call.route {
            Route::Look(look) => Task::look(look, &Query::parse(query), rules, &mut complaints),
            Route::Write(write) => {
                let fields = body::parse(body.ok_or_else(too_large)?)?;
                Self::Of(Task::write(write, call.spoken(), fields, rules, &mut complaints))
            }
        };
        complaints.judge()?;
        Ok(ask)
    }
}

impl Task {
    fn look(look: Look, query: &Query, rules: &Rules, complaints: &mut Complaints<'_>) -> Ask {
        let settings = &rules.settings;
        let owned = |name: &str| query.get(name).map(str::to_owned);
        Ask::Of(match look {
            Look::User => return Ask::User,
            Look::Contacts => Self::Contacts(contacts::Wanted::read(query, settings, complaints)),
            Look::Tags => Self::Tags(tags::Ask::List),
            Look::Event => {
                let elder = owned("event_api_id");
                Self::Event { id: elder.unwrap_or_else(|| query.needed("event_id", complaints)) }
            }
            Look::Guest => Self::Guests(guests::Ask::get(query, complaints)),
            Look::Events => Self::Events(events::Wanted::read(query, settings, complaints)),
            Look::FindBySlug => Self::FindBySlug { slug: query.needed("slug", complaints) },
            Look::FindEvent => {
                Self::FindEvent { id: owned("event_id").or_else(|| owned("event_api_id")), url: owned("url") }
            }
        })
    }

    fn write(
        write: Write,
        generation: Generation,
        fields: Map<String, Value>,
        rules: &Rules,
        complaints: &mut Complaints<'_>,
    ) -> Self {
        let settings = &rules.settings;
        let body = Object::whole(&fields);
        match write {
            Write::Import => Self::Import(Import::read(&body, generation, complaints, rules)),
            Write::RemoveContacts => Self::moved(Presence::Removed, &body, complaints, settings),
            Write::BlockContacts => Self::moved(Presence::Blocked, &body, complaints, settings),
            Write::RestoreContacts => Self::moved(Presence::Here, &body, complaints, settings),
            Write::CreateTag => Self::Tags(tags::Ask::create(&body, complaints)),
            Write::UpdateTag => Self::Tags(tags::Ask::update(&body, complaints)),
            Write::DeleteTag => Self::Tags(tags::Ask::delete(&body, complaints)),
            Write::ApplyTag => {
                let (tag, people) = tags::Ask::people(&body, complaints, settings);
                Self::Tags(tags::Ask::Apply { tag, people })
            }
            Write::UnapplyTag => {
                let (tag, people) = tags::Ask::people(&body, complaints, settings);
                Self::Tags(tags::Ask::Unapply { tag, people })
            }
            Write::AddGuests => Self::Guests(guests::Ask::add(&body, complaints, rules)),
            Write::InviteGuests => Self::Guests(guests::Ask::invite(&body, complaints, rules)),
            Write::CreateEvent => {
                event_fields::check(&fields, complaints);
                Self::CreateEvent(fields)
            }
        }
    }

    fn moved(
        presence: Presence,
        body: &Object<'_>,
        complaints: &mut Complaints<'_>,
        settings: &Settings,
    ) -> Self {
        complaints.only(body, &["emails", "user_ids"]);
        Self::Move(presence, People::read(body, complaints, settings))
    }

    /// How many people it is about.
    fn rows(&self) -> usize {
        match self {
            Self::Import(import) => import.rows(),
            Self::Guests(ask) => ask.rows(),
            Self::Move(_, people)
            | Self::Tags(tags::Ask::Apply { people, .. } | tags::Ask::Unapply { people, .. }) => {
                people.rows()
            }
            Self::Contacts(_)
            | Self::Tags(_)
            | Self::CreateEvent(_)
            | Self::Event { .. }
            | Self::Events(_)
            | Self::FindBySlug { .. }
            | Self::FindEvent { .. } => 0,
        }
    }

    fn carry_out(
        self,
        calendar: &mut Calendar<'_>,
        rules: &Rules,
        trouble: &Trouble<'_>,
    ) -> Result<Value, Answer> {
        match self {
            Self::Import(import) => import.carry_out(calendar, rules, trouble),
            Self::Contacts(wanted) => Ok(wanted.page(calendar, &rules.settings)),
            Self::Move(presence, people) => Ok(people.set_presence(calendar, presence)),
            Self::Tags(ask) => ask.carry_out(calendar, rules),
            Self::Guests(ask) => ask.carry_out(calendar, rules),
            Self::CreateEvent(fields) => events::create(fields, calendar, rules),
            Self::Event { id } => events::get(&id, calendar),
            Self::Events(wanted) => Ok(wanted.page(calendar)),
            Self::FindBySlug { slug } => Ok(events::find_entity(&slug, calendar)),
            Self::FindEvent { id, url } => Ok(events::find(id.as_deref(), url.as_deref(), calendar)),
        }
    }
}

/// The answer to a key of an organization that names no calendar.
pub(super) fn without_calendar() -> Answer {
    Answer::message(StatusCode::BAD_REQUEST, "Please provide a calendar with x-luma-calendar-id.")
}

/// The answer to a calendar that does not exist, or is another's.
pub(super) fn not_your_calendar() -> Answer {
    Answer::message(StatusCode::FORBIDDEN, "You don't have access to this calendar.")
}

/// The refusal of a body, or of more rows, than is taken.
fn too_large() -> Answer {
    Answer::message(StatusCode::PAYLOAD_TOO_LARGE, "Request entity too large.")
}
