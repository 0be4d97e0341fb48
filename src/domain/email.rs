//! Addresses: what one is, its spelling for the wire, and the key by which two are one person.
//!
//! Stricter than RFC 5321 where mail in practice is: no quoted local parts, no address literals,
//! ASCII before the `@`. Knows nothing of files; the caller says where the text stood.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

const MAX_TOTAL: usize = 254;
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;
const MAX_LABEL: usize = 63;

/// What of a refused text a message may repeat, in characters.
const EXCERPT: usize = 80;

const LOCAL: u8 = 1;
const DOMAIN: u8 = 2;
const UPPER: u8 = 4;
const DIGIT: u8 = 8;

/// What each byte may be part of.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'a'..=b'z' | b'-' => LOCAL | DOMAIN,
            b'A'..=b'Z' => LOCAL | DOMAIN | UPPER,
            b'0'..=b'9' => LOCAL | DOMAIN | DIGIT,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~' => LOCAL,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// An address that can be one. It borrows from the text it was read from where nothing had to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    canonical: Cow<'a, str>,
    /// Only where it differs from `canonical`.
    key: Option<Box<str>>,
}

impl<'a> Address<'a> {
    /// Reads an address, with white space and invisible marks around it taken off.
    pub fn parse(text: &'a str) -> Result<Self, EmailError> {
        let text = text.trim_matches(is_padding);
        match plain(text) {
            Some(shape) => Ok(Self::build(text, shape)),
            None => explain(text),
        }
    }

    fn build(text: &'a str, shape: Plain) -> Self {
        let canonical = if shape.domain_upper {
            let (local, domain) = text.split_at(shape.at);
            Cow::Owned([local, &domain.to_ascii_lowercase()].concat())
        } else {
            Cow::Borrowed(text)
        };
        let key = shape.local_upper.then(|| canonical.to_ascii_lowercase().into_boxed_str());
        Self { canonical, key }
    }

    /// The spelling to send: the local part as given, the domain in lower-case ASCII.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The spelling to compare: two addresses with one key are one person.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.canonical)
    }

    /// The hash of the key.
    #[must_use]
    pub fn key_hash(&self) -> i64 {
        key_hash(self.key())
    }

    /// The same address, free of the text it was read from.
    #[must_use]
    pub fn into_owned(self) -> Address<'static> {
        Address { canonical: Cow::Owned(self.canonical.into_owned()), key: self.key }
    }
}

/// The XXH3 64 hash (seed 0) of a key. It is stored, so it never changes.
#[must_use]
pub fn key_hash(key: &str) -> i64 {
    xxh3_64(key.as_bytes()).cast_signed()
}

