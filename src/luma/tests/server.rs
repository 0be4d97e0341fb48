//! A Luma of a few lines: it answers what it is told, one connection after the other, and keeps what it was
//! asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Clock;
use crate::domain::dialect::Dialect;
use crate::luma::{Client, ClientOptions};

/// A request as it came.
#[derive(Debug)]
pub(super) struct Asked {
    /// Method and target.
    pub(super) line: String,
    /// Names in small letters.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Method and path.
    pub(super) fn route(&self) -> &str {
        self.line.split('?').next().unwrap_or_default()
    }

    /// What is asked, decoded.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        let query = self.line.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }
}

/// Status line, further headers and body of an answer.
pub(super) type Told = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// A server that gives these answers in turn, and a client for it.
pub(super) fn luma(dialect: Dialect, answers: &'static [Told]) -> (Client, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let options = ClientOptions {
        dialect,
        calendar_id: (dialect == Dialect::V1).then(|| "cal-1".to_owned()),
        base_url: format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL"),
        api_key: "key".to_owned().into(),
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
    };
    let (to, asked) = channel();
    std::thread::spawn(move || {
        for ((status, headers, body), stream) in answers.iter().zip(listener.incoming()) {
            let mut stream = stream.expect("a connection");
            let Some(request) = read(&stream) else { return };
            let more = headers.iter().map(|(name, value)| [*name, ": ", *value, "\r\n"].concat());
            let more = more.collect::<Vec<_>>().concat();
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n");
            // Whoever gave up waiting reads nothing.
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            if to.send(request).is_err() {
                return;
            }
        }
    });
    (Client::new(&options, Clock::system()).expect("a client"), asked)
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        let Some((name, value)) = text.trim().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line, headers, body: serde_json::from_slice(&body).unwrap_or_default() })
}
