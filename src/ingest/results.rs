//! The files that say what became of each row, in the shape of the file it came from.
//!
//! A rejects file can be mended and dropped back in as it is: our three columns are ignored by the reader,
//! and the guard before cells that a spreadsheet would run as formulas comes off again. A row that was
//! refused is refused again until somebody mends it: a rejects file never makes it whole by its shape.

use std::borrow::Cow;
use std::io::{self, Write};
use std::iter::Peekable;
use std::path::Path;

use super::cells::{Cells, MISSING, neutralise, restore};
use super::columns::{API_ID, OURS};
use super::error::FileError;
use super::event_columns::discreet;
use super::framing::{Flaw, Frame};
use super::mapping::Heading;
use super::reader::SUBSTITUTE;
use super::table::{ReadOptions, Table};
use crate::domain::event::{Field, HIDDEN, hide};
use crate::domain::state::Kind;

/// How much of a record that cannot be taken apart is shown.
const RAW_KEPT: usize = 64 << 10;

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it belongs in the success file; else in the rejects.
    pub good: bool,
    /// The stable code.
    pub code: Cow<'static, str>,
    /// The reason in words.
    pub reason: String,
    /// Luma's id of the event, where it is one that exists.
    pub api_id: Option<String>,
}

/// How many rows were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Into the success file.
    pub success: u64,
    /// Into the rejects file.
    pub rejects: u64,
}

/// Why result files could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The source cannot be read again.
    #[error(transparent)]
    File(#[from] FileError),
    /// A result file cannot be written.
    #[error("the result file cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The source has no record where one had an outcome.
    #[error("the file has changed: no record begins on line {0} any more")]
    Changed(u64),
}

