//! An error in words for people, wherever it is shown: the thing, the chain of causes, then what to do.

use std::error::Error;

use super::EngineError;
use crate::ingest::FileError;
use crate::store::StoreError;

const HINT: &str = "\nhint: ";

/// What an error says, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The thing and the chain of causes, on one line.
    pub said: String,
    /// What to do.
    pub hints: Vec<String>,
}

impl Explained {
    /// The error and its causes.
    pub fn of_chain<'a>(chain: impl IntoIterator<Item = &'a (dyn Error + 'static)>) -> Self {
        let mut parts: Vec<String> = Vec::new();
        let mut hints: Vec<String> = Vec::new();
        for cause in chain {
            let full = cause.to_string();
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
        Self { said: parts.join(": "), hints }
    }

    /// Of an error of the engine.
    #[must_use]
    pub fn of(error: &EngineError) -> Self {
        let first: &(dyn Error + 'static) = error;
        Self::of_chain(std::iter::successors(Some(first), |&error| error.source()))
    }
}

/// The error of the database, also where the engine passes it on in its own name.
fn database_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a StoreError> {
    match cause.downcast_ref::<EngineError>() {
        Some(EngineError::Store(error)) => Some(error),
        _ => cause.downcast_ref::<StoreError>(),
    }
}

/// The error of a file, also where the engine passes it on in its own name.
fn file_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a FileError> {
    match cause.downcast_ref::<EngineError>() {
        Some(EngineError::File(error)) => Some(error),
        _ => cause.downcast_ref::<FileError>(),
    }
}
