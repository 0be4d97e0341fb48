//! The people a sandbox holds and their tags.
//!
//! Built for a million members: a tag set is kept once and members point to it. Knows
//! nothing of requests or of which tags exist.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

type Tags = [Box<str>];

/// Which of the interned tag sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SetId(u32);

#[derive(Default)]
pub(super) struct Audience {
    members: HashMap<Box<str>, SetId>,
    sets: TagSets,
}

impl Audience {
    /// The set of these tags, in whatever order they come.
    pub(super) fn tag_set<'a>(&mut self, tags: impl Iterator<Item = &'a str>) -> SetId {
        let mut tags: Vec<Box<str>> = tags.map(Box::from).collect();
        tags.sort_unstable();
        tags.dedup();
        self.sets.intern(tags)
    }

    /// Adds this person or these tags to them; false where both were there already.
    pub(super) fn add(&mut self, address: &str, tags: SetId) -> bool {
        let address = lower_case(address);
        if let Some(held) = self.members.get_mut(&*address) {
            let joined = self.sets.union(*held, tags);
            let changed = joined != *held;
            *held = joined;
            return changed;
        }
        self.members.insert(address.into(), tags);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Everybody in order of their address, with their tags in order.
    pub(super) fn members(&self) -> Vec<(&str, &Tags)> {
        let mut members: Vec<_> =
            self.members.iter().map(|(address, set)| (&**address, self.sets.tags(*set))).collect();
        members.sort_unstable_by_key(|(address, _)| *address);
        members
    }

    /// How many people hold each tag.
    pub(super) fn tag_counts(&self) -> BTreeMap<&str, u64> {
        let mut held = vec![0_u64; self.sets.list.len()];
        for set in self.members.values() {
            held[set.0 as usize] += 1;
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

/// Borrows where nothing has to change, which is nearly always.
fn lower_case(address: &str) -> Cow<'_, str> {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn add(audience: &mut Audience, address: &str, tags: &[&str]) -> bool {
        let set = audience.tag_set(tags.iter().copied());
        audience.add(address, set)
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
