//! Fault lists: how they are read, and whom they strike.

use super::*;
use proptest::prelude::*;

fn faults(text: &str) -> Faults {
    text.parse().expect("faults")
}

fn meet(text: &str, nth: u64) -> Option<Instead> {
    faults(text).meet(Asked::Import, nth, &mut fastrand::Rng::with_seed(1)).instead
}

#[test]
fn every_kind_is_read() {
    for (text, kind) in [
        ("503", Kind::Instead(Instead::Status(StatusCode::SERVICE_UNAVAILABLE))),
        ("plan", Kind::Instead(Instead::Plan)),
        ("html", Kind::Instead(Instead::Html(StatusCode::BAD_GATEWAY))),
        ("html-ok", Kind::Instead(Instead::Html(StatusCode::OK))),
        ("reset", Kind::Instead(Instead::Reset)),
        ("reset-after", Kind::Spoil(Spoil::Cut)),
        ("empty", Kind::Spoil(Spoil::Empty)),
        ("truncated", Kind::Spoil(Spoil::Truncated)),
        ("slow", Kind::Slow(Duration::from_secs(2))),
        ("slow=300ms", Kind::Slow(Duration::from_millis(300))),
        ("max-rows=100", Kind::MaxRows(100)),
        ("lose", Kind::Lose(100.0)),
        ("lose=1.5%", Kind::Lose(1.5)),
        ("reject=Bo@Example.org", Kind::Reject(Guilty { address: "bo@example.org".into(), named: false })),
        ("reject-named=bo@a.org", Kind::Reject(Guilty { address: "bo@a.org".into(), named: true })),
    ] {
        assert_eq!(faults(text), Faults(vec![Fault { only: None, kind, when: When::Always }]), "{text}");
    }
}

#[test]
fn a_fault_strikes_at_its_number_or_from_it_on() {
    let struck = |text: &str| (1..=4).filter(|nth| meet(text, *nth).is_some()).collect::<Vec<_>>();
    assert_eq!(struck("500@2"), [2]);
    assert_eq!(struck("500@3+"), [3, 4]);
    assert_eq!(struck("500"), [1, 2, 3, 4]);
    assert_eq!(struck(""), Vec::<u64>::new());
}

#[test]
fn an_address_keeps_its_own_at_sign() {
    let guilty = faults("reject=bo@a.org@2");
    let mut rng = fastrand::Rng::with_seed(1);
    assert_eq!(guilty.meet(Asked::Import, 1, &mut rng), Trouble::default());
    assert_eq!(&*guilty.meet(Asked::Import, 2, &mut rng).guilty[0].address, "bo@a.org");
}

#[test]
fn what_only_looks_meets_the_faults_that_name_it() {
    let all = faults("503, reads:500@2, tags:504");
    let met = |asked, nth| all.meet(asked, nth, &mut fastrand::Rng::with_seed(1)).instead;
    let status = |code| Some(Instead::Status(StatusCode::from_u16(code).expect("a status")));
    assert_eq!((met(Asked::Read, 1), met(Asked::Read, 2)), (None, status(500)));
    assert_eq!((met(Asked::Import, 1), met(Asked::Event, 1)), (status(503), status(503)));
    assert_eq!(met(Asked::Tag, 1), status(503), "the first one counts");
}

#[test]
fn who_is_lost_follows_from_the_seed_and_the_address() {
    let some = faults("lose=10%");
    let trouble = some.meet(Asked::Import, 1, &mut fastrand::Rng::with_seed(1));
    let lost = |seed| (0..1_000).filter(|n| trouble.loses(&format!("P{n}@a.org"), seed)).collect::<Vec<_>>();
    assert!((70..130).contains(&lost(1).len()), "{}", lost(1).len());
    assert_ne!(lost(1), lost(2));
    assert!(lost(1).iter().all(|n| trouble.loses(&format!("p{n}@A.org"), 1)), "however it is spelt");
    assert!(!Trouble::default().loses("p1@a.org", 1));
}

#[test]
fn several_faults_meet_in_one_import() {
    let all = faults("slow=1s, 500@2, 503@2+, max-rows=3, truncated, reject=a@b.org, reject=c@d.org");
    let met = all.meet(Asked::Import, 2, &mut fastrand::Rng::with_seed(1));
    assert_eq!(met.instead, Some(Instead::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    assert_eq!(met.guilty.len(), 2);
    assert_eq!((met.max_rows, met.delay), (Some(3), Some(Duration::from_secs(1))));
    assert_eq!(met.spoil, Some(Spoil::Truncated));
}

#[test]
fn a_share_is_near_its_size_and_the_same_for_one_seed() {
    let quarter = faults("500@25%");
    let struck = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        (1..=10_000)
            .filter(|nth| quarter.meet(Asked::Import, *nth, &mut rng).instead.is_some())
            .collect::<Vec<_>>()
    };
    assert!((2_300..2_700).contains(&struck(7).len()), "{}", struck(7).len());
    assert_eq!(struck(7), struck(7));
    assert_ne!(struck(7), struck(8));
    assert_eq!(meet("500@0%", 1), None);
    assert!(meet("500@100%", 1).is_some());
}

#[test]
fn an_error_names_the_part_and_what_is_known() {
    for bad in [
        "boom",
        "200",
        "600",
        "500@0",
        "500@x",
        "500@101%",
        "500@nan%",
        "slow=soon",
        "slow=-1s",
        "lose=3",
        "reads:",
        "writes:500",
        "max-rows",
        "max-rows=-1",
        "reject",
        "reject=bo",
        "reject=bo@a.org@soon",
        "html=1",
    ] {
        let error = format!("503@1, {bad}").parse::<Faults>().expect_err(bad).to_string();
        assert!(error.starts_with(&format!("`{bad}` is not a fault: ")), "{error}");
        assert!(error.contains("`reset-after`") && error.contains("`@N+`"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fall_over(text in "[a-z0-9@=%+,. -]{0,40}") {
        let _ = text.parse::<Faults>();
    }

    #[test]
    fn a_number_strikes_exactly_once(nth in 1..1_000_u64) {
        let fault = faults(&format!("reset@{nth}"));
        let mut rng = fastrand::Rng::with_seed(nth);
        let struck = (1..=1_000).filter(|at| fault.meet(Asked::Import, *at, &mut rng).instead.is_some()).collect::<Vec<_>>();
        prop_assert_eq!(struck, vec![nth]);
    }
}
