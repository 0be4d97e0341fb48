//! One person in the drop folder, and erased everywhere: the database first, then the files.
//!
//! Files are searched line by line, as they lie. What people have dropped and nobody has put away yet is named
//! and left alone. Every step can be repeated, so a crash leaves work for the next time and nothing half done.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::EngineError;
use super::archive::{full, write_private};
use super::lines::{pack, unpack};
use crate::clock::Time;
use crate::domain::person::Person;
use crate::ingest::{Hit, ReadOptions, hits, identity, write_without};
use crate::store::{Erased, FileState, ForgetError, InputFile, Store};

/// A file in which somebody stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// On which lines.
    pub hits: Vec<Hit>,
    /// Whether it is put away, and may be written anew; else it waits to be taken in or is being taken in.
    pub is_put_away: bool,
}

/// What the files of a drop folder say of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FolderFinds {
    /// Where they stand.
    pub(super) found: Vec<FoundFile>,
    /// How many files were looked through.
    pub(super) searched: u64,
    /// Files and folders with the address in their names.
    pub(super) named: Vec<PathBuf>,
    /// Files that could not be, and why.
    pub(super) unread: Vec<(PathBuf, String)>,
}

impl FolderFinds {
    /// Looks through a drop folder with those of its accounts. One that is not there has nothing in it.
    fn look(root: &Path, options: &ReadOptions, person: &Person) -> Self {
        let mut search = Search { options, person, goes_on: &|| true, finds: Self::default() };
        search.look_into(root, false);
        search.sort();
        search.finds
    }

    /// The same, and the files that were taken in by hand, where they still lie. Safe to drop: the look ends soon
    /// after.
    pub(super) async fn look_everywhere(
        store: &Store,
        root: Option<PathBuf>,
        options: ReadOptions,
        person: Person,
    ) -> Result<Self, EngineError> {
        let files = store.input_files().await?;
        let is_wanted = Arc::new(());
        let wanted = Arc::downgrade(&is_wanted);
        let looked = tokio::task::spawn_blocking(move || {
            let goes_on = || wanted.strong_count() > 0;
            let mut search =
                Search { options: &options, person: &person, goes_on: &goes_on, finds: Self::default() };
            if let Some(root) = &root {
                search.look_into(root, false);
            }
            search.sort();
            for path in files.into_iter().map(|file| PathBuf::from(file.path)) {
                let is_known = root.as_ref().is_some_and(|root| is_below(&path, root));
                if !is_known && path.is_file() {
                    search.look_at(path, false);
                }
            }
            search.finds
        });
        let finds = looked.await;
        drop(is_wanted);
        Ok(finds?)
    }
}

/// A look for somebody, as far as it has come.
struct Search<'s> {
    options: &'s ReadOptions,
    person: &'s Person,
    /// Whether anybody still wants to know.
    goes_on: &'s dyn Fn() -> bool,
    finds: FolderFinds,
}

impl Search<'_> {
    fn look_into(&mut self, dir: &Path, is_put_away: bool) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.finds.unread.push((dir.to_owned(), error.to_string())),
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if !(self.goes_on)() {
                return;
            }
            if path.file_name().is_some_and(|name| self.person.is_named_in_path(&name.to_string_lossy())) {
                self.finds.named.push(path.clone());
            }
            // Links lead to what is not ours.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_dir() {
                let name = path.file_name().unwrap_or_default();
                self.look_into(&path, is_put_away || name == "done" || name == "failed");
            } else if metadata.is_file() && metadata.len() > 0 {
                self.look_at(path, is_put_away);
            }
        }
    }

    fn look_at(&mut self, path: PathBuf, is_put_away: bool) {
        self.finds.searched += 1;
        match hits(&path, self.options, self.person, self.goes_on) {
            Ok(hits) if hits.is_empty() => {}
            Ok(hits) => self.finds.found.push(FoundFile { path, hits, is_put_away }),
            // What a crash left half written is no list any more: as long as it is plain text, its bytes tell.
            Err(_) if is_put_away && is_unfinished(&path) && is_plain_without(&path, self.person) => {}
            Err(error) => self.finds.unread.push((path, error.to_string())),
        }
    }

    fn sort(&mut self) {
        self.finds.found.sort_by(|one, other| one.path.cmp(&other.path));
    }
}

