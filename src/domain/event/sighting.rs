//! What looks at Luma must have shown before an event in doubt counts as there, or as not there.
//!
//! One that stands on its calendar, under its own address and at its own time, is there. One that does not is
//! believed to be absent only when it is not seen a second time, after a pause: the request may have been
//! carried out late. What may be it and is not as it was asked for is an alarm.

use std::collections::HashMap;
use std::time::Duration;

use super::verdict::speaks_of_a_taken_address;
use super::{ApiId, Doubted, LookUp};
use crate::clock::Time;

/// What an event in doubt looks like if it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// The end of its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// When it begins.
    pub start_at: Time,
}

/// An event that Luma shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Luma's id of it.
    pub id: ApiId,
    /// The end of its address, where Luma shows that.
    pub slug: Option<String>,
    /// Its name.
    pub name: String,
    /// When it begins.
    pub start_at: Time,
}

impl Likeness {
    fn has_address_of(&self, event: &Shown) -> bool {
        event.slug.as_ref().is_some_and(|slug| slug.eq_ignore_ascii_case(&self.slug))
    }

    fn has_name_of(&self, event: &Shown) -> bool {
        let words = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        words(&event.name) == words(&self.name)
    }
}

/// What other rows of the account are, or may be, on Luma.
#[derive(Clone, Debug, Default)]
pub struct OtherRows {
    created: HashMap<String, i64>,
    asked_for: HashMap<String, i64>,
}

impl OtherRows {
    /// This row is known to be the event with this id.
    pub fn add_created(&mut self, id: &ApiId, row: i64) {
        self.created.insert(id.as_str().to_owned(), row);
    }

    /// This row has asked for this address, and nobody knows yet with what effect.
    pub fn add_asked_for(&mut self, slug: &str, row: i64) {
        self.asked_for.insert(slug.to_ascii_lowercase(), row);
    }

    fn with_id(&self, id: &ApiId) -> Option<i64> {
        self.created.get(id.as_str()).copied()
    }

    fn with_address(&self, slug: &str) -> Option<i64> {
        self.asked_for.get(&slug.to_ascii_lowercase()).copied()
    }
}

/// What one look has come to for one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// On the calendar, under its own address and at its own time; and whether it has its name.
    exact: Vec<(ApiId, bool)>,
    /// Under its address at another time, wherever.
    moved: Vec<ApiId>,
    /// On the calendar, of its name and time, under an address that nobody here has asked for.
    namesakes: Vec<ApiId>,
    /// Under its address at its time, and not on the calendar; and whether it has its name.
    elsewhere: Option<(ApiId, bool)>,
    /// Under its address, and known to be another row's.
    owned: Vec<(ApiId, i64)>,
    /// Another row that asks for the same address.
    contested_by: Option<i64>,
}

impl Sighting {
    /// What is seen of an event among those of the calendar that begin when it does, and under its address,
    /// where that was asked.
    #[must_use]
    pub fn of(
        likeness: &Likeness,
        on_calendar: &[Shown],
        at_address: Option<&Shown>,
        others: &OtherRows,
    ) -> Self {
        let mut seen = Self { contested_by: others.with_address(&likeness.slug), ..Self::default() };
        let mut ids: Vec<&ApiId> = Vec::new();
        for event in on_calendar {
            if ids.contains(&&event.id) {
                continue;
            }
            ids.push(&event.id);
            let is_there = at_address.is_some_and(|there| there.id == event.id);
            let has_time = event.start_at == likeness.start_at;
            let asked_for = event.slug.as_ref().and_then(|slug| others.with_address(slug));
            match (likeness.has_address_of(event) || is_there, others.with_id(&event.id)) {
                (true, Some(row)) => seen.owned.push((event.id.clone(), row)),
                (true, None) if has_time => seen.exact.push((event.id.clone(), likeness.has_name_of(event))),
                (true, None) => seen.moved.push(event.id.clone()),
                (false, None) if has_time && asked_for.is_none() && likeness.has_name_of(event) => {
                    seen.namesakes.push(event.id.clone());
                }
                (false, _) => {}
            }
        }
        if let Some(event) = at_address.filter(|event| !ids.contains(&&event.id)) {
            match others.with_id(&event.id) {
                Some(row) => seen.owned.push((event.id.clone(), row)),
                None if event.start_at == likeness.start_at => {
                    seen.elsewhere = Some((event.id.clone(), likeness.has_name_of(event)));
                }
                None => seen.moved.push(event.id.clone()),
            }
        }
        seen
    }

