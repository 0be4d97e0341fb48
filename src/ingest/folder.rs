//! The drop folder: which files have arrived whole.
//!
//! Knows nothing of what is in the files. Time is the caller's; nothing here waits.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layout::ACCOUNT_MARK;
pub use super::layout::Layout;
pub use super::moving::{free_name, move_into, move_to, split_name};
use super::open::modified;
use crate::clock::Time;

/// What programs call a file that they are still writing.
const UNFINISHED: [&str; 4] = [".tmp", ".part", ".filepart", ".crdownload"];
pub(super) const TAKEN: [&str; 6] = [".csv", ".csv.gz", ".csv.zst", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// What one look at the inbox found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Files that have stood unchanged long enough, by name.
    pub ready: Vec<PathBuf>,
    /// How many files may still be growing.
    pub waiting: usize,
    /// What will never be taken, and why. Each is named once.
    pub ignored: Vec<(PathBuf, &'static str)>,
}

/// Watches one inbox by looking again and again, which works on network shares too.
#[derive(Debug)]
pub struct Watch {
    inbox: PathBuf,
    /// The folder above it, where files are dropped by mistake, and whose folders lie there too.
    root: Option<(PathBuf, Vec<String>)>,
    seen: HashMap<PathBuf, Seen>,
    named: HashSet<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    size: u64,
    modified: Time,
    since: Time,
}

/// What a directory entry is to us.
enum Entry {
    Unfinished,
    Ignored(&'static str),
    Candidate { size: u64, modified: Time },
}

impl Watch {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub fn new(inbox: impl Into<PathBuf>) -> Self {
        Self { inbox: inbox.into(), root: None, seen: HashMap::new(), named: HashSet::new() }
    }

    /// A watch over a drop folder, which also names files that lie beside the inbox, and folders of accounts
    /// other than these.
    #[must_use]
    pub fn over(layout: &Layout, accounts: &[String]) -> Self {
        Self { root: Some((layout.root.clone(), accounts.to_vec())), ..Self::new(layout.inbox()) }
    }

    /// Looks once. A file is ready when its size and time of change have stood still for `settle` by our own
    /// looking: the clock of whoever wrote it proves nothing.
    pub fn scan(&mut self, now: Time, settle: Duration) -> io::Result<Scan> {
        let mut scan = Scan::default();
        let mut seen = HashMap::new();
        let mut present = HashSet::new();
        for entry in fs::read_dir(&self.inbox)? {
            let Ok(entry) = entry else {
                scan.ignored.push((self.inbox.clone(), "an entry of this folder cannot be read"));
                continue;
            };
            let path = entry.path();
            match look(&path) {
                Entry::Unfinished => {}
                Entry::Ignored(why) => {
                    if !self.named.contains(&path) {
                        scan.ignored.push((path.clone(), why));
                    }
                    present.insert(path);
                }
                Entry::Candidate { size, modified } => {
                    let before = self.seen.get(&path);
                    let unchanged = before.filter(|seen| seen.size == size && seen.modified == modified);
                    let since = unchanged.map_or(now, |seen| seen.since);
                    if now.since(since) >= settle {
                        scan.ready.push(path.clone());
                    } else {
                        scan.waiting += 1;
                    }
                    seen.insert(path, Seen { size, modified, since });
                }
            }
        }
        if let Some((root, accounts)) = &self.root {
            for path in fs::read_dir(root).into_iter().flatten().flatten() {
                let path = path.path();
                if let Some(why) = misplaced(&path, accounts) {
                    if !self.named.contains(&path) {
                        scan.ignored.push((path.clone(), why));
                    }
                    present.insert(path);
                }
            }
        }
        // What has gone is forgotten: the same name may come again with something else in it.
        self.seen = seen;
        self.named = present;
        scan.ready.sort();
        scan.ignored.sort();
        Ok(scan)
    }
}

/// Whether a name, in lower case, says that somebody still writes the file or hides it.
fn is_unfinished(name: &str) -> bool {
    name.starts_with('.') || name.starts_with("~$") || UNFINISHED.iter().any(|end| name.ends_with(end))
}

fn lower_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Why what lies beside the inbox is not taken; nothing for what belongs there.
fn misplaced(path: &Path, accounts: &[String]) -> Option<&'static str> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(account) = name.strip_prefix(ACCOUNT_MARK).filter(|_| path.is_dir()) {
        let is_known = accounts.iter().any(|known| known == account);
        return (!is_known).then_some("no account is called so; files in it are not taken");
    }
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir());
    (is_file && !is_unfinished(&lower_name(path)))
        .then_some("it lies beside the folders `members` and `events`; files are taken from there")
}

