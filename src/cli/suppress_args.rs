//! What can be typed after `lumasync suppress`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum SuppressCommand {
    /// Never send these people again, whatever list they are on
    Add {
        /// Their addresses
        #[arg(required = true, value_name = "EMAIL")]
        emails: Vec<String>,
        #[command(flatten)]
        why: WhyArgs,
    },
    /// Take people off the list: the next list that they are on sends them
    Remove {
        /// Their addresses
        #[arg(required = true, value_name = "EMAIL")]
        emails: Vec<String>,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// How many are on the list, and the last of them: since when, why and where from. Nobody can be named from it
    List {
        /// How many entries
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Never send the people of a file again: any list that `sync` reads, or one address a line
    Import {
        /// The file; of its columns only the addresses are read
        file: PathBuf,
        #[command(flatten)]
        why: WhyArgs,
    },
}

/// Whom it is about, and why.
#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// Why, in words that the outcome of their rows repeats
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
}

/// Whom it is about.
#[derive(Debug, Args)]
pub(super) struct ScopeArgs {
    /// Only for this account [default: every account]
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
}
