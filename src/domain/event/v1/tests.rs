//! Rows for today's API: each field alone, what belongs together, and what another dialect has.

use super::*;
use crate::domain::dialect::Dialect;
use crate::domain::event::{ClientKey, Event, Fields, Wanted, parse_event, said};

const NOW: &str = "2026-11-22T18:00:00Z";
/// What every event needs.
const LEAST: [(Field, &str); 3] = [
    (Field::Name, "Demo night"),
    (Field::StartAt, "2026-12-03T19:00:00+01:00"),
    (Field::Timezone, "Europe/Paris"),
];

fn rules(dialect: Dialect) -> EventRules {
    EventRules { dialect, cover_hosts: vec!["unsplash.com".into()], ..EventRules::default() }
}

fn read_by(rules: &EventRules, row: &[(Field, &str)]) -> Result<Wanted, Vec<Problem>> {
    let mut fields = Fields::default();
    for (field, value) in row {
        fields.set(*field, value);
    }
    parse_event(&fields, rules, Time::parse(NOW).expect("a moment"))
}

fn with(row: &[(Field, &str)]) -> Result<Wanted, Vec<Problem>> {
    read_by(&rules(Dialect::V1), &[&LEAST, row].concat())
}

fn sound(row: &[(Field, &str)]) -> V1Fields {
    match with(row).expect("sound").event {
        Event::V1(event) => event.fields().clone(),
        Event::Beta(_) => panic!("for another dialect"),
    }
}

fn key(row: &[(Field, &str)]) -> ClientKey {
    with(row).expect("sound").key
}

#[test]
fn every_field_alone_is_held_to_its_rule() {
    use Field as F;
    let (long, short) = ("x".repeat(51), "ab");
    for (field, value) in [
        (F::EndAt, "soon"),
        (F::EndAt, "2026-12-03"),
        (F::DurationMinutes, "0"),
        (F::DescriptionMd, "![a](https://elsewhere.org/a.png)"),
        (F::DescriptionMd, "fine ![a](https://images.lumacdn.com/a.png)\n![b](data:image/png)"),
        (F::Visibility, "secret"),
        (F::Slug, short),
        (F::Slug, &long),
        (F::Slug, "demo night"),
        (F::Slug, "démo"),
        (F::MaxCapacity, "0"),
        (F::MaxCapacity, "1.5"),
        (F::MaxCapacity, "many"),
        (F::MeetingUrl, "http://meet.example.org/1"),
        (F::MeetingUrl, "meet.example.org"),
        (F::GeoAddressJson, "Rua Augusta 1"),
        (F::GeoAddressJson, "{\"type\":\"manual\"}"),
        (F::GeoAddressJson, "{\"type\":\"google\",\"address\":\"x\"}"),
        (F::GeoAddressJson, "{\"type\":\"manual\",\"address\":\"x\",\"city\":\"y\"}"),
        (F::NameRequirement, "none"),
        (F::PhoneNumberRequirement, "maybe"),
        (F::CanRegisterForMultipleTickets, "2"),
        (F::ShowGuestList, "maybe"),
        (F::RemindersDisabled, "x"),
        (F::FeedbackEmail, "P8D"),
        (F::FeedbackEmail, "P1M"),
        (F::FeedbackEmail, "-P1D"),
        (F::FeedbackEmail, "tomorrow"),
        (F::FeedbackEmail, "{\"delay\":\"P1D\"}"),
        (F::FeedbackEmail, "{\"enabled\":false,\"delay\":\"P1D\"}"),
        (F::TintColor, "bb2dc7"),
        (F::TintColor, "#bb2dcg"),
        (F::TintColor, "#bb2dc"),
    ] {
        let problems = with(&[(field, value)]).expect_err(value);
        let found: Vec<_> = problems.iter().map(|problem| (problem.field, problem.code)).collect();
        assert_eq!(found, [(field, Code::FieldInvalid)], "{value}: {problems:?}");
        assert!(problems[0].said.starts_with("is `"), "{problems:?}");
    }
    let elsewhere = with(&[(F::CoverUrl, "https://images.unsplash.com/a")]).expect_err("refused");
    assert_eq!(elsewhere[0].code, Code::CoverNotAllowed);
    assert!(elsewhere[0].said.contains("`images.lumacdn.com`"), "{elsewhere:?}");
}

