//! Words as a shell takes them, beside those that people read.

pub(super) use crate::domain::words::{count, moment, span, time_of_day};

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "./=:@,+-_".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(
            ["a.csv", "my list.csv", "it's", ""].map(quoted),
            ["a.csv", "'my list.csv'", "'it'\\''s'", "''"]
        );
    }
}
