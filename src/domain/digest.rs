//! A digest of who would get what: two are alike where the same people would get the same tags, in whatever
//! order they come.
//!
//! It holds no address, and none can be read back from it but by whoever guesses it right.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::tag::TagSet;

/// The sum of the digests of all people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudienceDigest {
    people: u64,
    sum: [u64; 4],
}

impl AudienceDigest {
    /// Adds somebody: the address, whatever its letters, the name and the tags that are sent.
    pub fn add(&mut self, email: &str, name: Option<&str>, tags: &TagSet) {
        let mut digest = Sha256::new();
        for text in [&*email.to_ascii_lowercase(), name.unwrap_or_default(), &*tags.to_string()] {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        }
        self.people += 1;
        for (sum, bytes) in self.sum.iter_mut().zip(digest.finalize().chunks_exact(8)) {
            let part = bytes.iter().fold(0, |part, byte| (part << 8) | u64::from(*byte));
            *sum = sum.wrapping_add(part);
        }
    }

    /// How many people it is of.
    #[must_use]
    pub const fn people(&self) -> u64 {
        self.people
    }
}

impl fmt::Display for AudienceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.people)?;
        self.sum.iter().try_for_each(|part| write!(f, "{part:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(people: &[(String, Option<String>, bool)]) -> String {
        let mut digest = AudienceDigest::default();
        for (email, name, is_vip) in people {
            let tags = if *is_vip { "tag-vip" } else { "" };
            digest.add(email, name.as_deref(), &TagSet::parse(tags).expect("tags"));
        }
        digest.to_string()
    }

    proptest! {
        #[test]
        fn it_tells_people_apart_and_knows_no_order(
            people in prop::collection::vec(("[a-c]{1,2}", prop::option::of("[A-B]"), any::<bool>()), 0..8),
            other in ("[a-c]{1,2}", prop::option::of("[A-B]"), any::<bool>()),
        ) {
            let mut turned = people.clone();
            turned.reverse();
            prop_assert_eq!(digest(&people), digest(&turned));
            let mut more = people.clone();
            more.push(other.clone());
            prop_assert_ne!(digest(&people), digest(&more));
            if let Some(first) = people.first() {
                more.remove(0);
                prop_assert_eq!(digest(&people) == digest(&more), *first == other);
            }
        }
    }
}
