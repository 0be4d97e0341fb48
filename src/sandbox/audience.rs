//! The people a sandbox holds and their tags.
//!
//! Built for a million members: a tag set is kept once and members point to it. Nobody is ever taken
//! out, so that who came when keeps its number. Knows nothing of requests, of names or of which tags exist.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::users::Users;
use crate::clock::Time;

type Tags = [Box<str>];

/// Which of the interned tag sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SetId(u32);

/// Somebody who came once, and may have gone since.
pub(super) struct Person {
    /// In lower case: what people are known by.
    pub(super) address: Arc<str>,
    pub(super) since: Time,
    pub(super) presence: Presence,
    /// An import brought them, and they have done nothing themselves.
    pub(super) imported: bool,
    set: SetId,
}

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Presence {
    #[default]
    Here,
    Removed,
    Blocked,
}

/// What became of somebody who was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    New,
    Changed,
    /// There already, with all those tags.
    Repeat,
    /// Removed or blocked, and so not added.
    Away,
}

/// Everybody in the order in which they came, and where each address is.
#[derive(Default)]
pub(super) struct Audience {
    people: Vec<Person>,
    places: HashMap<Arc<str>, u32>,
    sets: TagSets,
    here: usize,
    imported: usize,
}

impl Audience {
    /// The set of these tags, in whatever order they come.
    pub(super) fn tag_set(&mut self, tags: impl Iterator<Item = impl AsRef<str>>) -> SetId {
        let mut tags: Vec<Box<str>> = tags.map(|tag| tag.as_ref().into()).collect();
        tags.sort_unstable();
        tags.dedup();
        self.sets.intern(tags)
    }

    /// Adds this person, or these tags to them.
    pub(super) fn add(&mut self, address: &str, tags: SetId, now: Time) -> Added {
        let address = lower_case(address);
        let Some(place) = self.places.get(&*address) else {
            let address = address.into();
            self.put(Person { address, since: now, presence: Presence::Here, imported: true, set: tags });
            return Added::New;
        };
        let held = &mut self.people[*place as usize];
        if held.presence != Presence::Here {
            return Added::Away;
        }
        let joined = self.sets.union(held.set, tags);
        if joined == held.set {
            return Added::Repeat;
        }
        held.set = joined;
        Added::Changed
    }

    /// Takes somebody back who was kept; false where the address is taken.
    pub(super) fn restore(&mut self, kept: &KeptPerson, users: &mut Users) -> bool {
        let set = self.tag_set(kept.tags.iter());
        let KeptPerson { address, spelt, name, since, presence, imported, .. } = kept;
        let since = Time::parse(since).unwrap_or(Time::from_micros(0));
        let is_new = !self.places.contains_key(&**address);
        if is_new {
            users.name_first(address, name.as_deref());
            users.spell_first(address, spelt.as_deref().unwrap_or(address));
            let (address, presence, imported) = (Arc::from(&**address), *presence, *imported);
            self.put(Person { address, since, presence, imported, set });
        }
        is_new
    }

    /// Everybody, those who are away too, as they are kept.
    pub(super) fn kept<'a>(&'a self, users: &'a Users) -> impl Iterator<Item = KeptPerson<'a>> {
        self.people.iter().map(|person| KeptPerson {
            address: (&*person.address).into(),
            spelt: Some(users.spelling(&person.address))
                .filter(|spelt| **spelt != *person.address)
                .map(Cow::from),
            name: users.name(&person.address).map(Cow::from),
            since: person.since.to_string(),
            presence: person.presence,
            imported: person.imported,
            tags: self.tags_of(person).iter().map(|tag| Cow::from(&**tag)).collect(),
        })
    }

    fn put(&mut self, person: Person) {
        self.here += usize::from(person.presence == Presence::Here);
        self.imported += usize::from(person.imported);
        // Four thousand million people would not fit into memory.
        let place = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        self.places.insert(Arc::clone(&person.address), place);
        self.people.push(person);
    }

    /// How many are there.
    pub(super) const fn len(&self) -> usize {
        self.here
    }

