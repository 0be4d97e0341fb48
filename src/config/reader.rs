//! Reads typed values from the merged tree and keeps every problem met on the way.
//!
//! What cannot be read is replaced by an empty value so that reading goes on; the replacement never
//! leaves `config`, because one problem is enough to fail the load. Knows no key by name.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use config::{Value, ValueKind};
use secrecy::SecretString;

use super::Problem;
use super::layers::Merged;
use super::place::place;
use super::secret::{Env, Place};
use super::values::{self, Wrong, shown};

pub(super) struct Reader<'a> {
    merged: &'a Merged,
    env: &'a Env,
    asked: BTreeSet<String>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(merged: &'a Merged, env: &'a Env) -> Self {
        let problems = merged.problems.clone();
        Self { merged, env, asked: BTreeSet::new(), problems, warnings: Vec::new() }
    }

    /// Text, where the key is there at all.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.read(key, |text| Ok(text.to_owned()))
    }

    /// A duration of at least `least`.
    pub(super) fn duration(&mut self, key: &str, least: Duration) -> Duration {
        let read = self.read(key, |text| match values::duration(text)? {
            short if short < least => {
                let least = values::duration_text(least);
                Err(Wrong::new(
                    format!("is `{}`, which is too short", shown(text)),
                    format!("write `{least}` or more"),
                ))
            }
            duration => Ok(duration),
        });
        read.unwrap_or_default()
    }

    /// A size of at least `least` bytes.
    pub(super) fn size(&mut self, key: &str, least: u64) -> u64 {
        let read = self.read(key, |text| match values::size(text)? {
            small if small < least => {
                let least = values::size_text(least);
                Err(Wrong::new(
                    format!("is `{}`, which is too small", shown(text)),
                    format!("write `{least}` or more"),
                ))
            }
            size => Ok(size),
        });
        read.unwrap_or_default()
    }

    /// A whole number in a range.
    pub(super) fn count<T: TryFrom<u32> + Default>(&mut self, key: &str, range: RangeInclusive<u32>) -> T {
        let read = self.read(key, |text| {
            let number = text.trim().parse().ok().filter(|number| range.contains(number));
            number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
                let hint = format!("write a whole number from {} to {}", range.start(), range.end());
                Wrong::new(format!("is `{}`", shown(text)), hint)
            })
        });
        read.unwrap_or_default()
    }

    /// One of a few words; the first stands in for a wrong one.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, first: (&str, T), others: &[(&str, T)]) -> T {
        let all = || std::iter::once(&first).chain(others);
        let read = self.read(key, |text| {
            let found = all().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
            found.ok_or_else(|| {
                let words: Vec<_> = all().map(|(word, _)| format!("`\"{word}\"`")).collect();
                Wrong::new(format!("is `{}`", shown(text)), format!("write {}", words.join(" or ")))
            })
        });
        read.unwrap_or(first.1)
    }

    /// The secret at the place that the value names.
    pub(super) fn secret(&mut self, key: &str) -> SecretString {
        let folder = self.merged.file.as_ref().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
        let env = self.env;
        match self.read(key, |text| Place::parse(text)?.fetch(env, folder)) {
            Some(found) => {
                self.warnings.extend(found.warning.map(|warning| format!("`{key}`: {warning}")));
                found.secret
            }
            None => SecretString::default(),
        }
    }

    /// Looks only whether the value names a place, for a secret that is not going to be used.
    pub(super) fn secret_place(&mut self, key: &str) {
        self.read(key, |text| Place::parse(text).map(|_| ()));
    }

    /// The names and texts of a free table, in order of the names.
    pub(super) fn table(&mut self, key: &str) -> Vec<(String, String)> {
        self.asked.insert(key.to_owned());
        let Some(value) = self.find(key) else { return Vec::new() };
        let ValueKind::Table(table) = &value.kind else {
            self.not_a_section(key);
            return Vec::new();
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_unstable_by_key(|(name, _)| *name);
        let mut pairs = Vec::new();
        for (name, value) in entries {
            match single(value) {
                Some(text) => pairs.push((name.clone(), text)),
                None => self.not_single(&format!("{key}.{name}")),
            }
        }
        pairs
    }

    /// The names of the sections below a section that anybody may name, in order.
    pub(super) fn sections(&mut self, key: &str) -> Vec<String> {
        self.asked.insert(key.to_owned());
        let Some(value) = self.find(key) else { return Vec::new() };
        let ValueKind::Table(table) = &value.kind else {
            self.not_a_section(key);
            return Vec::new();
        };
        let mut names: Vec<String> = table.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// The key of this name in a section, or where it is left out there, in the one that stands in.
    pub(super) fn key_or(&mut self, section: &str, instead: &str, name: &str) -> String {
        let own = format!("{section}.{name}");
        self.asked.insert(own.clone());
        if self.find(&own).is_some() { own } else { format!("{instead}.{name}") }
    }

    /// Keeps what works but should not stay as it is.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// How many entries a list of sections has; `source.1` is the first.
    pub(super) fn entries(&mut self, key: &str) -> usize {
        self.asked.insert(key.to_owned());
        match self.find(key).map(|value| &value.kind) {
            None => 0,
            Some(ValueKind::Table(table)) if table.keys().all(|name| name.parse::<usize>().is_ok()) => {
                table.len()
            }
            Some(_) => {
                let hint = format!("write each entry below a `[[{key}]]` of its own");
                self.wrong(key, Wrong::new("is a list of sections", hint));
                0
            }
        }
    }

    /// The texts of a list, or of a single text that holds them separated by `;`.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(ValueKind::Array(items)) = self.find(key).map(|value| &value.kind) else {
            let text = self.text(key).unwrap_or_default();
            let texts = text.split(';').map(str::trim).filter(|text| !text.is_empty());
            return texts.map(ToOwned::to_owned).collect();
        };
        self.asked.insert(key.to_owned());
        let texts: Option<Vec<String>> = items.iter().map(single).collect();
        if texts.is_none() {
            self.wrong(
                key,
                Wrong::new("holds something that is no text", "write it like `[\"one\", \"two\"]`"),
            );
        }
        texts.unwrap_or_default()
    }

    /// Whether somebody has set the key, to whatever.
    pub(super) fn is_set(&mut self, key: &str) -> bool {
        // The defaults have no origin.
        self.find(key).is_some_and(|value| value.origin().is_some())
    }

    /// Whether the key is there at all.
    pub(super) fn has(&self, key: &str) -> bool {
        look_up(&self.merged.tree, key).is_some()
    }

    /// Fetches what a value names the place of, and leaves it to the caller what is wrong with that.
    pub(super) fn fetched(&mut self, place: &Place<'_>) -> Result<SecretString, Wrong> {
        let folder = self.merged.file.as_ref().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
        let found = place.fetch(self.env, folder)?;
        self.warnings.extend(found.warning);
        Ok(found.secret)
    }

    /// Complains where a key without a default is left out.
    pub(super) fn require(&mut self, key: &str, hint: &str) {
        if self.find(key).is_none() && !self.has_problem_above(key) {
            let start =
                if self.merged.file.is_none() { "; `lumasync init` writes a file to start from" } else { "" };
            self.wrong(key, Wrong::new("is missing", format!("{hint}{start}")));
        }
    }

    /// Whether these keys have been read without a problem, so that comparing them makes sense.
    pub(super) fn are_sound(&self, keys: &[&str]) -> bool {
        !self.problems.iter().any(|problem| keys.contains(&problem.key.as_str()))
            && !keys.iter().any(|key| self.has_problem_above(key))
    }

    /// Reads text with a rule of the caller's.
    pub(super) fn read<T>(&mut self, key: &str, rule: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        self.asked.insert(key.to_owned());
        let value = self.find(key)?;
        let Some(text) = single(value) else {
            self.not_single(key);
            return None;
        };
        rule(&text).map_err(|wrong| self.wrong(key, wrong)).ok()
    }

    /// Keeps a problem with a key.
    pub(super) fn wrong(&mut self, key: &str, Wrong { message, hint }: Wrong) {
        let value = look_up(&self.merged.tree, key);
        let place = place(self.merged, key, value);
        let problem = Problem { key: key.into(), message, hint, place };
        // What several accounts take from one place is read, and wrong, as often.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The keys read so far.
    #[cfg(test)]
    pub(super) fn asked(&self) -> impl Iterator<Item = &str> {
        self.asked.iter().map(String::as_str)
    }

    /// Ends the reading: what nobody has asked for is unknown.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<String>) {
        let merged = self.merged;
        let mut unknown = Vec::new();
        self.collect_unknown(&merged.tree, "", &mut unknown);
        unknown.sort_unstable();
        for key in unknown {
            let hint = super::nearest::hint(&key, &self.asked);
            self.wrong(&key, Wrong::new("is not a key of lumasync", hint));
        }
        (self.problems, self.warnings)
    }

    fn collect_unknown(&self, value: &Value, above: &str, unknown: &mut Vec<String>) {
        let ValueKind::Table(table) = &value.kind else { return };
        for (name, child) in table {
            let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let inside = format!("{key}.");
            if self.asked.iter().any(|asked| asked.starts_with(&inside)) {
                self.collect_unknown(child, &key, unknown);
            } else if !self.asked.contains(key.as_str()) {
                unknown.push(key);
            }
        }
    }

    /// The value, unless something that is no section stands above it; that is said once.
    fn find(&mut self, key: &str) -> Option<&'a Value> {
        let merged = self.merged;
        for (end, _) in key.match_indices('.') {
            match look_up(&merged.tree, &key[..end]).map(|section| &section.kind) {
                Some(ValueKind::Table(_)) => {}
                Some(_) => {
                    self.not_a_section(&key[..end]);
                    return None;
                }
                None => return None,
            }
        }
        look_up(&merged.tree, key)
    }

    fn not_single(&mut self, key: &str) {
        self.wrong(key, Wrong::new("takes a single value", "write it as `name = \"value\"`"));
    }

    fn not_a_section(&mut self, key: &str) {
        if self.problems.iter().all(|problem| problem.key != key) {
            let hint = format!("write its keys below `[{key}]`");
            self.wrong(key, Wrong::new("is a section, not a single value", hint));
        }
    }

    fn has_problem_above(&self, key: &str) -> bool {
        let above = |problem: &Problem| {
            key.strip_prefix(problem.key.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        self.problems.iter().any(above)
    }
}

/// The value as text: variables and flags have nothing else, so numbers are read from text too.
fn single(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => None,
        single => Some(single.to_string()),
    }
}

/// The value at a path. Names below the first dot may hold dots themselves only in free tables.
fn look_up<'v>(tree: &'v Value, key: &str) -> Option<&'v Value> {
    let ValueKind::Table(table) = &tree.kind else { return None };
    table.get(key).or_else(|| {
        let (name, rest) = key.split_once('.')?;
        look_up(table.get(name)?, rest)
    })
}
