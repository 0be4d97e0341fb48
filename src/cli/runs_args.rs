//! What can be typed after `lumasync runs`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    /// The last runs, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// One run: counts, and errors grouped by cause with first lines
    Show {
        /// Its number
        id: i64,
    },
    /// Let a run go that a guard holds: exactly this one
    Approve {
        /// Its number
        id: i64,
        /// Who decides [default: $USER]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Give up what is left of a run: rows that wait are not sent, those in a request end as it does
    Cancel {
        /// Its number
        id: i64,
    },
}
