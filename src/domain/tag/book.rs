//! Which tag a text means: a name of the configuration, an id, or a name that Luma lists.

use std::collections::{BTreeMap, HashMap};

use super::{TagId, TagSet};

/// Why a text means no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTag {
    /// Nobody knows it.
    #[error("`{name}` is neither a name in `[tags]` nor {}", if *is_listed { "a tag in Luma" } else { "a tag id (`tag-...`)" })]
    Nowhere {
        /// What was written.
        name: String,
        /// Whether Luma was asked for its tags.
        is_listed: bool,
    },
    /// An id that Luma does not list.
    #[error("{}Luma has no tag `{id}`", if name == id.as_str() { String::new() } else { format!("`{name}` is `{id}` in `[tags]`, and ") })]
    Unlisted {
        /// What was written.
        name: String,
        /// What it stands for.
        id: TagId,
    },
    /// Several tags have this name.
    #[error(
        "`{name}` is the name of several tags in Luma ({}); say in `[tags]` which of them is meant",
        shown(ids)
    )]
    Several {
        /// What was written.
        name: String,
        /// All of them.
        ids: Vec<TagId>,
    },
}

fn shown(ids: &[TagId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

impl UnknownTag {
    /// The name that no tag has, where that is all there is to say.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        match self {
            Self::Nowhere { name, .. } => Some(name),
            Self::Unlisted { .. } | Self::Several { .. } => None,
        }
    }
}

/// The tags that Luma lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listed {
    names: HashMap<String, Vec<TagId>>,
    /// By names in small letters.
    folded: HashMap<String, Vec<TagId>>,
    ids: Vec<TagId>,
    /// Whether there are no others.
    is_complete: bool,
}

impl Listed {
    fn add(&mut self, name: &str, id: TagId) {
        let name = name.trim();
        self.folded.entry(name.to_lowercase()).or_default().push(id.clone());
        self.names.entry(name.to_owned()).or_default().push(id.clone());
        let place = self.ids.binary_search(&id).unwrap_or_else(|place| place);
        self.ids.insert(place, id);
    }
}

/// The tags that rows may name. Names of the configuration come first: they are compared without regard to
/// case, and Luma's only where that leaves no doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagBook {
    names: BTreeMap<String, TagId>,
    listed: Option<Listed>,
}

impl TagBook {
    /// A book of these names.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = (String, TagId)>) -> Self {
        let names = names.into_iter().map(|(name, id)| (name.trim().to_lowercase(), id)).collect();
        Self { names, listed: None }
    }

    /// The same book with the tags that Luma lists; `is_complete` where these are all it has.
    #[must_use]
    pub fn with_listed(&self, tags: impl IntoIterator<Item = (String, TagId)>, is_complete: bool) -> Self {
        let mut listed = Listed { is_complete, ..Listed::default() };
        tags.into_iter().for_each(|(name, id)| listed.add(&name, id));
        Self { names: self.names.clone(), listed: Some(listed) }
    }

    /// The same book with one more tag of Luma's.
    #[must_use]
    pub fn with_another(&self, name: &str, id: TagId) -> Self {
        let mut book = self.clone();
        book.listed.get_or_insert_default().add(name, id);
        book
    }

    /// The tag that a text means.
    pub fn resolve(&self, text: &str) -> Result<TagId, UnknownTag> {
        let text = text.trim();
        let name = || text.chars().take(80).collect::<String>();
        let folded = text.to_lowercase();
        if let Some(id) = self.names.get(&folded) {
            let unlisted = || UnknownTag::Unlisted { name: name(), id: id.clone() };
            return self.may_exist(id).then(|| id.clone()).ok_or_else(unlisted);
        }
        let written = TagId::parse(text);
        if let Some(id) = written.as_ref().filter(|id| self.may_exist(id)) {
            return Ok(id.clone());
        }
        let listed = self.listed.as_ref();
        let named = listed.and_then(|listed| listed.names.get(text).or_else(|| listed.folded.get(&folded)));
        match (named.map(Vec::as_slice), written) {
            (Some([id]), _) => Ok(id.clone()),
            (Some(ids), _) => Err(UnknownTag::Several { name: name(), ids: ids.to_vec() }),
            (None, Some(id)) => Err(UnknownTag::Unlisted { name: name(), id }),
            (None, None) => Err(UnknownTag::Nowhere { name: name(), is_listed: listed.is_some() }),
        }
    }

    /// Whether all tags of Luma are known.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.listed.as_ref().is_some_and(|listed| listed.is_complete)
    }

    /// Whether Luma has a tag of this id, for all that is known.
    #[must_use]
    pub fn may_exist(&self, id: &TagId) -> bool {
        let listed = self.listed.as_ref().filter(|listed| listed.is_complete);
        listed.is_none_or(|listed| listed.ids.binary_search(id).is_ok())
    }

    /// The set that a cell names, its tags separated by `;` or `|`; empty parts are skipped.
    pub fn resolve_cell(&self, cell: &str) -> Result<TagSet, UnknownTag> {
        parts(cell).map(|part| self.resolve(part)).collect()
    }

    /// What a cell names that is no tag.
    pub fn unknown_in<'c>(&self, cell: &'c str) -> impl Iterator<Item = &'c str> {
        parts(cell).map(str::trim).filter(|part| self.resolve(part).is_err())
    }

    /// The names of the configuration and their ids, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TagId)> {
        self.names.iter().map(|(name, id)| (name.as_str(), id))
    }
}

