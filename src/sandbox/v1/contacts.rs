//! Contacts: the pages of them, who is meant by a list of addresses, and who is sent away.
//!
//! Knows nothing of how they came.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::body::{Complaints, Object, Query};
use super::moment;
use super::paging::{Direction, Paging};
use super::settings::Settings;
use crate::sandbox::audience::{Person, Presence};
use crate::sandbox::state::Calendar;

const AVATAR: &str = "https://images.lumacdn.com/avatars/sandbox.png";
const COLUMNS: [&str; 5] =
    ["created_at", "event_checked_in_count", "event_approved_count", "name", "revenue_usd_cents"];
const STATUSES: [&str; 4] = ["approved", "pending", "approved-pending-payment", "declined"];

/// People as a request names them.
pub(super) struct People {
    emails: Vec<String>,
    user_ids: Vec<String>,
}

impl People {
    pub(super) fn read(body: &Object<'_>, complaints: &mut Complaints<'_>, settings: &Settings) -> Self {
        let emails = complaints.texts(body, "emails", false);
        let user_ids = complaints.texts(body, "user_ids", false);
        for (field, list) in [("emails", &emails), ("user_ids", &user_ids)] {
            if let Some(most) = settings.max_batch.filter(|most| list.len() > *most) {
                complaints.add(field, &format!("Too big: expected array to have <={most} items"));
            }
        }
        Self { emails, user_ids }
    }

    pub(super) const fn is_nobody(&self) -> bool {
        self.emails.is_empty() && self.user_ids.is_empty()
    }

    pub(super) const fn rows(&self) -> usize {
        self.emails.len() + self.user_ids.len()
    }

    /// The contacts among them, each once, and how many of the others there are.
    pub(super) fn find(&self, calendar: &Calendar<'_>, settings: &Settings) -> (Vec<usize>, usize) {
        self.find_where(calendar, |person| is_contact(person, calendar, settings))
    }

    fn find_where(&self, calendar: &Calendar<'_>, is_meant: impl Fn(&Person) -> bool) -> (Vec<usize>, usize) {
        let audience = &calendar.audience;
        let mut strangers = 0;
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let users: HashMap<String, usize> = if self.user_ids.is_empty() {
            HashMap::new()
        } else {
            audience.people().map(|(number, person)| (user_id(&person.address), number)).collect()
        };
        let by_email = self.emails.iter().map(|email| audience.find(email));
        let by_id = self.user_ids.iter().map(|id| users.get(id).copied());
        for person in by_email.chain(by_id) {
            match person.filter(|number| is_meant(audience.person(*number))) {
                Some(number) if seen.insert(number) => found.push(number),
                Some(_) => {}
                None => strangers += 1,
            }
        }
        (found, strangers)
    }

    /// Sends them away or lets them come back.
    pub(super) fn set_presence(&self, calendar: &mut Calendar<'_>, presence: Presence) -> Value {
        let (found, _) = self.find_where(calendar, |_| true);
        for person in found {
            calendar.audience.set_presence(person, presence);
        }
        json!({})
    }
}

/// Whether somebody is there, and has been for long enough to be seen.
fn is_contact(person: &Person, calendar: &Calendar<'_>, settings: &Settings) -> bool {
    let is_seen = settings.lag.is_none_or(|lag| person.since.plus(lag) <= calendar.now);
    person.presence == Presence::Here && is_seen
}

/// Which contacts are to be listed.
pub(super) struct Wanted {
    query: Option<String>,
    tags: Vec<String>,
    is_of_members: bool,
    by_name: bool,
    direction: Direction,
    paging: Paging,
}

impl Wanted {
    pub(super) fn read(query: &Query, settings: &Settings, complaints: &mut Complaints<'_>) -> Self {
        if let Some(status) = query.get("membership_status") {
            complaints.check_choice("membership_status", status, &STATUSES);
        }
        let column = query.get("sort_column").unwrap_or("created_at");
        complaints.check_choice("sort_column", column, &COLUMNS);
        let filters = ["membership_status", "calendar_membership_tier_id"];
        Self {
            query: query.get("query").filter(|query| !query.is_empty()).map(str::to_lowercase),
            tags: query.all("tags").filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            is_of_members: filters.iter().any(|filter| query.get(filter).is_some()),
            by_name: column == "name",
            direction: Direction::read(query, complaints),
            paging: Paging::read(query, settings, complaints),
        }
    }

