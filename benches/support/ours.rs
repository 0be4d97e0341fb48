//! lumasync at work: what an engine is made of, and a file taken in, timed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lumasync::clock::Clock;
use lumasync::domain::batch::BatchLimits;
use lumasync::domain::guard::Guards;
use lumasync::domain::retry::RetryPolicy;
use lumasync::domain::tag::{TagBook, TagId, TagSet};
use lumasync::engine::{Engine, Equipment, MAIN_ACCOUNT, Settings, Stop, Stopper, Taken, Taking};
use lumasync::ingest::ReadOptions;
use lumasync::luma::{Client, ClientOptions, Throttle};
use lumasync::sandbox::Options;
use lumasync::store::{Allowance, RunSource, Store};
use tokio::runtime::Runtime;

use super::child::tell;
use super::list::TAGS;

/// Rows a request; the product's own.
pub(crate) const BATCH: usize = 500;

/// Nobody answers there; taking a file in asks nobody.
const NOBODY: &str = "http://127.0.0.1:9";

/// Takes `file` into `db` and tells what became of its rows.
pub(crate) fn take(db: &str, file: &str) -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let started = Instant::now();
        let engine = open(db, Path::new(file), NOBODY, 1).await?;
        let (_stopper, stop) = Stopper::new();
        let run = take_file(&engine, Path::new(file), &stop).await?;
        let seconds = started.elapsed().as_secs_f64();
        let report = engine.report(run).await?;
        close(&engine).await?;
        tell(&[
            ("taken", seconds),
            ("read", count(report.counts.read)),
            ("pending", count(report.counts.pending)),
            ("unchanged", count(report.counts.unchanged)),
        ])
    })
}

/// Takes a file in; its run.
pub(crate) async fn take_file(engine: &Engine, file: &Path, stop: &Stop) -> anyhow::Result<i64> {
    let taking = Taking {
        path: file.to_owned(),
        name: "members.csv".to_owned(),
        source: RunSource::File,
        extra_tags: TagSet::default(),
        again: false,
    };
    match engine.take_file(&taking, stop).await? {
        Taken::Now(file) | Taken::Before(file) => Ok(file.run_id),
    }
}

/// An engine on a database.
pub(crate) async fn open(db: &str, file: &Path, url: &str, max_in_flight: usize) -> anyhow::Result<Engine> {
    let (store, Equipment { client, settings, throttle }) = equip(db, file, url, max_in_flight).await?;
    Ok(Engine::start(store, client, Clock::system(), settings, throttle, 0).await?)
}

/// What an engine works with. `db` is a path, or a URL of Postgres.
pub(crate) async fn equip(
    db: &str,
    file: &Path,
    url: &str,
    max_in_flight: usize,
) -> anyhow::Result<(Store, Equipment)> {
    let options = ClientOptions {
        dialect: lumasync::domain::dialect::Dialect::Beta2021,
        calendar_id: None,
        base_url: url.parse()?,
        api_key: Options::default().key.into(),
        timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(10),
    };
    let client = Client::new(&options, Clock::system())?;
    let throttle = Throttle::new(std::num::NonZeroU32::MAX);
    let store = if db.starts_with("postgres:") {
        Store::open_postgres(db, "the server of the benchmark").await?
    } else {
        Store::open_sqlite(Path::new(db)).await?
    };
    let settings = settings(file, max_in_flight)?;
    Ok((store, Equipment { client, settings, throttle }))
}

/// The product's own, but for a quota that is never met.
fn settings(file: &Path, max_in_flight: usize) -> anyhow::Result<Settings> {
    let tags = TAGS.map(|(name, id)| TagId::parse(id).map(|id| (name.to_owned(), id)));
    let tags: Option<Vec<_>> = tags.into_iter().collect();
    Ok(Settings {
        account: MAIN_ACCOUNT.to_owned(),
        origin: "loopback".to_owned(),
        limits: BatchLimits { max_rows: BATCH, max_bytes: 1 << 20 },
        retry: RetryPolicy {
            max_attempts: 8,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_mins(5),
        },
        allowance: Allowance { requests: 1_000_000, window: Duration::from_secs(1), reserve: 0 },
        max_in_flight,
        max_wait: Duration::from_secs(5),
        queue_rows: 10_000,
        queue_poll: Duration::from_secs(1),
        lease: Duration::from_secs(30),
        tags: TagBook::new(tags.context("no tag id")?),
        create_missing_tags: false,
        read: ReadOptions::default(),
        refuse_files: false,
        spill_dir: file.parent().context("a file in no folder")?.to_owned(),
        folder: None,
        sources: Vec::new(),
        schedules: Vec::new(),
        expectations: Vec::new(),
        event_rules: lumasync::domain::event::EventRules::default(),
        on_unknown: lumasync::domain::event::OnUnknown::Hold,
        guards: Guards::default(),
        verify: lumasync::domain::proof::Verify::None,
        retention: lumasync::domain::retention::Retention::default(),
        second_look: Duration::ZERO,
        is_service: false,
    })
}

/// Lets go of everything.
pub(crate) async fn close(engine: &Engine) -> anyhow::Result<()> {
    engine.end().await?;
    engine.store().close().await;
    Ok(())
}

/// Numbers travel as one kind, exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no list has that many rows")]
pub(crate) const fn count(rows: u64) -> f64 {
    rows as f64
}
