//! `[notify]`: who is told of what.
//!
//! Knows the keys; whether notices can be posted to an address is asked of nobody but its spelling.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::reader::Reader;
use super::sections::is_loopback;
use super::types::Notify;
use super::values::{Wrong, shown};
use crate::domain::notice::Topic;

const URL: &str = "notify.url";
const ON: &str = "notify.on";
const SECRET: &str = "notify.secret";

/// The receiver, where one is configured and `is_fetched`; where it is not, only the keys are looked at.
pub(super) fn notify(reader: &mut Reader<'_>, is_fetched: bool) -> Option<Notify> {
    let on = topics(reader);
    let (has_url, has_secret) = (reader.has(URL), reader.has(SECRET));
    if has_secret && !has_url {
        let hint = "write `url = \"env:HOOK_URL\"` beside it, or leave it out";
        reader.wrong(SECRET, Wrong::new("is set, and there is no `notify.url` to sign for", hint));
    }
    if !is_fetched {
        reader.secret_place(URL);
        reader.secret_place(SECRET);
        return None;
    }
    let url = reader.secret(URL);
    let secret = reader.secret(SECRET);
    if !has_url {
        return None;
    }
    if reader.are_sound(&[URL])
        && let Err(wrong) = address(&url)
    {
        reader.wrong(URL, wrong);
    }
    Some(Notify { url, secret: has_secret.then_some(secret), on })
}

/// Never repeats the address: it holds a token.
fn address(url: &SecretString) -> Result<(), Wrong> {
    let hint = "the place it names must hold an address like `https://hooks.example.org/...`";
    let url = Url::parse(url.expose_secret())
        .map_err(|error| Wrong::new(format!("leads to something that is not a URL: {error}"), hint))?;
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
        return Ok(());
    }
    let why =
        "leads to an address that does not begin with `https://`, or its token would travel in the open";
    Err(Wrong::new(why, "`http://` is for receivers on this machine alone"))
}

fn topics(reader: &mut Reader<'_>) -> Vec<Topic> {
    let words = reader.texts(ON);
    let mut topics = Vec::new();
    for word in &words {
        if let Some(topic) = Topic::parse(word) {
            topics.push(topic);
        } else {
            let known: Vec<String> = Topic::ALL.iter().map(|topic| format!("`\"{topic}\"`")).collect();
            let message = format!("names `{}`, which nobody can be told of", shown(word));
            reader.wrong(ON, Wrong::new(message, format!("write some of {}", known.join(", "))));
        }
    }
    if words.is_empty() && reader.are_sound(&[ON]) {
        reader
            .wrong(ON, Wrong::new("names nothing", "leave it out for everything, or leave out `notify.url`"));
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LUMA, load_with, set};
    use super::*;

    fn read(lines: &str, url: &str) -> Result<Option<Notify>, String> {
        let text = format!("{LUMA}[notify]\n{lines}\n");
        let loaded = load_with(&text, |sources| {
            set(sources, "HOOK_URL", url);
            set(sources, "HOOK_SECRET", "s1gn");
        });
        loaded.map(|config| config.notify).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_told_where_nothing_is_said() {
        assert!(load_with(LUMA, |_| {}).expect("sound").notify.is_none());
        let found =
            read("url = \"env:HOOK_URL\"", "https://hooks.example.org/t0ken").expect("sound").expect("set");
        assert_eq!(found.on, Topic::ALL);
        assert!(found.secret.is_none());
        assert!(!format!("{found:?}").contains("t0ken"));
        let lines = "url = \"env:HOOK_URL\"\nsecret = \"env:HOOK_SECRET\"\non = [\"held\", \"failed\"]";
        let found = read(lines, "http://127.0.0.1:9/t0ken").expect("sound").expect("set");
        assert_eq!(found.on, [Topic::Held, Topic::Failed]);
        assert_eq!(found.secret.expect("set").expose_secret(), "s1gn");
    }

    #[test]
    fn what_cannot_be_right_is_refused_and_no_token_repeated() {
        for (lines, url, said) in [
            ("url = \"https://hooks.example.org/t0ken\"", "", "takes the place where the secret is kept"),
            ("url = \"env:HOOK_URL\"", "http://hooks.example.org/t0ken", "does not begin with `https://`"),
            ("url = \"env:HOOK_URL\"", "http://10.0.0.7/t0ken", "does not begin with `https://`"),
            ("url = \"env:HOOK_URL\"", "hooks/t0ken", "is not a URL"),
            ("secret = \"env:HOOK_SECRET\"", "", "there is no `notify.url`"),
            ("url = \"env:HOOK_URL\"\non = [\"faild\"]", "https://x/t0ken", "names `faild`"),
            ("url = \"env:HOOK_URL\"\non = []", "https://x/t0ken", "names nothing"),
        ] {
            let refused = read(lines, url).map(|_| ()).expect_err(lines);
            assert!(refused.contains(said) && !refused.contains("t0ken"), "{refused}");
        }
    }
}
