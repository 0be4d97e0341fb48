//! An error in words: the thing, the chain of causes, then what to do.

use crate::engine::EngineError;
use crate::ingest::FileError;
use crate::store::StoreError;

const HINT: &str = "\nhint: ";

/// The text for an error that ended a command.
pub(super) fn explain(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        let full = cause.to_string();
        if cause.is::<crate::config::ConfigError>() {
            // A list of problems, each with its own hint.
            return format!("error: {full}");
        }
        let (text, hint) = full.split_once(HINT).unwrap_or((&full, ""));
        // A transparent layer says what the next one says.
        if parts.last().is_none_or(|last| last != text) {
            parts.push(text.to_owned());
        }
        let said = file_error(cause).and_then(FileError::hint);
        hints.extend(said.map(std::borrow::Cow::into_owned));
        let said = database_error(cause).and_then(StoreError::hint);
        hints.extend(said.map(str::to_owned));
        if !hint.is_empty() {
            hints.push(hint.to_owned());
        }
    }
    hints.dedup();
    hints.insert(0, format!("error: {}", parts.join(": ")));
    hints.join(HINT)
}

/// The error of the database, also where the engine passes it on in its own name.
fn database_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a StoreError> {
    match cause.downcast_ref::<EngineError>() {
        Some(EngineError::Store(error)) => Some(error),
        _ => cause.downcast_ref::<StoreError>(),
    }
}

/// The error of a file, also where the engine passes it on in its own name.
fn file_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a FileError> {
    match cause.downcast_ref::<EngineError>() {
        Some(EngineError::File(error)) => Some(error),
        _ => cause.downcast_ref::<FileError>(),
    }
}

/// The text for an error beside which work goes on.
pub(super) fn explain_std(error: impl std::error::Error + Send + Sync + 'static) -> String {
    explain(&anyhow::Error::new(error))
}
