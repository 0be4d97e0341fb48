//! What people write into a configuration, and what they are told about it.

mod accounts;
mod dialects;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use config::ValueKind;
use secrecy::ExposeSecret;

use super::*;
use crate::domain::dialect::Dialect;
use crate::domain::guest::Guests;

pub(super) const LUMA: &str = "[luma]\ndialect = \"beta-2021\"\napi_key = \"env:LUMA_API_KEY\"\n";

/// Sources that see nothing of this machine but one key.
fn sources() -> Sources {
    Sources {
        file: None,
        search: Vec::new(),
        env: BTreeMap::from([("LUMA_API_KEY".into(), "s3cret".into())]),
        overrides: Vec::new(),
        luma_required: true,
        quickstart: false,
    }
}

pub(super) fn load_with(text: &str, change: impl FnOnce(&mut Sources)) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lumasync.toml");
    fs::write(&path, text).expect("written");
    let mut sources = Sources { file: Some(path), ..sources() };
    change(&mut sources);
    Config::load(&sources)
}

pub(super) fn load(text: &str) -> Result<Config, ConfigError> {
    load_with(text, |_| {})
}

pub(super) fn set(sources: &mut Sources, name: &str, value: &str) {
    sources.env.insert(name.into(), value.into());
}

/// The key, place and text of each problem.
pub(super) fn problems(text: &str) -> Vec<(String, String)> {
    let error = load(text).expect_err("refused");
    error.problems.iter().map(|problem| (problem.key.clone(), problem.to_string())).collect()
}

fn only_problem(text: &str) -> String {
    let mut all = problems(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).1
}

fn leaves(value: &config::Value, above: &str, found: &mut BTreeSet<String>) {
    let ValueKind::Table(table) = &value.kind else {
        found.insert(above.into());
        return;
    };
    if table.is_empty() {
        found.insert(above.into());
    }
    for (name, child) in table {
        leaves(child, &if above.is_empty() { name.clone() } else { format!("{above}.{name}") }, found);
    }
}

#[test]
fn the_documented_defaults_are_the_keys_that_are_read() {
    let sources = Sources { luma_required: false, ..sources() };
    let Ok(merged) = layers::merge(&sources) else { panic!("not merged") };
    let mut reader = Reader::new(&merged, &sources.env);
    sections::read(&mut reader, false).expect("read");
    let asked: BTreeSet<String> = reader.asked().map(ToOwned::to_owned).collect();
    let mut documented = BTreeSet::new();
    leaves(&merged.tree, "", &mut documented);
    let active = documented.clone();
    let mut section = String::new();
    for line in layers::DEFAULTS.lines() {
        // A list of sections has no default: its keys are looked at apart.
        if let Some(name) = line.strip_prefix("# [[").and_then(|line| line.strip_suffix("]]")) {
            documented.insert(name.to_owned());
            section = String::new();
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.into();
        }
        let key = line.strip_prefix("# ").and_then(|line| line.split_once(" = ")).map(|(key, _)| key);
        if let Some(key) = key.filter(|key| !key.contains(' ') && !section.is_empty()) {
            documented.insert(format!("{section}.{key}"));
        }
    }
    // All of its keys are without a default, so it looks like a key itself.
    documented.remove("folder.expect");
    assert_eq!(asked, documented);
    let without: Vec<_> = documented.difference(&active).map(String::as_str).collect();
    let bare = [
        "luma.api_key",
        "luma.base_url",
        "luma.calendar_id",
        "luma.dialect",
        "luma.verify",
        "notify.secret",
        "notify.url",
        "schedule",
        "source",
        "web.token",
    ];
    assert_eq!(without, [&["folder.expect.every", "folder.expect.min_rows"], &bare[..]].concat());
}

