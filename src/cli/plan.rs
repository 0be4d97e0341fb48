//! `lumasync plan` and `sync --dry-run`: what a sync would send, and nothing sent.

use std::path::Path;

use super::args::{Global, Selection};
use super::exit::Exit;
use super::explain::explain_std;
use super::intake::by_hand;
use super::signals::Signals;
use super::sources::source_of;
use super::workshop::{Desk, Workshop};
use super::{out, plan_file, plan_text, sync};
use crate::config;
use crate::domain::state::Kind;
use crate::engine::{Engine, EngineError, Outlook, PlannedFile, PlannedInput, Rest, Stop, printable};
use crate::store::HeldRun;

/// All that a plan says.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    pub(super) inputs: Vec<PlannedInput>,
    /// Files whose bytes were taken in before.
    pub(super) before: Vec<Before>,
    /// Of each account.
    pub(super) accounts: Vec<Outlook>,
    /// Runs that wait for a person.
    pub(super) held: Vec<HeldRun>,
    /// What could not be looked at.
    pub(super) troubles: Vec<String>,
    /// What a person should know of how it was looked at.
    pub(super) notes: Vec<String>,
    pub(super) exit: Option<Exit>,
}

/// A file whose bytes were taken in before.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) file: String,
    pub(super) run: i64,
    pub(super) rest: Rest,
}

/// The command.
pub(super) async fn run(global: &Global, what: &Selection, to: Option<&Path>) -> anyhow::Result<Exit> {
    if let Some(to) = to {
        plan_file::ensure_free(to)?;
    }
    let Some(workshop) = sync::open(global, what).await? else { return Ok(Exit::Usage) };
    let (signals, stop) = Signals::listen(workshop.config.shutdown.grace, workshop.clock.clone())?;
    let result = show(global, what, to, &workshop, &stop).await;
    workshop.close_after(result, &signals).await
}

async fn show(
    global: &Global,
    what: &Selection,
    to: Option<&Path>,
    workshop: &Workshop,
    stop: &Stop,
) -> anyhow::Result<Exit> {
    let forecast = Box::pin(look(what, workshop, stop)).await?;
    let max_rows = workshop.config.batch.max_rows;
    out::result(
        global.output,
        || plan_text::text(&forecast, max_rows, &workshop.program),
        || plan_text::json(&forecast, max_rows),
    )?;
    if let Some(to) = to {
        if let Some(why) = plan_file::why_not(&forecast) {
            out::talk(&format!("error: no plan is written: {why}"));
            return Ok(Exit::Failed);
        }
        plan_file::write(to, what, &forecast, workshop.clock.now())?;
        let (program, to) = (&workshop.program, to.display());
        out::talk(&format!("the plan is in `{to}`: `{program} apply {to}` does exactly that, or refuses"));
    }
    Ok(forecast.exit.unwrap_or(Exit::Ok))
}

/// Looks at everything that a sync would take in.
pub(super) async fn look(what: &Selection, workshop: &Workshop, stop: &Stop) -> anyhow::Result<Forecast> {
    let mut forecast = Forecast { held: workshop.store.held_runs().await?, ..Forecast::default() };
    for desk in workshop.desks() {
        let engine = desk.engine.looking_only();
        forecast.accounts.push(engine.outlook(desk.account.luma.rate_limit.window).await?);
        if what.names_nothing() {
            for (kind, taking) in engine.files_of_folder().await? {
                forecast.file(engine.plan_file(kind, &taking, stop).await, &taking.name, &desk).await?;
            }
        } else {
            let tags = engine.resolve_tags(&what.tags, stop).await?;
            for path in &plan_file::distinct(&what.files) {
                let (kind, taking) = by_hand(path, what, &tags);
                forecast.file(engine.plan_file(kind, &taking, stop).await, &taking.name, &desk).await?;
            }
        }
        forecast.sources(what, &desk, &engine, stop).await?;
        if what.names_nothing() {
            forecast.inputs.extend(engine.plan_queue(stop).await?);
        }
        // Before each input Luma was asked.
        let is_own = |input: &PlannedInput| input.account == engine.account() && input.kind == Kind::Members;
        if !engine.knows_tags() && forecast.inputs.iter().any(is_own) {
            forecast.notes.push(
                "Luma was not to be asked which tags it has: names that only Luma knows count as unknown"
                    .to_owned(),
            );
        }
    }
    Ok(forecast)
}

impl Forecast {
    async fn file(
        &mut self,
        planned: Result<PlannedFile, EngineError>,
        name: &str,
        desk: &Desk<'_>,
    ) -> Result<(), EngineError> {
        match planned {
            Ok(PlannedFile::Now(input)) => {
                let is_twin = |known: &&PlannedInput| {
                    input.sha256.is_some()
                        && (&known.sha256, &known.account, known.kind)
                            == (&input.sha256, &input.account, input.kind)
                };
                match self.inputs.iter().find(is_twin) {
                    Some(twin) => self.notes.push(format!(
                        "`{}` holds the same bytes as `{}`: they are taken in once",
                        input.label, twin.label
                    )),
                    None => self.inputs.push(*input),
                }
            }
            Ok(PlannedFile::Before(run)) => {
                let rest = desk.engine.rest_of(run).await?;
                self.before.push(Before { file: printable(name), run, rest });
            }
            Err(error) => self.trouble(error)?,
        }
        Ok(())
    }

    async fn sources(
        &mut self,
        what: &Selection,
        desk: &Desk<'_>,
        engine: &Engine,
        stop: &Stop,
    ) -> Result<(), EngineError> {
        let is_meant = |source: &&config::Source| {
            source.account == engine.account()
                && (what.names_nothing() || what.sources.contains(&source.name))
        };
        for source in desk.workshop.config.sources.iter().filter(is_meant) {
            match source_of(source) {
                Ok(source) => match engine.plan_source(&source, stop).await {
                    Ok(input) => self.inputs.push(input),
                    Err(error) => self.trouble(error)?,
                },
                Err(problem) => {
                    self.troubles.push(problem.to_string());
                    self.exit = self.exit.max(Some(Exit::Config));
                }
            }
        }
        Ok(())
    }

    /// What is wrong with one input keeps nobody from looking at the others.
    fn trouble(&mut self, error: EngineError) -> Result<(), EngineError> {
        if matches!(error, EngineError::Stopped) {
            return Err(error);
        }
        self.exit = self.exit.max(Some(Exit::of_engine(&error)));
        self.troubles.push(explain_std(error).trim_start_matches("error: ").to_owned());
        Ok(())
    }
}
