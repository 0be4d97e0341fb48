//! What a visitor costs a run: they look and look away by turns of a second, and what Luma received in each turn is
//! held against the turn beside it. A run slows down and has pauses of its own; neighbours share them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::support::child::SandboxProcess;
use crate::support::median;
use crate::support::ours::count;

/// How long they look, or look away.
const TURN: Duration = Duration::from_secs(1);
/// The first turns of a run, in which it begins.
const START: usize = 1;

/// Rows per second in neighbouring turns.
pub(crate) struct Pair {
    pub(crate) alone: f64,
    pub(crate) watched: f64,
}

/// Looks and looks away by turns until the other end of `stop` is gone, and says in `is_looking` which it is.
pub(crate) fn alternate(
    sandbox: &SandboxProcess,
    is_looking: &AtomicBool,
    stop: &Receiver<()>,
) -> anyhow::Result<Vec<Pair>> {
    let mut speeds = Vec::new();
    let mut begun = (Instant::now(), sandbox.count("rows_received")?);
    for turn in 0.. {
        is_looking.store(looks(turn), Ordering::Relaxed);
        match stop.recv_timeout(TURN) {
            Err(RecvTimeoutError::Timeout) => {}
            // The last turn is not whole.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = (Instant::now(), sandbox.count("rows_received")?);
        speeds.push(count(now.1 - begun.1) / (now.0 - begun.0).as_secs_f64());
        begun = now;
    }
    is_looking.store(false, Ordering::Relaxed);
    let pair = |(place, pair): (usize, &[f64])| match *pair {
        [watched, alone] if looks(START + 2 * place) => Some(Pair { alone, watched }),
        [alone, watched] => Some(Pair { alone, watched }),
        _ => None,
    };
    Ok(speeds.get(START..).unwrap_or_default().chunks(2).enumerate().filter_map(pair).collect())
}

/// Away, there, there, away: whatever goes up or down steadily costs both the same.
const fn looks(turn: usize) -> bool {
    matches!((turn + START) % 4, 1 | 2)
}

/// Percent of the speed that is lost under their eyes: in the middle pair, and where the middle of many more pairs would
/// be 19 times in 20. Whatever stops both for a moment moves a few pairs far, and the middle hardly.
pub(crate) fn lost(pairs: &[Pair]) -> (f64, f64, f64) {
    let mut lost: Vec<f64> = pairs.iter().map(|pair| (1.0 - pair.watched / pair.alone) * 100.0).collect();
    lost.sort_unstable_by(f64::total_cmp);
    // By the signs of the differences alone, which are like throws of a coin.
    let (half, margin) = (lost.len() / 2, (lost.len() * 24 / 25).isqrt());
    let at = |place: usize| lost.get(place).copied().unwrap_or(f64::NAN);
    (median(lost.iter().copied()), at(half.saturating_sub(margin + 1)), at(half + margin))
}
