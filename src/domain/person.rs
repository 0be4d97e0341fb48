//! One person, looked for in whatever was written down: by the key of their address, and by its spellings.
//!
//! An address that cannot be one is looked for as it was typed, and only where it stands as a word of its own: a
//! part of an address is other people's. Knows no tables and no files.

use std::fmt;

use super::email::{Address, key_hash};

/// Stands where an address was.
pub const FORGOTTEN: &str = "[forgotten]";

/// Whoever is looked for. Its Debug text shows no address.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    key: Option<String>,
    /// In lower case, none empty and no two alike; the first is the key, or what was typed.
    spellings: Vec<String>,
}

impl Person {
    /// Reads whom somebody means; `None` where nothing was typed.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        let address = Address::parse(typed).ok();
        let key = address.map(|address| address.key().to_owned());
        let mut spellings: Vec<String> = key.iter().cloned().collect();
        // An international domain stands in files as people write it, and in the queue as it is sent.
        let written = key
            .as_deref()
            .and_then(|key| key.split_once('@'))
            .map(|(local, domain)| format!("{local}@{}", idna::domain_to_unicode(domain).0.to_lowercase()));
        for spelling in [Some(typed.to_lowercase()), written].into_iter().flatten() {
            if !spelling.is_empty() && !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
        (!spellings.is_empty()).then_some(Self { key, spellings })
    }

    /// The spelling by which people are compared; none where what was typed is no address.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The hash of the key.
    #[must_use]
    pub fn key_hash(&self) -> Option<i64> {
        self.key().map(key_hash)
    }

    /// What is looked for where there is only text, in lower case; the first is the key, where there is one.
    #[must_use]
    pub fn spellings(&self) -> &[String] {
        &self.spellings
    }

    /// Whether what was typed has something on both sides of an `@`: a domain alone would be everybody's.
    #[must_use]
    pub fn has_two_sides(&self) -> bool {
        let sides = self.spellings.first().and_then(|spelling| spelling.split_once('@'));
        sides.is_some_and(|(local, domain)| !local.trim().is_empty() && !domain.trim().is_empty())
    }

    /// Whether the name of a file or folder may hold the address: endings, dates and numbers stand around it.
    #[must_use]
    pub fn is_named_in_path(&self, path: &str) -> bool {
        let is_free =
            |byte: Option<&u8>| byte.is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric());
        let is_whole = |before: &[u8], after: &[u8]| is_free(before.last()) && is_free(after.first());
        let mut spellings = self.spellings.iter();
        spellings.any(|spelling| places_of(spelling.as_bytes(), path.as_bytes(), is_whole).next().is_some())
    }

    /// Whether the address stands somewhere in these bytes, in any case, and is no part of a longer one.
    #[must_use]
    pub fn is_named_in(&self, text: &[u8]) -> bool {
        self.places(text).next().is_some()
    }

    /// The text with a mark wherever the address stood; nothing where it does not.
    #[must_use]
    pub fn struck_from(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut places: Vec<(usize, usize)> = self.places(text).collect();
        places.sort_unstable();
        let mut struck = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in &places {
            if *start >= at {
                struck.extend_from_slice(&text[at..*start]);
                struck.extend_from_slice(FORGOTTEN.as_bytes());
                at = *end;
            }
        }
        struck.extend_from_slice(&text[at..]);
        (!places.is_empty()).then_some(struck)
    }

    /// The same for text.
    #[must_use]
    pub fn struck_from_text(&self, text: &str) -> Option<String> {
        // A spelling is whole characters, so what is left is text.
        self.struck_from(text.as_bytes()).map(|struck| String::from_utf8_lossy(&struck).into_owned())
    }

    fn places<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let is_whole = if self.key.is_some() { is_whole_address } else { is_whole_word };
        self.spellings.iter().flat_map(move |spelling| places_of(spelling.as_bytes(), text, is_whole))
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").finish_non_exhaustive()
    }
}

/// Where a spelling stands whole, found by its `@`, of which a text has few.
fn places_of<'a>(
    spelling: &'a [u8],
    text: &'a [u8],
    is_whole: impl Fn(&[u8], &[u8]) -> bool + 'a,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let anchor = spelling.iter().position(|byte| *byte == b'@').unwrap_or(0);
    let [lower, upper] = [spelling[anchor].to_ascii_lowercase(), spelling[anchor].to_ascii_uppercase()];
    memchr::memchr2_iter(lower, upper, text).filter_map(move |hit| {
        let start = hit.checked_sub(anchor)?;
        let end = start + spelling.len();
        let found = text.get(start..end)?;
        let is_found = found.eq_ignore_ascii_case(spelling) && is_whole(&text[..start], &text[end..]);
        is_found.then_some((start, end))
    })
}

fn is_whole_address(before: &[u8], after: &[u8]) -> bool {
    !goes_on_before(before) && !goes_on_after(after)
}

