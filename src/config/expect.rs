//! `expect`: what may be expected of a source, or of the drop folder.

use std::time::Duration;

use super::reader::Reader;
use super::values::{self, Wrong, shown};
use crate::domain::expect::Expectation;

/// The `expect` of the section that begins with `at`; nothing where it holds nothing.
pub(super) fn expect(reader: &mut Reader<'_>, at: &str) -> Option<Expectation> {
    let every = reader.read(&format!("{at}.expect.every"), every);
    let min_rows = reader.read(&format!("{at}.expect.min_rows"), min_rows);
    (every.is_some() || min_rows.is_some()).then_some(Expectation { every, min_rows })
}

fn every(text: &str) -> Result<Duration, Wrong> {
    match values::duration(text)? {
        Duration::ZERO => Err(Wrong::new("is nothing, which no source keeps", "write it like `26h`")),
        every => Ok(every),
    }
}

fn min_rows(text: &str) -> Result<u64, Wrong> {
    let wrong = || Wrong::new(format!("is `{}`", shown(text)), "write a whole number, like `100`");
    text.trim().parse().map_err(|_| wrong())
}
