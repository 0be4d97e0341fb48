//! Calls built one after the other, each for the tags and people where it brings most.
//!
//! A call is grown: it begins with one tag and all who lack it, and takes in the tag that makes it worth most
//! for those who may have that too, as long as it gains by it. What a tag is worth to somebody is what it
//! would cost to bring it alone to all who still lack it; a call that is worth more than one saves.

use std::collections::HashSet;

use super::demand::{Tag, is_subset};
use super::draft::Draft;

/// One request, in the unit of prices.
const REQUEST: u64 = 1 << 24;

/// About so many pieces say which tag a growth gains most by: where there are more, every second or third
/// does.
const MOST_ASKED: usize = 1_000;

/// How the worth of a tag set is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taste {
    /// Every tag is worth the same to anybody, so the largest calls come first; else rare tags are worth
    /// more.
    pub(super) flat: bool,
    /// All who may have the tags count, in as many calls as they take; else only those of the first full
    /// call.
    pub(super) all: bool,
}

/// Tags and the pieces they could be sent to.
struct Growth {
    tags: Vec<Tag>,
    pieces: Vec<u32>,
    worth: u64,
}

/// The state of the building.
struct Builder<'d, 'a> {
    draft: &'d mut Draft<'a>,
    taste: Taste,
    /// What each piece still lacks.
    lacking: Vec<Vec<Tag>>,
    /// The pieces that lacked a tag once; those that no longer do are dropped when they are met.
    by_tag: Vec<Vec<u32>>,
    /// The people who lack a tag.
    people: Vec<u64>,
    prices: Vec<u64>,
    /// For each tag, what a growth would have with it: people, and worth to all of them.
    tried: Vec<(u64, u64)>,
}

/// Covers all who are in no call of the draft; `starts` tags are tried as the first of each call.
pub(super) fn build(draft: &mut Draft<'_>, taste: Taste, starts: usize) {
    let tags = draft.demand.tags();
    let mut builder = Builder {
        lacking: vec![Vec::new(); draft.pieces.len()],
        by_tag: vec![Vec::new(); tags],
        people: vec![0; tags],
        prices: vec![0; tags],
        tried: vec![(0, 0); tags],
        taste,
        draft,
    };
    let needy: Vec<u32> = builder.draft.needy().collect();
    for piece in needy {
        let wanted = &builder.draft.cohort(piece).wanted;
        builder.lacking[piece as usize] = wanted.to_vec();
        for tag in wanted {
            builder.by_tag[*tag as usize].push(piece);
            builder.people[*tag as usize] += u64::from(builder.draft.pieces[piece as usize].len);
        }
    }
    while let Some(growth) = builder.best(starts) {
        builder.lay(growth);
    }
}

impl Builder<'_, '_> {
    fn max_rows(&self) -> u64 {
        self.draft.demand.max_rows.into()
    }

    fn len(&self, piece: u32) -> u64 {
        self.draft.pieces[piece as usize].len.into()
    }

    /// The growth that is worth most.
    fn best(&mut self, starts: usize) -> Option<Growth> {
        let max = self.max_rows();
        for (price, people) in self.prices.iter_mut().zip(&self.people) {
            *price = match *people {
                0 => 0,
                _ if self.taste.flat => REQUEST / max,
                people => REQUEST * people.div_ceil(max) / people,
            };
        }
        let mut tags: Vec<(u64, Tag)> = (0..)
            .zip(&self.people)
            .filter(|(_, people)| **people > 0)
            .map(|(tag, people)| (self.judge(*people, people * self.prices[tag as usize]), tag))
            .collect();
        tags.sort_unstable_by_key(|(worth, tag)| {
            (std::cmp::Reverse(*worth), self.people[*tag as usize], *tag)
        });
        let mut best: Option<Growth> = None;
        for (worth, tag) in tags.into_iter().take(starts) {
            let growth = self.grow(tag, worth);
            if best.as_ref().is_none_or(|best| growth.worth > best.worth) {
                best = Some(growth);
            }
        }
        best
    }

    /// What one call is worth of those that bring `worth` to these people.
    fn judge(&self, people: u64, worth: u64) -> u64 {
        let max = self.max_rows();
        match people {
            0 => 0,
            people if people <= max => worth,
            people if self.taste.all => worth / people.div_ceil(max),
            people => worth / people * max,
        }
    }

