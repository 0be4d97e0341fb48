//! The words of settings that have a few values only, each with what it means.
//!
//! Knows nothing of what follows from them.

use crate::sandbox::answer::ResetUnit;

/// An enum whose values have words; the first one is the default.
macro_rules! words {
    ($(#[$of:meta])* $name:ident { $(#[$first_doc:meta])* $first:ident = $word:literal,
        $($(#[$doc:meta])* $variant:ident = $other:literal),+ $(,)? }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $(#[$first_doc])* #[default] $first, $($(#[$doc])* $variant),+ }

        impl $name {
            pub(super) const WORDS: &[(&str, Self)] = &[($word, Self::$first), $(($other, Self::$variant)),+];
        }
    };
}

words! {
    /// What an import does with a tag that does not exist. It never creates it.
    UnknownTag {
        /// Refuses the whole import.
        Reject = "reject",
        /// Imports without that tag.
        Ignore = "ignore",
    }
}

words! {
    /// What happens to an import that would go past the calendar's limit of imported people.
    OverLimit {
        /// Nothing of it is stored.
        AllOrNothing = "all-or-nothing",
        /// What fits is stored, and the answer says nothing.
        Partial = "partial-200",
    }
}

words! {
    /// What applying a tag to nobody is answered.
    EmptyApply {
        /// Two zeros.
        Zeros = "zeros",
        /// A refusal.
        Reject = "reject",
    }
}

words! {
    /// When a page of a list names the next one.
    NextCursor {
        /// On the last page too, as was observed.
        Always = "always",
        /// Only where there is more.
        WithMore = "with-more",
    }
}

words! {
    /// How the place of a mistake is spelt.
    PathStyle {
        /// `contacts[1].email`
        Brackets = "brackets",
        /// `contacts.1.email`
        Dots = "dots",
    }
}

words! {
    /// How old the answers are.
    Answers {
        /// As old as the route that was asked.
        ByRoute = "by-route",
        /// `api_id` and wrapped rows of events.
        G1 = "g1",
        /// `id` and `api_id`, and wrapped rows of events.
        G2 = "g2",
        /// `id` and flat rows: today's.
        G3 = "g3",
    }
}

words! {
    /// What becomes of keys that a body should not have.
    UnknownFields {
        /// They are not looked at.
        Accept = "accept",
        /// They are a mistake.
        Reject = "reject",
    }
}

words! {
    /// What a tag's name is compared with.
    TagCase {
        /// The very same letters.
        Exact = "exact",
        /// Letters of either case.
        Ignore = "ignore",
    }
}

words! {
    /// What becomes of a second tag of one name.
    TagTwice {
        /// It is refused.
        Reject = "reject",
        /// There are two.
        Allow = "allow",
    }
}

words! {
    /// What importing somebody does who was removed or blocked.
    Away {
        /// Nothing.
        Stay = "stay",
        /// Who was removed is back; who was blocked is not.
        Return = "return",
    }
}

words! {
    /// What a request during a block does to it.
    Block {
        /// Nothing.
        Fixed = "fixed",
        /// Begins it anew.
        Grows = "grows",
    }
}

words! {
    /// How requests are counted.
    Window {
        /// Every request counts for the length of a window.
        Sliding = "sliding",
        /// All requests of a window are forgotten at its end; the next one begins the next.
        Fixed = "fixed",
    }
}

words! {
    /// Whether the answer to a list of people names those who were left out because they were sent away.
    Skipped {
        /// It says nothing.
        Silent = "silent",
        /// It names them.
        Told = "told",
    }
}

words! {
    /// How a contact counts whom a tag is applied to that they have already, or taken from without it.
    TagAgain {
        /// Like everybody else.
        Counted = "counted",
        /// Not at all.
        Uncounted = "uncounted",
    }
}

words! {
    /// How lists spell an address.
    EmailCase {
        /// In lower case.
        Lower = "lower",
        /// As it first came.
        Kept = "kept",
    }
}

words! {
    /// What the beta does with events.
    BetaCreate {
        /// It creates them, as in 2021.
        Works = "works",
        /// It refuses every one of them, as its host does today.
        Refused = "refused",
    }
}

impl ResetUnit {
    pub(super) const WORDS: &[(&str, Self)] =
        &[("seconds", Self::Seconds), ("millis", Self::Millis), ("iso", Self::Iso)];
}
