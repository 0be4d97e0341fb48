//! Member rows: an address, a name and a set of tags, or the reason why there is none.
//!
//! One thread reads, unpacks, translates and finds the records; the caller's takes them apart and hands
//! each row to a sink. Memory is a few blocks, whatever the size of the file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::cells::{Cells, MISSING, restore};
use super::error::{Fault, FileError};
use super::framing::{Flaw, Frame};
use super::mapping::Mapping;
use super::reader::{Block, SUBSTITUTE};
use super::table::{ReadOptions, Shape, Table, column_of, describe};
use crate::domain::code::Code;
use crate::domain::email::{Address, EmailError};
use crate::domain::guest::Guests;
use crate::domain::tag::{TagBook, TagSet, TagSets, UnknownTag};

/// How many blocks wait between the threads.
const BLOCKS_AHEAD: usize = 2;
/// How many spellings of the tags cell are remembered, and how long they may be.
const TAG_CELLS: usize = 4096;
const TAG_CELL_LENGTH: usize = 256;
/// How much of a refused address is kept.
pub(super) const EMAIL_KEPT: usize = 320;

/// One record of a file.
#[derive(Debug)]
pub struct Row<'a> {
    /// The physical line where it begins, from 1.
    pub line: u64,
    /// The member, or what is wrong.
    pub read: Result<MemberRow<'a>, RowError>,
}

/// What a good row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow<'a> {
    /// The address.
    pub address: Address<'a>,
    /// The name, trimmed; empty if there is none.
    pub name: Cow<'a, str>,
    /// The number of the tag set in the `TagSets` that were passed in.
    pub tag_set: u32,
}

/// Why a row is no member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct RowError {
    /// The physical line where the record begins, from 1.
    pub line: u64,
    /// The character of the record where the trouble begins, from 1. Line ends inside quotes count as one.
    pub column: u64,
    /// The outcome.
    pub code: Code,
    /// The outcome in words.
    pub reason: String,
    /// What stands in the e-mail column, if anything can be told.
    pub email: Option<String>,
}

