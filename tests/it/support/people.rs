//! Made-up member lists, and what must become of them: a model that knows nothing of lumasync.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fastrand::Rng;

/// Who holds which tags.
pub(crate) type Members = BTreeMap<String, Vec<String>>;

/// Tags as files write them, and the ids they stand for in the configuration for tests.
const TAG_CELLS: [(&str, &[&str]); 6] = [
    ("", &[]),
    ("vip", &["tag-vip"]),
    ("press", &["tag-press"]),
    ("press; VIP", &["tag-press", "tag-vip"]),
    ("tag-gold|vip", &["tag-gold", "tag-vip"]),
    ("tag-vip", &["tag-vip"]),
];

const NO_ADDRESS: [&str; 5] =
    ["", "ana at example.org", "a@b@example.org", "who@localhost..org", "@example.org"];

/// A list and its model.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) csv: String,
    pub(crate) rows: u64,
    pub(crate) invalid: u64,
    pub(crate) unknown_tags: u64,
    pub(crate) duplicates: u64,
    /// All who are to be delivered.
    pub(crate) members: Members,
}

impl People {
    /// One in twenty is no address, one in fifty has an unknown tag, one in seven was there before in
    /// another spelling and with tags of its own.
    pub(crate) fn messy(rows: u64, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut list = Self { csv: "name,email,tags\n".to_owned(), rows, ..Self::default() };
        let mut wanted: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        let mut known: Vec<String> = Vec::new();
        for number in 0..rows {
            let (cell, tags) = TAG_CELLS[rng.usize(..TAG_CELLS.len())];
            let address = if !known.is_empty() && rng.u32(..7) == 0 {
                respelt(&known[rng.usize(..known.len())], &mut rng)
            } else {
                format!("Person.{number}@example.org")
            };
            let (email, cell) = match rng.u32(..100) {
                0..5 => (NO_ADDRESS[rng.usize(..NO_ADDRESS.len())].to_owned(), cell),
                5..7 => (address.clone(), "vip;nobody-knows"),
                _ => (address.clone(), cell),
            };
            let _ = writeln!(list.csv, "\"Number {number}, Ms\",{email},{cell}");
            if email != address {
                list.invalid += 1;
            } else if cell.ends_with("nobody-knows") {
                list.unknown_tags += 1;
            } else {
                let key = address.trim().to_lowercase();
                list.duplicates += u64::from(wanted.contains_key(&key));
                wanted.entry(key).or_default().extend(tags);
                known.push(address);
            }
        }
        let owned = |tags: BTreeSet<&str>| tags.into_iter().map(str::to_owned).collect();
        list.members = wanted.into_iter().map(|(key, tags)| (key, owned(tags))).collect();
        list
    }

    /// Different people, all of them good, with one tag or none.
    pub(crate) fn clean(rows: u64, tag: Option<&str>) -> Self {
        let mut list = Self { csv: "email,tags\n".to_owned(), rows, ..Self::default() };
        for number in 0..rows {
            let email = format!("p{number:06}@example.org");
            let _ = writeln!(list.csv, "{email},{}", tag.unwrap_or_default());
            list.members.insert(email, tag.map(|tag| format!("tag-{tag}")).into_iter().collect());
        }
        list
    }
}

/// The same person in other letters, perhaps with space around.
fn respelt(address: &str, rng: &mut Rng) -> String {
    let swap = |c: char| {
        let c = if rng.bool() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        c.to_string()
    };
    let spelt: String = address.trim().chars().map(swap).collect();
    if spelt.len().is_multiple_of(3) { format!(" {spelt} ") } else { spelt }
}
