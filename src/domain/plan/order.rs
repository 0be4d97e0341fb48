//! The order in which calls leave, and of which kind they are.
//!
//! It is laid from its end: the last call is the one with the fewest people, the one before it that with the
//! fewest who are not in the last, and so on. So few people wait for the last calls, and many are done early.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::call::{Call, CallKind, Route, Share};
use super::draft::Draft;

/// The calls of a draft in the order in which they leave, and who is in which.
pub(super) fn ordered(draft: &Draft<'_>) -> (Vec<Call>, Vec<Route>) {
    let mut routes: Vec<Route> =
        draft.all().map(|piece| Route { share: share(draft, piece), calls: Vec::new() }).collect();
    let mut calls = Vec::new();
    for (place, call) in (0..).zip(order(draft)) {
        let call = &draft.calls[call as usize];
        let is_contact =
            |piece: &u32| !routes[*piece as usize].calls.is_empty() || !draft.cohort(*piece).is_new;
        let tags = draft.demand.named(&call.tags);
        let is_tag = tags.ids().len() == 1 && call.pieces.iter().all(is_contact);
        for piece in &call.pieces {
            routes[*piece as usize].calls.push(place);
        }
        let mut shares: Vec<Share> = call.pieces.iter().map(|piece| share(draft, *piece)).collect();
        shares.sort_unstable_by_key(|share| (share.cohort, share.people.start));
        calls.push(Call { tags, kind: if is_tag { CallKind::Tag } else { CallKind::Import }, shares });
    }
    routes.sort_unstable_by_key(|route| (route.share.cohort, route.share.people.start));
    (calls, routes)
}

fn share(draft: &Draft<'_>, piece: u32) -> Share {
    let piece = &draft.pieces[piece as usize];
    Share { cohort: piece.cohort, people: piece.first..piece.first + piece.len }
}

/// The places of the calls that have people, the first to leave first.
fn order(draft: &Draft<'_>) -> Vec<u32> {
    let mut waiting: Vec<u32> = draft.calls.iter().map(|call| call.load).collect();
    let mut heap: BinaryHeap<Reverse<(u32, u32)>> =
        waiting.iter().copied().zip(0..).filter(|(load, _)| *load > 0).map(Reverse).collect();
    let mut is_laid = vec![false; waiting.len()];
    let mut is_late = vec![false; draft.pieces.len()];
    let mut order = Vec::with_capacity(heap.len());
    while let Some(Reverse((load, call))) = heap.pop() {
        if is_laid[call as usize] || load > waiting[call as usize] {
            continue;
        }
        is_laid[call as usize] = true;
        order.push(call);
        for piece in &draft.calls[call as usize].pieces {
            if std::mem::replace(&mut is_late[*piece as usize], true) {
                continue;
            }
            let piece = &draft.pieces[*piece as usize];
            for other in &piece.calls {
                waiting[*other as usize] -= piece.len;
                heap.push(Reverse((waiting[*other as usize], *other)));
            }
        }
    }
    order.reverse();
    order
}
