//! Files of members as people export them, read to the last row.

use std::io::Write;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::domain::tag::TagId;
use crate::ingest::{Compression, Encoding};

/// What a row came to: address, name and tags, or line, column, code and the text of the address.
type Seen = (u64, Result<(String, String, String), (u64, Code, Option<String>)>);

fn book() -> TagBook {
    let id = |text: &str| TagId::parse(text).expect("a tag id");
    TagBook::new([
        ("vip".into(), id("tag-1")),
        ("press, local".into(), id("tag-2")),
        ("press".into(), id("tag-3")),
    ])
}

fn read_with(bytes: &[u8], options: &ReadOptions, extra: &str) -> Result<(Shape, Vec<Seen>), FileError> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    let (mut sets, mut rows) = (TagSets::default(), Vec::new());
    let extra = TagSet::parse(extra).expect("a tag set");
    let mut numbered = Vec::new();
    let shape = read_members(file.path(), options, &book(), &extra, &mut sets, |row| {
        numbered.push(row.read.as_ref().map_or(0, |member| member.tag_set));
        let read = row.read.map(|m| (m.address.canonical().to_owned(), m.name.into_owned(), String::new()));
        rows.push((row.line, read.map_err(|error| (error.column, error.code, error.email))));
        ControlFlow::Continue(())
    })?;
    for ((_, read), number) in rows.iter_mut().zip(numbered) {
        if let Ok((_, _, tags)) = read {
            *tags = sets.get(number).to_string();
        }
    }
    Ok((shape, rows))
}

fn read(text: impl AsRef<[u8]>) -> (Shape, Vec<Seen>) {
    read_with(text.as_ref(), &ReadOptions::default(), "").expect("a readable file")
}

fn refused(text: impl AsRef<[u8]>) -> FileError {
    read_with(text.as_ref(), &ReadOptions::default(), "").expect_err("refused")
}

fn good(line: u64, email: &str, name: &str, tags: &str) -> Seen {
    (line, Ok((email.into(), name.into(), tags.into())))
}

fn bad(line: u64, column: u64, code: Code, email: Option<&str>) -> Seen {
    (line, Err((column, code, email.map(str::to_owned))))
}

#[test]
fn rows_carry_address_name_and_tags() {
    let text = "Name,E-Mail,Tags\n Ana Lima ,Ana@X.ORG,vip;tag-9\n,b@x.org,\n\"Bo \"\"B\"\"\", c@x.org ,VIP | press\n";
    let (shape, rows) = read(text);
    assert_eq!(
        rows,
        [
            good(2, "Ana@x.org", "Ana Lima", "tag-1;tag-9"),
            good(3, "b@x.org", "", ""),
            good(4, "c@x.org", "Bo \"B\"", "tag-1;tag-3"),
        ]
    );
    assert_eq!(shape.to_string(), "UTF-8, delimiter `,`, 3 columns");
}

#[test]
fn extra_tags_join_every_row() {
    let (_, rows) =
        read_with(b"email,tags\na@x.org,vip\nb@x.org,\n", &ReadOptions::default(), "tag-7").expect("read");
    assert_eq!(rows, [good(2, "a@x.org", "", "tag-1;tag-7"), good(3, "b@x.org", "", "tag-7")]);
}

#[test]
fn columns_that_are_called_tags_count_together() {
    let (shape, rows) = read(
        "email,tags,Tag\na@x.org,vip,press\nb@x.org,,press\nc@x.org,vip,\nd@x.org,,\ne@x.org,vip,nope\n",
    );
    assert_eq!(
        rows,
        [
            good(2, "a@x.org", "", "tag-1;tag-3"),
            good(3, "b@x.org", "", "tag-3"),
            good(4, "c@x.org", "", "tag-1"),
            good(5, "d@x.org", "", ""),
            bad(6, 13, Code::TagUnknown, Some("e@x.org")),
        ]
    );
    assert_eq!(shape.to_string(), "UTF-8, delimiter `,`, 3 columns");
}

