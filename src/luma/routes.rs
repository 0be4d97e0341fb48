//! Where each thing is asked for, dialect by dialect. A route is named as it is recorded: method and path.

use crate::domain::dialect::Dialect;

/// The routes of a dialect; none where it has no such thing.
#[derive(Debug, PartialEq, Eq)]
pub struct Routes {
    /// Tells whom the key belongs to.
    pub user: &'static str,
    /// Imports members; tags those who exist.
    pub import: &'static str,
    /// Creates an event.
    pub create_event: &'static str,
    /// Lists the tags there are.
    pub tags: Option<&'static str>,
    /// Makes a tag.
    pub create_tag: Option<&'static str>,
    /// Gives a tag to people who are in the audience, and counts them.
    pub apply_tag: Option<&'static str>,
    /// Lists the audience, page by page.
    pub contacts: Option<&'static str>,
    /// Finds what stands under an address: Luma has given this route another name, the newest is first.
    pub slugs: &'static [&'static str],
    /// Lists events by their start.
    pub events: Option<&'static str>,
}

const BETA_2021: Routes = Routes {
    user: "GET /user",
    import: "POST /user/audience/import",
    create_event: "POST /event/create",
    tags: None,
    create_tag: None,
    apply_tag: None,
    contacts: None,
    slugs: &[],
    events: None,
};

const V1: Routes = Routes {
    user: "GET /v1/users/get-self",
    import: "POST /v1/calendars/contacts/import",
    create_event: "POST /v1/events/create",
    tags: Some("GET /v1/calendars/contact-tags/list"),
    create_tag: Some("POST /v1/calendars/contact-tags/create"),
    apply_tag: Some("POST /v1/calendars/contact-tags/apply"),
    contacts: Some("GET /v1/calendars/contacts/list"),
    slugs: &["GET /v1/entities/lookup", "GET /v1/entity/lookup"],
    events: Some("GET /v1/calendars/events/list"),
};

impl Routes {
    /// Those of a dialect.
    pub(super) const fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Beta2021 => &BETA_2021,
            Dialect::V1 => &V1,
        }
    }

    /// Whether an event in doubt can be looked for. What the calendar holds is enough.
    #[must_use]
    pub const fn can_look_up(&self) -> bool {
        self.events.is_some()
    }
}
