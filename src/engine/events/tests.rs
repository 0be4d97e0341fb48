//! What is decided between the claim of an event and its request, on a clock that stands still.

use std::net::TcpListener;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::domain::batch::BatchLimits;
use crate::domain::event::{EventRules, OnUnknown};
use crate::domain::proof::Verify;
use crate::domain::retry::RetryPolicy;
use crate::domain::tag::TagBook;
use crate::engine::{Settings, Stopper};
use crate::ingest::ReadOptions;
use crate::luma::{Client, ClientOptions, Throttle};
use crate::store::Store;

const LEASE: Duration = Duration::from_secs(30);
const START: &str = "2026-12-03T18:00:00.000Z";

fn settings(dir: &Path) -> Settings {
    Settings {
        account: "main".into(),
        origin: "loopback".into(),
        limits: BatchLimits { max_rows: 500, max_bytes: 1 << 20 },
        retry: RetryPolicy {
            max_attempts: 3,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_mins(1),
        },
        allowance: Allowance { requests: 100, window: Duration::from_mins(1), reserve: 0 },
        max_in_flight: 4,
        max_wait: Duration::ZERO,
        queue_rows: 100,
        queue_poll: Duration::from_secs(1),
        lease: LEASE,
        tags: TagBook::default(),
        create_missing_tags: false,
        read: ReadOptions::default(),
        refuse_files: false,
        spill_dir: dir.to_owned(),
        folder: None,
        sources: Vec::new(),
        schedules: Vec::new(),
        expectations: Vec::new(),
        event_rules: EventRules::default(),
        on_unknown: OnUnknown::Hold,
        guards: crate::domain::guard::Guards::default(),
        verify: Verify::None,
        second_look: Duration::ZERO,
        retention: crate::domain::retention::Retention::default(),
        is_service: true,
    }
}

/// An engine on a clock that stands still, one event of its queue claimed, and a server that must not be asked.
struct Claimed {
    engine: Engine,
    event: ClaimedEvent,
    clock: Clock,
    server: TcpListener,
    dir: TempDir,
}

impl Claimed {
    async fn new(now: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("l.db");
        let store = Store::open_sqlite(&path).await.expect("a store");
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        server.set_nonblocking(true).expect("set");
        let options = ClientOptions {
            dialect: crate::domain::dialect::Dialect::Beta2021,
            calendar_id: None,
            base_url: format!("http://{}", server.local_addr().expect("an address")).parse().expect("a URL"),
            api_key: "key".to_owned().into(),
            timeout: Duration::from_millis(300),
            connect_timeout: Duration::from_millis(300),
        };
        let clock = Clock::manual(Time::parse(now).expect("a moment"));
        let client = Client::new(&options, clock.clone()).expect("a client");
        let throttle = Throttle::new(NonZeroU32::new(100).expect("not zero"));
        let engine = Engine::start(store, client, clock.clone(), settings(dir.path()), throttle, 1)
            .await
            .expect("started");
        let row = "insert into event_queue (name, start_at) values ('Demo', ?1)";
        rusqlite::Connection::open(&path).and_then(|db| db.execute(row, [START])).expect("inserted");
        assert_eq!(engine.take_event_queue().await.expect("taken in"), 1);
        let EventClaim::Events(mut events) =
            engine.claim_events(Scope::All, 1, false).await.expect("claimed")
        else {
            panic!("nothing was claimed");
        };
        let event = events.pop().expect("an event");
        Self { engine, event, clock, server, dir }
    }

    /// State and code of the event, verdict and bytes of its attempt; and whether anybody was asked.
    async fn create(self) -> (String, Option<String>, String, i64, bool) {
        let (_stopper, stop) = Stopper::new();
        self.engine.create(self.event, &stop).await.expect("settled");
        let db = rusqlite::Connection::open(self.dir.path().join("l.db")).expect("opened");
        let asked = "select q.state, q.code, a.verdict, a.body_bytes from event_queue q join attempts a on a.event_id = q.id";
        let (state, code, verdict, bytes) = db
            .query_row(asked, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .expect("one attempt");
        (state, code, verdict, bytes, self.server.accept().is_ok())
    }
}

#[tokio::test]
async fn an_event_whose_process_slept_after_the_claim_is_not_sent() {
    let claimed = Claimed::new("2026-11-22T18:00:00Z").await;
    claimed.clock.advance(LEASE + Duration::from_micros(1));
    let unsent = ("pending".to_owned(), None, "interrupted".to_owned(), 0, false);
    assert_eq!(claimed.create().await, unsent);
}

#[tokio::test]
async fn an_event_that_began_while_it_waited_is_refused_unasked() {
    let claimed = Claimed::new("2026-12-03T17:59:59Z").await;
    claimed.clock.advance(Duration::from_secs(2));
    let code = Some("start_in_past".to_owned());
    assert_eq!(claimed.create().await, ("rejected".to_owned(), code, "interrupted".to_owned(), 0, false));
}

#[tokio::test]
async fn an_event_that_is_in_time_is_asked_for() {
    let claimed = Claimed::new("2026-12-03T17:59:59Z").await;
    let (state, _, verdict, bytes, was_asked) = claimed.create().await;
    assert_eq!((state.as_str(), verdict.as_str(), was_asked), ("unknown", "ambiguous", true));
    assert!(bytes > 0);
}
