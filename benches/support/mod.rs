//! What all benchmarks stand on: a list, processes of their own for what is measured, a table.
//!
//! Nothing here asserts a time. What is wrong in kind (a count that is off) is an error.

pub(crate) mod args;
pub(crate) mod child;
pub(crate) mod list;
pub(crate) mod ours;
pub(crate) mod table;

use tempfile::TempDir;

/// A folder on the disk that cargo builds on, gone when dropped. Places that hold temporary files
/// are often memory, which no database pays for.
pub(crate) fn scratch() -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// Fails where a count is not what it must be.
pub(crate) fn same(what: &str, found: f64, wanted: f64) -> anyhow::Result<()> {
    anyhow::ensure!((found - wanted).abs() < 0.5, "{what}: found {found} instead of {wanted}");
    Ok(())
}

/// The middle one of these numbers, or the mean of the middle two.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => numbers[middle],
        _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
    }
}
