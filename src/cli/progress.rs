//! What goes on during a pass: a bar where stderr is a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::out;
use super::words::{count, span, time_of_day};
use crate::clock::{Clock, Time};
use crate::engine::Progress;

const TICK: Duration = Duration::from_millis(200);
const PLAIN_LINE: Duration = Duration::from_secs(5);

/// What the time left is reckoned from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Rows a request carries at most.
    pub(super) rows_per_request: usize,
    /// Requests allowed in a window.
    pub(super) requests: u32,
    /// The window.
    pub(super) window: Duration,
}

/// Where progress is shown: a bar or a line for each account that is worked on.
#[derive(Debug, Default)]
pub(super) struct Screen {
    bars: MultiProgress,
    /// Whether each has to say whose it is.
    is_shared: bool,
}

impl Screen {
    /// For so many accounts.
    pub(super) fn of(accounts: usize) -> Self {
        Self { is_shared: accounts > 1, ..Self::default() }
    }
}

/// Shows the progress of sending `total` rows of an account for as long as `work` goes on.
pub(super) async fn show<T>(
    screen: &Screen,
    account: &str,
    progress: Arc<Progress>,
    total: u64,
    pace: Pace,
    clock: &Clock,
    work: impl Future<Output = T>,
) -> T {
    let start = clock.now();
    let settled_before = progress.settled.load(Ordering::Relaxed);
    let requests_before = progress.requests.load(Ordering::Relaxed);
    let bar = std::io::stderr().is_terminal().then(|| screen.bars.add(bar(total)));
    let whose = if screen.is_shared { format!("{account}: ") } else { String::new() };
    let mut last_line = start;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
                return done;
            }
            () = clock.sleep(TICK) => {}
        }
        let now = clock.now();
        let rows = progress.settled.load(Ordering::Relaxed) - settled_before;
        let requests = progress.requests.load(Ordering::Relaxed) - requests_before;
        let line = line(rows, total, requests, now.since(start), pace, wait(&progress, now));
        match &bar {
            Some(bar) => {
                bar.set_position(rows);
                bar.set_message(format!("{whose}{line}"));
            }
            None if now.since(last_line) >= PLAIN_LINE => {
                last_line = now;
                out::talk(&format!("{whose}{rows} of {total} rows, {line}"));
            }
            None => {}
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} rows  {msg}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn wait(progress: &Progress, now: Time) -> Option<String> {
    let (until, why) = progress.waiting()?;
    let left = until.since(now);
    // Shorter pauses are the ordinary pace.
    (left.as_secs() > 0).then(|| format!("waiting for {why} until {} ({})", time_of_day(until), span(left)))
}

fn line(rows: u64, total: u64, requests: u64, spent: Duration, pace: Pace, wait: Option<String>) -> String {
    let millis = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = rows.saturating_mul(1_000) / millis;
    let left = left_at_limit(total.saturating_sub(rows), pace);
    // What fits into the window that is open takes no time that could be told.
    let left = (!left.is_zero()).then(|| format!("{} left at the limit", span(left)));
    let told = [Some(count(requests, "request")), Some(format!("{rate} rows/s")), left, wait];
    told.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Whole windows that the requests still to come fill.
fn left_at_limit(rows: u64, pace: Pace) -> Duration {
    let requests = rows.div_ceil(pace.rows_per_request.max(1) as u64);
    let windows = requests / u64::from(pace.requests.max(1));
    pace.window.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_whole_windows() {
        let pace = Pace { rows_per_request: 500, requests: 195, window: Duration::from_mins(1) };
        assert_eq!(left_at_limit(10_000, pace), Duration::ZERO);
        assert_eq!(left_at_limit(1_000_000, pace), Duration::from_mins(10));
        let line = |rows, wait: Option<&str>| {
            line(rows, 1_000_000, 1, Duration::from_secs(2), pace, wait.map(str::to_owned))
        };
        assert_eq!(line(500, None), "1 request, 250 rows/s, 10 min left at the limit");
        assert_eq!(line(999_500, Some("waiting")), "1 request, 499750 rows/s, waiting");
    }
}
