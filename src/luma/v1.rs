//! The dialect of today's API: bodies, and whom an answer names.

use serde_json::{Map, Value, json};

use super::beta::push_strings;
use super::client::Contact;
use super::event::iso;
use super::reply::Identity;
use super::wire::{Odd, id, unwrapped};
use crate::domain::batch::BODY_FRAME;
use crate::domain::event::{FeedbackEmail, Field, GeoAddress, Slug, V1Event};
use crate::domain::tag::{TagId, TagSet};

/// The body of `POST /v1/calendars/contacts/import`; the tags are left out when there are none, and so is a
/// name that nobody gave.
pub(super) fn import_body<'a>(tags: &TagSet, contacts: impl Iterator<Item = Contact<'a>>) -> Vec<u8> {
    let mut body = Vec::with_capacity(BODY_FRAME);
    body.extend_from_slice(b"{\"contacts\":[");
    for (index, contact) in contacts.enumerate() {
        body.extend_from_slice(if index == 0 { b"{\"email\":" } else { b",{\"email\":" });
        push_strings(&mut body, std::iter::once(contact.email));
        if let Some(name) = contact.name.map(str::trim).filter(|name| !name.is_empty()) {
            body.extend_from_slice(b",\"name\":");
            push_strings(&mut body, std::iter::once(name));
        }
        body.push(b'}');
    }
    body.push(b']');
    if !tags.is_empty() {
        body.extend_from_slice(b",\"tags\":[");
        push_strings(&mut body, tags.ids().iter().map(TagId::as_str));
        body.push(b']');
    }
    body.push(b'}');
    body
}

/// The body of `POST /v1/events/create`: what was given, and the slug by which the event can be found.
pub(super) fn event_body(event: &V1Event, own_slug: &Slug) -> Value {
    let event = event.fields();
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put(Field::Name.as_str(), Some(event.name.as_str().into()));
    put(Field::StartAt.as_str(), Some(iso(event.start_at).into()));
    put(Field::EndAt.as_str(), event.end_at.map(|at| iso(at).into()));
    put(Field::Timezone.as_str(), Some(event.timezone.as_str().into()));
    put(Field::CoverUrl.as_str(), event.cover_url.as_deref().map(Into::into));
    put(Field::DescriptionMd.as_str(), event.description_md.as_deref().map(Into::into));
    put(Field::Visibility.as_str(), event.visibility.map(Into::into));
    put(Field::Slug.as_str(), Some(event.slug.as_ref().unwrap_or(own_slug).as_str().into()));
    put(Field::MaxCapacity.as_str(), event.max_capacity.map(Into::into));
    put(Field::MeetingUrl.as_str(), event.meeting_url.as_deref().map(Into::into));
    put(Field::GeoAddressJson.as_str(), event.geo_address.as_ref().map(GeoAddress::to_json));
    let point = event.coordinate;
    put("coordinate", point.map(|at| json!({ "longitude": at.longitude(), "latitude": at.latitude() })));
    put(Field::NameRequirement.as_str(), event.name_requirement.map(Into::into));
    put(Field::PhoneNumberRequirement.as_str(), event.phone_number_requirement.map(Into::into));
    let several = event.can_register_for_multiple_tickets;
    put(Field::CanRegisterForMultipleTickets.as_str(), several.map(Into::into));
    put(Field::ShowGuestList.as_str(), event.show_guest_list.map(Into::into));
    put(Field::RemindersDisabled.as_str(), event.reminders_disabled.map(Into::into));
    put(Field::FeedbackEmail.as_str(), event.feedback_email.as_ref().map(feedback_email));
    put(Field::TintColor.as_str(), event.tint_color.as_deref().map(Into::into));
    Value::Object(body)
}

fn feedback_email(email: &FeedbackEmail) -> Value {
    match email {
        FeedbackEmail::Off => json!({ "enabled": false }),
        FeedbackEmail::On(None) => json!({ "enabled": true }),
        FeedbackEmail::On(Some(delay)) => json!({ "enabled": true, "delay": delay }),
    }
}

/// Whom the answer to `GET /v1/users/get-self` names. Its name may be missing; its id may not, or a ledger
/// would rest on nobody.
pub(super) fn identity(answer: &Value) -> Result<Identity, Odd> {
    let user = unwrapped(answer, "user");
    let name = user.get("name").and_then(Value::as_str).map(str::to_owned);
    Ok(Identity { id: Some(id(user)?.to_owned()), calendar: None, name })
}
