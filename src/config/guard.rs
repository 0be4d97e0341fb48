//! `[guard]`: what a person lets go out unseen.

use super::reader::Reader;
use super::values::{Wrong, shown};
use crate::domain::guard::Guards;

const OFF: &str = "off";

/// The section.
pub(super) fn guard(reader: &mut Reader<'_>) -> Guards {
    Guards {
        max_new_members: reader.read("guard.max_new_members", count).flatten(),
        max_invalid_ratio: reader.read("guard.max_invalid_ratio", |text| ratio(text, 1.0)).flatten(),
        max_change_ratio: reader.read("guard.max_change_ratio", |text| ratio(text, f64::MAX)).flatten(),
        min_rows: reader.count("guard.min_rows", 0..=1_000_000_000),
    }
}

fn count(text: &str) -> Result<Option<u64>, Wrong> {
    match text.trim() {
        OFF => Ok(None),
        number => number.parse().map(Some).map_err(|_| {
            Wrong::new(format!("is `{}`", shown(text)), "write a whole number, or `\"off\"` for no limit")
        }),
    }
}

fn ratio(text: &str, most: f64) -> Result<Option<f64>, Wrong> {
    let text = text.trim();
    if text == OFF {
        return Ok(None);
    }
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=most).contains(ratio));
    ratio.map(Some).ok_or_else(|| {
        let range = if most > 1.0 { "from 0" } else { "from 0 to 1" };
        let hint = format!("write a share {range}, like `0.2` for one in five, or `\"off\"` for no limit");
        Wrong::new(format!("is `{}`", shown(text)), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_is_no_limit_and_zero_the_strictest() {
        assert_eq!((count("off"), count(" 0 "), count("10000")), (Ok(None), Ok(Some(0)), Ok(Some(10_000))));
        assert_eq!(
            (ratio("off", 1.0), ratio("0", 1.0), ratio("0.2", 1.0)),
            (Ok(None), Ok(Some(0.0)), Ok(Some(0.2)))
        );
        assert_eq!(ratio("3", f64::MAX), Ok(Some(3.0)));
        for text in ["", "none", "-1", "1.5", "20%", "NaN", "inf"] {
            let said = ratio(text, 1.0).expect_err("refused").hint;
            assert!(said.starts_with("write a share from 0 to 1, like `0.2`"), "{text}: {said}");
            assert!(count(text).expect_err("refused").hint.contains("`\"off\"` for no limit"), "{text}");
        }
        assert!(ratio("inf", f64::MAX).is_err());
    }
}