#[test]
fn commas_separate_tags_where_nothing_else_makes_sense() {
    let (_, rows) =
        read("email,tags\na@x.org,\"vip, press\"\nb@x.org,\"Press, local\"\nc@x.org,\"vip,nope\"\n");
    assert_eq!(
        rows,
        [
            good(2, "a@x.org", "", "tag-1;tag-3"),
            good(3, "b@x.org", "", "tag-2"),
            bad(4, 9, Code::TagUnknown, Some("c@x.org")),
        ]
    );
}

#[test]
fn first_and_last_name_stand_in_for_an_empty_name() {
    let (_, rows) = read(
        "name,first_name,Last Name,email\nAna,x,y,a@x.org\n,Bo,Berg,b@x.org\n,,Curie,c@x.org\n,Di,,d@x.org\n",
    );
    let names: Vec<_> = rows.into_iter().map(|(_, row)| row.expect("good").1).collect();
    assert_eq!(names, ["Ana", "Bo Berg", "Curie", "Di"]);
}

#[test]
fn lumas_guest_export_is_read_as_it_is() {
    let text = "\u{feff}api_id,name,first_name,last_name,email,phone_number,Email,\"What, if anything, do you hope for?\"\r\n\
        gst-1,,Ana,Lima,ana@x.org,,other@y.org,\"Talks\r\nand, \"\"food\"\"\"\r\n\
        gst-2,Bo,,,bo@x.org,,,\r\n";
    let (shape, rows) = read(text);
    assert_eq!(rows, [good(2, "ana@x.org", "Ana Lima", ""), good(4, "bo@x.org", "Bo", "")]);
    assert!(
        shape.notes.iter().any(|note| note.contains("column 5 (`email`), not from column 7 (`Email`)")),
        "{:?}",
        shape.notes
    );
}

#[test]
fn each_kind_of_bad_row_has_its_code_and_place_and_harms_no_neighbour() {
    let text = "id,email,name\n\
        1,a@x.org,Ana\n\
        2,,Nobody\n\
        3,bad address,x\n\
        4,b@x.org\n\
        5,c@x.org,x,surplus\n\
        6,d@x.org,x,,\n\
        7,\"e@x.org,x\n\
        8,\"f\"@x.org,x\n\
        é,g@@x.org,x\n\
        9,z@x.org,Zoe\n";
    let (_, rows) = read(text);
    assert_eq!(
        rows,
        [
            good(2, "a@x.org", "Ana", ""),
            bad(3, 3, Code::EmailMissing, None),
            bad(4, 3, Code::EmailInvalid, Some("bad address")),
            bad(5, 10, Code::RowRagged, Some("b@x.org")),
            bad(6, 13, Code::RowRagged, Some("c@x.org")),
            good(7, "d@x.org", "x", ""),
            bad(8, 3, Code::RowMalformed, None),
            bad(9, 6, Code::RowMalformed, None),
            bad(10, 3, Code::EmailInvalid, Some("g@@x.org")),
            good(11, "z@x.org", "Zoe", ""),
        ]
    );
}

#[test]
fn columns_without_a_name_at_the_end_of_the_header_may_be_missing() {
    let (_, rows) = read("email,name,,\na@x.org,A\nb@x.org,\"B\nC\"\nc@x.org\nd@x.org,D,,,\n");
    assert_eq!(
        rows,
        [
            good(2, "a@x.org", "A", ""),
            good(3, "b@x.org", "B\nC", ""),
            bad(5, 8, Code::RowRagged, Some("c@x.org")),
            good(6, "d@x.org", "D", ""),
        ]
    );
}

