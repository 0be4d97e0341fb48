//! Looking for an event in doubt: under its address, and among the events of its hour.
//!
//! What the looks prove is decided elsewhere; the beta offers none.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::audience::with_query;
use super::client::{Answered, Client};
use super::event::iso;
use super::wire::{Odd, Page, field, id, text, unwrapped};
use crate::clock::Time;
use crate::domain::event::{ApiId, Shown};
use crate::domain::verdict::{Cause, Verdict};

/// Some of the events of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events of this page.
    pub events: Vec<Shown>,
    /// Where the next page begins; none after the last.
    pub next: Option<String>,
}

/// How long routes that Luma did not know are left alone.
const LEFT_ALONE: Duration = Duration::from_hours(1);

/// Which of the routes that find an address this Luma has, as far as it was asked.
#[derive(Debug, Default)]
pub(super) struct SlugRoutes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The place of the one to ask.
    place: usize,
    /// When the last of them was not there either.
    none_at: Option<Time>,
}

impl SlugRoutes {
    fn get(&self, routes: &[&'static str], now: Time) -> Option<&'static str> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_left_alone = known.none_at.is_some_and(|then| then <= now && now.since(then) < LEFT_ALONE);
        routes.get(known.place).copied().filter(|_| !is_left_alone)
    }

    /// This one is not there: the next one is asked, and after the last none for a while.
    fn pass_over(&self, route: &str, routes: &[&'static str], now: Time) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.get(known.place).is_some_and(|asked| *asked == route) {
            let is_last = known.place + 1 == routes.len();
            *known = if is_last {
                Known { place: 0, none_at: Some(now) }
            } else {
                Known { place: known.place + 1, none_at: None }
            };
        }
    }
}

impl Client {
    /// Where an address is asked for now; none where this Luma has no such route.
    #[must_use]
    pub fn slug_route(&self) -> Option<&'static str> {
        self.slug_routes.get(self.routes().slugs, self.clock.now())
    }

    /// The event that stands under an address, if one does; whoever's it is. Where the route is not there,
    /// `slug_route` names another from then on, or none.
    pub async fn find_event(&self, slug: &str) -> Answered<Option<Shown>> {
        let (route, query) = (self.slug_route(), [("slug", slug)]);
        let read = |answer: &Value| read_entity(answer, slug);
        let answered = self.ask(route, |http, url| http.get(with_query(&url, &query)), read).await;
        if let (Some(route), Err(reply)) = (route, &answered)
            && matches!(reply.verdict, Verdict::Halted { cause: Cause::Route, .. })
        {
            self.slug_routes.pass_over(route, self.routes().slugs, self.clock.now());
        }
        answered
    }

    /// The events of the key's calendar that begin at this moment.
    pub async fn events_at(&self, start: Time, cursor: Option<&str>) -> Answered<EventPage> {
        // Whether the bounds belong to it is not written down.
        let around = Duration::from_secs(1);
        let (after, before) = (iso(start.minus(around)), iso(start.plus(around)));
        let mut query =
            vec![("after", after.as_str()), ("before", before.as_str()), ("pagination_limit", "50")];
        query.extend(cursor.map(|cursor| ("pagination_cursor", cursor)));
        self.ask(self.routes().events, |http, url| http.get(with_query(&url, &query)), read_events).await
    }
}

fn read_entity(answer: &Value, slug: &str) -> Result<Option<Shown>, Odd> {
    let entity = answer.get("entity").ok_or("lacks `entity`")?;
    if entity.is_null() {
        return Ok(None);
    }
    match text(entity, &["type"])? {
        "event" => {
            let shown = shown(field(entity, &["event"])?)?;
            let slug = shown.slug.or_else(|| Some(slug.to_owned()));
            Ok(Some(Shown { slug, ..shown }))
        }
        // A calendar has the address: the event has not.
        _ => Ok(None),
    }
}

fn read_events(answer: &Value) -> Result<EventPage, Odd> {
    let page = Page::of(answer)?;
    let is_lumas = |entry: &&Value| entry.get("platform").is_none_or(|platform| platform == "luma");
    let events = page.entries.iter().filter(is_lumas).map(shown).collect::<Result<_, Odd>>()?;
    Ok(EventPage { events, next: page.next()? })
}

fn shown(entry: &Value) -> Result<Shown, Odd> {
    let event = unwrapped(entry, "event");
    let id = id(event)?;
    let id = ApiId::parse(id)
        .ok_or_else(|| format!("names an event `{}`, which is no id of one", id.escape_debug()))?;
    let start = text(event, &["start_at"])?;
    let start_at = Time::parse(start)
        .ok_or_else(|| format!("has no moment in `start_at`: `{}`", start.escape_debug()))?;
    let slug = event.get("slug").and_then(Value::as_str).map(str::to_owned).or_else(|| slug_of_url(event));
    Ok(Shown { id, slug, name: text(event, &["name"])?.to_owned(), start_at })
}

/// `demo-night` of `https://luma.com/demo-night`.
fn slug_of_url(event: &Value) -> Option<String> {
    let text = event.get("url").and_then(Value::as_str)?;
    let url = Url::parse(text).ok();
    let path = url.as_ref().map_or(text, Url::path);
    path.trim_matches('/').rsplit('/').next().filter(|slug| !slug.is_empty()).map(str::to_owned)
}
