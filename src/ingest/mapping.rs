//! Which column is what: by the names in the header, or by the addresses of a list that has none.

use std::borrow::Cow;

use super::cells::restore;
use super::error::Fault;
use crate::domain::email::Address;

/// The columns our own result files add at the end.
pub(crate) const OURS: [&str; 3] = ["_row", "_code", "_reason"];

const EMAIL: &[&str] = &["email", "emailaddress", "mail"];
const NAME: &[&str] = &["name", "fullname"];
const FIRST: &[&str] = &["firstname"];
const LAST: &[&str] = &["lastname"];
const TAGS: &[&str] = &["tags", "tag"];

const HEADER_EXCERPT: usize = 200;

/// The places of the columns we read, from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) header: Vec<String>,
    pub(crate) headerless: bool,
    /// How many columns a row must have: those after the last name of the header may be missing.
    pub(crate) required: usize,
    pub(crate) email: usize,
    pub(crate) name: Option<usize>,
    pub(crate) first: Option<usize>,
    pub(crate) last: Option<usize>,
    pub(crate) tags: Option<usize>,
    /// The file is one of our own result files, whose cells are guarded against spreadsheets.
    pub(crate) ours: bool,
    /// What was guessed.
    pub(crate) notes: Vec<String>,
}

impl Mapping {
    /// Reads the first records of a file.
    pub(crate) fn new(rows: &[Vec<String>]) -> Result<Self, Fault> {
        let first = rows.first().ok_or(Fault::Empty)?;
        let ours = OURS.iter().all(|name| first.iter().any(|cell| cell.trim() == *name));
        let restored = |cell: &String| if ours { restore(cell).to_owned() } else { cell.clone() };
        let header: Vec<String> = first.iter().map(restored).collect();
        let mut notes = Vec::new();
        match find_email(&header, &mut notes)? {
            Some(email) => {
                let find = |names| find(&header, names);
                let (name, tags) = (find(NAME), find(TAGS));
                let (first, last) = (find(FIRST), find(LAST));
                let required =
                    header.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
                Ok(Self { email, name, first, last, tags, ours, notes, required, header, headerless: false })
            }
            None => Self::without_header(rows).ok_or_else(|| no_email(&header, rows)),
        }
    }

    /// A list of addresses that starts at once: one column, and one only, holds them.
    fn without_header(rows: &[Vec<String>]) -> Option<Self> {
        let first = rows.first()?;
        if first.iter().any(|cell| is_known(cell)) {
            return None;
        }
        let (email, rest) = address_columns(rows).split_first().map(|(at, rest)| (*at, rest.len()))?;
        if rest > 0 || !first.get(email)?.contains('@') {
            return None;
        }
        let name = |at| if at == email { "email".to_owned() } else { format!("column_{}", at + 1) };
        let notes = vec![format!("there is no header; column {} holds the addresses", email + 1)];
        let header: Vec<String> = (0..first.len()).map(name).collect();
        Some(Self { required: header.len(), header, headerless: true, email, notes, ..Self::default() })
    }

    /// The name of a column, for messages.
    pub(crate) fn name_of(&self, column: usize) -> Cow<'_, str> {
        match self.header.get(column) {
            Some(name) if !self.headerless => Cow::Borrowed(name.trim()),
            _ => Cow::Owned((column + 1).to_string()),
        }
    }
}

/// Whether a header cell has a name that means something to us.
pub(crate) fn is_known(cell: &str) -> bool {
    let plain = plain(cell);
    [EMAIL, NAME, FIRST, LAST, TAGS].concat().contains(&plain.as_str()) || OURS.contains(&cell.trim())
}

/// A name without case, space, and the marks by which spellings differ.
fn plain(cell: &str) -> String {
    let dropped = |c: char| {
        c.is_whitespace() || matches!(c, '_' | '-' | '"' | '\'' | '\u{feff}' | '\u{2011}' | '\u{200b}')
    };
    cell.chars().filter(|c| !dropped(*c)).flat_map(char::to_lowercase).collect()
}

/// The column with the best claim to one of `names`: spelt as the first of them, else the earliest name.
fn find(header: &[String], names: &[&str]) -> Option<usize> {
    let exact = header.iter().position(|cell| Some(&cell.trim()) == names.first());
    exact.or_else(|| names.iter().find_map(|name| header.iter().position(|cell| plain(cell) == *name)))
}