#[test]
fn the_required_keys_alone_give_the_documented_defaults() {
    let config = load(LUMA).expect("sound");
    let seconds = Duration::from_secs;
    assert_eq!(config.database.to_string(), "lumasync.db");
    assert_eq!(config.luma.dialect, Dialect::Beta2021);
    assert_eq!(config.luma.base_url.as_str(), "https://api.lu.ma/");
    assert_eq!(config.luma.api_key.expose_secret(), "s3cret");
    assert_eq!((config.luma.timeout, config.luma.connect_timeout), (seconds(30), seconds(10)));
    let limit = RateLimit { requests: 200, window: seconds(60), reserve: 5, per_second: 20 };
    assert_eq!(config.luma.rate_limit, limit);
    assert_eq!(
        (config.batch.max_rows, config.batch.max_bytes, config.batch.max_wait),
        (500, 1 << 20, seconds(5))
    );
    assert_eq!((config.luma.max_in_flight, config.retry.max_attempts), (4, 8));
    assert_eq!((config.retry.initial_backoff, config.retry.max_backoff), (seconds(1), seconds(300)));
    assert_eq!(config.tags, TagBook::default());
    assert_eq!(config.folder.path.as_deref(), Some(Path::new("drop")));
    assert_eq!((config.folder.settle, config.folder.poll), (seconds(2), seconds(1)));
    assert_eq!(
        (config.folder.on_error, config.folder.encoding, config.folder.delimiter),
        (OnError::Skip, None, None)
    );
    assert_eq!((config.folder.max_expanded, config.folder.guests), (2 << 30, Guests::Registered));
    assert_eq!((config.queue.poll, config.queue.max_rows), (seconds(1), 10_000));
    assert_eq!((config.worker.lease, config.shutdown.grace), (seconds(30), seconds(25)));
    assert_eq!(config.warnings, Vec::<String>::new());
    assert!(matches!(config.origin, Origin::File(_)));
}

#[test]
fn every_problem_is_told_at_once() {
    let found = problems(
        "batch = 5\n\
         [database]\nurl = \"mysql://me:s3cret@db/x\"\n\
         [luma]\ndialect = \"v9\"\napi_key = \"s3cret\"\nbase_url = \"http://api.lu.ma/?key=s3cret\"\n\
         rate_limit = { requests = 10, reserve = 10, windw = \"1s\" }\nmax_in_flight = 65\n\
         [retry]\ninitial_backoff = \"10m\"\nmax_attempts = \"many\"\n\
         [tags]\nvip = \"vip\"\nPress = \"tag-1\"\npress = \"tag-2\"\n\
         [folder]\nsettle = 5\nencoding = \"latin\"\nmax_expanded = \"2 gigs\"\n\
         [worker]\nlease = \"4s\"\n[shutdwn]\ngrace = \"1s\"\n",
    );
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    let wanted = [
        "database.url",
        "luma.dialect",
        "luma.base_url",
        "luma.api_key",
        "luma.max_in_flight",
        "luma.rate_limit.reserve",
        "batch",
        "retry.max_attempts",
        "retry.max_backoff",
        "tags.press",
        "tags.vip",
        "folder.settle",
        "folder.encoding",
        "folder.max_expanded",
        "worker.lease",
        "luma.rate_limit.windw",
        "shutdwn",
    ];
    assert_eq!(keys, wanted);
    for (key, text) in &found {
        assert!(text.contains("\nhint: "), "{key}: {text}");
        assert!(!text.contains("s3cret"), "{key}: {text}");
    }
    let told = load("[worker]\nlease = \"4s\"\n").expect_err("refused").to_string();
    assert!(told.starts_with("the configuration has 3 problems\n"), "{told}");
}

#[test]
fn problems_say_where_they_stand_and_what_to_write() {
    let text = only_problem(&format!("{LUMA}\n[batch]\nmax_rows = 0\n"));
    assert!(text.contains("lumasync.toml:6: `batch.max_rows` is `0`\n"), "{text}");
    assert!(text.ends_with("hint: write a whole number from 1 to 100000"), "{text}");
    let text = only_problem(&format!("{LUMA}timeout = 30\n"));
    assert!(text.ends_with("hint: write `30s`"), "{text}");
    let text = only_problem(&format!("{LUMA}max_inflight = 3\n"));
    assert!(text.contains("lumasync.toml:4: `luma.max_inflight` is not a key"), "{text}");
    assert!(text.ends_with("hint: did you mean `luma.max_in_flight`?"), "{text}");
    let text = only_problem(&format!("{LUMA}[bacth]\nmax_rows = 3\n"));
    assert!(text.contains("lumasync.toml:4: `bacth`"), "{text}");
    assert!(text.ends_with("hint: did you mean `batch`?"), "{text}");
}

