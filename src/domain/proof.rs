//! Proof of delivery: what a count proves of a request, what a look at the audience proves of a row, and
//! what either costs.
//!
//! An import is answered alike whatever became of its people. Knows nothing of how Luma is asked.

use super::code::Code;
use super::dialect::Dialect;
use super::state::text_enum;
use super::tag::TagSet;

text_enum! {
    /// How a run proves what it has delivered.
    Verify {
        /// Not at all: Luma's word for a request is enough.
        None = "none",
        /// By how many people of each request have a tag of it.
        Counts = "counts",
        /// By looking for every one of them in the audience.
        Full = "full",
    }
}

text_enum! {
    /// What is still to be found out about the people of a delivered batch.
    ProofDue {
        /// How many of them there are.
        Count = "count",
        /// Whether each of them is there; nobody looks yet.
        Look = "look",
        /// The same, and they are looked for.
        Sought = "sought",
    }
}

text_enum! {
    /// How people are looked for.
    Way {
        /// Everybody is listed, page by page.
        Listing = "listing",
        /// Each of them is asked for.
        Singles = "singles",
    }
}

/// How often people are looked for before they are called missing: Luma may take its time.
pub const LOOKS: u32 = 2;

/// People that a page of the audience is reckoned to hold. What comes may be less.
const PAGE: u64 = 100;

impl Verify {
    /// What a dialect of Luma's API makes possible.
    #[must_use]
    pub const fn offered(dialect: Dialect) -> &'static [Self] {
        match dialect {
            Dialect::Beta2021 => &[Self::None],
            Dialect::V1 => Self::ALL,
        }
    }

    /// What is done where nobody says: whatever costs next to nothing.
    #[must_use]
    pub const fn of_dialect(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Beta2021 => Self::None,
            Dialect::V1 => Self::Counts,
        }
    }

    /// What is to be found out about a batch once it is delivered. People without a tag cannot be counted.
    #[must_use]
    pub const fn due(self, has_tags: bool) -> Option<ProofDue> {
        match self {
            Self::None => None,
            Self::Counts => {
                if has_tags {
                    Some(ProofDue::Count)
                } else {
                    None
                }
            }
            Self::Full => Some(ProofDue::Look),
        }
    }

    /// The requests that it is likely to take for `people` in requests of which `tagged` have tags, in a
    /// list of so many `pages`.
    #[must_use]
    pub const fn requests(self, tagged: u64, people: u64, pages: u64) -> u64 {
        match self {
            Self::None => 0,
            Self::Counts => tagged,
            Self::Full => {
                if people < pages {
                    people
                } else {
                    pages
                }
            }
        }
    }
}

/// The pages of a list of so many people.
#[must_use]
pub const fn pages_of(people: u64) -> u64 {
    let pages = people.div_ceil(PAGE);
    if pages == 0 { 1 } else { pages }
}

/// The cheaper way to look for so many people in a list of so many pages.
#[must_use]
pub const fn way(people: u64, pages: u64) -> Way {
    if people <= pages { Way::Singles } else { Way::Listing }
}

/// What a count says of the people of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All of them are in the audience, and have the tag.
    All,
    /// So many of them are not in the audience.
    Short(u64),
    /// The numbers do not go together: they prove nothing.
    Odd,
}

/// Judges what applying a tag to so many distinct people was answered.
#[must_use]
pub const fn counted(people: u64, applied: u64, skipped: u64) -> Counted {
    match applied.checked_add(skipped) {
        Some(sum) if sum == people => {
            if skipped == 0 {
                Counted::All
            } else {
                Counted::Short(skipped)
            }
        }
        _ => Counted::Odd,
    }
}

/// What becomes of a row whose person was looked for and not found as it should be.
#[must_use]
pub fn missing(lacking: Option<&TagSet>) -> (Code, String) {
    match lacking {
        None => (Code::NotInAudience, format!("not in the audience, looked for {LOOKS} times")),
        Some(lacking) => {
            let tags: Vec<&str> = lacking.ids().iter().map(super::tag::TagId::as_str).collect();
            let (noun, tags) = (if tags.len() == 1 { "tag" } else { "tags" }, tags.join(", "));
            (
                Code::TagsLacking,
                format!("in the audience without the {noun} {tags}, looked for {LOOKS} times"),
            )
        }
    }
}

