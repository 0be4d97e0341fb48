//! Files that came by the pages and wait for a word: in a hidden folder of the drop folder, one folder each.
//!
//! What is there says how an upload stands, so a crash leaves no doubt: a note and its file, it waits; a note
//! alone, it was sent; anything else was broken off. Sending and discarding begin with one rename of the file,
//! and whoever comes second finds it gone. Knows nothing of pages; everything here blocks.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::FolderSettings;
use super::archive::write_private;
use super::folder::inbox;
use crate::clock::Time;
use crate::domain::state::Kind;
use crate::ingest::folder::{Layout, move_into};
use crate::ingest::{hexadecimal, safe_name};

/// How long a file waits to be sent.
const WAITS: Duration = Duration::from_hours(1);
/// How long is remembered that it was sent.
const REMEMBERED: Duration = Duration::from_hours(24);
const FOLDER: &str = ".uploads";
const PART: &str = ".part";
const NOTE: &str = "note.json";
const LOCK: &str = ".lock";
/// Characters of the word that an upload is known by.
const WORD: usize = 64;

/// The uploads of one account.
#[derive(Clone, Debug)]
pub struct Staging {
    root: PathBuf,
}

/// A file that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// What it is known by; nobody guesses it.
    pub word: String,
    /// The name that it has, made safe.
    pub name: String,
    /// What its rows are.
    pub kind: Kind,
    /// The digest of its bytes.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
    /// When it came.
    pub at: Time,
    /// Whether it has left for the drop folder.
    pub is_sent: bool,
    /// The name that it was given there, once that is noted.
    pub sent_as: Option<String>,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wished {
    /// It is so now.
    Done,
    /// It had been sent before.
    SentBefore,
    /// There is no such upload any more.
    Gone,
}

impl Staging {
    /// Those of this drop folder.
    #[must_use]
    pub fn new(settings: &FolderSettings) -> Self {
        Self { root: settings.root.clone() }
    }

    /// Makes the drop folder where it is missing, as the service does before it first looks there.
    pub fn make_ready(&self) -> io::Result<()> {
        Layout::new(&self.root).create()
    }

    /// Begins to write a file that comes under this word, for its owner alone.
    pub fn begin(&self, word: &str) -> io::Result<Receiving> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        match private.create(self.folder()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let _lock = self.lock()?;
        let dir = self.dir(word);
        private.create(&dir)?;
        let path = dir.join(PART);
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = file.inspect_err(|_| drop(fs::remove_dir(&dir)))?;
        // Held until it is written: whoever tidies knows by it that somebody is there.
        let _ = file.try_lock();
        Ok(Receiving { dir, file, hash: Sha256::new(), size: 0, is_done: false })
    }

    /// Those that are there, the newest first. A folder that nobody has made yet holds none.
    pub fn list(&self) -> io::Result<Vec<Staged>> {
        let mut all: Vec<Staged> = self.words()?.iter().filter_map(|word| self.find(word)).collect();
        all.sort_by_key(|staged| std::cmp::Reverse(staged.at));
        Ok(all)
    }

    /// The upload that is known by this word.
    #[must_use]
    pub fn find(&self, word: &str) -> Option<Staged> {
        if !is_word(word) {
            return None;
        }
        let dir = self.dir(word);
        let note: Value = serde_json::from_slice(&fs::read(dir.join(NOTE)).ok()?).ok()?;
        let name = note["name"].as_str().filter(|name| safe_name(name) == *name)?;
        let is_there = |name: &str| dir.join(name).symlink_metadata().is_ok_and(|found| found.is_file());
        // Somebody may be at it: what is seen twice is so.
        let stands = || (is_there(name), is_there(PART));
        let mut seen = stands();
        loop {
            let again = stands();
            if again == seen {
                break;
            }
            seen = again;
        }
        let is_sent = match seen {
            (true, _) => false,
            // Whoever takes an upload away takes its note first.
            (false, false) if is_there(NOTE) => true,
            (false, _) => return None,
        };
        Some(Staged {
            word: word.to_owned(),
            name: name.to_owned(),
            kind: Kind::parse(note["kind"].as_str()?)?,
            sha256: note["sha256"].as_str()?.to_owned(),
            size: note["size"].as_u64()?,
            at: Time::parse(note["at"].as_str()?)?,
            is_sent,
            sent_as: note["sent_as"].as_str().map(str::to_owned),
        })
    }

    /// Where its file lies while it waits.
    #[must_use]
    pub fn path(&self, staged: &Staged) -> PathBuf {
        self.dir(&staged.word).join(&staged.name)
    }

    /// Where it goes.
    #[must_use]
    pub fn inbox(&self, kind: Kind) -> PathBuf {
        inbox(&Layout::new(&self.root), kind)
    }

    /// Moves it into the drop folder, under a name that is free there.
    pub fn send(&self, staged: &Staged) -> io::Result<Wished> {
        match move_into(&self.path(staged), &self.inbox(staged.kind), &staged.name) {
            Ok(target) => {
                let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let note = Note { sent_as: Some(&name), ..Note::of(staged) };
                // Only for words on a page: that it is sent is known without.
                if let Err(error) = write_private(&self.dir(&staged.word).join(NOTE), &note.json()) {
                    tracing::debug!(%error, "it is not noted as what a file was sent");
                }
                Ok(Wished::Done)
            }
            Err(error) => self.or_gone(staged, error),
        }
    }

    /// Takes it away.
    pub fn discard(&self, staged: &Staged) -> io::Result<Wished> {
        let dir = self.dir(&staged.word);
        match fs::rename(self.path(staged), dir.join(PART)) {
            Ok(()) => remove(&dir).map(|()| Wished::Done),
            Err(error) => self.or_gone(staged, error),
        }
    }

