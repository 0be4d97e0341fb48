//! Rows into the queues: judged as intake will judge them, all or none, and once for each `Idempotency-Key`.
//!
//! What only Luma can say, as whether it has a tag of that name, is said on the row later.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{answer, may_write, read};
use crate::domain::account::MAIN;
use crate::domain::code::Code;
use crate::domain::email::Address;
use crate::domain::event::{Field, Fields, parse_event, said};
use crate::engine::Engine;
use crate::store::{Enqueued, RequestKey, Wish};
use crate::web::fault::Fault;
use crate::web::site::Site;
use crate::web::token::hex;
use crate::web::visitor::Visitor;

/// Rows of one request.
const MOST_MEMBERS: usize = 1_000;
const MOST_EVENTS: usize = 100;
/// The longest key, and the longest of a member's texts.
const LONGEST_KEY: usize = 200;
const LONGEST_TEXT: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    account: Option<String>,
    members: Vec<Member>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    email: String,
    name: Option<String>,
    tags: Option<Tags>,
}

/// As a list or as a cell of a file has them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Cell(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    account: Option<String>,
    events: Vec<Map<String, Value>>,
}

/// What is wrong with a row.
struct Wrong {
    place: usize,
    code: Code,
    reason: String,
}

/// Members into the queue.
pub(super) async fn members(
    State(site): State<Site>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let Members { account, members } = read(&body)?;
    let account = account.unwrap_or_else(|| MAIN.to_owned());
    check_number(members.len(), MOST_MEMBERS)?;
    let digests = Digests::of("members", &headers, &body)?;
    let key = digests.as_ref().map(Digests::key);
    if let Some(before) = repeated(&site, key.as_ref()).await? {
        return told(&account, "members", before);
    }
    // No account has such a name, and not every database can be asked for it.
    if account.contains('\0') || site.store.account(&account).await?.is_none() {
        return Err(no_account());
    }
    let engine = engine(&site, &account);
    let wishes = match judged(members, |member| wish(member, engine)) {
        Ok(wishes) => wishes,
        Err(wrong) => return Ok(refusal(&wrong)),
    };
    let enqueued = site.store.enqueue_members(&account, &wishes, key.as_ref(), site.clock.now()).await?;
    site.snapshots.forget();
    told(&account, "members", enqueued)
}

/// Events into the queue.
pub(super) async fn events(
    State(site): State<Site>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let Events { account, events } = read(&body)?;
    let account = account.unwrap_or_else(|| MAIN.to_owned());
    check_number(events.len(), MOST_EVENTS)?;
    let digests = Digests::of("events", &headers, &body)?;
    let key = digests.as_ref().map(Digests::key);
    if let Some(before) = repeated(&site, key.as_ref()).await? {
        return told(&account, "events", before);
    }
    let engine = engine(&site, &account).ok_or_else(no_account)?;
    let now = site.clock.now();
    let rows = match judged(events, |event| fields(&event, engine, now)) {
        Ok(rows) => rows,
        Err(wrong) => return Ok(refusal(&wrong)),
    };
    let enqueued = site.store.enqueue_events(&account, &rows, key.as_ref(), site.clock.now()).await?;
    site.snapshots.forget();
    told(&account, "events", enqueued)
}

/// What was made under this key already: it stands, also where the same rows would be judged otherwise today.
async fn repeated(site: &Site, key: Option<&RequestKey<'_>>) -> Result<Option<Enqueued>, Fault> {
    match key {
        Some(key) => Ok(site.store.enqueued_before(key, site.clock.now()).await?),
        None => Ok(None),
    }
}

/// All rows as they go into the queue, or what is wrong with each that cannot.
fn judged<R, T>(rows: Vec<R>, judge: impl Fn(R) -> Result<T, (Code, String)>) -> Result<Vec<T>, Vec<Wrong>> {
    let (mut good, mut wrong) = (Vec::with_capacity(rows.len()), Vec::new());
    for (place, row) in rows.into_iter().enumerate() {
        match judge(row) {
            Ok(row) => good.push(row),
            Err((code, reason)) => wrong.push(Wrong { place, code, reason }),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong) }
}

fn check_number(rows: usize, most: usize) -> Result<(), Fault> {
    match rows {
        0 => Err(Fault::Wrong("There is no row in it.".to_owned())),
        rows if rows > most => {
            Err(Fault::Wrong(format!("There are {rows} rows in it, and {most} is the most.")))
        }
        _ => Ok(()),
    }
}

fn no_account() -> Fault {
    Fault::Wrong("There is no such account.".to_owned())
}

