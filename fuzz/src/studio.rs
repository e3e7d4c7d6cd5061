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

/// The longest that the head of an answer may be waited for.
const LONGEST: Duration = Duration::from_secs(30);

/// Method and path in the first line, the body behind it.
pub const SEEDS: &[&str] = &[
    "GET /",
    "GET /class",
    "GET /class/0",
    "GET /class/0/ranking",
    "GET /images?label=0&predicted=1&only=mistakes",
    "GET /samples?label=0&group=1&only=right",
    "GET /image/3",
    "GET /image/3/about",
    "GET /thumbnail/3",
    "GET /neuron?q=water&from=10",
    "GET /neuron/4",
    "GET /neuron/4/words",
    "GET /neuron/4/place/3/part",
    "GET /mend?class=0&neurons=1,2&method=edit",
    "GET /mend/neurons?class=0&neurons=1,2",
    "GET /mend/preview?class=0&neurons=1,2&method=silence&lambda=1&target=0.5",
    "GET /mend/kept?now=1&sweep=lambda",
    "GET /mend/compare",
    "GET /lab?layer=layer4&channel=3&row=1&column=1&class=0&objective=neuron+%2B+0.5+*+logit(star)",
    "GET /lab/pictures",
    "GET /export/1/edit",
    "GET /visualization/0/masked",
    "GET /jobs/events?after=1",
    "POST /mend/try\n{\"class\":0,\"neurons\":\"1,2\",\"method\":\"edit\",\"lambda\":1.0,\"form\":\"joint\",\"epochs\":1,\"rate\":0.01}",
    "POST /mend/edit/1/keep\n{\"keep\":true}",
    "POST /neuron/4/pictures\n{\"steps\":1,\"classes\":[0]}",
    "POST /lab/pictures\n{\"objective\":\"neuron\",\"steps\":1}",
    "POST /jobs/1/cancel\n{}",
    "POST /jobs/forget\n{}",
];

struct Served {
    host: String,
    cookie: String,
    _server: Server,
    _folder: Folder,
}

/// Sends a request, and reads the head of the answer. A server that answers with an error of its own, or not at all,
/// is a finding.
pub fn request(data: &[u8]) {
    static SERVED: OnceLock<Served> = OnceLock::new();
    let served = SERVED.get_or_init(serve);
    let split = data.iter().position(|&byte| byte == b'\n');
    let (start, body) = data.split_at(split.unwrap_or(data.len()));
    let body = body.get(1..).unwrap_or_default();
    let head = head_of(served, start, body);
    let status: Option<u16> = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    match status {
        Some(..500) => {}
        _ => panic!("the answer is '{head}'"),
    }
}

fn serve() -> Served {
    crate::contain_panics();
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
    let entered = head_of(&served, start.as_bytes(), &[]);
    let cookie = entered
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    served.cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
    while !head_of(&served, b"GET /samples", &[]).contains(" 200 ") {
        thread::sleep(Duration::from_millis(100));
    }
    served
}

/// The head of the answer; nothing where none came.
fn head_of(served: &Served, start: &[u8], body: &[u8]) -> String {
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
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            // It hangs up on what is no HTTP at all.
            Ok(0) => return "HTTP/1.1 400".to_owned(),
            Ok(read) => head.extend(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return "HTTP/1.1 400".to_owned();
            }
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
