//! Why a text is no address, and what may help. No text repeats the whole of it.

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
