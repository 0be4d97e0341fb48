//! Where a value stands: in which file and line, or in which variable.
//!
//! The lines are found by a plain look over the text, good enough to lead a reader there.

use std::collections::BTreeMap;

use config::{Value, ValueKind};

use super::layers::Merged;

/// Where somebody wrote the value, as `lumasync.toml:12` or the name of a variable.
pub(super) fn place(merged: &Merged, key: &str, value: Option<&Value>) -> Option<String> {
    let file = merged.file.as_ref();
    match (value, file) {
        // Which of several sections something is missing in, its line says.
        (None, Some(file)) => {
            let line = line(&file.text, key).filter(|_| is_in_list(key));
            Some(line.map_or_else(|| file.name(), |line| format!("{}:{line}", file.name())))
        }
        (None, None) => None,
        (Some(value), file) => {
            let origin = origin(value)?;
            let line = file.filter(|file| file.name() == origin).and_then(|file| line(&file.text, key));
            Some(line.map_or_else(|| origin.to_owned(), |line| format!("{origin}:{line}")))
        }
    }
}

/// Whether a key is one of a numbered section, as `source.1.name`.
fn is_in_list(key: &str) -> bool {
    key.split('.').nth(1).is_some_and(|part| part.parse::<usize>().is_ok())
}

/// Where a value comes from; a section comes from where its first value does.
pub(super) fn origin(value: &Value) -> Option<&str> {
    value.origin().or_else(|| match &value.kind {
        ValueKind::Table(table) => table.values().filter_map(origin).min(),
        _ => None,
    })
}

/// The line on which a key, or the nearest thing around it, is written.
fn line(text: &str, key: &str) -> Option<usize> {
    let mut section = String::new();
    let mut entries: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<(usize, usize)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        let path = if let Some(header) = line.strip_prefix('[') {
            section = plain_path(header.split(']').next().unwrap_or_default().trim_start_matches('['));
            if header.starts_with('[') {
                let number = entries.entry(section.clone()).or_default();
                *number += 1;
                section = format!("{section}.{number}");
            }
            section.clone()
        } else {
            match line.split_once('=') {
                Some((name, _)) if section.is_empty() => plain_path(name),
                Some((name, _)) => format!("{section}.{}", plain_path(name)),
                None => continue,
            }
        };
        let covers =
            key.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if covers && best.is_none_or(|(length, _)| path.len() > length) {
            best = Some((path.len(), index + 1));
        }
    }
    best.map(|(_, line)| line)
}

fn plain_path(path: &str) -> String {
    let parts: Vec<_> = path.split('.').map(|part| part.trim().trim_matches(['"', '\''])).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_key_or_of_what_holds_it_is_found() {
        let text = "luma.timeout = 1\n[luma]\napi_key = 'x'\n rate_limit = { requests = 1 }\n\n[\"batch\"]\nmax_rows=2";
        for (key, found) in [
            ("luma.timeout", Some(1)),
            ("luma", Some(2)),
            ("luma.api_key", Some(3)),
            ("luma.rate_limit.requests", Some(4)),
            ("batch.max_rows", Some(7)),
            ("batch.max_bytes", Some(6)),
            ("retry", None),
        ] {
            assert_eq!(line(text, key), found, "{key}");
        }
        let text = "[[source]]\nname = 'a'\n[[source]]\n\nname = 'b'\n";
        for (key, found) in
            [("source.1.name", Some(2)), ("source.2.name", Some(5)), ("source.2.url", Some(3))]
        {
            assert_eq!(line(text, key), found, "{key}");
        }
    }
}
