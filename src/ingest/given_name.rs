//! The name under which a file from elsewhere may lie in the drop folder. Names are words of strangers: they lead
//! nowhere, hide nothing, and end as the folder wants them to.

use super::folder::TAKEN;
use super::moving::split_name;

/// Bytes of a name before its ending. Result files add to it, and 255 is the most that file systems take.
const LONGEST: usize = 150;
/// What a file is called whose name says nothing.
const NAMELESS: &str = "upload";

/// A name as close to the given one as it may be.
#[must_use]
pub fn safe_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String =
        last.chars().filter(|c| !is_hidden(*c)).map(|c| if is_odd(c) { '-' } else { c }).collect();
    let (stem, end) = split_name(plain.trim());
    let is_taken = TAKEN.contains(&end.to_ascii_lowercase().as_str());
    // What would not be looked at in the folder is taken for what the form asks for; its bytes say what it is.
    let (stem, end) = if is_taken { (stem, end) } else { (plain.trim(), ".csv") };
    let is_edge = |c: char| c == '.' || c.is_whitespace();
    // A first dot hides a file, and `~$` is what some programs call their locks.
    let stem = stem.trim_start_matches(|c| is_edge(c) || c == '~' || c == '$');
    let stem = stem[..stem.floor_char_boundary(LONGEST)].trim_end_matches(is_edge);
    format!("{}{end}", if stem.is_empty() { NAMELESS } else { stem })
}

/// What is not seen, or turns round what follows.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What means something else where files are shared.
const fn is_odd(c: char) -> bool {
    matches!(c, '"' | '*' | ':' | '<' | '>' | '?' | '|')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lead_nowhere_and_stay_what_they_are() {
        for (given, safe) in [
            ("list.csv", "list.csv"),
            ("Größe 名簿.CSV", "Größe 名簿.CSV"),
            ("list.jsonl.zst", "list.jsonl.zst"),
            ("../../x.csv", "x.csv"),
            ("C:\\lists\\x.csv", "x.csv"),
            (".hidden.csv", "hidden.csv"),
            ("~$x.csv", "x.csv"),
            ("x.csv.tmp", "x.csv.tmp.csv"),
            ("x.xlsx", "x.xlsx.csv"),
            ("x", "x.csv"),
            ("a\0b\n.csv", "ab.csv"),
            ("say \"hi\".csv", "say -hi-.csv"),
            ("evil\u{202e}vsc.exe", "evilvsc.exe.csv"),
            ("", "upload.csv"),
            ("...", "upload.csv"),
            (".csv", "csv.csv"),
            ("..csv", "upload.csv"),
            ("/", "upload.csv"),
            (" . .csv.gz", "upload.csv.gz"),
            ("x .csv", "x.csv"),
        ] {
            assert_eq!(safe_name(given), safe, "{given:?}");
        }
        let long = safe_name(&format!("{}.csv.gz", "ü".repeat(300)));
        assert!(long.len() <= LONGEST + 7 && long.ends_with("ü.csv.gz"), "{long}");
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_the_folder_takes(given in any::<String>()) {
            let name = safe_name(&given);
            let lower = name.to_lowercase();
            prop_assert!(TAKEN.iter().any(|end| lower.ends_with(end)), "{name:?}");
            prop_assert!(!name.starts_with(['.', '~']) && !name.contains(['/', '\\', '\0']), "{name:?}");
            prop_assert!(name.len() <= LONGEST + 10, "{name:?}");
            prop_assert_eq!(safe_name(&name), name);
        }
    }
}
