//! What looks prove, case by case, and that absence is never believed too early.

use proptest::prelude::*;

use super::*;

const FIRST: Doubted = Doubted::Refused { asked_before: false, message: String::new() };
const LATER: Doubted = Doubted::Refused { asked_before: true, message: String::new() };

fn id(text: &str) -> ApiId {
    ApiId::parse(text).expect("an id")
}

fn likeness() -> Likeness {
    Likeness { slug: "demo-1".into(), name: "Demo night".into(), start_at: Time::from_micros(5_000) }
}

fn shown(text: &str, slug: &str, name: &str, start: i64) -> Shown {
    Shown { id: id(text), slug: Some(slug.into()), name: name.into(), start_at: Time::from_micros(start) }
}

fn others() -> OtherRows {
    let mut others = OtherRows::default();
    others.add_created(&id("evt-ours"), 7);
    others.add_asked_for("Sibling", 8);
    others
}

fn look(doubted: &Doubted, on_calendar: &[Shown], at_address: Option<&Shown>) -> LookUp {
    let sighting = Sighting::of(&likeness(), on_calendar, at_address, &others());
    LookedFor::default().saw(&sighting, doubted, Time::from_micros(0))
}

fn is_several(look_up: &LookUp) -> bool {
    matches!(look_up, LookUp::Several { .. })
}

#[test]
fn only_one_on_the_calendar_under_its_own_address_and_nothing_like_it_is_found() {
    for doubted in &[Doubted::Unanswered, LATER] {
        let there = shown("evt-1", "Demo-1", "renamed", 5_000);
        let seen = |events: &[Shown], at: Option<&Shown>| look(doubted, events, at);
        assert_eq!(seen(std::slice::from_ref(&there), None), LookUp::Found(id("evt-1")));
        assert_eq!(seen(&[there.clone(), there.clone()], Some(&there)), LookUp::Found(id("evt-1")), "twice");
        for other in [
            shown("evt-2", "demo-1", "Demo night", 6_000),
            shown("evt-2", "demo-1", "Demo night", 5_000),
            shown("evt-2", "elsewhere", "DEMO  night", 5_000),
            shown("evt-ours", "demo-1", "Demo night", 5_000),
        ] {
            let said = seen(&[there.clone(), other.clone()], None);
            assert!(is_several(&said), "{other:?} {said:?}");
            let LookUp::Several { shown } = said else { continue };
            assert!(shown.contains("`evt-1`") && shown.contains(other.id.as_str()), "{shown}");
        }
        for alone in [
            shown("evt-2", "demo-1", "Demo night", 6_000),
            shown("evt-2", "elsewhere", "Demo night", 5_000),
            shown("evt-ours", "demo-1", "Demo night", 5_000),
        ] {
            assert!(is_several(&seen(std::slice::from_ref(&alone), None)), "{alone:?}");
        }
    }
}

#[test]
fn what_other_rows_are_or_may_be_is_no_alarm() {
    for other in [
        shown("evt-ours", "elsewhere", "Demo night", 5_000),
        shown("evt-2", "sibling", "Demo night", 5_000),
        shown("evt-2", "elsewhere", "Other", 5_000),
        shown("evt-2", "elsewhere", "Demo night", 6_000),
    ] {
        assert_eq!(
            look(&Doubted::Unanswered, std::slice::from_ref(&other), None),
            LookUp::AbsentOnce,
            "{other:?}"
        );
    }
}

#[test]
fn what_stands_under_its_address_and_not_on_the_calendar_is_not_it() {
    let there = shown("evt-9", "demo-1", "Demo night", 5_000);
    assert_eq!(look(&Doubted::Unanswered, &[], Some(&there)), LookUp::AbsentOnce);
    assert_eq!(look(&LATER, &[], Some(&there)), LookUp::AbsentOnce);
    // What has its name too is never called absent; what has not is.
    for (name, is_alarm) in [("demo NIGHT", true), ("Theirs", false)] {
        let sighting =
            Sighting::of(&likeness(), &[], Some(&shown("evt-9", "demo-1", name, 5_000)), &others());
        let mut looked = LookedFor::default();
        let start = Time::from_micros(0);
        assert_eq!(looked.saw(&sighting, &Doubted::Unanswered, start), LookUp::AbsentOnce);
        let second = looked.saw(&sighting, &Doubted::Unanswered, start.plus(PAUSE));
        assert_eq!((is_several(&second), second == LookUp::AbsentTwice), (is_alarm, !is_alarm), "{name}");
    }
    let moved = shown("evt-9", "demo-1", "Demo night", 9_000);
    assert!(is_several(&look(&Doubted::Unanswered, &[], Some(&moved))), "it may have been moved since");
    // The calendar does not say the address of each: the other question does.
    let plain = Shown { slug: None, ..there.clone() };
    assert_eq!(look(&Doubted::Unanswered, &[plain], Some(&there)), LookUp::Found(id("evt-9")));
}

