//! Members from the rows of a query: which of its columns are what, and one row at a time.
//!
//! The names mean the same as in the header of a file, and so do the cells. Knows no database: names
//! and texts come in, rows or row errors go out.

use super::columns::{EMAIL, EMAIL_ELSEWHERE, FIRST, LAST, NAME, STATUS, TAGS, plain};
use super::error::Fault;
use super::mapping::{Heading, Mapping, NOT_READ, excerpt};
use super::member::{EMAIL_KEPT, Parser, Row, RowError};
use super::table::ReadOptions;
use crate::domain::tag::{TagBook, TagSet, TagSets};

/// What a column can be said to be, and the names by which it is known without that.
const FIELDS: [(&str, &[&[&str]]); 6] = [
    ("email", &[EMAIL, EMAIL_ELSEWHERE]),
    ("name", &[NAME]),
    ("first_name", &[FIRST]),
    ("last_name", &[LAST]),
    ("tags", &[TAGS]),
    ("approval_status", &[STATUS]),
];

/// The fields of a member that a column can be named for.
pub fn member_fields() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(field, _)| *field)
}

/// Why the columns of a query are not those of members. The text reads on after the source's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// A column that was named is not there.
    #[error("has no column `{column}`, which `{key}` names; it has {found}\nhint: {hint}")]
    Missing {
        /// The key that names it.
        key: String,
        /// Its name.
        column: String,
        /// What there is.
        found: String,
        /// What to write.
        hint: String,
    },
    /// Nothing is known to be an address.
    #[error("has no e-mail column; it has {found}\nhint: {hint}")]
    NoEmail {
        /// What there is.
        found: String,
        /// What to write.
        hint: String,
    },
    /// Two columns have an equal claim.
    #[error(
        "has two e-mail columns, `{first}` and `{second}`\nhint: say which one is meant with `columns = {{ email = \"{first}\" }}`"
    )]
    TwoEmails {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}

/// The columns of a query that are read, and what each is.
#[derive(Clone, Debug)]
pub struct MemberColumns {
    mapping: Mapping,
    read: Vec<usize>,
}

impl MemberColumns {
    /// Finds out what the columns of a query are. `said` are fields and the columns that were said to hold them.
    pub fn find(names: &[String], said: &[(String, String)]) -> Result<Self, ColumnsError> {
        let mut header = names.to_vec();
        for (field, column) in said {
            rename(&mut header, names, field, column)?;
        }
        let no_email = |header: &[String]| {
            let meant = header.iter().position(|name| super::columns::is_like_email(name));
            let meant = meant.map_or("mail", |at| names[at].as_str());
            let meant = excerpt(meant);
            let hint = format!(
                "select the column that holds the addresses `as email`, or name it with `columns = {{ email = \"{meant}\" }}`"
            );
            ColumnsError::NoEmail { found: listed(names), hint }
        };
        let mapping = match Mapping::by_names(Heading::new(&header)) {
            Ok(Ok(mapping)) => mapping,
            Err(Fault::TwoEmails { first_at, second_at, .. }) => {
                let name = |at: usize| excerpt(&names[at - 1]);
                return Err(ColumnsError::TwoEmails { first: name(first_at), second: name(second_at) });
            }
            Ok(Err(_)) | Err(_) => return Err(no_email(&header)),
        };
        Ok(Self::reduced(mapping, names))
    }

    /// Keeps only the columns that mean something, under the names that the query gave them.
    fn reduced(mapping: Mapping, names: &[String]) -> Self {
        let Mapping { email, name, first, last, tags, status, mut heading } = mapping;
        let mut read: Vec<usize> = [Some(email), name, first, last, status]
            .into_iter()
            .flatten()
            .chain(tags.iter().copied())
            .collect();
        read.sort_unstable();
        read.dedup();
        let place = |column: usize| read.binary_search(&column).unwrap_or_default();
        heading.header = read.iter().map(|column| names[*column].clone()).collect();
        // Nothing of it is guarded against spreadsheets, whatever its columns are called.
        heading.ours = false;
        heading.notes.retain(|note| !note.starts_with(NOT_READ));
        let mapping = Mapping {
            heading,
            email: place(email),
            name: name.map(place),
            first: first.map(place),
            last: last.map(place),
            tags: tags.into_iter().map(place).collect(),
            status: status.map(place),
        };
        Self { mapping, read }
    }

    /// The places of the columns that are read, in the order in which a row holds them.
    #[must_use]
    pub fn read(&self) -> &[usize] {
        &self.read
    }