impl From<csv::Error> for ResultsError {
    fn from(error: csv::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Reads the source again and writes its records, in order, to the file their outcome asks for.
///
/// `outcomes` come in the order of their lines; records without one are written nowhere, and good or bad ones
/// are left out where no writer is given for them.
pub fn write_results(
    path: &Path,
    options: &ReadOptions,
    outcomes: impl Iterator<Item = (u64, Outcome)>,
    success: Option<&mut dyn Write>,
    rejects: Option<&mut dyn Write>,
) -> Result<Counts, ResultsError> {
    let refuse = |fault| FileError::new(path, fault);
    match options.kind {
        _ if super::is_jsonl(path) => super::jsonl_results::write(path, options, outcomes, success, rejects),
        Kind::Members => {
            let table = Table::of_members(path, options).map_err(refuse)?;
            write_table(path, table, Kind::Members, outcomes, success, rejects)
        }
        Kind::Events => {
            let table = Table::of_events(path, options).map_err(refuse)?;
            write_table(path, table, Kind::Events, outcomes, success, rejects)
        }
    }
}

fn write_table<C>(
    path: &Path,
    mut table: Table<C>,
    kind: Kind,
    outcomes: impl Iterator<Item = (u64, Outcome)>,
    success: Option<&mut dyn Write>,
    rejects: Option<&mut dyn Write>,
) -> Result<Counts, ResultsError> {
    let refuse = |fault| FileError::new(path, fault);
    let mut layout = Layout::new(&table.heading, table.delimiter(), kind);
    let mut success = Output::open(success, &layout)?;
    let mut rejects = Output::open(rejects, &layout)?;
    let mut outcomes = outcomes.peekable();
    while outcomes.peek().is_some() {
        let Some(block) = table.next_block().map_err(refuse)? else { break };
        for frame in &block.frames {
            if let Some(outcome) = outcome_of(frame, &mut outcomes)? {
                let record = block.record(frame);
                if outcome.good {
                    success.write(&mut layout, record, frame, &outcome)?;
                } else {
                    rejects.write(&mut layout, record, frame, &outcome)?;
                }
            }
        }
    }
    match outcomes.next() {
        Some((line, _)) => Err(ResultsError::Changed(line)),
        None => Ok(Counts { success: success.finish()?, rejects: rejects.finish()? }),
    }
}

/// The outcome of the record that begins on this line, if it has one.
fn outcome_of(
    frame: &Frame,
    outcomes: &mut Peekable<impl Iterator<Item = (u64, Outcome)>>,
) -> Result<Option<Outcome>, ResultsError> {
    match outcomes.peek() {
        Some((line, _)) if *line < frame.line => Err(ResultsError::Changed(*line)),
        Some((line, _)) if *line == frame.line => Ok(outcomes.next().map(|(_, outcome)| outcome)),
        _ => Ok(None),
    }
}

/// The columns of the result files, and how to get them from a record.
struct Layout {
    header: Vec<String>,
    /// Which columns of the source are its own.
    kept: Vec<usize>,
    /// How many columns the source has.
    width: usize,
    /// How many of them a record must have.
    required: usize,
    delimiter: u8,
    ours: bool,
    cells: Cells,
    /// Columns that hold what lets people into a meeting.
    discreet: Vec<(usize, Field)>,
    kind: Kind,
}

impl Layout {
    fn new(heading: &Heading, delimiter: u8, kind: Kind) -> Self {
        let is_ours = |name: &str| OURS.contains(&name) || (kind == Kind::Events && name == API_ID);
        let is_kept = |at: &usize| !is_ours(heading.header[*at].trim());
        let kept: Vec<usize> = (0..heading.header.len()).filter(is_kept).collect();
        let header = kept.iter().map(|at| neutralise(&heading.header[*at]).into_owned()).collect();
        let width = heading.header.len();
        let (required, ours) = (heading.required, heading.ours);
        let discreet = if kind == Kind::Events { discreet(&heading.header) } else { Vec::new() };
        Self { header, kept, width, required, delimiter, ours, cells: Cells::default(), discreet, kind }
    }

    /// Our columns, of which those of events have one more.
    const fn ours(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Members => &OURS,
            Kind::Events => &[OURS[0], OURS[1], OURS[2], API_ID],
        }
    }

    /// The source's cells of a record, and those for which the header has no column. Cells that the record
    /// does not have are marked; a record that cannot be taken apart stands whole in the first column.
    fn cells(&mut self, text: &str, frame: &Frame) -> (Vec<String>, Vec<String>) {
        let substituted: Cow<'_, str> = match frame.flaw {
            // A person must see that something is missing, and the reader when the file comes back.
            Some((Flaw::Nul | Flaw::Encoding, _)) => text.replace(SUBSTITUTE, "\u{fffd}").into(),
            _ => text.into(),
        };
        self.cells.split(&substituted, frame.quoted, self.delimiter);
        let split = matches!(frame.flaw, None | Some((Flaw::Nul | Flaw::Encoding, _)));
        // A password may stand in any cell of an event's row whose columns are not those of the header.
        if split && (self.kind == Kind::Members || self.fits(&substituted)) {
            let kept = self.kept.iter().map(|at| self.cell(&substituted, *at)).collect();
            let surplus = (self.width..self.cells.len()).map(|at| self.cell(&substituted, at)).collect();
            return (kept, surplus);
        }
        let raw: String = match self.kind {
            Kind::Members => substituted.chars().take(RAW_KEPT).collect(),
            // What cannot be taken apart may hold a password anywhere, and must not be taken for a name.
            Kind::Events => format!("{HIDDEN} see line {} of the original file", frame.line),
        };
        let rest = std::iter::repeat_n(String::new(), self.kept.len().saturating_sub(1));
        (std::iter::once(neutralise(&raw).into_owned()).chain(rest).collect(), Vec::new())
    }

    fn fits(&self, record: &str) -> bool {
        let is_empty = |at: usize| self.cells.raw(record, at).trim().is_empty();
        self.cells.len() >= self.required && (self.width..self.cells.len()).all(is_empty)
    }

    fn cell(&self, record: &str, at: usize) -> String {
        if at >= self.cells.len() && at < self.required {
            return MISSING.to_owned();
        }
        let text = self.cells.text(record, at);
        let text = if self.ours { restore(&text) } else { &text };
        match self.discreet.iter().find(|(column, _)| *column == at) {
            Some((_, field)) => neutralise(&hide(*field, text)).into_owned(),
            None => neutralise(text).into_owned(),
        }
    }
}

/// One result file, or none.
struct Output<'w> {
    writer: Option<csv::Writer<&'w mut dyn Write>>,
    count: u64,
}

