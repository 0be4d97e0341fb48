//! A plan as a file: what was asked, and what exactly would be sent, with no address in it.

use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::args::{KindChoice, SandboxChoice, Selection};
use super::plan::Forecast;
use crate::clock::Time;
use crate::domain::state::Kind;
use crate::engine::{PlannedInput, Rest};
use crate::store::{Run, RunSource};

/// What this release writes and reads.
const FORMAT: u32 = 1;

/// The file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanFile {
    /// The version of the format.
    lumasync_plan: u32,
    made_at: String,
    asked: Asked,
    inputs: Vec<Planned>,
    requests: u64,
}

/// What was named.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    files: Vec<PathBuf>,
    sources: Vec<String>,
    tags: Vec<String>,
    account: Option<String>,
    again: bool,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    account: String,
    source: String,
    label: String,
    /// Of the bytes of a file.
    sha256: Option<String>,
    read: u64,
    new: u64,
    changed: u64,
    requests: u64,
    /// Of who would get what.
    digest: String,
}

impl Planned {
    fn of(input: &PlannedInput) -> Self {
        Self {
            account: input.account.clone(),
            source: input.source.as_str().to_owned(),
            label: input.label.clone(),
            sha256: input.sha256.clone(),
            read: input.rows.read,
            new: input.rows.new,
            changed: input.rows.changed,
            requests: input.requests,
            digest: input.digest.to_string(),
        }
    }

    /// Whether it is the same input, whatever is in it now.
    fn is_of(&self, other: &Self) -> bool {
        (&self.account, &self.source, &self.label) == (&other.account, &other.source, &other.label)
    }

    fn people(&self) -> u64 {
        self.new + self.changed
    }
}

/// All that every plan has said, of whatever format.
#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "lumasync_plan")]
    _format: u32,
}

/// Why this cannot be written as a plan that is carried out later.
pub(super) fn why_not(forecast: &Forecast) -> Option<String> {
    if forecast.exit.is_some() {
        return Some("not everything could be looked at".to_owned());
    }
    if let Some(input) = forecast.inputs.iter().find(|input| input.kind == Kind::Events) {
        return Some(format!("`{}` holds events, and a plan is for members", input.label));
    }
    if let Some(unfinished) = unfinished(forecast).into_iter().next() {
        return Some(unfinished);
    }
    let making = forecast.inputs.iter().find(|input| !input.tags_to_make.is_empty());
    making.map(|input| format!("tags of `{}` are still to be made; make them at Luma first", input.label))
}

/// What is not to be planned, because a run that nobody has planned goes on with it.
fn unfinished(forecast: &Forecast) -> Vec<String> {
    let begun = forecast.inputs.iter().filter_map(|input| {
        let (run, label) = (input.begun?, &input.label);
        Some(format!(
            "run {run} has taken in a part of `{label}`; a sync of it goes on, `runs cancel {run}` gives it up"
        ))
    });
    let left = forecast.before.iter().filter(|before| before.rest == Rest::Some);
    let left =
        left.map(|before| format!("run {} goes on with what is left of `{}`", before.run, before.file));
    begun.chain(left).collect()
}

/// Files by their full paths, each once.
pub(super) fn distinct(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut distinct = Vec::new();
    for path in files {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        if !distinct.contains(&path) {
            distinct.push(path);
        }
    }
    distinct
}

/// Fails where anything but a plan is in the place of one: it would be gone.
pub(super) fn ensure_free(to: &Path) -> anyhow::Result<()> {
    const HINT: &str = "name a file that is not there yet, or an earlier plan";
    let shown = to.display();
    let found = match fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.with_context(|| format!("cannot write `{shown}`"))?,
    };
    if !found.is_file() {
        bail!("`{shown}` is no regular file, and no plan is written there\nhint: {HINT}");
    }
    let file = File::open(to).with_context(|| format!("cannot read `{shown}`"))?;
    if serde_json::from_reader::<_, Mark>(BufReader::new(file)).is_err() {
        bail!("`{shown}` is there and holds no plan; it is not written over\nhint: {HINT}");
    }
    Ok(())
}

/// Writes a plan for its owner alone. Rows of the queue are others', who go on writing: they are not in it.
pub(super) fn write(to: &Path, what: &Selection, forecast: &Forecast, now: Time) -> anyhow::Result<()> {
    let planned = planned(forecast);
    let plan = PlanFile {
        lumasync_plan: FORMAT,
        made_at: now.to_string(),
        asked: Asked {
            files: distinct(&what.files),
            sources: what.sources.clone(),
            tags: what.tags.clone(),
            account: what.account.clone(),
            again: what.again,
        },
        requests: planned.iter().map(|input| input.requests).sum(),
        inputs: planned,
    };
    let text = serde_json::to_string_pretty(&plan)?;
    ensure_free(to)?;
    put(to, &text).with_context(|| format!("cannot write `{}`", to.display()))
}