/// The walk through a list whose end only the list itself knows.
///
/// A list that leads in a circle is found out by a mark that is moved up to every second power of steps.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    mark: Option<String>,
    steps: u64,
    until: u64,
    empty: u32,
}

/// Pages without anybody that are borne in a row.
const MOST_EMPTY: u32 = 10;

impl Walk {
    /// Goes on to the page `next`, after one that was asked for by `from`; why not, where the list has no end.
    pub fn go_on(&mut self, from: Option<&str>, next: &str, is_empty: bool) -> Result<(), &'static str> {
        self.empty = if is_empty { self.empty + 1 } else { 0 };
        if self.empty > MOST_EMPTY {
            return Err("Luma's list of the audience goes on and on without anybody in it");
        }
        if from == Some(next) || self.mark.as_deref() == Some(next) {
            return Err("Luma's list of the audience names a page again that it has given before");
        }
        self.steps += 1;
        if self.steps >= self.until {
            self.mark = Some(next.to_owned());
            self.until = self.until.saturating_mul(2).max(1);
            self.steps = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(text: &str) -> TagSet {
        TagSet::parse(text).expect("tags")
    }

    #[test]
    fn a_count_proves_all_or_how_many_are_absent_and_otherwise_nothing() {
        assert_eq!(counted(500, 500, 0), Counted::All);
        assert_eq!(counted(500, 497, 3), Counted::Short(3));
        assert_eq!(counted(500, 0, 500), Counted::Short(500));
        for (applied, skipped) in [(499, 0), (501, 0), (500, 1), (0, 0), (u64::MAX, 1), (0, 501)] {
            assert_eq!(counted(500, applied, skipped), Counted::Odd, "{applied} and {skipped}");
        }
    }

    #[test]
    fn only_people_with_tags_can_be_counted() {
        let due = Verify::ALL.iter().map(|verify| (verify.due(false), verify.due(true))).collect::<Vec<_>>();
        let (count, look) = (Some(ProofDue::Count), Some(ProofDue::Look));
        assert_eq!(due, [(None, None), (None, count), (look, look)]);
    }

    #[test]
    fn few_people_in_a_long_list_are_asked_for_one_by_one() {
        assert_eq!([pages_of(0), pages_of(100), pages_of(101)], [1, 1, 2]);
        assert_eq!([way(1, 1), way(2, 1), way(30, 1_000)], [Way::Singles, Way::Listing, Way::Singles]);
        let cost = |verify: Verify| verify.requests(200, 100_000, 1_000);
        assert_eq!(Verify::ALL.iter().map(|verify| cost(*verify)).collect::<Vec<_>>(), [0, 200, 1_000]);
        assert_eq!(Verify::Full.requests(1, 30, 1_000), 30);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(missing(None).0, Code::NotInAudience);
        let (code, reason) = missing(Some(&tags("tag-press;tag-vip")));
        assert_eq!(code, Code::TagsLacking);
        assert!(reason.contains("without the tags tag-press, tag-vip"), "{reason}");
    }

    proptest! {
        #[test]
        fn a_list_that_leads_in_a_circle_ends(before in 0_u64..200, circle in 1_u64..200) {
            let (mut walk, mut at, mut steps) = (Walk::default(), 0_u64, 0_u64);
            loop {
                let next = if at + 1 < before + circle { at + 1 } else { before };
                if walk.go_on(Some(&at.to_string()), &next.to_string(), false).is_err() {
                    break;
                }
                (at, steps) = (next, steps + 1);
                prop_assert!(steps < 4 * (before + circle) + 4, "still going");
            }
        }

        #[test]
        fn a_list_with_an_end_is_walked_to_it(pages in 1_u64..2_000) {
            let mut walk = Walk::default();
            for page in 1..pages {
                let from = (page > 1).then(|| page.to_string());
                prop_assert_eq!(walk.go_on(from.as_deref(), &(page + 1).to_string(), false), Ok(()));
            }
        }
    }

    #[test]
    fn a_list_of_nobody_without_an_end_is_left() {
        let mut walk = Walk::default();
        let left = (0..100).find(|page| walk.go_on(None, &page.to_string(), true).is_err());
        assert_eq!(left, Some(u64::from(MOST_EMPTY)));
    }
}
