//! A configuration for tests: the local Luma, and no wait longer than it has to be.

use lumasync::domain::dialect::Dialect;

/// What the binary speaks: the beta, or what `LUMASYNC_TEST_DIALECT` says.
pub(crate) fn dialect() -> Dialect {
    match std::env::var("LUMASYNC_TEST_DIALECT") {
        Ok(name) => Dialect::parse(&name).unwrap_or_else(|| panic!("LUMASYNC_TEST_DIALECT is `{name}`")),
        Err(_) => Dialect::Beta2021,
    }
}

/// The route of imports in that dialect.
pub(crate) fn import_route() -> &'static str {
    match dialect() {
        Dialect::Beta2021 => "POST /user/audience/import",
        Dialect::V1 => "POST /v1/calendars/contacts/import",
    }
}

/// The text of a `lumasync.toml`. `extra` holds lines of `section.key = value`; such a line takes the place
/// of ours for the same key.
pub(crate) fn config_text(database: &str, url: &str, extra: &str) -> String {
    let (database, url) = (format!("\"{database}\""), format!("\"{url}\""));
    let dialect = format!("\"{}\"", dialect());
    let ours = [
        ("database.url", database.as_str()),
        ("luma.dialect", &dialect),
        ("luma.base_url", &url),
        ("luma.api_key", "\"env:TEST_LUMA_KEY\""),
        ("luma.second_look", "\"20ms\""),
        ("luma.rate_limit.requests", "200"),
        ("luma.rate_limit.window", "\"60s\""),
        ("luma.rate_limit.reserve", "5"),
        ("luma.rate_limit.per_second", "1000"),
        ("batch.max_wait", "\"20ms\""),
        ("retry.initial_backoff", "\"10ms\""),
        ("retry.max_backoff", "\"200ms\""),
        ("folder.path", "\"drop\""),
        ("folder.settle", "\"50ms\""),
        ("folder.poll", "\"20ms\""),
        ("queue.poll", "\"20ms\""),
        ("guard.max_new_members", "\"off\""),
        ("guard.max_invalid_ratio", "\"off\""),
        ("guard.max_change_ratio", "\"off\""),
        // Many services at once cannot have one port.
        ("web.listen", "\"\""),
        ("tags.vip", "\"tag-vip\""),
        ("tags.press", "\"tag-press\""),
    ];
    let key_of = |line: &str| line.split('=').next().map(|key| key.trim().to_owned());
    let replaced = |key: &str| extra.lines().any(|line| key_of(line).as_deref() == Some(key));
    // What the tests that run in both dialects count is `delivered`.
    let proof = (dialect == "\"v1\"").then_some(("luma.verify", "\"none\""));
    let kept = ours.iter().chain(&proof).filter(|(key, _)| !replaced(key));
    kept.map(|(key, value)| format!("{key} = {value}\n")).chain([extra.to_owned()]).collect()
}
