//! A plan as a file: what was asked, and what exactly would be sent, with no address in it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::args::{KindChoice, SandboxChoice, Selection};
use super::plan::Forecast;
use crate::clock::Time;
use crate::domain::state::Kind;
use crate::engine::PlannedInput;
use crate::store::RunSource;

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
    pub(super) inputs: Vec<Planned>,
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
pub(super) struct Planned {
    pub(super) account: String,
    pub(super) source: String,
    pub(super) label: String,
    /// Of the bytes of a file.
    pub(super) sha256: Option<String>,
    read: u64,
    new: u64,
    changed: u64,
    requests: u64,
    /// Of who would get what.
    pub(super) digest: String,
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
    pub(super) fn is_of(&self, account: &str, source: &str, label: &str) -> bool {
        (self.account.as_str(), self.source.as_str(), self.label.as_str()) == (account, source, label)
    }

    fn people(&self) -> u64 {
        self.new + self.changed
    }
}

/// Why this cannot be written as a plan that is carried out later.
pub(super) fn why_not(forecast: &Forecast) -> Option<String> {
    if forecast.exit.is_some() {
        return Some("not everything could be looked at".to_owned());
    }
    if let Some(input) = forecast.inputs.iter().find(|input| input.kind == Kind::Events) {
        return Some(format!("`{}` holds events, and a plan is for members", input.label));
    }
    let making = forecast.inputs.iter().find(|input| !input.tags_to_make.is_empty());
    making.map(|input| format!("tags of `{}` are still to be made; make them at Luma first", input.label))
}

/// Writes a plan for its owner alone. Rows of the queue are others', who go on writing: they are not in it.
pub(super) fn write(to: &Path, what: &Selection, forecast: &Forecast, now: Time) -> anyhow::Result<()> {
    let full = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let planned = planned(forecast);
    let plan = PlanFile {
        lumasync_plan: FORMAT,
        made_at: now.to_string(),
        asked: Asked {
            files: what.files.iter().map(full).collect(),
            sources: what.sources.clone(),
            tags: what.tags.clone(),
            account: what.account.clone(),
            again: what.again,
        },
        requests: planned.iter().map(|input| input.requests).sum(),
        inputs: planned,
    };
    let cannot = || format!("cannot write `{}`", to.display());
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(to);
    let mut file = file.with_context(cannot)?;
    writeln!(file, "{}", serde_json::to_string_pretty(&plan)?).with_context(cannot)?;
    file.sync_all().with_context(cannot)
}

/// Reads a plan.
pub(super) fn read(from: &Path) -> anyhow::Result<PlanFile> {
    let text = std::fs::read_to_string(from).with_context(|| format!("cannot read `{}`", from.display()))?;
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
        let found = planned(now);
        let mut moved: Vec<String> = now.troubles.clone();
        for input in &self.inputs {
            let label = &input.label;
            let is_same = |other: &&Planned| other.is_of(&input.account, &input.source, label);
            match found.iter().find(is_same) {
                None => match now.before.iter().find(|(name, _)| name == label) {
                    Some((_, run)) => moved.push(format!("`{label}` was taken in by run {run} since")),
                    None => moved.push(format!("`{label}` is not there any more")),
                },
                Some(other) if other.sha256 != input.sha256 => moved.push(format!("`{label}` holds other bytes")),
                Some(other) if other.digest != input.digest => moved.push(format!(
                    "what `{label}` would send has changed ({} people now, {} in the plan): the ledger, the tags or \
                     the source have moved",
                    other.people(),
                    input.people()
                )),
                Some(_) => {}
            }
        }
        let is_new = |other: &&Planned| {
            !self.inputs.iter().any(|input| input.is_of(&other.account, &other.source, &other.label))
        };
        moved.extend(found.iter().filter(is_new).map(|other| format!("`{}` has come since", other.label)));
        moved
    }
}
