//! Broken files, and a comparison with another reader on whole ones.

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
    let part = |frame: &Frame| (frame.line, &text[frame.start..frame.end], frame.flaw.map(|(flaw, _)| flaw));
    frames(text.as_bytes()).iter().map(part).collect()
}

#[test]
fn lines_end_as_any_system_ends_them_and_blank_ones_are_skipped() {
    let text = "a,b\r\n\n1,2\n , ,\r\n\"\",\"\"\n3,4\r\r\n\u{1a}";
    assert_eq!(seen(text), [(1, "a,b", None), (3, "1,2", None), (6, "3,4", None)]);
    let mut old = Vec::new();
    Framer::new(Marks { delimiter: b',', line_end: b'\r' }, 1).frame(b"a,b\r\"1\",2\r3,4", true, &mut old);
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
