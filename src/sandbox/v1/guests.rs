//! Guests of events, and the mail they would have been sent, so that a test can say that nobody was.
//!
//! Nothing is ever sent, and guests are no contacts here. Knows nothing of what an event is like.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::{Complaints, Object, Query};
use super::contacts::{name_parts, user_id};
use super::import::{named_skipped, read_person};
use super::{events, moment};
use crate::sandbox::answer::Answer;
use crate::sandbox::audience::{Presence, lower_case};
use crate::sandbox::state::{Calendar, Rules};

/// The longest word with an invitation.
const LONGEST: usize = 200;

/// All guests of one calendar's events, and what they were sent.
#[derive(Default, Serialize, Deserialize)]
pub(in super::super) struct Guests {
    list: Vec<Guest>,
    outbox: Vec<Mail>,
}

#[derive(Serialize, Deserialize)]
struct Guest {
    event_id: String,
    email: String,
    status: String,
    at: String,
}

/// A mail that a guest would have been sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// To whom, in lower case.
    pub to: String,
    /// About which event.
    pub event_id: String,
    /// Why.
    pub kind: MailKind,
}

/// Why a guest would have been sent a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailKind {
    /// They were added to the event.
    Added,
    /// They were invited to it.
    Invited,
}

impl Guests {
    /// Every mail, in the order in which they would have left.
    pub(in super::super) fn outbox(&self) -> &[Mail] {
        &self.outbox
    }

    /// The guest of this event with this id or address.
    fn find(&self, place: u64, event: &str, id: &str) -> Option<(usize, &Guest)> {
        let address = lower_case(id);
        let mut guests = self.list.iter().enumerate().filter(|(_, guest)| guest.event_id == event);
        guests.find(|(number, guest)| guest.email == address || guest_id(place, *number) == id)
    }
}

fn guest_id(place: u64, number: usize) -> String {
    format!("gst-sandbox{place}-{:05}", number + 1)
}

/// A request that is about guests.
pub(super) enum Ask {
    Add { event: String, guests: Vec<Named>, status: String, is_mailed: bool },
    Invite { event: String, guests: Vec<Named> },
    Get { event: String, id: String },
}

/// An address, and a name perhaps.
type Named = (String, Option<String>);

impl Ask {
    pub(super) fn add(body: &Object<'_>, complaints: &mut Complaints<'_>, rules: &Rules) -> Self {
        let known =
            ["event_id", "event_api_id", "guests", "ticket", "tickets", "approval_status", "send_email"];
        complaints.only(body, &known);
        let statuses = ["approved", "pending_approval", "waitlist"];
        let status = complaints.choice_or_null(body, "approval_status", &statuses).unwrap_or("approved");
        if body.get("send_email").is_some_and(|send| !send.is_null()) {
            complaints.flag(body, "send_email");
        }
        Self::Add {
            event: needed_event(body, complaints),
            guests: read_guests(body, complaints, rules),
            status: status.to_owned(),
            is_mailed: body.get("send_email") != Some(&Value::Bool(false)),
        }
    }

    pub(super) fn invite(body: &Object<'_>, complaints: &mut Complaints<'_>, rules: &Rules) -> Self {
        complaints.only(body, &["event_id", "event_api_id", "guests", "message"]);
        let message = complaints.text_or_null(body, "message").unwrap_or_default();
        if message.chars().count() > LONGEST {
            complaints.add("message", &format!("Too big: expected string to have <={LONGEST} characters"));
        }
        let event = needed_event(body, complaints);
        Self::Invite { event, guests: read_guests(body, complaints, rules) }
    }

    pub(super) fn get(query: &Query, complaints: &mut Complaints<'_>) -> Self {
        let event = query.get("event_api_id").map(str::to_owned);
        let id = query.get("api_id").or_else(|| query.get("email")).map(str::to_owned);
        Self::Get {
            event: event.unwrap_or_else(|| query.needed("event_id", complaints)),
            id: id.unwrap_or_else(|| query.needed("id", complaints)),
        }
    }

