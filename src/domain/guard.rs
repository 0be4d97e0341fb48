//! What makes a run wait for a person: more new people, more invalid rows or another length of the list than
//! anybody would expect.
//!
//! Pure: what was read, and what was read the last time, come in as numbers. Knows nothing of who is told.

use super::state::text_enum;

/// What a person allows to go out unseen. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Guards {
    /// People who are new, in one run.
    pub max_new_members: Option<u64>,
    /// The share of rows that may be invalid.
    pub max_invalid_ratio: Option<f64>,
    /// How much longer or shorter a list may be than the last time, as a share of that.
    pub max_change_ratio: Option<f64>,
    /// Lists with fewer rows are not held for a ratio.
    pub min_rows: u64,
}

/// What a run came to when it was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// People with something to send of whom nothing was delivered before.
    pub new_members: u64,
    /// Rows read.
    pub read: u64,
    /// Rows that are invalid.
    pub invalid: u64,
    /// Rows of the same list when it was last taken in; `None` where there is nothing to compare with.
    pub before: Option<u64>,
}

text_enum! {
    /// What a run is held for.
    ConcernCode {
        /// More people are new than `guard.max_new_members`.
        NewMembers = "too_many_new",
        /// More rows are invalid than `guard.max_invalid_ratio`.
        Invalid = "too_many_invalid",
        /// The list is longer or shorter than `guard.max_change_ratio` allows.
        Change = "list_changed",
        /// The run was begun by `apply`, and was not found to be what its plan says.
        Plan = "not_as_planned",
    }
}

/// Why a run is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// For programs.
    pub code: ConcernCode,
    /// For people.
    pub reason: String,
}

impl Concern {
    fn new(code: ConcernCode, reason: String) -> Self {
        Self { code, reason }
    }

    /// Of a run that `apply` has begun: it is let go once all that was planned is there.
    #[must_use]
    pub fn unconfirmed() -> Self {
        let reason = "begun by `apply`, and not confirmed to be what the plan says".to_owned();
        Self::new(ConcernCode::Plan, reason)
    }
}

impl Guards {
    /// Every reason to hold a run.
    #[must_use]
    pub fn judge(&self, found: &Findings) -> Vec<Concern> {
        [self.about_new(found), self.about_invalid(found), self.about_change(found)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn about_new(&self, found: &Findings) -> Option<Concern> {
        let most = self.max_new_members.filter(|most| found.new_members > *most)?;
        let people = if found.new_members == 1 { "person is new" } else { "people are new" };
        let reason =
            format!("{} {people}, and `guard.max_new_members` lets {most} go unseen", found.new_members);
        Some(Concern::new(ConcernCode::NewMembers, reason))
    }

    fn about_invalid(&self, found: &Findings) -> Option<Concern> {
        let Findings { read, invalid, .. } = *found;
        let most =
            self.max_invalid_ratio.filter(|most| read >= self.min_rows && exceeds(invalid, read, *most))?;
        let reason = format!(
            "{invalid} of {read} rows are invalid, a share of {:.2}, and `guard.max_invalid_ratio` is {most}",
            ratio(invalid, read)
        );
        Some(Concern::new(ConcernCode::Invalid, reason))
    }

    fn about_change(&self, found: &Findings) -> Option<Concern> {
        let before = found.before.filter(|before| found.read.max(*before) >= self.min_rows)?;
        let most =
            self.max_change_ratio.filter(|most| exceeds(found.read.abs_diff(before), before, *most))?;
        let reason = format!(
            "the list has {} rows and had {before} the last time, and `guard.max_change_ratio` is {most}",
            found.read
        );
        Some(Concern::new(ConcernCode::Change, reason))
    }
}

/// Whether a part is a larger share of the whole than `most`. Nothing has no shares.
fn exceeds(part: u64, whole: u64, most: f64) -> bool {
    whole > 0 && ratio(part, whole) > most
}

#[expect(clippy::cast_precision_loss, reason = "shares are compared with what a person wrote")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARDS: Guards = Guards {
        max_new_members: Some(10),
        max_invalid_ratio: Some(0.2),
        max_change_ratio: Some(0.5),
        min_rows: 50,
    };

    fn codes(guards: Guards, found: Findings) -> Vec<ConcernCode> {
        guards.judge(&found).into_iter().map(|concern| concern.code).collect()
    }

    #[test]
    fn a_run_is_held_for_all_that_is_beyond_what_is_allowed_and_for_nothing_else() {
        use ConcernCode::{Change, Invalid, NewMembers};
        let found = |new_members, read, invalid, before| Findings { new_members, read, invalid, before };
        for (found, expected) in [
            (found(10, 100, 20, Some(100)), &[][..]),
            (found(11, 100, 20, Some(100)), &[NewMembers]),
            (found(0, 100, 21, None), &[Invalid]),
            (found(0, 50, 25, None), &[Invalid]),
            // A handful says nothing.
            (found(0, 49, 49, None), &[]),
            (found(0, 3, 1, Some(1)), &[]),
            (found(0, 150, 0, Some(100)), &[]),
            (found(0, 151, 0, Some(100)), &[Change]),
            (found(0, 50, 0, Some(100)), &[]),
            (found(0, 49, 0, Some(100)), &[Change]),
            (found(0, 0, 0, Some(100)), &[Change]),
            (found(0, 100, 0, Some(0)), &[]),
            (found(0, 0, 0, Some(0)), &[]),
            (found(11, 200, 100, Some(100)), &[NewMembers, Invalid, Change]),
        ] {
            assert_eq!(codes(GUARDS, found), expected, "{found:?}");
        }
    }

    #[test]
    fn nothing_holds_what_is_off_and_zero_is_the_strictest() {
        let most = Findings { new_members: u64::MAX, read: 1_000, invalid: 1_000, before: Some(1) };
        assert_eq!(codes(Guards::default(), most), []);
        let strict = Guards {
            max_new_members: Some(0),
            max_invalid_ratio: Some(0.0),
            max_change_ratio: Some(0.0),
            min_rows: 0,
        };
        let least = Findings { new_members: 1, read: 1_000, invalid: 1, before: Some(999) };
        assert_eq!(codes(strict, least).len(), 3);
        let nothing = Findings { new_members: 0, read: 1_000, invalid: 0, before: Some(1_000) };
        assert_eq!(codes(strict, nothing), []);
    }
}