    /// What an error means of a file that others may have taken.
    fn or_gone(&self, staged: &Staged, error: io::Error) -> io::Result<Wished> {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        match self.find(&staged.word) {
            None => Ok(Wished::Gone),
            Some(found) if found.is_sent => Ok(Wished::SentBefore),
            Some(_) => Err(error),
        }
    }

    /// Takes away what nobody has sent in time, what was broken off, and what was sent long ago. How many.
    pub fn tidy(&self, now: Time) -> io::Result<usize> {
        let words = self.words()?;
        if words.is_empty() {
            return Ok(0);
        }
        let _lock = self.lock()?;
        let mut gone = 0;
        for word in words {
            match self.tidy_one(&word, now) {
                Ok(is_gone) => gone += usize::from(is_gone),
                Err(error) => tracing::debug!(%error, "an upload that is over cannot be taken away"),
            }
        }
        Ok(gone)
    }

    fn tidy_one(&self, word: &str, now: Time) -> io::Result<bool> {
        let dir = self.dir(word);
        let is_over = match self.find(word) {
            Some(staged) if staged.is_sent => staged.is_older(REMEMBERED, now),
            Some(staged) if staged.is_older(WAITS, now) => {
                return Ok(self.discard(&staged)? == Wished::Done);
            }
            Some(_) => false,
            None => !is_written_to(&dir.join(PART)),
        };
        if is_over {
            remove(&dir)?;
        }
        Ok(is_over)
    }

    /// Words that have a folder.
    fn words(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.folder()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let words = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(words.filter(|word| is_word(word)).collect())
    }

    /// Held for a moment: nobody tidies while an upload begins, in any process.
    fn lock(&self) -> io::Result<File> {
        lock(&self.folder())
    }

    fn folder(&self) -> PathBuf {
        self.root.join(FOLDER)
    }

    fn dir(&self, word: &str) -> PathBuf {
        self.folder().join(word)
    }
}

impl Staged {
    /// Until when it waits.
    #[must_use]
    pub fn until(&self) -> Time {
        self.at.plus(WAITS)
    }

    /// One that came in the future came by a clock that was ahead.
    fn is_older(&self, lasts: Duration, now: Time) -> bool {
        now.since(self.at) >= lasts || self.at.since(now) >= lasts
    }
}

/// A file that is coming. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct Receiving {
    dir: PathBuf,
    file: File,
    hash: Sha256,
    size: u64,
    is_done: bool,
}

impl Receiving {
    /// The next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// The file is whole: it waits from now on, under a name as close to the given one as may be.
    pub fn finish(mut self, given: &str, kind: Kind, at: Time) -> io::Result<Staged> {
        self.file.sync_all()?;
        let word = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sha256 = hexadecimal(&std::mem::take(&mut self.hash).finalize());
        let (name, size) = (safe_name(given), self.size);
        let staged = Staged { word, name, kind, sha256, size, at, is_sent: false, sent_as: None };
        // Between the two it looks like one that was broken off: nobody tidies then.
        let _lock = self.dir.parent().map(lock).transpose()?;
        write_private(&self.dir.join(NOTE), &Note::of(&staged).json())?;
        fs::rename(self.dir.join(PART), self.dir.join(&staged.name))?;
        for dir in [Some(self.dir.as_path()), self.dir.parent()].into_iter().flatten() {
            File::open(dir)?.sync_all()?;
        }
        self.is_done = true;
        Ok(staged)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if !self.is_done
            && let Err(error) = remove(&self.dir)
        {
            tracing::debug!(%error, "an upload that was broken off is left to the next tidying");
        }
    }
}

/// What is noted beside a file.
struct Note<'a> {
    staged: &'a Staged,
    sent_as: Option<&'a str>,
}

impl<'a> Note<'a> {
    const fn of(staged: &'a Staged) -> Self {
        Self { staged, sent_as: None }
    }

    fn json(&self) -> Value {
        let Staged { name, kind, sha256, size, at, .. } = self.staged;
        json!({
            "name": name, "kind": kind.as_str(), "sha256": sha256, "size": size, "at": at.to_string(),
            "sent_as": self.sent_as,
        })
    }
}

fn is_word(text: &str) -> bool {
    text.len() == WORD && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The lock of the folder of all uploads.
fn lock(folder: &Path) -> io::Result<File> {
    let lock = File::options().create(true).append(true).mode(0o600).open(folder.join(LOCK))?;
    // Where there are no locks, an upload that has just begun may be swept away and must be repeated.
    let _ = lock.lock();
    Ok(lock)
}

/// Whether somebody holds it, here or in another process; the system frees it when a process ends.
fn is_written_to(part: &Path) -> bool {
    File::open(part).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

/// Takes away a folder with what we put there, and nothing else: its note before its file, since a note alone stands
/// for one that was sent.
fn remove(dir: &Path) -> io::Result<()> {
    let name = fs::read(dir.join(NOTE)).ok().and_then(|note| serde_json::from_slice::<Value>(&note).ok());
    let name = name.and_then(|note| note["name"].as_str().map(safe_name));
    let hidden_note = format!(".{NOTE}.part");
    if let Some(name) = name {
        or_missing(fs::rename(dir.join(name), dir.join(PART)))?;
    }
    for file in [NOTE, &hidden_note, PART] {
        or_missing(fs::remove_file(dir.join(file)))?;
    }
    or_missing(fs::remove_dir(dir))
}

fn or_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