    pub(super) fn page(&self, calendar: &Calendar<'_>, settings: &Settings) -> Value {
        let tags: Vec<&str> =
            self.tags.iter().filter_map(|tag| calendar.tags.resolve(tag, settings.tag_case)).collect();
        let is_wanted = |(_, person): &(usize, &Person)| {
            let held = calendar.audience.tags_of(person);
            is_contact(person, calendar, settings)
                // Nobody here has a membership.
                && !self.is_of_members
                && (self.tags.is_empty() || held.iter().any(|tag| tags.contains(&&**tag)))
                && self.query.as_deref().is_none_or(|query| is_hit(person, query, calendar))
        };
        let shown = |(number, person)| (number, shown(number, person, calendar));
        let people = calendar.audience.people();
        if self.by_name {
            let mut people: Vec<_> = people.filter(is_wanted).collect();
            people.sort_by(|one, other| self.compare(*one, *other, calendar));
            let before = self.paging.after.and_then(|number| calendar.audience.people().nth(number));
            let rest = people.into_iter().skip_while(|row| {
                before.is_some_and(|before| self.compare(*row, before, calendar) != Ordering::Greater)
            });
            return self.paging.page(rest.map(shown));
        }
        // Counts and revenue are zero here for everybody, which leaves the order in which people came.
        let after = self.paging.after;
        if self.direction.descending {
            let rest = people.rev().skip_while(|(number, _)| after.is_some_and(|after| *number >= after));
            self.paging.page(rest.filter(is_wanted).map(shown))
        } else {
            let rest = people.skip(after.map_or(0, |after| after + 1));
            self.paging.page(rest.filter(is_wanted).map(shown))
        }
    }

    fn compare(
        &self,
        (one, a): (usize, &Person),
        (other, b): (usize, &Person),
        calendar: &Calendar<'_>,
    ) -> Ordering {
        let Direction { descending, nulls_last } = self.direction;
        let turned = |ordering: Ordering| if descending { ordering.reverse() } else { ordering };
        let name_of = |person: &Person| calendar.users.name(&person.address);
        let names = match (name_of(a), name_of(b)) {
            (Some(a), Some(b)) => turned(a.cmp(b)),
            (None, None) => Ordering::Equal,
            (None, Some(_)) if nulls_last => Ordering::Greater,
            (Some(_), None) if nulls_last => Ordering::Less,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
        };
        names.then(turned(one.cmp(&other)))
    }
}

/// A contact as lists show it.
fn shown(number: usize, person: &Person, calendar: &Calendar<'_>) -> Value {
    let name = calendar.users.name(&person.address);
    let (first, last) = name_parts(name);
    let tags = calendar.audience.tags_of(person).iter().map(|tag| calendar.tags.shown(tag));
    json!({
        "id": format!("calmem-sandbox{}-{:07}", calendar.place, number + 1),
        "user_id": user_id(&person.address),
        "created_at": moment::write(person.since),
        "email": calendar.users.spelling(&person.address),
        "name": name,
        "first_name": first,
        "last_name": last,
        "avatar_url": AVATAR,
        "event_approved_count": 0,
        "event_checked_in_count": 0,
        "revenue_usd_cents": 0,
        "tags": tags.collect::<Vec<_>>(),
        "membership": null,
    })
}

/// A person is one user in all calendars.
pub(super) fn user_id(address: &str) -> String {
    format!("usr-{:016x}", xxh3_64(address.as_bytes()))
}

fn is_hit(person: &Person, query: &str, calendar: &Calendar<'_>) -> bool {
    let name = || calendar.users.name(&person.address);
    person.address.contains(query) || name().is_some_and(|name| name.to_lowercase().contains(query))
}

/// A first name, and whatever follows it.
pub(super) fn name_parts(name: Option<&str>) -> (Option<&str>, Option<&str>) {
    match name.map(|name| name.split_once(' ')) {
        None => (None, None),
        Some(None) => (name, None),
        Some(Some((first, last))) => (Some(first), Some(last.trim_start())),
    }
}

/// Whom the key belongs to.
pub(super) fn host(place: u64) -> Value {
    let number = if place == 0 { String::new() } else { format!("-{}", place + 1) };
    json!({
        "id": format!("usr-sandbox{number}"),
        "name": "Sandbox Host",
        "first_name": "Sandbox",
        "last_name": "Host",
        "email": format!("host{number}@example.org"),
        "avatar_url": AVATAR,
    })
}