impl<'w> Output<'w> {
    fn open(target: Option<&'w mut dyn Write>, layout: &Layout) -> Result<Self, ResultsError> {
        // A row of too many cells has them all, those without a column behind ours.
        let open =
            |target| csv::WriterBuilder::new().delimiter(layout.delimiter).flexible(true).from_writer(target);
        let mut writer = target.map(open);
        if let Some(writer) = &mut writer {
            writer.write_record(
                layout.header.iter().map(String::as_str).chain(layout.ours().iter().copied()),
            )?;
        }
        Ok(Self { writer, count: 0 })
    }

    fn write(
        &mut self,
        layout: &mut Layout,
        text: &str,
        frame: &Frame,
        outcome: &Outcome,
    ) -> Result<(), ResultsError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let (cells, surplus) = layout.cells(text, frame);
        let line = frame.line.to_string();
        let reason = neutralise(&outcome.reason);
        let told = [line.as_str(), &outcome.code, &reason];
        let api_id = (layout.kind == Kind::Events).then(|| outcome.api_id.as_deref().unwrap_or_default());
        let cells = cells.iter().map(String::as_str).chain(told).chain(api_id);
        writer.write_record(cells.chain(surplus.iter().map(String::as_str)))?;
        self.count += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<u64, ResultsError> {
        if let Some(writer) = &mut self.writer {
            writer.flush().map_err(ResultsError::Write)?;
        }
        Ok(self.count)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::tag::{TagBook, TagSet, TagSets};
    use crate::ingest::read_members;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("written");
        file
    }

    fn outcome(good: bool) -> Outcome {
        Outcome { good, code: "email_invalid".into(), reason: "=because".into(), api_id: None }
    }

