//! Importing contacts: what a body of either generation says, what is refused, and what is stored.
//!
//! Rows may vanish: dropped because no address is in them, lost by a fault, or kept away because their
//! people were removed. The answer is the same, as it is at Luma.

use std::collections::HashSet;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::body::{Complaints, Object};
use super::routes::Generation;
use super::settings::{Away, OverLimit, UnknownTag};
use super::{Calendar, tags};
use crate::sandbox::Malformed;
use crate::sandbox::answer::Answer;
use crate::sandbox::audience::{Added, Presence, SetId, lower_case};
use crate::sandbox::fault::Trouble;
use crate::sandbox::service::is_well_formed;
use crate::sandbox::state::{Fate, Rules};

/// Somebody to import.
struct Contact {
    email: String,
    name: Option<String>,
}

impl Contact {
    /// Adds somebody, where there is room for one more.
    fn take_in(&self, calendar: &mut Calendar<'_>, rules: &Rules, tags: SetId, room: &mut Option<usize>) {
        let Calendar { audience, counts, now, .. } = calendar;
        let known = audience.find(&self.email);
        if known.is_none() && *room == Some(0) {
            counts.over_limit += 1;
            return;
        }
        if let Some(person) = known.filter(|_| rules.settings.away == Away::Return)
            && audience.person(person).presence == Presence::Removed
        {
            audience.set_presence(person, Presence::Here);
        }
        match audience.add(&self.email, self.name.as_deref(), tags, *now) {
            Added::New => *room = room.map(|room| room.saturating_sub(1)),
            Added::Changed => {}
            Added::Repeat => counts.repeats += 1,
            Added::Away => counts.away += 1,
        }
    }
}

/// A request to import people.
pub(super) struct Import {
    contacts: Vec<Contact>,
    tags: Vec<String>,
    /// What the list of contacts is called.
    field: &'static str,
}

impl Import {
    pub(super) fn read(
        body: &Object<'_>,
        generation: Generation,
        complaints: &mut Complaints<'_>,
        rules: &Rules,
    ) -> Self {
        let (field, tags) = match generation {
            Generation::G3 => {
                complaints.only(body, &["contacts", "tags"]);
                ("contacts", complaints.texts(body, "tags", true))
            }
            Generation::G1 | Generation::G2 => {
                let lists = ["tag_ids", "tag_api_ids", "tag_names"];
                complaints.only(body, &["infos", lists[0], lists[1], lists[2]]);
                ("infos", lists.iter().flat_map(|list| complaints.texts(body, list, true)).collect())
            }
        };
        let list = complaints.needed_list(body, field);
        if let Some(most) = rules.settings.max_batch.filter(|most| list.len() > *most) {
            complaints.add(field, &format!("Too big: expected array to have <={most} items"));
        }
        let mut contacts = Vec::with_capacity(list.len());
        for contact in complaints.objects(body, field, list) {
            complaints.only(&contact, &["email", "name"]);
            let email = complaints.needed_text(&contact, "email").to_owned();
            let name = complaints.text_or_null(&contact, "name").map(str::to_owned);
            let is_text = contact.get("email").is_some_and(Value::is_string);
            if is_text && rules.malformed == Malformed::Reject && !is_well_formed(&email) {
                complaints.add(&contact.path("email"), &bad_address(&email));
            }
            contacts.push(Contact { email, name });
        }
        Self { contacts, tags, field }
    }

    pub(super) fn carry_out(
        self,
        calendar: &mut Calendar<'_>,
        rules: &Rules,
        trouble: &Trouble<'_>,
    ) -> Result<Value, Answer> {
        self.refuse_guilty(rules, trouble)?;
        let tags = self.resolve_tags(calendar, rules)?;
        let mut room = self.room(calendar, rules, trouble)?;
        let tags = calendar.audience.tag_set(tags.iter().map(String::as_str));
        for contact in &self.contacts {
            match rules.fate(&contact.email, trouble) {
                Fate::Dropped => calendar.counts.dropped += 1,
                Fate::Lost => calendar.counts.lost += 1,
                Fate::Kept => contact.take_in(calendar, rules, tags, &mut room),
            }
        }
        calendar.counts.imports += 1;
        calendar.counts.rows_received += self.contacts.len() as u64;
        Ok(json!({}))
    }

    pub(super) const fn rows(&self) -> usize {
        self.contacts.len()
    }

    /// Refuses an import that holds an address it must not; names those that are to be named.
    fn refuse_guilty(&self, rules: &Rules, trouble: &Trouble<'_>) -> Result<(), Answer> {
        let mut complaints = Complaints::new(&rules.settings);
        for (index, contact) in self.contacts.iter().enumerate() {
            if trouble.names(&contact.email) {
                let path = format!("{}[{index}].email", self.field);
                complaints.add(&path, &bad_address(&contact.email));
            }
        }
        complaints.judge()?;
        if self.contacts.iter().any(|contact| trouble.refuses(&contact.email)) {
            return Err(crate::sandbox::beta::invalid(&[]));
        }
        Ok(())
    }

    fn resolve_tags(&self, calendar: &Calendar<'_>, rules: &Rules) -> Result<Vec<String>, Answer> {
        let mut ids = Vec::new();
        for tag in &self.tags {
            match calendar.tags.resolve(tag, rules.settings.tag_case) {
                Some(id) => ids.push(id.to_owned()),
                None if rules.settings.unknown_tag == UnknownTag::Ignore => {}
                None => return Err(tags::not_found()),
            }
        }
        Ok(ids)
    }

    /// How many new people may come in; a refusal where they are more and none may then.
    fn room(
        &self,
        calendar: &Calendar<'_>,
        rules: &Rules,
        trouble: &Trouble<'_>,
    ) -> Result<Option<usize>, Answer> {
        let Some(most) = rules.settings.import_limit else { return Ok(None) };
        let room = most.saturating_sub(calendar.audience.imported());
        if rules.settings.over_limit == OverLimit::AllOrNothing {
            let is_new = |email: &&str| {
                rules.fate(email, trouble) == Fate::Kept && calendar.audience.find(email).is_none()
            };
            let emails = self.contacts.iter().map(|contact| contact.email.as_str());
            let new: HashSet<_> = emails.filter(is_new).map(lower_case).collect();
            if new.len() > room {
                let told = "You have reached the import limit of this calendar.";
                return Err(Answer::message(rules.settings.import_limit_status, told));
            }
        }
        Ok(Some(room))
    }
}

/// The refusal of more rows than a fault lets through.
pub(super) fn too_large() -> Answer {
    Answer::message(StatusCode::PAYLOAD_TOO_LARGE, "Request entity too large.")
}

fn bad_address(address: &str) -> String {
    format!("Invalid email address: \"{address}\"")
}