    fn grow(&mut self, tag: Tag, worth: u64) -> Growth {
        let mut pieces = std::mem::take(&mut self.by_tag[tag as usize]);
        pieces.retain(|piece| self.lacking[*piece as usize].binary_search(&tag).is_ok());
        self.by_tag[tag as usize].clone_from(&pieces);
        let mut growth = Growth { tags: vec![tag], pieces, worth };
        while let Some((tag, worth)) = self.next(&growth) {
            growth.pieces.retain(|piece| self.draft.cohort(*piece).allowed.binary_search(&tag).is_ok());
            growth.tags.push(tag);
            growth.tags.sort_unstable();
            growth.worth = worth;
        }
        growth
    }

    /// The tag that a growth gains most by, and what it is worth with it.
    fn next(&mut self, growth: &Growth) -> Option<(Tag, u64)> {
        self.tried.fill((0, 0));
        let stride = growth.pieces.len().div_ceil(MOST_ASKED).max(1);
        for piece in growth.pieces.iter().step_by(stride) {
            let (len, lacking) = (self.len(*piece) * stride as u64, &self.lacking[*piece as usize]);
            let gain: u64 = lacking
                .iter()
                .filter(|tag| growth.tags.binary_search(tag).is_ok())
                .map(|tag| self.prices[*tag as usize])
                .sum();
            let mut lacking = lacking.iter().peekable();
            for tag in &self.draft.cohort(*piece).allowed {
                let more = lacking.next_if_eq(&tag).map_or(0, |tag| self.prices[*tag as usize]);
                let (people, worth) = &mut self.tried[*tag as usize];
                *people += len;
                *worth += len * (gain + more);
            }
        }
        let worth_with = |tag: Tag| {
            let (people, worth) = self.tried[tag as usize];
            self.judge(people, worth)
        };
        (0..)
            .take(self.tried.len())
            .filter(|tag| growth.tags.binary_search(tag).is_err())
            .map(|tag| (tag, worth_with(tag)))
            .filter(|(_, worth)| *worth > growth.worth)
            .max_by_key(|(tag, worth)| (*worth, std::cmp::Reverse(*tag)))
    }

    /// Lays the calls of a growth: those that are full, or one.
    fn lay(&mut self, growth: Growth) {
        let Growth { tags, mut pieces, .. } = growth;
        let max = self.max_rows();
        let people: u64 = pieces.iter().map(|piece| self.len(*piece)).sum();
        let mut room = if people < max {
            self.add_others(&tags, &mut pieces, max - people);
            max
        } else {
            people / max * max
        };
        // Whom it completes, or nearly so, comes first.
        let is_left = |tag: &&Tag| tags.binary_search(tag).is_err();
        pieces.sort_by_cached_key(|piece| {
            (self.lacking[*piece as usize].iter().filter(is_left).count(), *piece)
        });
        let mut call = None;
        for mut piece in pieces {
            while room > 0 {
                let open = match call {
                    Some(open) if self.draft.room(open) > 0 => open,
                    _ => *call.insert(self.draft.open(tags.clone())),
                };
                let len = u32::try_from(room).unwrap_or(u32::MAX).min(self.draft.room(open));
                let rest = self.cut(piece, len);
                self.bring(piece, &tags);
                self.draft.put(piece, open);
                room -= self.len(piece);
                match rest {
                    Some(rest) => piece = rest,
                    None => break,
                }
            }
        }
    }

    /// More people for a call: those who may have all of its tags and lack others of them than the first.
    fn add_others(&self, tags: &[Tag], pieces: &mut Vec<u32>, mut room: u64) {
        let mut taken: HashSet<u32> = pieces.iter().copied().collect();
        for tag in tags {
            for piece in &self.by_tag[*tag as usize] {
                let lacks = self.lacking[*piece as usize].binary_search(tag).is_ok();
                if room > 0
                    && lacks
                    && is_subset(tags, &self.draft.cohort(*piece).allowed)
                    && taken.insert(*piece)
                {
                    pieces.push(*piece);
                    room = room.saturating_sub(self.len(*piece));
                }
            }
        }
    }

    fn cut(&mut self, piece: u32, len: u32) -> Option<u32> {
        let rest = self.draft.cut(piece, len)?;
        let lacking = self.lacking[piece as usize].clone();
        for tag in &lacking {
            self.by_tag[*tag as usize].push(rest);
        }
        self.lacking.push(lacking);
        Some(rest)
    }

    /// A piece gets these tags.
    fn bring(&mut self, piece: u32, tags: &[Tag]) {
        let len = self.len(piece);
        for tag in self.lacking[piece as usize].extract_if(.., |tag| tags.binary_search(tag).is_ok()) {
            self.people[tag as usize] -= len;
        }
    }
}
