//! The routes of the dialect, those of its elder generations too, and how old their answers are.
//!
//! Knows nothing of bodies or of what a route does.

use hyper::Method;

use super::settings::Answers;

/// What is asked for, whatever the route is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Route {
    Look(Look),
    Write(Write),
}

/// What changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Look {
    User,
    Contacts,
    Tags,
    Event,
    Guest,
    Events,
    FindBySlug,
    FindEvent,
}

/// What changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Write {
    Import,
    RemoveContacts,
    BlockContacts,
    RestoreContacts,
    CreateTag,
    UpdateTag,
    DeleteTag,
    ApplyTag,
    UnapplyTag,
    AddGuests,
    InviteGuests,
    CreateEvent,
}

/// Which generation of the dialect an answer, or a body, belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    G1,
    G2,
    G3,
}

/// A route as it was called.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Call {
    pub(in super::super) route: Route,
    /// How counters and logs call it.
    pub(in super::super) name: &'static str,
    generation: Generation,
}

/// The routes of today, in the plural.
const TODAY: [(&str, Route); 22] = [
    ("GET /v1/users/get-self", Route::Look(Look::User)),
    ("POST /v1/calendars/contacts/import", Route::Write(Write::Import)),
    ("GET /v1/calendars/contacts/list", Route::Look(Look::Contacts)),
    ("POST /v1/calendars/contacts/remove", Route::Write(Write::RemoveContacts)),
    ("POST /v1/calendars/contacts/block", Route::Write(Write::BlockContacts)),
    ("POST /v1/calendars/contacts/restore", Route::Write(Write::RestoreContacts)),
    ("GET /v1/calendars/contact-tags/list", Route::Look(Look::Tags)),
    ("POST /v1/calendars/contact-tags/create", Route::Write(Write::CreateTag)),
    ("POST /v1/calendars/contact-tags/update", Route::Write(Write::UpdateTag)),
    ("POST /v1/calendars/contact-tags/delete", Route::Write(Write::DeleteTag)),
    ("POST /v1/calendars/contact-tags/apply", Route::Write(Write::ApplyTag)),
    ("POST /v1/calendars/contact-tags/unapply", Route::Write(Write::UnapplyTag)),
    ("POST /v1/events/create", Route::Write(Write::CreateEvent)),
    ("GET /v1/events/get", Route::Look(Look::Event)),
    ("POST /v1/events/guests/add", Route::Write(Write::AddGuests)),
    ("POST /v1/events/guests/send-invites", Route::Write(Write::InviteGuests)),
    ("GET /v1/events/guests/get", Route::Look(Look::Guest)),
    ("GET /v1/calendars/events/list", Route::Look(Look::Events)),
    ("GET /v1/entities/lookup", Route::Look(Look::FindBySlug)),
    ("GET /v1/calendars/events/lookup", Route::Look(Look::FindEvent)),
    // Of the time in between: singular, and answered with both ids.
    ("GET /v1/entity/lookup", Route::Look(Look::FindBySlug)),
    ("GET /v1/calendar/lookup-event", Route::Look(Look::FindEvent)),
];

/// How many of them are younger than the singular ones.
const PLURAL: usize = 20;

/// The routes until spring 2026, in the singular; before that with `/public` in front.
const ELDER: [(&str, Route); 15] = [
    ("GET /v1/user/get-self", Route::Look(Look::User)),
    ("POST /v1/calendar/import-people", Route::Write(Write::Import)),
    ("GET /v1/calendar/list-people", Route::Look(Look::Contacts)),
    ("GET /v1/calendar/list-person-tags", Route::Look(Look::Tags)),
    ("POST /v1/calendar/create-person-tag", Route::Write(Write::CreateTag)),
    ("POST /v1/calendar/update-person-tag", Route::Write(Write::UpdateTag)),
    ("POST /v1/calendar/delete-person-tag", Route::Write(Write::DeleteTag)),
    ("POST /v1/calendar/person-tags/apply", Route::Write(Write::ApplyTag)),
    ("POST /v1/calendar/person-tags/unapply", Route::Write(Write::UnapplyTag)),
    ("POST /v1/event/create", Route::Write(Write::CreateEvent)),
    ("GET /v1/event/get", Route::Look(Look::Event)),
    ("POST /v1/event/add-guests", Route::Write(Write::AddGuests)),
    ("POST /v1/event/send-invites", Route::Write(Write::InviteGuests)),
    ("GET /v1/event/get-guest", Route::Look(Look::Guest)),
    ("GET /v1/calendar/list-events", Route::Look(Look::Events)),
];

impl Call {
    /// The route of this method and path.
    pub(in super::super) fn find(method: &Method, path: &str) -> Option<Self> {
        let is_public = path.starts_with("/public/v1/");
        let path = if is_public { path.strip_prefix("/public")? } else { path };
        let is_meant = |name: &str| name.split_once(' ') == Some((method.as_str(), path));
        let elder = if is_public { Generation::G1 } else { Generation::G2 };
        let found = |(place, (name, route)): (usize, &(&'static str, Route))| {
            let generation = if place < PLURAL { Generation::G3 } else { elder };
            is_meant(name).then_some(Self { route: *route, name, generation })
        };
        TODAY.iter().chain(&ELDER).enumerate().find_map(found)
    }

    /// The generation its body is written in.
    pub(super) const fn spoken(self) -> Generation {
        self.generation
    }

    /// The generation its answer is written in.
    pub(super) const fn answered(self, answers: Answers) -> Generation {
        match answers {
            Answers::ByRoute => self.generation,
            Answers::G1 => Generation::G1,
            Answers::G2 => Generation::G2,
            Answers::G3 => Generation::G3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_has_its_path() {
        for (method, path, route, generation) in [
            (Method::POST, "/v1/calendars/contacts/import", Route::Write(Write::Import), Generation::G3),
            (
                Method::POST,
                "/public/v1/calendars/contacts/import",
                Route::Write(Write::Import),
                Generation::G3,
            ),
            (Method::POST, "/v1/calendar/import-people", Route::Write(Write::Import), Generation::G2),
            (Method::POST, "/public/v1/calendar/import-people", Route::Write(Write::Import), Generation::G1),
            (Method::GET, "/v1/entity/lookup", Route::Look(Look::FindBySlug), Generation::G2),
            (Method::GET, "/v1/entities/lookup", Route::Look(Look::FindBySlug), Generation::G3),
            (Method::GET, "/public/v1/calendar/lookup-event", Route::Look(Look::FindEvent), Generation::G1),
        ] {
            let call = Call::find(&method, path).expect(path);
            assert_eq!((call.route, call.spoken()), (route, generation), "{path}");
            assert_eq!(call.answered(Answers::G1), Generation::G1);
        }
    }

    #[test]
    fn a_write_is_a_post_and_a_look_is_a_get() {
        for (name, _) in TODAY.iter().chain(&ELDER) {
            let (method, path) = name.split_once(' ').expect("a method and a path");
            let other = if method == "GET" { Method::POST } else { Method::GET };
            assert!(Call::find(&other, path).is_none(), "{name}");
        }
        assert!(Call::find(&Method::GET, "/v1").is_none());
        assert!(Call::find(&Method::GET, "/public/user").is_none());
    }
}