/// Where no address says what belongs to it, only what can be in none ends it.
fn is_whole_word(before: &[u8], after: &[u8]) -> bool {
    let ends = |byte: Option<&u8>| {
        byte.is_none_or(|byte| {
            byte.is_ascii_whitespace() || byte.is_ascii_control() || b",;:|\"`<>()[]".contains(byte)
        })
    };
    // Cells of result files begin with a quote where a spreadsheet would run them; a sentence ends with a full stop.
    let before = before.strip_suffix(b"'").unwrap_or(before);
    let after = after.strip_prefix(b"'").or_else(|| after.strip_prefix(b".")).unwrap_or(after);
    ends(before.last()) && ends(after.first())
}

/// What every longer address has before its end; other marks that one could have stand around addresses too.
fn goes_on_before(text: &[u8]) -> bool {
    text.last()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._+-%".contains(byte) || !byte.is_ascii())
}

fn goes_on_after(text: &[u8]) -> bool {
    let is_label = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    match text.first() {
        Some(b'.') => is_label(text.get(1)),
        first => is_label(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(typed: &str) -> Person {
        Person::parse(typed).expect("somebody")
    }

    #[test]
    fn somebody_is_found_in_any_case_and_never_in_a_longer_address() {
        let ana = person(" Ana@Example.org ");
        for text in [
            "ana@example.org",
            "\"ANA@EXAMPLE.ORG\",x",
            "<ana@example.org>",
            "refused: ana@example.org.",
            "'ana@example.org'",
            "mailto:ana@example.org?x",
            "bo@example.org ana@example.org",
        ] {
            assert!(ana.is_named_in(text.as_bytes()), "{text}");
        }
        for text in [
            "joana@example.org",
            "l.ana@example.org",
            "ana@example.org.uk",
            "ana@example.organic",
            "ana@example",
            "",
        ] {
            assert!(!ana.is_named_in(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_international_domain_is_found_as_it_is_written_and_as_it_is_sent() {
        for typed in ["lou@münchen.example", "lou@xn--mnchen-3ya.example", "LOU@MÜNCHEN.example"] {
            let lou = person(typed);
            assert_eq!(lou.key(), Some("lou@xn--mnchen-3ya.example"), "{typed}");
            for text in ["x lou@münchen.example", "lou@xn--mnchen-3ya.EXAMPLE"] {
                assert!(lou.is_named_in(text.as_bytes()), "{typed}: {text}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_looked_for_as_it_was_typed() {
        let typed = person("Ana At Example.org");
        assert_eq!((typed.key(), typed.key_hash()), (None, None));
        assert!(typed.is_named_in(b"7,ana at example.org,"));
        assert_eq!(Person::parse("  "), None);
        assert!(!person("example.org").is_named_in(b"bo@example.org, x@example.org"));
        assert!(!person("org").is_named_in(b"bo@example.org"));
        let broken = person("ana@nowhere");
        assert_eq!(broken.key(), None);
        for text in
            ["7,ANA@nowhere,x", "ana@nowhere", "\"ana@nowhere\"", "'ana@nowhere", "refused: ana@nowhere."]
        {
            assert!(broken.is_named_in(text.as_bytes()), "{text}");
        }
        for text in [
            "joana@nowhere",
            "x@ana@nowhere",
            "o'ana@nowhere",
            "ana@nowhere.org",
            "ana@nowhere@x",
            "=ana@nowhere",
        ] {
            assert!(!broken.is_named_in(text.as_bytes()), "{text}");
        }
        assert!(!format!("{typed:?}").contains("xample"));
    }

    #[test]
    fn only_what_has_two_sides_is_somebody() {
        for typed in ["ana@example.org", "ana@nowhere", "ana smith@example.org"] {
            assert!(person(typed).has_two_sides(), "{typed}");
        }
        for typed in ["example.org", "org", "@example.org", "ana@", " @ ", "@"] {
            assert!(!person(typed).has_two_sides(), "{typed}");
        }
    }

    #[test]
    fn a_file_is_named_after_somebody_whatever_stands_around_the_address() {
        let mia = person("mia@example.org");
        for path in
            ["drop/members/mia@example.org.csv", "2026-11-23_MIA@example.org-2.csv.gz", "mia@example.org"]
        {
            assert!(mia.is_named_in_path(path), "{path}");
        }
        for path in ["drop/jamia@example.org.csv", "mia@example.organic.csv", "mia.csv"] {
            assert!(!mia.is_named_in_path(path), "{path}");
        }
    }

    #[test]
    fn only_the_address_itself_is_struck() {
        let ana = person("ana@example.org");
        let struck = ana.struck_from_text("é ana@example.org, joana@example.org, ANA@example.org");
        assert_eq!(struck.as_deref(), Some("é [forgotten], joana@example.org, [forgotten]"));
        assert_eq!(ana.struck_from_text("bo@example.org"), None);
    }
}
