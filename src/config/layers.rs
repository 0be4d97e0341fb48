//! Puts the layers on each other: built-in defaults, a file, the environment, flags.
//!
//! Knows no key by name but `tags`, whose names keep the spelling of the file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use config::{Environment, FileFormat, Format, Map, Source, Value, ValueKind};

use super::place::origin as origin_of;
use super::values::Wrong;
use super::{Origin, Problem, Sources};

/// Every key of this release and its default.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");
const QUICKSTART: &str = include_str!("../../config/quickstart.toml");
const PREFIX: &str = "LUMASYNC";
/// Sections of which there may be several.
const LISTS: [&str; 2] = ["schedule", "source"];

type Tree = Map<String, Value>;

/// One tree of all layers, and what is needed to say where a value stands.
pub(super) struct Merged {
    pub(super) tree: Value,
    pub(super) file: Option<Text>,
    pub(super) origin: Origin,
    pub(super) problems: Vec<Problem>,
}

/// A configuration file.
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Text {
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

#[derive(Clone, Debug)]
struct Layer(Tree);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Tree, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// Merges every layer. A file that cannot be read or parsed is the only problem then: without it,
/// everything else that could be said would mislead.
pub(super) fn merge(sources: &Sources) -> Result<Merged, Problem> {
    let mut problems = Vec::new();
    let file = find(sources)?;
    let (origin, below) = match &file {
        Some(file) => (Origin::File(file.path.clone()), parse(&file.name(), &file.text)?),
        None if sources.quickstart => (Origin::Quickstart, parse("quickstart.toml", QUICKSTART)?),
        None => (Origin::Defaults, Tree::new()),
    };
    let environment = environment(sources, &below, &mut problems)?;
    let flags = nest(sources.overrides.iter().map(|(key, value)| {
        (spelled(key, &below), Value::new(Some(&"the command line".into()), value.as_str()))
    }));
    // The defaults have no origin: nobody can be sent there to mend something.
    let defaults = FileFormat::Toml.parse(None, DEFAULTS).map_err(|error| syntax("default.toml", &*error))?;
    let mut builder = config::Config::builder();
    let environment = without_lists(environment, &mut problems);
    let flags = without_lists(flags, &mut problems);
    for layer in [defaults, below, environment, flags] {
        builder = builder.add_source(Layer(plain_roots(layer, &mut problems)));
    }
    let tree = builder.build().map_err(|error| Problem::new("configuration", error.to_string(), ""))?.cache;
    Ok(Merged { tree: numbered(tree), file, origin, problems })
}

/// Gives the entries of lists of sections numbers for names, from 1.
fn numbered(mut tree: Value) -> Value {
    if let ValueKind::Table(root) = &mut tree.kind {
        for value in root.values_mut() {
            if let ValueKind::Array(entries) = &mut value.kind
                && entries.iter().all(|entry| matches!(entry.kind, ValueKind::Table(_)))
            {
                let entries = std::mem::take(entries).into_iter().zip(1..);
                value.kind = ValueKind::Table(entries.map(|(entry, at)| (at.to_string(), entry)).collect());
            }
        }
    }
    tree
}

/// Takes out what would replace a whole list of sections: only the file has those.
fn without_lists(mut layer: Tree, problems: &mut Vec<Problem>) -> Tree {
    for name in LISTS {
        if let Some(value) = layer.remove(name) {
            let place = origin_of(&value).map(ToOwned::to_owned);
            let message = "can only be set in the file: it is a list of sections";
            let hint =
                format!("write each entry below a `[[{name}]]`; what is secret in it may be `env:NAME`");
            problems.push(Problem { place, ..Problem::new(name, message, hint) });
        }
    }
    layer
}

/// The file that was named, or the first that is found in the usual places.
fn find(sources: &Sources) -> Result<Option<Text>, Problem> {
    let from_env = || sources.env.get("LUMASYNC_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = sources.file.clone().or_else(from_env) {
        let missing = || {
            let hint = "name a file that does, or write one with `lumasync init`";
            Problem::new(path.display().to_string(), "does not exist", hint)
        };
        return read(&path)?.map(Some).ok_or_else(missing);
    }
    for path in &sources.search {
        if let Some(text) = read(path)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<Text>, Problem> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Text { path: path.into(), text })),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => {
            let hint = "make it a UTF-8 text file that the user of lumasync may read";
            Err(Problem::new(path.display().to_string(), format!("cannot be read: {error}"), hint))
        }
    }
}

fn parse(name: &str, text: &str) -> Result<Tree, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    FileFormat::Toml.parse(Some(&name.to_owned()), text).map_err(|error| syntax(name, &*error))
}

