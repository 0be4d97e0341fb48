//! Looks for events in doubt: one at a time, due when they are due, and never stronger than a decision.

use std::time::Duration;

use lumasync::clock::{Clock, Time};
use lumasync::domain::event::{
    ApiId, Doubted, EventBody, EventOutcome, EventRules, Field, Fields, LookEnd, LookedFor, PAUSE,
    Resolution, parse_event,
};
use lumasync::domain::proof::Verify;
use lumasync::domain::state::{Kind, Trigger};
use lumasync::store::{
    Claims, DueLook, EventClaim, EventInput, EventIntake, EventOrigin, EventPart, EventSettlement,
    EventStory, NewRun, RunSource,
};

use super::fixture::{ACCOUNT, FREE, Fixture, claims};

on_every_database! {
    a_look_is_begun_by_one_and_is_due_when_its_time_has_come,
    what_looks_come_to_is_written_with_the_event,
    what_somebody_decided_is_not_changed_by_a_look,
    looks_of_one_doubt_say_nothing_of_the_next,
    an_id_that_is_another_rows_ends_no_doubt,
    a_pause_that_a_clock_ahead_has_begun_begins_anew,
    an_event_of_a_canceled_run_is_not_asked_for_again,
    a_refusal_is_told_from_silence,
}

const HELD: Duration = Duration::from_mins(1);

/// A run with so many events, all of them in doubt.
pub(super) async fn in_doubt(db: &Fixture, events: u64) -> i64 {
    let run = NewRun {
        account: ACCOUNT,
        kind: Kind::Events,
        source: RunSource::File,
        trigger: Trigger::Manual,
        fire: None,
        label: "list.csv",
        verify: Verify::None,
        planned: false,
        now: db.now(),
    };
    let run_id = db.store.begin_running(run).await.expect("a run");
    let wanted = |line: u64| {
        let mut fields = Fields::default();
        fields.set(Field::Name, "Demo");
        fields.set(Field::ClientKey, &format!("key {run_id} {line}"));
        let wanted = parse_event(&fields, &EventRules::default(), db.now()).expect("sound");
        let body = EventBody::new(format!("{{\"slug\":\"demo-{line}\"}}"));
        let intake = EventIntake::Wanted { event: Box::new(wanted.event), key: wanted.key, body };
        EventInput { origin: EventOrigin::Line(line), intake }
    };
    let events: Vec<EventInput> = (1..=events).map(wanted).collect();
    let part = EventPart { account: ACCOUNT, run_id, events: &events, position: None, now: db.now() };
    db.store.take_events(&part).await.expect("taken in");
    lose(db, "ambiguous", events.len()).await;
    run_id
}

/// Asks for what is pending; no answer says what came of it.
async fn lose(db: &Fixture, verdict: &'static str, events: usize) {
    let worker = db.worker().await;
    let claims = Claims { route: "POST /events", ..claims(worker, events, FREE) };
    let claimed = db.store.claim_events(&claims, true, &db.clock).await.expect("claimed").claim;
    let EventClaim::Events(claimed) = claimed else { panic!("{claimed:?}") };
    assert_eq!(claimed.len(), events);
    for event in claimed {
        let settlement = EventSettlement {
            event,
            outcome: EventOutcome::Unknown { reason: "lost".into() },
            status: None,
            verdict,
            detail: Some("lost".into()),
            is_fault: false,
            is_unsent: false,
            block: None,
            halt: None,
        };
        db.store.settle_event(&settlement, db.now()).await.expect("settled");
    }
}

async fn due(db: &Fixture) -> Vec<DueLook> {
    db.store.due_looks(ACCOUNT, None, db.now(), 100).await.expect("read")
}

async fn begin(db: &Fixture, look: &DueLook) -> bool {
    db.store.begin_event_look(look, db.now(), db.now().plus(HELD)).await.expect("written")
}

/// One that is due, begun.
async fn begun(db: &Fixture) -> DueLook {
    let look = due(db).await.remove(0);
    assert!(begin(db, &look).await);
    look
}

async fn settle(db: &Fixture, look: &DueLook, looked: LookedFor, end: &LookEnd) -> bool {
    db.store.settle_event_look(look, looked, end, ACCOUNT, db.now()).await.expect("written")
}

async fn story(db: &Fixture, id: i64) -> EventStory {
    db.store.event_story(id).await.expect("read").expect("there")
}

fn created(id: &str) -> LookEnd {
    LookEnd::Decided(Resolution::Created(ApiId::parse(id).expect("an id")))
}

const SEND_AGAIN: LookEnd = LookEnd::Decided(Resolution::SendAgain);

