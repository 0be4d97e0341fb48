//! Which column is what: by the names in the header, or by the addresses of a list that has none.

use std::borrow::Cow;

use super::cells::{Cells, restore};
use super::columns::{
    EMAIL, EMAIL_ELSEWHERE, FIRST, LAST, NAME, OURS, STATUS, TAGS, is_known, is_like_email, is_like_tags,
    plain,
};
use super::error::Fault;
use crate::domain::email::Address;

const HEADER_EXCERPT: usize = 200;
/// How many columns that are not read are named.
const UNREAD_NAMED: usize = 8;
/// How the note of such columns begins.
pub(crate) const NOT_READ: &str = "not read: ";

/// What the first record says of all others, whatever they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heading {
    pub(crate) header: Vec<String>,
    pub(crate) headerless: bool,
    /// How many columns a row must have: those after the last name of the header, and ours, may be missing.
    pub(crate) required: usize,
    /// The file is one of our own result files, whose cells are guarded against spreadsheets.
    pub(crate) ours: bool,
    /// What was guessed, and what is not read.
    pub(crate) notes: Vec<String>,
    /// What a person should look at before they trust the outcome.
    pub(crate) warnings: Vec<String>,
}

impl Heading {
    /// Reads the first record as the names of columns.
    pub(crate) fn new(first: &[String]) -> Self {
        let ours = OURS.iter().all(|name| first.iter().any(|cell| cell.trim() == *name));
        let restored = |cell: &String| if ours { restore(cell).to_owned() } else { cell.clone() };
        let header: Vec<String> = first.iter().map(restored).collect();
        let is_named = |cell: &String| !cell.trim().is_empty() && !OURS.contains(&cell.trim());
        let required = header.iter().rposition(is_named).map_or(0, |last| last + 1);
        Self { header, headerless: false, required, ours, notes: Vec::new(), warnings: Vec::new() }
    }

    /// The name of a column, for messages.
    pub(crate) fn name_of(&self, column: usize) -> Cow<'_, str> {
        match self.header.get(column) {
            Some(name) if !self.headerless => Cow::Borrowed(name.trim()),
            _ => Cow::Owned((column + 1).to_string()),
        }
    }

    /// What is wrong with the width of a record, and in which cell. More columns than the header are
    /// fine as long as they are empty.
    pub(crate) fn misfit(&self, cells: &Cells, record: &str) -> Option<(String, usize)> {
        let (found, expected) = (cells.len(), self.header.len());
        let extra = (expected..found).find(|index| !cells.raw(record, *index).trim().is_empty());
        if found == expected || (found >= self.required && extra.is_none()) {
            return None;
        }
        let at = extra.map_or(record.len(), |index| cells.start(index));
        let whose = if self.headerless { "the first line" } else { "the header" };
        let plural = if found == 1 { "" } else { "s" };
        Some((format!("the row has {found} column{plural} and {whose} {expected}"), at))
    }
}

/// The places of the columns of members, from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) heading: Heading,
    pub(crate) email: usize,
    pub(crate) name: Option<usize>,
    pub(crate) first: Option<usize>,
    pub(crate) last: Option<usize>,
    /// Whatever column is called so: what they hold counts together.
    pub(crate) tags: Vec<usize>,
    pub(crate) status: Option<usize>,
}

impl Mapping {
    /// Reads the first records of a file.
    pub(crate) fn new(rows: &[Vec<String>]) -> Result<Self, Fault> {
        let heading = Heading::new(rows.first().ok_or(Fault::Empty)?);
        match Self::by_names(heading)? {
            Ok(mapping) => Ok(mapping),
            Err(heading) => Self::without_header(rows).ok_or_else(|| no_email(&heading.header, rows)),
        }
    }

    /// Goes by the names alone; the heading comes back where none of them is that of an address.
    pub(crate) fn by_names(mut heading: Heading) -> Result<Result<Self, Heading>, Fault> {
        let Some(email) = find_email(&heading.header, &mut heading.notes)? else { return Ok(Err(heading)) };
        let find = |names| find(&heading.header, names);
        let (name, tags) = (find(NAME), find_all(&heading.header, TAGS));
        let (first, last, status) = (find(FIRST), find(LAST), find(STATUS));
        let others = [Some(email), name, first, last, status];
        let read: Vec<Option<usize>> = others.into_iter().chain(tags.iter().copied().map(Some)).collect();
        heading.notes.extend(unread(&heading.header, &read));
        if tags.is_empty() {
            heading.warnings = like_tags(&heading.header, &read);
        }
        Ok(Ok(Self { heading, email, name, first, last, tags, status }))
    }

