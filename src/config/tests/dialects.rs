//! Which dialects may be written down, and what goes with which.

use super::{LUMA, load, only_problem};
use crate::domain::dialect::Dialect;

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
