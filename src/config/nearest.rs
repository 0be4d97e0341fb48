//! What somebody probably meant by a key that does not exist.

use std::collections::BTreeSet;

/// Below this likeness a suggestion confuses more than it helps.
const ALIKE: f64 = 0.6;

/// Names the nearest known key or section, or else the keys that stand beside it.
pub(super) fn hint(key: &str, known: &BTreeSet<String>) -> String {
    let mut names: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    names.extend(known.iter().flat_map(|key| key.match_indices('.').map(|(end, _)| &key[..end])));
    let nearest = names
        .iter()
        .map(|name| (likeness(key, name), *name))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(likeness, _)| *likeness >= ALIKE);
    if let Some((_, name)) = nearest {
        return format!("did you mean `{name}`?");
    }
    let beside = section(key);
    let siblings: Vec<_> =
        names.iter().filter(|name| section(name) == beside).map(|name| format!("`{}`", last(name))).collect();
    match (beside, siblings.is_empty()) {
        ("", _) | (_, true) => format!("the sections are {}", sections(&names)),
        (section, false) => format!("the keys of `[{section}]` are {}", siblings.join(", ")),
    }
}

/// The same for a key beside those of one section.
pub(super) fn name_hint(name: &str, known: &[&str]) -> String {
    let alike = |known: &&str| strsim::normalized_damerau_levenshtein(name, known);
    let nearest = known.iter().max_by(|one, other| alike(one).total_cmp(&alike(other)));
    if let Some(nearest) = nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        return format!("did you mean `{nearest}`?");
    }
    let names: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    format!("known are {}", names.join(", "))
}

/// A slip of the pen, or the right word in the wrong section.
fn likeness(key: &str, name: &str) -> f64 {
    let whole = strsim::normalized_damerau_levenshtein(key, name);
    if last(key) == last(name) { whole.mul_add(0.1, 0.9) } else { whole }
}

fn sections(names: &BTreeSet<&str>) -> String {
    let tops: BTreeSet<_> = names.iter().map(|name| name.split('.').next().unwrap_or(name)).collect();
    tops.iter().map(|top| format!("`[{top}]`")).collect::<Vec<_>>().join(", ")
}

fn section(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(section, _)| section)
}

fn last(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_a_wrong_section_and_a_stranger_each_get_help() {
        let known = ["luma.api_key", "luma.timeout", "batch.max_rows", "batch.max_bytes", "tags"];
        let known = known.map(str::to_owned).into();
        for (key, wanted) in [
            ("luma.api_kye", "did you mean `luma.api_key`?"),
            ("lumma", "did you mean `luma`?"),
            ("tag", "did you mean `tags`?"),
            ("batch.timeout", "did you mean `luma.timeout`?"),
            ("max_rows", "did you mean `batch.max_rows`?"),
            ("batch.colour", "the keys of `[batch]` are `max_bytes`, `max_rows`"),
            ("colour", "the sections are `[batch]`, `[luma]`, `[tags]`"),
        ] {
            assert_eq!(hint(key, &known), wanted, "{key}");
        }
    }
}