    fn results(text: &[u8], outcomes: &[(u64, bool)]) -> Result<(String, String), ResultsError> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let outcomes = outcomes.iter().map(|(line, good)| (*line, outcome(*good)));
        let options = ReadOptions::default();
        write_results(file(text).path(), &options, outcomes, Some(&mut good), Some(&mut bad))?;
        Ok((String::from_utf8(good).expect("text"), String::from_utf8(bad).expect("text")))
    }

    /// Line, address or what stands there, and name of each row.
    fn members(text: &[u8]) -> Vec<(u64, Option<(String, String)>)> {
        let mut rows = Vec::new();
        let (book, mut sets) = (TagBook::default(), TagSets::default());
        let take = |row: crate::ingest::Row<'_>| {
            let read =
                row.read.map(|member| (member.address.canonical().to_owned(), member.name.into_owned()));
            rows.push((row.line, read.ok()));
            ControlFlow::Continue(())
        };
        read_members(file(text).path(), &ReadOptions::default(), &book, &TagSet::default(), &mut sets, take)
            .expect("read");
        rows
    }

    #[test]
    fn each_record_goes_where_its_outcome_says_with_its_own_columns() {
        let text = b"id;E-mail;note\n1;a@x.org;=1+1\n2;bad;\"x;y\"\n3;c@x.org;\n";
        let (good, bad) = results(text, &[(2, true), (3, false)]).expect("written");
        assert_eq!(good, "id;E-mail;note;_row;_code;_reason\n1;a@x.org;'=1+1;2;email_invalid;'=because\n");
        assert_eq!(bad, "id;E-mail;note;_row;_code;_reason\n2;bad;\"x;y\";3;email_invalid;'=because\n");
    }

    #[test]
    fn a_rejects_file_of_a_rejects_file_has_the_columns_once_and_the_guard_once() {
        let text = b"email,name\nbad,'=x\n";
        let (_, once) = results(text, &[(2, false)]).expect("written");
        assert_eq!(once, "email,name,_row,_code,_reason\nbad,''=x,2,email_invalid,'=because\n");
        let (_, twice) = results(once.as_bytes(), &[(2, false)]).expect("written");
        assert_eq!(twice, once);
    }

    #[test]
    fn records_that_do_not_fit_keep_their_cells_in_place_and_stay_refused() {
        let text = b"email,name,tags\na@x.org,\"Ana\" B,\nb@x.org,Berg,Bo,vip,=1\nc@x.org,Jos\xff\xc3\xa9,\nd@x.org\n";
        let (_, bad) = results(text, &[2, 3, 4, 5].map(|line| (line, false))).expect("written");
        let lines: Vec<_> = bad.lines().collect();
        assert_eq!(lines[1], "\"a@x.org,\"\"Ana\"\" B,\",,,2,email_invalid,'=because");
        assert_eq!(lines[2], "b@x.org,Berg,Bo,3,email_invalid,'=because,vip,'=1");
        assert_eq!(lines[3], "c@x.org,Jos\u{fffd}é,,4,email_invalid,'=because");
        assert_eq!(lines[4], "d@x.org,<missing>,<missing>,5,email_invalid,'=because");
        assert!(members(bad.as_bytes()).iter().all(|(_, member)| member.is_none()), "{bad}");
        let (_, twice) = results(bad.as_bytes(), &[2, 3, 4, 5].map(|line| (line, false))).expect("written");
        let second: Vec<_> = twice.lines().skip(1).map(|line| line.rsplit_once("email_invalid")).collect();
        let first: Vec<_> = bad.lines().skip(1).map(|line| line.rsplit_once("email_invalid")).collect();
        assert_eq!(second, first, "a row that nobody mended does not change");
    }

    #[test]
    fn ragged_records_are_mended_where_their_cells_stand() {
        let text = b"name,email\nAna,a@x.org,x\nBo\n";
        let (_, bad) = results(text, &[(2, false), (3, false)]).expect("written");
        let mended = bad.replace(",'=because,x", ",'=because,").replace("<missing>", "b@x.org");
        let read: Vec<_> = members(mended.as_bytes()).into_iter().filter_map(|(_, member)| member).collect();
        let person = |email: &str, name: &str| (email.to_owned(), name.to_owned());
        assert_eq!(read, [person("a@x.org", "Ana"), person("b@x.org", "Bo")], "{mended}");
        for text in [&b"email\na@x.org,x\n\"b@x.org\" y\n"[..], b"email,name\na@x.org\n\"b@x.org\" y\n"] {
            let (_, bad) = results(text, &[(2, false), (3, false)]).expect("written");
            assert!(members(bad.as_bytes()).iter().all(|(_, member)| member.is_none()), "{bad}");
        }
    }

    #[test]
    fn a_list_without_header_gets_one() {
        let (_, bad) = results(b"a@x.org,1\nb@@x.org,2\nc@x.org,3\n", &[(2, false)]).expect("written");
        assert_eq!(bad, "email,column_2,_row,_code,_reason\nb@@x.org,2,2,email_invalid,'=because\n");
    }

    #[test]
    fn a_file_that_changed_is_noticed() {
        for line in [1, 4, 9] {
            let error = results(b"email\na@x.org\n\"\n\"\nb@x.org\n", &[(line, true)]).expect_err("changed");
            assert!(matches!(error, ResultsError::Changed(found) if found == line), "{error}");
        }
    }

    #[test]
    fn only_the_files_asked_for_are_written_and_counted() {
        let source = file(b"email\na@x.org\nb@x.org\n");
        let mut bad = Vec::new();
        let outcomes = [(2, outcome(true)), (3, outcome(false))].into_iter();
        let counts = write_results(source.path(), &ReadOptions::default(), outcomes, None, Some(&mut bad));
        assert_eq!(counts.expect("written"), Counts { success: 0, rejects: 1 });
    }

    proptest! {
        #[test]
        fn a_rejects_file_reads_back_as_its_source_read(
            rows in proptest::collection::vec(("[a-z'=+-]{1,8}", "['=+@\t a-c;,\"\n-]{0,8}"), 1..10),
            delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t')],
        ) {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(["name", "email"]).expect("written");
            for (local, name) in &rows {
                writer.write_record([name.as_str(), &format!("{local}@x.org")]).expect("written");
            }
            let source = writer.into_inner().expect("written");
            let before = members(&source);
            let outcomes: Vec<_> = before.iter().map(|(line, _)| (*line, false)).collect();
            let (_, rejects) = results(&source, &outcomes).expect("written");
            let after = members(rejects.as_bytes());
            prop_assert_eq!(
                after.into_iter().map(|(_, member)| member).collect::<Vec<_>>(),
                before.into_iter().map(|(_, member)| member).collect::<Vec<_>>()
            );
        }
    }
}
