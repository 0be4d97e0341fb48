//! The text of the statement that reads a source: somebody's query, wrapped.
//!
//! No name of a foreign column ever gets into it: the query's columns are renamed by their places.

use std::fmt::Write as _;

use sqlx::{Database, Either, Statement};

use super::{After, Reading, SourceColumn, SourceError};

/// A query without the end mark that people write; refused where another statement follows it.
///
/// Postgres refuses several statements itself. `SQLite`'s driver would carry out all of them, so what is quoted
/// and what is remarked is told apart here; whatever gets past that still meets a database opened to be read.
pub(super) fn one_statement(query: &str) -> Result<&str, SourceError> {
    let mut rest = query;
    while let Some(at) = rest.find(['\'', '"', '`', '[', '-', '/', '$', ';']) {
        let tail = &rest[at..];
        let length = match tail.as_bytes() {
            [b';', ..] => {
                let before = &query[..query.len() - tail.len()];
                return if is_blank(&tail[1..]) { Ok(before) } else { Err(SourceError::SeveralStatements) };
            }
            [b'-', b'-', ..] => tail.find('\n').unwrap_or(tail.len()),
            [b'/', b'*', ..] => past(tail, 2, "*/"),
            [b'[', ..] => past(tail, 1, "]"),
            [b'$', ..] => dollar_quoted(tail),
            [quote @ (b'\'' | b'"' | b'`'), ..] => past(tail, 1, char::from(*quote).encode_utf8(&mut [0; 4])),
            _ => 1,
        };
        rest = &tail[length..];
    }
    Ok(query)
}

/// Where something that began ends: behind its closing mark, or with the text.
fn past(text: &str, opening: usize, close: &str) -> usize {
    text[opening..].find(close).map_or(text.len(), |at| opening + at + close.len())
}

/// The length of a text in dollar quotes of Postgres, or of the sign alone.
fn dollar_quoted(text: &str) -> usize {
    let tag = text[1..].find('$').map(|end| &text[..end + 2]);
    let is_tag = |tag: &&str| tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
    tag.filter(is_tag).map_or(1, |tag| past(text, tag.len(), tag))
}

/// Whether there is nothing but space, remarks and further end marks.
fn is_blank(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
    let length = if text.starts_with("--") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        past(text, 2, "*/")
    } else {
        return text.is_empty();
    };
    is_blank(&text[length..])
}

/// Refuses a query that waits for values: it would get those of the place where a reading goes on, or none.
pub(super) fn no_placeholder<DB: Database>(
    prepared: &impl Statement<Database = DB>,
) -> Result<(), SourceError> {
    let count = match prepared.parameters() {
        None => 0,
        Some(Either::Left(types)) => types.len(),
        Some(Either::Right(count)) => count,
    };
    if count == 0 { Ok(()) } else { Err(SourceError::Placeholder) }
}

/// How a database wants the statement.
pub(super) trait Dialect {
    /// A column as the text of a cell.
    fn cell(&self, name: &str, column: &SourceColumn) -> String;
    /// A column as the value of a cursor or a key.
    fn cursor(&self, name: &str) -> String;
    /// A bind of the type that this column has.
    fn bind(&self, number: usize, column: &SourceColumn) -> String;
}

/// The statement for a reading. Its answer holds the cells, then the cursor and the key where there is one.
/// Binds are those of the place where it goes on.
pub(super) fn statement(reading: &Reading<'_>, dialect: &impl Dialect) -> Result<String, SourceError> {
    let query = one_statement(reading.query)?;
    let names: Vec<String> = (0..reading.columns.len()).map(|at| format!("c{at}")).collect();
    let cells = reading.read.iter().map(|at| dialect.cell(&names[*at], &reading.columns[*at]));
    let cursor = reading.cursor.as_ref();
    let cursors = cursor.into_iter().flat_map(|cursor| [cursor.value, cursor.key]);
    let answer: Vec<String> = cells.chain(cursors.map(|at| dialect.cursor(&names[at]))).collect();
    // On a line of its own, because it may end with a remark.
    let mut sql =
        format!("with q ({}) as (\n{query}\n) select {} from q", names.join(", "), answer.join(", "));
    if let Some(cursor) = cursor {
        // With the name of the table: alone they would be the cells, and be ordered as texts.
        let (value, key) = (format!("q.{}", names[cursor.value]), format!("q.{}", names[cursor.key]));
        let bind = |number, at: usize| dialect.bind(number, &reading.columns[at]);
        let since = cursor.after.as_ref().map(|after| match after {
            After::Row(_) => {
                format!("({value}, {key}) > ({}, {})", bind(1, cursor.value), bind(2, cursor.key))
            }
            After::From(_) => format!("{value} >= {}", bind(1, cursor.value)),
        });
        if let Some(since) = since {
            let _ = write!(sql, " where {value} is null or {key} is null or {since}");
        }
        let _ = write!(sql, " order by {value}, {key}");
    }
    Ok(sql)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_single_statement_is_told_from_several() {
        for (query, read) in [
            ("select 1", "select 1"),
            ("select 1;", "select 1"),
            ("select ';' ; -- done; really\n /* ; */ ;", "select ';' "),
            (
                "select \";\", `;`, [;] -- ;\n, '''', 'it''s;'",
                "select \";\", `;`, [;] -- ;\n, '''', 'it''s;'",
            ),
            ("select $$;$$, $x$;$$;$x$, $1", "select $$;$$, $x$;$$;$x$, $1"),
            ("select 1 /* ; ", "select 1 /* ; "),
            ("select 1 - 2 / 3;", "select 1 - 2 / 3"),
        ] {
            assert_eq!(one_statement(query), Ok(read), "{query}");
        }
        for query in [
            "select 1; select 2",
            "select 'a'; drop table x",
            "select 1) select 1; with z as (select 1",
            "select 1; -- x\n delete from members",
            "select 1;;/* */ attach 'x' as y",
        ] {
            assert_eq!(one_statement(query), Err(SourceError::SeveralStatements), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_breaks_it(query in "[a;'\"`$\\[\\]/*\\n é-]{0,40}") {
            if let Ok(read) = one_statement(&query) {
                prop_assert!(query.starts_with(read));
            }
        }
    }
}
