//! What the first part of a file gives away: that it is no CSV at all, its line ends, its delimiter.

use super::cells::Cells;
use super::columns;
use super::error::Fault;
use super::framing::{Flaw, Framer, Marks};
use crate::domain::email::Address;

/// The delimiters looked for, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// How many records are looked at.
const SAMPLE: usize = 20;

/// The first records of a file, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) rows: Vec<Vec<String>>,
    /// The line where each of them begins.
    pub(crate) lines: Vec<u64>,
    /// What is wrong with the first record, where it stands and at which character.
    pub(crate) flaw: Option<(Flaw, u64, u64)>,
    /// Whether the text has a record at all, whole or not.
    pub(crate) any: bool,
}

/// What the first part of the text says about the rest.
#[derive(Debug)]
pub(crate) struct Sniffed {
    pub(crate) marks: Marks,
    pub(crate) sample: Sample,
    /// The bytes of a first line such as `sep=;`, which Excel reads as an instruction.
    pub(crate) skip: usize,
    /// The line after it.
    pub(crate) first_line: u64,
}

/// Looks at the start of a text; a delimiter that is given is believed.
pub(crate) fn sniff(head: &[u8], last: bool, given: Option<u8>) -> Sniffed {
    let line_end = if head.contains(&b'\n') || !head.contains(&b'\r') { b'\n' } else { b'\r' };
    let (named, skip) = excel_line(head, line_end);
    let text = &head[skip..];
    let first_line = if skip > 0 { 2 } else { 1 };
    let sampled = |delimiter| sample(text, last, first_line, Marks { delimiter, line_end });
    let (delimiter, sample) = match given.or(named) {
        Some(delimiter) => (delimiter, sampled(delimiter)),
        None => best(DELIMITERS.map(|delimiter| (delimiter, sampled(delimiter)))),
    };
    Sniffed { marks: Marks { delimiter, line_end }, sample, skip, first_line }
}

/// A delimiter as people say it.
pub(crate) fn delimiter_name(delimiter: u8) -> String {
    if delimiter == b'\t' { "tab".to_owned() } else { format!("`{}`", char::from(delimiter)) }
}

fn best(candidates: [(u8, Sample); 4]) -> (u8, Sample) {
    let scored = candidates.into_iter().rev().max_by_key(|(_, sample)| score(sample));
    // An array of four is never empty; the comma is the answer to nothing.
    scored.unwrap_or((b',', Sample::default()))
}

/// Names that are known beat regular rows, and regular rows beat many columns.
fn score(sample: &Sample) -> (usize, usize, usize) {
    let Some(first) = sample.rows.first() else { return (0, 0, 0) };
    let known = |cell: &&String| columns::is_known(cell) || Address::parse(cell).is_ok();
    let regular = sample.rows.iter().filter(|row| row.len() == first.len()).count();
    let regular = if first.len() > 1 { regular } else { 0 };
    (first.iter().filter(known).count(), regular, first.len())
}

fn sample(text: &[u8], last: bool, first_line: u64, marks: Marks) -> Sample {
    // Twenty records of a list are far shorter; a huge first record is looked at in full.
    let near = text.len().min(64 << 10);
    let found = take_apart(&text[..near], last && near == text.len(), first_line, marks);
    if found.rows.is_empty() && found.flaw.is_none() && near < text.len() {
        return take_apart(text, last, first_line, marks);
    }
    found
}

fn take_apart(text: &[u8], last: bool, first_line: u64, marks: Marks) -> Sample {
    let mut frames = Vec::new();
    let used = Framer::new(marks, first_line).frame(text, last, &mut frames);
    let mut sample = Sample { any: !frames.is_empty() || used < text.len(), ..Sample::default() };
    let mut cells = Cells::default();
    for (index, frame) in frames.iter().enumerate() {
        let record = String::from_utf8_lossy(&text[frame.start..frame.end]);
        if let Some((flaw, at)) = frame.flaw {
            if index == 0 {
                let before = text[frame.start..frame.end].get(..at).unwrap_or_default();
                let column = String::from_utf8_lossy(before).chars().count() as u64 + 1;
                sample.flaw = Some((flaw, frame.line, column));
                return sample;
            }
            continue;
        }
        cells.split(&record, frame.quoted, marks.delimiter);
        sample.lines.push(frame.line);
        sample.rows.push((0..cells.len()).map(|cell| cells.text(&record, cell).into_owned()).collect());
        if sample.rows.len() == SAMPLE {
            break;
        }
    }
    sample
}

/// `sep=;` on a line of its own: the delimiter, and the length of the line.
fn excel_line(head: &[u8], line_end: u8) -> (Option<u8>, usize) {
    let line = head.split_inclusive(|byte| *byte == line_end).next().unwrap_or_default();
    match line.trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] if delimiter.is_ascii_punctuation() => {
            (Some(*delimiter), line.len())
        }
        _ if line.starts_with(b"sep=\t") && line.trim_ascii_end() == b"sep=" => (Some(b'\t'), line.len()),
        _ => (None, 0),
    }
}

const AS_CSV: &str = "open it in the spreadsheet program and save it as CSV";
const EXPORT: &str = "export the list as CSV and drop that";
const UNPACK: &str = "unpack it first; only gzip and zstd are read as they are";

