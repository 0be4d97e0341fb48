//! The table of transitions in the database: what may happen to an event happens, what may not changes
//! nothing, and a stale writer changes nothing either.

use std::time::Duration;

use lumasync::clock::{Clock, Time};
use lumasync::domain::code::Code;
use lumasync::domain::event::{
    ApiId, EventBody, EventOutcome, EventRules, EventState, Field, Fields, Happening, Resolution, next,
    parse_event,
};
use lumasync::domain::proof::Verify;
use lumasync::domain::state::{Kind, Trigger};
use lumasync::store::{
    Allowance, ClaimedEvent, Claims, EventClaim, EventInput, EventIntake, EventOrigin, EventPart,
    EventSettlement, NewRun, RunSource, Scope, Store, StoreError, WorkerIdentity,
};
use tempfile::TempDir;

use crate::support::{Db, TestDatabase};

struct World {
    store: Store,
    clock: Clock,
    worker: i64,
    run: i64,
    dir: TempDir,
    database: Option<TestDatabase>,
}

fn api_id() -> ApiId {
    ApiId::parse("evt-1").expect("an id")
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let database = TestDatabase::asked_for();
        let store = match &database {
            None => Store::open_sqlite(&dir.path().join("t.db")).await,
            Some(database) => Store::open_postgres(&database.url, "a test").await,
        };
        let store = store.expect("opened");
        let clock = Clock::manual(Time::parse("2026-11-22T18:00:00Z").expect("a moment"));
        let worker = Self::enter(&store, &clock).await;
        let run = NewRun {
            account: "main",
            kind: Kind::Events,
            source: RunSource::Queue,
            trigger: Trigger::Queue,
            fire: None,
            verify: Verify::None,
            planned: false,
            label: "event_queue",
            now: clock.now(),
        };
        let run = store.begin_running(run).await.expect("a run");
        Self { store, clock, worker, run, dir, database }
    }

    async fn enter(store: &Store, clock: &Clock) -> i64 {
        let identity = WorkerIdentity { host: "here".into(), pid: 1, birth: "1".into() };
        let lease = clock.now().plus(Duration::from_hours(1));
        store.add_worker(&identity, clock.now(), lease).await.expect("a worker")
    }

    fn execute(&self, sql: &str) {
        let (path, url) = (self.dir.path().join("t.db"), self.database.as_ref().map(|it| it.url.clone()));
        let sql = sql.to_owned();
        let open = move || url.map_or_else(|| Db::open_to_write(&path), |url| Db::postgres(&url));
        std::thread::spawn(move || open().execute(&sql)).join().expect("executed");
    }

    /// A row that nobody has read; its id.
    async fn insert(&self) -> i64 {
        self.execute("insert into event_queue (name) values ('Demo')");
        let new = self.store.new_events("main", 10).await.expect("rows");
        new.last().expect("one").id
    }

    async fn take(&self, id: i64, intake: EventIntake) -> Result<(), StoreError> {
        let events = [EventInput { origin: EventOrigin::Row(id), intake }];
        let part = EventPart {
            account: "main",
            run_id: self.run,
            events: &events,
            position: None,
            now: self.clock.now(),
        };
        self.store.take_events(&part).await
    }

    async fn claim(&self) -> Option<ClaimedEvent> {
        let claims = Claims {
            account: "main",
            worker_id: self.worker,
            scope: Scope::All,
            limit: 1,
            allowance: Allowance { requests: 1_000, window: Duration::from_secs(1), reserve: 0 },
            route: "POST /event/create",
            tag_route: None,
            with_names: false,
        };
        match self.store.claim_events(&claims, false, &self.clock).await.expect("claimed").claim {
            EventClaim::Events(events) => events.into_iter().next(),
            EventClaim::Wait(..) | EventClaim::Probe | EventClaim::Idle => None,
        }
    }

    async fn settle(&self, event: &ClaimedEvent, outcome: EventOutcome) -> Result<(), StoreError> {
        let settlement = EventSettlement {
            event: event.clone(),
            outcome,
            status: None,
            verdict: "transient",
            detail: None,
            is_fault: false,
            is_unsent: false,
            block: None,
            halt: None,
        };
        self.store.settle_event(&settlement, self.clock.now()).await
    }

    async fn state(&self, id: i64) -> EventState {
        let story = self.store.event_story(id).await.expect("read").expect("there");
        EventState::parse(&story.row.state).expect("a state")
    }

    /// A row in a state, and the last claim on it.
    async fn row_in(&self, state: EventState) -> (i64, Option<ClaimedEvent>) {
        let id = self.insert().await;
        match state {
            EventState::New => return (id, None),
            EventState::Invalid => {
                self.take(id, invalid()).await.expect("taken");
                return (id, None);
            }
            EventState::Canceled => {
                self.take(id, wanted("gone")).await.expect("taken");
                self.store.cancel_run(self.run, "enough", self.clock.now()).await.expect("canceled");
                return (id, None);
            }
            EventState::Duplicate => {
                self.take(id, wanted("twin")).await.expect("taken");
                let second = self.insert().await;
                self.take(second, wanted("twin")).await.expect("taken");
                self.execute(&format!("delete from event_queue where id = {id}"));
                return (second, None);
            }
            _ => self.take(id, wanted(&format!("key-{id}"))).await.expect("taken"),
        }
        if state == EventState::Pending {
            return (id, None);
        }
        let claim = self.claim().await.expect("a claim");
        assert_eq!(claim.id, id, "an older event was left pending");
        if let Some(outcome) = outcome_to(state) {
            self.settle(&claim, outcome).await.expect("settled");
        }
        (id, Some(claim))
    }

    /// Lets something happen to a row. Whether the store did anything.
    async fn happen(&self, id: i64, claim: Option<&ClaimedEvent>, happening: Happening) -> bool {
        let now = self.clock.now();
        let answered = |outcome| async move {
            match claim {
                Some(claim) => self.settle(claim, outcome).await.is_ok(),
                None => false,
            }
        };
        match happening {
            Happening::Accepted => self.take(id, wanted(&format!("key-{id}"))).await.is_ok(),
            Happening::Refused => self.take(id, invalid()).await.is_ok(),
            Happening::TwinFound => {
                let other = self.insert().await;
                let key = format!("twin-{id}");
                // A run that was canceled takes nothing in.
                let found =
                    self.take(other, wanted(&key)).await.is_ok() && self.take(id, wanted(&key)).await.is_ok();
                self.execute(&format!("delete from event_queue where id = {other}"));
                found
            }
            Happening::Claimed => self.claim().await.is_some_and(|claimed| claimed.id == id),
            Happening::AnsweredCreated => answered(EventOutcome::Created { api_id: api_id() }).await,
            Happening::AnsweredRejected => {
                answered(EventOutcome::Rejected { code: Code::ApiRejected, reason: "no".into() }).await
            }
            Happening::AnsweredNotDone => {
                answered(EventOutcome::Again { due_at: now, costs_attempt: false }).await
            }
            Happening::AnsweredExhausted => answered(EventOutcome::Failed { reason: "no".into() }).await,
            Happening::Unanswered => answered(EventOutcome::Unknown { reason: "no".into() }).await,
            Happening::Abandoned => {
                let before = self.state(id).await;
                self.store.end_worker(self.worker, now, None).await.expect("ended");
                before != self.state(id).await
            }
            Happening::FoundCreated => {
                self.store.resolve_event(id, &Resolution::Created(api_id()), "Ana", now, now).await.is_ok()
            }
            Happening::SendAgain => {
                self.store.resolve_event(id, &Resolution::SendAgain, "Ana", now, now).await.is_ok()
            }
            Happening::Dropped => {
                let before = self.state(id).await;
                self.store.cancel_run(self.run, "enough", now).await.expect("canceled");
                before != self.state(id).await
            }
            Happening::Retried => self.store.retry_event(id, now, false).await.is_ok(),
        }
    }
}