    /// The same without all columns but that of the addresses.
    pub(crate) fn only_addresses(self) -> Self {
        Self { heading: self.heading, email: self.email, ..Self::default() }
    }

    /// Whether this is the header of a list of members.
    pub(crate) fn names_addresses(row: &[String]) -> bool {
        !matches!(find_email(row, &mut Vec::new()), Ok(None))
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
        let notes = vec![format!("column {} holds the addresses", email + 1)];
        let header: Vec<String> = (0..first.len()).map(name).collect();
        let heading =
            Heading { required: header.len(), header, headerless: true, notes, ..Heading::default() };
        Some(Self { heading, email, ..Self::default() })
    }
}

/// The column with the best claim to one of `names`: spelt as the first of them, else the earliest name.
fn find(header: &[String], names: &[&str]) -> Option<usize> {
    let exact = header.iter().position(|cell| Some(&cell.trim()) == names.first());
    exact.or_else(|| names.iter().find_map(|name| header.iter().position(|cell| plain(cell) == *name)))
}

/// Every column that is called by one of `names`.
fn find_all(header: &[String], names: &[&str]) -> Vec<usize> {
    (0..header.len()).filter(|at| names.contains(&plain(&header[*at]).as_str())).collect()
}

fn find_email(header: &[String], notes: &mut Vec<String>) -> Result<Option<usize>, Fault> {
    let claims_to = |names: &[&str]| -> Vec<usize> {
        (0..header.len()).filter(|at| names.contains(&plain(&header[*at]).as_str())).collect()
    };
    let common = claims_to(EMAIL);
    let claims = if common.is_empty() { claims_to(EMAIL_ELSEWHERE) } else { common };
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
    let holding = || match address_columns(rows.get(1..).filter(|rest| !rest.is_empty())?).as_slice() {
        [only] => header.get(*only),
        _ => None,
    };
    let meant = header.iter().find(|cell| is_like_email(cell)).or_else(holding).map(|cell| excerpt(cell));
    // A first line that holds an address is a person, not a header.
    let shown = header.iter().map(|cell| discreet(cell));
    let header: String = shown.collect::<Vec<_>>().join(", ").chars().take(HEADER_EXCERPT).collect();
    Fault::NoEmail { header, meant }
}

pub(crate) fn excerpt(cell: &str) -> String {
    cell.trim().chars().take(60).collect()
}

/// A header cell, unless it is somebody's address.
fn discreet(cell: &str) -> String {
    if cell.contains('@') { "…@…".to_owned() } else { excerpt(cell) }
}

