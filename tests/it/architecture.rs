//! The rules of the house, read from its source: who may know whom, and what a file looks like.
//!
//! Each rule is a function over text, and has a test that shows it failing.

mod source;
mod twins;

use std::fs;
use std::path::{Path, PathBuf};

use source::{names_crate, product_code, rooms_named};

/// Each room and the rooms it may use; `clock` is everybody's.
const ROOMS: [(&str, &[&str]); 12] = [
    (
        "cli",
        &["config", "telemetry", "web", "engine", "sandbox", "store", "luma", "hook", "ingest", "domain"],
    ),
    ("web", &["engine", "store", "domain"]),
    ("config", &["domain"]),
    ("telemetry", &[]),
    ("engine", &["store", "luma", "hook", "ingest", "domain"]),
    ("sandbox", &[]),
    ("store", &["domain"]),
    ("luma", &["domain"]),
    ("hook", &["domain"]),
    ("ingest", &["domain"]),
    ("domain", &[]),
    ("clock", &[]),
];

/// External crates that belong to a few rooms. There are two ways out of the house: to Luma with a key and under its
/// limits, and to whoever is told of something, with neither. They must not share a client.
const OWNED: [(&str, &[&str]); 4] =
    [("sqlx", &["store"]), ("reqwest", &["luma", "hook"]), ("axum", &["web"]), ("maud", &["web"])];

/// External crates that rules have nothing to do with.
const NOT_IN_DOMAIN: [&str; 5] = ["tokio", "sqlx", "reqwest", "axum", "hyper"];

const MOST_LINES: usize = 400;

/// In two pieces, so that a search for them does not end here.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimpl", "emented!")];

/// Top folders that say where somebody works, not where lumasync runs.
const OWN_PLACES: [&str; 4] = ["home", "root", "tmp", "work"];

/// What is wrong with the paths that a file of this room names.
fn direction_faults(room: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("`{room}` is a room that the table of rooms does not have")];
    };
    let code = product_code(text);
    let free = |other: &&str| *other == room || *other == "clock" || allowed.contains(other);
    let rooms = rooms_named(&code).into_iter().filter(|other| !free(other));
    let mut faults: Vec<_> = rooms.map(|other| format!("`{room}` must not know `{other}`")).collect();
    for (name, owners) in OWNED {
        if !owners.contains(&room) && names_crate(&code, name) {
            faults.push(format!("only `{}` may know the crate `{name}`", owners.join("` and `")));
        }
    }
    for name in NOT_IN_DOMAIN {
        if room == "domain" && names_crate(&code, name) {
            faults.push(format!("`domain` must not know the crate `{name}`"));
        }
    }
    faults
}

/// What is wrong with the looks of a file.
fn shape_faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push("does not open with a `//!` comment that says what it is for".to_owned());
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        faults.push(format!("has {lines} lines, and {MOST_LINES} is the most"));
    }
    faults
}

/// What a file says that it must not.
fn word_faults(text: &str) -> Vec<String> {
    let places = OWN_PLACES.map(|place| format!("/{place}/"));
    let banned = UNFINISHED.into_iter().chain(places.iter().map(String::as_str));
    banned.filter(|word| text.contains(word)).map(|word| format!("says `{word}`")).collect()
}

/// `cli` for `src/cli/init.rs`, `clock` for `src/clock.rs`; nothing for the roots, which know everybody.
fn room_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let room = below.split('/').next()?.trim_end_matches(".rs");
    (!matches!(room, "lib" | "main")).then_some(room)
}

/// Every Rust file of the crate.
fn sources() -> Vec<(String, String)> {
    sources_below("src")
}

/// Every Rust file below a folder, by its path from the root, with its text.
fn sources_below(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join(folder), &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).expect("below the root").to_str().expect("a plain name");
        (name.to_owned(), fs::read_to_string(&path).expect("a text file"))
    };
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Applies a rule to every file of the crate.
fn hold(rule: impl Fn(&str, &str) -> Vec<String>) {
    hold_in(sources().into_iter(), rule);
}

