//! Reading Luma's JSON: what every generation of it calls things. Unknown fields are passed over; a field
//! that must be there and is not makes the answer an odd one, which says what it lacks.

use serde_json::Value;

/// What an answer lacks, or has and should not; reads on after `an answer that`.
pub(super) type Odd = String;

/// The first of these fields that is there.
pub(super) fn field<'a>(object: &'a Value, names: &[&str]) -> Result<&'a Value, Odd> {
    let found = names.iter().find_map(|name| object.get(*name).filter(|value| !value.is_null()));
    found.ok_or_else(|| format!("lacks `{}`", names.first().copied().unwrap_or_default()))
}

/// The same, as a text that says something.
pub(super) fn text<'a>(object: &'a Value, names: &[&str]) -> Result<&'a str, Odd> {
    let found = field(object, names)?.as_str().filter(|text| !text.trim().is_empty());
    found.ok_or_else(|| format!("has no text in `{}`", names.first().copied().unwrap_or_default()))
}

/// Luma's id of something.
pub(super) fn id(object: &Value) -> Result<&str, Odd> {
    text(object, &["id", "api_id"])
}

/// A count.
pub(super) fn count(object: &Value, name: &str) -> Result<u64, Odd> {
    let value = field(object, &[name])?;
    // Luma calls every number a number: `2.0` is one too.
    let whole = value.as_u64().or_else(|| value.as_f64().and_then(whole));
    whole.ok_or_else(|| format!("has no count in `{name}`"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and in range"
)]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

/// A row or an answer itself, or what older generations wrap into it.
pub(super) fn unwrapped<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).filter(|inner| inner.is_object()).unwrap_or(value)
}

/// One page of a list.
pub(super) struct Page<'a> {
    pub(super) entries: &'a [Value],
    /// Whether there are more.
    pub(super) has_more: bool,
    /// Where the next page begins; Luma fills it on the last page too.
    next: Option<&'a str>,
}

impl<'a> Page<'a> {
    pub(super) fn of(answer: &'a Value) -> Result<Self, Odd> {
        let entries = field(answer, &["entries"])?.as_array().ok_or("has no list in `entries`")?;
        let has_more =
            field(answer, &["has_more"])?.as_bool().ok_or("has neither `true` nor `false` in `has_more`")?;
        Ok(Self { entries, has_more, next: answer.get("next_cursor").and_then(Value::as_str) })
    }

    /// Where the next page begins, if there is one.
    pub(super) fn next(&self) -> Result<Option<String>, Odd> {
        match (self.has_more, self.next) {
            (false, _) => Ok(None),
            (true, Some(next)) if !next.is_empty() => Ok(Some(next.to_owned())),
            (true, _) => Err("says that there is more and lacks `next_cursor`".to_owned()),
        }
    }
}
