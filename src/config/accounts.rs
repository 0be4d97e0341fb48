//! Accounts beside `main`: a key, tags and limits of their own, and whatever they leave out from `[luma]`.
//!
//! Knows how an account is written; which of them sends what is decided elsewhere.

use secrecy::{ExposeSecret as _, SecretString};

use super::Config;
use super::reader::Reader;
use super::sections::{LUMA, luma, tags};
use super::types::Luma;
use super::values::{Wrong, shown};
use crate::domain::account::{AccountName, MAIN};
use crate::domain::tag::TagBook;

/// `[accounts.NAME]`, with what it takes from `[luma]`.
#[derive(Clone, Debug)]
pub struct Account {
    /// What rows, folders and commands call it.
    pub name: AccountName,
    /// The API and the account's own key to it.
    pub luma: Luma,
    /// The names of its tags: ids belong to one calendar.
    pub tags: TagBook,
}

impl Config {
    /// Every account: `main`, then the others by name.
    pub fn accounts(&self) -> impl Iterator<Item = Account> {
        let main = Account { name: AccountName::main(), luma: self.luma.clone(), tags: self.tags.clone() };
        std::iter::once(main).chain(self.further.iter().cloned())
    }

    /// The account of this name.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<Account> {
        self.accounts().find(|account| account.name.as_str() == name)
    }
}

/// A key to an API that was read: where it is written, where it is kept, and itself, if it was fetched.
struct Key {
    written: String,
    place: Option<String>,
    secret: Option<SecretString>,
}

/// Reads every account but `main`. Those with a problem, which the reader keeps, may be left out.
pub(super) fn accounts(reader: &mut Reader<'_>, main: Option<&Luma>, required: bool) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut keys: Vec<Key> = main.map(|main| Key::read(reader, LUMA, main, required)).into_iter().collect();
    for text in reader.sections("accounts") {
        let section = format!("accounts.{text}");
        if required {
            let hint = format!("write `api_key = \"env:NAME\"` below `[{section}]`: a key is of one account");
            reader.require(&format!("{section}.api_key"), &hint);
        }
        // Read though the name may be wrong: every problem is told at once.
        let luma = luma(reader, &section, required);
        let tags = tags(reader, &format!("{section}.tags"));
        match (name(&text), luma) {
            (Err(wrong), _) => reader.wrong(&section, wrong),
            (Ok(_), None) => {}
            (Ok(name), Some(luma)) => {
                let key = Key::read(reader, &section, &luma, required);
                if let Some(twin) = keys.iter().find(|other| key.is_that_of(other)) {
                    reader.warn(format!(
                        "`{}` is the key of `{}` too, and a calendar with two accounts has its quota used up twice\n\
                         hint: give each account a key of its own, or leave one of them out",
                        key.written, twin.written
                    ));
                }
                keys.push(key);
                accounts.push(Account { name, luma, tags });
            }
        }
    }
    accounts
}

impl Key {
    fn read(reader: &mut Reader<'_>, section: &str, luma: &Luma, is_fetched: bool) -> Self {
        let written = format!("{section}.api_key");
        let place = reader.text(&written).map(|place| place.trim().to_owned());
        Self { written, place, secret: is_fetched.then(|| luma.api_key.clone()) }
    }

    fn is_that_of(&self, other: &Self) -> bool {
        let secret = |key: &Self| {
            let secret = key.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
            secret.filter(|secret| !secret.is_empty())
        };
        let is_same = |one: Option<String>, other: Option<String>| one.is_some() && one == other;
        is_same(self.place.clone(), other.place.clone()) || is_same(secret(self), secret(other))
    }
}

fn name(text: &str) -> Result<AccountName, Wrong> {
    if text == MAIN {
        return Err(Wrong::new(
            "is the account of `[luma]`",
            "write its keys below `[luma]` and its tags below `[tags]`",
        ));
    }
    AccountName::parse(text).ok_or_else(|| {
        let lower = text.to_lowercase();
        let hint = match AccountName::parse(&lower) {
            Some(name) if name.as_str() != MAIN => format!("write `[accounts.{name}]`"),
            _ => "write a name of small letters, digits, `-` and `_`, like `paris`".to_owned(),
        };
        Wrong::new(format!("is no name for an account: `{}`", shown(text)), hint)
    })
}
