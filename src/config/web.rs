//! `[web]`: where the pages are served, under which names, and who may come.
//!
//! Says what is sound; what the pages do is not known here.

use std::net::SocketAddr;

use secrecy::{ExposeSecret as _, SecretString};

use super::problem::{ConfigError, Problem};
use super::reader::Reader;
use super::secret::Place;
use super::values::{Wrong, shown};

/// The shortest token that nobody guesses.
const SHORTEST: usize = 16;
const TOKEN_HINT: &str = "write `token = \"env:LUMASYNC_TOKEN\"` and set that variable to a long word, such as `openssl rand -hex 24` makes";

/// `[web]`
#[derive(Clone, Debug)]
pub struct Web {
    /// Where to listen; nowhere where there is none.
    pub listen: Option<SocketAddr>,
    /// Nobody has asked for that place.
    pub is_by_default: bool,
    /// Further names under which the pages are reached.
    pub hosts: Vec<String>,
    /// Bytes of a file that is uploaded.
    pub max_upload: u64,
    token: Option<Result<SecretString, Problem>>,
}

impl Web {
    /// What whoever wants to change something must know, if anybody may. Only a service asks for it, so a
    /// command that runs without it has no problem.
    pub fn token(&self) -> Result<Option<SecretString>, ConfigError> {
        let token = self.token.clone().transpose();
        token.map_err(|problem| ConfigError { problems: vec![problem] })
    }
}

/// Reads the section.
pub(super) fn web(reader: &mut Reader<'_>) -> Web {
    let is_by_default = !reader.is_set("web.listen");
    let listen = reader.read("web.listen", listen).flatten();
    let hosts: Vec<String> = reader.texts("web.hosts").iter().map(|name| name.to_ascii_lowercase()).collect();
    if let Some(odd) = hosts.iter().find(|name| !is_host(name)) {
        let message = format!("names `{}`, which is no host", shown(odd));
        reader.wrong("web.hosts", Wrong::new(message, "write names without a port, like `sync.example.org`"));
    }
    let max_upload = reader.size("web.max_upload", 1 << 10);
    let token = token(reader);
    if let Some(address) = listen.filter(|_| token.is_none()) {
        if !address.ip().is_loopback() {
            let message = format!("is `{address}`, which others can reach, and there is no `token`");
            reader.wrong("web.listen", Wrong::new(message, TOKEN_HINT));
        } else if !hosts.is_empty() {
            let message = "names hosts, so others can reach the pages, and there is no `token`";
            reader.wrong("web.hosts", Wrong::new(message, TOKEN_HINT));
        }
    }
    Web { listen, is_by_default, hosts, max_upload, token }
}

fn listen(text: &str) -> Result<Option<SocketAddr>, Wrong> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    plain.as_deref().unwrap_or(text).parse().map(Some).map_err(|_| {
        let hint = "write an address and a port, like `127.0.0.1:8080`, or `\"\"` for no pages";
        Wrong::new(format!("is `{}`", shown(text)), hint)
    })
}

/// A place that is none is a problem of the file; a secret that is not to be had is one of whoever needs it.
fn token(reader: &mut Reader<'_>) -> Option<Result<SecretString, Problem>> {
    const KEY: &str = "web.token";
    let text = reader.text(KEY).filter(|text| !text.trim().is_empty())?;
    let fetched = match Place::parse(&text) {
        Ok(place) => reader.fetched(&place).and_then(long_enough),
        Err(wrong) => {
            reader.wrong(KEY, wrong);
            return None;
        }
    };
    Some(fetched.map_err(|Wrong { message, hint }| Problem::new(KEY, message, hint)))
}

fn long_enough(token: SecretString) -> Result<SecretString, Wrong> {
    if token.expose_secret().len() >= SHORTEST {
        return Ok(token);
    }
    let message = format!("names a secret of fewer than {SHORTEST} characters, which can be guessed");
    Err(Wrong::new(message, "take a longer one, such as `openssl rand -hex 24` makes"))
}

fn is_host(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    !name.is_empty() && name.bytes().all(is_plain) && !name.starts_with(['.', '-']) && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LUMA, load, problems};
    use super::*;

    fn of(lines: &str) -> String {
        format!("{LUMA}[web]\n{lines}")
    }

    #[test]
    fn pages_are_on_loopback_where_nothing_else_is_said() {
        let web = load(LUMA).expect("sound").web;
        assert_eq!(web.listen, Some(SocketAddr::from(([127, 0, 0, 1], 8080))));
        assert!(web.is_by_default);
        assert!(web.token().expect("none").is_none());
        assert_eq!(web.max_upload, 200 << 20);
        assert_eq!(load(&of("max_upload = \"3MB\"")).expect("sound").web.max_upload, 3_000_000);
        assert_eq!(load(&of("listen = \"\"")).expect("sound").web.listen, None);
        let named = load(&of("listen = \"localhost:0\"")).expect("sound").web;
        assert_eq!(named.listen, Some(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert!(!named.is_by_default);
    }

    #[test]
    fn what_others_can_reach_needs_a_token() {
        for (lines, key) in
            [("listen = \"0.0.0.0:80\"", "web.listen"), ("hosts = [\"sync.example.org\"]", "web.hosts")]
        {
            let found = problems(&of(lines));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].0 == key && found[0].1.contains("there is no `token`"), "{found:?}");
            load(&of(&format!("{lines}\ntoken = \"env:LUMASYNC_TOKEN\""))).expect("sound");
        }
    }

    #[test]
    fn a_token_is_asked_for_by_the_service_alone_and_must_be_long() {
        let web = load(&of("token = \"env:NOT_SET\"")).expect("sound").web;
        assert!(web.token().expect_err("not set").to_string().contains("`NOT_SET`, which is not set"));
        // The test's own key, which is short.
        let web = load(&of("token = \"env:LUMA_API_KEY\"")).expect("sound").web;
        let error = web.token().expect_err("short").to_string();
        assert!(error.contains("fewer than 16") && !error.contains("s3cret"), "{error}");
        assert_eq!(problems(&of("token = \"s3cret-itself\""))[0].0, "web.token");
    }

    #[test]
    fn odd_addresses_and_names_are_refused() {
        for lines in [
            "max_upload = \"much\"",
            "max_upload = \"9B\"",
            "listen = \"8080\"",
            "listen = \"example.org:80\"",
            "hosts = [\"a:80\"]",
        ] {
            let lines = format!("{lines}\ntoken = \"env:LUMASYNC_TOKEN\"");
            assert_eq!(problems(&of(&lines)).len(), 1, "{lines}");
        }
    }
}