fn find_email(header: &[String], notes: &mut Vec<String>) -> Result<Option<usize>, Fault> {
    let claims: Vec<usize> =
        (0..header.len()).filter(|at| EMAIL.contains(&plain(&header[*at]).as_str())).collect();
    let exact: Vec<usize> = claims.iter().copied().filter(|at| header[*at].trim() == "email").collect();
    let best = if exact.is_empty() { &claims } else { &exact };
    let Some((email, others)) = best.split_first().map(|(email, others)| (*email, others)) else {
        return Ok(None);
    };
    let same = |at: &&usize| plain(&header[**at]) == plain(&header[email]);
    if let Some(other) = others.iter().find(same) {
        return Err(Fault::TwoEmails {
            first: excerpt(&header[email]),
            first_at: email + 1,
            second: excerpt(&header[*other]),
            second_at: other + 1,
        });
    }
    for other in claims.iter().filter(|at| **at != email) {
        notes.push(format!(
            "the addresses are taken from column {} (`{}`), not from column {} (`{}`)",
            email + 1,
            excerpt(&header[email]),
            other + 1,
            excerpt(&header[*other])
        ));
    }
    Ok(Some(email))
}

/// The columns where at least half of the records have an address.
fn address_columns(rows: &[Vec<String>]) -> Vec<usize> {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let holds = |row: &&Vec<String>, at: usize| row.get(at).is_some_and(|cell| Address::parse(cell).is_ok());
    (0..width).filter(|at| rows.iter().filter(|row| holds(row, *at)).count() * 2 >= rows.len()).collect()
}

fn no_email(header: &[String], rows: &[Vec<String>]) -> Fault {
    let close = |cell: &&String| {
        let plain = plain(cell);
        plain.chars().count() > 2 && EMAIL.iter().any(|name| strsim::osa_distance(name, &plain) <= 2)
    };
    let holding = || match address_columns(rows.get(1..).filter(|rest| !rest.is_empty())?).as_slice() {
        [only] => header.get(*only),
        _ => None,
    };
    let meant = header.iter().find(close).or_else(holding).map(|cell| excerpt(cell));
    // A first line that holds an address is a person, not a header.
    let shown = header.iter().map(|cell| if cell.contains('@') { "…@…" } else { cell.trim() });
    let header: String = shown.collect::<Vec<_>>().join(", ").chars().take(HEADER_EXCERPT).collect();
    Fault::NoEmail { header, meant }
}

fn excerpt(cell: &str) -> String {
    cell.trim().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[&str]) -> Result<Mapping, Fault> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.split(',').map(str::to_owned).collect()).collect();
        Mapping::new(&rows)
    }

    #[test]
    fn names_are_known_in_any_spelling() {
        for name in
            ["email", "E-mail", "EMAIL ADDRESS", "Mail", "emailaddress", "e-mail address", " email_address "]
        {
            assert_eq!(map(&[&format!("id,{name}")]).expect("mapped").email, 1, "{name}");
        }
        let mapping = map(&["Full Name,First name,last_name,Email,Tag"]).expect("mapped");
        assert_eq!(
            (mapping.name, mapping.first, mapping.last, mapping.tags),
            (Some(0), Some(1), Some(2), Some(4))
        );
        assert!(!mapping.ours && !mapping.headerless && mapping.notes.is_empty());
    }

    #[test]
    fn lumas_exports_are_read_by_name_and_a_question_never_wins() {
        let guests = "api_id,name,first_name,last_name,email,phone_number,created_at,Email,Your name?";
        let mapping = map(&[guests]).expect("mapped");
        assert_eq!((mapping.email, mapping.name, mapping.tags), (4, Some(1), None));
        assert_eq!(mapping.notes.len(), 1);
        assert_eq!(map(&["Email,name,email"]).expect("mapped").email, 2);
    }

    #[test]
    fn two_columns_with_one_claim_are_an_error_that_names_both() {
        let error = map(&["Email,name,E-mail"]).expect_err("refused").to_string();
        assert!(error.contains("`Email` (number 1)") && error.contains("`E-mail` (number 3)"), "{error}");
        assert!(map(&["email,email"]).is_err());
        assert_eq!(map(&["Mail,Email Address"]).expect("mapped").email, 0);
    }

    #[test]
    fn a_missing_column_is_guessed_at() {
        let meant = |rows: &[&str]| match map(rows) {
            Err(Fault::NoEmail { meant, .. }) => meant,
            other => panic!("{other:?}"),
        };
        assert_eq!(meant(&["id,emial"]).as_deref(), Some("emial"));
        assert_eq!(meant(&["id,Correo", "1,a@x.org", "2,b@x.org"]).as_deref(), Some("Correo"));
        assert_eq!(meant(&["id,phone"]), None);
        assert_eq!(meant(&["name,contact", "Ana,5"]), None);
    }

    #[test]
    fn a_bare_list_of_addresses_needs_no_header() {
        let mapping = map(&["7,a@x.org,Ana", "8,b@x.org,Bo"]).expect("mapped");
        assert_eq!(
            (mapping.email, mapping.headerless, mapping.header.join(",")),
            (1, true, "column_1,email,column_3".into())
        );
        assert!(map(&["a..b@x.org", "b@x.org", "c@x.org"]).expect("mapped").headerless);
        let error = map(&["a@x.org,b@x.org"]).expect_err("two columns").to_string();
        assert!(!error.contains("a@x.org"), "{error}");
    }
}
