//! The rules of addresses, read against tables of good ones and bad ones.

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    Address::parse(text).expect(text).canonical().to_owned()
}

#[test]
fn the_local_part_keeps_its_case_and_the_key_does_not() {
    let address = Address::parse("Ana.Lima+News@Example.ORG").expect("an address");
    assert_eq!(address.canonical(), "Ana.Lima+News@example.org");
    assert_eq!(address.key(), "ana.lima+news@example.org");
    let plain = Address::parse("ana@example.org").expect("an address");
    assert!(matches!(plain.canonical, Cow::Borrowed(_)) && plain.key.is_none());
    assert_eq!(plain.key(), plain.canonical());
}

#[test]
fn the_hash_of_a_key_is_the_one_in_everybodys_database() {
    let hash = |text: &str| Address::parse(text).expect("an address").key_hash();
    assert_eq!(hash("ana@example.org"), KNOWN_HASH);
    assert_eq!(hash("ANA@example.org"), KNOWN_HASH);
    assert_ne!(hash("anna@example.org"), KNOWN_HASH);
}

const KNOWN_HASH: i64 = -5_594_092_284_662_212_521;

#[test]
fn what_surrounds_an_address_is_taken_off() {
    for text in
        [" a@x.org ", "\u{feff}a@x.org", "\u{a0}a@x.org\u{200b}", "\t a@x.org\r\n", "\u{202a}a@x.org\u{202c}"]
    {
        assert_eq!(canonical(text), "a@x.org", "{text:?}");
    }
}

#[test]
fn odd_but_real_addresses_pass() {
    let long = format!("{}@x.org", "a".repeat(64));
    for text in [
        "o'hara@x.ie",
        "a@1.x.co",
        "a_b-c@x-y.museum",
        "x/y=z@q.io",
        "a@xn--mnchen-3ya.de",
        "{a}|~@x.org",
        &long,
    ] {
        assert_eq!(canonical(text), text);
    }
}

#[test]
fn international_domains_become_ascii() {
    assert_eq!(canonical("ana@München.DE"), "ana@xn--mnchen-3ya.de");
    assert_eq!(canonical("Ana@例え。jp"), "Ana@xn--r8jz45g.jp");
    assert_eq!(canonical("ana@ｅｘａｍｐｌｅ.org"), "ana@example.org");
}

#[test]
fn each_mistake_has_its_own_reason() {
    use EmailError as E;
    let label = "a".repeat(64);
    let cases: Vec<(String, E)> = vec![
        (String::new(), E::Empty),
        (" \u{a0}\u{200b}".into(), E::Empty),
        ("ana".into(), E::NoAt { spelled_out: false }),
        ("ana (at) x.org".into(), E::NoAt { spelled_out: true }),
        ("a@@x.org".into(), E::ManyAts),
        ("a@b@x.org".into(), E::ManyAts),
        ("a@x.org, b@y.org".into(), E::Several),
        ("a@x.org;b@y.org".into(), E::Several),
        ("a@x.org\nb@y.org".into(), E::Several),
        ("Ana <a@x.org>, Bo <b@y.org>".into(), E::Several),
        ("Ana <a@x.org>".into(), E::DisplayName),
        ("<a@x.org>".into(), E::DisplayName),
        ("MailTo:a@x.org".into(), E::Mailto),
        ("a b@x.org".into(), E::Space),
        ("a@x .org".into(), E::Space),
        ("a\u{0}@x.org".into(), E::Invisible(0)),
        ("a@x.org\u{0}".into(), E::Invisible(0)),
        ("a\u{200b}b@x.org".into(), E::Invisible(0x200b)),
        ("a@gmail,com".into(), E::Comma),
        ("a@x.org;".into(), E::Trailing(';')),
        ("a@x.org,".into(), E::Trailing(',')),
        ("@x.org".into(), E::LocalEmpty),
        (format!("{label}a@x.org"), E::LocalTooLong(65)),
        (".a@x.org".into(), E::LocalDots),
        ("a.@x.org".into(), E::LocalDots),
        ("a..b@x.org".into(), E::LocalDots),
        ("\"a b\"@x.org".into(), E::LocalQuoted),
        ("josé@x.org".into(), E::LocalNotAscii('é')),
        ("a(b)@x.org".into(), E::LocalCharacter('(')),
        ("a@".into(), E::DomainEmpty),
        ("a@[192.0.2.1]".into(), E::DomainLiteral),
        ("a@192.0.2.1".into(), E::DomainLiteral),
        ("a@localhost".into(), E::DomainOneLabel("localhost".into())),
        ("a@x.org.".into(), E::DomainDots),
        ("a@.x.org".into(), E::DomainDots),
        ("a@x..org".into(), E::DomainDots),
        (format!("a@{label}.org"), E::LabelTooLong(label.clone())),
        ("a@-x.org".into(), E::LabelHyphen("-x".into())),
        ("a@x-.org".into(), E::LabelHyphen("x-".into())),
        ("a@x_y.org".into(), E::DomainCharacter('_')),
        ("a@x.123".into(), E::DomainNumeric("123".into())),
        (format!("a@{}org", "abcdefg.".repeat(32)), E::DomainTooLong(259)),
        (format!("{}@{}org", "a".repeat(60), "abcdefg.".repeat(25)), E::TooLong(264)),
    ];
    for (text, error) in cases {
        assert_eq!(Address::parse(&text), Err(error), "{text:?}");
    }
}

#[test]
fn a_comma_for_a_dot_is_pointed_out_and_a_huge_cell_is_not_repeated() {
    let error = Address::parse("ana@gmail,com").expect_err("refused");
    assert!(error.hint().is_some_and(|hint| hint.contains("comma")));
    for huge in
        ["a".repeat(1 << 20), format!("a@{}", "b".repeat(1 << 20)), format!("a@{}", "é".repeat(1 << 20))]
    {
        let error = Address::parse(&huge).expect_err("refused");
        assert!(error.to_string().chars().count() < 160, "{}", error.to_string().len());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_is_read_again_as_itself(text in ".{0,40}|[a-zA-Z.é-]{1,12}@[a-zA-Zü0-9.-]{1,30}") {
        if let Ok(address) = Address::parse(&text) {
            let again = Address::parse(address.canonical()).expect("canonical is an address");
            prop_assert_eq!(&again, &address.clone().into_owned());
            prop_assert_eq!(again.canonical(), address.canonical());
            prop_assert!(address.canonical().len() <= MAX_TOTAL);
        }
    }

    #[test]
    fn keys_do_not_know_case(local in "[a-zA-Z0-9]{1,10}(\\.[a-zA-Z!#$+]{1,10}){0,2}", domain in "[a-zA-Z0-9]{1,10}\\.[a-zA-Z]{2,5}") {
        let text = format!("{local}@{domain}");
        let (upper, lower) = (text.to_uppercase(), text.to_lowercase());
        let parsed = Address::parse(&text).expect("an address");
        for other in [Address::parse(&upper).expect("an address"), Address::parse(&lower).expect("an address")] {
            prop_assert_eq!(parsed.key(), other.key());
            prop_assert_eq!(parsed.key_hash(), other.key_hash());
        }
    }

    #[test]
    fn the_fast_way_and_the_slow_way_agree(text in "[aA.@é\\-1_, ]{0,6}@[aAü.\\-1,]{1,8}") {
        let text = text.trim();
        if let Some(shape) = plain(text) {
            prop_assert_eq!(Ok(Address::build(text, shape)), explain(text));
        }
    }
}
