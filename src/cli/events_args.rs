//! What can be typed after `lumasync events`.

use clap::{Args, Subcommand};

use crate::domain::event::EventState;

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// Events, newest first
    List(EventsListArgs),
    /// One event: what was asked and answered, who decided what, what to look for on Luma
    Show {
        /// Its number
        id: i64,
    },
    /// Say what became of an event in doubt; it is noted who said so and when
    Resolve(ResolveArgs),
}

#[derive(Debug, Args)]
pub(super) struct EventsListArgs {
    /// Only those in this state, for example `unknown`
    #[arg(long, value_parser = parse_event_state)]
    pub(super) state: Option<EventState>,
    /// Only those of this run
    #[arg(long, value_name = "ID")]
    pub(super) run: Option<i64>,
    /// Only those of this account
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50)]
    pub(super) limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// The event's number
    pub(super) id: i64,
    /// It exists on Luma under this id
    #[arg(long, value_name = "EVENT", required_unless_present = "send_again", conflicts_with = "send_again")]
    pub(super) created: Option<String>,
    /// It does not exist: ask for it once more
    #[arg(long)]
    pub(super) send_again: bool,
    /// Who decides [default: $USER]
    #[arg(long, value_name = "NAME")]
    pub(super) by: Option<String>,
}

fn parse_event_state(text: &str) -> Result<EventState, String> {
    let known: Vec<&str> = EventState::ALL.iter().map(|state| state.as_str()).collect();
    EventState::parse(text).ok_or_else(|| format!("known are {}", known.join(", ")))
}
