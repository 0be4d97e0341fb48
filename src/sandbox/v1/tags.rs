//! The tags of a calendar: their ids, names and colours, and who is told by which.
//!
//! Who holds a tag is the audience's to know; a tag that an import of the beta names is taken as it is.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::{Complaints, Object};
use super::contacts::People;
use super::settings::{EmptyApply, Settings, TagAgain, TagCase, TagTwice};
use crate::sandbox::answer::Answer;
use crate::sandbox::audience::Audience;
use crate::sandbox::state::{Calendar, Rules};

const COLORS: [&str; 8] = ["cranberry", "barney", "red", "green", "blue", "purple", "yellow", "orange"];

/// A tag that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Tag {
    id: String,
    name: String,
    color: String,
}

/// All tags of one calendar, in the order in which they came.
#[derive(Default)]
pub(in super::super) struct Tags {
    list: Vec<Tag>,
    /// Ids begin after this number: no two calendars give the same.
    before: u64,
    made: u64,
}

impl Tags {
    /// Those of the calendar with this number, beginning with tags written `ID` or `ID=NAME`.
    pub(in super::super) fn of_key(place: u64, known: &[String]) -> Self {
        let mut tags = Self { before: place.saturating_mul(1_000_000), ..Self::default() };
        for text in known {
            let (id, name) = text.split_once('=').unwrap_or((text, text));
            tags.put(id.to_owned(), name.to_owned(), None);
        }
        tags
    }

    pub(in super::super) fn all(&self) -> &[Tag] {
        &self.list
    }

    /// Every tag by its id, with its name.
    pub(in super::super) fn names(&self) -> BTreeMap<String, String> {
        self.list.iter().map(|tag| (tag.id.clone(), tag.name.clone())).collect()
    }

    /// Takes tags back that were kept, in place of those that have their ids.
    pub(in super::super) fn restore(&mut self, kept: Vec<Tag>) {
        self.list.retain(|tag| kept.iter().all(|kept| kept.id != tag.id));
        let number = |tag: &Tag| tag.id.strip_prefix("tag-sandbox")?.parse::<u64>().ok();
        let made = kept.iter().filter_map(number).map(|number| number.saturating_sub(self.before)).max();
        self.made = self.made.max(made.unwrap_or_default());
        self.list.extend(kept);
    }

    /// Makes sure that a tag with this id exists.
    pub(in super::super) fn adopt(&mut self, id: &str) {
        if !self.has_id(id) {
            self.put(id.to_owned(), id.to_owned(), None);
        }
    }

    pub(in super::super) fn has_id(&self, id: &str) -> bool {
        self.list.iter().any(|tag| tag.id == id)
    }

    /// The id of the tag that has this id or, failing that, this name.
    pub(super) fn resolve(&self, text: &str, case: TagCase) -> Option<&str> {
        let by_id = self.list.iter().find(|tag| tag.id == text);
        let by_name = || self.list.iter().find(|tag| is_named(tag, text, case));
        by_id.or_else(by_name).map(|tag| tag.id.as_str())
    }

    /// A tag of a contact, as lists show it.
    pub(super) fn shown(&self, id: &str) -> Value {
        let name = self.list.iter().find(|tag| tag.id == id).map_or(id, |tag| tag.name.as_str());
        json!({ "id": id, "name": name })
    }

    fn put(&mut self, id: String, name: String, color: Option<String>) {
        self.list.push(Tag { id, name, color: color.unwrap_or_else(|| "blue".to_owned()) });
    }

    fn is_taken(&self, name: &str, own: Option<&str>, settings: &Settings) -> bool {
        let mut others = self.list.iter().filter(|tag| Some(tag.id.as_str()) != own);
        settings.tag_twice == TagTwice::Reject && others.any(|tag| is_named(tag, name, settings.tag_case))
    }
}

fn is_named(tag: &Tag, name: &str, case: TagCase) -> bool {
    match case {
        TagCase::Exact => tag.name == name,
        TagCase::Ignore => tag.name.to_lowercase() == name.to_lowercase(),
    }
}

/// A request that is about tags.
pub(super) enum Ask {
    List,
    Create { name: String, color: Option<String> },
    Update { id: String, name: Option<String>, color: Option<String> },
    Delete { id: String },
    Apply { tag: String, people: People },
    Unapply { tag: String, people: People },
}

impl Ask {
    pub(super) fn create(body: &Object<'_>, complaints: &mut Complaints<'_>) -> Self {
        complaints.only(body, &["name", "color"]);
        let name = complaints.needed_text(body, "name").to_owned();
        if name.trim().is_empty() && body.get("name").is_some_and(Value::is_string) {
            complaints.add("name", "Too small: expected string to have >=1 characters");
        }
        let has_color = body.get("color").is_some_and(|color| !color.is_null());
        let color = if has_color { complaints.choice(body, "color", &COLORS) } else { None };
        Self::Create { name, color: color.map(str::to_owned) }
    }

