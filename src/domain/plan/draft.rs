//! A plan while it is made: calls, and the pieces of cohorts that are in them.
//!
//! A piece is a stretch of a cohort whose people are all treated alike; it is cut where a call is full.

use super::demand::{Cohort, Demand, Tag, narrow, without};

/// A stretch of a cohort, all of it in the same calls.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) cohort: u32,
    pub(super) first: u32,
    pub(super) len: u32,
    /// The calls that it is in.
    pub(super) calls: Vec<u32>,
    /// What was last cut off it.
    rest: Option<u32>,
}

/// A request: its tags, sorted, and the pieces in it.
#[derive(Clone, Debug)]
pub(super) struct DraftCall {
    pub(super) tags: Vec<Tag>,
    pub(super) pieces: Vec<u32>,
    /// People in it.
    pub(super) load: u32,
}

/// Calls and pieces, each known by its place. A call without people is one that was dropped.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) demand: &'a Demand,
    pub(super) pieces: Vec<Piece>,
    pub(super) calls: Vec<DraftCall>,
}

impl<'a> Draft<'a> {
    /// One piece for each cohort that needs something, and no calls.
    pub(super) fn new(demand: &'a Demand) -> Self {
        let needy = |(_, cohort): &(usize, &Cohort)| cohort.people > 0 && !cohort.wanted.is_empty();
        let pieces = demand.cohorts.iter().enumerate().filter(needy).map(|(place, cohort)| Piece {
            cohort: narrow(place),
            first: 0,
            len: cohort.people,
            calls: Vec::new(),
            rest: None,
        });
        Self { demand, pieces: pieces.collect(), calls: Vec::new() }
    }

    pub(super) fn cohort(&self, piece: u32) -> &'a Cohort {
        &self.demand.cohorts[self.pieces[piece as usize].cohort as usize]
    }

    /// How many requests leave.
    pub(super) fn requests(&self) -> u64 {
        self.calls.iter().filter(|call| call.load > 0).count() as u64
    }

    /// The places of all pieces.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        0..narrow(self.pieces.len())
    }

    /// What a piece wants and no call but `except` brings.
    pub(super) fn missing(&self, piece: u32, except: &[u32]) -> Vec<Tag> {
        let mut missing = self.cohort(piece).wanted.to_vec();
        for call in &self.pieces[piece as usize].calls {
            if !except.contains(call) && !missing.is_empty() {
                missing = without(&missing, &self.calls[*call as usize].tags);
            }
        }
        missing
    }

    /// Cuts the first `len` people off a piece, where it has more; the place of the rest.
    pub(super) fn cut(&mut self, piece: u32, len: u32) -> Option<u32> {
        let place = narrow(self.pieces.len());
        let head = &mut self.pieces[piece as usize];
        if len >= head.len {
            return None;
        }
        let rest = Piece {
            cohort: head.cohort,
            first: head.first + len,
            len: head.len - len,
            calls: head.calls.clone(),
            rest: head.rest,
        };
        head.len = len;
        head.rest = Some(place);
        for call in &rest.calls {
            self.calls[*call as usize].pieces.push(place);
        }
        self.pieces.push(rest);
        Some(place)
    }

    /// A piece and all that was cut off it.
    pub(super) fn whole(&self, piece: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(piece), |piece| self.pieces[*piece as usize].rest)
    }

    /// Opens a call with these tags and nobody in it; its place.
    pub(super) fn open(&mut self, tags: Vec<Tag>) -> u32 {
        self.calls.push(DraftCall { tags, pieces: Vec::new(), load: 0 });
        narrow(self.calls.len() - 1)
    }

    /// Puts a whole piece into a call that has room for it.
    pub(super) fn put(&mut self, piece: u32, call: u32) {
        let target = &mut self.calls[call as usize];
        target.load += self.pieces[piece as usize].len;
        target.pieces.push(piece);
        self.pieces[piece as usize].calls.push(call);
    }

    /// Takes everybody out of a call.
    pub(super) fn drop_call(&mut self, call: u32) {
        let dropped = &mut self.calls[call as usize];
        dropped.load = 0;
        for piece in std::mem::take(&mut dropped.pieces) {
            self.pieces[piece as usize].calls.retain(|other| *other != call);
        }
    }

    /// Sends tags to pieces in new calls, each filled before the next is begun. A piece that is cut keeps its
    /// place for its first part.
    pub(super) fn send(&mut self, tags: &[Tag], pieces: impl IntoIterator<Item = u32>) {
        let mut call = None;
        for mut piece in pieces {
            loop {
                let open = match call {
                    Some(open) if self.room(open) > 0 => open,
                    _ => *call.insert(self.open(tags.to_vec())),
                };
                let rest = self.cut(piece, self.room(open));
                self.put(piece, open);
                match rest {
                    Some(rest) => piece = rest,
                    None => break,
                }
            }
        }
    }

    /// How many more people a call takes.
    pub(super) fn room(&self, call: u32) -> u32 {
        self.demand.max_rows - self.calls[call as usize].load
    }

    /// Requests that are full of one cohort and bring all it wants. Nothing is cheaper, so no other plan is
    /// looked for: what is left are fewer people than a request takes, of each cohort.
    pub(super) fn send_full(&mut self) {
        let max = self.demand.max_rows;
        for piece in self.all() {
            let full = self.pieces[piece as usize].len / max * max;
            if full > 0 {
                let _tail = self.cut(piece, full);
                self.send(&self.cohort(piece).wanted, [piece]);
            }
        }
    }

    /// One group for each distinct set.
    pub(super) fn send_by_set(&mut self) {
        let mut pieces: Vec<u32> = self.needy().collect();
        pieces.sort_by_key(|piece| &self.cohort(*piece).wanted);
        let groups = pieces.chunk_by(|a, b| self.cohort(*a).wanted == self.cohort(*b).wanted);
        let groups: Vec<Vec<u32>> = groups.map(<[u32]>::to_vec).collect();
        for group in groups {
            self.send(&self.cohort(group[0]).wanted, group);
        }
    }

    /// The pieces that are in no call yet.
    pub(super) fn needy(&self) -> impl Iterator<Item = u32> {
        self.all().filter(|piece| self.pieces[*piece as usize].calls.is_empty())
    }
}
