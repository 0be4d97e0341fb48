//! Lines that end without a row in the queue, packed for the time until result files are written.
//!
//! Pairs of numbers in LEB128: the distance to the line before, then the twin's line, 0 for none.

/// One line that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UnkeptLine {
    /// The line.
    pub line: u64,
    /// The earlier line of the same person; 0 where the row is unchanged.
    pub twin: u64,
}

/// Bytes a chunk is meant for.
const CHUNK_BYTES: usize = 32 * 1024;

/// Packs lines, which are sorted, into chunks that can be read one by one.
pub(super) fn pack(lines: &[UnkeptLine]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut last = 0;
    for unkept in lines {
        put(&mut chunk, unkept.line.saturating_sub(last));
        put(&mut chunk, unkept.twin);
        last = unkept.line;
        if chunk.len() >= CHUNK_BYTES {
            chunks.push(std::mem::take(&mut chunk));
            last = 0;
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// Reads a chunk; `None` where it is not what `pack` wrote.
pub(super) fn unpack(mut chunk: &[u8]) -> Option<Vec<UnkeptLine>> {
    let mut lines = Vec::new();
    let mut last = 0;
    while !chunk.is_empty() {
        let line = last + get(&mut chunk)?;
        lines.push(UnkeptLine { line, twin: get(&mut chunk)? });
        last = line;
    }
    Some(lines)
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_come_back_as_they_were(mut lines in prop::collection::vec((any::<u32>(), any::<u32>()), 0..20_000)) {
            lines.sort_unstable();
            let lines: Vec<UnkeptLine> = lines
                .into_iter()
                .map(|(line, twin)| UnkeptLine { line: line.into(), twin: twin.into() })
                .collect();
            let chunks = pack(&lines);
            let back: Vec<UnkeptLine> = chunks.iter().flat_map(|chunk| unpack(chunk).expect("packed")).collect();
            prop_assert_eq!(back, lines);
        }

        #[test]
        fn rubbish_is_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = unpack(&bytes);
        }
    }
}