/// Why a text is no address. No message repeats the whole of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing, or white space.
    #[error("the address is empty")]
    Empty,
    /// No `@` at all.
    #[error("the address has no `@`")]
    NoAt {
        /// Whether it is spelled out, as in `ana (at) example.org`.
        spelled_out: bool,
    },
    /// More than one `@` in one address.
    #[error("the address has more than one `@`")]
    ManyAts,
    /// Several addresses in one cell.
    #[error("the cell holds several addresses")]
    Several,
    /// `Ana <ana@example.org>`.
    #[error("the address comes with a display name or angle brackets")]
    DisplayName,
    /// `mailto:ana@example.org`.
    #[error("the address starts with `mailto:`")]
    Mailto,
    /// White space between the first and the last character.
    #[error("the address has a space inside")]
    Space,
    /// A character nobody can see.
    #[error("the address holds the invisible character U+{0:04X}")]
    Invisible(u32),
    /// `ana@gmail,com`.
    #[error("the domain has a comma")]
    Comma,
    /// `ana@example.org;`
    #[error("the address ends in `{0}`")]
    Trailing(char),
    /// Nothing before the `@`.
    #[error("nothing stands before the `@`")]
    LocalEmpty,
    /// Over 64 bytes before the `@`.
    #[error("the part before the `@` has {0} characters, and 64 is the most")]
    LocalTooLong(usize),
    /// A dot first, last or twice in a row.
    #[error("the part before the `@` has a dot at an end or two in a row")]
    LocalDots,
    /// `"ana b"@example.org`.
    #[error("the part before the `@` is quoted")]
    LocalQuoted,
    /// Letters beyond ASCII before the `@`, which few mail servers take.
    #[error("`{0}` cannot stand before the `@`: only ASCII can")]
    LocalNotAscii(char),
    /// Any other character that cannot stand there.
    #[error("`{0}` cannot stand before the `@`")]
    LocalCharacter(char),
    /// Nothing after the `@`.
    #[error("nothing stands after the `@`")]
    DomainEmpty,
    /// `ana@[192.0.2.1]` or `ana@192.0.2.1`.
    #[error("the domain is an IP address")]
    DomainLiteral,
    /// Over 255 bytes after the `@`.
    #[error("the domain has {0} characters, and 255 is the most")]
    DomainTooLong(usize),
    /// `ana@localhost`.
    #[error("the domain `{0}` has no dot")]
    DomainOneLabel(String),
    /// A dot first, last or twice in a row.
    #[error("the domain has a dot at an end or two in a row")]
    DomainDots,
    /// A label over 63 bytes.
    #[error("`{0}` in the domain is longer than 63 characters")]
    LabelTooLong(String),
    /// A label with a hyphen at an end.
    #[error("`{0}` in the domain starts or ends with a hyphen")]
    LabelHyphen(String),
    /// A character that no domain has.
    #[error("`{0}` cannot stand in a domain")]
    DomainCharacter(char),
    /// A last label of digits only.
    #[error("the domain ends in the number `{0}`")]
    DomainNumeric(String),
    /// An international domain that IDNA refuses.
    #[error("the domain `{0}` is no valid international name")]
    DomainIdna(String),
    /// Over 254 bytes in all.
    #[error("the address has {0} characters, and 254 is the most")]
    TooLong(usize),
}

impl EmailError {
    /// What to do about it, where there is something common to do.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoAt { spelled_out: true } => Some("write `@` as a character"),
            Self::Several => Some("give every address a row of its own"),
            Self::DisplayName => Some("keep only what stands between `<` and `>`"),
            Self::Mailto => Some("take `mailto:` off"),
            Self::Comma => Some("a comma seems to stand where a dot belongs"),
            Self::Trailing(_) => Some("take the last character off"),
            Self::Invisible(_) => Some("type the address anew: the character came in with a copy"),
            Self::LocalQuoted => Some("take the quotes off if the address works without"),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
struct Plain {
    at: usize,
    local_upper: bool,
    domain_upper: bool,
}

/// The common case in one look at each byte: plain ASCII, and right.
fn plain(text: &str) -> Option<Plain> {
    let bytes = text.as_bytes();
    if bytes.len() > MAX_TOTAL {
        return None;
    }
    let at = bytes.iter().position(|byte| *byte == b'@')?;
    let local_upper = plain_local(&bytes[..at])?;
    let domain_upper = plain_domain(&bytes[at + 1..])?;
    Some(Plain { at, local_upper, domain_upper })
}

/// Whether the local part has capitals, if it is a good one.
fn plain_local(local: &[u8]) -> Option<bool> {
    if local.len() > MAX_LOCAL {
        return None;
    }
    let mut seen = 0;
    let mut after_dot = true;
    for byte in local {
        if *byte == b'.' {
            if after_dot {
                return None;
            }
            after_dot = true;
        } else {
            let class = CLASS[usize::from(*byte)];
            if class & LOCAL == 0 {
                return None;
            }
            seen |= class;
            after_dot = false;
        }
    }
    (!after_dot).then_some(seen & UPPER != 0)
}

/// Whether the domain has capitals, if it is a good one.
fn plain_domain(domain: &[u8]) -> Option<bool> {
    let mut seen = 0;
    let mut labels = 0;
    let mut last_is_number = true;
    for label in domain.split(|byte| *byte == b'.') {
        let (first, last) = (label.first()?, label.last()?);
        if label.len() > MAX_LABEL || *first == b'-' || *last == b'-' {
            return None;
        }
        let mut every = DIGIT | DOMAIN;
        for byte in label {
            let class = CLASS[usize::from(*byte)];
            every &= class;
            seen |= class;
        }
        if every & DOMAIN == 0 {
            return None;
        }
        last_is_number = every & DIGIT != 0;
        labels += 1;
    }
    (labels > 1 && !last_is_number).then_some(seen & UPPER != 0)
}

/// The slow way for what is not plainly right: an international domain, or the reason it is refused.
fn explain(text: &str) -> Result<Address<'static>, EmailError> {
    refuse_shapes(text)?;
    let (local, domain) = text.split_once('@').ok_or(EmailError::NoAt { spelled_out: spelled_out(text) })?;
    refuse_local(local)?;
    refuse_domain_shapes(domain)?;
    let domain = if domain.is_ascii() {
        Cow::Borrowed(domain)
    } else {
        idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::URL)
            .map_err(|_| EmailError::DomainIdna(excerpt(domain)))?
    };
    refuse_domain(&domain)?;
    let whole = [local, "@", &domain].concat();
    if whole.len() > MAX_TOTAL {
        return Err(EmailError::TooLong(whole.len()));
    }
    match plain(&whole) {
        Some(shape) => Ok(Address::build(&whole, shape).into_owned()),
        None => Err(EmailError::DomainIdna(excerpt(&domain))),
    }
}