#[test]
fn what_is_required_is_asked_for_only_where_luma_is_spoken_to() {
    let keys: Vec<_> = problems("").into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["luma.dialect", "luma.api_key"]);
    let without = |text: &str| load_with(text, |sources| sources.luma_required = false);
    assert!(without("").is_ok());
    assert!(without("[luma]\napi_key = \"env:NOT_SET\"\n").is_ok());
    assert!(without("[luma]\napi_key = \"s3cret\"\n").is_err());
    let held = without(LUMA).expect("sound");
    assert_eq!(held.luma.api_key.expose_secret(), "unused");
}

#[test]
fn a_syntax_error_has_line_and_column_and_does_not_quote_the_line() {
    let text = only_problem("[luma]\napi_key = s3cret\n");
    assert!(text.contains("lumasync.toml:2:11` is not TOML: "), "{text}");
    for line in [
        "\"s3cret",
        "'s3cret",
        "\"\"\"s3cret",
        "5s3cret",
        "{ s3cret",
        "\"s3cret\" s3cret",
        "\"\\s3cret\"",
        "[",
    ] {
        let text = only_problem(&format!("[luma]\napi_key = {line}\n"));
        assert!(text.contains("lumasync.toml:") && !text.contains("s3cret"), "{text}");
    }
    let text = only_problem("[luma]\napi_key = \"env:A\"\napi_key = \"env:B\"\n");
    assert!(text.contains("lumasync.toml:3:1` is not TOML: duplicate key"), "{text}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let named = Sources { file: Some("/no/such.toml".into()), ..sources() };
    assert!(
        Config::load(&named).expect_err("refused").to_string().contains("`/no/such.toml` does not exist")
    );
    let mut from_env = sources();
    set(&mut from_env, "LUMASYNC_CONFIG", "/no/other.toml");
    assert!(
        Config::load(&from_env).expect_err("refused").to_string().contains("`/no/other.toml` does not exist")
    );
}

#[test]
fn the_first_of_the_usual_places_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let [missing, first, second] = ["missing", "first", "second"].map(|name| folder.path().join(name));
    for (path, rows) in [(&first, 1), (&second, 2)] {
        fs::write(path, format!("\u{feff}{LUMA}[batch]\nmax_rows = {rows}\n")).expect("written");
    }
    let config =
        Config::load(&Sources { search: vec![missing, first.clone(), second], ..sources() }).expect("sound");
    assert_eq!((config.batch.max_rows, config.origin), (1, Origin::File(first)));
}

#[test]
fn the_environment_beats_the_file_and_flags_beat_both() {
    let text = format!("{LUMA}[batch]\nmax_rows = 1\nmax_bytes = \"2KiB\"\nmax_wait = \"2s\"\n");
    let config = load_with(&text, |sources| {
        set(sources, "LUMASYNC__BATCH__MAX_ROWS", "2");
        set(sources, "LUMASYNC__BATCH__MAX_BYTES", "3KiB");
        set(sources, "LUMASYNC__LUMA__RATE_LIMIT__WINDOW", "5s");
        set(sources, "LUMASYNC__FOLDER__PATH", "");
        sources.overrides = vec![("batch.max_rows".into(), "3".into())];
    })
    .expect("sound");
    assert_eq!(config.batch.max_rows, 3);
    assert_eq!(config.batch.max_bytes, 3 << 10);
    assert_eq!(config.batch.max_wait, Duration::from_secs(2));
    assert_eq!(
        (config.luma.rate_limit.window, config.luma.rate_limit.requests),
        (Duration::from_secs(5), 200)
    );
    assert_eq!(config.folder.path, None);
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let change = |sources: &mut Sources| {
        set(sources, "LUMASYNC__BATCH__MAX_ROWS", "some");
        set(sources, "LUMASYNC__BATCH__MAX_ROW", "1");
        set(sources, "LUMASYNC__RETRY", "1");
        set(sources, "LUMASYNC__RETRY__MAX_ATTEMPTS", "1");
        set(sources, "LUMASYNC__TAGS[9]", "1");
        sources.overrides = vec![("folder.poll".into(), "1".into())];
    };
    let error = load_with(LUMA, change).expect_err("refused");
    let mut places: Vec<_> =
        error.problems.iter().map(|problem| problem.place.clone().expect("a place")).collect();
    places.sort();
    let wanted = [
        "LUMASYNC__BATCH__MAX_ROW",
        "LUMASYNC__BATCH__MAX_ROWS",
        "LUMASYNC__RETRY",
        "LUMASYNC__TAGS[9]",
        "the command line",
    ];
    assert_eq!(places, wanted);
}

