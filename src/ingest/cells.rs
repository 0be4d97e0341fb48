//! The cells of one record whose ends are known.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

/// Where the cells of a record stand. Kept from record to record, so that splitting allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Cells(Vec<Cell>);

#[derive(Clone, Copy, Debug)]
struct Cell {
    start: usize,
    end: usize,
    quoted: bool,
}

impl Cells {
    /// Takes a record apart; `quoted` says whether quotes may mean anything in it.
    pub(crate) fn split(&mut self, record: &str, quoted: bool, delimiter: u8) {
        self.0.clear();
        if quoted {
            self.split_quoted(record.as_bytes(), delimiter);
            return;
        }
        let mut start = 0;
        for end in memchr_iter(delimiter, record.as_bytes()) {
            self.0.push(Cell { start, end, quoted: false });
            start = end + 1;
        }
        self.0.push(Cell { start, end: record.len(), quoted: false });
    }

    /// Takes the cells of a record that lie one after the other, by where each ends.
    pub(crate) fn set(&mut self, ends: &[usize]) {
        self.0.clear();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        self.0.extend(starts.zip(ends).map(|(start, end)| Cell { start, end: *end, quoted: false }));
    }

    fn split_quoted(&mut self, record: &[u8], delimiter: u8) {
        let mut start = 0;
        loop {
            let quoted = record.get(start) == Some(&b'"');
            let from = if quoted { past_quotes(record, start) } else { start };
            let end = memchr(delimiter, &record[from..]).map_or(record.len(), |offset| from + offset);
            self.0.push(Cell { start, end, quoted });
            if end == record.len() {
                return;
            }
            start = end + 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where a cell begins in the record; its end where there is no such cell.
    pub(crate) fn start(&self, index: usize) -> usize {
        self.0.get(index).or(self.0.last()).map_or(0, |cell| cell.start)
    }

    /// A cell without its outer quotes, doubled quotes still doubled.
    pub(crate) fn raw<'r>(&self, record: &'r str, index: usize) -> &'r str {
        let Some(cell) = self.0.get(index) else { return "" };
        let text = &record[cell.start..cell.end];
        if cell.quoted { inside(text) } else { text }
    }

    /// What a cell says.
    pub(crate) fn text<'r>(&self, record: &'r str, index: usize) -> Cow<'r, str> {
        let raw = self.raw(record, index);
        match self.0.get(index) {
            Some(cell) if cell.quoted && raw.contains("\"\"") => Cow::Owned(raw.replace("\"\"", "\"")),
            _ => Cow::Borrowed(raw),
        }
    }
}

/// A quoted text without its quotes; the closing one may be missing in a broken record.
fn inside(text: &str) -> &str {
    let text = text.strip_prefix('"').unwrap_or(text);
    text.strip_suffix('"').unwrap_or(text)
}

fn past_quotes(record: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(offset) = memchr(b'"', &record[at..]) {
        at += offset + 1;
        if record.get(at) != Some(&b'"') {
            return at;
        }
        at += 1;
    }
    record.len()
}

/// Stands in our result files for a cell that its row does not have; a row that holds it is not mended yet.
pub const MISSING: &str = "<missing>";

/// Whether a spreadsheet would run a cell that begins so, or eat its first character.
const fn is_risky(first: char) -> bool {
    matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r' | '\'')
}

/// A cell as it goes into a file that people open in spreadsheets.
#[must_use]
pub fn neutralise(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(is_risky) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell that `neutralise` was given.
pub(crate) fn restore(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(is_risky)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_come_off_and_doubled_ones_are_halved() {
        let record = "plain,\"a, \"\"b\"\"\",\"\",5\" pipe,";
        let mut cells = Cells::default();
        cells.split(record, true, b',');
        let texts: Vec<_> = (0..cells.len()).map(|index| cells.text(record, index)).collect();
        assert_eq!(texts, ["plain", "a, \"b\"", "", "5\" pipe", ""]);
        assert_eq!((cells.start(1), cells.text(record, 9).as_ref()), (6, ""));
    }

    proptest! {
        #[test]
        fn any_cell_survives_a_spreadsheets_guard(cell in "['=+@\t\r\\-a]{0,4}.{0,5}") {
            let guarded = neutralise(&cell);
            prop_assert_eq!(restore(&guarded), &cell);
            prop_assert!(!guarded.starts_with(['=', '+', '-', '@', '\t', '\r']));
        }
    }
}
