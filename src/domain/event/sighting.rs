//! What look-ups must have said before an event in doubt counts as there, or as not there.
//!
//! One that is seen under its own address is there. One that is not is believed to be absent only when it is
//! not seen a second time, after a pause: the request may have been carried out late. What is like it and
//! stands elsewhere is an alarm: somebody may have made it, or it was made twice.

use std::time::Duration;

use super::{ApiId, LookUp};
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

/// What one look has come to: the ids of events, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Under its own address, at its own time.
    exact: Vec<ApiId>,
    /// Under its address at another time, or of its name and time under another address.
    alike: Vec<ApiId>,
}

impl Sighting {
    /// What `shown` has of an event. `is_known` says of an id whether it is that of another row.
    #[must_use]
    pub fn of<'a>(
        likeness: &Likeness,
        shown: impl IntoIterator<Item = &'a Shown>,
        is_known: impl Fn(&ApiId) -> bool,
    ) -> Self {
        let words = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let name = words(&likeness.name);
        let mut sighting = Self::default();
        for event in shown {
            let has_slug = event.slug.as_ref().is_some_and(|slug| slug.eq_ignore_ascii_case(&likeness.slug));
            let has_time = event.start_at == likeness.start_at;
            let is_alike = has_slug || (has_time && words(&event.name) == name && !is_known(&event.id));
            let ids = match (has_slug && has_time, is_alike) {
                (true, _) => &mut sighting.exact,
                (false, true) => &mut sighting.alike,
                (false, false) => continue,
            };
            if !ids.contains(&event.id) {
                ids.push(event.id.clone());
            }
        }
        sighting
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
    /// What is known of the event after one more look.
    pub fn saw(&mut self, sighting: &Sighting, now: Time) -> LookUp {
        match (sighting.exact.as_slice(), sighting.alike.as_slice()) {
            ([], []) => self.saw_nothing(now),
            ([id], []) => LookUp::Found(id.clone()),
            _ => {
                self.absent_since = None;
                LookUp::Several
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> ApiId {
        ApiId::parse(text).expect("an id")
    }

    fn likeness() -> Likeness {
        Likeness { slug: "demo-1".into(), name: "Demo night".into(), start_at: Time::from_micros(5_000) }
    }

    fn shown(text: &str, slug: &str, name: &str, start: i64) -> Shown {
        let start_at = Time::from_micros(start);
        Shown { id: id(text), slug: Some(slug.into()), name: name.into(), start_at }
    }

    fn look(shown: &[Shown]) -> LookUp {
        let sighting = Sighting::of(&likeness(), shown, |known| known.as_str() == "evt-ours");
        LookedFor::default().saw(&sighting, Time::from_micros(0))
    }

    #[test]
    fn only_one_under_its_own_address_and_nothing_like_it_is_found() {
        let there = shown("evt-1", "Demo-1", "renamed", 5_000);
        assert_eq!(look(std::slice::from_ref(&there)), LookUp::Found(id("evt-1")));
        assert_eq!(look(&[there.clone(), there.clone()]), LookUp::Found(id("evt-1")), "the same one twice");
        let others = [
            shown("evt-2", "demo-1", "Demo night", 6_000),
            shown("evt-2", "demo-1", "Demo night", 5_000),
            shown("evt-2", "elsewhere", "DEMO  night", 5_000),
        ];
        for other in others {
            assert_eq!(look(&[there.clone(), other.clone()]), LookUp::Several, "{other:?}");
        }
        assert_eq!(look(&[shown("evt-2", "demo-1", "Demo night", 6_000)]), LookUp::Several);
        assert_eq!(look(&[shown("evt-2", "elsewhere", "Demo night", 5_000)]), LookUp::Several);
        assert_eq!(look(&[shown("evt-ours", "elsewhere", "Demo night", 5_000)]), LookUp::AbsentOnce);
        assert_eq!(look(&[shown("evt-2", "elsewhere", "Other", 5_000)]), LookUp::AbsentOnce);
    }

    #[test]
    fn what_was_seen_in_between_begins_the_pause_anew() {
        let mut looked = LookedFor::default();
        let at = |seconds| Time::from_micros(0).plus(Duration::from_secs(seconds));
        let (nothing, alike) = (Sighting::default(), Sighting { exact: vec![], alike: vec![id("evt-2")] });
        assert_eq!(looked.again_at(), None);
        assert_eq!(looked.saw(&nothing, at(0)), LookUp::AbsentOnce);
        assert_eq!(looked.again_at(), Some(at(60)));
        assert_eq!(looked.saw(&alike, at(30)), LookUp::Several);
        assert_eq!(looked.saw(&nothing, at(60)), LookUp::AbsentOnce);
        assert_eq!(looked.saw(&nothing, at(120)), LookUp::AbsentTwice);
    }

    proptest! {
        #[test]
        fn absence_is_believed_only_after_two_looks_with_the_pause_between(
            steps in prop::collection::vec((-120_i64..120, any::<bool>()), 1..40)
        ) {
            let mut looked = LookedFor::default();
            let mut now = 1_000_000_000_i64;
            let mut absent: Vec<i64> = Vec::new();
            for (step, is_there) in steps {
                now += step * 1_000_000;
                let exact = if is_there { vec![id("evt-1")] } else { vec![] };
                let said = looked.saw(&Sighting { exact, alike: vec![] }, Time::from_micros(now));
                match said {
                    LookUp::AbsentTwice => {
                        prop_assert!(!is_there);
                        prop_assert!(absent.iter().any(|then| now - then >= 60_000_000), "{absent:?} {now}");
                    }
                    LookUp::Found(_) => prop_assert!(is_there),
                    _ => prop_assert!(!is_there),
                }
                if !is_there {
                    absent.push(now);
                }
            }
        }
    }
}
