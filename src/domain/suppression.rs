//! Who is never sent, kept as keyed hashes: the list can be asked about somebody, and names nobody.
//!
//! Knows neither where the list is kept nor what becomes of a row whose person is on it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::clock::Time;

/// Stands for every account. No account is called so.
pub const EVERY_ACCOUNT: &str = "*";

/// Bytes of a digest that are kept: enough that no two people share one.
const KEPT: usize = 16;
/// Hexadecimal digits of a digest that people are shown.
const SHOWN: usize = 8;

/// A keyed hash of a normalised address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; KEPT]);

impl Digest {
    /// How long the text of a digest is.
    pub const TEXT: usize = 2 * KEPT;

    /// Reads the text that `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        bytes(text).map(Self)
    }

    /// As much of it as tells entries apart for people.
    #[must_use]
    pub fn short(self) -> String {
        self.to_string().chars().take(SHOWN).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key of the hashes. It has no text.
#[derive(Clone)]
pub struct SuppressionKey(Hmac<Sha256>);

impl SuppressionKey {
    /// Reads a key of 32 bytes in hexadecimal.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Hmac::new_from_slice(&bytes::<32>(text)?).ok().map(Self)
    }

    /// The digest of a normalised address.
    #[must_use]
    pub fn digest(&self, email_key: &str) -> Digest {
        let whole = self.0.clone().chain_update(email_key.as_bytes()).finalize().into_bytes();
        let mut kept = [0; KEPT];
        kept.copy_from_slice(&whole[..KEPT]);
        Digest(kept)
    }
}

impl fmt::Debug for SuppressionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuppressionKey")
    }
}

/// The list, in memory.
#[derive(Clone, Debug, Default)]
pub struct SuppressionList {
    /// None where nobody is on the list.
    key: Option<SuppressionKey>,
    /// Where each digest's reason stands, by account.
    entries: HashMap<String, HashMap<Digest, usize>>,
    reasons: Vec<Arc<str>>,
}

impl SuppressionList {
    /// A list of nobody yet.
    #[must_use]
    pub fn new(key: SuppressionKey) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// Enters people of an account, or of every one, who were suppressed together.
    pub fn add(
        &mut self,
        account: &str,
        digests: impl IntoIterator<Item = Digest>,
        since: Time,
        why: Option<&str>,
    ) {
        let place = self.reasons.len();
        self.reasons.push(told(since, why).into());
        let entries = self.entries.entry(account.to_owned()).or_default();
        for digest in digests {
            entries.entry(digest).or_insert(place);
        }
    }

    /// Whether nobody is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Why nothing is sent to an address from an account, in words; `None` where it may be.
    #[must_use]
    pub fn reason(&self, account: &str, address: &str) -> Option<&Arc<str>> {
        if self.is_empty() {
            return None;
        }
        // Addresses in their canonical spelling are keys in lower case.
        let is_key = !address.bytes().any(|byte| byte.is_ascii_uppercase());
        let email_key =
            if is_key { Cow::Borrowed(address) } else { Cow::Owned(address.to_ascii_lowercase()) };
        let digest = self.key.as_ref()?.digest(&email_key);
        let place =
            [EVERY_ACCOUNT, account].iter().find_map(|whose| self.entries.get(*whose)?.get(&digest))?;
        self.reasons.get(*place)
    }
}

/// The list as one account sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Screen {
    list: Arc<SuppressionList>,
    account: Arc<str>,
}

impl Screen {
    /// For the people of an account.
    #[must_use]
    pub fn new(list: Arc<SuppressionList>, account: &str) -> Self {
        Self { list, account: account.into() }
    }

    /// Why nothing is sent to an address, in words; `None` where it may be.
    #[must_use]
    pub fn reason(&self, address: &str) -> Option<&Arc<str>> {
        self.list.reason(&self.account, address)
    }
}

/// Since when and why, as rows and people are told.
fn told(since: Time, why: Option<&str>) -> String {
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("suppressed since {}{why}", since.day())
}

/// Reads bytes in hexadecimal.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::email::Address;

    fn key(seed: u8) -> SuppressionKey {
        SuppressionKey::parse(&format!("{seed:02x}").repeat(32)).expect("a key")
    }

    fn list(entries: &[(&str, &str)]) -> SuppressionList {
        let mut list = SuppressionList::new(key(7));
        for (account, email) in entries {
            list.add(account, [key(7).digest(email)], Time::from_micros(0), Some("asked"));
        }
        list
    }

    #[test]
    fn a_digest_is_the_front_of_an_hmac_with_sha256() {
        // From an implementation of others: HMAC-SHA256 of the address under 32 bytes of 0x0b.
        let digest = key(0x0b).digest("ana@example.org");
        assert_eq!(digest.to_string(), EXPECTED);
        assert_eq!(digest.short(), EXPECTED[..SHOWN]);
    }

    const EXPECTED: &str = "93e87481db30853bdcc3a8448ac7660e";

    #[test]
    fn a_key_is_32_bytes_and_never_shown() {
        for text in ["", "0b", &"0b".repeat(31), &"0b".repeat(33), &"xy".repeat(32), &"é".repeat(32)] {
            assert!(SuppressionKey::parse(text).is_none(), "{text}");
        }
        let shown = format!("{:?}", list(&[]));
        assert!(!shown.contains("0707") && !shown.contains("7, 7"), "{shown}");
    }

    #[test]
    fn an_entry_is_for_its_account_or_for_every_one() {
        let list = list(&[(EVERY_ACCOUNT, "ana@example.org"), ("paris", "bo@example.org")]);
        let told = |account, email| list.reason(account, email).map(ToString::to_string);
        let said = Some("suppressed since 1970-01-01: asked".to_owned());
        assert_eq!(told("main", "ana@example.org"), said);
        assert_eq!(told("paris", "ana@example.org"), said);
        assert_eq!((told("paris", "bo@example.org"), told("main", "bo@example.org")), (said, None));
        assert_eq!(told("main", "cy@example.org"), None);
        assert_eq!(SuppressionList::default().reason("main", "ana@example.org"), None);
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_listed_address_is_found_and_no_other_address(
            local in "[a-z0-9]{1,12}",
            other in "[a-z0-9]{1,12}",
            capitals in any::<u64>(),
        ) {
            let email = format!("{local}@example.org");
            let list = list(&[(EVERY_ACCOUNT, &email)]);
            let shout = |(at, c): (usize, char)| if capitals >> (at % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c };
            let spelling: String = email.chars().enumerate().map(shout).collect();
            let address = Address::parse(&spelling).expect("an address");
            prop_assert!(list.reason("main", address.canonical()).is_some());
            prop_assert!(list.reason("main", address.key()).is_some());
            prop_assert_eq!(list.reason("main", &format!("{other}@example.org")).is_some(), other == local);
        }

        #[test]
        fn digests_are_read_back_as_they_are_written(email in ".{0,40}", seed in any::<u8>()) {
            let digest = key(seed).digest(&email);
            prop_assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
            prop_assert_eq!(digest.to_string().len(), Digest::TEXT);
            prop_assert_ne!(key(seed ^ 1).digest(&email), digest);
        }
    }
}