fn engine<'s>(site: &'s Site, account: &str) -> Option<&'s Engine> {
    site.fleet.engines().find(|engine| engine.account() == account)
}

fn wish(member: Member, engine: Option<&Engine>) -> Result<Wish, (Code, String)> {
    let Member { email, name, tags } = member;
    if email.trim().is_empty() {
        return Err((Code::EmailMissing, "no address".to_owned()));
    }
    Address::parse(&email).map_err(|error| (Code::EmailInvalid, error.to_string()))?;
    let tags = match tags {
        None => None,
        Some(Tags::Cell(cell)) => Some(cell),
        Some(Tags::List(list)) if list.iter().any(|tag| tag.contains([';', '|'])) => {
            return Err((Code::TagUnknown, "a tag of a list holds `;` or `|`".to_owned()));
        }
        Some(Tags::List(list)) => Some(list.join(";")),
    };
    if [&name, &tags].into_iter().flatten().any(|text| text.len() > LONGEST_TEXT) {
        return Err((Code::CellTooLong, format!("`name` or `tags` is longer than {LONGEST_TEXT} bytes")));
    }
    // In today's API a name may be one that Luma knows, and intake asks it.
    if let Some((engine, tags)) = engine.zip(tags.as_deref())
        && engine.settings().read.dialect == crate::domain::dialect::Dialect::Beta2021
    {
        engine.settings().tags.resolve_cell(tags).map_err(|error| (Code::TagUnknown, error.to_string()))?;
    }
    Ok(Wish { email, name, tags })
}

/// The fields of an event, where they make one.
fn fields(
    event: &Map<String, Value>,
    engine: &Engine,
    now: crate::clock::Time,
) -> Result<Fields, (Code, String)> {
    let mut fields = Fields::default();
    for (name, value) in event {
        let field = Field::parse(name);
        let field =
            field.ok_or_else(|| (Code::FieldInvalid, "a field that events do not have".to_owned()))?;
        match value {
            Value::Null => {}
            Value::String(text) => fields.set(field, text),
            Value::Number(_) | Value::Bool(_) => fields.set(field, &value.to_string()),
            Value::Object(_) if field == Field::GeoAddressJson => fields.set(field, &value.to_string()),
            Value::Array(_) | Value::Object(_) => {
                return Err((Code::FieldInvalid, format!("`{field}` is a list or an object")));
            }
        }
    }
    match parse_event(&fields, &engine.settings().event_rules, now) {
        Ok(_) => Ok(fields),
        Err(problems) => {
            let code = problems.first().map_or(Code::FieldInvalid, |problem| problem.code);
            Err((code, said(&problems, |_| None)))
        }
    }
}

fn refusal(wrong: &[Wrong]) -> Response {
    let rows = wrong.iter().map(
        |Wrong { place, code, reason }| json!({ "index": place, "code": code.as_str(), "reason": reason }),
    );
    let body =
        json!({ "error": "Nothing was enqueued: some rows are invalid.", "rows": rows.collect::<Vec<_>>() });
    answer(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

fn told(account: &str, kind: &str, enqueued: Enqueued) -> Result<Response, Fault> {
    let (status, ids, is_repeated) = match enqueued {
        Enqueued::Now(ids) => (StatusCode::CREATED, ids, false),
        Enqueued::Before(ids) => (StatusCode::OK, ids, true),
        Enqueued::Otherwise => {
            return Err(Fault::Conflict("This `Idempotency-Key` was used for something else.".to_owned()));
        }
    };
    tracing::info!(account, kind, rows = ids.len(), repeated = is_repeated, "rows came by the API");
    Ok(answer(status, &json!({ "account": account, "ids": ids, "repeated": is_repeated })))
}

/// What is kept of a key and of what was asked: neither can be read from it.
struct Digests {
    key: String,
    asked: String,
}

impl Digests {
    fn of(kind: &str, headers: &HeaderMap, body: &Bytes) -> Result<Option<Self>, Fault> {
        let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
        let is_sound =
            (1..=LONGEST_KEY).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
        if !is_sound {
            let why = format!("`Idempotency-Key` is 1 to {LONGEST_KEY} visible characters of ASCII.");
            return Err(Fault::Wrong(why));
        }
        let key = digest(&[kind.as_bytes(), b"\0", key.as_bytes()]);
        Ok(Some(Self { key, asked: digest(&[body]) }))
    }

    fn key(&self) -> RequestKey<'_> {
        RequestKey { key: &self.key, asked: &self.asked }
    }
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hex(&hash.finalize())
}
