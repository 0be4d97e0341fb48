//! What a benchmark is asked for: how many rows, how often.

/// What every benchmark takes.
#[derive(clap::Parser)]
pub(crate) struct Common {
    /// Rows of the list.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) rows: u32,
    /// How often everything is measured.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}
