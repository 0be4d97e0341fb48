//! Addresses: what one is, its spelling for the wire, and the key by which two are one person.
//!
//! Stricter than RFC 5321 where mail in practice is: no quoted local parts, no address literals,
//! ASCII before the `@`. Knows nothing of files; the caller says where the text stood.

mod error;

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

pub use error::EmailError;

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
mod tests;