fn look(path: &Path) -> Entry {
    let name = lower_name(path);
    if is_unfinished(&name) {
        return Entry::Unfinished;
    }
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Entry::Unfinished,
        Err(_) => return Entry::Ignored("it cannot be looked at"),
    };
    if metadata.is_symlink() {
        return Entry::Ignored("it is a symbolic link");
    }
    if !metadata.is_file() {
        return Entry::Ignored("it is no regular file");
    }
    if !TAKEN.iter().any(|end| name.ends_with(end)) {
        return Entry::Ignored(
            "its name does not end in .csv or .jsonl, nor in one of these with .gz or .zst",
        );
    }
    match File::open(path) {
        Ok(_) => Entry::Candidate { size: metadata.len(), modified: modified(&metadata) },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Entry::Unfinished,
        Err(_) => Entry::Ignored("it cannot be opened; check its permissions"),
    }
}

pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(2);

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    fn names(paths: &[PathBuf]) -> Vec<String> {
        paths.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
    }

    #[test]
    fn a_file_is_ready_once_it_has_stood_still_under_our_eyes() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("list.csv");
        fs::write(&file, "email\n").expect("written");
        let mut watch = Watch::new(dir.path());
        let first = watch.scan(at(100), SETTLE).expect("a scan");
        assert_eq!((first.ready.len(), first.waiting), (0, 1));
        fs::write(&file, "email\na@x.org\n").expect("grown");
        assert_eq!(watch.scan(at(102), SETTLE).expect("a scan").waiting, 1);
        assert_eq!(watch.scan(at(103), SETTLE).expect("a scan").waiting, 1);
        assert_eq!(names(&watch.scan(at(104), SETTLE).expect("a scan").ready), ["list.csv"]);
        fs::remove_file(&file).expect("gone");
        watch.scan(at(105), SETTLE).expect("a scan");
        fs::write(&file, "email\na@x.org\n").expect("back");
        assert_eq!(watch.scan(at(106), SETTLE).expect("a scan").ready.len(), 0);
    }

    #[test]
    fn what_is_no_list_is_named_once_and_what_is_unfinished_never() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in [
            ".hidden.csv",
            "a.csv.tmp",
            "b.csv.part",
            "c.FILEPART",
            "~$d.csv",
            "e.csv.crdownload",
            "f.xlsx",
            "G.CSV",
            "h.csv.GZ",
            "i.csv.zst",
        ] {
            fs::write(dir.path().join(name), "x").expect("written");
        }
        fs::create_dir(dir.path().join("old.csv")).expect("a folder");
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link.csv")).expect("a link");
        let mut watch = Watch::new(dir.path());
        let scan = watch.scan(at(0), Duration::ZERO).expect("a scan");
        assert_eq!(names(&scan.ready), ["G.CSV", "h.csv.GZ", "i.csv.zst"]);
        let ignored: Vec<PathBuf> = scan.ignored.into_iter().map(|(path, _)| path).collect();
        assert_eq!(names(&ignored), ["f.xlsx", "link.csv", "old.csv"]);
        assert_eq!(watch.scan(at(1), SETTLE).expect("a scan").ignored, []);
        assert!(Watch::new(dir.path().join("missing")).scan(at(0), SETTLE).is_err());
    }

    #[test]
    fn what_lies_beside_the_inbox_and_belongs_to_nobody_is_named_once() {
        let root = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(root.path());
        layout.create().expect("folders");
        for name in ["list.csv", ".lumasync.lock", "half.csv.part"] {
            fs::write(root.path().join(name), "email\n").expect("written");
        }
        for account in ["@paris", "@pariss"] {
            Layout::new(root.path().join(account)).create().expect("folders");
        }
        let mut watch = Watch::over(&layout, &["paris".to_owned()]);
        let scan = watch.scan(at(0), Duration::ZERO).expect("a scan");
        let ignored: Vec<PathBuf> = scan.ignored.into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            (names(&ignored).as_slice(), scan.ready.len()),
            (&["@pariss", "list.csv"].map(str::to_owned)[..], 0)
        );
        assert_eq!(watch.scan(at(1), SETTLE).expect("a scan").ignored, []);
    }
}
