//! What can be typed about one person, and about what is kept.

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// Whose address; one that is none is looked for as it is typed
    pub(super) email: String,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct ForgetArgs {
    /// Whose address; one that is none needs something on both sides of an `@`, and is erased where it stands alone
    pub(super) email: String,
    /// Only say what would be erased
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also never send them again, whatever list they are on: what is kept of them is a keyed hash
    #[arg(long)]
    pub(super) suppress: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) yes: bool,
    /// Also write the database anew, so that no free space of it holds what was erased; takes as long as copying it.
    /// On Postgres that space is freed and not wiped
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