#[test]
fn tags_are_read_from_the_file_and_overridden_whatever_their_case() {
    let text =
        format!("{LUMA}[tags]\nVIP = \"tag-1\"\n\"Early Bird\" = \"tag-2\"\n\"press.team\" = \"tag-3\"\n");
    let config = load_with(&text, |sources| set(sources, "LUMASYNC__TAGS__VIP", "tag-9")).expect("sound");
    let set = config.tags.resolve_cell("vip; early bird; press.team").expect("all known");
    assert_eq!(set.to_string(), "tag-2;tag-3;tag-9");
}

#[test]
fn base_urls_are_checked_and_trimmed() {
    let load = |url: &str| load(&format!("{LUMA}base_url = \"{url}\"\n"));
    for (written, read) in [
        ("https://example.org/api/", "https://example.org/api"),
        ("http://localhost:8080", "http://localhost:8080/"),
        ("http://127.9.9.9:1/", "http://127.9.9.9:1/"),
        ("http://[::1]:1", "http://[::1]:1/"),
    ] {
        assert_eq!(load(written).expect("sound").luma.base_url.as_str(), read);
    }
    for url in [
        "http://example.org",
        "http://localhost.example.org",
        "ftp://localhost",
        "https://me@example.org",
        "https://example.org?x",
        "https://example.org#x",
        "example.org",
        "",
    ] {
        assert_eq!(load(url).expect_err("refused").problems.len(), 1, "{url}");
    }
}

#[test]
fn the_database_may_be_kept_where_secrets_are() {
    let load = |url: &str, kept: &str| {
        let text = format!("{LUMA}[database]\nurl = \"{url}\"\n");
        load_with(&text, |sources| set(sources, "DATABASE", kept))
    };
    for (url, shown) in [
        ("sqlite:///var/a.db", "/var/a.db"),
        ("postgres://ana:s3cret@db/members", "db/members"),
        ("env:DATABASE", "db.example.org/members"),
    ] {
        let config = load(url, "postgres://ana:s3cret@db.example.org/members").expect("sound");
        assert_eq!(config.database.to_string(), shown);
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    }
    for (url, kept) in [
        ("env:NOWHERE", ""),
        ("env:DATABASE", "postgres://ana:s3cret@db"),
        ("mysql://ana:s3cret@db/members", ""),
        ("s3cret", ""),
    ] {
        let refused = load(url, kept).expect_err("refused");
        assert_eq!(refused.problems.len(), 1, "{url}");
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
    }
}

#[test]
fn debug_text_never_shows_the_key() {
    let text = format!("{:?}", load(LUMA).expect("sound"));
    assert!(text.contains("api_key") && !text.contains("s3cret"), "{text}");
}

#[test]
fn a_secret_file_is_found_beside_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key"), "s3cret\n").expect("written");
    let path = folder.path().join("lumasync.toml");
    fs::write(&path, LUMA.replace("env:LUMA_API_KEY", "file:key")).expect("written");
    let config = Config::load(&Sources { file: Some(path), ..sources() }).expect("sound");
    assert_eq!(config.luma.api_key.expose_secret(), "s3cret");
}

#[test]
fn quickstart_stands_in_only_where_no_file_is_found() {
    let sources = Sources { luma_required: false, quickstart: true, ..sources() };
    let config = Config::load(&sources).expect("sound");
    assert_eq!(config.origin, Origin::Quickstart);
    assert_eq!(config.database.to_string(), "lumasync-sandbox.db");
    assert_eq!(config.folder.path, None);
    assert_eq!(
        config.tags.resolve_cell("VIP;newsletter").expect("known").to_string(),
        "tag-newsletter;tag-vip"
    );
    let change = |sources: &mut Sources| sources.quickstart = true;
    assert_eq!(load_with(LUMA, change).expect("sound").tags, TagBook::default());
}

mod sources;
