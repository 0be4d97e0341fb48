//! Events in doubt are looked for, over real HTTP and under a clock that runs fast: no twin, no lost event,
//! and nobody has to do anything.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use lumasync::clock::{Clock, Time};
use lumasync::domain::dialect::Dialect;
use lumasync::domain::event::{EventBody, EventRules, PAUSE};
use lumasync::engine::{DrainEnd, Engine, Settings, Stop, Stopper};
use lumasync::luma::{Client, ClientOptions, Throttle};
use lumasync::sandbox::{FurtherKey, HeldEvent, Limit, Options};
use lumasync::store::{EventFilter, EventStory, Scope, Store};
use tokio::task::JoinHandle;

use crate::support::{KEY, Luma, Outside, PATIENCE, Scratch, Told, faulty, settings};

/// Somebody else's key.
const OTHER: &str = "another-key";
/// How much faster than ours the clock of lumasync goes.
const TICK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// A pass by hand after the other, on one database and one Luma.
struct World<'a> {
    luma: &'a Luma,
    scratch: Scratch,
    clock: Clock,
    engine: Engine,
    stop: Stop,
    _stopper: Stopper,
    ticking: JoinHandle<()>,
}

/// Runs a test against a Luma with these options.
fn with(options: Options, test: impl AsyncFnOnce(World<'_>)) {
    let block = Duration::from_millis(200);
    let limit = Some(Limit { requests: 100_000, window: block, block });
    let further = vec![FurtherKey { key: OTHER.into(), limit: None }];
    let luma = Luma::start(Options { limit, further, ..options });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let test = async { test(World::new(&luma).await).await };
        tokio::time::timeout(PATIENCE * 2, test).await.expect("it hangs");
    });
}

fn client(luma: &Luma, key: &str, clock: &Clock) -> Client {
    let options = ClientOptions {
        dialect: Dialect::V1,
        calendar_id: None,
        base_url: luma.url().parse().expect("an address"),
        api_key: key.into(),
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
    };
    Client::new(&options, clock.clone()).expect("a client")
}

/// Lets a clock run fast, until the task is aborted.
fn tick(clock: &Clock) -> JoinHandle<()> {
    let clock = clock.clone();
    tokio::spawn(async move {
        loop {
            Clock::system().sleep(TICK.0).await;
            clock.advance(TICK.1);
        }
    })
}

impl<'a> World<'a> {
    async fn new(luma: &'a Luma) -> Self {
        let scratch = Scratch::new();
        let clock = Clock::manual(Time::parse("2026-11-22T18:00:00Z").expect("a moment"));
        let store = Store::open_sqlite(&scratch.path("t.db")).await.expect("a database");
        let settings = Settings {
            // Wall clocks do not run that fast.
            lease: Duration::from_hours(1_000),
            max_in_flight: 4,
            folder: None,
            is_service: false,
            event_rules: EventRules { dialect: Dialect::V1, ..EventRules::default() },
            ..settings(scratch.root().to_owned(), Told::default())
        };
        let throttle = Throttle::new(NonZeroU32::MAX);
        let luma_client = client(luma, KEY, &clock);
        let engine = Engine::start(store, luma_client, clock.clone(), settings, throttle, 1).await;
        let (stopper, stop) = Stopper::new();
        let ticking = tick(&clock);
        Self { luma, scratch, clock, engine: engine.expect("started"), stop, _stopper: stopper, ticking }
    }

    /// The same Luma and a new database.
    async fn anew(self) -> Self {
        Self::new(self.luma).await
    }

    /// Rows of `(name, key, slug, hour)`.
    async fn insert(&self, rows: &[(&str, &str, Option<&str>, u32)]) {
        let outside = Outside::sqlite_to_write(&self.scratch.path("t.db")).await;
        for (name, key, slug, hour) in rows {
            let slug = slug.map_or("null".to_owned(), |slug| format!("'{slug}'"));
            outside
                .execute(&format!(
                    "insert into event_queue (name, client_key, slug, start_at, timezone, description_md)
                     values ('{name}', '{key}', {slug}, '2099-12-03T{hour:02}:00:00Z', 'Europe/Paris', '{key}')"
                ))
                .await;
        }
        outside.close().await;
    }

