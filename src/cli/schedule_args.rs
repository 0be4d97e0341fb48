//! What can be typed after `lumasync schedule`.

use clap::{Args, Subcommand};

use super::args::SandboxChoice;
use super::person::person;

#[derive(Debug, Subcommand)]
pub(super) enum ScheduleCommand {
    /// Every schedule: when it is due next, its last fire and what came of it, whether it is paused
    List,
    /// Take in now what a schedule takes in, and send it; recorded as a fire by hand
    Run(ScheduleRunArgs),
    /// Let a schedule rest: nothing is due until it is resumed
    Pause(PersonArgs),
    /// Let a paused schedule go on from now
    Resume(PersonArgs),
}

/// A schedule, and who says something about it.
#[derive(Debug, Args)]
pub(super) struct PersonArgs {
    /// The schedule's name
    pub(super) name: String,
    /// Who decides [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl PersonArgs {
    /// Who decides; where nobody is known, that is told.
    pub(super) fn person(&self) -> Option<String> {
        person(self.by.as_deref())
    }
}

#[derive(Debug, Args)]
pub(super) struct ScheduleRunArgs {
    #[command(flatten)]
    pub(super) person: PersonArgs,
    #[command(flatten)]
    pub(super) sandbox: SandboxChoice,
}