    /// What each column that is read was taken for, for people: `mail` is the `email`.
    #[must_use]
    pub fn meaning(&self) -> String {
        let Mapping { email, name, first, last, tags, status, .. } = &self.mapping;
        let fields = [
            ("email", Some(*email)),
            ("name", *name),
            ("first name", *first),
            ("last name", *last),
            ("approval status", *status),
        ];
        let fields = fields.into_iter().chain(tags.iter().map(|at| ("tags", Some(*at))));
        let said = fields.filter_map(|(field, at)| {
            let column = self.mapping.heading.header.get(at?)?;
            Some(if plain(column) == plain(field) {
                format!("`{}`", excerpt(column))
            } else {
                format!("`{}` as {field}", excerpt(column))
            })
        });
        let said: Vec<String> = said.collect();
        let notes = self.mapping.heading.notes.iter().map(String::as_str);
        let said = said.join(", ");
        std::iter::once(said.as_str()).chain(notes).collect::<Vec<_>>().join("; ")
    }

    /// What a person should look at before they trust the outcome.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.mapping.heading.warnings
    }
}

/// Gives a column the name of the field it was said to be, and takes that meaning from all others.
fn rename(header: &mut [String], names: &[String], field: &str, column: &str) -> Result<(), ColumnsError> {
    let at = column_place(names, &format!("columns.{field}"), column)?;
    let known = FIELDS.iter().find(|(name, _)| *name == field).map_or(&[][..], |(_, known)| known);
    for (other, cell) in header.iter_mut().enumerate() {
        if other == at {
            field.clone_into(cell);
        } else if known.iter().any(|names| names.contains(&plain(cell).as_str())) {
            cell.clear();
        }
    }
    Ok(())
}

/// The place of the column that `key` names: spelt so, or the only one that differs by case alone.
pub fn column_place(names: &[String], key: &str, column: &str) -> Result<usize, ColumnsError> {
    let exact = names.iter().position(|name| name == column);
    let alike = || {
        let mut alike = (0..names.len()).filter(|at| names[*at].eq_ignore_ascii_case(column));
        alike.next().filter(|_| alike.next().is_none())
    };
    exact.or_else(alike).ok_or_else(|| {
        let likeness = |name: &str| strsim::normalized_damerau_levenshtein(name, column);
        let nearest = names.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        let hint = match nearest.filter(|name| likeness(name) > 0.5) {
            Some(name) => format!("did you mean `{}`?", excerpt(name)),
            None => "name one of these, or add it to the query".to_owned(),
        };
        let (key, column) = (key.to_owned(), excerpt(column));
        ColumnsError::Missing { key, column, found: listed(names), hint }
    })
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", excerpt(name))).collect::<Vec<_>>().join(", ")
}

/// Reads rows whose cells are in the order of `MemberColumns::read`.
pub struct QueryMembers<'p> {
    parser: Parser<'p>,
    email: usize,
    tags: Vec<usize>,
    record: String,
    ends: Vec<usize>,
}

impl<'p> QueryMembers<'p> {
    /// A reader that interns the sets of tags in `sets`; `extra` are tags that every row gets.
    #[must_use]
    pub fn new(
        columns: &MemberColumns,
        options: &ReadOptions,
        book: &'p TagBook,
        extra: &'p TagSet,
        sets: &'p mut TagSets,
    ) -> Self {
        let mapping = columns.mapping.clone();
        let (email, tags) = (mapping.email, mapping.tags.clone());
        let parser = Parser::new(mapping, b',', options, book, extra, sets);
        Self { parser, email, tags, record: String::new(), ends: Vec::new() }
    }

    /// One row, the `ordinal`th of its query from 1. No value is an empty cell.
    pub fn row(&mut self, ordinal: u64, cells: &[Option<String>]) -> Row<'_> {
        self.record.clear();
        self.ends.clear();
        for (at, cell) in cells.iter().enumerate() {
            let cell = cell.as_deref().unwrap_or_default();
            match list(cell).filter(|_| self.tags.contains(&at)) {
                Some(tags) => self.record.push_str(&tags),
                None => self.record.push_str(cell),
            }
            self.ends.push(self.record.len());
        }
        let read = self.parser.cells(&self.record, &self.ends).map_err(|trouble| {
            let email = cells.get(self.email).and_then(Option::as_deref).unwrap_or_default().trim();
            let email = email.replace('\0', "\u{fffd}").chars().take(EMAIL_KEPT).collect::<String>();
            RowError {
                line: ordinal,
                column: 1,
                code: trouble.code,
                reason: trouble.reason,
                email: (!email.is_empty()).then_some(email),
            }
        });
        Row { line: ordinal, read }
    }
}

