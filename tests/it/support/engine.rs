//! A fleet of one engine inside the test's own process, with a clock that the test moves. It sends nothing.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use lumasync::clock::Clock;
use lumasync::domain::batch::BatchLimits;
use lumasync::domain::dialect::Dialect;
use lumasync::domain::event::{EventRules, OnUnknown};
use lumasync::domain::expect::Expectation;
use lumasync::domain::guard::Guards;
use lumasync::domain::proof::Verify;
use lumasync::domain::retention::Retention;
use lumasync::domain::retry::RetryPolicy;
use lumasync::domain::schedule::Schedule;
use lumasync::domain::tag::TagBook;
use lumasync::engine::{Equipment, Fleet, FolderSettings, MAIN_ACCOUNT, Settings, Source};
use lumasync::ingest::ReadOptions;
use lumasync::luma::{Client, ClientOptions, Throttle};
use lumasync::store::{Allowance, Store};

use super::Scratch;

/// What the engine is told beyond what any test wants.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) sources: Vec<Source>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) expectations: Vec<(String, Expectation)>,
}

/// A fleet of one engine on the scratch folder's database and drop folder.
pub(crate) async fn fleet(scratch: &Scratch, clock: &Clock, told: Told) -> Fleet {
    let options = ClientOptions {
        dialect: Dialect::Beta2021,
        calendar_id: None,
        base_url: "http://127.0.0.1:9".parse().expect("an address"),
        api_key: "nobody asks for it".into(),
        timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
    };
    let client = Client::new(&options, clock.clone()).expect("a client");
    let store = Store::open_sqlite(&scratch.path("t.db")).await.expect("a database");
    let settings = settings(scratch.root().to_owned(), told);
    let throttle = Throttle::new(NonZeroU32::MAX);
    let first = Equipment { client, settings, throttle };
    Fleet::start(&store, clock, first, Vec::new(), 0).await.expect("a fleet")
}

/// Settings that hold nobody back.
pub(crate) fn settings(root: PathBuf, told: Told) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        account: MAIN_ACCOUNT.to_owned(),
        origin: "loopback".to_owned(),
        limits: BatchLimits { max_rows: 500, max_bytes: 1 << 20 },
        retry: RetryPolicy { max_attempts: 8, initial_backoff: second, max_backoff: second },
        allowance: Allowance { requests: 1_000, window: second, reserve: 0 },
        max_in_flight: 1,
        max_wait: second,
        queue_rows: 1_000,
        queue_poll: second,
        lease: Duration::from_secs(30),
        tags: TagBook::default(),
        create_missing_tags: false,
        read: ReadOptions::default(),
        refuse_files: false,
        folder: Some(FolderSettings {
            root: root.join("drop"),
            accounts: Vec::new(),
            settle: Duration::ZERO,
            poll: second,
        }),
        spill_dir: root,
        sources: told.sources,
        schedules: told.schedules,
        expectations: told.expectations,
        event_rules: EventRules::default(),
        on_unknown: OnUnknown::Hold,
        guards: Guards::default(),
        verify: Verify::None,
        second_look: Duration::ZERO,
        retention: Retention::default(),
        is_service: true,
    }
}
