//! Importing contacts: what a body of either generation says, what is refused, and what is answered.
//!
//! Who is taken in is `intake`'s to decide; the answer is the same whoever vanished, as it is at Luma.

use serde_json::{Value, json};

use super::body::{Complaints, Object};
use super::routes::Generation;
use super::settings::{Skipped, UnknownTag};
use super::tags;
use crate::sandbox::Malformed;
use crate::sandbox::answer::Answer;
use crate::sandbox::beta::invalid;
use crate::sandbox::fault::Trouble;
use crate::sandbox::intake::{Arrival, is_well_formed, take_in};
use crate::sandbox::state::{Calendar, Rules};

/// A request to import people.
pub(super) struct Import {
    /// Addresses, and a name perhaps.
    contacts: Vec<(String, Option<String>)>,
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
        let contacts = complaints.objects(body, field, list);
        let contacts = contacts.iter().map(|contact| read_person(contact, complaints, rules)).collect();
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
        let contacts = self.contacts.iter();
        let arrivals: Vec<_> =
            contacts.map(|(email, name)| Arrival { address: email, name: name.as_deref() }).collect();
        let skipped = take_in(&arrivals, tags.iter(), calendar, rules, trouble)?;
        Ok(named_skipped(&skipped, rules))
    }

    pub(super) const fn rows(&self) -> usize {
        self.contacts.len()
    }

    /// Refuses an import that holds an address it must not; names those that are to be named.
    fn refuse_guilty(&self, rules: &Rules, trouble: &Trouble<'_>) -> Result<(), Answer> {
        let mut complaints = Complaints::new(&rules.settings);
        for (index, (email, _)) in self.contacts.iter().enumerate() {
            if trouble.names(email) {
                complaints.add(&format!("{}[{index}].email", self.field), &bad_address(email));
            }
        }
        complaints.judge()?;
        if self.contacts.iter().any(|(email, _)| trouble.refuses(email)) {
            return Err(invalid(&[]));
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
}

/// Somebody's address, and their name perhaps.
pub(super) fn read_person(
    person: &Object<'_>,
    complaints: &mut Complaints<'_>,
    rules: &Rules,
) -> (String, Option<String>) {
    complaints.only(person, &["email", "name"]);
    let email = complaints.needed_text(person, "email");
    let is_text = person.get("email").is_some_and(Value::is_string);
    if is_text && rules.malformed == Malformed::Reject && !is_well_formed(email) {
        complaints.add(&person.path("email"), &bad_address(email));
    }
    (email.to_owned(), complaints.text_or_null(person, "name").map(str::to_owned))
}

/// The answer to a list of people, which may name those who were left out.
pub(super) fn named_skipped(skipped: &[&str], rules: &Rules) -> Value {
    match rules.settings.skipped {
        Skipped::Silent => json!({}),
        Skipped::Told => {
            let rows: Vec<_> = skipped.iter().map(|email| json!({ "email": email })).collect();
            json!({ "skipped": rows })
        }
    }
}

fn bad_address(address: &str) -> String {
    format!("Invalid email address: \"{address}\"")
}