/// The texts of a JSON list, as a cell of tags has them.
fn list(cell: &str) -> Option<String> {
    if !cell.trim_start().starts_with('[') {
        return None;
    }
    let texts: Vec<String> = serde_json::from_str(cell).ok()?;
    Some(texts.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::code::Code;
    use crate::domain::tag::TagId;

    fn names(list: &str) -> Vec<String> {
        list.split(',').map(str::to_owned).collect()
    }

    fn find(list: &str, named: &[(&str, &str)]) -> Result<MemberColumns, ColumnsError> {
        let named: Vec<_> =
            named.iter().map(|(field, column)| (field.to_string(), column.to_string())).collect();
        MemberColumns::find(&names(list), &named)
    }

    #[test]
    fn columns_are_known_by_the_names_that_files_have() {
        let columns = find("id,E-Mail,first_name,last_name,updated_at,tags", &[]).expect("found");
        assert_eq!(columns.read(), [1, 2, 3, 5]);
        assert_eq!(columns.meaning(), "`E-Mail`, `first_name`, `last_name`, `tags`");
    }

    #[test]
    fn a_column_that_was_named_wins_over_one_that_is_called_so() {
        let columns =
            find("email,mail,groups,tags", &[("email", "mail"), ("tags", "GROUPS")]).expect("found");
        assert_eq!(columns.read(), [1, 2]);
        assert_eq!(columns.meaning(), "`mail` as email, `groups` as tags");
    }

    #[test]
    fn what_is_missing_or_in_doubt_is_named_with_what_to_write() {
        let said = |list, named: &[(&str, &str)]| find(list, named).expect_err("refused").to_string();
        let missing = said("id,mail,groups", &[("tags", "group")]);
        assert!(missing.contains("has no column `group`, which `columns.tags` names"), "{missing}");
        assert!(missing.contains("did you mean `groups`?"), "{missing}");
        let none = said("id,emial", &[]);
        assert!(none.contains("it has `id`, `emial`") && none.contains("{ email = \"emial\" }"), "{none}");
        let two = said("Email,E-mail", &[]);
        assert!(two.contains("`Email` and `E-mail`") && two.contains("{ email = \"Email\" }"), "{two}");
    }

    #[test]
    fn rows_are_read_as_those_of_files_are() {
        let columns = find("email,name,tags", &[]).expect("found");
        let book = TagBook::new([("vip".to_owned(), TagId::parse("tag-vip").expect("an id"))]);
        let (extra, mut sets) = (TagSet::default(), TagSets::default());
        let mut rows = QueryMembers::new(&columns, &ReadOptions::default(), &book, &extra, &mut sets);
        let mut read = |cells: [Option<&str>; 3]| {
            let cells: Vec<Option<String>> = cells.iter().map(|cell| cell.map(str::to_owned)).collect();
            let row = rows.row(7, &cells);
            assert_eq!(row.line, 7);
            row.read
                .map(|member| format!("{} {} {}", member.address.canonical(), member.name, member.tag_set))
                .map_err(|error| (error.code, error.email))
        };
        assert_eq!(
            read([Some(" a@x.org "), Some("Ana, \"Ms\""), None]),
            Ok("a@x.org Ana, \"Ms\" 0".to_owned())
        );
        assert_eq!(read([Some("b@x.org"), None, Some("vip")]), Ok("b@x.org  1".to_owned()));
        assert_eq!(
            read([Some("b@x.org"), None, Some("[\"vip\", \"tag-vip\"]")]),
            Ok("b@x.org  1".to_owned())
        );
        assert_eq!(read([None, Some("x"), None]), Err((Code::EmailMissing, None)));
        assert_eq!(read([Some("42"), None, None]), Err((Code::EmailInvalid, Some("42".to_owned()))));
        assert_eq!(read([Some("a@x.org"), None, Some("no")]).expect_err("unknown").0, Code::TagUnknown);
        assert_eq!(read([Some("a@x.org"), Some("A\0"), None]).expect_err("zero").0, Code::RowMalformed);
        assert_eq!(read([Some("a\u{fffd}@x.org"), None, None]).expect_err("bytes").0, Code::EncodingInvalid);
    }
}
