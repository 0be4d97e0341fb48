//! Sorted runs of lines joined into one, holding one chunk of each in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::lines::UnkeptLine;

/// A merge that is fed chunk by chunk.
#[derive(Debug, Default)]
pub(super) struct Merge {
    heads: BinaryHeap<Reverse<(UnkeptLine, u32)>>,
    rest: BTreeMap<u32, (u32, VecDeque<UnkeptLine>)>,
}

impl Merge {
    /// Feeds the next chunk of a part.
    pub(super) fn add(&mut self, part: u32, chunk: u32, lines: Vec<UnkeptLine>) {
        let mut lines = VecDeque::from(lines);
        if let Some(head) = lines.pop_front() {
            self.heads.push(Reverse((head, part)));
            self.rest.insert(part, (chunk, lines));
        }
    }

    /// The next line; and, where it was the last of its chunk, of which part and chunk.
    pub(super) fn next(&mut self) -> Option<(UnkeptLine, Option<(u32, u32)>)> {
        let Reverse((line, part)) = self.heads.pop()?;
        let (chunk, rest) = self.rest.get_mut(&part)?;
        match rest.pop_front() {
            Some(head) => {
                self.heads.push(Reverse((head, part)));
                Some((line, None))
            }
            None => Some((line, Some((part, *chunk)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: u64) -> UnkeptLine {
        UnkeptLine { line, twin: 0 }
    }

    #[test]
    fn lines_come_in_order_and_empty_chunks_are_told() {
        let mut merge = Merge::default();
        merge.add(0, 0, vec![line(1), line(5)]);
        merge.add(1, 0, vec![line(2)]);
        assert_eq!(merge.next(), Some((line(1), None)));
        assert_eq!(merge.next(), Some((line(2), Some((1, 0)))));
        merge.add(1, 1, vec![line(3)]);
        assert_eq!(merge.next(), Some((line(3), Some((1, 1)))));
        assert_eq!(merge.next(), Some((line(5), Some((0, 0)))));
        assert_eq!(merge.next(), None);
    }
}
