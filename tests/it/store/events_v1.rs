//! The columns of today's API: what another program wrote is read whole, what intake understood is kept, and
//! both say the same event.

use lumasync::domain::dialect::Dialect;
use lumasync::domain::event::{EventRules, Field, Fields, Wanted, hide, parse_event};
use lumasync::domain::proof::Verify;
use lumasync::domain::state::{Kind, Trigger};
use lumasync::luma::event_body;
use lumasync::store::{EventInput, EventIntake, EventOrigin, EventPart, NewRun, RunSource};
use secrecy::ExposeSecret as _;

use super::fixture::Fixture;

on_every_database! {
    what_others_wrote_and_what_was_understood_say_the_same_event,
    answers_that_are_none_are_refused_by_the_table,
}

/// Every field of the dialect; of the address and of the end each only one spelling.
const ROW: [(Field, &str); 20] = [
    (Field::Name, "Demo night"),
    (Field::StartAt, "2026-12-03T19:00"),
    (Field::Timezone, "Europe/Paris"),
    (Field::EndAt, "2026-12-03T21:30"),
    (Field::CoverUrl, "https://images.lumacdn.com/a.png"),
    (Field::DescriptionMd, "# Doors\n\nat six"),
    (Field::Visibility, "private"),
    (Field::Slug, "demo-night"),
    (Field::MaxCapacity, "80"),
    (Field::MeetingUrl, "https://meet.example.org/1?pwd=s3cret"),
    (Field::GeoAddressJson, "{\"type\":\"google\",\"place_id\":\"p1\"}"),
    (Field::Latitude, "38.7101"),
    (Field::Longitude, "-9.1368"),
    (Field::NameRequirement, "first-last"),
    (Field::PhoneNumberRequirement, "optional"),
    (Field::CanRegisterForMultipleTickets, "1"),
    (Field::ShowGuestList, "0"),
    (Field::RemindersDisabled, "1"),
    (Field::FeedbackEmail, "P1D"),
    (Field::TintColor, "#bb2dc7"),
];

fn understood(fields: &Fields) -> Wanted {
    let rules = EventRules { dialect: Dialect::V1, allow_past: true, ..EventRules::default() };
    parse_event(fields, &rules, lumasync::clock::Time::from_micros(0)).expect("sound")
}

fn body(wanted: &Wanted) -> String {
    event_body(&wanted.event, &wanted.key, "main").0.expose_secret().to_owned()
}

async fn what_others_wrote_and_what_was_understood_say_the_same_event(db: &Fixture) {
    let names: Vec<&str> = ROW.iter().map(|(field, _)| field.as_str()).collect();
    let values: Vec<String> = ROW.iter().map(|(_, value)| format!("'{value}'")).collect();
    let insert = format!("insert into event_queue ({}) values ({})", names.join(", "), values.join(", "));
    db.execute(&insert).await;
    let new = db.store.new_events("main", 10).await.expect("read").remove(0);
    let said = understood(&new.fields);
    let mut fields = Fields::default();
    for (field, value) in ROW {
        fields.set(field, value);
    }
    assert_eq!(body(&said), body(&understood(&fields)));

    let run = NewRun {
        account: "main",
        kind: Kind::Events,
        source: RunSource::Queue,
        trigger: Trigger::Queue,
        verify: Verify::None,
        planned: false,
        label: "event_queue",
        now: db.now(),
        fire: None,
    };
    let run_id = db.store.begin_running(run).await.expect("a run");
    let intake = |wanted: Wanted| EventIntake::Wanted {
        body: event_body(&wanted.event, &wanted.key, "main"),
        key: wanted.key,
        event: Box::new(wanted.event),
    };
    let events = [
        EventInput { origin: EventOrigin::Line(2), intake: intake(understood(&fields)) },
        EventInput { origin: EventOrigin::Row(new.id), intake: intake(said) },
    ];
    let part = EventPart { account: "main", run_id, events: &events, position: None, now: db.now() };
    db.store.take_events(&part).await.expect("taken in");

    // The line was entered as it was understood; told again, it is the same event.
    let line = db.count("select id from event_queue where line = 2").await;
    let story = db.store.event_story(line).await.expect("read").expect("there");
    let mut told = Fields::default();
    told.set(Field::Name, &story.row.name);
    told.set(Field::StartAt, story.row.start_at.as_deref().unwrap_or_default());
    told.set(Field::Timezone, story.record.timezone.as_deref().unwrap_or_default());
    told.set(Field::CoverUrl, story.record.cover_url.as_deref().unwrap_or_default());
    for (field, value) in story.record.v1.said() {
        told.set(field, &value);
        let shown = hide(field, &value);
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    assert_eq!(body(&understood(&told)), body(&understood(&fields)));
    let states = db.rows("select state from event_queue order by line nulls last").await;
    assert_eq!(states, [["pending"], ["duplicate"]], "both are one event");
}

async fn answers_that_are_none_are_refused_by_the_table(db: &Fixture) {
    for column in ["can_register_for_multiple_tickets", "show_guest_list", "reminders_disabled"] {
        let insert = format!("insert into event_queue (name, {column}) values ('Demo', 2)");
        assert!(db.try_execute(&insert).await.is_err(), "{column}");
    }
}
