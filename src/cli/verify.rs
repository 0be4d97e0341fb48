//! The proof of what a pass has delivered: its cost said beforehand, then waited for.

use std::time::Duration;

use super::out;
use super::progress::{Pace, Screen, show};
use super::words::{count, span};
use super::workshop::Desk;
use crate::domain::proof::{Verify, pages_of};
use crate::engine::{DrainEnd, EngineError, Stop};

/// Says what proving the deliveries of these runs is going to cost, where there is anything to prove.
pub(super) async fn announce(desk: &Desk<'_>, runs: &[i64]) -> Result<(), EngineError> {
    let store = &desk.workshop.store;
    let (mut counts, mut people) = (0, 0);
    for run in runs {
        let cost = store.proof_cost(*run).await?;
        match cost.verify {
            Verify::Counts => counts += cost.verify.requests(cost.tagged, cost.people, 0),
            // They share one look.
            Verify::Full => people += cost.people,
            Verify::None => {}
        }
    }
    let account = desk.engine.account();
    let known = store.account(account).await?.map_or(0, |account| account.members);
    let pages = store.last_pages(account).await?.unwrap_or_default().max(pages_of(known + people));
    let requests = counts + Verify::Full.requests(0, people, pages);
    if requests > 0 {
        let pace = desk.pace();
        let time = at_the_limit(requests, pace);
        let time = (!time.is_zero()).then(|| format!(", {} at the limit", span(time)));
        out::talk(&format!("verification: about {}{}", count(requests, "request"), time.unwrap_or_default()));
    }
    Ok(())
}

/// Proves the deliveries of these runs, to the end. Where nobody has asked yet whose the key is, that comes first:
/// in somebody else's audience everybody would be missing.
pub(super) async fn prove(
    desk: &Desk<'_>,
    runs: &[i64],
    is_identified: bool,
    screen: &Screen,
    stop: &Stop,
) -> Result<(), EngineError> {
    let (store, account) = (&desk.workshop.store, desk.engine.account());
    if !store.is_proof_left(runs).await? {
        return Ok(());
    }
    if !is_identified {
        desk.engine.check_identity(stop).await?;
    }
    let people = store.proof_left(account).await?.people;
    let (progress, work) = (desk.engine.progress(), Box::pin(desk.engine.prove(Some(runs), stop)));
    match show(screen, account, progress, people, desk.pace(), &desk.workshop.clock, work).await? {
        DrainEnd::Done => Ok(()),
        DrainEnd::Stopped => Err(EngineError::Stopped),
    }
}

/// Whole windows that so many requests fill.
fn at_the_limit(requests: u64, pace: Pace) -> Duration {
    let windows = requests / u64::from(pace.requests.max(1));
    pace.window.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_it_takes_is_that_of_whole_windows() {
        let pace = Pace { rows_per_request: 500, requests: 195, window: Duration::from_mins(1) };
        assert_eq!(at_the_limit(194, pace), Duration::ZERO);
        assert_eq!(at_the_limit(200, pace), Duration::from_mins(1));
        assert_eq!(at_the_limit(1_000, pace), Duration::from_mins(5));
    }
}