    /// How many were brought by imports and have done nothing themselves since.
    pub(super) const fn imported(&self) -> usize {
        self.imported
    }

    /// The number of whoever has this address, there or away.
    pub(super) fn find(&self, address: &str) -> Option<usize> {
        self.places.get(&*lower_case(address)).map(|place| *place as usize)
    }

    pub(super) fn person(&self, number: usize) -> &Person {
        &self.people[number]
    }

    /// Everybody in the order in which they came, those who are away too, with their numbers.
    pub(super) fn people(&self) -> impl DoubleEndedIterator<Item = (usize, &Person)> + ExactSizeIterator {
        self.people.iter().enumerate()
    }

    pub(super) fn tags_of(&self, person: &Person) -> &Tags {
        self.sets.tags(person.set)
    }

    /// Adds one tag; false where it was there already.
    pub(super) fn tag(&mut self, number: usize, tag: &str) -> bool {
        let added = self.tag_set(std::iter::once(tag));
        let person = &mut self.people[number];
        let before = person.set;
        person.set = self.sets.union(before, added);
        person.set != before
    }

    /// Takes one tag away; false where it was not there.
    pub(super) fn untag(&mut self, number: usize, tag: &str) -> bool {
        let person = &mut self.people[number];
        let before = person.set;
        person.set = self.sets.without(before, tag);
        person.set != before
    }

    /// Takes one tag away from everybody.
    pub(super) fn drop_tag(&mut self, tag: &str) {
        for person in &mut self.people {
            person.set = self.sets.without(person.set, tag);
        }
    }

    /// Sends somebody away, or lets them come back.
    pub(super) fn set_presence(&mut self, number: usize, presence: Presence) {
        let person = &mut self.people[number];
        self.here -= usize::from(person.presence == Presence::Here);
        self.here += usize::from(presence == Presence::Here);
        person.presence = presence;
    }

    /// Notes that somebody follows the calendar or came to an event: no import has to answer for them.
    pub(super) fn follows(&mut self, number: usize) {
        let person = &mut self.people[number];
        self.imported -= usize::from(person.imported);
        person.imported = false;
    }

    /// Everybody who is there in order of their address, with their tags in order.
    pub(super) fn members(&self) -> Vec<(&str, &Tags)> {
        let here = self.people.iter().filter(|person| person.presence == Presence::Here);
        let mut members: Vec<_> = here.map(|person| (&*person.address, self.tags_of(person))).collect();
        members.sort_unstable_by_key(|(address, _)| *address);
        members
    }

    /// How many people hold each tag.
    pub(super) fn tag_counts(&self) -> BTreeMap<&str, u64> {
        let mut held = vec![0_u64; self.sets.list.len()];
        for person in self.people.iter().filter(|person| person.presence == Presence::Here) {
            held[person.set.0 as usize] += 1;
        }
        let mut counts = BTreeMap::new();
        for (tags, held) in self.sets.list.iter().zip(held).filter(|(_, held)| *held > 0) {
            for tag in tags.iter() {
                *counts.entry(&**tag).or_default() += held;
            }
        }
        counts
    }
}

/// Somebody as a file keeps them.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptPerson<'a> {
    address: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spelt: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    since: String,
    #[serde(default)]
    presence: Presence,
    imported: bool,
    tags: Vec<Cow<'a, str>>,
}

/// Borrows where nothing has to change, which is nearly always.
pub(super) fn lower_case(address: &str) -> Cow<'_, str> {
    if address.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        address.to_lowercase().into()
    } else {
        address.into()
    }
}

/// Every tag set in use, once, and what joining two of them gave.
#[derive(Default)]
struct TagSets {
    list: Vec<Arc<Tags>>,
    ids: HashMap<Arc<Tags>, SetId>,
    unions: HashMap<(SetId, SetId), SetId>,
}

impl TagSets {
    fn tags(&self, set: SetId) -> &Tags {
        &self.list[set.0 as usize]
    }

