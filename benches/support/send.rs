//! lumasync at work: the rows of a file sent, timed. Beside `support`, for benchmarks that send.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use lumasync::engine::{DrainEnd, MAIN_ACCOUNT, Stopper};
use lumasync::store::{RunReport, Scope};
use tokio::runtime::Runtime;

use crate::support::child::tell;
use crate::support::ours::{close, count, open, take_file};

/// Takes `file` into `db`, unless it was before, and sends its rows to `url`.
pub(crate) fn send(db: &str, file: &str, url: &str, in_flight: &str) -> anyhow::Result<()> {
    let in_flight = in_flight.parse()?;
    Runtime::new()?.block_on(async {
        let started = Instant::now();
        let engine = open(db, Path::new(file), url, in_flight).await?;
        let (_stopper, stop) = Stopper::new();
        let alive = engine.spawn_keep_alive(&stop);
        let run = take_file(&engine, Path::new(file), &stop).await?;
        let taken = started.elapsed().as_secs_f64();
        let end = engine.drain(Scope::Run(run), false, &stop).await?;
        let total = started.elapsed().as_secs_f64();
        anyhow::ensure!(end == DrainEnd::Done, "the drain was stopped");
        alive.abort();
        engine.finish_run(run).await?;
        let RunReport { counts, requests, .. } = engine.report(run).await?;
        let ledger = engine.store().account(MAIN_ACCOUNT).await?.context("no account")?.members;
        anyhow::ensure!(counts.read == counts.accounted(), "rows are not accounted for: {counts:?}");
        close(&engine).await?;
        tell(&[
            ("taken", taken),
            ("drained", total - taken),
            ("total", total),
            ("requests", count(requests)),
            ("delivered", count(counts.delivered)),
            ("ledger", count(ledger)),
        ])
    })
}
