//! How files of a run are called in the archive, and which of them are the run's own to write anew.
//!
//! Names of result files belong to results alone: an input that is called so is archived under another name.
//! Knows nothing of what stands in the files but the receipt's own words.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ingest::folder::split_name;

const SUCCESS: &str = "success";
const REJECTS: &str = "rejects";

/// A name that a terminal shows and a table holds: control characters stand as what they are.
#[must_use]
pub fn printable(name: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    name.chars().map(shown).collect()
}

/// The names under which an input may be archived, the likeliest first: its own, then with its run.
pub(super) fn archived_names(name: &str, run_id: i64) -> impl Iterator<Item = String> {
    let (stem, end) = split_name(name);
    let own = (!is_result_name(stem)).then(|| name.to_owned());
    let (stem, end) = (stem.to_owned(), end.to_owned());
    let numbered = (1_u32..).map(move |number| format!("{}{end}", of_run(&stem, run_id, number)));
    own.into_iter().chain(numbered)
}

/// The same where no run goes with it.
pub(super) fn spare_names(name: &str) -> impl Iterator<Item = String> {
    let (stem, end) = split_name(name);
    let own = (!is_result_name(stem)).then(|| name.to_owned());
    let (stem, end) = (stem.to_owned(), end.to_owned());
    own.into_iter().chain((2_u32..).map(move |number| format!("{stem}-{number}{end}")))
}

/// `list.7`, and `list.7-2` where that is somebody else's.
fn of_run(stem: &str, run_id: i64, number: u32) -> String {
    if number == 1 { format!("{stem}.{run_id}") } else { format!("{stem}.{run_id}-{number}") }
}

/// Whether results of some run may be called `stem` and an ending.
fn is_result_name(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let of_run = [SUCCESS, REJECTS].iter().find_map(|kind| stem.strip_suffix(kind)?.strip_suffix('.'));
    let number = of_run.and_then(|of_run| of_run.rsplit('.').next());
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    })
}

/// Where the result files of one run are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Results {
    pub(super) success: PathBuf,
    pub(super) rejects: PathBuf,
    pub(super) receipt: PathBuf,
}

impl Results {
    fn named(dir: &Path, base: &str, ending: &str) -> Self {
        let file = |kind: &str| dir.join(format!("{base}.{kind}"));
        Self {
            success: file(&format!("{SUCCESS}.{ending}")),
            rejects: file(&format!("{REJECTS}.{ending}")),
            receipt: file("receipt.json"),
        }
    }

    /// The first names that are this run's: its receipt stands there already, or nothing but what `written`
    /// holds anyway, which a crash before the receipt leaves. Whatever else is there is somebody else's,
    /// as the results of another database are in a folder that outlived it.
    pub(super) fn find(
        dir: &Path,
        name: &str,
        run_id: i64,
        ending: &str,
        is_ours: impl Fn(&Value) -> bool,
        written: [Option<&Path>; 2],
    ) -> Self {
        let (stem, _) = split_name(name);
        let places = (1_u32..).map(|number| Self::named(dir, &of_run(stem, run_id, number), ending));
        let or_free = |place: &Self| {
            let mut pairs = [&place.success, &place.rejects].into_iter().zip(written);
            is_free(&place.receipt)
                && pairs.all(|(path, new)| is_free(path) || new.is_some_and(|new| is_same(path, new)))
        };
        let mut places = places
            .filter(|place| read_json(&place.receipt).map_or_else(|| or_free(place), |said| is_ours(&said)));
        // There is always a number that nobody has used yet.
        places.next().unwrap_or_else(|| Self::named(dir, stem, ending))
    }
}

impl Results {
    /// The receipt of this run among the first so many names, and what it says.
    pub(super) fn receipt_of(
        dir: &Path,
        name: &str,
        run_id: i64,
        numbers: u32,
        is_ours: impl Fn(&Value) -> bool,
    ) -> Option<(PathBuf, Value)> {
        let (stem, _) = split_name(name);
        let places =
            (1..=numbers).map(|number| Self::named(dir, &of_run(stem, run_id, number), "csv").receipt);
        let mut said = places.filter_map(|path| Some((read_json(&path)?, path)));
        said.find(|(said, _)| is_ours(said)).map(|(said, path)| (path, said))
    }
}

fn is_free(path: &Path) -> bool {
    path.symlink_metadata().is_err()
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Whether both hold the same bytes.
fn is_same(one: &Path, other: &Path) -> bool {
    let differ = || -> io::Result<bool> {
        let (one, other) = (File::open(one)?, File::open(other)?);
        if one.metadata()?.len() != other.metadata()?.len() {
            return Ok(true);
        }
        let (mut one, mut other) = (io::BufReader::new(one).bytes(), io::BufReader::new(other).bytes());
        loop {
            match (one.next().transpose()?, other.next().transpose()?) {
                (None, None) => return Ok(false),
                (one, other) if one != other => return Ok(true),
                _ => {}
            }
        }
    };
    matches!(differ(), Ok(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(names: impl Iterator<Item = String>) -> Vec<String> {
        names.take(3).collect()
    }

    #[test]
    fn control_characters_are_seen() {
        assert_eq!(printable("Ünï é\u{1b}[31m\n.csv"), "Ünï é\\u{1b}[31m\\n.csv");
    }

    #[test]
    fn inputs_are_never_called_as_results_are() {
        assert_eq!(first(archived_names("a.csv.gz", 7)), ["a.csv.gz", "a.7.csv.gz", "a.7-2.csv.gz"]);
        for name in ["a.2.success.csv", "A.2-3.REJECTS.CSV"] {
            let names = first(archived_names(name, 7));
            assert!(names.iter().all(|name| name.contains(".7")), "{names:?}");
            assert!(first(spare_names(name)).iter().all(|spare| spare != name), "{name}");
        }
        for name in ["success.csv", "a.success.csv", "a.2.csv", "a..success.csv"] {
            assert_eq!(first(archived_names(name, 7))[0], name);
        }
        assert_eq!(first(spare_names("a.csv")), ["a.csv", "a-2.csv", "a-3.csv"]);
    }

    #[test]
    fn results_take_the_first_place_that_is_their_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        let written = dir.path().join(".new");
        put(".new", "email\n");
        let find = || {
            let ours = |said: &Value| said["ours"] == true;
            let place = Results::find(dir.path(), "a.csv", 2, "csv", ours, [Some(&written), None]);
            place.success.file_name().expect("a name").to_string_lossy().into_owned()
        };
        assert_eq!(find(), "a.2.success.csv");
        put("a.2.success.csv", "email\n");
        assert_eq!(find(), "a.2.success.csv", "written before a crash, and to be written again");
        put("a.2.success.csv", "emails");
        assert_eq!(find(), "a.2-2.success.csv", "somebody else's");
        put("a.2-2.rejects.csv", "");
        assert_eq!(find(), "a.2-3.success.csv", "somebody else's");
        put("a.2.receipt.json", "{\"ours\": true}");
        assert_eq!(find(), "a.2.success.csv", "an earlier writing of ours");
        for other in ["{\"ours\": false}", "no JSON"] {
            put("a.2.receipt.json", other);
            assert_eq!(find(), "a.2-3.success.csv", "another database's");
        }
    }
}
