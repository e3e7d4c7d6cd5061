//! A browser of its own for each test: Debian's `chromium`, asked through its `chromedriver` by W3C WebDriver, JSON over
//! HTTP on this machine; `NEUROINSPECT_BROWSER=firefox` has Firefox and `geckodriver` do it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing on a page takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// What WebDriver calls the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser; it ends with the test.
pub(crate) struct Browser {
    /// Where it puts what is downloaded.
    pub(crate) downloads: TempDir,
    driver: Child,
    port: u16,
    /// `/session/ID`.
    session: String,
}

/// Where pictures of pages are kept.
pub(crate) fn screenshots() -> PathBuf {
    let folder = std::env::var_os("NEUROINSPECT_SCREENSHOTS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("studio"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What pages are to look like by the settings of whoever looks at them.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// Whose browser it is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Chromium,
    Firefox,
}

impl Kind {
    /// The one that is asked for.
    fn asked() -> Self {
        match std::env::var("NEUROINSPECT_BROWSER").as_deref() {
            Err(_) | Ok("" | "chromium") => Self::Chromium,
            Ok("firefox") => Self::Firefox,
            Ok(other) => panic!("NEUROINSPECT_BROWSER is {other}, not chromium or firefox"),
        }
    }

    /// A driver of its own, and the port that it listens on.
    ///
    /// A driver ends where another program takes its port first, and the next is tried: Chromium's takes a free port of
    /// one protocol, and then the same port of the other.
    fn driver(self) -> (Child, u16) {
        let driver = (0..5).find_map(|_| self.try_driver());
        driver.expect(
            "five drivers of the browser ended before they listened; what they said stands above",
        )
    }

    fn try_driver(self) -> Option<(Child, u16)> {
        // Firefox's takes the port that it is told for that of `Host`, 0, too.
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let free = listener.local_addr().unwrap().port();
        drop(listener);
        let (program, port, before, missing) = match self {
            Self::Chromium => (
                "chromedriver",
                0,
                "successfully on port ",
                "apt-get install chromium chromium-driver",
            ),
            Self::Firefox => (
                "geckodriver",
                free,
                "Listening on 127.0.0.1:",
                "Firefox and geckodriver",
            ),
        };
        let mut driver = Command::new(program)
            .arg(format!("--port={port}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("the studio's tests need a browser: {missing} ({program}: {error})")
            });
        let mut out = BufReader::new(driver.stdout.take().unwrap());
        let mut lines = out.by_ref().lines().map(Result::unwrap);
        let port = lines.find_map(|line| Some(line.split_once(before)?.1.to_owned()));
        let Some(port) = port else {
            driver.wait().unwrap();
            return None;
        };
        // What it says later is read, too, so that it never waits for a reader.
        thread::spawn(move || io::copy(&mut out, &mut io::sink()));
        let port = port.trim().trim_end_matches('.');
        Some((driver, port.parse().unwrap()))
    }

    /// What a session is to be: without a window, and downloads in a folder of their own.
    fn capabilities(self, downloads: &Path, scheme: Scheme) -> Value {
        let is_light = i32::from(scheme == Scheme::Light);
        match self {
            Self::Chromium => json!({ "goog:chromeOptions": {
                "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-dev-shm-usage",
                    "--disable-gpu",
                    "--window-size=1280,900",
                    format!("--blink-settings=preferredColorScheme={is_light}"),
                ],
                "prefs": { "download.default_directory": downloads },
            }}),
            Self::Firefox => json!({ "moz:firefoxOptions": {
                "args": ["-headless", "--width=1280", "--height=900"],
                "prefs": {
                    "browser.download.folderList": 2,
                    "browser.download.dir": downloads,
                    "layout.css.prefers-color-scheme.content-override": is_light,
                },
            }}),
        }
    }
}

impl Browser {
    pub(crate) fn open() -> Self {
        Self::open_in(Scheme::Light)
    }

    /// For somebody who likes it light, or dark.
    pub(crate) fn open_in(scheme: Scheme) -> Self {
        let kind = Kind::asked();
        let (driver, port) = kind.driver();
        let mut browser = Self {
            downloads: tempfile::tempdir().unwrap(),
            driver,
            port,
            session: String::new(),
        };
        let capabilities = kind.capabilities(browser.downloads.path(), scheme);
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let session = browser.send("POST", "/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser.ask(
            "POST",
            "/timeouts",
            &json!({ "script": PATIENCE.as_millis() }),
        );
        browser
    }

