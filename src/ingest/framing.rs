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
mod tests {
    use proptest::prelude::*;

    use super::super::cells::Cells;
    use super::*;

    const COMMA: Marks = Marks { delimiter: b',', line_end: b'\n' };

    fn frames(text: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        assert_eq!(Framer::new(COMMA, 1).frame(text, true, &mut frames), text.len());
        frames
    }

    /// Line, text and flaw of each record.
    fn seen(text: &str) -> Vec<(u64, &str, Option<Flaw>)> {
        let part =
            |frame: &Frame| (frame.line, &text[frame.start..frame.end], frame.flaw.map(|(flaw, _)| flaw));
        frames(text.as_bytes()).iter().map(part).collect()
    }

    #[test]
    fn lines_end_as_any_system_ends_them_and_blank_ones_are_skipped() {
        let text = "a,b\r\n\n1,2\n , ,\r\n\"\",\"\"\n3,4\r\r\n\u{1a}";
        assert_eq!(seen(text), [(1, "a,b", None), (3, "1,2", None), (6, "3,4", None)]);
        let mut old = Vec::new();
        Framer::new(Marks { delimiter: b',', line_end: b'\r' }, 1).frame(
            b"a,b\r\"1\",2\r3,4",
            true,
            &mut old,
        );
        assert_eq!(
            old.iter().map(|frame| (frame.line, frame.start, frame.end)).collect::<Vec<_>>(),
            [(1, 0, 3), (2, 4, 9), (3, 10, 13)]
        );
    }

    #[test]
    fn quoted_cells_may_run_over_lines() {
        let text = "a,b\n1,\"x\ny, \"\"z\"\"\"\r\n2,w\n\"3\",\"\"\n";
        assert_eq!(
            seen(text),
            [(1, "a,b", None), (2, "1,\"x\ny, \"\"z\"\"\"", None), (4, "2,w", None), (5, "\"3\",\"\"", None)]
        );
    }

    #[test]
    fn a_quote_that_never_closes_spoils_its_own_line_only() {
        let text = "a,b\n1,\"open\n2,fine\n3,\"closed\"\n4,\"open again\n";
        assert_eq!(
            seen(text),
            [
                (1, "a,b", None),
                (2, "1,\"open", Some(Flaw::AfterQuote)),
                (3, "2,fine", None),
                (4, "3,\"closed\"", None),
                (5, "4,\"open again", Some(Flaw::QuoteOpen)),
            ]
        );
        assert_eq!(frames(text.as_bytes())[1].flaw, Some((Flaw::AfterQuote, 2)));
    }

    #[test]
    fn text_after_a_closing_quote_is_a_flaw_and_a_quote_inside_a_plain_cell_is_not() {
        let text = "a,b\n1,\"x\" y\n2,5\" pipe\n";
        assert_eq!(
            seen(text),
            [(1, "a,b", None), (2, "1,\"x\" y", Some(Flaw::AfterQuote)), (3, "2,5\" pipe", None)]
        );
    }

    #[test]
    fn lines_swallowed_by_a_stray_quote_are_given_back_when_the_columns_do_not_fit() {
        let text = "a,b\n1,\"open\n2,fine\n3,x\",more\n4,y\n";
        assert_eq!(
            seen(text)[1..],
            [
                (2, "1,\"open", Some(Flaw::Columns)),
                (3, "2,fine", None),
                (4, "3,x\",more", None),
                (5, "4,y", None)
            ]
        );
    }

    #[test]
    fn a_quote_is_followed_for_a_mebibyte_and_no_further() {
        for (length, whole) in [(MAX_QUOTED - 1, true), (MAX_QUOTED + 1, false)] {
            let text = format!("a,b\n1,\"{}\n\"\n2,z\n", "x".repeat(length - 1));
            let found = frames(text.as_bytes());
            assert_eq!(found[1].flaw.is_none(), whole, "{length}");
            assert_eq!(found.last().map(|frame| &text[frame.start..frame.end]), Some("2,z"));
        }
    }