/// The columns that mean nothing to us, each named once.
pub(crate) fn unread(header: &[String], read: &[Option<usize>]) -> Option<String> {
    let is_unread = |at: &usize| !read.contains(&Some(*at)) && !OURS.contains(&header[*at].trim());
    let names: Vec<String> = (0..header.len())
        .filter(is_unread)
        .filter(|at| !header[*at].trim().is_empty())
        .map(|at| format!("`{}`", discreet(&header[at])))
        .collect();
    let more = names.len().saturating_sub(UNREAD_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let first = names.iter().take(UNREAD_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("{NOT_READ}{first}{more}"))
}

/// Columns that may hold tags, where no column is called so: without a word their people would go untagged.
fn like_tags(header: &[String], read: &[Option<usize>]) -> Vec<String> {
    (0..header.len())
        .filter(|at| !read.contains(&Some(*at)) && is_like_tags(&header[*at]))
        .map(|at| {
            format!(
                "nobody is tagged by column {} (`{}`): did you mean `tags`? Rename it if it holds tags",
                at + 1,
                discreet(&header[at])
            )
        })
        .collect()
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
            (Some(0), Some(1), Some(2), vec![4])
        );
        assert!(!mapping.heading.ours && !mapping.heading.headerless && mapping.heading.notes.is_empty());
    }

    #[test]
    fn exports_of_other_programs_and_languages_are_known() {
        for (header, email, first, last) in [
            ("Email Address,First Name,Last Name,MEMBER_RATING,TAGS", 0, 1, 2),
            ("Order #,First Name,Last Name,Email,Attendee Status", 3, 1, 2),
            ("Record ID,First Name,Last Name,Work Email,Email,Lifecycle Stage", 4, 1, 2),
            ("Name,Given Name,Family Name,Group Membership,E-mail 1 - Type,E-mail 1 - Value", 5, 1, 2),
            ("Mail Address,First Name,Surname", 0, 1, 2),
            ("Vorname,Nachname,E-Mail-Adresse", 2, 0, 1),
            ("Prénom,Nom,Adresse e-mail", 2, 0, 1),
            ("Nombre,Apellidos,Correo electrónico", 2, 0, 1),
        ] {
            let mapping = map(&[header]).expect("mapped");
            assert_eq!(
                (mapping.email, mapping.first, mapping.last),
                (email, Some(first), Some(last)),
                "{header}"
            );
        }
        assert!(map(&["Attendee Email,attendee_email"]).is_err(), "two with one claim");
    }

    #[test]
    fn a_column_that_may_hold_tags_is_asked_about_where_none_is_called_so() {
        for name in ["Labels", "Groups", "Segment", "Group Membership", "tasg", "Étiquettes"] {
            let mapping = map(&[&format!("email,{name}")]).expect("mapped");
            assert_eq!((mapping.tags, mapping.heading.warnings.len()), (vec![], 1), "{name}");
            assert!(
                mapping.heading.warnings[0].contains(&format!("column 2 (`{name}`): did you mean `tags`?"))
            );
            assert!(
                map(&[&format!("email,tags,{name}")]).expect("mapped").heading.warnings.is_empty(),
                "{name}"
            );
        }
        assert!(map(&["email,phone,notes"]).expect("mapped").heading.warnings.is_empty());
    }

    #[test]
    fn columns_that_are_not_read_are_named_and_an_address_among_them_is_not() {
        let many: Vec<String> = (1..=10).map(|at| format!("q{at}")).collect();
        let mapping = map(&[&format!("email,bo@x.org,{}", many.join(","))]).expect("mapped");
        assert_eq!(
            mapping.heading.notes,
            ["not read: `…@…`, `q1`, `q2`, `q3`, `q4`, `q5`, `q6`, `q7` and 3 more"]
        );
    }

    #[test]
    fn lumas_exports_are_read_by_name_and_a_question_never_wins() {
        let guests = "api_id,name,first_name,last_name,email,phone_number,created_at,Email,Your name?";
        let mapping = map(&[guests]).expect("mapped");
        assert_eq!((mapping.email, mapping.name, mapping.tags), (4, Some(1), vec![]));
        let notes = mapping.heading.notes.join("; ");
        assert!(
            notes.contains("not read: `api_id`, `phone_number`, `created_at`, `Email`, `Your name?`"),
            "{notes}"
        );
        assert_eq!((mapping.heading.notes.len(), mapping.heading.warnings.len()), (2, 0));
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
        assert_eq!(meant(&["id,Kontakt", "1,a@x.org", "2,b@x.org"]).as_deref(), Some("Kontakt"));
        assert_eq!(meant(&["id,phone"]), None);
        assert_eq!(meant(&["name,contact", "Ana,5"]), None);
    }

    #[test]
    fn a_bare_list_of_addresses_needs_no_header() {
        let mapping = map(&["7,a@x.org,Ana", "8,b@x.org,Bo"]).expect("mapped");
        assert_eq!(
            (mapping.email, mapping.heading.headerless, mapping.heading.header.join(",")),
            (1, true, "column_1,email,column_3".into())
        );
        assert!(map(&["a..b@x.org", "b@x.org", "c@x.org"]).expect("mapped").heading.headerless);
        let error = map(&["a@x.org,b@x.org"]).expect_err("two columns").to_string();
        assert!(!error.contains("a@x.org"), "{error}");
    }
}
