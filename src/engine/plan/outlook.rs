//! What an account may send and has to besides, and what the run of a file that came before has left to do.

use std::time::Duration;

use super::super::{Engine, EngineError};
use crate::clock::Time;
use crate::domain::state::RunStatus;

/// What an account may send, and has to besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Which.
    pub account: String,
    /// Requests that may leave now.
    pub left: u32,
    /// Requests that may leave in every window.
    pub allowed: u32,
    /// The window.
    pub window: Duration,
    /// Rows and requests that earlier runs have left.
    pub waiting: (u64, u64),
    /// Until when nothing leaves, and why.
    pub blocked: Option<(Time, String)>,
}

impl Outlook {
    /// How long requests take: what is left now goes at once, and the rest a window at a time.
    #[must_use]
    pub fn at_the_limit(&self, requests: u64) -> Duration {
        let later = requests.saturating_sub(self.left.into());
        let windows = later.div_ceil(u64::from(self.allowed.max(1)));
        self.window.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
    }
}

/// What the run of a file has left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// A sync of the same bytes goes on with it.
    Some,
    /// It waits for a person.
    Held,
}

impl Rest {
    /// The words that follow `these bytes were taken in by run 7`.
    #[must_use]
    pub const fn said(self) -> &'static str {
        match self {
            Self::Nothing => ": they send nothing again",
            Self::Some => ", which is not done: it goes on with what is left",
            Self::Held => ", which is held",
        }
    }
}

impl Engine {
    /// What this account may send in a window of this length, and has to besides.
    pub async fn outlook(&self, window: Duration) -> Result<Outlook, EngineError> {
        let (store, name, now) = (&self.store, self.account(), self.clock.now());
        let allowed = self.settings.allowance.requests;
        let block = store.account(name).await?.and_then(|known| known.block);
        Ok(Outlook {
            account: name.to_owned(),
            left: store.quota_left(name, allowed, window, now).await?,
            allowed,
            window,
            waiting: store.left_to_send(name).await?,
            blocked: block.filter(|(until, _)| *until > now),
        })
    }

    /// What the run of a file that came before has left to do.
    pub async fn rest_of(&self, run_id: i64) -> Result<Rest, EngineError> {
        if self.store.run(run_id).await?.is_some_and(|run| run.status == RunStatus::Held) {
            return Ok(Rest::Held);
        }
        let is_left = self.looks_left(run_id).await? > 0 || self.store.has_work(run_id).await?;
        Ok(if is_left { Rest::Some } else { Rest::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_at_once_and_the_rest_in_whole_windows() {
        let outlook = Outlook {
            account: "main".to_owned(),
            left: 95,
            allowed: 195,
            window: Duration::from_mins(1),
            waiting: (0, 0),
            blocked: None,
        };
        for (requests, minutes) in [(0, 0), (95, 0), (96, 1), (290, 1), (291, 2)] {
            assert_eq!(outlook.at_the_limit(requests), Duration::from_mins(minutes), "{requests}");
        }
    }
}