/// Writes it whole under a hidden name first: what was there stays until all of it is.
fn put(to: &Path, text: &str) -> io::Result<()> {
    let name = to.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    let hidden = to.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&hidden)?;
    let written = writeln!(file, "{text}").and_then(|()| file.sync_all());
    let written = written.and_then(|()| fs::rename(&hidden, to));
    if written.is_err() {
        let _ = fs::remove_file(&hidden);
    }
    written
}

/// Reads a plan.
pub(super) fn read(from: &Path) -> anyhow::Result<PlanFile> {
    let text = fs::read_to_string(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    let plan: PlanFile = serde_json::from_str(&text).with_context(|| {
        format!(
            "`{}` is no plan of this release\nhint: `lumasync plan --out FILE` writes one",
            from.display()
        )
    })?;
    if plan.lumasync_plan != FORMAT {
        let (found, from) = (plan.lumasync_plan, from.display());
        bail!(
            "`{from}` is a plan of format {found}, and this release knows format {FORMAT}\nhint: plan once more"
        );
    }
    Ok(plan)
}

fn planned(forecast: &Forecast) -> Vec<Planned> {
    let inputs = forecast.inputs.iter().filter(|input| input.source != RunSource::Queue);
    inputs.map(Planned::of).collect()
}

impl PlanFile {
    /// What was asked for when it was made.
    pub(super) fn selection(&self, sandbox: &SandboxChoice) -> Selection {
        let Asked { files, sources, tags, account, again } = &self.asked;
        Selection {
            files: files.clone(),
            sources: sources.clone(),
            kind: KindChoice::Members,
            tags: tags.clone(),
            account: account.clone(),
            again: *again,
            sandbox: sandbox.clone(),
        }
    }

    /// What has moved since it was made, in words; nothing where all is as it was.
    pub(super) fn moved(&self, now: &Forecast) -> Vec<String> {
        let mut found = planned(now);
        let mut moved: Vec<String> = now.troubles.clone();
        moved.extend(unfinished(now));
        // Files may share a name: those of the same bytes belong together.
        let mut others = Vec::new();
        for input in &self.inputs {
            let is_same = |other: &Planned| other.is_of(input) && other.sha256 == input.sha256;
            match take(&mut found, is_same) {
                None => others.push(input),
                Some(other) if other.digest != input.digest => moved.push(format!(
                    "what `{}` would send has changed ({} people now, {} in the plan): the ledger, the tags or \
                     the source have moved",
                    input.label,
                    other.people(),
                    input.people()
                )),
                Some(_) => {}
            }
        }
        for input in others {
            let label = &input.label;
            let before = || now.before.iter().find(|before| before.file == *label);
            moved.push(match take(&mut found, |other| other.is_of(input)) {
                Some(_) => format!("`{label}` holds other bytes"),
                None => match before() {
                    Some(before) => format!("`{label}` was taken in by run {} since", before.run),
                    None => format!("`{label}` is not there any more"),
                },
            });
        }
        moved.extend(found.iter().map(|other| format!("`{}` has come since", other.label)));
        moved
    }

    /// What is another than planned, of runs that have taken in what was planned; with each the digest of who
    /// would get what of it.
    pub(super) fn unlike(&self, runs: &[(Run, String)]) -> Vec<String> {
        let mut open: Vec<&Planned> = self.inputs.iter().collect();
        let is_of = |input: &Planned, run: &Run| {
            (input.account.as_str(), input.source.as_str(), input.label.as_str())
                == (run.account.as_str(), run.source.as_str(), run.label.as_str())
        };
        let mut others = runs.iter().collect::<Vec<_>>();
        others.retain(|(run, digest)| {
            take(&mut open, |input| is_of(input, run) && input.digest == *digest).is_none()
        });
        let mut unlike: Vec<String> = others
            .into_iter()
            .map(|(run, _)| {
                let said = match take(&mut open, |input| is_of(input, run)) {
                    Some(_) => "is not what was planned",
                    None => "was not planned",
                };
                format!("run {}, `{}`, {said}", run.id, run.label)
            })
            .collect();
        unlike.extend(open.iter().map(|input| format!("`{}` was not taken in", input.label)));
        unlike
    }
}

/// Takes out the first that fits.
fn take<T>(items: &mut Vec<T>, fits: impl FnMut(&T) -> bool) -> Option<T> {
    let place = items.iter().position(fits)?;
    Some(items.remove(place))
}
