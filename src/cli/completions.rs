//! `lumasync completions SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::exit::Exit;
use super::out;

/// The command.
pub(super) fn run(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lumasync", &mut script);
    out::text(&String::from_utf8(script)?)?;
    Ok(Exit::Ok)
}
