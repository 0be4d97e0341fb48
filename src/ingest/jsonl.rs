//! JSON Lines: one object a line. A line that is none spoils itself and no other.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::columns::API_ID;
use super::encoding::{Decoder, Origin};
use super::error::Fault;
use super::framing::MAX_RECORD;
use super::mapping::unread;
use super::open::Source;
use super::sniff::{refuse_binary, refuse_other_formats};
use super::table::{ReadOptions, Shape};
use crate::domain::code::Code;

/// Whether a file is JSON Lines, packed or not: its name says so.
#[must_use]
pub fn is_jsonl(path: &Path) -> bool {
    let is =
        |path: &Path, ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    is(path, "jsonl") || (is(path, "gz") || is(path, "zst")) && is(&path.with_extension(""), "jsonl")
}

/// One line that is not blank.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Line {
    /// The object on it, or what is wrong and why.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, (Code, String)> {
        if self.is_too_long {
            return Err((Code::CellTooLong, "the line is longer than 4 MiB".to_owned()));
        }
        let Ok(text) = std::str::from_utf8(&self.bytes) else {
            let said = "the line holds bytes that are no text in the file's encoding";
            return Err((Code::EncodingInvalid, said.to_owned()));
        };
        match serde_json::from_str(text) {
            Ok(Object { repeated: None, fields }) => Ok(fields),
            // Which of the two is meant, nobody knows.
            Ok(Object { repeated: Some(name), .. }) => {
                let name: String = name.chars().take(80).collect();
                Err((Code::RowMalformed, format!("the object has the field `{name}` twice")))
            }
            // The parser's own words end in `at line 1 column N`.
            Err(error) => Err((
                Code::RowMalformed,
                format!("column {}: the line is no JSON object", error.column().max(1)),
            )),
        }
    }

    /// Its text, as far as it is one.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// Its text for people, with marks for what is none.
    pub(crate) fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// An object, and the first of its names that it has twice.
struct Object {
    fields: Map<String, Value>,
    repeated: Option<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = Object { fields: Map::new(), repeated: None };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if object.fields.insert(name.clone(), value).is_some() {
                        object.repeated.get_or_insert(name);
                    }
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Where a name stands in the text of an object: the character, from 1.
pub(crate) fn place_of(text: &str, name: &str) -> u64 {
    let at = text.find(&format!("\"{name}\"")).unwrap_or(0);
    text.get(..at).unwrap_or_default().chars().count() as u64 + 1
}

/// Names that mean nothing to us, so that somebody is told.
#[derive(Debug, Default)]
pub(crate) struct PassedOver(Vec<String>);

impl PassedOver {
    /// Takes note of a name; of so many that nobody would read them, of the first only.
    pub(crate) fn note(&mut self, name: &str) {
        if self.0.len() < 50 && name != API_ID && !self.0.iter().any(|known| known == name) {
            self.0.push(name.to_owned());
        }
    }
}

/// The lines of a file, one after the other.
pub(crate) struct Lines {
    reader: BufReader<Decoder>,
    number: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Self, Fault> {
        let source = Source::open(path, options.max_expanded)?;
        let origin = Origin { path: path.to_owned(), max_expanded: options.max_expanded };
        let decoder = Decoder::new(source, options.encoding, origin)?;
        let start = decoder.head().trim_ascii_start().first().copied();
        match start {
            None => return Err(Fault::Empty),
            Some(b'{') => {}
            Some(b'[') => {
                let hint = "write one object a line, without the list around them";
                return Err(Fault::NotCsv { what: "a list of JSON", hint });
            }
            Some(_) => refuse_other_formats(decoder.head())?,
        }
        let mut reader = BufReader::with_capacity(256 << 10, decoder);
        refuse_binary(reader.fill_buf().map_err(Fault::from_read)?)?;
        Ok(Self { reader, number: 0 })
    }

    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            let mut bytes = Vec::new();
            let most = MAX_RECORD as u64 + 1;
            let length =
                self.reader.by_ref().take(most).read_until(b'\n', &mut bytes).map_err(Fault::from_read)?;
            if length == 0 {
                return Ok(None);
            }
            self.number += 1;
            let is_too_long = length as u64 == most && bytes.last() != Some(&b'\n');
            if is_too_long {
                bytes.clear();
                self.reader.skip_until(b'\n').map_err(Fault::from_read)?;
            } else if bytes.trim_ascii().is_empty() {
                continue;
            }
            let kept = bytes.trim_ascii_end().len();
            bytes.truncate(kept);
            return Ok(Some(Line { number: self.number, bytes, is_too_long }));
        }
    }

    /// How the file turned out.
    pub(crate) fn shape(&self, passed_over: &PassedOver) -> Shape {
        let decoder = self.reader.get_ref();
        Shape {
            compression: decoder.source().compression(),
            encoding: decoder.encoding(),
            delimiter: b'\n',
            header: Vec::new(),
            headerless: true,
            notes: unread(&passed_over.0, &[]).into_iter().collect(),
            warnings: Vec::new(),
        }
    }
}
