//! Good rows and bad ones: each field alone, and what belongs together.

use super::*;

const NOW: &str = "2026-11-22T18:00:00Z";

fn rules() -> EventRules {
    let cover_hosts = ["unsplash.com", "cdn.lu.ma"].map(str::to_owned).into();
    EventRules { cover_hosts, ..EventRules::default() }
}

fn read(row: &[(Field, &str)], rules: &EventRules) -> Result<Wanted, Vec<Problem>> {
    let mut fields = Fields::default();
    for (field, value) in row {
        fields.set(*field, value);
    }
    parse_event(&fields, rules, Time::parse(NOW).expect("a moment"))
}

fn named(row: &[(Field, &str)]) -> Result<Wanted, Vec<Problem>> {
    read(&[&[(Field::Name, "Demo")], row].concat(), &rules())
}

/// Code and words of the only problem.
#[track_caller]
fn problem(row: &[(Field, &str)]) -> (Field, Code, String) {
    let problems = named(row).expect_err("refused");
    assert_eq!(problems.len(), 1, "{problems:?}");
    (problems[0].field, problems[0].code, problems[0].said.clone())
}

#[test]
fn every_field_alone_is_held_to_its_rule() {
    use Field as F;
    for (field, value, code) in [
        (F::StartAt, "soon", Code::StartInvalid),
        (F::StartAt, "2026-12-01T18:00", Code::StartInvalid),
        (F::StartAt, "2026-11-22T17:59:59Z", Code::StartInPast),
        (F::CoverUrl, "http://images.unsplash.com/a", Code::CoverNotAllowed),
        (F::CoverUrl, "https://notunsplash.com/a", Code::CoverNotAllowed),
        (F::CoverUrl, "https://unsplash.com.evil.org/a", Code::CoverNotAllowed),
        (F::CoverUrl, "https://u:p@unsplash.com/a", Code::CoverNotAllowed),
        (F::DurationMinutes, "0", Code::FieldInvalid),
        (F::DurationMinutes, "-5", Code::FieldInvalid),
        (F::DurationMinutes, "1.5", Code::FieldInvalid),
        (F::DurationMinutes, "99999999999999999999", Code::FieldInvalid),
        (F::RequireRsvp, "maybe", Code::FieldInvalid),
        (F::RequireRsvpApproval, "true", Code::FieldsConflict),
        (F::ZoomCreationMethod, "by hand", Code::FieldInvalid),
        (F::ZoomCreationMethod, "existing-attached", Code::FieldsConflict),
        (F::ZoomMeetingId, "123456789", Code::FieldsConflict),
        (F::ZoomMeetingPassword, "s3cret", Code::FieldsConflict),
        (F::ZoomMeetingUrl, "https://zoom.us/j/1", Code::FieldsConflict),
        (F::ZoomSessionType, "webinar", Code::FieldsConflict),
        (F::CommunityApiId, "com 1", Code::FieldInvalid),
        (F::Timezone, "Europe/Paris", Code::FieldsConflict),
        (F::Timezone, "Europe/Pariss", Code::FieldInvalid),
    ] {
        let found = problem(&[(field, value)]);
        assert_eq!((found.0, found.1), (field, code), "{value}: {}", found.2);
    }
}

