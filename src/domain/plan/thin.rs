//! Calls taken out of a draft: what they bring is brought by calls that have room.
//!
//! Two calls may also become one. Each trial is worked out on paper first, and only one that succeeds changes
//! the draft: it never grows.

use std::collections::BTreeMap;

use super::demand::{Tag, is_subset, without};
use super::draft::Draft;
use super::effort::Effort;

/// The call that is to take the place of those taken out, while it is on paper.
const FRESH: u32 = u32::MAX;

/// Takes calls out as long as some can be, and the effort lasts.
pub(super) fn thin(draft: &mut Draft<'_>, effort: &mut Effort) {
    let mut by_tag: Vec<Vec<u32>> = vec![Vec::new(); draft.demand.tags()];
    for (place, call) in (0..).zip(&draft.calls) {
        for tag in &call.tags {
            by_tag[*tag as usize].push(place);
        }
    }
    let mut thinner = Thinner { draft, by_tag, effort };
    loop {
        let calls = thinner.emptiest_first();
        let taken_out = calls.iter().filter(|call| thinner.take_out(&[**call], None)).count();
        if taken_out == 0 && !thinner.join_two(&calls) {
            return;
        }
    }
}

struct Thinner<'t, 'a> {
    draft: &'t mut Draft<'a>,
    /// The calls that have a tag.
    by_tag: Vec<Vec<u32>>,
    effort: &'t mut Effort,
}

/// People of a piece who are in these calls from now on.
struct Move {
    piece: u32,
    len: u32,
    calls: Vec<u32>,
}

/// Calls to be taken out, on paper.
struct Trial<'c> {
    out: &'c [u32],
    /// The tags of a call that takes their place, if one does.
    fresh: Option<&'c [Tag]>,
    /// People put into other calls so far.
    added: BTreeMap<u32, u32>,
}

impl Thinner<'_, '_> {
    fn emptiest_first(&self) -> Vec<u32> {
        let loads = self.draft.calls.iter().map(|call| call.load).zip(0..).filter(|(load, _)| *load > 0);
        let mut calls: Vec<(u32, u32)> = loads.collect();
        calls.sort_unstable();
        calls.into_iter().map(|(_, call)| call).collect()
    }

    /// Makes one call of the first two for which that works.
    fn join_two(&mut self, calls: &[u32]) -> bool {
        for (place, one) in calls.iter().enumerate() {
            for other in &calls[..place] {
                if self.effort.is_spent() {
                    return false;
                }
                let tags = |call: u32| self.draft.calls[call as usize].tags.clone();
                let (first, second) = (tags(*one), tags(*other));
                let only_first = without(&first, &second);
                let common = without(&first, &only_first);
                let mut all = [only_first, second.clone()].concat();
                all.sort_unstable();
                for tags in [all, common, first, second] {
                    if self.take_out(&[*one, *other], Some(&tags)) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Takes these calls out, if all they bring fits into others and a fresh one with these tags.
    fn take_out(&mut self, out: &[u32], fresh: Option<&[Tag]>) -> bool {
        let Some(moves) = self.moves(Trial { out, fresh, added: BTreeMap::new() }) else { return false };
        for call in out {
            self.draft.drop_call(*call);
        }
        let opened = fresh.map(|tags| {
            let place = self.draft.open(tags.to_vec());
            for tag in tags {
                self.by_tag[*tag as usize].push(place);
            }
            place
        });
        let mut rests: BTreeMap<u32, u32> = BTreeMap::new();
        for Move { piece, len, calls } in moves {
            let part = rests.get(&piece).copied().unwrap_or(piece);
            if let Some(rest) = self.draft.cut(part, len) {
                rests.insert(piece, rest);
            }
            for call in calls {
                self.draft.put(part, opened.filter(|_| call == FRESH).unwrap_or(call));
            }
        }
        true
    }

    /// Where everybody in those calls gets what they lack without them; `None` where somebody cannot.
    fn moves(&mut self, mut trial: Trial<'_>) -> Option<Vec<Move>> {
        let out = trial.out.iter().flat_map(|call| &self.draft.calls[*call as usize].pieces);
        let mut pieces: Vec<u32> = out.copied().collect();
        pieces.sort_unstable();
        pieces.dedup();
        let mut moves = Vec::new();
        for piece in pieces {
            let lacking = self.draft.missing(piece, trial.out);
            let all = Move { piece, len: self.draft.pieces[piece as usize].len, calls: Vec::new() };
            let mut waiting = vec![(all, lacking)];
            while let Some((mut people, lacking)) = waiting.pop() {
                if lacking.is_empty() {
                    moves.push(people);
                    continue;
                }
                let (call, room) = self.helper(piece, &lacking, &trial)?;
                if people.len > room {
                    let rest = Move { piece, len: people.len - room, calls: people.calls.clone() };
                    waiting.push((rest, lacking.clone()));
                    people.len = room;
                }
                *trial.added.entry(call).or_default() += people.len;
                people.calls.push(call);
                let lacking = without(&lacking, self.tags(call, &trial));
                waiting.push((people, lacking));
            }
        }
        Some(moves)
    }

    /// The call with room that brings a piece most of what it lacks, and its room. The fullest of several,
    /// and the fresh one last.
    fn helper(&mut self, piece: u32, lacking: &[Tag], trial: &Trial<'_>) -> Option<(u32, u32)> {
        let allowed = &self.draft.cohort(piece).allowed;
        let mut best = None;
        let lists = lacking.iter().map(|tag| self.by_tag[*tag as usize].as_slice());
        for list in lists.chain(trial.fresh.map(|_| [FRESH].as_slice())) {
            if !self.effort.spend(list.len() + 1) {
                return None;
            }
            for call in list.iter().filter(|call| !trial.out.contains(call)) {
                let room = self.room(*call, trial);
                let tags = self.tags(*call, trial);
                if room > 0 && is_subset(tags, allowed) {
                    let brings = lacking.iter().filter(|tag| tags.binary_search(tag).is_ok()).count();
                    let rank = (brings, *call != FRESH, u32::MAX - room);
                    if brings > 0 && best.is_none_or(|(highest, _)| rank > highest) {
                        best = Some((rank, (*call, room)));
                    }
                }
            }
        }
        best.map(|(_, found)| found)
    }

    fn tags<'b>(&'b self, call: u32, trial: &Trial<'b>) -> &'b [Tag] {
        match trial.fresh {
            Some(fresh) if call == FRESH => fresh,
            _ => &self.draft.calls[call as usize].tags,
        }
    }

    /// How many more people a call takes; none where it was dropped.
    fn room(&self, call: u32, trial: &Trial<'_>) -> u32 {
        let room = match call {
            FRESH => self.draft.demand.max_rows,
            call if self.draft.calls[call as usize].load == 0 => 0,
            call => self.draft.room(call),
        };
        room - trial.added.get(&call).copied().unwrap_or(0)
    }
}
