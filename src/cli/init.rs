//! `lumasync init`: a first configuration and the drop folders.
//!
//! Writes and never overwrites. Knows nothing of what the keys do beyond what its template says.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::args::{Global, InitArgs};
use super::exit::Exit;
use super::out;
use super::words::quoted;

const FILE: &str = "lumasync.toml";
const FOLDERS: [&str; 6] =
    ["drop", "drop/members", "drop/events", "drop/processing", "drop/done", "drop/failed"];

const TEMPLATE: &str = r#"# lumasync. The keys that are set first; those left out keep their defaults.
# Any key can be overridden in the environment: LUMASYNC__BATCH__MAX_ROWS=200

[luma]
# The API that your key speaks: "v1" is today's, where a key belongs to a calendar.
dialect = "v1"
# Where the key is kept, never the key itself: env:NAME, file:PATH or credential:NAME.
api_key = "env:LUMA_API_KEY"
# What Luma allows, and how much of it is left to others who use the same calendar.
rate_limit = { requests = 200, window = "60s", reserve = 5 }

[database]
# Where rows, runs and outcomes are kept, relative to the folder lumasync is started in.
url = "sqlite://lumasync.db"

[folder]
# Files for drop/members and drop/events are read from here; "" for no folder.
path = "drop"

[tags]
# Tags are known by the names they have in Luma. Other names that your files use, and the ids they stand for:
# vip = "tag-abc123"
# press = "tag-def456"

[web]
# `lumasync run` shows its pages on http://127.0.0.1:8080/ to whoever is on this machine. To upload, approve, retry and
# decide there: where the secret to sign in with is kept, of 16 characters or more.
# token = "env:LUMASYNC_TOKEN"

# A further account: a key of its own, and what differs from [luma]. Its files go into drop/@paris.
# [accounts.paris]
# api_key = "env:LUMA_PARIS"
# [accounts.paris.tags]
# vip = "tag-ghi789"
"#;

/// The command.
pub(super) fn run(global: &Global, args: &InitArgs) -> Result<Exit> {
    let written = init(&args.dir)?;
    let lines = || {
        let mut text = String::from("wrote:\n");
        for path in &written {
            let _ = writeln!(text, "  {}", path.display());
        }
        let there = if args.dir == Path::new(".") {
            String::new()
        } else {
            format!("`cd {}`, ", quoted(&args.dir.display().to_string()))
        };
        let _ =
            writeln!(text, "next: {there}put your key into LUMA_API_KEY, then `lumasync check --connect`");
        text
    };
    let paths =
        || json!({ "written": written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>() });
    out::result(global.output, lines, paths)?;
    Ok(Exit::Ok)
}

/// Writes the configuration and the folders into `dir`, for their owner alone, and says what it wrote.
pub fn init(dir: &Path) -> Result<Vec<PathBuf>> {
    let file = dir.join(FILE);
    if file.symlink_metadata().is_ok() {
        bail!("`{}` exists already\nhint: edit it, or move it away to start afresh", file.display());
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    let mut written = Vec::new();
    for folder in FOLDERS.map(|name| dir.join(name)) {
        if !folder.is_dir() {
            let made = DirBuilder::new().mode(0o700).create(&folder);
            made.with_context(|| format!("cannot create `{}`", folder.display()))?;
            written.push(folder);
        }
    }
    // Last, so that a failure before it can be tried again; `create_new` so that nobody's file is lost.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    opened
        .and_then(|mut open| open.write_all(TEMPLATE.as_bytes()))
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    written.push(file);
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{Config, Luma, Sources};
    use crate::domain::dialect::Dialect;

    #[test]
    fn what_is_written_loads_without_problems_and_belongs_to_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("new");
        let written = init(&dir).expect("written");
        assert_eq!(written.len(), FOLDERS.len() + 1);
        for path in &written {
            let mode = path.metadata().expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        }
        let mut sources = Sources { file: Some(dir.join(FILE)), ..Sources::from_process() };
        sources.env = [("LUMA_API_KEY".into(), "s3cret".into())].into();
        let config = Config::load(&sources).expect("sound");
        assert_eq!(config.warnings, Vec::<String>::new());
    }

    #[test]
    fn the_template_says_the_defaults() {
        let folder = tempfile::tempdir().expect("a folder");
        init(folder.path()).expect("written");
        let with = |file: Option<PathBuf>| Sources {
            file,
            search: Vec::new(),
            env: [].into(),
            luma_required: false,
            ..Sources::from_process()
        };
        let written = Config::load(&with(Some(folder.path().join(FILE)))).expect("sound");
        let defaults = Config::load(&with(None)).expect("sound");
        assert_eq!(written.luma.dialect, Dialect::V1, "what a key of today speaks");
        let (origin, luma) = (defaults.origin.clone(), defaults.luma.clone());
        let luma = Luma { rate_limit: written.luma.rate_limit, ..luma };
        assert_eq!(format!("{:?}", Config { luma, origin, ..written }), format!("{defaults:?}"));
    }

    #[test]
    fn a_configuration_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "mine").expect("written");
        let told = init(folder.path()).expect_err("refused").to_string();
        assert!(told.contains("exists already\nhint: "), "{told}");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).expect("there"), "mine");
        assert!(!folder.path().join("drop").exists());
    }

    #[test]
    fn folders_that_exist_are_kept_and_not_claimed() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("drop/members")).expect("made");
        let written = init(folder.path()).expect("written");
        assert!(!written.contains(&folder.path().join("drop/members")));
        assert!(folder.path().join("drop/done").is_dir());
    }
}