    /// The set of these tags, which are sorted and differ.
    fn intern(&mut self, tags: Vec<Box<str>>) -> SetId {
        if let Some(known) = self.ids.get(&*tags) {
            return *known;
        }
        // Four thousand million different sets would not fit into memory.
        let id = SetId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let tags: Arc<Tags> = tags.into();
        self.list.push(Arc::clone(&tags));
        self.ids.insert(tags, id);
        id
    }

    fn union(&mut self, held: SetId, added: SetId) -> SetId {
        if held == added {
            return held;
        }
        if let Some(known) = self.unions.get(&(held, added)) {
            return *known;
        }
        let mut tags: Vec<_> = self.tags(held).iter().chain(self.tags(added)).cloned().collect();
        tags.sort_unstable();
        tags.dedup();
        let joined = self.intern(tags);
        self.unions.insert((held, added), joined);
        joined
    }

    /// The set of all but this tag.
    fn without(&mut self, held: SetId, tag: &str) -> SetId {
        let tags = self.tags(held);
        if tags.iter().all(|held| &**held != tag) {
            return held;
        }
        let rest = tags.iter().filter(|held| &***held != tag).cloned().collect();
        self.intern(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn add(audience: &mut Audience, address: &str, tags: &[&str]) -> bool {
        let set = audience.tag_set(tags.iter().copied());
        audience.add(address, set, Time::from_micros(0)) != Added::Repeat
    }

    fn held(audience: &Audience) -> Vec<(&str, Vec<&str>)> {
        audience
            .members()
            .into_iter()
            .map(|(address, tags)| (address, tags.iter().map(|tag| &**tag).collect()))
            .collect()
    }

    #[test]
    fn people_are_known_by_their_address_in_lower_case() {
        let mut audience = Audience::default();
        assert!(add(&mut audience, "Ana@Example.org", &[]));
        assert!(!add(&mut audience, "ana@example.ORG", &[]), "there already");
        assert!(add(&mut audience, "ÉVA@example.org", &[]));
        assert_eq!(held(&audience), [("ana@example.org", vec![]), ("éva@example.org", vec![])]);
    }

    #[test]
    fn tags_are_joined_and_never_taken_away() {
        let mut audience = Audience::default();
        assert!(add(&mut audience, "ana@example.org", &["tag-b"]));
        assert!(add(&mut audience, "ana@example.org", &["tag-c", "tag-a", "tag-a"]));
        assert!(!add(&mut audience, "ana@example.org", &["tag-b", "tag-a"]));
        assert!(!add(&mut audience, "ana@example.org", &[]));
        assert_eq!(held(&audience), [("ana@example.org", vec!["tag-a", "tag-b", "tag-c"])]);
    }

    #[test]
    fn tags_are_counted_over_all_sets() {
        let mut audience = Audience::default();
        add(&mut audience, "ana@example.org", &["tag-a", "tag-b"]);
        add(&mut audience, "bo@example.org", &["tag-b"]);
        add(&mut audience, "cy@example.org", &[]);
        assert_eq!(audience.tag_counts(), BTreeMap::from([("tag-a", 1), ("tag-b", 2)]));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map_of_sets(imports in prop::collection::vec((0..6_u8, 0..16_u8), 0..60)) {
            let mut audience = Audience::default();
            let mut model: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (person, bits) in imports {
                let tags: Vec<String> = (0..4).filter(|bit| bits & (1 << bit) != 0).map(|bit| format!("tag-{bit}")).collect();
                let address = format!("p{person}@example.org");
                let before = model.get(&address).cloned();
                model.entry(address.clone()).or_default().extend(tags.iter().cloned());
                let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                prop_assert_eq!(add(&mut audience, &address, &tags), before.as_ref() != model.get(&address));
            }
            let held: BTreeMap<String, BTreeSet<String>> = audience
                .members()
                .into_iter()
                .map(|(address, tags)| (address.to_owned(), tags.iter().map(ToString::to_string).collect()))
                .collect();
            prop_assert_eq!(held, model);
        }
    }
}
