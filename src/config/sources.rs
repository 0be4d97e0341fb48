//! `[[source]]`: somebody else's database, a query over it, and what its rows mean.
//!
//! Never repeats a URL: it may hold a password, also where it is wrong.

use std::time::Duration;

use super::Problem;
use super::accounts::Account;
use super::database::database_at;
use super::expect::expect;
use super::reader::Reader;
use super::secret::Place;
use super::types::Database;
use super::values::{Wrong, shown};
use crate::domain::account::MAIN;
use crate::domain::expect::Expectation;
use crate::domain::tag::{TagBook, TagSet};
use secrecy::ExposeSecret as _;

/// `[[source]]`
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called.
    pub name: String,
    /// Whose key its members are sent with.
    pub account: String,
    /// Where its rows lie; or what is wrong with that, told when it is used, where no secret is needed before.
    pub database: Result<Database, Problem>,
    /// The query.
    pub query: String,
    /// Fields of a member and the columns that hold them.
    pub columns: Vec<(String, String)>,
    /// Tags that every row gets.
    pub tags: TagSet,
    /// How it goes on from where it was read to.
    pub cursor: Option<Cursor>,
    /// How long one reading may take.
    pub timeout: Duration,
    /// What is expected of it.
    pub expect: Option<Expectation>,
}

/// `cursor`, `key` and `overlap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The column that grows with each change.
    pub value: String,
    /// The column that tells rows of one value apart.
    pub key: String,
    /// How far back a reading begins.
    pub overlap: Duration,
}

const TIMEOUT: Duration = Duration::from_mins(10);
const OVERLAP: Duration = Duration::from_mins(10);
const SECOND: Duration = Duration::from_secs(1);
/// What a member has, as `columns` calls it.
const FIELDS: [&str; 6] = ["email", "name", "first_name", "last_name", "tags", "approval_status"];
/// Names that mean something else where sources are named.
const RESERVED: [&str; 3] = ["folder", "queue", "file"];
const URL_HINT: &str = "write `sqlite://PATH`, or keep a URL like `postgres://USER:PASSWORD@HOST/DATABASE` in a place and write `env:NAME`, `file:PATH` or `credential:NAME`";

/// Reads every source. What is left out has a problem that the reader keeps.
pub(super) fn sources(
    reader: &mut Reader<'_>,
    main: &TagBook,
    further: &[Account],
    is_fetched: bool,
) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for number in 1..=reader.entries("source") {
        let at = format!("source.{number}");
        let key = |name: &str| format!("{at}.{name}");
        let source = source(reader, &at, (main, further), is_fetched);
        let twin = sources.iter().position(|other| !other.name.is_empty() && other.name == source.name);
        if let Some(twin) = twin {
            let message = format!("is `{}`, as that of the source before it ({})", source.name, twin + 1);
            reader.wrong(&key("name"), Wrong::new(message, "give each source a name of its own"));
        }
        sources.push(source);
    }
    sources
}

fn source(
    reader: &mut Reader<'_>,
    at: &str,
    (main, further): (&TagBook, &[Account]),
    is_fetched: bool,
) -> Source {
    let key = |name: &str| format!("{at}.{name}");
    reader.require(&key("name"), "write a plain word, like `name = \"crm\"`");
    reader.require(&key("url"), URL_HINT);
    reader.require(
        &key("query"),
        "write one `select`, like `query = \"select email, name, tags from members\"`",
    );
    reader.read(&key("kind"), kind);
    let account =
        reader.read(&key("account"), |text| account(text, further)).unwrap_or_else(|| MAIN.to_owned());
    let book = further.iter().find(|known| known.name.as_str() == account).map_or(main, |known| &known.tags);
    let database = database(reader, &key("url"), is_fetched);
    Source {
        name: reader.read(&key("name"), name).unwrap_or_default(),
        account,
        database,
        query: reader.read(&key("query"), query).unwrap_or_default(),
        columns: columns(reader, &key("columns")),
        tags: tags(reader, &key("tags"), book),
        cursor: cursor(reader, &key),
        timeout: optional(reader, &key("timeout"), SECOND).unwrap_or(TIMEOUT),
        expect: expect(reader, at),
    }
}

/// A duration, where the key is there at all.
fn optional(reader: &mut Reader<'_>, key: &str, least: Duration) -> Option<Duration> {
    let duration = reader.duration(key, least);
    (reader.has(key) && reader.are_sound(&[key])).then_some(duration)
}

fn name(text: &str) -> Result<String, Wrong> {
    let hint = "write up to 60 letters, digits, `-` and `_`, like `name = \"crm\"`";
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if RESERVED.contains(&text) {
        return Err(Wrong::new(format!("is `{text}`, which means something else"), hint));
    }
    if text.is_empty() || text.len() > 60 || !text.chars().all(is_plain) {
        return Err(Wrong::new(format!("is `{}`, which is no plain word", shown(text)), hint));
    }
    Ok(text.to_owned())
}

