//! From bytes to UTF-8: which encoding a file is in, and its translation as a stream.
//!
//! What cannot be translated becomes the byte 0xFF, which no UTF-8 has, so that the reader finds the rows
//! that hold it. Between UTF-8 with broken rows and Windows-1252 the whole file decides: ASCII passes
//! through untouched, and the question is put only when the first byte beyond it shows up.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

use super::error::Fault;
use super::open::{Source, read_full};

const BROKEN: u8 = 0xff;
const RAW: usize = 256 << 10;

/// How the text of a file is written in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8; ASCII is a part of it.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// What Excel writes on a western Windows; Latin-1 is a part of it.
    Windows1252,
}

impl Encoding {
    /// Reads the name of an encoding as people write it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let plain: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.as_str() {
            "utf8" | "ascii" => Some(Self::Utf8),
            "utf16" | "utf16le" => Some(Self::Utf16Le),
            "utf16be" => Some(Self::Utf16Be),
            "windows1252" | "cp1252" | "latin1" | "iso88591" => Some(Self::Windows1252),
            _ => None,
        }
    }

    const fn translator(self) -> Option<&'static encoding_rs::Encoding> {
        match self {
            Self::Utf8 => None,
            Self::Utf16Le => Some(encoding_rs::UTF_16LE),
            Self::Utf16Be => Some(encoding_rs::UTF_16BE),
            Self::Windows1252 => Some(encoding_rs::WINDOWS_1252),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Windows1252 => "Windows-1252",
        })
    }
}

/// A source read as UTF-8 whatever it is written in.
pub(crate) struct Decoder {
    source: Source,
    /// The first bytes, read to look at them and not yet passed on.
    head: io::Cursor<Vec<u8>>,
    mode: Mode,
    encoding: Encoding,
    staged: Vec<u8>,
    taken: usize,
    origin: Origin,
}

enum Mode {
    /// ASCII so far; a byte beyond it asks what the file is.
    Open,
    Utf8,
    Translate(encoding_rs::Decoder),
    /// Everything is in `staged`.
    Ended,
}

/// Where the whole file can be read again.
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    pub(crate) max_expanded: u64,
}

impl Decoder {
    /// Looks at the first bytes. An encoding that is given is believed, against any mark in the file.
    pub(crate) fn new(mut source: Source, given: Option<Encoding>, origin: Origin) -> Result<Self, Fault> {
        let mut head = vec![0; RAW];
        let length = read_full(&mut source, &mut head).map_err(Fault::from_read)?;
        head.truncate(length);
        let found = given.map_or_else(|| marked(&head).or_else(|| unmarked_utf16(&head)), Some);
        let encoding = found.unwrap_or(Encoding::Utf8);
        let mode = match encoding.translator() {
            Some(translator) => Mode::Translate(translator.new_decoder_without_bom_handling()),
            None if found.is_some() => Mode::Utf8,
            None => Mode::Open,
        };
        head.drain(..mark_length(&head, encoding));
        let head = io::Cursor::new(head);
        Ok(Self { source, head, mode, encoding, staged: Vec::new(), taken: 0, origin })
    }

    /// The first bytes as they are, less a byte order mark.
    pub(crate) fn head(&self) -> &[u8] {
        self.head.get_ref()
    }

    /// The encoding as far as it is known: final once everything is read.
    pub(crate) const fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    fn read_raw(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.source.read(buffer),
            length => Ok(length),
        }
    }

    /// Called with the first bytes that are not all ASCII; says how many of them may pass as they are.
    fn decide(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let high = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(bytes.len());
        if !has_multibyte(&bytes[high..]) {
            self.encoding = if self.origin.path.is_file() {
                survey(Source::open(&self.origin.path, self.origin.max_expanded)?)?
            } else {
                // A pipe cannot be read twice.
                survey(&bytes[high..])?
            };
        }
        let Some(translator) = self.encoding.translator() else {
            self.mode = Mode::Utf8;
            return Ok(bytes.len());
        };
        let mut decoder = translator.new_decoder_without_bom_handling();
        translate(&mut decoder, &bytes[high..], false, &mut self.staged);
        self.mode = Mode::Translate(decoder);
        Ok(high)
    }

    fn stage(&mut self) -> io::Result<()> {
        self.staged.clear();
        self.taken = 0;
        let mut raw = vec![0; RAW];
        let length = self.read_raw(&mut raw)?;
        if let Mode::Translate(decoder) = &mut self.mode {
            translate(decoder, &raw[..length], length == 0, &mut self.staged);
        }
        if length == 0 {
            self.mode = Mode::Ended;
        }
        Ok(())
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.taken < self.staged.len() {
                let length = (&self.staged[self.taken..]).read(buffer)?;
                self.taken += length;
                return Ok(length);
            }
            match self.mode {
                Mode::Ended => return Ok(0),
                Mode::Utf8 => return self.read_raw(buffer),
                Mode::Translate(_) => self.stage()?,
                Mode::Open => {
                    let length = self.read_raw(buffer)?;
                    if buffer[..length].is_ascii() {
                        return Ok(length);
                    }
                    match self.decide(&buffer[..length])? {
                        0 => {}
                        plain => return Ok(plain),
                    }
                }
            }
        }
    }
}

