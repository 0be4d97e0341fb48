//! Whoever is not known sees no address, wherever one has got into a name of a file, an event or a reason: what
//! stands before its sign is left out of the text of an answer.
//!
//! What an address may look like is not asked: people mistype them, and half an address still calls somebody. A
//! word too much that is left out costs less.

use serde_json::Value;

use crate::domain::account::AccountName;

/// What stands between a person and a host, also as it is written in addresses of pages and in odd letters.
const SIGNS: [&str; 4] = ["@", "\u{ff20}", "\u{fe6b}", "%40"];
/// Signs before which nothing calls anybody: an account or a word for a time follows.
const OPENING: &str = "`'\"([{/";
/// What lies in the folder of an account.
const FOLDERS: [&str; 5] = ["members", "events", "processing", "done", "failed"];

/// How a text is written.
struct Script {
    /// What no address goes across. All of them are ASCII.
    is_edge: fn(char) -> bool,
    /// What stands on both sides of a name with spaces.
    quote: &'static str,
}

const MARKUP: Script =
    Script { is_edge: |c| c.is_ascii_whitespace() || matches!(c, '<' | '>' | '"'), quote: "&quot;" };
const PLAIN: Script = Script { is_edge: |c| c.is_ascii_whitespace(), quote: "\"" };

/// Markup without what calls a person.
pub(super) fn without_addresses(text: &str) -> String {
    MARKUP.masked(text)
}

/// A reason without the cells that it quotes: they may name somebody where the columns of a list are mixed up.
pub(super) fn without_cells(reason: &str) -> String {
    let parts = reason.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 0 { part } else { "`…`" }).collect()
}

/// A text that is not markup, the same as it is seen where it stands in some.
pub(super) fn text_without_addresses(text: &str) -> String {
    PLAIN.masked(text)
}

/// JSON likewise: in its texts.
pub(super) fn without_addresses_in(value: &mut Value) {
    match value {
        Value::String(text) => *text = text_without_addresses(text),
        Value::Array(items) => items.iter_mut().for_each(without_addresses_in),
        Value::Object(fields) => fields.values_mut().for_each(without_addresses_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Script {
    fn masked(&self, text: &str) -> String {
        let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((at, sign)) = next_sign(rest) {
            let (before, behind) = (&rest[..at], &rest[at + sign.len()..]);
            match self.person(before, behind) {
                Some(begin) => shown.extend([&before[..begin], "…"]),
                None => shown.push_str(before),
            }
            shown.push_str(sign);
            rest = behind;
        }
        shown.push_str(rest);
        shown
    }

    /// Where in `before` begins what calls somebody, if anything does.
    fn person(&self, before: &str, behind: &str) -> Option<usize> {
        let near = before.trim_ascii_end();
        // A space too much before the sign, and yet a host behind it.
        let is_apart = near.len() < before.len() && self.begins_with_host(behind);
        let before = if is_apart { near } else { before };
        let opened = before.strip_suffix(self.quote).and_then(|name| name.rfind(self.quote));
        let is_other = |c: char| (self.is_edge)(c) && !c.is_ascii_whitespace();
        let opened = opened.filter(|at| !before[*at..].contains(is_other));
        let begin = before[..opened.unwrap_or(before.len())].rfind(self.is_edge).map_or(0, |edge| edge + 1);
        let person = before[begin..].replace(self.quote, "");
        let is_nobody = person.chars().all(|c| OPENING.contains(c)) || is_folder(&person, behind);
        (!is_nobody).then_some(begin)
    }

    fn begins_with_host(&self, text: &str) -> bool {
        text.split(self.is_edge).next().is_some_and(|host| host.contains('.'))
    }
}

fn next_sign(text: &str) -> Option<(usize, &'static str)> {
    let firsts = SIGNS.map(|sign| sign.chars().next().unwrap_or_default());
    text.match_indices(firsts)
        .find_map(|(at, _)| Some((at, *SIGNS.iter().find(|sign| text[at..].starts_with(**sign))?)))
}

/// Whether it is the path of an account's folder, such as `drop/@paris/members`.
fn is_folder(before: &str, behind: &str) -> bool {
    before.ends_with('/')
        && behind.split_once('/').is_some_and(|(account, inner)| {
            let folder = inner.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
            AccountName::parse(account).is_some() && FOLDERS.contains(&folder)
        })
}

#[cfg(test)]
mod tests {
    use maud::html;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_calls_a_person_is_left_out() {
        for (text, shown) in [
            ("list of ana.secret@example.org.csv", "list of …@example.org.csv"),
            ("<td>ana+1@example.org</td>", "<td>…@example.org</td>"),
            ("<a title=\"ana@x.org\">", "<a title=\"…@x.org\">"),
            ("&quot;é@müller.example&quot;, two@x.org", "…@müller.example&quot;, …@x.org"),
            ("two@x.org,three@y.org", "…@…@y.org"),
            ("by &quot;ana secret&quot;@x.org tom&amp;jerry@x.org", "by …@x.org …@x.org"),
            ("<td>&quot;</td><td>ana secret&quot;@x.org", "<td>&quot;</td><td>ana …@x.org"),
            ("jose\u{301}@x.org ana＠x.org ana﹫x.org ana%40x.org", "…@x.org …＠x.org …﹫x.org …%40x.org"),
            ("root@localhost ana@[127.0.0.1] a@b end@", "…@localhost …@[127.0.0.1] …@b …@"),
            ("ana@@x.org ana@my_host.org ana)@x.org", "…@@x.org …@my_host.org …@x.org"),
            ("ana@leak5,org ana\u{200b}@x.org an\u{a0}a@x.org", "…@leak5,org …@x.org …@x.org"),
            ("for ana @x.org", "for …@x.org"),
            ("ana/@x.org ana/@paris/x", "…@x.org …@paris/x"),
        ] {
            assert_eq!(without_addresses(text), shown);
        }
    }

    #[test]
    fn what_calls_nobody_is_left_as_it_is() {
        for text in [
            "drop/@paris/members",
            "/var/lib/lumasync/drop/@paris-2/failed/list.csv",
            "the account `@paris` (@paris) &quot;@paris&quot; <code>@daily</code>",
            "at 3 @ the door",
            "nobody, 40 % off, 100%4",
        ] {
            assert_eq!(without_addresses(text), text);
        }
    }

    #[test]
    fn json_stays_json() {
        let mut value =
            json!({ "names": ["tab\tbob@example.org", "\"quo ted\"@example.org", "<x@y.org>"], "n": 1 });
        without_addresses_in(&mut value);
        assert_eq!(value, json!({ "names": ["tab\t…@example.org", "…@example.org", "…@y.org>"], "n": 1 }));
    }

    proptest! {
        #[test]
        fn nothing_before_a_sign_is_left_whatever_stands_around_it(
            before in r"\PC{0,4}",
            near in r"[^\s<>]{0,4}",
            sign in prop::sample::select(&SIGNS[..]),
            behind in r"\PC{0,8}",
        ) {
            let text = format!("{before}Ana{near}{sign}{behind}");
            let mut value = json!(text);
            without_addresses_in(&mut value);
            prop_assert!(!value.to_string().contains("Ana"), "{value}");
            let written = html! { td { (text) } }.into_string();
            let shown = without_addresses(&written);
            prop_assert_eq!(&shown, &html! { td { (text_without_addresses(&text)) } }.into_string());
            prop_assert!(!shown.contains("Ana"), "{shown}");
            prop_assert!(shown.starts_with("<td>") && shown.ends_with("</td>"), "{shown}");
        }
    }
}
