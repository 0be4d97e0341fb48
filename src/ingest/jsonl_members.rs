//! Members from JSON Lines, under the names that columns have.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{EMAIL, FIRST, LAST, NAME, STATUS, TAGS, plain};
use super::error::FileError;
use super::jsonl::{Lines, PassedOver, place_of};
use super::member::{MemberRow, Row, RowError};
use super::table::{ReadOptions, Shape};
use crate::domain::code::Code;
use crate::domain::email::{Address, EmailError};
use crate::domain::tag::{TagBook, TagSet, TagSets};

const EMAIL_KEPT: usize = 320;

/// What is wrong, and with which field.
type Trouble = (Code, String, Option<String>);

/// Reads a file of members, one object a line.
pub(super) fn read(
    path: &Path,
    options: &ReadOptions,
    book: &TagBook,
    extra: &TagSet,
    sets: &mut TagSets,
    mut sink: impl FnMut(Row<'_>) -> ControlFlow<()>,
) -> Result<Shape, FileError> {
    let refuse = |fault| FileError::new(path, fault);
    let mut lines = Lines::open(path, options).map_err(refuse)?;
    let mut passed_over = PassedOver::default();
    while let Some(line) = lines.next().map_err(refuse)? {
        let object = line.object();
        if let Ok(object) = &object {
            object.keys().filter(|name| !is_read(name)).for_each(|name| passed_over.note(name));
        }
        let read = match &object {
            Ok(object) => member(object, options, book, extra, sets),
            Err((code, reason)) => Err((*code, reason.clone(), None)),
        };
        let read = read.map_err(|(code, reason, field)| RowError {
            line: line.number,
            column: field.map_or(1, |field| place_of(line.text(), &field)),
            code,
            reason,
            email: object
                .as_ref()
                .ok()
                .and_then(|object| find(object, EMAIL))
                .and_then(|(_, value)| Some(value.as_str()?.trim().chars().take(EMAIL_KEPT).collect())),
        });
        if sink(Row { line: line.number, read }).is_break() {
            break;
        }
    }
    Ok(lines.shape(&passed_over))
}

fn member<'o>(
    object: &'o Map<String, Value>,
    options: &ReadOptions,
    book: &TagBook,
    extra: &TagSet,
    sets: &mut TagSets,
) -> Result<MemberRow<'o>, Trouble> {
    let max_cell = options.max_cell;
    // Who declined is left alone, however well the row is written.
    if !options.only_addresses
        && let Some((field, status)) = text(object, STATUS, max_cell)?
        && let Some((code, said)) = options.guests.refuse(status)
    {
        return Err((code, format!("`{field}` {said}"), Some(field.to_owned())));
    }
    let email = text(object, EMAIL, max_cell)?;
    let Some((field, email)) = email.filter(|(_, email)| !email.trim().is_empty()) else {
        return Err((Code::EmailMissing, "there is no `email`".to_owned(), None));
    };
    let address = Address::parse(email).map_err(|error| match error {
        EmailError::Empty => (Code::EmailMissing, format!("`{field}` is empty"), Some(field.to_owned())),
        error => (Code::EmailInvalid, format!("`{field}` holds no address: {error}"), Some(field.to_owned())),
    })?;
    if options.only_addresses {
        return Ok(MemberRow { address, name: Cow::Borrowed(""), tag_set: sets.intern(extra.clone()) });
    }
    let part =
        |names: &[&str]| text(object, names, max_cell).map(|found| found.map_or("", |(_, text)| text.trim()));
    let name = match (part(NAME)?, part(FIRST)?, part(LAST)?) {
        ("", first, "") => Cow::Borrowed(first),
        ("", "", last) => Cow::Borrowed(last),
        ("", first, last) => Cow::Owned(format!("{first} {last}")),
        (name, _, _) => Cow::Borrowed(name),
    };
    let tags = tags(object, book, sets)?;
    Ok(MemberRow { address, name, tag_set: sets.intern(tags.union(extra)) })
}

fn is_read(name: &str) -> bool {
    [EMAIL, NAME, FIRST, LAST, STATUS, TAGS].iter().any(|names| names.contains(&plain(name).as_str()))
}

/// All tags of an object: several fields of tags count together, as columns do.
fn tags(object: &Map<String, Value>, book: &TagBook, sets: &mut TagSets) -> Result<TagSet, Trouble> {
    let of_tags = object.iter().filter(|(name, _)| TAGS.contains(&plain(name).as_str()));
    of_tags
        .map(|(field, value)| tags_of(field, value, book, sets))
        .try_fold(TagSet::default(), |all, tags| Ok(all.union(&tags?)))
}

/// Tags as a list, or in one text as in a column.
fn tags_of(field: &str, value: &Value, book: &TagBook, sets: &mut TagSets) -> Result<TagSet, Trouble> {
    let wrong = |code, said: String| (code, format!("`{field}` {said}"), Some(field.to_owned()));
    let cell = match value {
        Value::Null => return Ok(TagSet::default()),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            texts
                .ok_or_else(|| wrong(Code::RowMalformed, "holds something that is no text".to_owned()))?
                .join(";")
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(wrong(Code::RowMalformed, "is neither a text nor a list of texts".to_owned()));
        }
    };
    book.resolve_cell(&cell).map_err(|unknown| {
        sets.note_unknown(book, &cell);
        wrong(Code::TagUnknown, format!("names a tag that is not known: {unknown}"))
    })
}

