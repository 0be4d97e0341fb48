//! What is said of a plan, wherever it is shown: kinds that add up, warnings, and the same for programs.

use serde_json::{Map, Value, json};

use super::{PlannedInput, PlannedRows};
use crate::domain::state::Kind;
use crate::domain::words::count;
use crate::store::RunSource;

/// So many more requests than rows alone would take are worth a warning.
const MANY: u64 = 2;

impl PlannedRows {
    /// Each kind and its rows: their sum is what was read.
    #[must_use]
    pub const fn kinds(&self) -> [(&'static str, u64); 6] {
        [
            ("new", self.new),
            ("changed", self.changed),
            ("unchanged", self.unchanged),
            ("duplicate", self.duplicate),
            ("invalid", self.invalid),
            ("suppressed", self.suppressed),
        ]
    }
}

impl PlannedInput {
    /// What its rows are known by.
    #[must_use]
    pub const fn thing(&self) -> &'static str {
        match self.source {
            RunSource::Queue | RunSource::Sql => "row",
            RunSource::Folder | RunSource::File => "line",
        }
    }

    /// How many people would get each tag, the most first.
    #[must_use]
    pub fn people_by_tag(&self) -> Vec<(&str, u64)> {
        let mut tags: Vec<_> = self.tags.iter().map(|(tag, people)| (tag.as_str(), *people)).collect();
        tags.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        tags
    }

    /// What a person should look at before they go on; so many rows go into one request.
    #[must_use]
    pub fn all_warnings(&self, max_rows: usize) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        let people = self.rows.new + self.rows.changed;
        let fewest = people.div_ceil(max_rows.max(1) as u64);
        if self.kind == Kind::Members && self.tag_sets > 1 && self.requests > MANY * fewest {
            warnings.push(format!(
                "{} of tags take {}, where one set would take {fewest}",
                count(self.tag_sets, "different set"),
                count(self.requests, "request")
            ));
        }
        if let Some(before) = self.before
            && self.rows.read.abs_diff(before) * 4 > before
        {
            let than = if self.rows.read > before { "longer" } else { "shorter" };
            warnings.push(format!(
                "the list is much {than} than the last time: {} rows, {before} then",
                self.rows.read
            ));
        }
        if !self.tags_to_make.is_empty() {
            let names: Vec<String> = self.tags_to_make.iter().map(|name| format!("`{name}`")).collect();
            warnings.push(format!("tags that Luma lacks would be made first: {}", names.join(", ")));
        }
        warnings
    }

    /// For programs.
    #[must_use]
    pub fn json(&self, max_rows: usize) -> Value {
        let mut rows: Map<String, Value> =
            self.rows.kinds().into_iter().map(|(kind, rows)| (kind.to_owned(), json!(rows))).collect();
        rows.insert("read".to_owned(), json!(self.rows.read));
        json!({
            "account": self.account,
            "kind": self.kind.as_str(),
            "source": self.source.as_str(),
            "label": self.label,
            "sha256": self.sha256,
            "read_as": self.read_as,
            "rows": rows,
            "rows_before": self.before,
            "tags": self.tags,
            "tag_sets": self.tag_sets,
            "tags_to_make": self.tags_to_make,
            "requests": self.requests,
            "digest": self.digest.to_string(),
            "would_be_held_for": self.concerns.iter().map(|concern| json!({
                "code": concern.code.as_str(), "reason": concern.reason,
            })).collect::<Vec<_>>(),
            "warnings": self.all_warnings(max_rows),
            "samples": self.samples.iter().map(|(kind, rows)| {
                let row = |row: &super::PlannedRow| json!({ "line": row.line, "email": row.email, "said": row.said });
                ((*kind).to_owned(), rows.iter().map(row).collect())
            }).collect::<Map<String, Value>>(),
        })
    }
}