    /// Takes in what was inserted and creates it, to the end.
    async fn sync(&self) {
        self.engine.take_event_queue().await.expect("taken in");
        let end = self.engine.drain_events(Scope::All, false, &self.stop).await.expect("drained");
        assert_eq!(end, DrainEnd::Done);
    }

    async fn stories(&self) -> Vec<EventStory> {
        let filter = EventFilter {
            state: None,
            run: None,
            bad_only: false,
            account: None,
            after: 0,
            limit: 10_000,
            newest_first: false,
        };
        let store = self.engine.store();
        let mut stories = Vec::new();
        for row in store.events(&filter).await.expect("read") {
            stories.push(store.event_story(row.id).await.expect("read").expect("there"));
        }
        stories
    }

    /// Every row is created, and as the event that was made for it.
    async fn all_are_created_once(&self) -> Vec<EventStory> {
        let mut held: BTreeMap<String, HeldEvent> = BTreeMap::new();
        for event in self.luma.events() {
            let key = event.fields["description_md"].as_str().expect("a text").to_owned();
            assert!(held.insert(key.clone(), event).is_none(), "a twin of `{key}`");
        }
        let stories = self.stories().await;
        for EventStory { row, record, .. } in &stories {
            assert_eq!(row.state, "created", "{row:?}");
            let event = &held[record.client_key.as_deref().expect("a key")];
            assert_eq!(row.api_id.as_deref(), Some(event.api_id.as_str()), "{row:?}");
        }
        assert_eq!(held.len(), stories.len());
        stories
    }

    async fn routes(&self) -> Vec<Vec<String>> {
        let outside = Outside::sqlite(&self.scratch.path("t.db")).await;
        outside.rows("select route, verdict from attempts where route like 'GET%' order by id").await
    }

