//! Which guests of an event belong into the audience, by what Luma's guest export says of each.
//!
//! Who declined, or was asked and never answered, has not agreed to any mail.

use super::code::Code;

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

/// What it writes for those who did not.
const OTHERS: [&str; 2] = ["invited", "declined"];

impl Guests {
    /// Why a guest of this status is not taken, if so. A row without one says nothing against it; one that
    /// Luma does not write is a mistake in the list, and no agreement.
    #[must_use]
    pub fn refuse(self, status: &str) -> Option<(Code, String)> {
        let status = status.trim();
        let is = |known: &str| status.eq_ignore_ascii_case(known);
        let is_taken = match self {
            Self::Registered => REGISTERED.into_iter().any(is),
            Self::Approved => is("approved"),
            Self::All => true,
        };
        if status.is_empty() || is_taken {
            return None;
        }
        let said: String = status.chars().take(40).collect();
        if REGISTERED.into_iter().chain(OTHERS).any(is) {
            return Some((Code::GuestExcluded, format!("says `{said}`; `folder.guests` says who is taken")));
        }
        let said =
            format!("says `{said}`, which Luma does not write; `folder.guests = \"all\"` takes everybody");
        Some((Code::StatusUnknown, said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_declined_or_never_answered_is_left_out_unless_everybody_is_asked_for() {
        let (out, odd) = (Some(Code::GuestExcluded), Some(Code::StatusUnknown));
        for (status, registered, approved) in [
            ("approved", None, None),
            (" Approved ", None, None),
            ("", None, None),
            ("waitlist", None, out),
            ("pending_approval", None, out),
            ("session", None, out),
            ("invited", out, out),
            ("declined", out, out),
            ("Confirmed", odd, odd),
        ] {
            let code = |guests: Guests| guests.refuse(status).map(|(code, _)| code);
            assert_eq!(code(Guests::Registered), registered, "{status}");
            assert_eq!(code(Guests::Approved), approved, "{status}");
            assert_eq!(code(Guests::All), None, "{status}");
        }
    }
}