#[test]
fn an_address_that_was_taken_at_the_first_request_is_believed_only_where_nothing_tells_them_apart() {
    let there = shown("evt-1", "demo-1", "demo  NIGHT", 5_000);
    assert_eq!(look(&FIRST, std::slice::from_ref(&there), None), LookUp::Found(id("evt-1")));
    for (event, is_on_calendar) in [
        (Shown { name: "renamed".into(), ..there.clone() }, true),
        (Shown { start_at: Time::from_micros(6_000), ..there.clone() }, true),
        (Shown { id: id("evt-ours"), ..there.clone() }, true),
        (there.clone(), false),
    ] {
        let calendar = if is_on_calendar { vec![event.clone()] } else { vec![] };
        let said = look(&FIRST, &calendar, Some(&event));
        assert!(matches!(&said, LookUp::Occupied { by } if by.contains(event.id.as_str())), "{said:?}");
    }
    assert!(matches!(look(&FIRST, &[], None), LookUp::Occupied { .. }), "at once: it was never asked for");
    let namesake = shown("evt-2", "elsewhere", "Demo night", 5_000);
    assert!(is_several(&look(&FIRST, &[there.clone(), namesake], None)));
    // Another row may have made it.
    let mut others = others();
    others.add_asked_for("DEMO-1", 9);
    let contested = Sighting::of(&likeness(), &[there], None, &others);
    let said = LookedFor::default().saw(&contested, &FIRST, Time::from_micros(0));
    assert!(matches!(&said, LookUp::Occupied { by } if by.contains("row 9")), "{said:?}");
}

#[test]
fn an_address_that_is_taken_by_what_nothing_shows_may_be_our_own() {
    let taken =
        |asked_before| Doubted::Refused { asked_before, message: "This URL is already taken.".into() };
    let twice = |doubted: &Doubted, at: Option<&Shown>| {
        let (mut looked, sighting) = (LookedFor::default(), Sighting::of(&likeness(), &[], at, &others()));
        looked.saw(&sighting, doubted, Time::from_micros(0));
        looked.saw(&sighting, doubted, Time::from_micros(0).plus(PAUSE))
    };
    assert!(is_several(&twice(&taken(true), None)));
    let foreign = shown("evt-9", "demo-1", "Theirs", 5_000);
    assert_eq!(twice(&taken(true), Some(&foreign)), LookUp::AbsentTwice, "it is shown by whom");
    assert_eq!(twice(&LATER, None), LookUp::AbsentTwice, "refused for something else");
    assert_eq!(twice(&Doubted::Unanswered, None), LookUp::AbsentTwice);
}

#[test]
fn what_was_seen_in_between_begins_the_pause_anew() {
    let mut looked = LookedFor::default();
    let at = |seconds| Time::from_micros(0).plus(Duration::from_secs(seconds));
    let nothing = Sighting::default();
    let alike = Sighting { namesakes: vec![id("evt-2")], ..Sighting::default() };
    let mut saw = |sighting, seconds| looked.saw(sighting, &Doubted::Unanswered, at(seconds));
    assert_eq!(saw(&nothing, 0), LookUp::AbsentOnce);
    assert!(is_several(&saw(&alike, 30)));
    assert_eq!(saw(&nothing, 60), LookUp::AbsentOnce);
    assert_eq!(saw(&nothing, 119), LookUp::AbsentOnce);
    assert_eq!(saw(&nothing, 120), LookUp::AbsentTwice);
    assert_eq!(looked.again_at(), Some(at(120)));
}

proptest! {
    #[test]
    fn absence_is_believed_only_after_two_looks_with_the_pause_between(
        steps in prop::collection::vec((-120_i64..120, any::<bool>()), 1..40)
    ) {
        let mut looked = LookedFor::default();
        let mut now = 1_000_000_000_i64;
        let mut absent: Vec<i64> = Vec::new();
        for (step, is_there) in steps {
            now += step * 1_000_000;
            let exact = if is_there { vec![(id("evt-1"), true)] } else { vec![] };
            let sighting = Sighting { exact, ..Sighting::default() };
            match looked.saw(&sighting, &Doubted::Unanswered, Time::from_micros(now)) {
                LookUp::AbsentTwice => {
                    prop_assert!(!is_there);
                    prop_assert!(absent.iter().any(|then| now - then >= 60_000_000), "{absent:?} {now}");
                }
                LookUp::Found(_) => prop_assert!(is_there),
                _ => prop_assert!(!is_there),
            }
            if !is_there {
                absent.push(now);
            }
        }
    }
}