fn outcome_to(state: EventState) -> Option<EventOutcome> {
    let reason = || "seen".to_owned();
    match state {
        EventState::Created => Some(EventOutcome::Created { api_id: api_id() }),
        EventState::Rejected => Some(EventOutcome::Rejected { code: Code::ApiRejected, reason: reason() }),
        EventState::Failed => Some(EventOutcome::Failed { reason: reason() }),
        EventState::Unknown => Some(EventOutcome::Unknown { reason: reason() }),
        _ => None,
    }
}

fn wanted(key: &str) -> EventIntake {
    let mut fields = Fields::default();
    fields.set(Field::Name, "Demo");
    fields.set(Field::ClientKey, key);
    let wanted = parse_event(&fields, &EventRules::default(), Time::from_micros(0)).expect("sound");
    let body = EventBody::new("{\"name\":\"Demo\"}".into());
    EventIntake::Wanted { event: Box::new(wanted.event), key: wanted.key, body }
}

fn invalid() -> EventIntake {
    let code = Code::NameMissing;
    EventIntake::Invalid { name: String::new(), code, reason: "no name".into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_happening_in_every_state_does_what_the_table_says_or_nothing() {
    for state in EventState::ALL {
        for happening in Happening::ALL {
            let world = World::new().await;
            let (id, claim) = world.row_in(*state).await;
            assert_eq!(world.state(id).await, *state);
            let done = world.happen(id, claim.as_ref(), happening).await;
            let after = next(*state, happening);
            assert!(
                done || after.is_ok_and(|after| after == *state) || after.is_err(),
                "{state} and {happening:?}"
            );
            assert!(!done || after.is_ok(), "{state} and {happening:?} were accepted");
            assert_eq!(world.state(id).await, after.unwrap_or(*state), "{state} and {happening:?}");
            world.store.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_writer_changes_nothing_and_what_it_learnt_is_kept() {
    let world = World::new().await;
    let (id, claim) = world.row_in(EventState::Unknown).await;
    let stale = claim.expect("a claim");
    world
        .store
        .resolve_event(id, &Resolution::SendAgain, "Ana", world.clock.now(), world.clock.now())
        .await
        .expect("decided");
    for now_in in [EventState::Pending, EventState::InFlight, EventState::Created] {
        let late = world.settle(&stale, EventOutcome::Created { api_id: api_id() }).await;
        assert!(matches!(late, Err(StoreError::Lost { .. })), "{now_in}: {late:?}");
        assert_eq!(world.state(id).await, now_in);
        if now_in == EventState::Pending {
            assert!(world.claim().await.is_some());
        } else {
            let known = world.store.event_story(id).await.expect("read").expect("there");
            let claim_id = known.attempts.last().expect("one").id;
            let holder = ClaimedEvent { claim_id, ..stale.clone() };
            let outcome = EventOutcome::Created { api_id: ApiId::parse("evt-2").expect("an id") };
            // The second time there is nothing left to settle.
            let settled = world.settle(&holder, outcome).await;
            assert_eq!(settled.is_ok(), now_in == EventState::InFlight);
        }
    }
    let story = world.store.event_story(id).await.expect("read").expect("there");
    assert_eq!(story.row.api_id.as_deref(), Some("evt-2"), "the answer of the holder");
    assert_eq!(story.attempts.len(), 2);
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_the_request_in_doubt_is_the_truth_however_late() {
    let world = World::new().await;
    let (id, claim) = world.row_in(EventState::InFlight).await;
    world.store.end_worker(world.worker, world.clock.now(), None).await.expect("declared dead");
    assert_eq!(world.state(id).await, EventState::Unknown);
    let claim = claim.expect("a claim");
    world.settle(&claim, EventOutcome::Created { api_id: api_id() }).await.expect("still ours");
    let story = world.store.event_story(id).await.expect("read").expect("there");
    assert_eq!((story.row.state.as_str(), story.row.api_id.as_deref()), ("created", Some("evt-1")));
    assert_eq!(story.attempts[0].verdict.as_deref(), Some("abandoned"));
    assert!(story.attempts[0].detail.as_deref().is_some_and(|said| said.starts_with("answered late")));
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_living_events_never_have_one_key() {
    let world = World::new().await;
    let (id, _) = world.row_in(EventState::Rejected).await;
    let second = world.insert().await;
    world.take(second, wanted(&format!("key-{id}"))).await.expect("taken");
    assert_eq!(world.state(second).await, EventState::Pending, "a refused event is no twin");
    let refused = world.store.retry_event(id, world.clock.now(), false).await.expect_err("it has a twin now");
    assert!(refused.to_string().contains(&format!("the same event as row {second}")), "{refused}");
    assert_eq!(world.state(id).await, EventState::Rejected);
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_makes_no_canceled_run_go_on() {
    let world = World::new().await;
    let (id, claim) = world.row_in(EventState::Unknown).await;
    let canceled = world.store.cancel_run(world.run, "canceled by hand", world.clock.now()).await;
    canceled.expect("written");
    let again = EventOutcome::Again { due_at: world.clock.now(), costs_attempt: false };
    world.settle(&claim.expect("a claim"), again).await.expect("still ours");
    assert_eq!(world.state(id).await, EventState::Pending);
    assert!(world.claim().await.is_none(), "nobody asks for it");
    assert_eq!(world.store.drop_canceled(world.clock.now()).await.expect("written"), 1);
    assert_eq!(world.state(id).await, EventState::Canceled);
    world.store.close().await;
}