#[test]
fn bytes_that_are_no_text_and_nuls_spoil_their_row_alone() {
    let mut bytes = "email,name\na@x.org,José\n".as_bytes().to_vec();
    bytes.extend(b"b@x.org,Jos\xe9 \xf0\x9f\nc@x.org,a\0b\n\xff@x.org,\nd@x.org,Di\n");
    let (shape, rows) = read(&bytes);
    assert_eq!(
        rows,
        [
            good(2, "a@x.org", "José", ""),
            bad(3, 12, Code::EncodingInvalid, Some("b@x.org")),
            bad(4, 10, Code::RowMalformed, Some("c@x.org")),
            bad(5, 1, Code::EncodingInvalid, Some("\u{fffd}@x.org")),
            good(6, "d@x.org", "Di", ""),
        ]
    );
    assert_eq!(shape.encoding, Encoding::Utf8);
}

#[test]
fn a_huge_cell_is_an_error_where_we_read_it_and_nothing_elsewhere() {
    let huge = "x".repeat(1_000_000);
    let text =
        format!("email,name,essay\na@x.org,{huge},\nb@x.org,B,{huge}\nc@x.org,C,\"{huge}\"\n{huge},,\n");
    let (_, rows) = read(text);
    assert_eq!(rows[0], bad(2, 9, Code::CellTooLong, Some("a@x.org")));
    assert_eq!(rows[1..3], [good(3, "b@x.org", "B", ""), good(4, "c@x.org", "C", "")]);
    assert_eq!(rows[3], bad(5, 1, Code::CellTooLong, Some(&huge[..320])));
    let endless = format!("email\na@x.org\n{}\nb@x.org\n", "y".repeat(12 << 20));
    let (_, rows) = read(endless);
    assert_eq!(
        rows.iter().map(|(line, row)| (*line, row.is_ok())).collect::<Vec<_>>(),
        [(2, true), (3, false), (4, true)]
    );
}

#[test]
fn packed_and_old_files_are_read_alike() {
    let text = "email;name\na@x.org;José Ñandú\n";
    let expected = [good(2, "a@x.org", "José Ñandú", "")];
    let western = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&western).expect("packed");
    let gzip = gzip.finish().expect("packed");
    let zstd = zstd::encode_all(&wide[..], 1).expect("packed");
    for (bytes, compression, encoding) in [
        (western, Compression::None, Encoding::Windows1252),
        (wide, Compression::None, Encoding::Utf16Le),
        (gzip, Compression::Gzip, Encoding::Windows1252),
        (zstd, Compression::Zstd, Encoding::Utf16Le),
        (text.replace('\n', "\r").into_bytes(), Compression::None, Encoding::Utf8),
    ] {
        let (shape, rows) = read(&bytes);
        assert_eq!((shape.compression, shape.encoding, shape.delimiter), (compression, encoding, b';'));
        assert_eq!(rows, expected);
    }
}

#[test]
fn files_that_are_no_list_are_refused_with_a_hint() {
    for (bytes, message, hint) in [
        (&b""[..], "is empty", "first line names the columns"),
        (b"\n , \n\n", "is empty", "first line names the columns"),
        (b"PK\x03\x04\x14\x00", "Excel workbook", "save it as CSV"),
        (b"%PDF-1.4\n", "PDF", "export the list as CSV"),
        (b"<html><body>login</body></html>", "web page", "login page"),
        (b"[{\"email\":\"a@x.org\"}]", "JSON", "CSV"),
        (
            b"emial,name\na@x.org,Ana\n",
            "no e-mail column; its header is `emial, name`",
            "rename the column `emial`",
        ),
        (b"Email,E-Mail\n", "two e-mail columns", "rename or remove"),
        (b"\"email,name\na@x.org,Ana\n", "broken header (line 1, column 1)", "check its quotes"),
        (b"\x1f\x8bgarbage", "broken or cut off gzip data", "copy the file again"),
    ] {
        let error = refused(bytes);
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.hint().is_some_and(|found| found.contains(hint)), "{error}: {:?}", error.hint());
    }
    assert_eq!(refused(b"\n\"email,name\n").line(), Some(2));
    let missing = read_members(
        Path::new("/no/such/file.csv"),
        &ReadOptions::default(),
        &book(),
        &TagSet::default(),
        &mut TagSets::default(),
        |_| ControlFlow::Continue(()),
    );
    assert!(missing.expect_err("missing").to_string().starts_with("`/no/such/file.csv` cannot be read"));
}