fn parts(cell: &str) -> impl Iterator<Item = &str> {
    cell.split([';', '|']).filter(|part| !part.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TagId {
        TagId::parse(text).expect("a tag id")
    }

    fn book() -> TagBook {
        TagBook::new([("VIP".into(), id("tag-9")), ("press".into(), id("tag-1"))])
    }

    fn listed(is_complete: bool) -> TagBook {
        let tags = [("Speaker", "tag-2"), ("speaker", "tag-3"), ("Newsletter", "tag-1"), ("Old", "tag-9")];
        book().with_listed(tags.map(|(name, tag)| (name.to_owned(), id(tag))), is_complete)
    }

    #[test]
    fn a_cell_becomes_a_sorted_set_of_ids() {
        let found = book().resolve_cell(" vip | Press;;tag-9 ;tag-5").expect("all known");
        assert_eq!(found.to_string(), "tag-1;tag-5;tag-9");
        let unknown = book().resolve_cell("vip;speakr").expect_err("unknown");
        assert_eq!(unknown.to_string(), "`speakr` is neither a name in `[tags]` nor a tag id (`tag-...`)");
        assert_eq!(book().resolve_cell(" ; "), Ok(TagSet::default()));
        assert_eq!(book().unknown_in("vip; a |tag-5;b").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn names_that_luma_lists_mean_their_tags_where_there_is_no_doubt() {
        let book = listed(true);
        let resolved = |text: &str| book.resolve(text).map(|id| id.to_string());
        assert_eq!(resolved(" newsletter "), Ok("tag-1".into()));
        assert_eq!(resolved("Speaker"), Ok("tag-2".into()), "to the letter");
        assert_eq!(resolved("speaker"), Ok("tag-3".into()), "to the letter");
        let several = resolved("SPEAKER").expect_err("in doubt").to_string();
        assert!(several.contains("several tags in Luma (`tag-2`, `tag-3`)"), "{several}");
        assert_eq!(resolved("vip"), Ok("tag-9".into()), "the configuration comes first");
        assert_eq!(resolved("guest").expect_err("unknown").missing(), Some("guest"));
    }

    #[test]
    fn an_id_that_luma_does_not_have_is_told_where_all_are_listed() {
        let unlisted = listed(true).resolve("tag-5").expect_err("unknown");
        assert_eq!(unlisted.to_string(), "Luma has no tag `tag-5`");
        assert_eq!(unlisted.missing(), None, "nobody makes a tag of an id");
        let gone = TagBook::new([("newsletter".into(), id("tag-5"))]);
        let gone = gone.with_listed([("Newsletter".to_owned(), id("tag-1"))], true);
        let told = gone.resolve("newsletter").expect_err("the configuration says which").to_string();
        assert_eq!(told, "`newsletter` is `tag-5` in `[tags]`, and Luma has no tag `tag-5`");
        assert_eq!(listed(false).resolve("tag-5"), Ok(id("tag-5")));
        assert!(listed(true).may_exist(&id("tag-2")) && !listed(true).may_exist(&id("tag-5")));
    }
}
