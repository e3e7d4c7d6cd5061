//! Requests as an attacker writes them: byte by byte.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::made::Made;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

/// Sends what is given and reads all that comes.
pub(crate) fn send(host: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(180)))
        .unwrap();
    // A server that refuses early need not read to the end.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A request by method and path with these lines of a head.
pub(crate) fn request(made: &Made, start: &str, lines: &[&str], body: &str) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = match body.is_empty() {
        true => String::new(),
        false => format!(
            "Content-Length: {}\r\nContent-Type: application/json\r\n",
            body.len()
        ),
    };
    let text = format!("{start} HTTP/1.1\r\nConnection: close\r\n{length}{lines}\r\n{body}");
    send(made.host(), text.as_bytes())
}

/// As our own page asks.
pub(crate) fn ours(made: &Made, start: &str, body: &str) -> Answer {
    let (host, cookie) = (format!("Host: {}", made.host()), cookie(made));
    let origin = format!("Origin: http://{}", made.host());
    request(made, start, &[&host, &cookie, &origin], body)
}

/// The cookie of who has come in.
pub(crate) fn cookie(made: &Made) -> String {
    let start = format!("GET /?token={}", made.token());
    let entered = request(made, &start, &[&format!("Host: {}", made.host())], "");
    let given = entered.header("set-cookie").unwrap();
    format!("Cookie: {}", given.split(';').next().unwrap())
}

/// Waits until the features are there.
pub(crate) fn ready(made: &Made) {
    for _ in 0..2400 {
        if ours(made, "GET /samples", "").status == 200 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the features do not come");
}