#[test]
fn a_header_alone_is_an_empty_list_and_a_bare_list_needs_no_header() {
    assert_eq!(read("email,name\r\n").1, []);
    assert_eq!(read("email").1, []);
    let (shape, rows) = read("a@x.org\nb@x.org\n\nnot one\n");
    assert!(shape.headerless && shape.to_string().contains("1 column, no header; "), "{shape}");
    assert_eq!(
        rows,
        [
            good(1, "a@x.org", "", ""),
            good(2, "b@x.org", "", ""),
            bad(4, 1, Code::EmailInvalid, Some("not one"))
        ]
    );
}

#[test]
fn the_sink_may_break_off_in_the_middle_of_a_large_file() {
    let text = format!("email\n{}", "a@x.org\n".repeat(1_000_000));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    let mut left = 500_000;
    let mut sets = TagSets::default();
    read_members(file.path(), &ReadOptions::default(), &book(), &TagSet::default(), &mut sets, |_| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .expect("read");
    assert_eq!(left, 0);
}

#[test]
fn a_packed_file_cut_off_late_gives_its_rows_and_then_the_fault() {
    let text: String = std::iter::once("email\n".to_owned())
        .chain((0..400_000_u64).map(|n| format!("m{}@x.org\n", n * 7919 % 1_000_003)))
        .collect();
    let packed = zstd::encode_all(text.as_bytes(), 1).expect("packed");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&packed[..packed.len() - 10]).expect("written");
    let (mut rows, mut sets) = (0_u32, TagSets::default());
    let error =
        read_members(file.path(), &ReadOptions::default(), &book(), &TagSet::default(), &mut sets, |row| {
            assert!(row.read.is_ok());
            rows += 1;
            ControlFlow::Continue(())
        })
        .expect_err("cut off");
    assert!(matches!(error.fault, Fault::Corrupt { .. }) && rows > 100_000, "{error} after {rows}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[a@.x,;\"\n\r é\0]{0,100}") {
        for bytes in [bytes, text.clone().into_bytes(), format!("email,name\n{text}").into_bytes()] {
            let _ = read_with(&bytes, &ReadOptions::default(), "");
        }
    }

    #[test]
    fn rows_come_in_the_order_of_their_lines(text in "([a-c]@x.org,\"?[a\n]{0,3}\"?\n){1,12}") {
        let (_, rows) = read(format!("email,name\n{text}"));
        prop_assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

#[test]
fn guests_who_declined_or_never_answered_are_left_alone() {
    let text = "name,email,approval_status,tags\nAna,a@x.org,approved,\nBo,b@x.org,declined,unheard-of\n\
                Cy,not one,Invited,\nDi,d@x.org,,\nEd,e@x.org,waitlist,\n";
    let (_, rows) = read(text);
    let left_out = |line, column, email| bad(line, column, Code::GuestExcluded, Some(email));
    assert_eq!(
        rows,
        [
            good(2, "a@x.org", "Ana", ""),
            left_out(3, 12, "b@x.org"),
            left_out(4, 12, "not one"),
            good(5, "d@x.org", "Di", ""),
            good(6, "e@x.org", "Ed", ""),
        ]
    );
    let options = ReadOptions { guests: Guests::All, ..ReadOptions::default() };
    let (_, rows) = read_with(b"email,approval_status\na@x.org,declined\n", &options, "").expect("read");
    assert_eq!(rows, [good(2, "a@x.org", "", "")]);
}

#[test]
fn tags_in_quotes_inside_a_cell_are_known() {
    let (_, rows) = read("email,TAGS\na@x.org,\"\"\"vip\"\",\"\"press\"\"\"\nb@x.org,\"\"\"vip\"\"\"\n");
    assert_eq!(rows, [good(2, "a@x.org", "", "tag-1;tag-3"), good(3, "b@x.org", "", "tag-1")]);
}
