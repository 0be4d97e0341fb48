//! Pages of lists: how many rows, after which one, in which direction, and what names the next page.
//!
//! A cursor names the last row of its page, so rows that come or go meanwhile shift nothing. Knows
//! nothing of what a row is.

use serde_json::{Map, Value};

use super::body::{Complaints, Query};
use super::settings::{NextCursor, Settings};

/// Which page is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    limit: usize,
    /// The number of the row before the page.
    pub(super) after: Option<usize>,
    next_cursor: NextCursor,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}

impl Paging {
    pub(super) fn read(query: &Query, settings: &Settings, complaints: &mut Complaints<'_>) -> Self {
        let mut limit = settings.page_size;
        if let Some(text) = query.get("pagination_limit") {
            match text.parse::<u64>() {
                Ok(0) => complaints.add("pagination_limit", "Too small: expected number to be >0"),
                Ok(asked) => limit = usize::try_from(asked).unwrap_or(usize::MAX),
                Err(_) => {
                    complaints.add("pagination_limit", "Invalid input: expected number, received string");
                }
            }
        }
        let mut after = None;
        if let Some(text) = query.get("pagination_cursor") {
            after = parse_cursor(text);
            if after.is_none() {
                complaints.add("pagination_cursor", "Invalid cursor");
            }
        }
        Self { limit: limit.min(settings.max_page_size), after, next_cursor: settings.next_cursor }
    }

    /// The page that these rows begin with; each comes with its number.
    pub(super) fn page(&self, rows: impl Iterator<Item = (usize, Value)>) -> Value {
        let mut rows = rows.peekable();
        let mut last = None;
        let mut entries = Vec::new();
        while entries.len() < self.limit
            && let Some((number, row)) = rows.next()
        {
            last = Some(number);
            entries.push(row);
        }
        let has_more = rows.peek().is_some();
        let mut page = Map::new();
        page.insert("entries".into(), entries.into());
        page.insert("has_more".into(), has_more.into());
        if let Some(last) = last.filter(|_| has_more || self.next_cursor == NextCursor::Always) {
            page.insert("next_cursor".into(), cursor(last).into());
        }
        page.into()
    }
}

impl Direction {
    pub(super) fn read(query: &Query, complaints: &mut Complaints<'_>) -> Self {
        match query.get("sort_direction") {
            None | Some("asc" | "asc nulls last") => Self { descending: false, nulls_last: true },
            Some("desc") => Self { descending: true, nulls_last: false },
            Some("desc nulls last") => Self { descending: true, nulls_last: true },
            Some(other) => {
                let words = ["asc", "desc", "asc nulls last", "desc nulls last"];
                complaints.check_choice("sort_direction", other, &words);
                Self::default()
            }
        }
    }
}

/// Opaque: a client that looks into it learns nothing it could rely on.
fn cursor(number: usize) -> String {
    format!("page-{:08x}", number as u64 ^ 0x5bd1_e995)
}

fn parse_cursor(text: &str) -> Option<usize> {
    let number = u64::from_str_radix(text.strip_prefix("page-")?, 16).ok()?;
    usize::try_from(number ^ 0x5bd1_e995).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_nothing_else_is_one() {
        for number in [0, 1, 99, 1_000_000] {
            assert_eq!(parse_cursor(&cursor(number)), Some(number));
        }
        for other in ["", "page-", "page-x", "12", "page--1"] {
            assert_eq!(parse_cursor(other), None, "{other}");
        }
    }
}
