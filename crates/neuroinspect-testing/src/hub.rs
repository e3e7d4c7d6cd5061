//! A hub of models on this machine: as much of the protocol as a download needs, and every way in which it
//! goes wrong.
//!
//! Two servers, as the hub has them: one that knows repositories, and answers for weights with a redirect to
//! the other, the store of files.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use neuroinspect_core::io::sha256_of_bytes;

/// The commit that every branch of every repository stands for.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub on this machine, until the process ends.
#[derive(Clone, Debug)]
pub struct LocalHub {
    endpoint: String,
    store: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By repository and file: `owner/name/config.json`.
    files: BTreeMap<String, Vec<u8>>,
    asked: Vec<Asked>,
    faults: Vec<Fault>,
    token: Option<String>,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `HEAD` or `GET`.
    pub method: String,
    /// Repository and file; of the store the file's hash.
    pub path: String,
    /// First byte that was asked for.
    pub from: Option<u64>,
    /// Whether there was a token.
    pub with_token: bool,
    /// Whether it was the store that was asked.
    pub of_store: bool,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The next connection to the store ends after so many bytes of the file.
    EndsAfter(usize),
    /// All connections to the store end where the file has come to so many bytes.
    Truncated(usize),
    /// The store cannot answer once.
    Busy,
    /// The store sends other bytes, as many.
    OtherBytes,
    /// The store knows no ranges.
    NoRanges,
    /// The store says that the file is of so many bytes.
    Length(u64),
    /// The store sends a first half and then nothing more, without an end.
    Stalls,
    /// The store takes so long for the file.
    Slow(Duration),
    /// The hub answers with this status and error code.
    Refuses(u16, &'static str),
    /// The hub redirects to this place.
    Redirects(String),
    /// A header of the hub's is this one.
    Header(&'static str, String),
}

impl LocalHub {
    /// A hub without repositories.
    pub fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let [hub, store] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [endpoint, of_store] =
            [&hub, &store].map(|it| format!("http://{}", it.local_addr().unwrap()));
        let started = Self {
            endpoint,
            store: of_store,
            state,
        };
        for (listener, of_store) in [(hub, false), (store, true)] {
            let hub = started.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let hub = hub.clone();
                    // A client that hangs up early is one of the tests.
                    thread::spawn(move || drop(hub.answer(stream, of_store)));
                }
            });
        }
        started
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Puts a file into a repository; what is not JSON is large, and in the store.
    pub fn serve(&self, repository: &str, file: &str, bytes: impl Into<Vec<u8>>) {
        let path = format!("{repository}/{file}");
        self.state().files.insert(path, bytes.into());
    }

    /// Gives files to those with this token alone.
    pub fn ask_for_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    /// Lets something go wrong from now on, in place of what did before.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults = faults.into_iter().collect();
    }

    /// The requests since this was last called.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fault<T>(&self, found: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.state().faults.iter().find_map(found)
    }

    fn answer(&self, stream: TcpStream, of_store: bool) -> std::io::Result<()> {
        let mut lines = BufReader::new(&stream).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut words = request.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().trim_start_matches('/');
        let path = path.split('?').next().unwrap_or_default();
        let path = path.replace("resolve/main/", "");
        let path = path.replace(&format!("resolve/{COMMIT}/"), "");
        let (mut from, mut token) = (None, None);
        for line in lines {
            let line = line?;
            match line.split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                    let range = value.trim_start_matches("bytes=").trim_end_matches('-');
                    from = Some(range.parse().unwrap());
                }
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    token = Some(value.trim_start_matches("Bearer ").to_owned());
                }
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let asked = Asked {
            method: method.clone(),
            path: path.clone(),
            from,
            with_token: token.is_some(),
            of_store,
        };
        self.state().asked.push(asked);
        match of_store {
            true => self.answer_of_store(stream, &path, from.unwrap_or(0)),
            false => self.answer_of_hub(stream, &path, token, method == "HEAD"),
        }
    }

    /// The answer of what knows repositories.
    fn answer_of_hub(
        &self,
        mut stream: TcpStream,
        path: &str,
        token: Option<String>,
        head: bool,
    ) -> std::io::Result<()> {
        let refusal = self.fault(|fault| match fault {
            Fault::Refuses(status, code) => Some((*status, *code)),
            _ => None,
        });
        let expected = self.state().token.clone();
        let refusal =
            refusal.or((expected.is_some() && token != expected).then_some((401, "GatedRepo")));
        let bytes = self.state().files.get(path).cloned();
        let (Some(bytes), None) = (&bytes, refusal) else {
            let (status, code) = refusal.unwrap_or((404, "EntryNotFound"));
            return write!(
                stream,
                "HTTP/1.1 {status} No\r\nx-error-code: {code}\r\nx-repo-commit: {COMMIT}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        };
        let sha256 = sha256_of_bytes(bytes);
        let large = !path.ends_with(".json");
        let length = bytes.len().to_string();
        let mut headers = BTreeMap::from([
            ("x-repo-commit", COMMIT.to_owned()),
            ("connection", "close".to_owned()),
            // Git's hash of a small file, which nobody looks into.
            ("etag", format!("\"{}\"", &sha256[..40])),
        ]);
        if large {
            headers.insert("content-length", "0".to_owned());
            headers.insert("x-linked-etag", format!("\"{sha256}\""));
            headers.insert("x-linked-size", length);
            headers.insert(
                "location",
                format!("{}/{path}?signature=secret", self.store),
            );
        } else {
            headers.insert("content-length", length);
        }
        let mut status = if large { 302 } else { 200 };
        for fault in self.state().faults.clone() {
            match fault {
                Fault::Redirects(location) => {
                    status = 302;
                    headers.insert("location", location);
                }
                Fault::Header(name, value) => drop(headers.insert(name, value)),
                _ => {}
            }
        }
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        write!(stream, "HTTP/1.1 {status} OK\r\n{headers}\r\n")?;
        match head || large {
            true => Ok(()),
            false => stream.write_all(bytes),
        }
    }

    /// The answer of the store of files.
    fn answer_of_store(&self, mut stream: TcpStream, path: &str, from: u64) -> std::io::Result<()> {
        let mut state = self.state();
        if let Some(busy) = state.faults.iter().position(|it| *it == Fault::Busy) {
            state.faults.remove(busy);
            return stream
                .write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        drop(state);
        let mut bytes = self.state().files[path].clone();
        let size = bytes.len();
        let ranges = self
            .fault(|it| (*it == Fault::NoRanges).then_some(()))
            .is_none();
        let from = if ranges { from as usize } else { 0 };
        if self
            .fault(|it| (*it == Fault::OtherBytes).then_some(()))
            .is_some()
        {
            bytes.reverse();
        }
        let length = self.fault(|fault| match fault {
            Fault::Length(length) => Some(*length),
            _ => None,
        });
        let length = length.unwrap_or((size - from) as u64);
        let status = match from {
            0 => "200 OK".to_owned(),
            _ => format!(
                "206 Part\r\ncontent-range: bytes {from}-{}/{size}",
                size - 1
            ),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )?;
        let mut sent = &bytes[from..];
        let mut state = self.state();
        let faults = std::mem::take(&mut state.faults);
        let (once, lasting) = faults
            .into_iter()
            .partition(|fault| matches!(fault, Fault::EndsAfter(_)));
        state.faults = lasting;
        let faults: Vec<Fault> = state.faults.iter().cloned().chain::<Vec<_>>(once).collect();
        drop(state);
        for fault in faults {
            match fault {
                Fault::EndsAfter(most) => sent = &sent[..most.min(sent.len())],
                Fault::Truncated(at) => sent = &sent[..at.saturating_sub(from).min(sent.len())],
                Fault::Stalls => {
                    stream.write_all(&sent[..sent.len() / 2])?;
                    thread::sleep(Duration::from_secs(60));
                }
                Fault::Slow(time) => {
                    for piece in sent.chunks(sent.len().div_ceil(20).max(1)) {
                        stream.write_all(piece)?;
                        thread::sleep(time / 20);
                    }
                    return Ok(());
                }
                _ => {}
            }
        }
        stream.write_all(sent)
    }
}
