//! Whoever is not known sees no address, wherever one has got into a name of a file, an event or a reason: the part
//! that calls a person is left out of the text of an answer.

use std::borrow::Cow;

/// Characters of the part before the sign, and of the host behind it.
fn is_local(c: char) -> bool {
    c.is_alphanumeric() || "._%+-!#$*/=?^`{|}~'".contains(c)
}

fn is_host(c: char) -> bool {
    c.is_alphanumeric() || c == '.' || c == '-'
}

/// The text without the parts of addresses that call a person.
pub(super) fn without_addresses(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('@') {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        let host = &behind[..behind.find(|c| !is_host(c)).unwrap_or(behind.len())];
        let local = before.rfind(|c| !is_local(c)).map_or(0, |last| last + char_at(before, last));
        let is_address = local < at && host.trim_end_matches('.').contains('.');
        shown.push_str(if is_address { &before[..local] } else { before });
        shown.push_str(if is_address { "…@" } else { "@" });
        rest = behind;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Bytes of the character that begins here.
fn char_at(text: &str, place: usize) -> usize {
    text[place..].chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_a_person_is_left_out_and_nothing_else_is() {
        for (text, shown) in [
            ("list of ana.secret@example.org.csv", "list of …@example.org.csv"),
            ("<td>ana+1@example.org</td>", "<td>…@example.org</td>"),
            ("\"é@müller.example\", two@x.org;three@y.org", "\"…@müller.example\", …@x.org;…@y.org"),
            ("drop/@paris/members", "drop/@paris/members"),
            ("at 3 @ the door, a@b", "at 3 @ the door, a@b"),
            ("nobody", "nobody"),
            ("end@", "end@"),
        ] {
            assert_eq!(without_addresses(text), shown);
        }
    }
}