    pub(super) fn update(body: &Object<'_>, complaints: &mut Complaints<'_>) -> Self {
        complaints.only(body, &["tag_id", "tag_api_id", "name", "color"]);
        let id = needed_id(body, complaints);
        let name = complaints.text(body, "name").map(str::to_owned);
        let color = complaints.choice(body, "color", &COLORS).map(str::to_owned);
        Self::Update { id, name, color }
    }

    pub(super) fn delete(body: &Object<'_>, complaints: &mut Complaints<'_>) -> Self {
        complaints.only(body, &["tag_id", "tag_api_id"]);
        Self::Delete { id: needed_id(body, complaints) }
    }

    /// The tag and the people of `apply` and `unapply`.
    pub(super) fn people(
        body: &Object<'_>,
        complaints: &mut Complaints<'_>,
        settings: &Settings,
    ) -> (String, People) {
        complaints.only(body, &["tag", "emails", "user_ids"]);
        let tag = complaints.needed_text(body, "tag").to_owned();
        let people = People::read(body, complaints, settings);
        if people.is_nobody() && settings.empty_apply == EmptyApply::Reject {
            complaints.add("emails", "Invalid input: expected emails or user_ids");
        }
        (tag, people)
    }

    pub(super) fn carry_out(self, calendar: &mut Calendar<'_>, rules: &Rules) -> Result<Value, Answer> {
        let settings = &rules.settings;
        match self {
            Self::List => Ok(json!({ "entries": calendar.tags.list, "has_more": false })),
            Self::Create { name, color } => create(calendar.tags, name, color, settings),
            Self::Update { id, name, color } => update(calendar.tags, &id, name, color, settings),
            Self::Delete { id } => {
                find(calendar.tags, &id)?;
                calendar.tags.list.retain(|tag| tag.id != id);
                calendar.audience.drop_tag(&id);
                Ok(json!({}))
            }
            Self::Apply { tag, people } => {
                let (count, skipped) = change(&tag, &people, calendar, settings, Audience::tag)?;
                Ok(json!({ "applied_count": count, "skipped_count": skipped }))
            }
            Self::Unapply { tag, people } => {
                let (count, skipped) = change(&tag, &people, calendar, settings, Audience::untag)?;
                Ok(json!({ "removed_count": count, "skipped_count": skipped }))
            }
        }
    }
}

/// Gives people a tag or takes it away; how many of them count, and how many are no contacts.
fn change(
    tag: &str,
    people: &People,
    calendar: &mut Calendar<'_>,
    settings: &Settings,
    make: impl Fn(&mut Audience, usize, &str) -> bool,
) -> Result<(usize, usize), Answer> {
    let tag = resolve(calendar.tags, tag, settings)?;
    let (found, skipped) = people.find(calendar, settings);
    let mut count = 0;
    for person in found {
        let is_change = make(calendar.audience, person, &tag);
        count += usize::from(is_change || settings.tag_again == TagAgain::Counted);
    }
    Ok((count, skipped))
}

/// The id of a tag, in either spelling.
fn needed_id(body: &Object<'_>, complaints: &mut Complaints<'_>) -> String {
    let elder = body.get("tag_id").is_none() && body.get("tag_api_id").is_some();
    complaints.needed_text(body, if elder { "tag_api_id" } else { "tag_id" }).to_owned()
}

pub(super) fn not_found() -> Answer {
    Answer::message(StatusCode::BAD_REQUEST, "Tag not found.")
}

fn resolve(tags: &Tags, text: &str, settings: &Settings) -> Result<String, Answer> {
    tags.resolve(text, settings.tag_case).map(str::to_owned).ok_or_else(not_found)
}

fn find<'a>(tags: &'a mut Tags, id: &str) -> Result<&'a mut Tag, Answer> {
    tags.list.iter_mut().find(|tag| tag.id == id).ok_or_else(not_found)
}

fn twice() -> Answer {
    Answer::message(StatusCode::BAD_REQUEST, "A tag with this name already exists.")
}

fn create(
    tags: &mut Tags,
    name: String,
    color: Option<String>,
    settings: &Settings,
) -> Result<Value, Answer> {
    if tags.is_taken(&name, None, settings) {
        return Err(twice());
    }
    tags.made += 1;
    let id = format!("tag-sandbox{:05}", tags.before + tags.made);
    let answer = json!({ "id": id });
    tags.put(id, name, color);
    Ok(answer)
}

fn update(
    tags: &mut Tags,
    id: &str,
    name: Option<String>,
    color: Option<String>,
    settings: &Settings,
) -> Result<Value, Answer> {
    if name.as_ref().is_some_and(|name| tags.is_taken(name, Some(id), settings)) {
        return Err(twice());
    }
    let tag = find(tags, id)?;
    tag.name = name.unwrap_or_else(|| tag.name.clone());
    tag.color = color.unwrap_or_else(|| tag.color.clone());
    Ok(json!({}))
}
