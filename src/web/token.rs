//! The token, and words that nobody guesses.
//!
//! The one place of this room that asks the system for chance: what guards a session must not follow from a seed.

use std::fmt::{self, Write as _};
use std::io;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What whoever changes something must know. Its Debug text shows nothing of it.
#[derive(Clone)]
pub(super) struct Token([u8; 32]);

impl Token {
    pub(super) fn new(secret: &SecretString) -> Self {
        Self(digest(secret.expose_secret()))
    }

    /// Whether this is the token. Takes as long for every guess.
    pub(super) fn is(&self, guess: &str) -> bool {
        self.0.ct_eq(&digest(guess)).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Whether both are the same, taking as long wherever they differ.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    digest(one).ct_eq(&digest(other)).into()
}

/// What is kept of a word that gives access.
pub(super) fn digest(word: &str) -> [u8; 32] {
    Sha256::digest(word.as_bytes()).into()
}

/// A word of 256 bits.
pub(super) fn fresh() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(hex(&bytes))
}

/// Bytes in figures and letters.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The text that stands so in figures and letters.
pub(super) fn unhex(text: &str) -> Option<String> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let token = Token::new(&"correct horse battery".into());
        assert!(token.is("correct horse battery"));
        for guess in ["", "correct horse batterz", "correct horse battery ", "CORRECT HORSE BATTERY"] {
            assert!(!token.is(guess), "{guess}");
        }
        assert!(!format!("{token:?}").contains("horse"));
    }

    #[test]
    fn a_text_comes_back_from_its_figures() {
        for text in ["", "ana@example.org", "é\n\"<"] {
            assert_eq!(unhex(&hex(text.as_bytes())).as_deref(), Some(text));
        }
        for odd in ["6", "zz", "ff", "é1"] {
            assert_eq!(unhex(odd), None, "{odd}");
        }
    }

    #[test]
    fn no_two_fresh_words_are_the_same() {
        let (one, other) = (fresh().expect("chance"), fresh().expect("chance"));
        assert!(one.len() == 64 && !is_same(&one, &other) && is_same(&one, &one));
    }
}
