//! A browser that is told what to do: Chromium by chromedriver, over its own protocol and without a library.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::wait_until;

/// How long anything in a browser may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How an element is named in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window, and the two programs behind it.
pub(super) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// A window of this width, light or dark; `None` where there is no Chromium and none is required.
    pub(super) fn open(width: u32, is_dark: bool) -> Option<Self> {
        if let Err(why) = installed() {
            let is_required =
                std::env::var("LUMASYNC_TEST_REQUIRE").is_ok_and(|what| what.contains("browser"));
            assert!(!is_required, "LUMASYNC_TEST_REQUIRE asks for a browser: {why}");
            let _ = writeln!(std::io::stderr(), "note: tests in a browser are left out: {why}");
            return None;
        }
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver");
        let mut lines = BufReader::new(driver.stdout.take().expect("its words")).lines();
        let started = lines.find_map(|line| {
            let line = line.ok()?;
            line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
        });
        // It may go on talking.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self { driver, port: started.expect("a port"), session: String::new() };
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ];
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = browser.tell("POST", "/session", &asked).expect("a window");
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        browser.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", &media);
        Some(browser)
    }

    fn devtools(&self, command: &str, params: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": params }));
    }

    pub(super) fn go(&self, address: &str) {
        self.post("/url", &json!({ "url": address }));
    }

    /// Whatever is downloaded from now on lies in this folder.
    pub(super) fn download_to(&self, folder: &Path) {
        let params = json!({ "behavior": "allow", "downloadPath": folder });
        self.devtools("Browser.setDownloadBehavior", &params);
    }

    /// What a script calls its last argument with.
    pub(super) fn script_with_answer(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// What a script answers.
    pub(super) fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Clicks the first element that a selector finds.
    #[track_caller]
    pub(super) fn click(&self, selector: &str) {
        self.act("css selector", selector, "click", &json!({}));
    }

    #[track_caller]
    pub(super) fn write(&self, selector: &str, text: &str) {
        self.act("css selector", selector, "value", &json!({ "text": text }));
    }

    /// Presses the button that says this.
    #[track_caller]
    pub(super) fn press(&self, label: &str) {
        let button = format!("//main//button[normalize-space()='{label}']");
        self.act("xpath", &button, "click", &json!({}));
    }

    /// Follows the first link of the page that says this, wherever it stands.
    #[track_caller]
    pub(super) fn follow(&self, label: &str) {
        self.act("link text", label, "click", &json!({}));
    }

    /// Does something with the first such element, once there is one. A page that is shown anew between the look
    /// and the act has another one by then.
    #[track_caller]
    fn act(&self, using: &str, value: &str, action: &str, body: &Value) {
        wait_until(PATIENCE, value, || {
            let asked = json!({ "using": using, "value": value });
            let Ok(found) = self.ask("POST", "/element", &asked) else { return false };
            let id = found[ELEMENT].as_str().expect("an element");
            match self.ask("POST", &format!("/element/{id}/{action}"), body) {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error["error"], "stale element reference", "{value}: {error}");
                    false
                }
            }
        });
    }

    /// All that is read on the page.
    pub(super) fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) {
        wait_until(PATIENCE, text, || self.text().contains(text));
    }

    /// What the browser complained about since the last time.
    pub(super) fn complaints(&self) -> Vec<String> {
        let said = self.post("/se/log", &json!({ "type": "browser" }));
        let lines = said.as_array().expect("lines").iter();
        lines.filter(|line| line["level"] == "SEVERE").map(|line| line["message"].to_string()).collect()
    }

    /// The page as it looks, as PNG.
    pub(super) fn picture(&self) -> Vec<u8> {
        let said = self.ask("GET", "/screenshot", &Value::Null).expect("a picture");
        STANDARD.decode(said.as_str().unwrap_or_default()).expect("base 64")
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What the session answers, or its error.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        self.tell(method, &format!("/session/{}{path}", self.session), body)
    }

    #[track_caller]
    fn tell(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("set");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        // It keeps connections open, so the end of an answer is where its length says.
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while reader.read_line(&mut head).expect("an answer") > 2 {
            let line = head.lines().last().and_then(|line| line.split_once(':'));
            if let Some((_, value)) = line.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("an answer");
        let said: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {head}"));
        if head.contains(" 200 ") { Ok(said["value"].clone()) } else { Err(said["value"].clone()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            let _ = self.ask("DELETE", "", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn installed() -> Result<(), String> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let look = || {
        let asked = Command::new("chromedriver").arg("--version").stdout(Stdio::null()).status();
        asked.map(drop).map_err(|error| format!("chromedriver: {error}"))
    };
    FOUND.get_or_init(look).clone()
}
