//! Where records begin and end, in text with quotes that may be broken.
//!
//! A broken quote spoils the one line it stands on: reading goes on at the next. Every physical line belongs
//! to exactly one record, or is blank and skipped. Knows nothing of what the columns mean.

use memchr::{memchr, memchr_iter, memchr2};

/// The most a record may hold; what is longer is skipped to its line's end and never held whole.
pub(crate) const MAX_RECORD: usize = 4 << 20;
/// How far the end of a quoted cell is looked for.
pub(crate) const MAX_QUOTED: usize = 1 << 20;

/// What makes a record unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A quote opens and never closes.
    QuoteOpen,
    /// Something other than a delimiter follows a closing quote.
    AfterQuote,
    /// A quoted cell runs over lines, and then the columns are not those of the header.
    Columns,
    /// Longer than `MAX_RECORD`.
    TooLong,
    /// Holds a NUL.
    Nul,
    /// Holds bytes that are no text.
    Encoding,
}

/// One record of a block, or the line that could not be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it begins in the block.
    pub(crate) start: usize,
    /// Where it ends, line end excluded.
    pub(crate) end: usize,
    /// The physical line where it begins, from 1.
    pub(crate) line: u64,
    /// Whether any cell may be quoted.
    pub(crate) quoted: bool,
    /// What is wrong, and at which byte of the record.
    pub(crate) flaw: Option<(Flaw, usize)>,
}

/// The two bytes that everything hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) delimiter: u8,
    /// `\n`, or `\r` in files that have no `\n`.
    pub(crate) line_end: u8,
}

/// Splits text into records as it comes, block by block.
#[derive(Debug)]
pub(crate) struct Framer {
    marks: Marks,
    /// How many the first record has.
    columns: Option<usize>,
    /// How many of them, at its end, have no name.
    nameless: usize,
    /// The line at which the next record begins.
    line: u64,
    /// In the rest of a line that was too long.
    skipping: bool,
}

enum Step {
    /// Where it ends depends on what comes next.
    More,
    /// A record or a blank of `used` bytes and `lines` lines, of which `length` bytes are content.
    Found { used: usize, length: usize, lines: u64, columns: Option<usize>, flaw: Option<(Flaw, usize)> },
}

/// A record with quotes, as far as it could be followed.
enum Scan {
    More,
    Whole { length: usize, columns: usize },
    Broken(Flaw, usize),
}

impl Framer {
    pub(crate) const fn new(marks: Marks, first_line: u64) -> Self {
        Self { marks, columns: None, nameless: 0, line: first_line, skipping: false }
    }

    /// Adds the records of `data` to `frames` and says how many bytes are dealt with. The rest comes again,
    /// with more behind it; `last` says that there is no more.
    pub(crate) fn frame(&mut self, data: &[u8], last: bool, frames: &mut Vec<Frame>) -> usize {
        let mut at = if self.skipping { self.skip_line(data) } else { 0 };
        while at < data.len() {
            let rest = &data[at..];
            match self.step(rest, last) {
                Step::Found { used, length, lines, columns, flaw } => {
                    let quoted = columns.is_some();
                    if flaw.is_some() || !self.is_blank(&rest[..length]) {
                        frames.push(Frame { start: at, end: at + length, line: self.line, quoted, flaw });
                        self.learn_columns(&rest[..length], columns, flaw);
                    }
                    self.line += lines;
                    at += used;
                }
                Step::More if rest.len() > MAX_RECORD => {
                    let flaw = Some((Flaw::TooLong, 0));
                    frames.push(Frame { start: at, end: data.len(), line: self.line, quoted: false, flaw });
                    self.skipping = true;
                    at = data.len();
                }
                Step::More => break,
            }
        }
        at
    }

    fn skip_line(&mut self, data: &[u8]) -> usize {
        match memchr(self.marks.line_end, data) {
            Some(end) => {
                self.skipping = false;
                self.line += 1;
                end + 1
            }
            None => data.len(),
        }
    }

    fn learn_columns(&mut self, record: &[u8], columns: Option<usize>, flaw: Option<(Flaw, usize)>) {
        if self.columns.is_none() && flaw.is_none() {
            let plain = || memchr_iter(self.marks.delimiter, record).count() + 1;
            self.columns = Some(columns.unwrap_or_else(plain));
            self.nameless = record.iter().rev().take_while(|byte| **byte == self.marks.delimiter).count();
        }
    }

    fn step(&self, rest: &[u8], last: bool) -> Step {
        match memchr2(b'"', self.marks.line_end, rest) {
            Some(hit) if rest[hit] == b'"' => self.quoted(rest, last),
            Some(end) => self.line_of(rest, Some(end), None),
            None if last => self.line_of(rest, None, None),
            None => Step::More,
        }
    }

    /// One physical line, as it stands.
    fn line_of(&self, rest: &[u8], end: Option<usize>, flaw: Option<(Flaw, usize)>) -> Step {
        let (length, used) = end.map_or((rest.len(), rest.len()), |end| (end, end + 1));
        let too_long = (length > MAX_RECORD).then_some((Flaw::TooLong, 0));
        let length = self.without_return(&rest[..length]);
        Step::Found { used, length, lines: 1, columns: None, flaw: flaw.or(too_long) }
    }

