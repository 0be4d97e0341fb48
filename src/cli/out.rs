//! Where words go: results to stdout, talk to stderr.

use std::io::{self, Write as _};

use super::args::Output;

/// Writes a result for people.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
    stdout.flush()?;
    Ok(())
}

/// Writes a result in the form that was asked for.
pub(super) fn result(
    output: Output,
    for_people: impl FnOnce() -> String,
    for_programs: impl FnOnce() -> serde_json::Value,
) -> anyhow::Result<()> {
    match output {
        Output::Text => text(&for_people()),
        Output::Json => text(&for_programs().to_string()),
    }
}

/// Says something to whoever watches. Nobody watching is no fault.
pub(super) fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// Whether the reader of stdout has gone, as `| head` does: no fault of ours.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
