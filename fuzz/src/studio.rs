//! Requests to a studio of the demo, on the loopback address, from who has come in.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::OnceLock,
    thread,
    time::Duration,
};

use neuroinspect::RunFolder;
use neuroinspect_studio::{Opened, Server, StudioConfig};
use neuroinspect_testing::files::Folder;

use crate::requests::EDIT;

/// The longest that the head of an answer may be waited for.
const LONGEST: Duration = Duration::from_secs(30);

static SERVED: OnceLock<Served> = OnceLock::new();

struct Served {
    host: String,
    cookie: String,
    _server: Server,
    _folder: Folder,
}

/// Starts the studio: of a minute that a request may take, reading the demo's scenes would be part.
pub fn start() {
    SERVED.get_or_init(serve);
}

/// Sends a request, and reads the head of the answer. A server that answers with an error of its own, or not at all
/// though it was asked in HTTP, is a finding; so is a panic anywhere in it, at which libFuzzer's hook ends the program.
pub fn request(data: &[u8]) {
    let served = SERVED.get_or_init(serve);
    let data = named(served, data);
    let (start, body) = parts(&data);
    let head = answer(served, start, body, Until::Head);
    let status: Option<u16> = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    match status {
        Some(..500) => {}
        // It hangs up on what is no HTTP at all.
        None if head.is_empty() && !is_http(start) => {}
        _ => panic!("the answer is '{head}'"),
    }
}

/// The request with the name of [`EDIT`] where `ID` stands. The studio forgets edits, so that it is asked for each
/// time; while it is remembered that is no training.
fn named(served: &Served, data: &[u8]) -> Vec<u8> {
    let mut pieces = Vec::new();
    let mut rest = data;
    while let Some(place) = rest.windows(2).position(|it| it == b"ID") {
        pieces.push(&rest[..place]);
        rest = &rest[place + 2..];
    }
    if pieces.is_empty() {
        return data.to_vec();
    }
    pieces.push(rest);
    let answer = answer(served, EDIT.as_bytes(), &[], Until::End);
    // On a busy machine it may be a job.
    let name = answer.split_once("{\"id\":\"").map_or("ID", |(_, it)| it);
    let name = name.split('"').next().unwrap_or_default();
    pieces.join(name.as_bytes())
}

/// First line and body.
fn parts(data: &[u8]) -> (&[u8], &[u8]) {
    let split = data.iter().position(|&byte| byte == b'\n');
    let (start, body) = data.split_at(split.unwrap_or(data.len()));
    (start, body.get(1..).unwrap_or_default())
}

/// Whether a first line has a method and an address, in which all is printable.
fn is_http(start: &[u8]) -> bool {
    let method = start.iter().take_while(|byte| byte.is_ascii_uppercase());
    let (method, rest) = start.split_at(method.count());
    let address = rest.strip_prefix(b" ").unwrap_or_default();
    !method.is_empty() && !address.is_empty() && address.iter().all(u8::is_ascii_graphic)
}

fn serve() -> Served {
    let folder = Folder::new();
    let run = RunFolder::open(folder.path("out"), None).unwrap();
    let opened = Opened::demo(run, "flex".parse().unwrap(), Default::default()).unwrap();
    let server = Server::start(opened, &StudioConfig::default()).unwrap();
    let (host, token) = {
        let address = server.address().strip_prefix("http://").unwrap();
        let (host, token) = address.split_once("/?token=").unwrap();
        (host.to_owned(), token.to_owned())
    };
    let mut served = Served {
        host,
        cookie: String::new(),
        _server: server,
        _folder: folder,
    };
    let start = format!("GET /?token={token}");
    let entered = answer(&served, start.as_bytes(), &[], Until::Head);
    let cookie = entered
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    served.cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
    while !answer(&served, b"GET /samples", &[], Until::Head).contains(" 200 ") {
        thread::sleep(Duration::from_millis(100));
    }
    served
}

/// How much of an answer is read.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    Head,
    /// All of it: not of one that never ends.
    End,
}

/// The answer; nothing where none came.
fn answer(served: &Served, start: &[u8], body: &[u8], until: Until) -> String {
    let Served { host, cookie, .. } = served;
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LONGEST)).unwrap();
    let mut request = start.to_vec();
    let length = body.len();
    request.extend(
        format!(
            " HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes(),
    );
    request.extend(body);
    // A server that refuses early need not read to the end.
    let _ = stream.write_all(&request);
    let mut answer = Vec::new();
    let mut bytes = [0; 1024];
    while until == Until::End || !answer.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => answer.extend(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It has hung up, or nothing comes for so long.
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}
