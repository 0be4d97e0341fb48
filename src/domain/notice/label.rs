//! What a run is called, so that others may read it: a label is a file's name, and may hold anything.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What stands for a label that may hold an address.
const HIDDEN: &str = "[hidden]";
/// Spellings of the at-sign in lower case: plain, wide, small, as URLs, mail headers and HTML write it, and as people
/// do who hide it.
const AT_SIGNS: [&str; 13] = [
    "@", "\u{ff20}", "\u{fe6b}", "%40", "%2540", "=40", "&#64;", "&#064;", "&#x40;", "&commat;", "(at)",
    "[at]", " at ",
];
const MOST_CHARS: usize = 120;

/// A label for others: all of it is hidden where there may be an address in it, since nobody can say where that
/// begins, and no sign is left that a chat tool would take for markup or a call to everybody.
#[must_use]
pub fn safe_label(label: &str) -> String {
    let lower = label.to_lowercase();
    if AT_SIGNS.iter().any(|sign| lower.contains(sign)) {
        return HIDDEN.to_owned();
    }
    let plain = |c: char| match c {
        '<' => '\u{2039}',
        '>' => '\u{203a}',
        '&' => '+',
        '`' => '\'',
        c if is_unseen(c) => '\u{fffd}',
        c => c,
    };
    label.chars().take(MOST_CHARS).map(plain).collect()
}

/// Whether it moves or hides what stands beside it.
fn is_unseen(c: char) -> bool {
    let is_direction =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    c.is_control() || is_direction || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// A digest of what makes runs the same to people: whose key, what, from where and under which name. The label
/// itself may hold an address, and need not be kept twice.
#[must_use]
pub fn subject(parts: [&str; 4]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_that_may_hold_an_address_is_hidden_whole() {
        for label in [
            "ana@example.org",
            "list of \"ana smith\"@example.org.csv",
            "to-ana%40example.org.csv",
            "ana\u{ff20}example.org",
            "ana=40example.org",
            "@channel",
            "ana(AT)example.org",
            "ana[At]example.org",
            "ana At example dot org",
            "to-ana%2540example.org.csv",
            "ana&Commat;example.org",
            "ana&#X40;example.org",
        ] {
            assert_eq!(safe_label(label), HIDDEN, "{label}");
        }
        assert_eq!(safe_label("members 2026-11-22 (1).csv"), "members 2026-11-22 (1).csv");
        assert_eq!(safe_label("<!here> `x` & y\n\u{202e}"), "\u{2039}!here\u{203a} 'x' + y\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn no_address_and_no_markup_is_ever_left(before in ".{0,20}", after in ".{0,20}", at in 0..AT_SIGNS.len()) {
            let label = format!("{before}ana{}example.org{after}", AT_SIGNS[at]);
            prop_assert_eq!(safe_label(&label), HIDDEN);
            let safe = safe_label(&before);
            prop_assert!(!safe.contains(['<', '>', '&', '`', '@', '\n']), "{}", safe);
        }

        #[test]
        fn what_differs_anywhere_is_another_subject(one in "[a-c:]{0,3}", other in "[a-c:]{0,3}") {
            let same = subject([&one, &other, "", ""]) == subject([&other, &one, "", ""]);
            prop_assert_eq!(same, one == other);
        }
    }
}