fn kind(text: &str) -> Result<(), Wrong> {
    let hint = "write `kind = \"members\"`, or leave it out";
    match text {
        "members" => Ok(()),
        "events" => Err(Wrong::new(
            "is `events`, but events are not read from other databases: an event is created once, and a query answers again and again",
            "insert events into the table `event_queue`, or drop files of them into the folder",
        )),
        other => Err(Wrong::new(format!("is `{}`", shown(other)), hint)),
    }
}

fn account(text: &str, further: &[Account]) -> Result<String, Wrong> {
    let text = text.trim();
    let known: Vec<&str> =
        std::iter::once(MAIN).chain(further.iter().map(|account| account.name.as_str())).collect();
    if known.contains(&text) {
        return Ok(text.to_owned());
    }
    let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(Wrong::new(
        format!("is `{}`, and there is no such account", shown(text)),
        format!("the accounts are {known}; others are written below `[accounts.NAME]`"),
    ))
}

fn query(text: &str) -> Result<String, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new("is empty", "write one `select`"));
    }
    Ok(text.to_owned())
}

fn columns(reader: &mut Reader<'_>, key: &str) -> Vec<(String, String)> {
    let columns = reader.table(key);
    for (field, column) in &columns {
        let key = format!("{key}.{field}");
        if !FIELDS.contains(&field.as_str()) {
            let likeness = |known: &str| strsim::normalized_damerau_levenshtein(known, field);
            let nearest = FIELDS.into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
            let hint = match nearest.filter(|nearest| likeness(nearest) > 0.5) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("write one of {}", FIELDS.map(|field| format!("`{field}`")).join(", ")),
            };
            reader.wrong(&key, Wrong::new("is nothing that a member has", hint));
        } else if column.is_empty() {
            reader.wrong(
                &key,
                Wrong::new("is empty", "write the name of a column of the query, or leave it out"),
            );
        }
    }
    columns
}

fn tags(reader: &mut Reader<'_>, key: &str, book: &TagBook) -> TagSet {
    let found: Vec<_> = reader.texts(key).iter().map(|tag| book.resolve(tag)).collect();
    let mut tags = Vec::new();
    for tag in found {
        match tag {
            Ok(tag) => tags.push(tag),
            Err(unknown) => {
                let hint = "write the id that Luma shows for it, or give it a name in `[tags]`";
                reader.wrong(key, Wrong::new(format!("names a tag that is not known: {unknown}"), hint));
            }
        }
    }
    tags.into_iter().collect()
}

fn cursor(reader: &mut Reader<'_>, key: &impl Fn(&str) -> String) -> Option<Cursor> {
    let overlap = optional(reader, &key("overlap"), Duration::ZERO);
    match (reader.text(&key("cursor")), reader.text(&key("key"))) {
        (Some(value), Some(key)) => Some(Cursor { value, key, overlap: overlap.unwrap_or(OVERLAP) }),
        (Some(_), None) => {
            let hint = "write the column that tells rows of one moment apart, like `key = \"id\"`";
            reader.wrong(&key("key"), Wrong::new("is missing, and `cursor` needs it", hint));
            None
        }
        (None, key_column) => {
            let stray = [("key", key_column.is_some()), ("overlap", overlap.is_some())];
            for (name, _) in stray.into_iter().filter(|(_, is_there)| *is_there) {
                let hint = "write the column that grows with each change, like `cursor = \"updated_at\"`, or leave this out";
                reader.wrong(&key(name), Wrong::new("means nothing without `cursor`", hint));
            }
            None
        }
    }
}

/// The database, or what is wrong. Where nobody is going to need it, a secret that is not there is no problem yet.
fn database(reader: &mut Reader<'_>, key: &str, is_fetched: bool) -> Result<Database, Problem> {
    let written = reader.text(key).unwrap_or_default();
    let found = match Place::parse(&written) {
        Ok(place) => reader.fetched(&place).map(Some),
        Err(_) if written.trim().starts_with("sqlite:") => Ok(None),
        Err(_) => Err(Wrong::new("is no place where a URL is kept, nor a file of SQLite", URL_HINT)),
    };
    let is_missing = found.is_err() && Place::parse(&written).is_ok();
    let read = found.and_then(|url| match url {
        Some(url) => database_at(url.expose_secret()),
        None => database_at(&written),
    });
    read.map_err(|wrong| {
        let problem = Problem::new(key, wrong.message.clone(), wrong.hint.clone());
        if reader.has(key) && (is_fetched || !is_missing) {
            reader.wrong(key, wrong);
        }
        problem
    })
}