    fn without_return(&self, line: &[u8]) -> usize {
        let trailing = line.iter().rev().take_while(|byte| **byte == b'\r').count();
        if self.marks.line_end == b'\n' { line.len() - trailing } else { line.len() }
    }

    fn quoted(&self, rest: &[u8], last: bool) -> Step {
        let flaw = match self.scan(rest, last) {
            Scan::Whole { length, columns } if length <= MAX_RECORD => {
                let lines = memchr_iter(self.marks.line_end, &rest[..length]).count() as u64 + 1;
                let end = memchr(self.marks.line_end, &rest[length..]);
                let used = end.map_or(rest.len(), |end| length + end + 1);
                return Step::Found { used, length, lines, columns: Some(columns), flaw: None };
            }
            Scan::Whole { .. } => (Flaw::TooLong, 0),
            Scan::More if rest.len() > MAX_RECORD => (Flaw::TooLong, 0),
            Scan::More => return Step::More,
            Scan::Broken(flaw, at) => (flaw, at),
        };
        match memchr(self.marks.line_end, rest) {
            None if !last => Step::More,
            end => self.line_of(rest, end, Some(flaw)),
        }
    }

    /// Follows the cells of the record at the start of `rest`.
    fn scan(&self, rest: &[u8], last: bool) -> Scan {
        let (mut open, mut columns) = (0, 0);
        // Where the first cell that runs over a line end opened: to blame when anything goes wrong later.
        let mut crossing = None;
        loop {
            columns += 1;
            let end = match self.cell_end(rest, open, last) {
                Close::At(end) => end,
                Close::More => return Scan::More,
                Close::Never => return Scan::Broken(Flaw::QuoteOpen, crossing.unwrap_or(open)),
            };
            if crossing.is_none() && memchr(self.marks.line_end, &rest[open..end]).is_some() {
                crossing = Some(open);
            }
            let empty = matches!(&rest[open..end], b"" | b"\"\"");
            let ends = match self.after_cell(&rest[end..], last) {
                After::Delimiter => false,
                After::End => true,
                After::More => return Scan::More,
                After::Other => return Scan::Broken(Flaw::AfterQuote, crossing.unwrap_or(end)),
            };
            if let (Some(blame), Some(expected)) = (crossing, self.columns) {
                let (surplus, short) = (columns > expected && !empty, columns + self.nameless < expected);
                // Giving up at the first surplus cell keeps a file full of stray quotes from being read over and over.
                if surplus || (ends && short) {
                    return Scan::Broken(Flaw::Columns, blame);
                }
            }
            if ends {
                // An unquoted last cell took the `\r` of its line end along.
                return Scan::Whole { length: self.without_return(&rest[..end]), columns };
            }
            open = end + 1;
        }
    }

    fn cell_end(&self, rest: &[u8], open: usize, last: bool) -> Close {
        if rest.get(open) == Some(&b'"') {
            return match closing_quote(rest, open, last) {
                Close::At(quote) => Close::At(quote + 1),
                unclosed => unclosed,
            };
        }
        match memchr2(self.marks.delimiter, self.marks.line_end, &rest[open..]) {
            Some(length) => Close::At(open + length),
            None if last => Close::At(rest.len()),
            None => Close::More,
        }
    }

    fn after_cell(&self, rest: &[u8], last: bool) -> After {
        let Marks { delimiter, line_end } = self.marks;
        match rest {
            [] if last => After::End,
            [] => After::More,
            [byte, ..] if *byte == delimiter => After::Delimiter,
            [byte, ..] if *byte == line_end => After::End,
            [b'\r', more @ ..] => match more.iter().find(|byte| **byte != b'\r') {
                Some(byte) if *byte == line_end => After::End,
                Some(_) => After::Other,
                None if last => After::End,
                None => After::More,
            },
            _ => After::Other,
        }
    }

    /// Nothing but white space, empty quotes and anything that separates, be it the delimiter of this file or not.
    fn is_blank(&self, record: &[u8]) -> bool {
        // 0x1a is what DOS ended its files with.
        let empty = |byte: &u8| {
            matches!(byte, b' ' | b'\t' | b'"' | b'\r' | b'\n' | b',' | b';' | b'|' | 0x1a)
                || *byte == self.marks.delimiter
        };
        record.iter().all(empty)
    }
}

enum After {
    Delimiter,
    End,
    Other,
    More,
}

enum Close {
    At(usize),
    Never,
    More,
}

/// The quote that closes the cell whose quote opens at `open`; doubled quotes are passed over.
fn closing_quote(rest: &[u8], open: usize, last: bool) -> Close {
    let limit = (open + 1 + MAX_QUOTED).min(rest.len());
    let unknown = if last || limit < rest.len() { Close::Never } else { Close::More };
    let mut at = open + 1;
    while at < limit {
        let Some(offset) = memchr(b'"', &rest[at..limit]) else { return unknown };
        let quote = at + offset;
        match rest.get(quote + 1) {
            Some(b'"') => at = quote + 2,
            None if !last => return Close::More,
            _ => return Close::At(quote),
        }
    }
    unknown
}

#[cfg(test)]
mod tests;
