//! An error in words: the thing, the chain of causes, then what to do.

use crate::engine::Explained;

const HINT: &str = "\nhint: ";

/// The text for an error that ended a command.
pub(super) fn explain(error: &anyhow::Error) -> String {
    if let Some(problems) = error.chain().find(|cause| cause.is::<crate::config::ConfigError>()) {
        // A list of problems, each with its own hint.
        return format!("error: {problems}");
    }
    let Explained { said, mut hints } = Explained::of_chain(error.chain());
    hints.insert(0, format!("error: {said}"));
    hints.join(HINT)
}

/// The text for an error beside which work goes on.
pub(super) fn explain_std(error: impl std::error::Error + Send + Sync + 'static) -> String {
    explain(&anyhow::Error::new(error))
}
