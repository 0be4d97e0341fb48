//! The end of an event's address on Luma. Luma gives each to one event only, so an event that was asked
//! for with its own can be found again.

use sha2::{Digest as _, Sha256};

use super::key::hex;
use super::{ClientKey, Event};
use crate::domain::code::Code;

/// The end of an event's address: 3 to 50 plain characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug(String);

/// So much of the name is kept for people; the rest tells events apart.
const READABLE: usize = 30;
/// Hexadecimal digits of the part that tells events apart: 64 bits.
const TELLING: usize = 16;

impl Slug {
    /// One that somebody chose.
    pub(super) fn parse(text: &str) -> Result<Self, (Code, String)> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        if (3..=50).contains(&text.len()) && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        let why = "is no end of an address: write 3 to 50 letters, digits, `-`, `_`, `.` or `~`";
        Err((Code::FieldInvalid, why.to_owned()))
    }

    /// The one that an event gets where its row names none: always the same for the same event of an
    /// account, and the same for no other.
    #[must_use]
    pub fn of(event: &Event, key: &ClientKey, account: &str) -> Self {
        let start = event.start_at().map(|at| at.to_string()).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [account, key.as_str(), event.name(), &start] {
            // Lengths keep neighbours apart.
            hash.update(format!("{}:{part};", part.len()));
        }
        let telling: String = hex(&hash.finalize()).chars().take(TELLING).collect();
        let words = event.name().split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
        let readable: String = name.chars().take(READABLE).collect();
        let readable = readable.trim_end_matches('-');
        Self(if readable.is_empty() { format!("event-{telling}") } else { format!("{readable}-{telling}") })
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
