//! Who decides: what people change by hand is noted with their name.

use super::out;

/// The name that was given, or the login; where there is neither, that is told.
pub(super) fn person(given: Option<&str>) -> Option<String> {
    let login = || ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let named = given.map(str::to_owned).or_else(login);
    let named = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    if named.is_none() {
        out::talk("error: it is not known who decides\nhint: say it with `--by NAME`");
    }
    named
}
