//! The files that say what became of each row, in the shape of the file it came from.
//!
//! A rejects file can be mended and dropped back in as it is: our three columns are ignored by the reader,
//! and the guard before cells that a spreadsheet would run as formulas comes off again.

use std::borrow::Cow;
use std::io::{self, Write};
use std::iter::Peekable;
use std::path::Path;

use super::cells::{Cells, neutralise, restore};
use super::error::FileError;
use super::framing::{Flaw, Frame};
use super::mapping::OURS;
use super::reader::SUBSTITUTE;
use super::table::{ReadOptions, Table};

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
    let mut table = Table::open(path, options).map_err(refuse)?;
    let mut layout = Layout::new(&table);
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
}

impl Layout {
    fn new(table: &Table) -> Self {
        let mapping = &table.mapping;
        let is_kept = |at: &usize| !OURS.contains(&mapping.header[*at].trim());
        let kept: Vec<usize> = (0..mapping.header.len()).filter(is_kept).collect();
        let header = kept.iter().map(|at| neutralise(&mapping.header[*at]).into_owned()).collect();
        let width = mapping.header.len();
        let (required, ours) = (mapping.required, mapping.ours);
        Self { header, kept, width, required, delimiter: table.delimiter(), ours, cells: Cells::default() }
    }

    /// The source's cells of a record; a record that does not fit the header stands whole in the first one.
    fn cells(&mut self, text: &str, frame: &Frame) -> Vec<String> {
        let substituted: Cow<'_, str> = match frame.flaw {
            // A person must see that something is missing, and the reader when the file comes back.
            Some((Flaw::Nul | Flaw::Encoding, _)) => text.replace(SUBSTITUTE, "\u{fffd}").into(),
            _ => text.into(),
        };
        self.cells.split(&substituted, frame.quoted, self.delimiter);
        let split = matches!(frame.flaw, None | Some((Flaw::Nul | Flaw::Encoding, _)));
        let fits = split && self.cells.len() >= self.required && self.surplus_is_empty(&substituted);
        if fits {
            return self.kept.iter().map(|at| self.cell(&substituted, *at)).collect();
        }
        let raw: String = substituted.chars().take(RAW_KEPT).collect();
        let rest = std::iter::repeat_n(String::new(), self.kept.len().saturating_sub(1));
        std::iter::once(neutralise(&raw).into_owned()).chain(rest).collect()
    }

    fn surplus_is_empty(&self, record: &str) -> bool {
        (self.width..self.cells.len()).all(|at| self.cells.raw(record, at).trim().is_empty())
    }

    fn cell(&self, record: &str, at: usize) -> String {
        let text = self.cells.text(record, at);
        neutralise(if self.ours { restore(&text) } else { &text }).into_owned()
    }
}

/// One result file, or none.
struct Output<'w> {
    writer: Option<csv::Writer<&'w mut dyn Write>>,
    count: u64,
}

impl<'w> Output<'w> {
    fn open(target: Option<&'w mut dyn Write>, layout: &Layout) -> Result<Self, ResultsError> {
        let open = |target| csv::WriterBuilder::new().delimiter(layout.delimiter).from_writer(target);
        let mut writer = target.map(open);
        if let Some(writer) = &mut writer {
            writer.write_record(layout.header.iter().map(String::as_str).chain(OURS))?;
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
        let cells = layout.cells(text, frame);
        let line = frame.line.to_string();
        let reason = neutralise(&outcome.reason);
        writer.write_record(cells.iter().map(String::as_str).chain([
            line.as_str(),
            &outcome.code,
            &reason,
        ]))?;
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
        Outcome { good, code: "email_invalid".into(), reason: "=because".into() }
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
    fn records_that_do_not_fit_stand_whole_in_the_first_column_and_stay_refused() {
        let text = b"email,name\na@x.org,\"Ana\" B\nb@x.org,B,C\nc@x.org,Jos\xff\xc3\xa9\n";
        let (_, bad) = results(text, &[(2, false), (3, false), (4, false)]).expect("written");
        let lines: Vec<_> = bad.lines().collect();
        assert!(lines[1].starts_with("\"a@x.org,\"\"Ana\"\" B\",,2,"), "{bad}");
        assert!(lines[2].starts_with("\"b@x.org,B,C\",,3,"), "{bad}");
        assert!(lines[3].starts_with("c@x.org,Jos\u{fffd}é,4,"), "{bad}");
        assert!(members(bad.as_bytes()).iter().all(|(_, member)| member.is_none()), "{bad}");
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
