//! Which dialects may be written down, and what goes with which.

use super::{LUMA, load, load_with, only_problem, set};
use crate::domain::dialect::Dialect;
use crate::domain::proof::Verify;

#[test]
fn a_dialect_is_one_of_two_and_calendars_go_with_the_one_that_knows_them() {
    let text = only_problem("[luma]\ndialect = \"v2\"\napi_key = \"env:LUMA_API_KEY\"\n");
    assert!(text.contains("is `v2`, which is no dialect of Luma"), "{text}");
    assert!(text.contains("hint: write `dialect = \"v1\"` for a key of today's API"), "{text}");
    let text = only_problem(&format!("{LUMA}calendar_id = \"cal-abc\"\n"));
    assert!(text.contains("`luma.calendar_id` is set, but `luma.dialect` is `beta-2021`"), "{text}");
    let text = only_problem(&format!("{LUMA}create_missing_tags = true\n"));
    assert!(text.contains("has no way to make tags"), "{text}");
    let text = load("[luma]\ncalendar_id = \"abc\"\n").expect_err("refused").to_string();
    assert!(text.contains("is `abc`, which is no id of a calendar"), "{text}");
}

#[test]
fn todays_dialect_knows_its_address_and_its_own_keys() {
    let luma = "[luma]\ndialect = \"v1\"\napi_key = \"env:LUMA_API_KEY\"\n";
    let text = format!("{luma}calendar_id = \"cal-abc\"\ncreate_missing_tags = true\n");
    let config = load(&text).expect("sound");
    assert_eq!(config.luma.dialect, Dialect::V1);
    assert_eq!(config.luma.base_url.as_str(), "https://public-api.luma.com/");
    assert_eq!(config.luma.calendar_id.as_deref(), Some("cal-abc"));
    assert!(config.luma.create_missing_tags);
    assert!(!load(luma).expect("sound").luma.create_missing_tags);
}

#[test]
fn how_deliveries_are_proved_goes_with_the_dialect() {
    let verify = |text: &str| load(text).expect("sound").luma.verify;
    let v1 = "[luma]\ndialect = \"v1\"\napi_key = \"env:LUMA_API_KEY\"\n";
    assert_eq!((verify(LUMA), verify(v1)), (Verify::None, Verify::Counts));
    for wanted in Verify::ALL {
        assert_eq!(verify(&format!("{v1}verify = \"{wanted}\"\n")), *wanted);
    }
    let text = only_problem(&format!("{LUMA}verify = \"full\"\n"));
    assert!(text.contains("`luma.verify` is `full`, but `dialect` is `beta-2021`"), "{text}");
    assert!(text.ends_with("hint: write `\"none\"`, or leave it out"), "{text}");

    // What `[luma]` asks for is not asked of an account that has nothing to ask, unless it says so itself.
    let account = |more: &str| {
        let text = format!(
            "{v1}verify = \"full\"\n[accounts.paris]\ndialect = \"beta-2021\"\napi_key = \"env:PARIS\"\n{more}"
        );
        load_with(&text, |sources| set(sources, "PARIS", "0ther"))
    };
    assert_eq!(account("").expect("sound").account("paris").expect("there").luma.verify, Verify::None);
    let text = account("verify = \"counts\"\n").expect_err("refused").to_string();
    assert!(text.contains("`accounts.paris.verify` is `counts`, but `dialect` is `beta-2021`"), "{text}");
}
