//! The command line: one file per command, data to stdout, talk to stderr.
//!
//! Reads the configuration, builds the engine, shows what it did. Decides nothing about rows.

mod apply;
mod approve;
mod args;
mod check;
mod completions;
mod context;
mod crew;
mod db;
mod events;
mod events_args;
mod exit;
mod explain;
mod forget;
mod health;
mod hold;
pub mod init;
mod intake;
mod notify;
mod out;
mod pages;
mod person;
mod person_args;
mod place;
mod plan;
mod plan_file;
mod plan_text;
mod progress;
mod rejected_events;
mod rejects;
mod retry;
mod run;
mod runs;
mod runs_args;
mod sandbox;
mod schedule;
mod schedule_args;
mod schedule_run;
mod signals;
mod sources;
mod status;
mod summary;
mod suppress;
mod suppress_args;
mod sync;
mod systemd;
mod timetable;
mod trace;
mod trace_text;
mod verify;
mod words;
mod workshop;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command, DbCommand};
use events_args::EventsCommand;
use exit::Exit;
use notify::NotifyCommand;
use runs_args::RunsCommand;
use schedule_args::ScheduleCommand;

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; all else is a mistake.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return exit.into();
        }
    };
    // A service is read about in its log, a command on the screen.
    let usual = if matches!(cli.command, Command::Run(_)) { "info" } else { "warn" };
    let level = cli.global.log_level.as_deref().unwrap_or(usual);
    let result = crate::telemetry::init(cli.global.log_format, level)
        .map_err(anyhow::Error::from)
        .and_then(|()| tokio::runtime::Runtime::new().map_err(anyhow::Error::from))
        .and_then(|runtime| runtime.block_on(dispatch(&cli)));
    match result {
        Ok(exit) => exit.into(),
        Err(error) if out::is_broken_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            out::talk(&explain::explain(&error));
            Exit::of(&error).into()
        }
    }
}

async fn dispatch(cli: &Cli) -> anyhow::Result<Exit> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => init::run(global, args),
        Command::Check(args) => check::run(global, args).await,
        // A service is large, and begun once.
        Command::Run(args) => Box::pin(run::run(global, args)).await,
        Command::Sync(args) if args.dry_run => Box::pin(plan::run(global, &args.what, None)).await,
        Command::Sync(args) => Box::pin(sync::run(global, args)).await,
        Command::Plan(args) => Box::pin(plan::run(global, &args.what, args.out.as_deref())).await,
        Command::Apply(args) => Box::pin(apply::run(global, args)).await,
        Command::Status(args) => status::run(global, args).await,
        Command::Runs { command: RunsCommand::List { limit } } => runs::list(global, *limit).await,
        Command::Runs { command: RunsCommand::Show { id } } => runs::show(global, *id).await,
        Command::Runs { command: RunsCommand::Approve { id, by } } => {
            approve::run(global, *id, by.as_deref()).await
        }
        Command::Runs { command: RunsCommand::Cancel { id } } => runs::cancel(global, *id).await,
        Command::Events { command: EventsCommand::List(args) } => events::list(global, args).await,
        Command::Events { command: EventsCommand::Show { id } } => events::show(global, *id).await,
        Command::Events { command: EventsCommand::Resolve(args) } => events::resolve(global, args).await,
        Command::Rejects(args) => rejects::run(global, args).await,
        Command::Retry(args) => retry::run(global, args).await,
        Command::Suppress { command } => suppress::run(global, command).await,
        Command::Trace(args) => trace::run(global, args).await,
        Command::Forget(args) => Box::pin(forget::run(global, args)).await,
        Command::Schedule { command } => match command {
            ScheduleCommand::List => schedule::list(global).await,
            ScheduleCommand::Run(args) => Box::pin(schedule_run::run(global, args)).await,
            ScheduleCommand::Pause(args) => schedule::pause(global, args).await,
            ScheduleCommand::Resume(args) => schedule::resume(global, args).await,
        },
        Command::Notify { command: NotifyCommand::Test } => notify::test(global).await,
        Command::Db { command: DbCommand::Migrate } => db::migrate(global).await,
        Command::Db { command: DbCommand::Prune(args) } => db::prune(global, args).await,
        Command::Sandbox(args) => sandbox::run(global, args).await,
        Command::Completions { shell } => completions::run(*shell),
    }
}
