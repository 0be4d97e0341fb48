//! One person in a file: on which lines they stand, and the same file without them.
//!
//! A row of theirs is left empty, so that all other rows keep their lines; where somebody else's row names
//! them, a mark takes the place of the address. Memory is a few blocks, whatever the size of the file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use super::cells::Cells;
use super::columns::{EMAIL, OURS, plain};
use super::encoding::{Decoder, Encoding, Origin};
use super::error::{Fault, FileError};
use super::framing::{Frame, Framer, MAX_RECORD, Marks};
use super::open::{Source, read_full};
use super::pack::{Packer, Wide, is_wide};
use super::table::{ReadOptions, Table};
use crate::domain::code::Code;
use crate::domain::person::Person;

const BLOCK: usize = 1 << 20;

/// A line on which somebody stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The line, from 1.
    pub line: u64,
    /// Whether the row is theirs; else it is somebody else's that names them.
    pub is_own: bool,
    /// What it tells, where it is a row of a result file.
    pub told: Option<Told>,
}

/// What a row of a result file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The line of the original file.
    pub row: u64,
    /// The outcome.
    pub code: String,
    /// The outcome in words.
    pub reason: String,
}

/// The lines of a file on which somebody stands, as long as anybody wants to know: `goes_on` is asked block by
/// block.
pub fn hits(
    path: &Path,
    options: &ReadOptions,
    person: &Person,
    goes_on: &dyn Fn() -> bool,
) -> Result<Vec<Hit>, FileError> {
    let look = || Search::open(path, options, person)?.run(&mut io::sink(), goes_on);
    look().map_err(|fault| FileError::new(path, fault))
}

/// Writes a file without somebody, packed and encoded as it is, to another one, which is open and empty.
pub fn write_without(path: &Path, options: &ReadOptions, person: &Person, to: File) -> Result<(), FileError> {
    let write = || {
        let mut search = Search::open(path, options, person)?;
        let packer = Packer::new(to, search.compression).map_err(Fault::Io)?;
        let mut wide = Wide::new(packer, search.encoding).map_err(Fault::Io)?;
        search.run(&mut wide, &|| true)?;
        wide.into_inner().finish().map_err(Fault::Io)
    };
    write().map_err(|fault| FileError::new(path, fault))
}

/// Where records end, and what their cells mean.
enum Cut {
    /// Records of members: where the address stands, and our own columns.
    Rows { framer: Framer, marks: Marks, email: usize, ours: Option<[usize; 3]> },
    /// One object a line.
    Objects,
    /// Lines of which nobody is the owner.
    Mentions,
    /// Lines of a file that could not be read as a list: no row rests on them.
    Lines,
}

struct Search<'p> {
    person: &'p Person,
    source: Box<dyn Read>,
    /// Bytes before the first record.
    lead: usize,
    line: u64,
    cut: Cut,
    compression: super::open::Compression,
    encoding: Encoding,
    cells: Cells,
    found: Vec<Hit>,
}

impl<'p> Search<'p> {
    fn open(path: &Path, options: &ReadOptions, person: &'p Person) -> Result<Self, Fault> {
        let origin = || Origin { path: path.to_owned(), max_expanded: options.max_expanded };
        let decoder = Decoder::new(Source::open(path, options.max_expanded)?, options.encoding, origin())?;
        let (encoding, compression) = (decoder.encoding(), decoder.source().compression());
        // The mark at the start is no part of the text.
        let mark = if decoder.head().is_empty() || is_wide(encoding) { 0 } else { marked(path, options)? };
        let source: Box<dyn Read> = if is_wide(encoding) {
            Box::new(decoder)
        } else {
            Box::new(Source::open(path, options.max_expanded)?)
        };
        let (cut, lead, line) = cut_of(path, options)?;
        let cells = Cells::default();
        Ok(Self {
            person,
            source,
            lead: lead + mark,
            line,
            cut,
            compression,
            encoding,
            cells,
            found: Vec::new(),
        })
    }

    fn run(&mut self, to: &mut dyn Write, goes_on: &dyn Fn() -> bool) -> Result<Vec<Hit>, Fault> {
        let mut data = vec![0; self.lead];
        let length = read_full(&mut self.source, &mut data).map_err(Fault::from_read)?;
        to.write_all(&data[..length]).map_err(Fault::Io)?;
        data.clear();
        let mut frames = Vec::new();
        loop {
            if !goes_on() {
                return Err(Fault::Io(io::Error::other("nobody waits for it any more")));
            }
            let had = data.len();
            data.resize(had + BLOCK, 0);
            let length = read_full(&mut self.source, &mut data[had..]).map_err(Fault::from_read)?;
            data.truncate(had + length);
            let is_last = length < BLOCK;
            frames.clear();
            let used = match &mut self.cut {
                Cut::Rows { framer, .. } => framer.frame(&data, is_last, &mut frames),
                _ => lines(&data, is_last, &mut self.line, &mut frames),
            };
            let mut at = 0;
            for frame in &frames {
                to.write_all(&data[at..frame.start]).map_err(Fault::Io)?;
                self.record(&data[frame.start..frame.end], frame, to).map_err(Fault::Io)?;
                at = frame.end;
            }
            to.write_all(&data[at..used]).map_err(Fault::Io)?;
            data.drain(..used);
            if is_last {
                return Ok(std::mem::take(&mut self.found));
            }
        }
    }