    #[test]
    fn a_line_without_end_is_never_held_whole() {
        let mut framer = Framer::new(COMMA, 1);
        let (mut carry, mut held, mut found) = (b"a,b\n".to_vec(), 0, Vec::new());
        let mut texts = Vec::new();
        for block in 0..40 {
            carry.extend(if block == 39 { b"end\n7,8\n".to_vec() } else { vec![b'x'; 1 << 20] });
            let used = framer.frame(&carry, block == 39, &mut found);
            texts.extend(found.drain(..).map(|frame| (frame.line, frame.flaw.is_some())));
            carry.drain(..used);
            held = held.max(carry.len());
        }
        assert!(held <= MAX_RECORD + (1 << 20));
        assert_eq!(texts, [(1, false), (2, true), (3, false)]);
    }

    #[test]
    fn quotes_that_open_on_every_line_do_not_make_reading_slow() {
        let text = format!("a,b\n{}", "x\",foo,\"\n".repeat(200_000));
        assert_eq!(frames(text.as_bytes()).len(), 200_001);
    }

    fn split(text: &[u8], marks: Marks, block: usize) -> Vec<Vec<String>> {
        let (mut framer, mut carry, mut records) = (Framer::new(marks, 1), Vec::new(), Vec::new());
        let mut cells = Cells::default();
        let mut chunks = text.chunks(block).peekable();
        while let Some(chunk) = chunks.next() {
            carry.extend_from_slice(chunk);
            let mut found = Vec::new();
            let used = framer.frame(&carry, chunks.peek().is_none(), &mut found);
            for frame in found {
                assert_eq!(frame.flaw, None);
                let record = std::str::from_utf8(&carry[frame.start..frame.end]).expect("text");
                cells.split(record, frame.quoted, marks.delimiter);
                records.push((0..cells.len()).map(|index| cells.text(record, index).into_owned()).collect());
            }
            carry.drain(..used);
        }
        records
    }

    proptest! {
        #[test]
        fn well_formed_csv_is_read_as_the_csv_crate_reads_it(
            rows in (1_usize..5).prop_flat_map(|width| proptest::collection::vec(
                proptest::collection::vec("[a-c,;\t|\" \n\r]{0,6}|é|x", width), 1..12)),
            delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t'), Just(b'|')],
            returns in any::<bool>(),
            block in 1_usize..40,
        ) {
            let end = if returns { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).terminator(end).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("written");
            }
            let text = writer.into_inner().expect("written");
            let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(&text[..]);
            // The rows we skip are those without anything to read.
            let empty = |c: char| c.is_ascii_whitespace() || "\",;|".contains(c);
            let theirs: Vec<Vec<String>> = reader.records()
                .map(|record| record.expect("read").iter().map(str::to_owned).collect::<Vec<_>>())
                .filter(|record| !record.iter().all(|cell| cell.chars().all(empty)))
                .collect();
            prop_assert_eq!(split(&text, Marks { delimiter, line_end: b'\n' }, block), theirs);
        }

        #[test]
        fn every_line_belongs_to_one_record_or_is_blank(
            text in "[a,\"\n\r ]{0,80}", block in 1_usize..30,
        ) {
            let bytes = text.as_bytes();
            let whole = frames(bytes);
            let mut at = 0;
            let mut line = 1;
            for frame in &whole {
                let between = &text[at..frame.start];
                prop_assert!(between.chars().all(|c| ", \"\r\n".contains(c)), "{:?}", between);
                line += between.matches('\n').count() as u64;
                prop_assert_eq!(frame.line, line);
                prop_assert!(frame.end >= frame.start && frame.flaw.is_none_or(|(_, offset)| offset < frame.end - frame.start + 1));
                line += text[frame.start..frame.end].matches('\n').count() as u64;
                at = frame.end;
            }
            prop_assert!(text[at..].chars().all(|c| ", \"\r\n".contains(c)));

            let (mut framer, mut carry, mut pieces, mut offset) = (Framer::new(COMMA, 1), Vec::new(), Vec::new(), 0);
            let mut chunks = bytes.chunks(block).peekable();
            while let Some(chunk) = chunks.next() {
                carry.extend_from_slice(chunk);
                let mut found = Vec::new();
                let used = framer.frame(&carry, chunks.peek().is_none(), &mut found);
                pieces.extend(found.into_iter().map(|f| Frame { start: f.start + offset, end: f.end + offset, ..f }));
                carry.drain(..used);
                offset += used;
            }
            prop_assert_eq!(pieces, whole);
        }

        #[test]
        fn any_bytes_are_framed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            frames(&bytes);
        }
    }
}
