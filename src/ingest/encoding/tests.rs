//! Files in every encoding, whole and broken.

use std::io::Write;

use proptest::prelude::*;

use super::*;

fn decode(bytes: &[u8], given: Option<Encoding>) -> (Encoding, Vec<u8>) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    let source = Source::open(file.path(), u64::MAX).expect("open");
    let origin = Origin { path: file.path().to_owned(), max_expanded: u64::MAX };
    let mut decoder = Decoder::new(source, given, origin).expect("a decoder");
    let mut text = Vec::new();
    decoder.read_to_end(&mut text).expect("read");
    (decoder.encoding(), text)
}

fn western(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_1252.encode(text).0.into_owned()
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

const NAMES: &str = "email,name\nana@x.org,José Ñandú\nbo@x.org,Élodie L’Écuyer – “Œuvre”\nc@x.org,Müller\n";

#[test]
fn every_encoding_is_found_and_read() {
    let bom = |mark: &[u8], text: Vec<u8>| [mark, &text].concat();
    for (bytes, encoding) in [
        (NAMES.as_bytes().to_vec(), Encoding::Utf8),
        (bom(&[0xef, 0xbb, 0xbf], NAMES.as_bytes().to_vec()), Encoding::Utf8),
        (utf16(NAMES, false), Encoding::Utf16Le),
        (utf16(NAMES, true), Encoding::Utf16Be),
        (bom(&[0xff, 0xfe], utf16(NAMES, false)), Encoding::Utf16Le),
        (bom(&[0xfe, 0xff], utf16(NAMES, true)), Encoding::Utf16Be),
        (western(NAMES), Encoding::Windows1252),
    ] {
        let (found, text) = decode(&bytes, None);
        assert_eq!((found, String::from_utf8(text).as_deref()), (encoding, Ok(NAMES)));
    }
}

#[test]
fn a_few_broken_rows_do_not_turn_a_utf8_file_into_another() {
    let mut bytes = NAMES.as_bytes().to_vec();
    bytes.extend(western("d@x.org,José\n"));
    assert_eq!(decode(&bytes, None), (Encoding::Utf8, bytes));
}

#[test]
fn high_bytes_that_are_no_western_text_stay_broken_utf8() {
    let cyrillic = encoding_rs::WINDOWS_1251.encode("email,name\na@x.org,Иван Петров\n").0.into_owned();
    for bytes in [cyrillic, b"email\n\xff\xfe\xfd@x.org\n".to_vec(), b"a\x81b\n".to_vec()] {
        assert_eq!(decode(&bytes, None), (Encoding::Utf8, bytes));
    }
}

#[test]
fn the_question_is_put_where_the_first_high_byte_stands_and_the_whole_file_answers() {
    let ascii = "plain@example.org,Plain\n".repeat(100_000);
    let late = [ascii.as_bytes(), &western("z@x.org,Zoë\n")].concat();
    let (found, text) = decode(&late, None);
    assert_eq!(found, Encoding::Windows1252);
    assert!(text.ends_with("z@x.org,Zoë\n".as_bytes()) && text.len() == late.len() + 1);

    let mixed = [&western("z@x.org,Zoë\n"), ascii.as_bytes(), "y@x.org,Zoë\n".as_bytes()].concat();
    assert_eq!(decode(&mixed, None), (Encoding::Utf8, mixed));
}

#[test]
fn what_cannot_be_translated_is_marked_and_a_given_encoding_is_believed() {
    let mut bytes = utf16("email\na", false);
    bytes.extend([0x00, 0xd8]);
    bytes.extend(utf16("b\n", false));
    bytes.push(b'x');
    let (found, text) = decode(&bytes, Some(Encoding::Utf16Le));
    assert_eq!((found, text.as_slice()), (Encoding::Utf16Le, &b"email\na\xffb\n\xff"[..]));
    let (found, text) = decode("é".as_bytes(), Some(Encoding::Windows1252));
    assert_eq!((found, text.as_slice()), (Encoding::Windows1252, "Ã©".as_bytes()));
}

#[test]
fn names_of_encodings_are_read_as_people_write_them() {
    assert_eq!(Encoding::parse("utf-8"), Some(Encoding::Utf8));
    assert_eq!(Encoding::parse("Windows-1252"), Some(Encoding::Windows1252));
    assert_eq!(Encoding::parse("UTF-16BE"), Some(Encoding::Utf16Be));
    assert_eq!(Encoding::parse("koi8"), None);
}

proptest! {
    #[test]
    fn utf16_comes_back_whatever_it_says(text in "[a-z@.,\n]{20,60}\\PC{0,10}") {
        let (found, back) = decode(&utf16(&text, true), Some(Encoding::Utf16Be));
        prop_assert_eq!((found, String::from_utf8(back)), (Encoding::Utf16Be, Ok(text)));
    }

    #[test]
    fn any_bytes_pass(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (found, text) = decode(&bytes, Some(Encoding::Utf8));
        prop_assert_eq!(found, Encoding::Utf8);
        prop_assert!(bytes.ends_with(&text));
        decode(&bytes, None);
    }
}