/// What is wrong with the cell as a whole.
fn refuse_shapes(text: &str) -> Result<(), EmailError> {
    let ats = text.matches('@').count();
    if text.is_empty() {
        return Err(EmailError::Empty);
    }
    let separator = |c: char| matches!(c, ',' | ';' | '|' | '/') || c.is_whitespace();
    if ats > 1 && text.split(separator).filter(|part| is_address_like(part)).count() > 1 {
        return Err(EmailError::Several);
    }
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:")) {
        return Err(EmailError::Mailto);
    }
    if ats > 0 && text.contains(['<', '>']) {
        return Err(EmailError::DisplayName);
    }
    if let Some(odd) = text.chars().find(|c| is_invisible(*c)) {
        return Err(EmailError::Invisible(odd.into()));
    }
    if ats == 0 {
        return Err(EmailError::NoAt { spelled_out: spelled_out(text) });
    }
    if let Some(last @ (',' | ';' | ':')) = text.chars().next_back() {
        return Err(EmailError::Trailing(last));
    }
    if ats > 1 {
        return Err(EmailError::ManyAts);
    }
    if text.starts_with('"') {
        return Err(EmailError::LocalQuoted);
    }
    if text.contains(char::is_whitespace) {
        return Err(EmailError::Space);
    }
    Ok(())
}

fn is_address_like(part: &str) -> bool {
    part.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

fn refuse_local(local: &str) -> Result<(), EmailError> {
    if local.is_empty() {
        return Err(EmailError::LocalEmpty);
    }
    if let Some(odd) = local.chars().find(|c| !c.is_ascii()) {
        return Err(EmailError::LocalNotAscii(odd));
    }
    if local.len() > MAX_LOCAL {
        return Err(EmailError::LocalTooLong(local.len()));
    }
    let fits = |byte: u8| byte == b'.' || CLASS[usize::from(byte)] & LOCAL != 0;
    if let Some(odd) = local.bytes().find(|byte| !fits(*byte)) {
        return Err(EmailError::LocalCharacter(odd.into()));
    }
    if local.split('.').any(str::is_empty) {
        return Err(EmailError::LocalDots);
    }
    Ok(())
}

/// What is wrong with the domain before it is translated.
fn refuse_domain_shapes(domain: &str) -> Result<(), EmailError> {
    if domain.is_empty() {
        return Err(EmailError::DomainEmpty);
    }
    if domain.starts_with('[') || domain.parse::<std::net::IpAddr>().is_ok() {
        return Err(EmailError::DomainLiteral);
    }
    if domain.contains(',') {
        return Err(EmailError::Comma);
    }
    // Translation costs more than its length.
    if domain.len() > 4 * MAX_DOMAIN {
        return Err(EmailError::DomainTooLong(domain.len()));
    }
    Ok(())
}

fn refuse_domain(domain: &str) -> Result<(), EmailError> {
    if domain.len() > MAX_DOMAIN {
        return Err(EmailError::DomainTooLong(domain.len()));
    }
    let fits = |byte: u8| byte == b'.' || CLASS[usize::from(byte)] & DOMAIN != 0;
    if let Some(odd) = domain.bytes().find(|byte| !fits(*byte)) {
        return Err(EmailError::DomainCharacter(odd.into()));
    }
    for label in domain.split('.') {
        if label.is_empty() {
            return Err(EmailError::DomainDots);
        }
        if label.len() > MAX_LABEL {
            return Err(EmailError::LabelTooLong(excerpt(label)));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(EmailError::LabelHyphen(excerpt(label)));
        }
    }
    match domain.rsplit_once('.') {
        None => Err(EmailError::DomainOneLabel(excerpt(domain))),
        Some((_, last)) if last.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(EmailError::DomainNumeric(excerpt(last)))
        }
        Some(_) => Ok(()),
    }
}