/// Says line and column, and leaves out the line itself that the parser quotes: it may hold a key.
fn syntax(name: &str, error: &dyn std::error::Error) -> Problem {
    let text = error.to_string();
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let place = lines
        .next()
        .and_then(|first| first.strip_prefix("TOML parse error at line "))
        .and_then(|numbers| numbers.split_once(", column "));
    let (key, said) = match place {
        Some((line, column)) => {
            (format!("{name}:{line}:{column}"), lines.next_back().unwrap_or("syntax error").to_owned())
        }
        None => (name.to_owned(), text.clone()),
    };
    let hint = "write `key = \"value\"` below a `[section]`, with text in quotes";
    Problem::new(key, format!("is not TOML: {said}"), hint)
}

fn environment(sources: &Sources, below: &Tree, problems: &mut Vec<Problem>) -> Result<Tree, Problem> {
    let mut ours = Map::new();
    for (name, value) in &sources.env {
        match value.to_str() {
            Some(value) => drop(ours.insert(name.clone(), value.to_owned())),
            None if name.starts_with("LUMASYNC__") => {
                problems.push(Problem::new(name.clone(), "is not text", "write it in UTF-8"));
            }
            None => {}
        }
    }
    let found =
        Environment::with_prefix(PREFIX).prefix_separator("__").separator("__").source(Some(ours)).collect();
    let found = found.map_err(|error| Problem::new("environment", error.to_string(), ""))?;
    let mut found: Vec<_> = found.into_iter().collect();
    // From long to short: a variable that overwrites a whole section is then seen, not lost.
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    Ok(nest(found.into_iter().map(|(key, value)| {
        let name = format!("{PREFIX}__{}", key.to_uppercase().replace('.', "__"));
        (spelled(&key, below), Value::new(Some(&name), value.kind))
    })))
}

/// The path of a table of tags, and the name in it that a key is about: there everything is one name.
fn tag_name(key: &str) -> Option<(&str, &str)> {
    if let Some(name) = key.strip_prefix("tags.") {
        return Some(("tags", name));
    }
    let (account, rest) = key.strip_prefix("accounts.")?.split_once('.')?;
    let name = rest.strip_prefix("tags.")?;
    Some((&key[.."accounts.".len() + account.len() + ".tags".len()], name))
}

/// A tag keeps the spelling that the file has for it; variables have no case of their own.
fn spelled(key: &str, below: &Tree) -> String {
    let Some((path, name)) = tag_name(key) else { return key.to_owned() };
    let mut parts = path.split('.');
    let mut table = parts.next().and_then(|part| below.get(part));
    for part in parts {
        table = table.and_then(|value| match &value.kind {
            ValueKind::Table(inside) => inside.get(part),
            _ => None,
        });
    }
    let known = match table.map(|tags| &tags.kind) {
        Some(ValueKind::Table(tags)) => tags.keys().find(|known| known.to_lowercase() == name.to_lowercase()),
        _ => None,
    };
    known.map_or_else(|| key.to_owned(), |known| format!("{path}.{known}"))
}

/// `a.b = v` as `{ a = { b = v } }`; later pairs win.
fn nest(pairs: impl Iterator<Item = (String, Value)>) -> Tree {
    let mut root = Tree::new();
    for (key, value) in pairs {
        let parts: Vec<_> = match tag_name(&key) {
            Some((path, name)) => path.split('.').chain([name]).collect(),
            None => key.split('.').collect(),
        };
        insert(&mut root, &parts, value);
    }
    root
}

fn insert(tree: &mut Tree, parts: &[&str], value: Value) {
    match parts {
        [] => {}
        [name] => drop(tree.insert((*name).to_owned(), value)),
        [name, rest @ ..] => {
            let child = tree.entry((*name).to_owned()).or_default();
            if !matches!(child.kind, ValueKind::Table(_)) {
                child.kind = ValueKind::Table(Tree::new());
            }
            if let ValueKind::Table(child) = &mut child.kind {
                insert(child, rest, value);
            }
        }
    }
}

/// Takes out top-level names with signs in them: the `config` crate would read them as paths and
/// subscripts, and overwrite sections with lists.
fn plain_roots(layer: Tree, problems: &mut Vec<Problem>) -> Tree {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let (known, odd): (Vec<_>, Vec<_>) =
        layer.into_iter().partition(|(name, _)| !name.is_empty() && name.chars().all(plain));
    for (name, value) in odd {
        let Wrong { message, hint } =
            Wrong::new("is not a key of lumasync", "write it as a key below a `[section]`");
        let place = value.origin().map(ToOwned::to_owned);
        problems.push(Problem { key: name, message, hint, place });
    }
    known.into_iter().collect()
}