fn find<'o>(object: &'o Map<String, Value>, names: &[&str]) -> Option<(&'o str, &'o Value)> {
    let find_one = |name: &&str| object.iter().find(|(key, _)| plain(key) == **name);
    names.iter().find_map(find_one).map(|(key, value)| (key.as_str(), value))
}

fn text<'o>(
    object: &'o Map<String, Value>,
    names: &[&str],
    max_cell: usize,
) -> Result<Option<(&'o str, &'o str)>, Trouble> {
    match find(object, names) {
        None | Some((_, Value::Null)) => Ok(None),
        Some((field, Value::String(text))) if text.len() <= max_cell => Ok(Some((field, text))),
        Some((field, Value::String(text))) => {
            let said = format!("`{field}` holds {} bytes, and {max_cell} is the most", text.len());
            Err((Code::CellTooLong, said, Some(field.to_owned())))
        }
        Some((field, _)) => {
            Err((Code::RowMalformed, format!("`{field}` is no text"), Some(field.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().expect("a file");
        file.write_all(text).expect("written");
        file
    }

    /// Address, name and tags; or code and column.
    type Read = Result<String, (Code, u64)>;

    /// Each row by its line.
    fn members(text: &[u8]) -> Vec<(u64, Read)> {
        let (book, mut sets, mut rows) = (TagBook::default(), TagSets::default(), Vec::new());
        let take = |row: Row<'_>| {
            let read = row
                .read
                .map(|member| format!("{} {} {}", member.address.canonical(), member.name, member.tag_set));
            rows.push((row.line, read.map_err(|error| (error.code, error.column))));
            ControlFlow::Continue(())
        };
        let extra = TagSet::default();
        super::super::read_members(
            file(text).path(),
            &ReadOptions::default(),
            &book,
            &extra,
            &mut sets,
            take,
        )
        .expect("read");
        rows
    }

    #[test]
    fn objects_are_members_and_broken_lines_spoil_only_themselves() {
        let text = b"{\"email\":\"a@x.org\",\"first_name\":\"Ana\",\"Last Name\":\"Lima\",\"tags\":[\"tag-1\",\"tag-2\"]}\n\n\
            {\"E-mail\":\"b@x.org\",\"tags\":\"tag-2;tag-1\",\"other\":{\"x\":1}}\r\n\
            {\"email\":\"c@x.org\"\n[1]\n{\"email\":7}\n{\"name\":\"x\"}\n{\"email\":\"d\"}\n\
            {\"email\":\"e@x.org\",\"tags\":[\"none\"]}\n{\"email\":\"\xff@x.org\"}\n{\"email\":\"f@x.org\"}\n\
            {\"email\":\"g@x.org\",\"approval_status\":\"declined\"}\n\
            {\"email\":\"h@x.org\",\"tags\":\"tag-1\",\"Tag\":[\"tag-2\"]}\n{\"email\":\"i@x.org\",\"email\":\"j@x.org\"}";
        let rows = members(text);
        let kept: Vec<_> =
            rows.iter().map(|(line, read)| (*line, read.as_ref().map(String::as_str))).collect();
        assert_eq!(
            kept,
            [
                (1, Ok("a@x.org Ana Lima 0")),
                (3, Ok("b@x.org  0")),
                (4, Err(&(Code::RowMalformed, 1))),
                (5, Err(&(Code::RowMalformed, 1))),
                (6, Err(&(Code::RowMalformed, 2))),
                (7, Err(&(Code::EmailMissing, 1))),
                (8, Err(&(Code::EmailInvalid, 2))),
                (9, Err(&(Code::TagUnknown, 20))),
                (10, Err(&(Code::EncodingInvalid, 1))),
                (11, Ok("f@x.org  1")),
                (12, Err(&(Code::GuestExcluded, 20))),
                (13, Ok("h@x.org  0")),
                (14, Err(&(Code::RowMalformed, 1))),
            ]
        );
    }

    #[test]
    fn endless_lines_and_lists_are_refused() {
        let mut long = vec![b'a'; 5 << 20];
        long.splice(0..0, *b"{\"email\":\"");
        long.extend(b"\n{\"email\":\"a@x.org\"}\n");
        let rows = members(&long);
        assert_eq!(rows[0], (1, Err((Code::CellTooLong, 1))));
        assert_eq!(rows[1].1.as_deref(), Ok("a@x.org  0"));
        for (text, said) in [(&b"[{\"email\":\"a@x.org\"}]"[..], "is a list of JSON"), (b" \n", "is empty")] {
            let found = Lines::open(file(text).path(), &ReadOptions::default());
            assert!(found.is_err_and(|fault| fault.to_string().starts_with(said)), "{said}");
        }
    }
}
