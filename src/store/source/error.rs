//! What can go wrong with somebody else's database. No text holds a URL, a password or an address.

use std::time::Duration;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

/// Why a source cannot be read. The text reads on after the source's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no connection, or it broke.
    #[error("cannot {what}: {said}\nhint: {hint}")]
    Connection {
        /// What was tried.
        what: &'static str,
        /// What the driver said.
        said: String,
        /// What to do.
        hint: &'static str,
        /// Whether the same may do later.
        is_passing: bool,
    },
    /// The database refuses the query.
    #[error("has a query that its database refuses{place}: {said}\nhint: {hint}")]
    Query {
        /// Where in the query: ` (line 2, column 7)`, or nothing.
        place: String,
        /// What the database said.
        said: String,
        /// What to do.
        hint: &'static str,
    },
    /// It took too long.
    #[error(
        "took longer than {0:?}, and was given up\nhint: raise `timeout` of the source, or let the query find less"
    )]
    TooSlow(Duration),
    /// More than one statement.
    #[error("has more than one statement in its query\nhint: write a single `select`")]
    SeveralStatements,
    /// Values that nobody gives.
    #[error(
        "has a placeholder in its query, and nobody fills it in\nhint: leave it out; with `cursor` the query is wrapped, and needs none"
    )]
    Placeholder,
    /// A statement without an answer.
    #[error("has a query that answers with no columns\nhint: write a single `select`")]
    NoRows,
    /// A cursor that cannot be compared.
    #[error("has bytes, and no text or number, in `{column}`\nhint: {hint}")]
    Bytes {
        /// The column.
        column: String,
        /// What to do.
        hint: &'static str,
    },
}

const READ_ONLY: &str = "a source is only read from: write a single `select`";

impl SourceError {
    /// Whether the same may do later, with nothing changed.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Connection { is_passing, .. } => *is_passing,
            Self::TooSlow(_) => true,
            Self::Query { .. }
            | Self::SeveralStatements
            | Self::Placeholder
            | Self::NoRows
            | Self::Bytes { .. } => false,
        }
    }

    /// Whether the query, and not its database, is to be mended.
    #[must_use]
    pub const fn is_about_the_query(&self) -> bool {
        match self {
            Self::Query { .. }
            | Self::SeveralStatements
            | Self::Placeholder
            | Self::NoRows
            | Self::Bytes { .. } => true,
            Self::Connection { .. } | Self::TooSlow(_) => false,
        }
    }

    /// A connection that could not be opened.
    pub(super) fn opening(error: &sqlx::Error) -> Self {
        let what = "open its database";
        let hint = "look at its `url`, and whether the database is there and lets this machine and user in";
        let is_passing = match error {
            sqlx::Error::Database(inner) => passes(inner.as_ref()),
            error => matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut),
        };
        Self::Connection { what, said: said(error), hint, is_passing }
    }

    /// Something that happened to a query.
    pub(super) fn of(error: &sqlx::Error, query: &str, timeout: Duration) -> Self {
        let sqlx::Error::Database(inner) = error else {
            let hint = "nothing of it was taken in; try again later";
            return Self::Connection { what: "read on", said: said(error), hint, is_passing: true };
        };
        let code = inner.code().unwrap_or_default();
        let postgres = inner.try_downcast_ref::<PgDatabaseError>();
        match (code.as_ref(), postgres) {
            ("57014", Some(_)) | ("9", None) => Self::TooSlow(timeout),
            // Nothing else is said of several statements; the parser is at the second one.
            ("42601", Some(_)) if inner.message().contains("multiple commands") => Self::SeveralStatements,
            _ if passes(inner.as_ref()) => {
                let hint = "nothing of it was taken in; try again later";
                Self::Connection { what: "read on", said: said(error), hint, is_passing: true }
            }
            ("25006", Some(_)) | ("8", None) => {
                Self::Query { place: String::new(), said: said(error), hint: READ_ONLY }
            }
            _ => {
                let place = postgres.and_then(|error| match error.position() {
                    Some(PgErrorPosition::Original(at)) => place(query, at),
                    _ => None,
                });
                let hint = "try the query in the database's own shell, as the same user";
                Self::Query { place: place.unwrap_or_default(), said: said(error), hint }
            }
        }
    }
}

/// Whether the database is busy, restarting or out of reach.
fn passes(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    match error.try_downcast_ref::<PgDatabaseError>() {
        Some(_) => ["08", "40", "53", "55P03", "57P"].iter().any(|class| code.starts_with(class)),
        None => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10)),
    }
}

/// Line and column of a character, from 1, where it stands in the query.
fn place(query: &str, at: usize) -> Option<String> {
    let before: String = query.chars().take(at.checked_sub(1)?).collect();
    if before.chars().count() + 1 != at || at > query.chars().count() + 1 {
        return None;
    }
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Some(format!(" (line {line}, column {column})"))
}

/// What the driver said, on one line and without what could be an address or a URL: databases quote values.
fn said(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        // Its text may quote the URL.
        sqlx::Error::Configuration(_) => return "the URL cannot be understood".to_owned(),
        error => error.to_string(),
    };
    let word = |word: &str| {
        if word.contains('@') || word.contains("://") { "…".to_owned() } else { word.to_owned() }
    };
    let text: Vec<String> = text.split_whitespace().map(word).collect();
    text.join(" ").chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_error_is_that_in_the_query_as_written() {
        let query = "select mail\nfrom mémbers\n where nothing";
        assert_eq!(place(query, 1).as_deref(), Some(" (line 1, column 1)"));
        assert_eq!(place(query, 18).as_deref(), Some(" (line 2, column 6)"));
        assert_eq!(place(query, 27).as_deref(), Some(" (line 3, column 2)"));
        assert_eq!((place(query, 0), place(query, 99)), (None, None));
    }

    #[test]
    fn no_address_and_no_url_gets_through() {
        let error =
            sqlx::Error::Protocol("bad value \"ana@example.org\"\n in postgres://a:s3cret@h/d".into());
        let text = said(&error);
        assert!(!text.contains("ana") && !text.contains("s3cret") && text.contains("bad value"), "{text}");
        let text = said(&sqlx::Error::Configuration("s3cret".into()));
        assert!(!text.contains("s3cret"), "{text}");
    }
}