/// Whether it is a file of ours that was being written.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".part")
}

/// Whether its bytes are text, and none of it the person's.
fn is_plain_without(path: &Path, person: &Person) -> bool {
    fs::read(path).is_ok_and(|bytes| {
        !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok() && !person.is_named_in(&bytes)
    })
}

/// What became of lines of a file that have no row in the queue, as far as that is remembered: the line, and the
/// earlier line of the same person where it was one.
pub(super) async fn unkept_among(
    store: &Store,
    path: &Path,
    hits: &[Hit],
) -> Result<Vec<(u64, Option<u64>)>, EngineError> {
    let files = store.input_files().await?;
    let Some(file) = files.iter().find(|file| is_same(Path::new(&file.path), path)) else {
        return Ok(Vec::new());
    };
    let mut told = Vec::new();
    for (_, _, packed) in store.unkept_lines(file.run_id).await? {
        let lines = unpack(&packed).unwrap_or_default().into_iter();
        let wanted = lines.filter(|line| hits.iter().any(|hit| hit.line == line.line));
        told.extend(wanted.map(|line| (line.line, (line.twin > 0).then_some(line.twin))));
    }
    told.sort_unstable();
    Ok(told)
}

/// What became of a request to forget somebody.
#[derive(Clone, Debug, Default)]
pub struct Forgotten {
    /// In the database.
    pub erased: Erased,
    /// Files that were written anew, or would be.
    pub rewritten: Vec<PathBuf>,
    /// Files that are not put away yet, and hold the person: they would come back.
    pub waiting: Vec<PathBuf>,
    /// Inputs that are being taken in, or lie where somebody else keeps them.
    pub elsewhere: Vec<PathBuf>,
    /// Files with the address in their names, where they lie or as they are on record: they are left as they are.
    pub named: Vec<PathBuf>,
    /// Files that could not be looked through or written anew, and why.
    pub unread: Vec<(PathBuf, String)>,
    /// Whether nothing of it is left in the log of the database either.
    pub is_log_empty: bool,
}

/// Erases somebody from the database and from what is put away below a drop folder; with `dry_run` only says
/// what would be.
pub async fn forget(
    store: &Store,
    root: Option<&Path>,
    options: &ReadOptions,
    person: &Person,
    now: Time,
    dry_run: bool,
) -> Result<Forgotten, ForgetFault> {
    let finds = match root {
        Some(root) => {
            let (root, options, person) = (root.to_owned(), *options, person.clone());
            tokio::task::spawn_blocking(move || FolderFinds::look(&root, &options, &person))
                .await
                .map_err(EngineError::from)?
        }
        None => FolderFinds::default(),
    };
    let files = store.input_files().await?;
    let mut forgotten = Forgotten {
        erased: store.forget(person, now, dry_run).await?,
        unread: finds.unread,
        named: finds.named,
        is_log_empty: true,
        ..Forgotten::default()
    };
    forgotten.named.extend(forgotten.erased.file_names.iter().map(PathBuf::from));
    forgotten.named.sort_unstable();
    forgotten.named.dedup();
    for found in finds.found {
        let file = files.iter().find(|file| is_same(Path::new(&file.path), &found.path));
        let is_busy = file.is_some_and(|file| file.state != FileState::Archived);
        if !found.is_put_away || is_busy {
            forgotten.waiting.push(found.path);
            continue;
        }
        if !dry_run {
            if let Some(file) = file {
                forget_in_run(store, file, &found.hits, now).await?;
            }
            if let Err(error) = rewrite(store, file, &found.path, options, person).await {
                forgotten.unread.push((found.path, error.to_string()));
                continue;
            }
        }
        forgotten.rewritten.push(found.path);
    }
    for file in files {
        let path = PathBuf::from(&file.path);
        let is_ours = root.is_some_and(|root| is_below(&path, root));
        if !is_ours && hits(&path, options, person, &|| true).is_ok_and(|hits| !hits.is_empty()) {
            forgotten.elsewhere.push(path);
        }
    }
    if !forgotten.rewritten.is_empty() && !dry_run {
        // The rows were noted as gone before; whoever has searched the files since then has found them as they were.
        store.note_removal().await?;
    }
    if !dry_run {
        forgotten.is_log_empty = store.empty_log().await?;
    }
    Ok(forgotten)
}

