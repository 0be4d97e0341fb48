//! Whoever is not known sees no address, wherever one has got into a name of a file, an event or a reason: the part
//! that calls a person is left out of the text of an answer.

use serde_json::Value;
use unicode_normalization::char::is_combining_mark;

/// What stands between a person and a host, also as it is written in addresses of pages and in wide letters.
const SIGNS: [&str; 3] = ["@", "\u{ff20}", "%40"];

/// Characters of the part before the sign; `&` and `;` are what markup has in place of others.
fn is_local(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || "._%+-!#$*/=?^`{|}~'&;".contains(c)
}

fn is_host(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || c == '.' || c == '-'
}

/// Whether what follows a sign is a host.
fn begins_with_host(text: &str) -> bool {
    let host = &text[..text.find(|c| !is_host(c)).unwrap_or(text.len())];
    text.starts_with('[') || host == "localhost" || host.trim_end_matches('.').contains('.')
}

/// Markup without the parts of addresses that call a person.
pub(super) fn without_addresses(text: &str) -> String {
    masked(text, is_local)
}

/// JSON likewise: in its texts, whose quotes are not its own.
pub(super) fn without_addresses_in(value: &mut Value) {
    match value {
        Value::String(text) => *text = masked(text, |c| is_local(c) || c == '"'),
        Value::Array(items) => items.iter_mut().for_each(without_addresses_in),
        Value::Object(fields) => fields.values_mut().for_each(without_addresses_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn masked(text: &str, is_local: impl Fn(char) -> bool) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    let next = |rest: &str| {
        let found = SIGNS.iter().filter_map(|sign| Some((rest.find(sign)?, *sign)));
        found.min_by_key(|(at, _)| *at)
    };
    while let Some((at, sign)) = next(rest) {
        let (before, behind) = (&rest[..at], &rest[at + sign.len()..]);
        let last_other = before.char_indices().rfind(|(_, c)| !is_local(*c));
        let local = last_other.map_or(0, |(place, c)| place + c.len_utf8());
        let is_address = local < at && begins_with_host(behind);
        shown.push_str(if is_address { &before[..local] } else { before });
        shown.push_str(if is_address { "…" } else { "" });
        shown.push_str(sign);
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_calls_a_person_is_left_out_and_nothing_else_is() {
        for (text, shown) in [
            ("list of ana.secret@example.org.csv", "list of …@example.org.csv"),
            ("<td>ana+1@example.org</td>", "<td>…@example.org</td>"),
            ("\"é@müller.example\", two@x.org, three@y.org", "\"…@müller.example\", …@x.org, …@y.org"),
            ("&quot;ana secret&quot;@x.org tom&amp;jerry@x.org", "&quot;ana …@x.org …@x.org"),
            ("jose\u{301}@x.org ana＠x.org ana%40x.org", "…@x.org …＠x.org …%40x.org"),
            ("root@localhost ana@[127.0.0.1]", "…@localhost …@[127.0.0.1]"),
            ("drop/@paris/members", "drop/@paris/members"),
            ("at 3 @ the door, a@b", "at 3 @ the door, a@b"),
            ("nobody, 40 % off", "nobody, 40 % off"),
            ("end@", "end@"),
        ] {
            assert_eq!(without_addresses(text), shown);
        }
    }

    #[test]
    fn json_stays_json() {
        let mut value =
            json!({ "names": ["tab\tbob@example.org", "\"quo\"@example.org", "\u{1}x@y.org"], "n": 1 });
        without_addresses_in(&mut value);
        assert_eq!(
            value,
            json!({ "names": ["tab\t…@example.org", "…@example.org", "\u{1}…@y.org"], "n": 1 })
        );
    }
}
