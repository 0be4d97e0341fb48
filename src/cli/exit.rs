//! Exit codes: a promise to scripts and service managers.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::luma::ClientError;
use crate::sandbox::v1::SettingError;
use crate::store::StoreError;
use crate::telemetry::TelemetryError;
use crate::web::WebError;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// All is well.
    Ok,
    /// Finished, but some rows are invalid, rejected or failed.
    Partial,
    /// A run waits for somebody to approve it.
    Held,
    /// Nobody knows whether some events exist.
    Unknown,
    /// It failed.
    Failed,
    /// The arguments are wrong.
    Usage,
    /// The same may do later.
    TryLater,
    /// The configuration or the key is refused.
    Config,
    /// Stopped by SIGINT.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl Exit {
    /// The number that the system is told.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 4,
            Self::Held => 5,
            Self::Unknown => 6,
            Self::TryLater => 75,
            Self::Config => 78,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The code for an error that ended a command.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let is = |pick: fn(&(dyn std::error::Error + 'static)) -> Option<Self>| error.chain().find_map(pick);
        is(|cause| {
            if cause.is::<ConfigError>() || cause.is::<ClientError>() || cause.is::<WebError>() {
                return Some(Self::Config);
            }
            if matches!(cause.downcast_ref(), Some(TelemetryError::Level(_))) || cause.is::<SettingError>() {
                return Some(Self::Usage);
            }
            if let Some(error) = cause.downcast_ref::<EngineError>() {
                return Some(Self::of_engine(error));
            }
            let store = cause.downcast_ref::<StoreError>()?;
            Some(if store.is_passing() { Self::TryLater } else { Self::Failed })
        })
        .unwrap_or(Self::Failed)
    }

    /// The code for an error of the engine.
    pub(super) fn of_engine(error: &EngineError) -> Self {
        match error {
            EngineError::KeyRefused { .. }
            | EngineError::WrongAccount { .. }
            | EngineError::Halted { .. }
            | EngineError::Columns { .. }
            | EngineError::Overlap { .. }
            | EngineError::Mixed { .. } => Self::Config,
            EngineError::Source { fault, .. } if fault.is_about_the_query() => Self::Config,
            EngineError::Tag(_) => Self::Usage,
            EngineError::Stopped => Self::Terminated,
            error if error.is_passing() => Self::TryLater,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
