//! Which guests of an event belong into the audience, by what Luma's guest export says of each.
//!
//! Who declined, or was asked and never answered, has not agreed to any mail.

/// Which guests are taken from a list that has a column `approval_status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guests {
    /// Those who signed up themselves, whatever came of it.
    #[default]
    Registered,
    /// Those who are let in.
    Approved,
    /// Everybody, also those who declined.
    All,
}

/// What Luma writes for guests who signed up themselves.
const REGISTERED: [&str; 4] = ["approved", "session", "pending_approval", "waitlist"];

impl Guests {
    /// Whether a guest of this status is taken. A row without one says nothing against it; a status that
    /// nobody knows is no agreement.
    #[must_use]
    pub fn take(self, status: &str) -> bool {
        let status = status.trim();
        let is = |known: &str| status.eq_ignore_ascii_case(known);
        status.is_empty()
            || match self {
                Self::Registered => REGISTERED.into_iter().any(is),
                Self::Approved => is("approved"),
                Self::All => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_declined_or_never_answered_is_left_out_unless_everybody_is_asked_for() {
        for (status, registered, approved) in [
            ("approved", true, true),
            (" Approved ", true, true),
            ("", true, true),
            ("waitlist", true, false),
            ("pending_approval", true, false),
            ("session", true, false),
            ("invited", false, false),
            ("declined", false, false),
            ("never heard of", false, false),
        ] {
            assert_eq!(Guests::Registered.take(status), registered, "{status}");
            assert_eq!(Guests::Approved.take(status), approved, "{status}");
            assert!(Guests::All.take(status), "{status}");
        }
    }
}