    /// Whether nothing more need be asked: it stands where it should, and Luma gives no address twice.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.exact.len() == 1
            && self.moved.is_empty()
            && self.namesakes.is_empty()
            && self.owned.is_empty()
            && self.elsewhere.is_none()
    }

    /// Whether nothing on the calendar may be it. What stands under its address on somebody else's may not.
    fn is_nothing(&self) -> bool {
        self.exact.is_empty() && self.moved.is_empty() && self.namesakes.is_empty() && self.owned.is_empty()
    }

    /// What is known after a refusal of the very first request: whatever stands there was not made for this row.
    /// It is its event all the same where nothing tells the two apart.
    fn after_first_refusal(&self) -> LookUp {
        match self.exact.as_slice() {
            [(id, true)] if self.is_found() && self.contested_by.is_none() => LookUp::Found(id.clone()),
            [(_, true)] if !self.namesakes.is_empty() => LookUp::Several { shown: self.told() },
            _ => LookUp::Occupied { by: self.told() },
        }
    }

    /// What was seen, for people.
    fn told(&self) -> String {
        let quoted = |id: &ApiId, what: &str| format!("`{id}` {what}");
        let exact = self.exact.iter().map(|(id, _)| quoted(id, "stands under its address, at its time"));
        let moved = self.moved.iter().map(|id| quoted(id, "stands under its address, at another time"));
        let namesakes =
            self.namesakes.iter().map(|id| quoted(id, "has its name and its time, under another address"));
        let elsewhere = self
            .elsewhere
            .iter()
            .map(|(id, _)| quoted(id, "stands under its address, on no calendar of this key"));
        let owned = self
            .owned
            .iter()
            .map(|(id, row)| quoted(id, &format!("stands under its address, and is the event of row {row}")));
        let contested = self.contested_by.map(|row| format!("row {row} asks for the same address"));
        let told: Vec<String> =
            exact.chain(moved).chain(namesakes).chain(elsewhere).chain(owned).chain(contested).collect();
        if told.is_empty() {
            "nothing that this key is shown stands there".to_owned()
        } else {
            told.join("; ")
        }
    }
}

/// Between two looks that find nothing.
pub const PAUSE: Duration = Duration::from_mins(1);

/// What earlier looks for one event have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookedFor {
    absent_since: Option<Time>,
}

impl LookedFor {
    /// Looks that have found nothing since this moment, if any have.
    #[must_use]
    pub const fn absent_since(absent_since: Option<Time>) -> Self {
        Self { absent_since }
    }

    /// Since when nothing was found.
    #[must_use]
    pub const fn since(&self) -> Option<Time> {
        self.absent_since
    }

    /// What is known of the event after one more look.
    pub fn saw(&mut self, sighting: &Sighting, doubted: &Doubted, now: Time) -> LookUp {
        if matches!(doubted, Doubted::Refused { asked_before: false, .. }) {
            return sighting.after_first_refusal();
        }
        match sighting.exact.as_slice() {
            [(id, _)] if sighting.is_found() => LookUp::Found(id.clone()),
            _ if sighting.is_nothing() => match self.saw_nothing(now) {
                // It has all but a place on the calendar, and Luma may not show everything there.
                LookUp::AbsentTwice if sighting.elsewhere.as_ref().is_some_and(|(_, is_named)| *is_named) => {
                    LookUp::Several { shown: sighting.told() }
                }
                // What has it, if not what an earlier request has made and Luma does not show?
                LookUp::AbsentTwice if sighting.elsewhere.is_none() && is_taken(doubted) => LookUp::Several {
                    shown:
                        "its address is taken, perhaps by an earlier request of ours, and nothing shows it"
                            .to_owned(),
                },
                look_up => look_up,
            },
            _ => {
                self.absent_since = None;
                LookUp::Several { shown: sighting.told() }
            }
        }
    }

    /// When it is worth looking again; at once where nobody has looked.
    #[must_use]
    pub fn again_at(&self) -> Option<Time> {
        self.absent_since.map(|since| since.plus(PAUSE))
    }

    fn saw_nothing(&mut self, now: Time) -> LookUp {
        // A clock that was ahead is forgiven: the pause begins anew.
        let since = self.absent_since.map_or(now, |since| since.min(now));
        self.absent_since = Some(since);
        if now.since(since) >= PAUSE { LookUp::AbsentTwice } else { LookUp::AbsentOnce }
    }
}

/// Whether Luma said that the address is taken after an earlier request that it never answered.
fn is_taken(doubted: &Doubted) -> bool {
    matches!(doubted, Doubted::Refused { asked_before: true, message } if speaks_of_a_taken_address(message))
}

#[cfg(test)]
mod tests;
