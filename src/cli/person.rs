//! Who decides: what people change by hand is noted with their name.

use super::out;

/// The name that was given, or the login; where there is neither, that is told.
pub(super) fn person(given: Option<&str>) -> Option<String> {
    let given = given.map(|name| name.trim().to_owned());
    let named = given.or_else(login).filter(|name| !name.is_empty());
    if named.is_none() {
        out::talk("error: it is not known who decides\nhint: say it with `--by NAME`");
    }
    named
}

/// The login, as far as the environment says it.
pub(super) fn login() -> Option<String> {
    let said = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    said.map(|name| name.trim().to_owned()).find(|name| !name.is_empty())
}

/// What a command that notes who decides has to be told besides, where the login is not known.
pub(super) fn told_by() -> &'static str {
    if login().is_some() { "" } else { " --by NAME" }
}