#[test]
fn fields_that_contradict_each_other_are_refused_and_the_password_is_not_said() {
    use Field as F;
    let automatic = (F::ZoomCreationMethod, "created-automatically");
    let manual = (F::ZoomCreationMethod, "manually-entered");
    for row in [
        &[automatic, (F::ZoomMeetingId, "123 456 7890")][..],
        &[automatic, (F::ZoomMeetingPassword, "s3cret")],
        &[manual, (F::ZoomMeetingPassword, "s3cret")],
        &[(F::RequireRsvp, "false"), (F::RequireRsvpApproval, "true")],
    ] {
        let (_, code, said) = problem(row);
        assert_eq!(code, Code::FieldsConflict, "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    let long = "s3cret".repeat(50);
    let (_, _, said) = problem(&[manual, (F::ZoomMeetingId, "123456789"), (F::ZoomMeetingPassword, &long)]);
    assert!(said.starts_with("is `[hidden]`, which is longer"), "{said}");
    let (_, _, said) = problem(&[manual, (F::ZoomMeetingUrl, "http://zoom.us/j/1?pwd=s3cret")]);
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn all_problems_of_a_row_are_told_at_once() {
    use Field as F;
    let row = [
        (F::StartAt, "soon"),
        (F::DurationMinutes, "x"),
        (F::RequireRsvpApproval, "yes"),
        (F::CoverUrl, "ftp:/"),
    ];
    let problems = read(&row, &rules()).expect_err("refused");
    let fields: Vec<Field> = problems.iter().map(|problem| problem.field).collect();
    assert_eq!(fields, [F::Name, F::StartAt, F::CoverUrl, F::DurationMinutes, F::RequireRsvpApproval]);
    let said = said(&problems, |field| (field == F::DurationMinutes).then_some(7));
    assert!(said.contains("`duration_minutes` (column 7) is `x`, which is no whole number"), "{said}");
}

#[test]
fn a_full_event_keeps_what_was_given() {
    use Field as F;
    let wanted = named(&[
        (F::StartAt, "2026-12-03T19:00"),
        (F::Timezone, "Europe/Paris"),
        (F::CoverUrl, "https://images.unsplash.com/photo-1?w=1"),
        (F::DurationMinutes, "90"),
        (F::RequireRsvp, "TRUE"),
        (F::RequireRsvpApproval, "yes"),
        (F::ZoomCreationMethod, "existing-attached"),
        (F::ZoomMeetingId, "123 456 7890"),
        (F::ZoomMeetingPassword, "s3cret"),
        (F::ZoomSessionType, "Webinar"),
        (F::CommunityApiId, "com-1"),
    ])
    .expect("sound");
    assert_eq!(wanted.event.start_at(), Time::parse("2026-12-03T18:00:00Z"));
    let event = wanted.event.beta().expect("for the beta");
    assert_eq!((event.require_rsvp(), event.require_rsvp_approval()), (Some(true), Some(true)));
    let zoom = event.zoom().expect("Zoom");
    assert_eq!((zoom.method(), zoom.session_type()), ("existing-attached", Some("webinar")));
    assert!(!format!("{wanted:?}").contains("s3cret"));
    assert_eq!(named(&[]).expect("a name is enough").event.name(), "Demo");
}

#[test]
fn keys_are_those_given_else_those_of_the_content_without_the_password() {
    use Field as F;
    let key = |row: &[(Field, &str)]| named(row).expect("sound").key;
    let start = (F::StartAt, "2026-12-03T18:00:00Z");
    assert_eq!(key(&[start]), key(&[(F::StartAt, "2026-12-03T19:00:00+01:00")]));
    assert_ne!(key(&[start]), key(&[]));
    assert_ne!(key(&[start]), key(&[start, (F::DurationMinutes, "60")]));
    assert_eq!(key(&[start, (F::ClientKey, "crm-7")]).as_str(), "crm-7");
    assert_ne!(key(&[start]).again(3), key(&[start]));
    let with = |password| {
        let manual = (F::ZoomCreationMethod, "manually-entered");
        key(&[manual, (F::ZoomMeetingId, "123456789"), (F::ZoomMeetingPassword, password)])
    };
    assert_eq!(with("one"), with("two"));
}

#[test]
fn the_same_event_has_one_key_however_it_is_spelt() {
    use Field as F;
    let key = |row: &[(Field, &str)]| read(row, &rules()).expect("sound").key;
    let plain = key(&[
        (F::Name, "Demo night"),
        (F::ZoomCreationMethod, "existing-attached"),
        (F::ZoomMeetingId, "1234567890"),
        (F::ZoomMeetingUrl, "https://zoom.us/j/1"),
    ]);
    let other = key(&[
        (F::Name, "Demo  night"),
        (F::ZoomCreationMethod, "EXISTING-attached"),
        (F::ZoomMeetingId, "123 456-7890"),
        (F::ZoomMeetingUrl, "https://ZOOM.us:443/j/1"),
        (F::RequireRsvp, "no"),
    ]);
    assert_eq!(plain, other);
    assert_ne!(key(&[(F::Name, "Demo")]), key(&[(F::Name, "Demo"), (F::RequireRsvp, "yes")]));
}

#[test]
fn what_a_result_file_hid_is_not_taken_for_a_password() {
    use Field as F;
    let row = [
        (F::ZoomCreationMethod, "manually-entered"),
        (F::ZoomMeetingId, "123456789"),
        (F::ZoomMeetingPassword, HIDDEN),
    ];
    let (field, _, said) = problem(&row);
    assert_eq!(field, F::ZoomMeetingPassword);
    assert!(said.contains("write it in again"), "{said}");
}

#[test]
fn rules_can_be_relaxed() {
    let past = [(Field::Name, "Demo"), (Field::StartAt, "2020-01-01T00:00")];
    let relaxed = EventRules { allow_past: true, default_timezone: Some("Asia/Tokyo".into()), ..rules() };
    let wanted = read(&past, &relaxed).expect("sound");
    assert_eq!(wanted.event.start_at(), Time::parse("2019-12-31T15:00:00Z"));
}