#[test]
fn what_belongs_together_is_asked_for_together() {
    use Field as F;
    for (row, blamed) in [
        (&[(F::EndAt, "2026-12-03T18:00:00Z")][..], F::EndAt),
        (&[(F::EndAt, "2026-12-03T20:00:00Z"), (F::DurationMinutes, "120")], F::DurationMinutes),
        (&[(F::Latitude, "38.7")], F::Latitude),
        (&[(F::Longitude, "-9.1")], F::Longitude),
        (
            &[(F::GeoAddress, "here"), (F::GeoAddressJson, "{\"type\":\"manual\",\"address\":\"x\"}")],
            F::GeoAddress,
        ),
    ] {
        let problems = with(row).expect_err("refused");
        let found: Vec<_> = problems.iter().map(|problem| (problem.field, problem.code)).collect();
        assert_eq!(found, [(blamed, Code::FieldsConflict)], "{problems:?}");
    }
}

#[test]
fn name_start_and_zone_are_needed_and_all_problems_are_told_at_once() {
    use Field as F;
    let nothing =
        read_by(&rules(Dialect::V1), &[(F::Slug, "x"), (F::RequireRsvp, "true")]).expect_err("refused");
    let fields: Vec<Field> = nothing.iter().map(|problem| problem.field).collect();
    assert_eq!(fields, [F::RequireRsvp, F::Name, F::StartAt, F::Timezone, F::Slug]);
    let words = said(&nothing, |field| (field == F::Slug).then_some(4));
    for part in [
        "`require_rsvp` is a field of the dialect `beta-2021`, and `luma.dialect` is `v1`: leave it out",
        "`start_at` is empty, and every event of the dialect `v1` needs one",
        "or set `events.default_timezone`",
        "`slug` (column 4) is `x`, which is no end of an address",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let at_home = EventRules { default_timezone: Some("Asia/Tokyo".into()), ..rules(Dialect::V1) };
    let wanted = read_by(&at_home, &[(F::Name, "Demo"), (F::StartAt, "2026-12-03T18:00")]).expect("sound");
    assert_eq!(wanted.event.start_at(), Time::parse("2026-12-03T09:00:00Z"));
    let wrong = [(F::Name, "Demo"), (F::StartAt, "2026-12-03T18:00"), (F::Timezone, "Mars/Olympus")];
    let wrong = read_by(&at_home, &wrong).expect_err("refused");
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    let past = read_by(&rules(Dialect::V1), &[LEAST[0], (F::StartAt, "2020-01-01T00:00Z"), LEAST[2]]);
    assert_eq!(past.expect_err("refused")[0].code, Code::StartInPast);
}

#[test]
fn the_beta_has_no_field_of_today_and_says_so() {
    let only_today = Field::ALL.iter().copied().filter(|field| field.only_in() == Some(Dialect::V1));
    let mut count = 0;
    for field in only_today {
        let problems = read_by(&rules(Dialect::Beta2021), &[LEAST[0], (field, "1")]).expect_err("refused");
        let said = &problems[0].said;
        assert!(
            said.starts_with("is a field of the dialect `v1`, and `luma.dialect` is `beta-2021`"),
            "{said}"
        );
        count += 1;
    }
    assert_eq!(count, 17);
}

#[test]
fn a_full_event_keeps_what_was_given() {
    use Field as F;
    let event = sound(&[
        (F::EndAt, "2026-12-03T21:30"),
        (F::CoverUrl, "https://images.lumacdn.com/a.png"),
        (F::DescriptionMd, "# Doors at six\n\n![a](https://images.lumacdn.com/a.png) [more](https://a.org)"),
        (F::Visibility, "Members-only"),
        (F::Slug, "demo-night"),
        (F::MaxCapacity, "80"),
        (F::MeetingUrl, "https://meet.example.org/1"),
        (F::GeoAddress, "Rua Augusta 1, Lisboa"),
        (F::Latitude, "38.7101"),
        (F::Longitude, "-9.1368"),
        (F::NameRequirement, "first-last"),
        (F::PhoneNumberRequirement, "optional"),
        (F::CanRegisterForMultipleTickets, "yes"),
        (F::ShowGuestList, "0"),
        (F::RemindersDisabled, "TRUE"),
        (F::FeedbackEmail, "p1d"),
        (F::TintColor, "#bb2dc7"),
    ]);
    assert_eq!(event.end_at, Time::parse("2026-12-03T20:30:00Z"), "a local time is one of its zone");
    assert_eq!((event.timezone.as_str(), event.visibility), ("Europe/Paris", Some("members-only")));
    let address = GeoAddress::Manual { address: "Rua Augusta 1, Lisboa".into() };
    assert_eq!(event.geo_address, Some(address));
    assert_eq!(event.feedback_email, Some(FeedbackEmail::On(Some("P1D".into()))));
    assert_eq!((event.show_guest_list, event.reminders_disabled), (Some(false), Some(true)));
    let by_length = sound(&[(F::DurationMinutes, "150")]);
    assert_eq!(by_length.end_at, event.end_at);
    let google =
        sound(&[(F::GeoAddressJson, "{\"type\":\"google\",\"place_id\":\"p1\",\"description\":null}")]);
    assert_eq!(google.geo_address, Some(GeoAddress::Google { place_id: "p1".into(), description: None }));
    assert_eq!(
        sound(&[(F::FeedbackEmail, "{\"enabled\":true}")]).feedback_email,
        Some(FeedbackEmail::On(None))
    );
    assert_eq!(sound(&[(F::FeedbackEmail, "no")]).feedback_email, Some(FeedbackEmail::Off));
    assert_eq!(sound(&[(F::Timezone, "europe/lisbon")]).timezone, "Europe/Lisbon");
}

#[test]
fn an_event_has_one_key_in_every_dialect_and_another_for_every_field() {
    use Field as F;
    let shared = [(F::DurationMinutes, "90")];
    let beta = read_by(&rules(Dialect::Beta2021), &[&LEAST[..], &shared].concat()).expect("sound").key;
    assert_eq!(key(&shared), beta);
    assert_eq!(key(&[(F::EndAt, "2026-12-03T19:30:00Z")]), beta);
    assert_eq!(key(&[(F::EndAt, "2026-12-03T19:30:00Z"), (F::Timezone, "Europe/Berlin")]), beta);
    let rows = [
        (F::EndAt, "2026-12-03T19:30:01Z"),
        (F::DescriptionMd, "x"),
        (F::Visibility, "private"),
        (F::Slug, "demo"),
        (F::MaxCapacity, "1"),
        (F::MeetingUrl, "https://a.org/1"),
        (F::GeoAddress, "x"),
        (F::GeoAddressJson, "{\"type\":\"google\",\"place_id\":\"x\"}"),
        (F::NameRequirement, "full-name"),
        (F::PhoneNumberRequirement, "required"),
        (F::CanRegisterForMultipleTickets, "true"),
        (F::ShowGuestList, "true"),
        (F::RemindersDisabled, "true"),
        (F::FeedbackEmail, "true"),
        (F::TintColor, "#fff"),
    ];
    let mut keys: Vec<_> =
        rows.iter().map(|row| key(&[*row]).to_string()).chain([beta.to_string()]).collect();
    keys.push(key(&[(F::Latitude, "1"), (F::Longitude, "2")]).to_string());
    keys.push(key(&[(F::Latitude, "2"), (F::Longitude, "1")]).to_string());
    keys.push(key(&[]).to_string());
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn a_slug_is_the_same_for_the_same_event_of_an_account_and_for_no_other() {
    let of = |row: &[(Field, &str)], account: &str| {
        let wanted = with(row).expect("sound");
        Slug::of(&wanted.event, &wanted.key, account).as_str().to_owned()
    };
    let slug = of(&[], "main");
    assert_eq!(slug, of(&[], "main"));
    assert!(slug.starts_with("demo-night-"), "{slug}");
    for other in [
        of(&[], "paris"),
        of(&[(Field::ClientKey, "7")], "main"),
        of(&[(Field::Name, "Demo  nights")], "main"),
        of(&[(Field::ClientKey, "7"), (Field::StartAt, "2026-12-04T18:00:00Z")], "main"),
    ] {
        assert_ne!(slug, other);
    }
    for name in ["夜の会", &"long ".repeat(60), "- -", "a"] {
        let slug = of(&[(Field::Name, name)], "main");
        assert!(Slug::parse(&slug).is_ok(), "{name}: {slug}");
    }
}