async fn a_look_is_begun_by_one_and_is_due_when_its_time_has_come(db: &Fixture) {
    let run = in_doubt(db, 2).await;
    let both = due(db).await;
    assert_eq!(both.iter().map(|look| look.run_id).collect::<Vec<_>>(), [run, run]);
    assert!(db.store.due_looks(ACCOUNT, Some(run + 1), db.now(), 9).await.expect("read").is_empty());
    assert!(db.store.due_looks("other", None, db.now(), 9).await.expect("read").is_empty());
    assert!(begin(db, &both[0]).await);
    assert!(!begin(db, &both[0]).await, "somebody is at it");
    assert_eq!(due(db).await.iter().map(|look| look.id).collect::<Vec<_>>(), [both[1].id]);
    let left = db.store.looks_left(ACCOUNT, Some(run), db.now(), None).await.expect("read");
    assert_eq!((left.events, left.next), (2, Some(db.now())));

    // The one that was not seen waits for the pause, to the microsecond.
    let mut looked = both[0].looked;
    looked.saw(&lumasync::domain::event::Sighting::default(), &Doubted::Unanswered, db.now());
    assert!(settle(db, &both[0], looked, &LookEnd::LookAgain).await);
    assert!(begin(db, &both[1]).await);
    let put_off = db.now().plus(PAUSE * 2);
    db.store.put_off_look(&both[1], true, put_off, db.now()).await.expect("written");
    let left = db.store.looks_left(ACCOUNT, None, db.now(), Some(1)).await.expect("read");
    assert_eq!((left.events, left.next), (1, Some(db.now().plus(PAUSE))), "the other one is not waited for");
    db.clock.advance(PAUSE.saturating_sub(Duration::from_micros(1)));
    assert!(due(db).await.is_empty());
    assert!(!begin(db, &both[0]).await);
    db.clock.advance(Duration::from_micros(1));
    let again = begun(db).await;
    assert_eq!((again.id, again.looked), (both[0].id, looked), "what was seen is kept");
    db.clock.advance(PAUSE);
    let other = due(db).await;
    let other = other.iter().find(|look| look.id == both[1].id).expect("due");
    assert_eq!((other.faults, other.looked), (1, LookedFor::default()), "no answer is no absence");
}

async fn what_looks_come_to_is_written_with_the_event(db: &Fixture) {
    let run = in_doubt(db, 5).await;
    let reason = || "told".to_owned();
    let ends = [
        (created("evt-1"), "created", None),
        (SEND_AGAIN, "pending", None),
        (LookEnd::Rejected { reason: reason() }, "rejected", Some("api_rejected")),
        (LookEnd::Failed { reason: reason() }, "failed", Some("attempts_exhausted")),
        (LookEnd::Person { reason: reason() }, "unknown", Some("answer_unknown")),
    ];
    for (end, state, code) in &ends {
        let look = begun(db).await;
        assert!(settle(db, &look, look.looked, end).await);
        let story = story(db, look.id).await;
        assert_eq!((story.row.state.as_str(), story.row.code.as_deref()), (*state, *code));
        assert_eq!(story.row.reason.as_deref(), code.map(|_| "told"));
        assert_eq!((story.looks[0].looks, story.looks[0].look_at), (1, None));
        let decided: Vec<&str> = story.resolutions.iter().map(|it| it.decision.as_str()).collect();
        match end {
            LookEnd::Decided(resolution) => assert_eq!(decided, [resolution.as_str()]),
            _ => assert!(decided.is_empty(), "{decided:?}"),
        }
        assert!(story.resolutions.iter().all(|it| it.decided_by == "look-up"));
        // Whoever looked at the same time and comes later changes nothing.
        let again = settle(db, &look, look.looked, &created("evt-9")).await;
        assert_eq!(again, *state == "unknown", "{state}");
    }
    assert!(due(db).await.is_empty());
    assert_eq!(db.store.looks_left(ACCOUNT, Some(run), db.now(), None).await.expect("read").events, 0);
    assert!(db.store.runs_to_look_for(ACCOUNT).await.expect("read").is_empty());
}

async fn what_somebody_decided_is_not_changed_by_a_look(db: &Fixture) {
    in_doubt(db, 2).await;
    for resolution in [Resolution::SendAgain, Resolution::Created(ApiId::parse("evt-5").expect("an id"))] {
        let look = begun(db).await;
        let now = db.now();
        db.store.resolve_event(look.id, &resolution, "Ana", now, now).await.expect("decided");
        let before = story(db, look.id).await;
        for end in [created("evt-6"), SEND_AGAIN, LookEnd::Rejected { reason: "no".into() }] {
            assert!(!settle(db, &look, look.looked, &end).await);
        }
        let after = story(db, look.id).await;
        assert_eq!((after.row, after.resolutions), (before.row, before.resolutions));
        assert!(!begin(db, &look).await, "there is no doubt to look into");
    }
}