    fn record(&mut self, record: &[u8], frame: &Frame, to: &mut dyn Write) -> io::Result<()> {
        let Some(struck) = self.person.struck_from(record) else { return to.write_all(record) };
        let (is_own, told) = self.owner(record, frame);
        self.found.push(Hit { line: frame.line, is_own, told });
        if is_own {
            // Lines are counted by their ends, also by those inside quotes.
            let line_end = if let Cut::Rows { marks, .. } = &self.cut { marks.line_end } else { b'\n' };
            let ends = memchr::memchr_iter(line_end, record).count();
            return to.write_all(&vec![line_end; ends]);
        }
        to.write_all(&struck)
    }

    /// Whether a record that names the person is their own, and what it tells.
    fn owner(&mut self, record: &[u8], frame: &Frame) -> (bool, Option<Told>) {
        let text = String::from_utf8_lossy(record);
        match &self.cut {
            Cut::Rows { marks, email, ours, .. } => {
                self.cells.split(&text, frame.quoted, marks.delimiter);
                let is_named = self.person.is_named_in(self.cells.raw(&text, *email).as_bytes());
                let Some([row, code, reason]) = *ours else {
                    return (is_named || frame.flaw.is_some(), None);
                };
                let told = Told {
                    row: self.cells.text(&text, row).trim().parse().unwrap_or_default(),
                    code: self.cells.text(&text, code).into_owned(),
                    reason: self.cells.text(&text, reason).into_owned(),
                };
                let is_whole = Code::parse(&told.code).is_some_and(Code::is_about_the_whole_row);
                (is_named || is_whole, Some(told))
            }
            Cut::Objects => of_object(&text, self.person),
            Cut::Mentions => (false, None),
            Cut::Lines => (true, None),
        }
    }
}

/// Bytes of a mark of UTF-8 at the start of a file.
fn marked(path: &Path, options: &ReadOptions) -> Result<usize, Fault> {
    let mut head = [0; 3];
    let length =
        read_full(&mut Source::open(path, options.max_expanded)?, &mut head).map_err(Fault::from_read)?;
    Ok(if head[..length] == [0xef, 0xbb, 0xbf] { length } else { 0 })
}

/// How a file is taken apart, how many bytes stand before its first record, and on which line that begins.
fn cut_of(path: &Path, options: &ReadOptions) -> Result<(Cut, usize, u64), Fault> {
    if super::is_jsonl(path) {
        return Ok((Cut::Objects, 0, 1));
    }
    if path.extension().is_some_and(|ending| ending == "json") {
        return Ok((Cut::Mentions, 0, 1));
    }
    match Table::of_members(path, options) {
        Ok(table) => {
            let (marks, (lead, line)) = (table.reader.marks, table.reader.lead);
            let place = |name: &str| table.heading.header.iter().position(|column| column.trim() == name);
            let ours = match OURS.map(place) {
                [Some(row), Some(code), Some(reason)] => Some([row, code, reason]),
                _ => None,
            };
            let framer = Framer::new(marks, line);
            Ok((Cut::Rows { framer, marks, email: table.columns.email, ours }, lead, line))
        }
        Err(fault @ (Fault::Io(_) | Fault::Corrupt { .. } | Fault::NotCsv { .. })) => Err(fault),
        Err(_) => Ok(match Table::of_events(path, options) {
            Ok(_) => (Cut::Mentions, 0, 1),
            Err(_) => (Cut::Lines, 0, 1),
        }),
    }
}

/// The lines of a block, as records are found in others; how many bytes of it are dealt with.
fn lines(data: &[u8], is_last: bool, line: &mut u64, frames: &mut Vec<Frame>) -> usize {
    let mut at = 0;
    while at < data.len() {
        let end = memchr::memchr(b'\n', &data[at..]).map(|length| at + length);
        // What has no end within reason is taken as it comes.
        let end = match end {
            Some(end) => end,
            None if is_last || data.len() - at > MAX_RECORD => data.len(),
            None => break,
        };
        let bare = data[at..end].trim_ascii_end().len();
        frames.push(Frame { start: at, end: at + bare, line: *line, quoted: false, flaw: None });
        *line += 1;
        at = (end + 1).min(data.len());
    }
    at
}

/// An object names its owner under one of the names of the address.
fn of_object(text: &str, person: &Person) -> (bool, Option<Told>) {
    let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) else { return (true, None) };
    let is_named =
        |value: &serde_json::Value| value.as_str().is_some_and(|text| person.is_named_in(text.as_bytes()));
    let is_own = object.iter().any(|(name, value)| EMAIL.contains(&plain(name).as_str()) && is_named(value));
    let word = |name: &str| object.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let told = object.get(OURS[0]).and_then(serde_json::Value::as_u64).map(|row| Told {
        row,
        code: word(OURS[1]).unwrap_or_default(),
        reason: word(OURS[2]).unwrap_or_default(),
    });
    // What stood on a line that was no object is the whole of it.
    (is_own || object.contains_key("_raw"), told)
}