/// First bytes of what people drop by mistake.
const MAGIC: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)", AS_CSV),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", AS_CSV),
    (b"%PDF", "a PDF", EXPORT),
    (b"{\\rtf", "a rich text document", EXPORT),
    (b"SQLite format 3", "a SQLite database", EXPORT),
    (b"\x89PNG", "an image", EXPORT),
    (b"\xff\xd8\xff", "an image", EXPORT),
    (b"GIF8", "an image", EXPORT),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"\x7fELF", "a program", EXPORT),
    (b"BZh9", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ", "an xz archive", UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"BEGIN:VCARD", "a vCard file", EXPORT),
    (b"BEGIN:VCALENDAR", "a calendar file", EXPORT),
];

/// Refuses what is clearly no table, by the first bytes after unpacking.
pub(crate) fn refuse_other_formats(head: &[u8]) -> Result<(), Fault> {
    let refuse = |what, hint| Err(Fault::NotCsv { what, hint });
    if let Some((_, what, hint)) = MAGIC.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return refuse(what, hint);
    }
    if head.get(257..262) == Some(b"ustar") {
        return refuse("a tar archive", UNPACK);
    }
    let start: String = head.trim_ascii_start().iter().take(64).map(|byte| char::from(*byte)).collect();
    let start = start.to_lowercase();
    if ["<!doctype", "<html", "<?xml", "<table", "<head", "<body"].iter().any(|tag| start.starts_with(tag)) {
        return refuse(
            "a web page or XML",
            "the download may have ended on a login page; export the list again",
        );
    }
    if is_json(&start) {
        return refuse(
            "JSON",
            "write one object a line and let its name end in `.jsonl`, or export it as CSV",
        );
    }
    Ok(())
}

fn is_json(start: &str) -> bool {
    let next = |rest: &str| rest.trim_start().chars().next();
    match (start.strip_prefix('{').map(next), start.strip_prefix('[').map(next)) {
        (Some(first), _) => matches!(first, Some('"' | '}')),
        (_, Some(first)) => matches!(first, Some('{' | '"' | '[' | ']')),
        _ => false,
    }
}

/// Refuses text with more control characters than broken rows could explain.
pub(crate) fn refuse_binary(text: &[u8]) -> Result<(), Fault> {
    let head = &text[..text.len().min(8192)];
    let control = |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\t' | b'\r' | b'\n' | 0x1a);
    let controls = head.iter().filter(control).count();
    if controls > 8 && controls * 20 > head.len() {
        return Err(Fault::NotCsv { what: "binary data", hint: EXPORT });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter(text: &str) -> u8 {
        sniff(text.as_bytes(), true, None).marks.delimiter
    }

    #[test]
    fn the_delimiter_is_the_one_that_makes_sense_of_the_header() {
        assert_eq!(delimiter("email,name\na@x.org,Ana\n"), b',');
        assert_eq!(delimiter("email;name;company, country\na@x.org;Ana;Acme, PT\n"), b';');
        assert_eq!(delimiter("email\ttags\na@x.org\tvip;press,new\n"), b'\t');
        assert_eq!(delimiter("E-Mail|Name\na@x.org|A\n"), b'|');
        assert_eq!(delimiter("email,tags\na@x.org,a;b;c;d\nb@x.org,a;b;c;d\n"), b',');
        assert_eq!(delimiter("correo;nombre\na@x.org;Ana, la\nb@x.org;Bo\n"), b';');
        assert_eq!(delimiter("\"email\";\"name\"\n"), b';');
        assert_eq!(delimiter("a@x.org;Ana\nb@x.org;Bo\n"), b';');
        assert_eq!(delimiter("email\na@x.org\n"), b',');
        assert_eq!(delimiter(""), b',');
        assert_eq!(sniff(b"email;name", true, Some(b'|')).marks.delimiter, b'|');
    }

    #[test]
    fn excels_own_line_names_the_delimiter() {
        let sniffed = sniff(b"sep=;\r\nemail;name\r\n", true, None);
        assert_eq!((sniffed.marks.delimiter, sniffed.skip), (b';', 7));
        assert_eq!(sniffed.sample.rows, [["email", "name"]]);
        assert_eq!(sniff(b"sep=\t\nemail\tname\n", true, None).marks.delimiter, b'\t');
        assert_eq!(sniff(b"sepal\nemail\n", true, None).skip, 0);
    }

    #[test]
    fn old_line_ends_are_seen() {
        assert_eq!(sniff(b"email\ra@x.org\r", true, None).marks.line_end, b'\r');
        assert_eq!(sniff(b"email\r\na@x.org", true, None).marks.line_end, b'\n');
        assert_eq!(sniff(b"email", true, None).marks.line_end, b'\n');
    }

    #[test]
    fn other_formats_are_named() {
        for (text, what) in [
            (&b"PK\x03\x04rest"[..], "Excel"),
            (b"%PDF-1.7", "PDF"),
            (b"  <!DOCTYPE html><html>", "web page"),
            (b"[ {\"email\": 1}]", "JSON"),
            (b"{\"email\": 1}", "JSON"),
            (b"\xd0\xcf\x11\xe0", "old Excel"),
        ] {
            let error = refuse_other_formats(text).expect_err("refused");
            assert!(error.to_string().contains(what), "{error}");
        }
        assert!(refuse_other_formats(b"{email},name\n").is_ok());
        assert!(refuse_other_formats(b"email,name\n").is_ok());
        assert!(refuse_binary(&[1, 2, 3, 4, b'a', b'b'].repeat(5)).is_err());
        assert!(refuse_binary(b"email\na\0b@x.org\nc@x.org\n").is_ok());
    }
}
