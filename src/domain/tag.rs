//! Tags as a row wants them: ids, a book of names, and the set one request carries.
//!
//! Knows nothing of the configuration file and of the answers that fill the book.

mod book;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

pub use book::{TagBook, UnknownTag};

/// The id Luma gave a tag, for example `tag-abc123`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagId(Box<str>);

impl TagId {
    /// Takes an id as it is: `tag-` and 1 to 100 letters, digits, `-` or `_`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("tag-")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ((1..=100).contains(&rest.len()) && rest.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// The id as Luma spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tags one member wants or one request carries: sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagSet(Vec<TagId>);

impl TagSet {
    /// The ids in order.
    #[must_use]
    pub fn ids(&self) -> &[TagId] {
        &self.0
    }

    /// Whether there is no tag at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every tag of this set is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|tag| other.0.binary_search(tag).is_ok())
    }

    /// The tags of this set that `other` lacks.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|tag| other.0.binary_search(tag).is_err()).cloned().collect())
    }

    /// Every tag of both sets.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).cloned().collect()
    }

    /// Reads the stored form that `Display` writes; parts that are no tag id are refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        text.split(';').map(TagId::parse).collect()
    }
}

impl FromIterator<TagId> for TagSet {
    fn from_iter<I: IntoIterator<Item = TagId>>(tags: I) -> Self {
        let mut tags: Vec<_> = tags.into_iter().collect();
        tags.sort_unstable();
        tags.dedup();
        Self(tags)
    }
}

impl fmt::Display for TagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tag) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{tag}")?;
        }
        Ok(())
    }
}

/// Each distinct set once, under a small number: a million rows rarely want more than a few sets. And what
/// rows name that is no tag, as far as is known.
#[derive(Clone, Debug, Default)]
pub struct TagSets {
    sets: Vec<Arc<TagSet>>,
    numbers: HashMap<Arc<TagSet>, u32>,
    unknown: BTreeSet<String>,
}

/// Of the texts that are no tags so many are remembered: where there are more, the column is none of tags.
pub const MOST_UNKNOWN: usize = 100;

impl TagSets {
    /// Remembers what is no tag in a cell.
    pub fn note_unknown(&mut self, book: &TagBook, cell: &str) {
        for part in book.unknown_in(cell) {
            if self.unknown.len() < MOST_UNKNOWN {
                self.unknown.insert(part.to_owned());
            }
        }
    }

    /// What was no tag.
    #[must_use]
    pub const fn unknown(&self) -> &BTreeSet<String> {
        &self.unknown
    }

    /// The number of this set, new or known.
    pub fn intern(&mut self, set: TagSet) -> u32 {
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        let set = Arc::new(set);
        self.sets.push(Arc::clone(&set));
        self.numbers.insert(set, number);
        number
    }

    /// The set under a number that `intern` gave; the empty set under any other.
    #[must_use]
    pub fn get(&self, number: u32) -> &TagSet {
        static NONE: TagSet = TagSet(Vec::new());
        usize::try_from(number).ok().and_then(|index| self.sets.get(index)).map_or(&NONE, AsRef::as_ref)
    }

    /// The sets in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &TagSet> {
        self.sets.iter().map(AsRef::as_ref)
    }

    /// How many sets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether nothing was interned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> TagSet {
        TagSet::parse(text).expect("a tag set")
    }

    #[test]
    fn what_is_no_tag_is_remembered_up_to_a_point() {
        let mut sets = TagSets::default();
        sets.note_unknown(&TagBook::default(), "tag-1; a|b;a");
        assert_eq!(sets.unknown().iter().collect::<Vec<_>>(), ["a", "b"]);
        (0..300).for_each(|number| sets.note_unknown(&TagBook::default(), &number.to_string()));
        assert_eq!(sets.unknown().len(), MOST_UNKNOWN);
    }

    #[test]
    fn sets_compare_and_join() {
        assert!(set("tag-1").is_subset(&set("tag-1;tag-2")));
        assert!(!set("tag-1;tag-3").is_subset(&set("tag-1;tag-2")));
        assert!(TagSet::default().is_subset(&TagSet::default()));
        assert_eq!(set("tag-1;tag-3").union(&set("tag-2;tag-3")), set("tag-1;tag-2;tag-3"));
    }

    #[test]
    fn equal_sets_share_a_number() {
        let mut sets = TagSets::default();
        let first = sets.intern(set("tag-1;tag-2"));
        let second = sets.intern(TagSet::default());
        assert_ne!(first, second);
        assert_eq!(sets.intern(set("tag-1").union(&set("tag-2"))), first);
        assert_eq!((sets.get(first), sets.len()), (&set("tag-1;tag-2"), 2));
    }

    #[test]
    fn ids_with_odd_characters_are_refused() {
        for text in ["tag-", "tag", "tag-a;b", "tag-\"", "TAG-a", "tag-é"] {
            assert_eq!(TagId::parse(text), None, "{text}");
        }
    }
}
