//! What a Rust file says to the compiler: its text without comments, literals and tests.
//!
//! Knows as much of the language as it takes to find paths in it, and no more.

/// The code of a file, without what only its tests see.
pub(crate) fn product_code(text: &str) -> String {
    let mut code = without_comments_and_literals(text);
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = start + item_length(&code[start..]);
        code.replace_range(start..end, "");
    }
    code
}

/// The rooms of the crate that the code names: `store` for `crate::store::Store` or `crate::{store, luma}`.
pub(crate) fn rooms_named(code: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(heads(group)),
            None => rooms.push(word(rest)),
        }
    }
    rooms.sort_unstable();
    rooms.dedup();
    rooms
}

/// Whether the code names this external crate: `sqlx::query(..)`, `use sqlx;`, `use {sqlx as db}`.
pub(crate) fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (code[..at].trim_end(), code[at + name.len()..].trim_start());
        let whole = !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word);
        let root = !before.ends_with("::") || before.trim_end_matches("::").ends_with(['(', '<', ' ', ';']);
        let imported =
            before.ends_with("use") || before.ends_with("use {") || before.ends_with("extern crate");
        whole && root && (after.starts_with("::") || imported)
    })
}

/// The first words of a group's parts, up to the brace that closes it.
fn heads(group: &str) -> Vec<&str> {
    let mut depth = 1;
    let mut heads = vec![word(group.trim_start())];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(word(group[at + 1..].trim_start())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How far an item reaches: to its `;`, or to the brace that closes its first one.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '/' => comment_length(rest),
            '"' => Some(quoted_length(rest)),
            'r' if !code.ends_with(|c| is_word(c) && c != 'b' && c != 'c') => raw_length(rest),
            '\'' => character_length(rest),
            _ => None,
        };
        if skipped.is_none() {
            code.push(next);
        }
        rest = &rest[skipped.unwrap_or(next.len_utf8())..];
    }
    code
}

fn comment_length(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut depth = 0;
    let mut at = 0;
    while text.starts_with("/*") && at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    (at > 0).then_some(at)
}

fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"..."`, `r#"..."#`; nothing for `r#type` and for words with an r.
fn raw_length(text: &str) -> Option<usize> {
    let marks = text[1..].find(|c| c != '#')?;
    let open = 1 + marks;
    text[open..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(marks));
    let length = text[open + 1..].find(&close).map_or(text.len(), |end| open + 1 + end + close.len());
    Some(length)
}

/// `'x'` and `'\n'`; nothing for the lifetime `'x`.
fn character_length(text: &str) -> Option<usize> {
    let mut inside = text[1..].char_indices();
    let (_, first) = inside.next()?;
    if first == '\\' {
        let end = text[3..].find('\'')?;
        return Some(3 + end + 1);
    }
    let (at, second) = inside.next()?;
    (second == '\'').then_some(1 + at + 1)
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let text = r##"
//! crate::a
use crate::real; /* crate::b /* crate::c */ crate::d */
const A: &str = "crate::e \" crate::f";
const B: &str = r#"crate::g " crate::h"#;
const C: [char; 3] = ['"', '\'', '\u{22}'];
fn keep<'a>(r#type: &'a str) -> crate::also { "x"; br"crate::i" }
#[cfg(test)]
mod tests { fn x() { crate::j } }
#[cfg(test)]
mod more;
fn last() { crate::third::go() }
"##;
    assert_eq!(rooms_named(&product_code(text)), ["also", "real", "third"]);
}

#[test]
fn rooms_are_found_in_every_spelling() {
    let code =
        "use crate::{store::{Run, Row}, luma, ingest::csv};\nlet x: crate::domain::X; $crate::clock::now()";
    assert_eq!(rooms_named(code), ["clock", "domain", "ingest", "luma", "store"]);
}

#[test]
fn external_crates_are_found_where_they_are_meant() {
    for code in
        ["use sqlx::Row;", "use sqlx;", "use {sqlx as db};", "#[derive(sqlx::FromRow)]", "x(::sqlx::query())"]
    {
        assert!(names_crate(code, "sqlx"), "{code}");
    }
    for code in ["let sqlx = 1;", "mysqlx::x()", "sqlx_like::x()", "crate::sqlx::x()", "self.sqlx"] {
        assert!(!names_crate(code, "sqlx"), "{code}");
    }
}