async fn looks_of_one_doubt_say_nothing_of_the_next(db: &Fixture) {
    in_doubt(db, 1).await;
    let look = begun(db).await;
    let looked = LookedFor::absent_since(Some(db.now().minus(PAUSE)));
    assert!(settle(db, &look, looked, &SEND_AGAIN).await);
    lose(db, "ambiguous", 1).await;
    let next = begun(db).await;
    assert_ne!(next.claim_id, look.claim_id);
    assert_eq!(next.looked, LookedFor::default(), "absence is to be shown anew");
    assert_eq!(next.attempts, 2);
    // A look for the first doubt that comes late is not one for the second.
    assert!(!settle(db, &look, looked, &SEND_AGAIN).await);
    assert_eq!(story(db, look.id).await.row.state, "unknown");
    assert_eq!(story(db, look.id).await.looks.len(), 2);
}

async fn an_id_that_is_another_rows_ends_no_doubt(db: &Fixture) {
    in_doubt(db, 2).await;
    let first = begun(db).await;
    assert!(settle(db, &first, first.looked, &created("evt-1")).await);
    let second = begun(db).await;
    assert!(!settle(db, &second, second.looked, &created("evt-1")).await);
    assert_eq!(story(db, second.id).await.row.state, "unknown");
    let due = due(db).await;
    assert_eq!(due.len(), 1, "the next look sees whose it is");
    let ids = [ApiId::parse("evt-1").expect("an id"), ApiId::parse("evt-2").expect("an id")];
    let known = db.store.rows_of(ACCOUNT, &ids.iter().collect::<Vec<_>>()).await.expect("read");
    assert_eq!(known, [(&ids[0], first.id)]);
    assert!(db.store.rows_of("other", &[&ids[0]]).await.expect("read").is_empty());
    let asked_for = db.store.asked_for(ACCOUNT).await.expect("read");
    assert_eq!(asked_for.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [second.id]);
}

async fn a_pause_that_a_clock_ahead_has_begun_begins_anew(db: &Fixture) {
    in_doubt(db, 1).await;
    let look = begun(db).await;
    let nothing = lumasync::domain::event::Sighting::default();
    let mut looked = look.looked;
    looked.saw(&nothing, &Doubted::Unanswered, db.now());
    assert!(settle(db, &look, looked, &LookEnd::LookAgain).await);

    let clock = Clock::manual(db.now().minus(Duration::from_hours(24)));
    let due = async |now: Time| db.store.due_looks(ACCOUNT, None, now, 9).await.expect("read");
    let again = due(clock.now()).await.remove(0);
    assert!(db.store.begin_event_look(&again, clock.now(), clock.now().plus(HELD)).await.expect("written"));
    let mut looked = again.looked;
    looked.saw(&nothing, &Doubted::Unanswered, clock.now());
    assert_eq!(looked.since(), Some(clock.now()), "what was seen later than now was seen now");
    let settled = db.store.settle_event_look(&again, looked, &LookEnd::LookAgain, ACCOUNT, clock.now()).await;
    assert!(settled.expect("written"));
    clock.advance(PAUSE.saturating_sub(Duration::from_micros(1)));
    assert!(due(clock.now()).await.is_empty());
    clock.advance(Duration::from_micros(1));
    assert_eq!(due(clock.now()).await.len(), 1);
}

async fn an_event_of_a_canceled_run_is_not_asked_for_again(db: &Fixture) {
    let run = in_doubt(db, 2).await;
    db.store.cancel_run(run, "enough", db.now()).await.expect("canceled");
    let found = begun(db).await;
    assert!(settle(db, &found, found.looked, &created("evt-1")).await, "what exists is known to");
    let absent = begun(db).await;
    assert!(settle(db, &absent, absent.looked, &SEND_AGAIN).await);
    let worker = db.worker().await;
    let claims = Claims { route: "POST /events", ..claims(worker, 9, FREE) };
    let claim = db.store.claim_events(&claims, true, &db.clock).await.expect("asked").claim;
    assert!(matches!(claim, EventClaim::Idle), "{claim:?}");
    assert_eq!(db.store.drop_canceled(db.now()).await.expect("written"), 1);
    let states = db.rows("select state from event_queue order by id").await;
    assert_eq!(states, [["created"], ["canceled"]]);
}

async fn a_refusal_is_told_from_silence(db: &Fixture) {
    in_doubt(db, 1).await;
    assert_eq!(due(db).await[0].doubted, Doubted::Unanswered);
    let look = begun(db).await;
    assert!(settle(db, &look, look.looked, &SEND_AGAIN).await);
    lose(db, "refused", 1).await;
    let refused = |asked_before| Doubted::Refused { asked_before, message: "lost".into() };
    assert_eq!(due(db).await[0].doubted, refused(true));
    db.execute("update event_queue set attempts = 1").await;
    assert_eq!(due(db).await[0].doubted, refused(false));
}
