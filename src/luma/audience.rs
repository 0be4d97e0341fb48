//! What the audience is known to hold: tags, people page by page, and how many of some are in it.
//!
//! The beta offers none of it.

use serde_json::{Value, json};

use super::client::{Answered, Client, post};
use super::wire::{Odd, Page, count, field, text};
use crate::domain::tag::TagId;

/// A tag that people can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Luma's id of it.
    pub id: TagId,
}

/// The tags there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagList {
    /// Each of them.
    pub tags: Vec<Tag>,
    /// Whether these are all: where they are not, a name that is not among them may be a tag all the same.
    pub is_complete: bool,
}

/// How many a tag was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// People who have it now.
    pub applied: u64,
    /// People who are not in the audience.
    pub skipped: u64,
}

/// Somebody who is in the audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The address.
    pub email: String,
    /// The name, if Luma knows one.
    pub name: Option<String>,
    /// The tags.
    pub tags: Vec<TagId>,
}

/// Some of the audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactPage {
    /// The people of this page.
    pub contacts: Vec<Listed>,
    /// Where the next page begins; none after the last.
    pub next: Option<String>,
}

/// People a page: more than this no server is known to give.
const PAGE: &str = "100";

impl Client {
    /// Lists the tags there are.
    pub async fn tags(&self) -> Answered<TagList> {
        self.ask(self.routes().tags, reqwest::Client::get, read_tags).await
    }

    /// Makes a tag. Asked for twice it may be there twice, so look first.
    pub async fn create_tag(&self, name: &str) -> Answered<TagId> {
        let body = json!({ "name": name }).to_string();
        self.ask(self.routes().create_tag, |_, url| post(&self.once, url, body), tag_id).await
    }

    /// Gives a tag to those of these people who are in the audience.
    pub async fn apply_tag(&self, tag: &TagId, emails: &[&str]) -> Answered<Applied> {
        let body = json!({ "tag": tag.as_str(), "emails": emails }).to_string();
        let read = |answer: &Value| {
            let (applied, skipped) = (count(answer, "applied_count")?, count(answer, "skipped_count")?);
            Ok(Applied { applied, skipped })
        };
        self.ask(self.routes().apply_tag, |http, url| post(http, url, body), read).await
    }

    /// A page of the audience, oldest first, from where an earlier page said; `search` keeps those whose
    /// name or address holds it.
    pub async fn contacts(&self, search: Option<&str>, cursor: Option<&str>) -> Answered<ContactPage> {
        let mut query =
            vec![("pagination_limit", PAGE), ("sort_column", "created_at"), ("sort_direction", "asc")];
        query.extend(search.map(|search| ("query", search)));
        query.extend(cursor.map(|cursor| ("pagination_cursor", cursor)));
        self.ask(self.routes().contacts, |http, url| http.get(with_query(&url, &query)), read_contacts).await
    }
}

/// An address with what is asked; a `+` in it is written so that it arrives as one.
pub(super) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{url}?{query}")
}

fn read_tags(answer: &Value) -> Result<TagList, Odd> {
    let page = Page::of(answer)?;
    let read = page.entries.iter().map(read_tag).collect::<Result<Vec<_>, Odd>>()?;
    let tags: Vec<Tag> = read.into_iter().flatten().collect();
    let is_complete = !page.has_more && tags.len() == page.entries.len();
    Ok(TagList { tags, is_complete })
}

/// A tag; none where its id or name is of no use, which keeps nobody from the others.
fn read_tag(entry: &Value) -> Result<Option<Tag>, Odd> {
    let name = field(entry, &["name"])?.as_str().filter(|name| !name.trim().is_empty());
    let id = TagId::parse(text(entry, &TAG_ID)?);
    Ok(name.zip(id).map(|(name, id)| Tag { name: name.to_owned(), id }))
}

/// What generations of the API call the id of a tag.
const TAG_ID: [&str; 4] = ["id", "tag_id", "api_id", "tag_api_id"];

fn tag_id(entry: &Value) -> Result<TagId, Odd> {
    let text = text(entry, &TAG_ID)?;
    TagId::parse(text).ok_or_else(|| format!("names a tag `{}`, which is no id of one", text.escape_debug()))
}

fn read_contacts(answer: &Value) -> Result<ContactPage, Odd> {
    let page = Page::of(answer)?;
    let contacts = page.entries.iter().map(contact).collect::<Result<_, Odd>>()?;
    Ok(ContactPage { contacts, next: page.next()? })
}

fn contact(entry: &Value) -> Result<Listed, Odd> {
    let email = text(entry, &["email"])?.to_owned();
    let name = entry.get("name").and_then(Value::as_str).map(str::to_owned);
    let tags = field(entry, &["tags"])?.as_array().ok_or("has no list in `tags`")?;
    // Tags of older kinds have ids of other shapes; nobody asks for these.
    let known = |tag: &Value| Ok(TagId::parse(text(tag, &TAG_ID)?));
    let tags = tags.iter().map(known).collect::<Result<Vec<_>, Odd>>()?;
    Ok(Listed { email, name, tags: tags.into_iter().flatten().collect() })
}
