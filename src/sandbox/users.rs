//! What belongs to people themselves, in whatever calendar they are: their name, and how they spell their address.
//!
//! A name is written once. Knows nothing of calendars, and of people only what somebody said of them.

use std::collections::HashMap;

/// What is known of people, by their address in lower case.
#[derive(Default)]
pub(super) struct Users {
    names: HashMap<Box<str>, Box<str>>,
    spellings: HashMap<Box<str>, Box<str>>,
}

impl Users {
    /// The name of whoever has this address.
    pub(super) fn name(&self, address: &str) -> Option<&str> {
        self.names.get(address).map(|name| &**name)
    }

    /// Gives somebody a name; false where they have one, or where this is none.
    pub(super) fn name_first(&mut self, address: &str, name: Option<&str>) -> bool {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let Some(name) = name.filter(|_| !self.names.contains_key(address)) else { return false };
        self.names.insert(address.into(), name.into());
        true
    }

    /// How this address was spelt when it first came.
    pub(super) fn spelling<'a>(&'a self, address: &'a str) -> &'a str {
        self.spellings.get(address).map_or(address, |spelt| &**spelt)
    }

    /// Keeps how an address is spelt; the first spelling stays.
    pub(super) fn spell_first(&mut self, address: &str, spelt: &str) {
        if address != spelt && !self.spellings.contains_key(address) {
            self.spellings.insert(address.into(), spelt.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_and_the_first_spelling_stay() {
        let mut users = Users::default();
        assert!(!users.name_first("ana@b.org", None) && !users.name_first("ana@b.org", Some(" ")));
        assert!(users.name_first("ana@b.org", Some(" Ana Lima ")));
        assert!(!users.name_first("ana@b.org", Some("Somebody Else")));
        assert_eq!((users.name("ana@b.org"), users.name("bo@b.org")), (Some("Ana Lima"), None));
        assert_eq!(users.spelling("ana@b.org"), "ana@b.org");
        users.spell_first("ana@b.org", "Ana@b.org");
        users.spell_first("ana@b.org", "ANA@b.org");
        assert_eq!(users.spelling("ana@b.org"), "Ana@b.org");
    }
}