/// Reads a file of members and hands each record to `sink`, in order, until it breaks off.
///
/// `extra` are tags that every row gets; the sets are interned in `sets`. Nothing is written anywhere.
pub fn read_members(
    path: &Path,
    options: &ReadOptions,
    book: &TagBook,
    extra: &TagSet,
    sets: &mut TagSets,
    mut sink: impl FnMut(Row<'_>) -> ControlFlow<()>,
) -> Result<Shape, FileError> {
    let refuse = |fault| FileError::new(path, fault);
    if super::is_jsonl(path) {
        return super::jsonl_members::read(path, options, book, extra, sets, sink);
    }
    let table = Table::of_members(path, options).map_err(refuse)?;
    let mut parser = Parser::new(table.columns.clone(), table.delimiter(), options, book, extra, sets);
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        let reading = thread::Builder::new()
            .name("ingest".to_owned())
            .spawn_scoped(scope, move || read_ahead(table, &sender))
            .map_err(|error| refuse(Fault::Io(error)))?;
        for block in receiver {
            if parser.block(&block.map_err(refuse)?, &mut sink).is_break() {
                break;
            }
        }
        match reading.join() {
            Ok(table) => Ok(table.shape()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs until the file ends, cannot be read on, or nobody wants more.
fn read_ahead<C>(mut table: Table<C>, sender: &SyncSender<Result<Block, Fault>>) -> Table<C> {
    while let Some(block) = table.next_block().transpose() {
        let failed = block.is_err();
        if sender.send(block).is_err() || failed {
            break;
        }
    }
    table
}

/// Turns records into rows.
pub(super) struct Parser<'p> {
    mapping: Mapping,
    delimiter: u8,
    max_cell: usize,
    guests: Guests,
    only_addresses: bool,
    book: &'p TagBook,
    extra: &'p TagSet,
    sets: &'p mut TagSets,
    untagged: u32,
    known_cells: HashMap<Box<str>, u32>,
    cells: Cells,
}

/// What is wrong with a row, before it is known where that is.
pub(super) struct Trouble {
    pub(super) code: Code,
    pub(super) reason: String,
    /// The byte of the record.
    at: usize,
}

impl<'p> Parser<'p> {
    pub(super) fn new(
        mapping: Mapping,
        delimiter: u8,
        options: &ReadOptions,
        book: &'p TagBook,
        extra: &'p TagSet,
        sets: &'p mut TagSets,
    ) -> Self {
        let untagged = sets.intern(extra.clone());
        Self {
            mapping,
            delimiter,
            max_cell: options.max_cell,
            guests: options.guests,
            only_addresses: options.only_addresses,
            book,
            extra,
            sets,
            untagged,
            known_cells: HashMap::new(),
            cells: Cells::default(),
        }
    }

    fn block(&mut self, block: &Block, sink: &mut impl FnMut(Row<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        for frame in &block.frames {
            let record = block.record(frame);
            let read = self.row(record, frame).map_err(|trouble| self.blame(record, frame, trouble));
            sink(Row { line: frame.line, read })?;
        }
        ControlFlow::Continue(())
    }

    fn row<'r>(&mut self, record: &'r str, frame: &Frame) -> Result<MemberRow<'r>, Trouble> {
        self.cells.split(record, frame.quoted, self.delimiter);
        if let Some((flaw, at)) = frame.flaw {
            return Err(Trouble { code: code_of(flaw), reason: describe(flaw).to_owned(), at });
        }
        // Whoever is on the list is meant, however many cells stand beside the address.
        if !self.only_addresses {
            self.check_width(record)?;
        }
        self.member(record)
    }

    /// A record whose cells lie one after the other, by where each ends.
    pub(super) fn cells<'r>(&mut self, record: &'r str, ends: &[usize]) -> Result<MemberRow<'r>, Trouble> {
        self.cells.set(ends);
        if let Some(zero) = record.find('\0') {
            let column = ends.partition_point(|end| *end <= zero);
            return Err(self.trouble(Code::RowMalformed, column, "holds a zero byte"));
        }
        if self.cells.raw(record, self.mapping.email).contains(char::REPLACEMENT_CHARACTER) {
            let said = "holds bytes that are no text";
            return Err(self.trouble(Code::EncodingInvalid, self.mapping.email, said));
        }
        self.member(record)
    }

    fn member<'r>(&mut self, record: &'r str) -> Result<MemberRow<'r>, Trouble> {
        self.check_guest(record)?;
        let address = self.address(record)?;
        let name = self.name(record)?;
        let tag_set = self.tag_set(record)?;
        Ok(MemberRow { address, name, tag_set })
    }

    /// More columns than the header are fine as long as they are empty.
    fn check_width(&self, record: &str) -> Result<(), Trouble> {
        if self.mapping.heading.ours {
            let missing = (0..self.cells.len()).find(|at| self.cells.raw(record, *at).trim() == MISSING);
            if let Some(column) = missing {
                let said = format!("still says `{MISSING}`: fill it in or empty it");
                return Err(self.trouble(Code::RowRagged, column, &said));
            }
        }
        match self.mapping.heading.misfit(&self.cells, record) {
            Some((reason, at)) => Err(Trouble { code: Code::RowRagged, reason, at }),
            None => Ok(()),
        }
    }

    /// Who declined is left alone, however well the row is written.
    fn check_guest(&self, record: &str) -> Result<(), Trouble> {
        let Some(column) = self.mapping.status else { return Ok(()) };
        let status = self.cells.text(record, column);
        let status = self.guarded(&status).trim();
        match self.guests.refuse(status) {
            None => Ok(()),
            Some((code, said)) => Err(self.trouble(code, column, &said)),
        }
    }

    fn address<'r>(&self, record: &'r str) -> Result<Address<'r>, Trouble> {
        let column = self.mapping.email;
        // A doubled quote need not be halved: no address has one.
        let cell = self.guarded(self.cells.raw(record, column));
        self.check_length(cell, column)?;
        Address::parse(cell).map_err(|error| match error {
            EmailError::Empty => self.trouble(Code::EmailMissing, column, "is empty"),
            error => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                self.trouble(Code::EmailInvalid, column, &format!("holds no address: {error}{hint}"))
            }
        })
    }

    fn name<'r>(&self, record: &'r str) -> Result<Cow<'r, str>, Trouble> {
        let name = self.words(record, self.mapping.name)?;
        if !name.is_empty() {
            return Ok(name);
        }
        let first = self.words(record, self.mapping.first)?;
        let last = self.words(record, self.mapping.last)?;
        Ok(match (first.is_empty(), last.is_empty()) {
            (_, true) => first,
            (true, false) => last,
            (false, false) => Cow::Owned(format!("{first} {last}")),
        })
    }

    /// A trimmed cell of text, if there is such a column.
    fn words<'r>(&self, record: &'r str, column: Option<usize>) -> Result<Cow<'r, str>, Trouble> {
        let Some(column) = column else { return Ok(Cow::Borrowed("")) };
        let text = self.cells.text(record, column);
        self.check_length(&text, column)?;
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(self.guarded(text).trim()),
            Cow::Owned(text) => Cow::Owned(self.guarded(&text).trim().to_owned()),
        };
        // Our result files show this for bytes that were no text; what it stood for is lost.
        if self.mapping.heading.ours && text.contains('\u{fffd}') {
            return Err(self.trouble(Code::EncodingInvalid, column, "holds a replacement character"));
        }
        Ok(text)
    }

    fn tag_set(&mut self, record: &str) -> Result<u32, Trouble> {
        let mut number = self.untagged;
        for at in 0..self.mapping.tags.len() {
            let more = self.tags_of(record, self.mapping.tags[at])?;
            number = if number == self.untagged {
                more
            } else {
                self.sets.intern(self.sets.get(number).union(self.sets.get(more)))
            };
        }
        Ok(number)
    }

    /// The tags of one cell, and those that every row gets.
    fn tags_of(&mut self, record: &str, column: usize) -> Result<u32, Trouble> {
        let raw = self.cells.raw(record, column);
        if raw.is_empty() {
            return Ok(self.untagged);
        }
        if let Some(number) = self.known_cells.get(raw) {
            return Ok(*number);
        }
        let text = self.cells.text(record, column);
        self.check_length(&text, column)?;
        let found = resolve(self.book, self.sets, self.guarded(&text));
        let set = found.map_err(|unknown| {
            self.trouble(Code::TagUnknown, column, &format!("names a tag that is not known: {unknown}"))
        })?;
        let number = self.sets.intern(set.union(self.extra));
        if raw.len() <= TAG_CELL_LENGTH {
            if self.known_cells.len() >= TAG_CELLS {
                self.known_cells.clear();
            }
            self.known_cells.insert(raw.into(), number);
        }
        Ok(number)
    }

    /// A cell without the guard that our result files put before formulas.
    fn guarded<'r>(&self, cell: &'r str) -> &'r str {
        if self.mapping.heading.ours { restore(cell) } else { cell }
    }

    fn check_length(&self, cell: &str, column: usize) -> Result<(), Trouble> {
        if cell.len() <= self.max_cell {
            return Ok(());
        }
        let said = format!("holds {} bytes, and {} is the most", cell.len(), self.max_cell);
        Err(self.trouble(Code::CellTooLong, column, &said))
    }

    fn trouble(&self, code: Code, column: usize, said: &str) -> Trouble {
        let name: String = self.mapping.heading.name_of(column).chars().take(60).collect();
        Trouble { code, reason: format!("column `{name}` {said}"), at: self.cells.start(column) }
    }

    fn blame(&self, record: &str, frame: &Frame, trouble: Trouble) -> RowError {
        let Trouble { code, reason, at } = trouble;
        let apart = matches!(frame.flaw, None | Some((Flaw::Nul | Flaw::Encoding, _)));
        let email = if apart { self.guarded(self.cells.raw(record, self.mapping.email)).trim() } else { "" };
        let shown = |c| if c == SUBSTITUTE { char::REPLACEMENT_CHARACTER } else { c };
        let email = (!email.is_empty()).then(|| email.chars().take(EMAIL_KEPT).map(shown).collect());
        RowError { line: frame.line, column: column_of(record, at), code, reason, email }
    }
}

/// Commas separate too and quotes mean nothing, where the cell makes no sense otherwise: exports differ.
fn resolve(book: &TagBook, sets: &mut TagSets, cell: &str) -> Result<TagSet, UnknownTag> {
    let (mut cell, mut found) = (Cow::Borrowed(cell), book.resolve_cell(cell));
    if found.is_err() && cell.contains([',', '"']) {
        cell = Cow::Owned(cell.replace(',', ";").replace('"', ""));
        found = book.resolve_cell(&cell);
    }
    if found.is_err() {
        sets.note_unknown(book, &cell);
    }
    found
}

pub(crate) const fn code_of(flaw: Flaw) -> Code {
    match flaw {
        Flaw::QuoteOpen | Flaw::AfterQuote | Flaw::Columns | Flaw::Nul => Code::RowMalformed,
        Flaw::TooLong => Code::CellTooLong,
        Flaw::Encoding => Code::EncodingInvalid,
    }
}

#[cfg(test)]
mod tests;
