//! The name of an account: a plain word, because rows, folders, variables and commands bear it.

use std::fmt;

/// The account of `[luma]`, which rows are for where they name none.
pub const MAIN: &str = "main";

/// The longest name.
const LONGEST: usize = 40;

/// One Luma key and what it reaches, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// The account of `[luma]`.
    #[must_use]
    pub fn main() -> Self {
        Self(MAIN.to_owned())
    }

    /// Reads a name. Capitals are none: neither every file system nor the environment tells them apart.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        (begins && text.len() <= LONGEST && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the account of `[luma]`.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.0 == MAIN
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_word() {
        for name in ["paris", "new-york", "chapter_2", "2", "main"] {
            assert_eq!(AccountName::parse(name).map(|name| name.to_string()).as_deref(), Some(name));
        }
        let long = "a".repeat(LONGEST + 1);
        for name in ["", "Paris", "-a", "_a", "a b", "a/b", "..", "a.b", "@a", "é", "a\n", long.as_str()] {
            assert_eq!(AccountName::parse(name), None, "{name}");
        }
        assert!(AccountName::main().is_main());
    }
}
