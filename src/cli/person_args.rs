//! What can be typed about one person, and about what is kept.

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// Whose address; one that is none is looked for as it is typed
    pub(super) email: String,
}

#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// Whose address
    pub(super) email: String,
    /// Only say what would be erased
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) yes: bool,
    /// Also write the database anew, so that no free space of it holds what was erased; takes as long as copying it
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) vacuum: bool,
}

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Only say what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also give the space back, and leave nothing of what was deleted; takes as long as copying the database
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) vacuum: bool,
}
