//! A Luma of the test's own, with everything it was sent.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::config::dialect;
use lumasync::clock::Clock;
use lumasync::domain::dialect::Dialect;
use lumasync::sandbox::{HeldEvent, Options, Request, Sandbox, Snapshot};
use tokio::runtime::{Builder, Runtime};

/// The key that it lets in, which the binary finds in `TEST_LUMA_KEY`.
pub(crate) const KEY: &str = "test-luma-key";

/// The tags that tests name.
const TAGS: [&str; 7] =
    ["tag-vip", "tag-press", "tag-gold", "tag-paris", "tag-paris-vip", "tag-new", "tag-a"];

/// Asked on top of what the beta is asked.
const TAG_LIST: &str = "GET /v1/calendars/contact-tags/list";

/// It runs on a thread of its own, so that tests need no runtime.
pub(crate) struct Luma {
    sandbox: Sandbox,
    _runtime: Runtime,
}

impl Luma {
    /// Listens on a free port; the key is always `KEY`.
    pub(crate) fn start(options: Options) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let mut options = Options { key: KEY.to_owned(), ..options };
        // Today's API refuses a tag that is not there; the beta's of the sandbox takes any.
        if dialect() == Dialect::V1 && options.known_tags.is_empty() {
            options.known_tags = TAGS.map(str::to_owned).to_vec();
        }
        let sandbox = runtime.block_on(Sandbox::start(options, Clock::system())).expect("a free port");
        Self { sandbox, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        self.sandbox.url()
    }

    /// The counters as they stand, but for questions about tags.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.sandbox.snapshot();
        let asked = snapshot.answers.remove(TAG_LIST).unwrap_or_default();
        snapshot.requests -= asked.values().sum::<u64>();
        snapshot
    }

    /// The counters of one key.
    pub(crate) fn snapshot_of(&self, key: &str) -> Snapshot {
        self.sandbox.snapshot_of(key)
    }

    /// Asks it for something as another program with the same key does.
    pub(crate) fn post(&self, path: &str, body: &str) {
        let url = self.url();
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: luma\r\nconnection: close\r\nx-luma-api-key: {KEY}");
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// Every event that a key holds.
    pub(crate) fn events_of(&self, key: &str) -> Vec<HeldEvent> {
        self.sandbox.events_of(key)
    }

    /// Everybody that a key holds, with their tags.
    pub(crate) fn members_of(&self, key: &str) -> BTreeMap<String, Vec<String>> {
        self.sandbox.members_of(key)
    }

    /// Everybody it holds with their name, by address.
    pub(crate) fn names(&self) -> BTreeMap<String, Option<String>> {
        self.sandbox.contacts_of(KEY).into_iter().map(|contact| (contact.email, contact.name)).collect()
    }

    /// The names of its tags, in order.
    pub(crate) fn tags(&self) -> Vec<String> {
        let mut names: Vec<String> = self.sandbox.tags_of(KEY).into_values().collect();
        names.sort_unstable();
        names
    }

    /// Every request so far, where they are recorded.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.sandbox.requests()
    }

    /// Every event it holds.
    pub(crate) fn events(&self) -> Vec<HeldEvent> {
        self.sandbox.events()
    }

    /// Everybody it holds, with their tags.
    pub(crate) fn members(&self) -> BTreeMap<String, Vec<String>> {
        self.sandbox.members()
    }
}
