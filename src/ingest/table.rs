//! A file whose header is understood: what both the members and the result files are read from.

use std::fmt;
use std::path::Path;

use super::encoding::Encoding;
use super::error::Fault;
use super::event_columns::EventColumns;
use super::framing::Flaw;
use super::mapping::{Heading, Mapping};
use super::open::Compression;
use super::reader::{Block, Reader};
use super::sniff::{Sample, delimiter_name};
use crate::domain::dialect::Dialect;
use crate::domain::guest::Guests;
use crate::domain::state::Kind;

const HEADER_TOO_LONG: &str = "the first line has no end within 2 MiB";

/// How to read a file. What is not given is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// What its rows are.
    pub kind: Kind,
    /// Of members, only the addresses are read: whatever else a row says cannot make it a bad one.
    pub only_addresses: bool,
    /// The encoding, believed against any mark in the file.
    pub encoding: Option<Encoding>,
    /// The delimiter.
    pub delimiter: Option<u8>,
    /// The most bytes a packed file may expand to.
    pub max_expanded: u64,
    /// The most bytes a cell that we read may hold.
    pub max_cell: usize,
    /// Which guests are taken from a guest export of Luma.
    pub guests: Guests,
    /// Whose fields the columns of events are taken to mean, where they are not quite spelt right.
    pub dialect: Dialect,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            kind: Kind::Members,
            only_addresses: false,
            encoding: None,
            delimiter: None,
            max_expanded: 16 << 30,
            max_cell: 64 << 10,
            guests: Guests::default(),
            dialect: Dialect::default(),
        }
    }
}

/// How a file turned out to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How it is packed.
    pub compression: Compression,
    /// How its text is encoded.
    pub encoding: Encoding,
    /// What stands between cells.
    pub delimiter: u8,
    /// The names of the columns; made up where the file has none.
    pub header: Vec<String>,
    /// Whether the first line is already a row.
    pub headerless: bool,
    /// What was guessed and what is not read, in words.
    pub notes: Vec<String>,
    /// What a person should look at before they trust the outcome.
    pub warnings: Vec<String>,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.compression != Compression::None {
            write!(f, "{}, ", self.compression)?;
        }
        if self.delimiter == b'\n' {
            return write!(f, "{}, JSON Lines", self.encoding);
        }
        let header = if self.headerless { ", no header" } else { "" };
        let columns = if self.header.len() == 1 { "column" } else { "columns" };
        write!(
            f,
            "{}, delimiter {}, {} {columns}{header}",
            self.encoding,
            delimiter_name(self.delimiter),
            self.header.len()
        )?;
        self.notes.iter().chain(&self.warnings).try_for_each(|said| write!(f, "; {said}"))
    }
}

/// A reader past its header, and where its columns are.
pub(crate) struct Table<C> {
    pub(super) reader: Reader,
    pub(crate) heading: Heading,
    pub(crate) columns: C,
    header_waits: bool,
}

impl Table<Mapping> {
    /// Opens a file of members.
    pub(crate) fn of_members(path: &Path, options: &ReadOptions) -> Result<Self, Fault> {
        Self::open(path, options, |rows| {
            let columns = Mapping::new(rows)?;
            let columns = if options.only_addresses { columns.only_addresses() } else { columns };
            Ok((columns.heading.clone(), columns))
        })
    }
}

impl Table<EventColumns> {
    /// Opens a file of events.
    pub(crate) fn of_events(path: &Path, options: &ReadOptions) -> Result<Self, Fault> {
        Self::open(path, options, |rows| EventColumns::new(rows, options.dialect))
    }
}

impl<C> Table<C> {
    fn open(
        path: &Path,
        options: &ReadOptions,
        find: impl FnOnce(&[Vec<String>]) -> Result<(Heading, C), Fault>,
    ) -> Result<Self, Fault> {
        let reader = Reader::open(path, options)?;
        if let Some((flaw, line, column)) = reader.sample.flaw {
            return Err(Fault::Header { line, column, reason: describe(flaw).to_owned() });
        }
        if reader.sample.rows.is_empty() && reader.sample.any {
            return Err(Fault::Header { line: 1, column: 1, reason: HEADER_TOO_LONG.to_owned() });
        }
        let below = |fault| match fault {
            Fault::NoEmail { .. } => header_below(&reader.sample).unwrap_or(fault),
            fault => fault,
        };
        let (heading, columns) = find(&reader.sample.rows).map_err(below)?;
        let header_waits = !heading.headerless;
        Ok(Self { reader, heading, columns, header_waits })
    }

    pub(crate) const fn delimiter(&self) -> u8 {
        self.reader.delimiter()
    }

    /// The next rows; nothing at the end of the file.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>, Fault> {
        let mut block = self.reader.next_block()?;
        if self.header_waits {
            self.header_waits = false;
            if let Some(block) = &mut block {
                let header = block.frames.remove(0);
                if let Some((flaw, at)) = header.flaw {
                    let column = column_of(block.record(&header), at);
                    return Err(Fault::Header {
                        line: header.line,
                        column,
                        reason: describe(flaw).to_owned(),
                    });
                }
            }
        }
        Ok(block)
    }

    /// How the file turned out; its encoding is certain once all of it is read.
    pub(crate) fn shape(&self) -> Shape {
        let Heading { header, headerless, notes, warnings, .. } = self.heading.clone();
        Shape {
            compression: self.reader.compression(),
            encoding: self.reader.encoding(),
            delimiter: self.delimiter(),
            header,
            headerless,
            notes,
            warnings,
        }
    }
}

/// A title above the header, where one of the next records names the addresses, by whatever delimiter.
fn header_below(sample: &Sample) -> Option<Fault> {
    let names = |row: &[String]| {
        let cells = row.iter().flat_map(|cell| cell.split([',', ';', '\t', '|'])).map(str::to_owned);
        Mapping::names_addresses(&cells.collect::<Vec<_>>())
    };
    let at = sample.rows.iter().skip(1).position(|row| names(row))? + 1;
    Some(Fault::HeaderBelow { line: *sample.lines.get(at)? })
}

/// The character, from 1, that begins at a byte of a record. Line ends inside a record count like any other.
pub(crate) fn column_of(record: &str, at: usize) -> u64 {
    record.char_indices().take_while(|(index, _)| *index < at).count() as u64 + 1
}

/// What is wrong with a record, in words.
pub(crate) const fn describe(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::QuoteOpen => "a quote opens here and does not close, at least not within 1 MiB",
        Flaw::AfterQuote => "text follows a closing quote; a quote inside a cell must be doubled",
        Flaw::Columns => {
            "a quote opens here, and the lines up to its closing one do not have the header's columns"
        }
        Flaw::TooLong => "the record is longer than 4 MiB",
        Flaw::Nul => "the row holds a NUL byte",
        Flaw::Encoding => "the row holds bytes that are no text in the file's encoding",
    }
}
