//! A service with its pages, and a client that says exactly what it is told to: no library would send most of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, PATIENCE, Running, wait_until};

/// The token of the tests.
pub(super) const TOKEN: &str = "a-token-that-only-the-tests-know";

/// A running service and where its pages are.
pub(super) struct Site {
    pub(super) service: Running,
    pub(super) address: SocketAddr,
}

/// Lines of a configuration with pages.
pub(super) const PAGES: &str = "web.listen = \"127.0.0.1:0\"\nweb.token = \"env:TEST_WEB_TOKEN\"";

impl Site {
    #[track_caller]
    pub(super) fn start(bench: &Bench) -> Self {
        let service = bench.lumasync(["run"]).env("TEST_WEB_TOKEN", TOKEN).spawn();
        wait_until(PATIENCE, "the pages", || service.stderr().contains("pages on http://"));
        let said = service.stderr();
        let address = said.split("pages on http://").nth(1).and_then(|rest| rest.split('/').next());
        Self { address: address.expect("an address").parse().expect("an address"), service }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        stream
    }

    /// Sends these bytes and reads to the end.
    pub(super) fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has heard enough closes before all is sent.
        let _ = stream.write_all(bytes);
        Answer::read(stream)
    }

    /// A request with these lines beside those that every one has.
    pub(super) fn ask(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Answer {
        let lines = lines.iter().fold(String::new(), |all, line| all + line + "\r\n");
        let length =
            if method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let host =
            if lines.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let head = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{length}{lines}\r\n");
        self.send(format!("{head}{body}").as_bytes())
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    pub(super) fn post(&self, path: &str, lines: &[&str], form: &str) -> Answer {
        let lines: Vec<&str> =
            ["Content-Type: application/x-www-form-urlencoded"].iter().chain(lines).copied().collect();
        self.ask("POST", path, &lines, form)
    }

    /// Signs in; the line with the cookie.
    #[track_caller]
    pub(super) fn sign_in(&self) -> String {
        let answer = self.post("/sign-in", &[], &format!("token={TOKEN}&name=Ana&to=%2F"));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer:?}");
        let cookie = answer.header("set-cookie").expect("a cookie").split(';').next().expect("a pair");
        format!("Cookie: {cookie}")
    }

    /// What a form on this page bears for whoever has this cookie.
    #[track_caller]
    pub(super) fn csrf(&self, path: &str, cookie: &str) -> String {
        let page = self.ask("GET", path, &[cookie], "").with_status(200).text;
        let after =
            page.split("name=\"csrf\" value=\"").nth(1).unwrap_or_else(|| panic!("no form on {page}"));
        after.split('"').next().expect("a value").to_owned()
    }

    /// The service still answers and ends well when it is asked to.
    #[track_caller]
    pub(super) fn goes_on(self) {
        self.get("/healthz").with_status(200);
        self.service.terminate();
        self.service.wait().with_code(143);
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection that was cut holds what came before.
        let _ = stream.read_to_end(&mut bytes);
        let all = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let text = if chunked { joined(body) } else { body.to_owned() };
        Self { status, head: head.to_owned(), text }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    #[track_caller]
    pub(super) fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn joined(mut chunked: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = chunked.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        let Some(chunk) = rest.get(..size).filter(|_| size > 0) else { break };
        text.push_str(chunk);
        chunked = rest.get(size + 2..).unwrap_or_default();
    }
    text
}
