//! Which dialects may be written down, and what goes with which.

use super::{LUMA, load, only_problem};

#[test]
fn half_a_dialect_is_refused_and_calendars_go_with_the_one_that_knows_them() {
    let text = only_problem("[luma]\ndialect = \"v1\"\napi_key = \"env:LUMA_API_KEY\"\n");
    assert!(text.contains("`luma.dialect` is `v1`, of which this release speaks only a part"), "{text}");
    let text = only_problem("[luma]\ndialect = \"v2\"\napi_key = \"env:LUMA_API_KEY\"\n");
    assert!(text.contains("is `v2`, which is no dialect of Luma"), "{text}");
    assert!(text.ends_with("hint: write `dialect = \"beta-2021\"`"), "{text}");
    let text = only_problem(&format!("{LUMA}calendar_id = \"cal-abc\"\n"));
    assert!(text.contains("`luma.calendar_id` is set, but `luma.dialect` is `beta-2021`"), "{text}");
    let text = load("[luma]\ncalendar_id = \"abc\"\n").expect_err("refused").to_string();
    assert!(text.contains("is `abc`, which is no id of a calendar"), "{text}");
}