    /// Asks the driver; what it refuses fails the test.
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_to_send(method, path, body);
        answer.unwrap_or_else(|refused| panic!("{method} {path}: {refused}"))
    }

    fn try_to_send(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let body = match method {
            "GET" => String::new(),
            _ => body.to_string(),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut answer = BufReader::new(stream);
        let (mut status, mut length) = (String::new(), 0);
        answer.read_line(&mut status).unwrap();
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).unwrap();
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        let value = body["value"].take();
        match status.contains(" 200 ") {
            true => Ok(value),
            false => Err(value),
        }
    }

    /// Asks for something within the session.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.send(method, &format!("{}{path}", self.session), body)
    }

    pub(crate) fn go(&self, address: &str) {
        self.ask("POST", "/url", &json!({ "url": address }));
    }

    pub(crate) fn address(&self) -> String {
        self.ask("GET", "/url", &Value::Null)
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn title(&self) -> String {
        self.ask("GET", "/title", &Value::Null)
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn script(&self, script: &str, arguments: &[Value]) -> Value {
        self.ask(
            "POST",
            "/execute/sync",
            &json!({ "script": script, "args": arguments }),
        )
    }

    /// What a script hands to its last argument, a function.
    pub(crate) fn later(&self, script: &str) -> Value {
        self.ask(
            "POST",
            "/execute/async",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// What an expression of JavaScript is worth on this page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.script(&format!("return ({expression})"), &[])
    }

    /// Waits until an expression of JavaScript holds.
    pub(crate) fn until(&self, expression: &str) {
        self.until_within(expression, PATIENCE);
    }

    pub(crate) fn until_within(&self, expression: &str, patience: Duration) {
        let start = Instant::now();
        while self.value(&format!("Boolean({expression})")) != json!(true) {
            if start.elapsed() > patience {
                let page = self.value("document.body.innerText");
                self.keep("failure");
                panic!(
                    "'{expression}' does not come to hold on {}: {page}",
                    self.address()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The text of what a selector finds first, once it is there.
    pub(crate) fn text(&self, selector: &str) -> String {
        let found = format!("document.querySelector({})", json!(selector));
        self.until(&found);
        let text = self.value(&format!("{found}.textContent"));
        text.as_str().unwrap().trim().to_owned()
    }

    /// Clicks as a person does, once there is something to click: on what is to be seen. What is replaced meanwhile is
    /// looked for again.
    pub(crate) fn click(&self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        let start = Instant::now();
        loop {
            self.until(&found);
            self.value(&format!("{found}?.scrollIntoView({{ block: 'center' }})"));
            let wanted = json!({ "using": "css selector", "value": selector });
            let path = format!("{}/element", self.session);
            let clicked = self
                .try_to_send("POST", &path, &wanted)
                .and_then(|element| {
                    let id = element[ELEMENT].as_str().unwrap_or_default();
                    self.try_to_send("POST", &format!("{path}/{id}/click"), &json!({}))
                });
            let Err(refused) = clicked else { return };
            assert!(
                start.elapsed() < PATIENCE,
                "{selector} cannot be clicked: {refused}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Puts a value into a field, and leaves it.
    pub(crate) fn fill(&self, selector: &str, value: &str) {
        let script = "const field = document.querySelector(arguments[0]); field.value = arguments[1]; \
                      field.dispatchEvent(new Event('change', { bubbles: true }));";
        self.script(script, &[json!(selector), json!(value)]);
    }

    /// Presses keys where the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let actions: Vec<_> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        let keyboard =
            json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.ask("POST", "/actions", &keyboard);
    }

    /// Keeps what the page looks like.
    pub(crate) fn keep(&self, name: &str) {
        let png = self.ask("GET", "/screenshot", &Value::Null);
        let png = BASE64.decode(png.as_str().unwrap()).unwrap();
        fs::write(screenshots().join(format!("{name}.png")), png).unwrap();
    }

    /// How many milliseconds the page measured last.
    pub(crate) fn measured(&self, name: &str) -> f64 {
        let entry = format!(
            "performance.getEntriesByName({}).at(-1)?.duration",
            json!(name)
        );
        self.until(&format!("{entry} !== undefined"));
        self.value(&entry).as_f64().unwrap()
    }

    /// Waits for a download to be whole.
    pub(crate) fn downloaded(&self, name: &str) -> PathBuf {
        let path = self.downloads.path().join(name);
        let start = Instant::now();
        while !path.exists() {
            assert!(start.elapsed() < PATIENCE, "{name} is not downloaded");
            thread::sleep(Duration::from_millis(50));
        }
        path
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.ask(
            "POST",
            "/window/rect",
            &json!({ "width": width, "height": height }),
        );
    }

    /// The tab that is looked at.
    pub(crate) fn tab(&self) -> Value {
        self.ask("GET", "/window", &Value::Null)
    }

    pub(crate) fn new_tab(&self) -> Value {
        self.ask("POST", "/window/new", &json!({ "type": "tab" }))["handle"].take()
    }

    pub(crate) fn look_at(&self, tab: &Value) {
        self.ask("POST", "/window", &json!({ "handle": tab }));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when it is asked to, and leaves it behind when it is killed.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let host = format!("Host: 127.0.0.1:{}", self.port);
            let request = format!(
                "DELETE {} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n",
                self.session
            );
            let _ = stream.write_all(request.as_bytes());
            // The driver keeps the connection: its answer is enough.
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
