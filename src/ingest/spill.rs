//! Rows of one file divided into parts by the hash of their address, on disk where they are many.
//!
//! Each part fits in memory whatever the size of the file; within it a person's rows lie together
//! and in the order of the ledger. Addresses on disk stand in a nameless file that only this
//! process can reach.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::domain::code::Code;

/// Bytes of input a part is meant for; rows take about as much in memory again.
const PART_BYTES: u64 = 2 * 1024 * 1024;
const MAX_PARTS: u64 = 1_024;
/// Bytes that all unwritten rows together may take.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Where a record's texts begin: hash 8, line 8, set 4, lengths 2 and 2, kind 1.
const HEAD: usize = 25;

/// How many parts suit an input of so many bytes.
#[must_use]
pub fn parts_for(bytes: u64) -> u32 {
    let parts = (bytes / PART_BYTES).next_power_of_two().clamp(1, MAX_PARTS);
    u32::try_from(parts).unwrap_or(1)
}

/// The hashes that belong to a part, both ends included.
#[must_use]
pub fn hash_range(part: u32, parts: u32) -> (i64, i64) {
    let width = u64::MAX / u64::from(parts);
    let step = width.wrapping_add(u64::from(parts.is_power_of_two() && parts > 1));
    let start = step.wrapping_mul(u64::from(part));
    let end = if part + 1 == parts { u64::MAX } else { start.wrapping_add(step).wrapping_sub(1) };
    (signed(start), signed(end))
}

fn part_of(hash: i64, parts: u32) -> usize {
    let bits = parts.trailing_zeros();
    if bits == 0 { 0 } else { usize::try_from(unsigned(hash) >> (64 - bits)).unwrap_or(0) }
}

/// Keeps the order of signed numbers.
const fn unsigned(hash: i64) -> u64 {
    hash.cast_unsigned() ^ (1 << 63)
}

const fn signed(place: u64) -> i64 {
    (place ^ (1 << 63)).cast_signed()
}

/// Takes rows in the order of the file.
#[derive(Debug)]
pub struct SpillWriter {
    buffers: Vec<Vec<u8>>,
    blocks: Vec<Vec<(u64, usize)>>,
    file: Option<File>,
    written: u64,
    dir: PathBuf,
}

impl SpillWriter {
    /// A writer of `parts` parts (a power of two) that goes to a file in `dir` when it must.
    #[must_use]
    pub fn new(parts: u32, dir: &Path) -> Self {
        let parts = parts as usize;
        Self {
            buffers: vec![Vec::new(); parts],
            blocks: vec![Vec::new(); parts],
            file: None,
            written: 0,
            dir: dir.to_owned(),
        }
    }

    /// Takes a valid row.
    pub fn push(&mut self, hash: i64, line: u64, set: u32, email: &str, name: &str) -> io::Result<()> {
        let part = part_of(hash, u32::try_from(self.buffers.len()).unwrap_or(1));
        self.record(part, hash, line, set, u8::MAX, email, name)
    }

    /// Takes a row we refuse. It goes to any part: nothing is compared with it.
    pub fn push_bad(&mut self, line: u64, code: Code, email: &str, reason: &str) -> io::Result<()> {
        let kind = Code::ALL.iter().position(|known| *known == code).unwrap_or_default();
        let part = usize::try_from(line).unwrap_or(0) % self.buffers.len();
        self.record(part, 0, line, 0, u8::try_from(kind).unwrap_or(0), email, reason)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one record, written once")]
    fn record(
        &mut self,
        part: usize,
        hash: i64,
        line: u64,
        set: u32,
        kind: u8,
        first: &str,
        second: &str,
    ) -> io::Result<()> {
        let (first, second) = (cut(first), cut(second));
        let buffer = &mut self.buffers[part];
        buffer.reserve(HEAD + first.len() + second.len());
        buffer.extend_from_slice(&hash.to_le_bytes());
        buffer.extend_from_slice(&line.to_le_bytes());
        buffer.extend_from_slice(&set.to_le_bytes());
        buffer.extend_from_slice(&length(first));
        buffer.extend_from_slice(&length(second));
        buffer.push(kind);
        buffer.extend_from_slice(first.as_bytes());
        buffer.extend_from_slice(second.as_bytes());
        if self.buffers.len() > 1 && self.buffers[part].len() > BUFFER_BYTES / self.buffers.len() {
            self.flush(part)?;
        }
        Ok(())
    }

    fn flush(&mut self, part: usize) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.dir)?),
        };
        file.seek(SeekFrom::Start(self.written))?;
        file.write_all(&self.buffers[part])?;
        self.blocks[part].push((self.written, self.buffers[part].len()));
        self.written += self.buffers[part].len() as u64;
        self.buffers[part].clear();
        Ok(())
    }

    /// Bytes that all rows together take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.written + self.buffers.iter().map(|buffer| buffer.len() as u64).sum::<u64>()
    }

    /// Ends the taking.
    #[must_use]
    pub fn finish(self) -> Spill {
        Spill { buffers: self.buffers, blocks: self.blocks, file: self.file, joined: 1 }
    }

    /// Ends the taking of an input whose size was not known: as many parts as suit it by now, or as there
    /// are. Parts lie side by side in the order of their hashes, so neighbours make a larger one.
    #[must_use]
    pub fn finish_in(self, parts: u32) -> Spill {
        let joined = (self.buffers.len() / parts.max(1) as usize).max(1);
        Spill { joined, ..self.finish() }
    }
}

/// A length of two bytes: `cut` keeps texts well below that.
fn length(text: &str) -> [u8; 2] {
    u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes()
}

