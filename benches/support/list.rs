//! A member list of any length, the same every time.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;

/// The names of tags and what Luma calls them.
pub(crate) const TAGS: [(&str, &str); 3] = [("vip", "tag-vip"), ("press", "tag-press"), ("team", "tag-team")];

/// As they stand in the file: five sets, one of them empty.
const TAG_CELLS: [&str; 5] = ["", "vip", "press", "vip;press", "press;team"];

const FIRST: [&str; 16] = [
    "Ana", "Boris", "Chidi", "Dalia", "Emil", "Farah", "Goran", "Hana", "Ines", "Jonas", "Katya", "Liam",
    "Mei", "Noor", "Oskar", "Priya",
];
const LAST: [&str; 16] = [
    "Abbott",
    "Berger",
    "Costa",
    "Duarte",
    "Eriksen",
    "Farkas",
    "Garcia",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
];
const DOMAINS: [&str; 4] = ["example.org", "example.com", "example.net", "mail.example.org"];

/// Writes the members of these numbers, valid and distinct, in no order. The bytes written.
pub(crate) fn write(path: &Path, numbers: Range<u32>) -> anyhow::Result<u64> {
    let mut rng = fastrand::Rng::with_seed(20_260_221);
    let mut numbers: Vec<u32> = numbers.collect();
    rng.shuffle(&mut numbers);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "email,name,tags")?;
    for number in numbers {
        let dice = rng.usize(..);
        let (first, last) = (FIRST[dice % 16], LAST[dice / 16 % 16]);
        let (domain, tags) = (DOMAINS[dice / 256 % 4], TAG_CELLS[dice / 1024 % 5]);
        let letter = first.to_ascii_lowercase();
        let family = last.to_ascii_lowercase();
        writeln!(file, "{letter}.{family}.{number:07}@{domain},{first} {last},{tags}")?;
    }
    file.flush()?;
    // Left to the system, writing it out would fall into somebody's measured time.
    file.get_ref().sync_all()?;
    Ok(file.get_ref().metadata()?.len())
}
