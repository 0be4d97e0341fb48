//! One person's story as the command line shows it.

use std::fmt::Write as _;

use super::words::{count, moment};
use crate::engine::{TracedFiles, confirmed, happened, printable, suppressed, waits};
use crate::store::Story;

/// All that is told.
pub(super) fn text(email: &str, story: &Story, files: &TracedFiles) -> String {
    let mut text = email.to_owned();
    for known in &story.confirmed {
        let _ = write!(text, "\n  {}", confirmed(known));
    }
    for entry in &story.suppressed {
        let _ = write!(text, "\n  {}", suppressed(entry));
    }
    if story.rows.is_empty() && files.files.is_empty() {
        text.push_str("\n  no row and no file names this person");
    }
    for moment_of in &story.moments {
        let at = moment_of.at.map_or_else(|| "at an unknown time".to_owned(), moment);
        let _ = write!(text, "\n  {at:<23}  {}", happened(story, moment_of));
    }
    for row in &story.rows {
        if let Some(waits) = waits(row) {
            let _ = write!(text, "\n  {:<23}  row {} {waits}", "now", row.id);
        }
    }
    if !files.files.is_empty() {
        text.push_str("\nin files:");
    }
    for file in &files.files {
        for hit in &file.found.hits {
            let outcome = file.outcome(hit).map(|outcome| format!(": {outcome}")).unwrap_or_default();
            let named = if hit.is_own { "" } else { ", named there" };
            let _ = write!(text, "\n  {} line {}{named}{outcome}", file.name(), hit.line);
        }
    }
    let _ = write!(text, "\n{} searched", count(files.searched, "file"));
    for (path, why) in &files.unread {
        let _ = write!(text, "\n  not searched: `{}`: {why}", printable(&path.display().to_string()));
    }
    text
}
