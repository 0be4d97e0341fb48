//! `[retention]`: how long what has ended is kept.

use std::time::Duration;

use super::reader::Reader;
use super::values::{Wrong, duration};
use crate::domain::retention::Retention;

const HINT: &str = "write `1d` or more, like `30d`, or `forever`";

/// Reads the section.
pub(super) fn retention(reader: &mut Reader<'_>) -> Retention {
    let mut span = |name: &str| reader.read(&format!("retention.{name}"), span).flatten();
    Retention { attempts: span("attempts"), rows: span("rows"), archive: span("archive") }
}

/// Nothing where it is kept for ever.
fn span(text: &str) -> Result<Option<Duration>, Wrong> {
    let text = text.trim();
    if matches!(text, "forever" | "0") {
        return Ok(None);
    }
    match duration(text) {
        Ok(span) if span >= Retention::LEAST => Ok(Some(span)),
        Ok(_) => Err(Wrong::new(format!("is `{text}`, and a day is the least"), HINT)),
        Err(wrong) => Err(Wrong::new(wrong.message, HINT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_day_or_more_or_for_ever() {
        let day = Duration::from_hours(24);
        for (text, kept) in [("30d", Some(day * 30)), (" 24h ", Some(day)), ("forever", None), ("0", None)] {
            assert_eq!(span(text), Ok(kept), "{text}");
        }
        for text in ["23h", "0s", "30", "never", ""] {
            assert_eq!(span(text).map_err(|wrong| wrong.hint), Err(HINT.to_owned()), "{text}");
        }
    }
}
