//! Moving files without losing or overwriting one, and the names they get.
//!
//! Knows nothing of runs, nor of what is in the files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::folder::{TAKEN, create_dir};

/// Takes a name such as `list.csv.gz` apart into `list` and `.csv.gz`.
#[must_use]
pub fn split_name(name: &str) -> (&str, &str) {
    let lower = name.to_ascii_lowercase();
    let known = TAKEN.iter().find(|end| lower.ends_with(*end) && lower.len() > end.len());
    let at = known.map_or_else(|| name.rfind('.').filter(|at| *at > 0), |end| Some(name.len() - end.len()));
    at.map_or((name, ""), |at| name.split_at(at))
}

/// Moves a file into a folder, made if it is missing, and says where it went. A name that is taken gets `-2`,
/// `-3` and so on before its ending; nothing is ever overwritten.
pub fn move_into(from: &Path, dir: &Path, name: &str) -> io::Result<PathBuf> {
    let (stem, end) = split_name(name);
    let numbered = (2_u32..).map(|number| format!("{stem}-{number}{end}"));
    for name in std::iter::once(name.to_owned()).chain(numbered) {
        let target = dir.join(name);
        match move_to(from, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            moved => return moved.map(|()| target),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The first of these names that is free in a folder; `None` where they all are taken.
pub fn free_name(dir: &Path, names: impl IntoIterator<Item = String>) -> Option<PathBuf> {
    names.into_iter().map(|name| dir.join(name)).find(|path| path.symlink_metadata().is_err())
}

/// Moves a file to exactly this place, its folder made if it is missing; an error where the name is taken.
pub fn move_to(from: &Path, target: &Path) -> io::Result<()> {
    let dir = target.parent().unwrap_or(Path::new(""));
    create_dir(dir)?;
    match renameat_with(CWD, from, CWD, target, RenameFlags::NOREPLACE) {
        // Some network shares cannot do it in one step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV) => move_in_steps(from, target)?,
        renamed => renamed?,
    }
    sync_dir(dir)?;
    from.parent().filter(|parent| *parent != dir).map_or(Ok(()), sync_dir)
}

/// Reserves the name with an empty file first: a rename over that cannot hit anything else. A crash before it
/// leaves the empty file, and the original where it was.
fn move_in_steps(from: &Path, target: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
    let moved = match fs::rename(from, target) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_over(from, target),
        moved => moved,
    };
    if moved.is_err() {
        // The reserved name is empty and ours.
        let _ = fs::remove_file(target);
    }
    moved
}

/// The way across devices: whole under a hidden name first, then in its place, then the original goes.
fn copy_over(from: &Path, target: &Path) -> io::Result<()> {
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(target.file_name().unwrap_or_default());
    hidden.push(".part");
    let hidden = target.with_file_name(hidden);
    let copied = copy(from, &hidden).and_then(|()| fs::rename(&hidden, target));
    if copied.is_err() {
        let _ = fs::remove_file(&hidden);
    }
    copied?;
    if let Some(dir) = target.parent() {
        sync_dir(dir)?;
    }
    fs::remove_file(from)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let root = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(root.path());
        layout.create().expect("folders");
        let done = layout.done("2026-11-22");
        for (content, name) in [("1", "list.csv.gz"), ("2", "list-2.csv.gz"), ("3", "list-3.csv.gz")] {
            let from = layout.inbox().join("list.csv.gz");
            fs::write(&from, content).expect("written");
            let target = move_into(&from, &done, "list.csv.gz").expect("moved");
            assert_eq!(target, done.join(name));
            assert_eq!(fs::read_to_string(target).expect("read"), content);
            assert!(!from.exists());
        }
        let (first, again) = (done.join("list.csv.gz"), layout.inbox().join("again.csv"));
        fs::write(&again, "4").expect("written");
        for moved in [move_to(&again, &first), move_in_steps(&again, &first)] {
            assert_eq!(moved.expect_err("taken").kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!([first, again.clone()].map(|path| fs::read_to_string(path).expect("read")), ["1", "4"]);
        move_in_steps(&again, &done.join("list.csv")).expect("moved");
        assert_eq!(
            free_name(&done, ["list.csv", "free.csv"].map(str::to_owned)),
            Some(done.join("free.csv"))
        );
        let missing = move_into(&layout.inbox().join("no.csv"), &layout.failed(), "no.csv");
        assert!(missing.is_err() && fs::read_dir(layout.failed()).expect("a folder").next().is_none());
    }

    #[test]
    fn a_file_crosses_devices_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().expect("a folder");
        let (from, target) = (root.path().join("a.csv"), root.path().join("b.csv"));
        fs::write(&from, "email\n").expect("written");
        fs::write(&target, "").expect("reserved");
        copy_over(&from, &target).expect("copied");
        assert_eq!(fs::read_to_string(&target).expect("read"), "email\n");
        assert_eq!(fs::metadata(&target).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn names_come_apart_before_their_whole_ending() {
        assert_eq!(split_name("x.csv.gz"), ("x", ".csv.gz"));
        assert_eq!(split_name("x.v1.CSV"), ("x.v1", ".CSV"));
        assert_eq!(split_name("x"), ("x", ""));
        assert_eq!(split_name(".csv"), (".csv", ""));
        assert_eq!(split_name("x.txt"), ("x", ".txt"));
    }
}