    /// An event that somebody makes by hand.
    async fn by_hand(&self, key: &str, name: &str, slug: &str, hour: u32) {
        let body = format!(
            r#"{{"name":"{name}","start_at":"2099-12-03T{hour:02}:00:00.000Z","timezone":"Europe/Paris","slug":"{slug}"}}"#
        );
        let reply = client(self.luma, key, &self.clock).create_event(&EventBody::new(body)).await;
        assert_eq!(reply.verdict.as_str(), "accepted", "{reply:?}");
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

/// Of so many requests for events these never arrive; the others are carried out, and their answers lost.
fn lost(requests: usize, never: &[usize]) -> Options {
    let fault = |nth| if never.contains(&nth) { "reset" } else { "reset-after" };
    let faults: Vec<String> = (1..=requests).map(|nth| format!("events:{}@{nth}", fault(nth))).collect();
    faulty(&faults.join(","))
}

#[test]
fn lost_answers_are_found_and_lost_requests_are_made_good() {
    with(lost(48, &[3, 9, 17, 33, 48]), async |world| {
        let keys: Vec<String> = (0..48).map(|number| format!("key-{number}")).collect();
        // Many of one name at one time: only their addresses tell them apart.
        let row = |(key, number): (&'static str, u32)| ("Office hours", key, None, number % 3);
        let keys: Vec<&'static str> = keys.into_iter().map(|key| &*key.leak()).collect();
        world.insert(&keys.into_iter().zip(0..).map(row).collect::<Vec<_>>()).await;
        world.sync().await;
        let stories = world.all_are_created_once().await;
        let asked_again: Vec<&EventStory> = stories.iter().filter(|it| it.attempts.len() > 1).collect();
        assert_eq!(asked_again.len(), 5);
        for story in asked_again {
            let since = story.looks[0].absent_since.expect("not seen");
            assert_eq!((story.looks[0].looks, story.attempts.len()), (2, 2));
            let waited = story.attempts[1].started_at.since(since);
            assert!(waited >= PAUSE, "asked again after {waited:?}");
            assert_eq!(story.resolutions[0].decision, "send_again");
        }
        assert!(stories.iter().flat_map(|it| &it.resolutions).all(|it| it.decided_by == "look-up"));
        assert!(stories.iter().all(|it| !it.resolutions.is_empty()));
    });
}

#[test]
fn what_may_be_it_and_is_not_as_it_was_asked_for_waits_for_a_person() {
    with(faulty("events:reset-after@2,events:reset@3"), async |world| {
        world.by_hand(KEY, "Demo  NIGHT", "by-hand", 18).await;
        world.insert(&[("Demo night", "made", None, 18)]).await;
        world.sync().await;
        world.insert(&[("Demo night", "not made", Some("not-made"), 18)]).await;
        world.sync().await;
        let stories = world.stories().await;
        let held = world.luma.events();
        assert_eq!(held.len(), 2, "nothing is asked for again");
        let told = |story: &EventStory| story.row.reason.clone().unwrap_or_default();
        for story in &stories {
            assert_eq!((story.row.state.as_str(), story.looks[0].look_at), ("unknown", None), "{story:?}");
            assert!(told(story).contains("a person has to look"), "{story:?}");
            assert!(told(story).contains(&held[0].api_id), "{story:?}");
        }
        assert!(told(&stories[0]).contains(&held[1].api_id), "{stories:?}");
        let asked = world.luma.snapshot().requests;
        world.sync().await;
        assert_eq!(world.luma.snapshot().requests, asked, "nobody looks any more");
    });
}

#[test]
fn looks_that_are_not_answered_are_put_off_and_prove_nothing() {
    let faults = "events:reset@1,reads:500@1,reads:429@2,reads:html@3,reads:reset-after@4,reads:html-ok@5,\
                  reads:403@7,reads:truncated@9";
    with(faulty(faults), async |world| {
        world.insert(&[("Demo night", "made", None, 18)]).await;
        world.sync().await;
        let stories = world.all_are_created_once().await;
        let [look] = stories[0].looks.as_slice() else { panic!("{stories:?}") };
        assert_eq!((look.looks, look.faults), (2, 0));
        let since = look.absent_since.expect("not seen");
        assert!(stories[0].attempts[1].started_at.since(since) >= PAUSE);
        let routes = world.routes().await;
        let with = |verdict: &str| routes.iter().filter(|row| row[1] == verdict).count();
        assert!(with("transient") == 5 && with("halted") == 1 && with("throttled") > 0, "{routes:?}");
    });
}

#[test]
fn looks_that_are_never_answered_end_a_pass_and_leave_doubt() {
    with(faulty("events:reset-after@1,reads:500@1+"), async |world| {
        world.insert(&[("Demo night", "made", None, 18)]).await;
        world.sync().await;
        let stories = world.stories().await;
        assert_eq!((stories[0].row.state.as_str(), stories[0].looks[0].faults), ("unknown", 8));
        assert_eq!(world.luma.events().len(), 1);
    });
}

#[test]
fn the_route_of_addresses_has_two_names_and_the_calendar_alone_is_enough() {
    let list = "GET /v1/calendars/events/list";
    let (new, old) = ("GET /v1/entities/lookup", "GET /v1/entity/lookup");
    for (faults, expected) in [
        (
            "events:reset@1,reads:404@2",
            vec![
                [list, "accepted"],
                [new, "halted"],
                [old, "accepted"],
                [list, "accepted"],
                [old, "accepted"],
            ],
        ),
        (
            "events:reset@1,reads:404@2,reads:404@3",
            vec![[list, "accepted"], [new, "halted"], [old, "halted"], [list, "accepted"]],
        ),
    ] {
        with(faulty(faults), async |world| {
            world.insert(&[("Demo night", "made", None, 18)]).await;
            world.sync().await;
            world.all_are_created_once().await;
            assert_eq!(world.routes().await, expected);
        });
    }
}

#[test]
fn a_database_that_was_lost_finds_its_events_again_and_makes_no_twins() {
    with(faulty(""), async |world| {
        let rows = [
            ("Demo night", "a", None, 18),
            ("Demo night", "b", None, 18),
            ("Other", "c", Some("its-own"), 19),
        ];
        world.insert(&rows).await;
        world.sync().await;
        world.all_are_created_once().await;
        let world = world.anew().await;
        world.insert(&rows).await;
        world.sync().await;
        let stories = world.all_are_created_once().await;
        assert!(stories.iter().all(|it| it.resolutions[0].decided_by == "look-up"), "{stories:?}");
    });
}

#[test]
fn an_address_of_somebody_else_is_refused_by_name() {
    // The request of the third row never arrives.
    with(faulty("events:reset@5"), async |world| {
        world.by_hand(OTHER, "Theirs", "theirs", 18).await;
        world.by_hand(KEY, "By hand", "renamed", 18).await;
        world.by_hand(KEY, "Moved", "moved", 12).await;
        let rows = [
            ("Theirs", "a", Some("theirs"), 18),
            ("Demo night", "b", Some("renamed"), 18),
            ("Moved", "c", Some("moved"), 18),
        ];
        for row in rows {
            world.insert(&[row]).await;
            world.sync().await;
        }
        world.insert(&[("First", "d", Some("wanted"), 18)]).await;
        world.sync().await;
        world.insert(&[("First", "e", Some("wanted"), 18)]).await;
        world.sync().await;
        let stories = world.stories().await;
        let states: Vec<&str> = stories.iter().map(|it| it.row.state.as_str()).collect();
        assert_eq!(states, ["rejected", "rejected", "unknown", "created", "rejected"], "{stories:#?}");
        let told = |place: usize| stories[place].row.reason.as_deref().unwrap_or_default();
        assert!(told(0).contains("on no calendar of this key"), "{}", told(0));
        assert!(told(1).contains("under its address"), "{}", told(1));
        assert!(told(2).contains("at another time"), "{}", told(2));
        assert!(told(4).contains(&format!("is the event of row {}", stories[3].row.id)), "{}", told(4));
        assert_eq!(world.luma.events().len(), 3, "two by hand, and one of ours");
    });
}

#[test]
fn an_address_that_somebody_takes_meanwhile_ends_as_refused_without_a_person() {
    // Whoever makes the first event with a key makes it well.
    with(faulty("events:reset@2"), async |mut world| {
        world.by_hand(KEY, "First", "ours", 12).await;
        world.insert(&[("Demo night", "a", Some("demo-night"), 18)]).await;
        // Time stands still until somebody has taken the address.
        world.ticking.abort();
        world.engine.take_event_queue().await.expect("taken in");
        let engine = world.engine.clone();
        let (_stopper, stop) = Stopper::new();
        let sync = tokio::spawn(async move { engine.drain_events(Scope::All, false, &stop).await });
        let lost = async || world.stories().await[0].row.state == "unknown";
        while !lost().await {
            tokio::task::yield_now().await;
        }
        world.by_hand(OTHER, "Theirs", "demo-night", 18).await;
        world.ticking = tick(&world.clock);
        assert_eq!(sync.await.expect("ended").expect("drained"), DrainEnd::Done);
        let stories = world.stories().await;
        assert_eq!(
            (stories[0].row.state.as_str(), stories[0].attempts.len()),
            ("rejected", 2),
            "{stories:?}"
        );
        assert!(
            stories[0].row.reason.as_deref().is_some_and(|said| said.contains("not there")),
            "{stories:?}"
        );
        assert_eq!(world.luma.events().len(), 1, "made by hand");
    });
}