    /// How many people it is about.
    pub(super) const fn rows(&self) -> usize {
        match self {
            Self::Add { guests, .. } | Self::Invite { guests, .. } => guests.len(),
            Self::Get { .. } => 0,
        }
    }

    pub(super) fn carry_out(self, calendar: &mut Calendar<'_>, rules: &Rules) -> Result<Value, Answer> {
        match self {
            Self::Add { event, guests, status, is_mailed } => {
                let kind = is_mailed.then_some(MailKind::Added);
                put(&event, &guests, &status, kind, calendar, rules)
            }
            Self::Invite { event, guests } => {
                put(&event, &guests, "invited", Some(MailKind::Invited), calendar, rules)
            }
            Self::Get { event, id } => {
                events::find_own(&event, calendar)?;
                let found = calendar.guests.find(calendar.place, &event, &id);
                let not_found = || Answer::message(StatusCode::NOT_FOUND, "Guest not found.");
                found.map(|(number, guest)| shown(number, guest, calendar)).ok_or_else(not_found)
            }
        }
    }
}

/// The id of an event, in either spelling.
fn needed_event(body: &Object<'_>, complaints: &mut Complaints<'_>) -> String {
    let elder = body.get("event_id").is_none() && body.get("event_api_id").is_some();
    complaints.needed_text(body, if elder { "event_api_id" } else { "event_id" }).to_owned()
}

fn read_guests(body: &Object<'_>, complaints: &mut Complaints<'_>, rules: &Rules) -> Vec<Named> {
    let list = complaints.needed_list(body, "guests");
    let guests = complaints.objects(body, "guests", list);
    guests.iter().map(|guest| read_person(guest, complaints, rules)).collect()
}

/// Makes guests of all but those who were sent away, and notes the mail to each.
fn put(
    event: &str,
    guests: &[Named],
    status: &str,
    mail: Option<MailKind>,
    calendar: &mut Calendar<'_>,
    rules: &Rules,
) -> Result<Value, Answer> {
    events::find_own(event, calendar)?;
    let mut skipped = Vec::new();
    for (email, name) in guests {
        let address = lower_case(email);
        let known = calendar.audience.find(&address);
        if known.is_some_and(|person| calendar.audience.person(person).presence != Presence::Here) {
            skipped.push(email.as_str());
            continue;
        }
        calendar.users.name_first(&address, name.as_deref());
        if calendar.guests.find(calendar.place, event, &address).is_none() {
            let (event_id, email, at) = (event.to_owned(), address.to_string(), moment::write(calendar.now));
            calendar.guests.list.push(Guest { event_id, email, status: status.to_owned(), at });
        }
        if let Some(kind) = mail {
            let (to, event_id) = (address.into_owned(), event.to_owned());
            calendar.guests.outbox.push(Mail { to, event_id, kind });
        }
    }
    Ok(named_skipped(&skipped, rules))
}

fn shown(number: usize, guest: &Guest, calendar: &Calendar<'_>) -> Value {
    let name = calendar.users.name(&guest.email);
    let (first, last) = name_parts(name);
    let is_invited = guest.status == "invited";
    let at = |is_meant: bool| if is_meant { json!(guest.at) } else { Value::Null };
    json!({
        "id": guest_id(calendar.place, number),
        "user_id": user_id(&guest.email),
        "user_email": guest.email,
        "user_name": name,
        "user_first_name": first,
        "user_last_name": last,
        "approval_status": guest.status,
        "check_in_qr_code": format!("https://luma.com/check-in/{}", guest_id(calendar.place, number)),
        "eth_address": null,
        "solana_address": null,
        "phone_number": null,
        "invited_at": at(is_invited),
        "joined_at": null,
        "registered_at": at(!is_invited),
        "registration_answers": null,
        "utm_source": null,
        "event_tickets": [],
        "event_ticket_orders": [],
    })
}