fn hold_in(files: impl Iterator<Item = (String, String)>, rule: impl Fn(&str, &str) -> Vec<String>) {
    let told = |(path, text): (String, String)| {
        rule(&path, &text).into_iter().map(move |fault| format!("{path}: {fault}")).collect::<Vec<_>>()
    };
    let faults: Vec<_> = files.flat_map(told).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_room_knows_only_the_rooms_below_it() {
    // A file `tests.rs` is behind `cfg(test)` where it is declared.
    hold(|path, text| match room_of(path) {
        Some(room) if !path.ends_with("/tests.rs") => direction_faults(room, text),
        _ => Vec::new(),
    });
}

#[test]
fn every_file_says_what_it_is_for_and_can_be_read_in_one_sitting() {
    let outside = ["tests", "benches"].into_iter().flat_map(sources_below);
    let files = sources().into_iter().chain(outside);
    hold_in(files, |_, text| shape_faults(text));
}

#[test]
fn nothing_is_left_unfinished_or_tied_to_one_machine() {
    hold(|_, text| word_faults(text));
}

#[test]
fn every_room_stands_for_files_that_exist() {
    let sources = sources();
    for (room, _) in ROOMS {
        assert!(sources.iter().any(|(path, _)| room_of(path) == Some(room)), "no file in `{room}`");
    }
}

#[test]
fn wrong_directions_are_seen() {
    for (room, text, fault) in [
        ("store", "use crate::luma::Client;", "`store` must not know `luma`"),
        ("luma", "use crate::{domain::tag, ingest};", "`luma` must not know `ingest`"),
        ("ingest", "fn f(c: &crate::config::Folder) {}", "`ingest` must not know `config`"),
        ("engine", "use crate::cli::main;", "`engine` must not know `cli`"),
        ("engine", "use crate::sandbox::Sandbox;", "`engine` must not know `sandbox`"),
        ("engine", "use crate::web::Site;", "`engine` must not know `web`"),
        ("web", "use crate::luma::Client;", "`web` must not know `luma`"),
        ("cli", "use axum::Router;", "only `web` may know the crate `axum`"),
        ("config", "use crate::store::Store;", "`config` must not know `store`"),
        ("sandbox", "use crate::engine::Engine;", "`sandbox` must not know `engine`"),
        ("domain", "use crate::store::Store;", "`domain` must not know `store`"),
        ("clock", "use crate::domain::tag;", "`clock` must not know `domain`"),
        ("domain", "#[tokio::main]", "`domain` must not know the crate `tokio`"),
        ("domain", "use hyper::Request;", "`domain` must not know the crate `hyper`"),
        ("engine", "use sqlx::Row as _;", "only `store` may know the crate `sqlx`"),
        ("sandbox", "use reqwest::Client;", "only `luma` and `hook` may know the crate `reqwest`"),
        ("hook", "use crate::luma::Client;", "`hook` must not know `luma`"),
        ("luma", "use crate::hook::Hook;", "`luma` must not know `hook`"),
        ("hook", "use crate::store::Store;", "`hook` must not know `store`"),
        ("attic", "", "`attic` is a room that the table of rooms does not have"),
    ] {
        assert_eq!(direction_faults(room, text), [fault], "{text}");
    }
}

#[test]
fn right_directions_and_tests_pass() {
    for (room, text) in [
        ("cli", "use crate::{engine::Engine, sandbox::Sandbox, store::Store, clock::Clock};"),
        ("engine", "use crate::store::Store;\nuse tokio::task::JoinSet;"),
        ("store", "use sqlx::Row;\nuse crate::{domain::tag::TagSet, clock::Time};\nuse crate::store::Run;"),
        ("domain", "use crate::clock::Time;\n// sqlx::query\nconst A: &str = \"crate::store\";"),
        (
            "domain",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::store::Store;\n    #[tokio::test]\n}",
        ),
    ] {
        assert_eq!(direction_faults(room, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn misshapen_files_are_seen() {
    let long = format!("//! Long.\n{}", "\n".repeat(MOST_LINES));
    assert_eq!(shape_faults("use std::fs;\n").len(), 1);
    assert_eq!(shape_faults(&long), ["has 401 lines, and 400 is the most"]);
    assert_eq!(shape_faults("//! Short.\n"), Vec::<String>::new());
}

#[test]
fn words_of_the_workshop_are_seen() {
    for word in UNFINISHED {
        assert_eq!(word_faults(&format!("// {word}")), [format!("says `{word}`")]);
    }
    for place in OWN_PLACES {
        assert_eq!(word_faults(&format!("// see /{place}/x")), [format!("says `/{place}/`")]);
    }
    assert_eq!(word_faults("//! Reads /etc/lumasync/lumasync.toml."), Vec::<String>::new());
}

#[test]
fn a_file_belongs_to_the_room_its_path_names() {
    let rooms = ["src/cli/init.rs", "src/clock.rs", "src/sandbox/a/b.rs", "src/lib.rs", "src/main.rs"];
    assert_eq!(rooms.map(room_of), [Some("cli"), Some("clock"), Some("sandbox"), None, None]);
}