fn spelled_out(text: &str) -> bool {
    let text = text.to_lowercase();
    ["(at)", "[at]", "{at}", " at "].iter().any(|form| text.contains(form))
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}

/// What spreadsheets and web pages leave around an address.
fn is_padding(c: char) -> bool {
    c.is_whitespace() || (!c.is_ascii() && is_invisible(c))
}

/// Control characters, and marks of no width.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        Address::parse(text).expect(text).canonical().to_owned()
    }

    #[test]
    fn the_local_part_keeps_its_case_and_the_key_does_not() {
        let address = Address::parse("Ana.Lima+News@Example.ORG").expect("an address");
        assert_eq!(address.canonical(), "Ana.Lima+News@example.org");
        assert_eq!(address.key(), "ana.lima+news@example.org");
        let plain = Address::parse("ana@example.org").expect("an address");
        assert!(matches!(plain.canonical, Cow::Borrowed(_)) && plain.key.is_none());
        assert_eq!(plain.key(), plain.canonical());
    }

    #[test]
    fn the_hash_of_a_key_is_the_one_in_everybodys_database() {
        let hash = |text: &str| Address::parse(text).expect("an address").key_hash();
        assert_eq!(hash("ana@example.org"), KNOWN_HASH);
        assert_eq!(hash("ANA@example.org"), KNOWN_HASH);
        assert_ne!(hash("anna@example.org"), KNOWN_HASH);
    }

    const KNOWN_HASH: i64 = -5_594_092_284_662_212_521;

    #[test]
    fn what_surrounds_an_address_is_taken_off() {
        for text in [
            " a@x.org ",
            "\u{feff}a@x.org",
            "\u{a0}a@x.org\u{200b}",
            "\t a@x.org\r\n",
            "\u{202a}a@x.org\u{202c}",
        ] {
            assert_eq!(canonical(text), "a@x.org", "{text:?}");
        }
    }

    #[test]
    fn odd_but_real_addresses_pass() {
        let long = format!("{}@x.org", "a".repeat(64));
        for text in [
            "o'hara@x.ie",
            "a@1.x.co",
            "a_b-c@x-y.museum",
            "x/y=z@q.io",
            "a@xn--mnchen-3ya.de",
            "{a}|~@x.org",
            &long,
        ] {
            assert_eq!(canonical(text), text);
        }
    }

    #[test]
    fn international_domains_become_ascii() {
        assert_eq!(canonical("ana@München.DE"), "ana@xn--mnchen-3ya.de");
        assert_eq!(canonical("Ana@例え。jp"), "Ana@xn--r8jz45g.jp");
        assert_eq!(canonical("ana@ｅｘａｍｐｌｅ.org"), "ana@example.org");
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        use EmailError as E;
        let label = "a".repeat(64);
        let cases: Vec<(String, E)> = vec![
            (String::new(), E::Empty),
            (" \u{a0}\u{200b}".into(), E::Empty),
            ("ana".into(), E::NoAt { spelled_out: false }),
            ("ana (at) x.org".into(), E::NoAt { spelled_out: true }),
            ("a@@x.org".into(), E::ManyAts),
            ("a@b@x.org".into(), E::ManyAts),
            ("a@x.org, b@y.org".into(), E::Several),
            ("a@x.org;b@y.org".into(), E::Several),
            ("a@x.org\nb@y.org".into(), E::Several),
            ("Ana <a@x.org>, Bo <b@y.org>".into(), E::Several),
            ("Ana <a@x.org>".into(), E::DisplayName),
            ("<a@x.org>".into(), E::DisplayName),
            ("MailTo:a@x.org".into(), E::Mailto),
            ("a b@x.org".into(), E::Space),
            ("a@x .org".into(), E::Space),
            ("a\u{0}@x.org".into(), E::Invisible(0)),
            ("a@x.org\u{0}".into(), E::Invisible(0)),
            ("a\u{200b}b@x.org".into(), E::Invisible(0x200b)),
            ("a@gmail,com".into(), E::Comma),
            ("a@x.org;".into(), E::Trailing(';')),
            ("a@x.org,".into(), E::Trailing(',')),
            ("@x.org".into(), E::LocalEmpty),
            (format!("{label}a@x.org"), E::LocalTooLong(65)),
            (".a@x.org".into(), E::LocalDots),
            ("a.@x.org".into(), E::LocalDots),
            ("a..b@x.org".into(), E::LocalDots),
            ("\"a b\"@x.org".into(), E::LocalQuoted),
            ("josé@x.org".into(), E::LocalNotAscii('é')),
            ("a(b)@x.org".into(), E::LocalCharacter('(')),
            ("a@".into(), E::DomainEmpty),
            ("a@[192.0.2.1]".into(), E::DomainLiteral),
            ("a@192.0.2.1".into(), E::DomainLiteral),
            ("a@localhost".into(), E::DomainOneLabel("localhost".into())),
            ("a@x.org.".into(), E::DomainDots),
            ("a@.x.org".into(), E::DomainDots),
            ("a@x..org".into(), E::DomainDots),
            (format!("a@{label}.org"), E::LabelTooLong(label.clone())),
            ("a@-x.org".into(), E::LabelHyphen("-x".into())),
            ("a@x-.org".into(), E::LabelHyphen("x-".into())),
            ("a@x_y.org".into(), E::DomainCharacter('_')),
            ("a@x.123".into(), E::DomainNumeric("123".into())),
            (format!("a@{}org", "abcdefg.".repeat(32)), E::DomainTooLong(259)),
            (format!("{}@{}org", "a".repeat(60), "abcdefg.".repeat(25)), E::TooLong(264)),
        ];
        for (text, error) in cases {
            assert_eq!(Address::parse(&text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_comma_for_a_dot_is_pointed_out_and_a_huge_cell_is_not_repeated() {
        let error = Address::parse("ana@gmail,com").expect_err("refused");
        assert!(error.hint().is_some_and(|hint| hint.contains("comma")));
        for huge in
            ["a".repeat(1 << 20), format!("a@{}", "b".repeat(1 << 20)), format!("a@{}", "é".repeat(1 << 20))]
        {
            let error = Address::parse(&huge).expect_err("refused");
            assert!(error.to_string().chars().count() < 160, "{}", error.to_string().len());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_is_read_again_as_itself(text in ".{0,40}|[a-zA-Z.é-]{1,12}@[a-zA-Zü0-9.-]{1,30}") {
            if let Ok(address) = Address::parse(&text) {
                let again = Address::parse(address.canonical()).expect("canonical is an address");
                prop_assert_eq!(&again, &address.clone().into_owned());
                prop_assert_eq!(again.canonical(), address.canonical());
                prop_assert!(address.canonical().len() <= MAX_TOTAL);
            }
        }

        #[test]
        fn keys_do_not_know_case(local in "[a-zA-Z0-9]{1,10}(\\.[a-zA-Z!#$+]{1,10}){0,2}", domain in "[a-zA-Z0-9]{1,10}\\.[a-zA-Z]{2,5}") {
            let text = format!("{local}@{domain}");
            let (upper, lower) = (text.to_uppercase(), text.to_lowercase());
            let parsed = Address::parse(&text).expect("an address");
            for other in [Address::parse(&upper).expect("an address"), Address::parse(&lower).expect("an address")] {
                prop_assert_eq!(parsed.key(), other.key());
                prop_assert_eq!(parsed.key_hash(), other.key_hash());
            }
        }

        #[test]
        fn the_fast_way_and_the_slow_way_agree(text in "[aA.@é\\-1_, ]{0,6}@[aAü.\\-1,]{1,8}") {
            let text = text.trim();
            if let Some(shape) = plain(text) {
                prop_assert_eq!(Ok(Address::build(text, shape)), explain(text));
            }
        }
    }
}
