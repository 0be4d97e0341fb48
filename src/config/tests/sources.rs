//! Sources as people write them, and what they are told about them.

use super::*;
use crate::config::sources::Cursor;
use crate::domain::expect::Expectation;

const CRM: &str =
    "[[source]]\nname = \"crm\"\nurl = \"sqlite://crm.db\"\nquery = \"select email from members\"\n";

fn with(lines: &str) -> String {
    format!("{LUMA}[tags]\nvip = \"tag-vip\"\n{CRM}{lines}")
}

/// The commented source of the documented defaults, uncommented.
fn documented() -> String {
    let mut lines = layers::DEFAULTS.lines().skip_while(|line| *line != "# [[source]]");
    let block = lines.by_ref().take_while(|line| !line.is_empty());
    let is_toml = |line: &&str| {
        line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    block.filter_map(|line| line.strip_prefix("# ")).filter(is_toml).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documented_source_is_sound_and_holds_every_key_that_is_read() {
    let text = format!("{LUMA}{}", documented());
    let config =
        load_with(&text, |sources| set(sources, "CRM_URL", "postgres://me:s3cret@db/crm")).expect("sound");
    assert_eq!(config.sources.len(), 1);
    let source = &config.sources[0];
    assert_eq!((source.name.as_str(), source.account.as_str()), ("crm", "main"));
    assert!(matches!(&source.database, Ok(Database::Postgres { place, .. }) if place == "db/crm"));
    let cursor = Cursor { value: "updated_at".into(), key: "id".into(), overlap: Duration::from_mins(10) };
    assert_eq!(source.cursor, Some(cursor));
    let expect = Expectation { every: Some(Duration::from_hours(26)), min_rows: Some(100) };
    assert_eq!((source.timeout, source.expect), (Duration::from_mins(10), Some(expect)));
    assert!(!format!("{config:?}").contains("s3cret"));

    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("l.toml"), &text).expect("written");
    let sources = Sources { file: Some(folder.path().join("l.toml")), luma_required: false, ..sources() };
    let Ok(merged) = layers::merge(&sources) else { panic!("not merged") };
    let mut reader = Reader::new(&merged, &sources.env);
    sections::read(&mut reader, false).expect("read");
    let of_source = |key: &&str| key.starts_with("source.1.");
    let asked: BTreeSet<&str> = reader.asked().filter(of_source).collect();
    let mut written = BTreeSet::new();
    leaves(&merged.tree, "", &mut written);
    let written: BTreeSet<&str> = written.iter().map(String::as_str).filter(of_source).collect();
    let columns = ["source.1.columns.email", "source.1.columns.tags"];
    let written: BTreeSet<&str> =
        written.into_iter().filter(|key| !columns.contains(key)).chain(["source.1.columns"]).collect();
    assert_eq!(asked, written);
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = load(&with("")).expect("sound");
    let source = &config.sources[0];
    assert!(matches!(&source.database, Ok(Database::Sqlite(path)) if path == Path::new("crm.db")));
    assert_eq!((source.cursor.clone(), source.expect), (None, None));
    assert!(source.tags.is_empty() && source.columns.is_empty());
    let tagged = load(&with("tags = [\"vip\", \"tag-press\"]\n")).expect("sound");
    assert_eq!(tagged.sources[0].tags.to_string(), "tag-press;tag-vip");
    assert!(load(LUMA).expect("sound").sources.is_empty());
}

#[test]
fn every_problem_of_every_source_is_told_with_its_line() {
    let text = with(
        "qurey = 1\ntags = [\"gold\"]\ncolumns = { mail = \"email\", email = \"\" }\nkey = \"id\"\n\
         [[source]]\nname = \"crm\"\nkind = \"events\"\naccount = \"paris\"\nurl = \"postgres://me:s3cret@db/x\"\n\
         query = \" \"\ncursor = \"at\"\ntimeout = \"10ms\"\nexpect = { every = \"daily\", min_row = 1 }\n\
         [[source]]\nname = \"my list\"\n",
    );
    let found = problems(&text);
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    let wanted = [
        "source.1.columns.email",
        "source.1.columns.mail",
        "source.1.tags",
        "source.1.key",
        "source.2.kind",
        "source.2.account",
        "source.2.url",
        "source.2.query",
        "source.2.key",
        "source.2.timeout",
        "source.2.expect.every",
        "source.2.name",
        "source.3.url",
        "source.3.query",
        "source.3.name",
        "source.1.qurey",
        "source.2.expect.min_row",
    ];
    assert_eq!(keys, wanted);
    let said = |key: &str| &found.iter().find(|(other, _)| other == key).expect("told").1;
    assert!(said("source.1.qurey").contains("did you mean `source.1.query`?"), "{}", said("source.1.qurey"));
    assert!(said("source.1.columns.mail").contains("did you mean `email`?"));
    assert!(
        said("source.2.kind").contains("lumasync.toml:16") && said("source.2.kind").contains("event_queue")
    );
    assert!(said("source.2.expect.min_row").contains("did you mean `source.2.expect.min_rows`?"));
    assert!(found.iter().all(|(_, said)| !said.contains("s3cret")), "{found:?}");
}

#[test]
fn a_secret_that_is_not_there_is_a_problem_only_for_who_needs_it() {
    let text = with("").replace("sqlite://crm.db", "env:CRM_URL");
    assert!(only_problem(&text).contains("`CRM_URL`, which is not set"));
    let config = load_with(&text, |sources| sources.luma_required = false).expect("sound");
    let problem = config.sources[0].database.as_ref().expect_err("not there").to_string();
    assert!(problem.contains("`source.1.url` names the environment variable `CRM_URL`"), "{problem}");
    let wrong =
        load_with(&text, |sources| set(sources, "CRM_URL", "mysql://me:s3cret@db/x")).expect_err("refused");
    assert!(!wrong.to_string().contains("s3cret"), "{wrong}");
}

#[test]
fn lists_are_only_in_the_file_and_are_lists() {
    let error =
        load_with(&with(""), |sources| set(sources, "LUMASYNC__SOURCE__1__URL", "x")).expect_err("refused");
    assert!(error.to_string().contains("can only be set in the file"), "{error}");
    assert!(
        only_problem(&with("").replace("[[source]]", "[source]")).contains("below a `[[source]]` of its own")
    );
}