fn translate(decoder: &mut encoding_rs::Decoder, mut raw: &[u8], last: bool, out: &mut Vec<u8>) {
    use encoding_rs::DecoderResult;
    loop {
        let start = out.len();
        out.resize(start + raw.len() * 3 + 16, 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(raw, &mut out[start..], last);
        out.truncate(start + written);
        raw = &raw[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out.push(BROKEN),
        }
    }
}

fn marked(head: &[u8]) -> Option<Encoding> {
    match head {
        [0xef, 0xbb, 0xbf, ..] => Some(Encoding::Utf8),
        [0xff, 0xfe, ..] => Some(Encoding::Utf16Le),
        [0xfe, 0xff, ..] => Some(Encoding::Utf16Be),
        _ => None,
    }
}

fn mark_length(head: &[u8], encoding: Encoding) -> usize {
    match marked(head) {
        Some(Encoding::Utf8) if encoding == Encoding::Utf8 => 3,
        Some(mark) if mark == encoding => 2,
        _ => 0,
    }
}

/// Mostly western text in UTF-16 has a NUL in every other byte, always on the same side.
fn unmarked_utf16(head: &[u8]) -> Option<Encoding> {
    let head = &head[..head.len().min(4096)];
    let nuls = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let pairs = head.len() / 2;
    let mostly = |count: usize| pairs >= 2 && count * 10 >= pairs * 4;
    let hardly = |count: usize| count * 20 <= pairs;
    if mostly(odd) && hardly(even) {
        Some(Encoding::Utf16Le)
    } else if mostly(even) && hardly(odd) {
        Some(Encoding::Utf16Be)
    } else {
        None
    }
}

/// Whether a whole character of several bytes stands anywhere.
fn has_multibyte(bytes: &[u8]) -> bool {
    let highs = bytes.iter().enumerate().filter(|(_, byte)| !byte.is_ascii());
    highs.into_iter().any(|(at, _)| is_multibyte(&bytes[at..]))
}

fn is_multibyte(bytes: &[u8]) -> bool {
    let length = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return false,
    };
    bytes.get(..length).is_some_and(|sequence| std::str::from_utf8(sequence).is_ok())
}

/// Reads the whole file: one true UTF-8 character settles it; else the high bytes must look like western text.
fn survey(mut source: impl Read) -> io::Result<Encoding> {
    const LOOK_AHEAD: usize = 4;
    let mut buffer = vec![0; RAW];
    // A line end stands before the first byte.
    buffer[0] = b'\n';
    let (mut kept, mut high, mut plausible) = (1, 0_u64, 0_u64);
    loop {
        let filled = kept + read_full(&mut source, &mut buffer[kept..])?;
        let last = filled < buffer.len();
        let until = if last { filled } else { filled - LOOK_AHEAD };
        for at in (1..until).filter(|at| !buffer[*at].is_ascii()) {
            if is_multibyte(&buffer[at..filled]) {
                return Ok(Encoding::Utf8);
            }
            let after = if at + 1 < filled { buffer[at + 1] } else { b'\n' };
            high += 1;
            plausible += u64::from(is_western(buffer[at - 1], buffer[at], after));
        }
        if last {
            break;
        }
        buffer.copy_within(until - 1.., 0);
        kept = LOOK_AHEAD + 1;
    }
    Ok(if plausible * 100 >= high * 95 { Encoding::Windows1252 } else { Encoding::Utf8 })
}

/// Whether a Windows-1252 byte stands where such a letter or mark would in a western text.
fn is_western(before: u8, byte: u8, after: u8) -> bool {
    let edge = |byte: u8| {
        matches!(
            byte,
            b' ' | b'\t'
                | b'\r'
                | b'\n'
                | b','
                | b';'
                | b'|'
                | b'"'
                | b'\''
                | b'-'
                | b'.'
                | b'('
                | b')'
                | b'/'
                | b'&'
        )
    };
    let near = |byte: u8| byte.is_ascii_alphabetic() || edge(byte) || !byte.is_ascii();
    match byte {
        // Defined, but in no western language's everyday names.
        0xd0 | 0xd7 | 0xde | 0xf0 | 0xf7 | 0xfe | 0xff | 0x81 | 0x8d | 0x8f | 0x90 | 0x9d => false,
        0x8a | 0x8c | 0x8e | 0x9a | 0x9c | 0x9e | 0x9f | 0xc0..=0xff => {
            let in_word = before.is_ascii_alphabetic() || after.is_ascii_alphabetic();
            let alone = edge(before) && edge(after);
            near(before) && near(after) && (in_word || alone)
        }
        0x80..=0xbf => before.is_ascii() || after.is_ascii(),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