/// Why somebody could not be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetFault {
    /// In the database.
    #[error(transparent)]
    Forget(#[from] ForgetError),
    /// In what is done around it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<crate::store::StoreError> for ForgetFault {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Forget(error.into())
    }
}

/// Takes the lines of a file that are the person's out of what is remembered of its run: the file is going to
/// have nothing on them.
async fn forget_in_run(store: &Store, file: &InputFile, hits: &[Hit], now: Time) -> Result<(), ForgetFault> {
    let lines: Vec<u64> = hits.iter().filter(|hit| hit.is_own).map(|hit| hit.line).collect();
    store.forget_lines(file.run_id, &lines, now).await?;
    for (part, chunk, packed) in store.unkept_lines(file.run_id).await? {
        let Some(mut unkept) = unpack(&packed) else { continue };
        let before = unkept.len();
        unkept.retain(|line| !lines.contains(&line.line));
        if unkept.len() < before {
            // No chunk grows: there is one at most.
            let packed = pack(&unkept).into_iter().next();
            store.replace_unkept(file.run_id, part, chunk, packed.as_deref()).await?;
        }
    }
    Ok(())
}

/// Puts a file without the person in the place of one. Who knows it by its bytes is told first: a crash before the
/// last step leaves the person in it, and all of this is done again.
async fn rewrite(
    store: &Store,
    file: Option<&InputFile>,
    path: &Path,
    options: &ReadOptions,
    person: &Person,
) -> Result<(), EngineError> {
    let hidden = hidden(path);
    let written = {
        let (path, hidden, options, person) = (path.to_owned(), hidden.clone(), *options, person.clone());
        tokio::task::spawn_blocking(move || write_hidden(&path, &hidden, &options, &person)).await?
    };
    written?;
    if let Some(file) = file {
        let found = identity(&hidden)?;
        store.note_bytes(file.id, &found.sha256, found.size).await?;
        note_in_receipt(path, &found.sha256).map_err(EngineError::io("write the receipt of", path))?;
    }
    fs::rename(&hidden, path).map_err(EngineError::io("replace", path))
}

fn write_hidden(
    path: &Path,
    hidden: &Path,
    options: &ReadOptions,
    person: &Person,
) -> Result<(), EngineError> {
    let mode = fs::metadata(path).map_err(EngineError::io("read", path))?.permissions().mode() & 0o777;
    let to = File::options().write(true).create(true).truncate(true).mode(mode).open(hidden);
    write_without(path, options, person, to.map_err(EngineError::io("write", hidden))?)?;
    Ok(())
}

/// The same ending, because that says how a file is read.
fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".forgetting.{name}"))
}

/// The receipt beside an archived file names it by its bytes.
fn note_in_receipt(archived: &Path, sha256: &str) -> io::Result<()> {
    let Some(dir) = archived.parent() else { return Ok(()) };
    for path in fs::read_dir(dir)?.flatten().map(|entry| entry.path()) {
        if !path.to_string_lossy().ends_with(".receipt.json") {
            continue;
        }
        let Ok(mut said) = serde_json::from_slice::<Value>(&fs::read(&path)?) else { continue };
        if said["archive"].as_str() == Some(full(archived).as_str()) {
            said["sha256"] = sha256.into();
            write_private(&path, &said)?;
        }
    }
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn is_below(path: &Path, root: &Path) -> bool {
    match (path.canonicalize(), root.canonicalize()) {
        (Ok(path), Ok(root)) => path.starts_with(root),
        _ => false,
    }
}
