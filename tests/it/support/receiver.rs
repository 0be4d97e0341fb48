//! A receiver of notices: keeps all that is posted to it, and answers as a test wants.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Bench;

/// A key for signatures, as receiver and configuration share it.
pub(crate) const SIGN_KEY: &str = "zq-sign-key";
/// Part of the receiver's address that nobody but the two may know.
pub(crate) const TOKEN: &str = "zq-hook-token";

/// How a post is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// With this status.
    Status(u16),
    /// With this status, and the wish to be left alone for so many seconds.
    Wait(u16, u64),
    /// With 200, and so late that other processes have looked for something to post meanwhile.
    Slow,
    /// Never: the connection stays open and silent.
    Silent,
    /// With the end of the connection.
    HangUp,
}

/// One post as it came.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Its first line.
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) mood: Mood,
    pub(crate) came_at: Instant,
}

impl Post {
    /// Whether the receiver said that it has it.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self.mood, Mood::Status(200) | Mood::Slow)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no `{field}`: {}", self.body)).to_owned()
    }
}

struct State {
    /// What the next posts are answered with; the last one stays.
    moods: Vec<Mood>,
    posts: Vec<Post>,
    /// Those that are never answered.
    kept: Vec<TcpStream>,
}

pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Listens on a free port and takes everything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State { moods: vec![Mood::Status(200)], posts: Vec::new(), kept: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/{TOKEN}", self.address)
    }

    /// Lines of a configuration that posts here, and the files that these name.
    pub(crate) fn configure(&self, bench: &Bench, lines: &str) -> String {
        for (name, secret) in [("hook.url", self.url()), ("hook.key", SIGN_KEY.to_owned())] {
            let path = bench.scratch.write(name, secret);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        }
        format!("notify.url = \"file:hook.url\"\nnotify.secret = \"file:hook.key\"\n{lines}")
    }

    /// Answers so from now on, in this order; as the last says for ever.
    pub(crate) fn answer(&self, moods: &[Mood]) {
        self.state().moods = moods.iter().rev().copied().collect();
    }

    /// Everything that came so far.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.state().posts.clone()
    }

    /// `topic` and `text` of everything that was taken.
    pub(crate) fn taken(&self) -> Vec<(String, String)> {
        let posts = self.posts().into_iter().filter(Post::is_taken);
        posts.map(|post| (post.text("topic"), post.text("text"))).collect()
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        self.taken().into_iter().map(|(topic, _)| topic).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }
}

#[expect(clippy::disallowed_methods, reason = "a receiver that is slow is slow in real time")]
fn think() {
    std::thread::sleep(Duration::from_millis(700));
}

/// Reads one post and answers it.
fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let line = lines.first()?.clone();
    let header =
        |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.iter().skip(1).filter_map(header).collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).expect("text");
    let mood = {
        let mut state = state.lock().expect("nobody panicked");
        let mood = if state.moods.len() > 1 { state.moods.pop()? } else { *state.moods.last()? };
        state.posts.push(Post { line, headers, body, mood, came_at: Instant::now() });
        mood
    };
    let (status, more) = match mood {
        Mood::Status(status) => (status, String::new()),
        Mood::Slow => {
            think();
            (200, String::new())
        }
        Mood::Wait(status, seconds) => (status, format!("retry-after: {seconds}\r\n")),
        Mood::Silent => {
            state.lock().expect("nobody panicked").kept.push(stream);
            return None;
        }
        Mood::HangUp => return None,
    };
    let answer = format!("HTTP/1.1 {status} So\r\n{more}content-length: 2\r\nconnection: close\r\n\r\nok");
    (&stream).write_all(answer.as_bytes()).ok()
}