/// Texts longer than this are cut; the parser refuses such addresses long before.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(1_000);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// All rows of a file, by part.
#[derive(Debug)]
pub struct Spill {
    buffers: Vec<Vec<u8>>,
    blocks: Vec<Vec<(u64, usize)>>,
    file: Option<File>,
    /// How many of the writer's parts make one.
    joined: usize,
}

impl Spill {
    /// Bytes that all rows together take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let written = self.blocks.iter().flatten().map(|(_, len)| *len as u64);
        written.chain(self.buffers.iter().map(|buffer| buffer.len() as u64)).sum()
    }

    /// How many parts there are.
    #[must_use]
    pub fn parts(&self) -> u32 {
        u32::try_from(self.buffers.len() / self.joined).unwrap_or(u32::MAX)
    }

    /// Reads one part into memory and sorts it.
    pub fn load(&self, part: u32) -> io::Result<Part> {
        let first = part as usize * self.joined;
        let mut bytes = Vec::new();
        for (blocks, rest) in self.blocks.iter().zip(&self.buffers).skip(first).take(self.joined) {
            for &(offset, len) in blocks {
                let start = bytes.len();
                bytes.resize(start + len, 0);
                if let Some(file) = &self.file {
                    file.read_exact_at(&mut bytes[start..], offset)?;
                }
            }
            bytes.extend_from_slice(rest);
        }
        Ok(Part::index(bytes))
    }
}

/// The rows of one part.
#[derive(Debug)]
pub struct Part {
    bytes: Vec<u8>,
    /// (hash, line, place in `bytes`), sorted.
    valid: Vec<(i64, u64, usize)>,
    /// (line, place in `bytes`), sorted.
    bad: Vec<(u64, usize)>,
}

/// A valid row of a part.
#[derive(Clone, Copy, Debug)]
pub struct ValidRow<'a> {
    /// Hash of the key.
    pub hash: i64,
    /// Its line.
    pub line: u64,
    /// Its tag set, as the reader numbered it.
    pub set: u32,
    email: &'a [u8],
    name: &'a [u8],
}

impl<'a> ValidRow<'a> {
    /// The address as it is sent; its lower case is the key.
    #[must_use]
    pub fn email(&self) -> &'a str {
        text(self.email)
    }

    /// The name, or nothing.
    #[must_use]
    pub fn name(&self) -> &'a str {
        text(self.name)
    }

    /// Whether this address, or key, is the same person's.
    #[must_use]
    pub fn is_of(&self, email: &str) -> bool {
        self.email.eq_ignore_ascii_case(email.as_bytes())
    }

    /// Whether both are the same person's.
    #[must_use]
    pub fn is_twin_of(&self, other: &Self) -> bool {
        self.email.eq_ignore_ascii_case(other.email)
    }
}

/// A refused row of a part.
#[derive(Clone, Copy, Debug)]
pub struct RefusedRow<'a> {
    /// Its line.
    pub line: u64,
    /// Why.
    pub code: Code,
    /// What stood where the address should be.
    pub email: &'a str,
    /// Why, in words.
    pub reason: &'a str,
}

impl Part {
    fn index(bytes: Vec<u8>) -> Self {
        let mut part = Self { bytes, valid: Vec::new(), bad: Vec::new() };
        let mut at = 0;
        while at + HEAD <= part.bytes.len() {
            let (hash, line) = (i64::from_le_bytes(part.take(at)), u64::from_le_bytes(part.take(at + 8)));
            if part.bytes[at + 24] == u8::MAX {
                part.valid.push((hash, line, at));
            } else {
                part.bad.push((line, at));
            }
            let (first, second) = part.lengths(at);
            at += HEAD + first + second;
        }
        part.valid.sort_unstable();
        part.bad.sort_unstable();
        part
    }

    /// How many rows are valid.
    #[must_use]
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// Whether no row is valid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.valid.is_empty()
    }

    /// The hashes of the valid rows, ascending.
    pub fn hashes(&self) -> impl Iterator<Item = i64> {
        self.valid.iter().map(|(hash, ..)| *hash)
    }

    /// Valid rows, side by side, that share the hash of the one at this place.
    ///
    /// # Panics
    /// Where there are fewer rows.
    #[must_use]
    pub fn with_hash_of(&self, start: usize) -> (i64, Range<usize>) {
        let hash = self.valid[start].0;
        let same = self.valid[start..].iter().take_while(|row| row.0 == hash).count();
        (hash, start..start + same)
    }

    /// The valid row at this place, in order of hash, then line.
    ///
    /// # Panics
    /// Where there are fewer rows.
    #[must_use]
    pub fn row(&self, place: usize) -> ValidRow<'_> {
        let (hash, line, at) = self.valid[place];
        let (email, name) = self.texts(at);
        ValidRow { hash, line, set: u32::from_le_bytes(self.take(at + 16)), email, name }
    }

    /// The refused rows in order of line.
    #[must_use]
    pub fn bad(&self) -> impl ExactSizeIterator<Item = RefusedRow<'_>> {
        self.bad.iter().map(|&(line, at)| {
            let (email, reason) = self.texts(at);
            let code = Code::ALL.get(usize::from(self.bytes[at + 24])).copied();
            RefusedRow {
                line,
                code: code.unwrap_or(Code::RowMalformed),
                email: text(email),
                reason: text(reason),
            }
        })
    }

    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[at..at + N]);
        bytes
    }

    fn lengths(&self, at: usize) -> (usize, usize) {
        let length = |at| usize::from(u16::from_le_bytes(self.take(at)));
        (length(at + 20), length(at + 22))
    }

    fn texts(&self, at: usize) -> (&[u8], &[u8]) {
        let (first, second) = self.lengths(at);
        self.bytes[at + HEAD..at + HEAD + first + second].split_at(first)
    }
}

/// What was put in as text.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests;
