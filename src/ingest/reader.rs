//! A file as blocks of whole records, in constant memory.
//!
//! Knows where records begin and end and which are broken; what they mean is the caller's affair.

use std::path::Path;

use super::encoding::{Decoder, Encoding, Origin};
use super::error::Fault;
use super::framing::{Flaw, Frame, Framer, Marks};
use super::open::{Compression, Source, read_full};
use super::sniff::{self, Sample};
use super::{ReadOptions, framing};

const BLOCK: usize = 1 << 20;
/// Enough to see that a quote in the header never closes.
const HEAD: usize = framing::MAX_QUOTED + BLOCK;
/// Stands in the text for a byte that is none; the record is marked.
pub(crate) const SUBSTITUTE: char = '\u{1a}';

/// Whole records and the text they stand in.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) text: String,
    pub(crate) frames: Vec<Frame>,
}

impl Block {
    pub(crate) fn record(&self, frame: &Frame) -> &str {
        &self.text[frame.start..frame.end]
    }
}

/// Reads a file block by block.
pub(crate) struct Reader {
    decoder: Decoder,
    framer: Framer,
    pub(crate) marks: Marks,
    /// Bytes before the first record, less a byte order mark, and the line on which that begins.
    pub(crate) lead: (usize, u64),
    /// Read, and not yet passed on.
    carry: Vec<u8>,
    ended: bool,
    pub(crate) sample: Sample,
}

impl Reader {
    /// Opens a file and finds out how it is written.
    pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Self, Fault> {
        let source = Source::open(path, options.max_expanded)?;
        let origin = Origin { path: path.to_owned(), max_expanded: options.max_expanded };
        let mut decoder = Decoder::new(source, options.encoding, origin)?;
        sniff::refuse_other_formats(decoder.head())?;
        let mut carry = vec![0; HEAD];
        let length = read_full(&mut decoder, &mut carry).map_err(Fault::from_read)?;
        carry.truncate(length);
        let ended = length < HEAD;
        sniff::refuse_binary(&carry)?;
        let sniffed = sniff::sniff(&carry, ended, options.delimiter);
        carry.drain(..sniffed.skip);
        Ok(Self {
            decoder,
            framer: Framer::new(sniffed.marks, sniffed.first_line),
            marks: sniffed.marks,
            lead: (sniffed.skip, sniffed.first_line),
            carry,
            ended,
            sample: sniffed.sample,
        })
    }

    pub(crate) const fn delimiter(&self) -> u8 {
        self.marks.delimiter
    }

    pub(crate) const fn compression(&self) -> Compression {
        self.decoder.source().compression()
    }

    /// Final once the last block is read.
    pub(crate) const fn encoding(&self) -> Encoding {
        self.decoder.encoding()
    }

    /// The next records; nothing at the end of the file.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>, Fault> {
        let mut data = std::mem::take(&mut self.carry);
        let mut frames = Vec::new();
        loop {
            let used = self.framer.frame(&data, self.ended, &mut frames);
            if frames.is_empty() && !self.ended {
                data.drain(..used);
                self.read_more(&mut data)?;
            } else {
                self.carry = data.split_off(used);
                break;
            }
        }
        if frames.is_empty() {
            return Ok(None);
        }
        let text = into_text(data, &mut frames);
        Ok(Some(Block { text, frames }))
    }

    fn read_more(&mut self, data: &mut Vec<u8>) -> Result<(), Fault> {
        let had = data.len();
        data.resize(had + BLOCK, 0);
        let length = read_full(&mut self.decoder, &mut data[had..]).map_err(Fault::from_read)?;
        data.truncate(had + length);
        self.ended = length < BLOCK;
        Ok(())
    }
}

/// Makes text of a block; records with bytes that are none are marked, and their neighbours unharmed.
fn into_text(mut data: Vec<u8>, frames: &mut [Frame]) -> String {
    if memchr::memchr(0, &data).is_some() {
        let nuls: Vec<usize> = memchr::memchr_iter(0, &data).collect();
        mark(&mut data, frames, &nuls, Flaw::Nul);
    }
    loop {
        match String::from_utf8(data) {
            Ok(text) => return text,
            Err(error) => {
                data = error.into_bytes();
                let broken = broken_bytes(&data);
                mark(&mut data, frames, &broken, Flaw::Encoding);
            }
        }
    }
}

fn broken_bytes(data: &[u8]) -> Vec<usize> {
    let mut broken = Vec::new();
    let mut at = 0;
    for chunk in data.utf8_chunks() {
        at += chunk.valid().len();
        broken.extend(at..at + chunk.invalid().len());
        at += chunk.invalid().len();
    }
    broken
}

fn mark(data: &mut [u8], frames: &mut [Frame], positions: &[usize], flaw: Flaw) {
    for at in positions {
        SUBSTITUTE.encode_utf8(&mut data[*at..=*at]);
        let index = frames.partition_point(|frame| frame.end <= *at);
        if let Some(frame) = frames.get_mut(index)
            && frame.start <= *at
            && frame.flaw.is_none()
        {
            frame.flaw = Some((flaw, at - frame.start));
        }
    }
}
