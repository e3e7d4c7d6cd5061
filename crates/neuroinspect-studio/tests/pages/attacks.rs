//! What a stranger's page, or a name in the data, tries.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use neuroinspect_studio::StudioConfig;

use crate::{
    http::{cookie, ours, ready, request, send},
    made::{EVIL, Made, SMALL},
    requests::{EDIT, REQUESTS},
};

#[test]
fn who_has_no_token_is_told_nothing() {
    let made = Made::start(SMALL);
    let host = format!("Host: {}", made.host());
    for path in [
        "/",
        "/samples",
        "/assets/studio.js",
        "/thumbnail/0",
        "/jobs/events",
        "/nothing",
    ] {
        let refused = request(&made, &format!("GET {path}"), &[&host], "");
        assert_eq!(refused.status, 401, "{path}");
        assert!(!refused.body.contains("class"), "{path}: {}", refused.body);
    }
    let wrong = "f".repeat(64);
    let refused = request(&made, &format!("GET /?token={wrong}"), &[&host], "");
    assert_eq!((refused.status, refused.header("set-cookie")), (401, None));
    let port = made.host().rsplit(':').next().unwrap();
    for value in [&*wrong, made.token()] {
        let cookie = format!("Cookie: neuroinspect-studio-{port}={value}");
        assert_eq!(request(&made, "GET /", &[&host, &cookie], "").status, 401);
    }

    // With it, a cookie that no script reads and no other site sends.
    let entered = request(
        &made,
        &format!("GET /?token={}", made.token()),
        &[&host],
        "",
    );
    assert_eq!(
        (entered.status, entered.header("location")),
        (303, Some("/"))
    );
    let given = entered.header("set-cookie").unwrap();
    assert!(
        given.contains("HttpOnly") && given.contains("SameSite=Strict"),
        "{given}"
    );
    // It goes to every port of this machine, and is not the token.
    assert!(!given.contains(made.token()), "{given}");
    assert_eq!(ours(&made, "GET /assets/studio.js", "").status, 200);
    // Opened again, the address loses its token all the same.
    let again = ours(&made, &format!("GET /lab?token={}", made.token()), "");
    assert_eq!(
        (again.status, again.header("location")),
        (303, Some("/lab"))
    );
}

#[test]
fn a_name_that_leads_here_is_not_answered() {
    let made = Made::start(SMALL);
    let port = made.host().rsplit(':').next().unwrap();
    let (evil, cookie) = (format!("Host: evil.example:{port}"), cookie(&made));
    let rebound = request(&made, "GET /", &[&evil, &cookie], "");
    assert_eq!(rebound.status, 421);
    assert!(rebound.body.contains("--listen"), "{}", rebound.body);
    // The token does not help it either, nor no name at all.
    let start = format!("GET /?token={}", made.token());
    assert_eq!(request(&made, &start, &[&evil], "").status, 421);
    assert!(send(made.host(), b"GET / HTTP/1.0\r\n\r\n").status >= 400);
    let two = format!("Host: {}", made.host());
    assert!(request(&made, "GET /", &[&evil, &two, &cookie], "").status >= 400);
}

#[test]
fn another_page_changes_nothing() {
    let made = Made::start(SMALL);
    ready(&made);
    let (host, cookie) = (format!("Host: {}", made.host()), cookie(&made));
    let start = "POST /mend/try?class=0&neurons=1";
    for origin in ["http://evil.example", "null", "https://127.0.0.1", ""] {
        let origin = format!("Origin: {origin}");
        for start in [start, "POST /mend/first?class=0&neurons=1"] {
            let refused = request(&made, start, &[&host, &cookie, &origin], "{}");
            assert_eq!(refused.status, 403, "{origin}, {start}");
        }
    }
    assert_eq!(
        request(&made, start, &[&host, &cookie], "{}").status,
        403,
        "no origin"
    );
    let own = format!("Origin: http://{}", made.host());
    for site in ["cross-site", "same-site"] {
        let site = format!("Sec-Fetch-Site: {site}");
        let refused = request(&made, start, &[&host, &cookie, &own, &site], "{}");
        assert_eq!(refused.status, 403, "{site}");
        // An image of ours in another page.
        let mode = "Sec-Fetch-Mode: no-cors";
        let refused = request(
            &made,
            "GET /thumbnail/0",
            &[&host, &cookie, &site, mode],
            "",
        );
        assert_eq!(refused.status, 403, "{site}");
    }
    assert_eq!(ours(&made, start, "{}").status, 200);
}

#[test]
fn no_file_is_reached() {
    let made = Made::start(SMALL);
    ready(&made);
    std::fs::write(made.folder.path().join("secret.txt"), "a secret").unwrap();
    for path in [
        "/assets/../Cargo.toml",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/%2fetc%2fpasswd",
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/thumbnail/..%2f..%2fsecret.txt",
        "/thumbnail/-1",
        "/thumbnail/18446744073709551615",
        "/picture/999999",
        "/export/..%2fserver.json/edit",
        "/export/0/edit",
        "/secret.txt",
        "/studio/server.json",
        "/assets/studio.js%00.css",
    ] {
        let refused = ours(&made, &format!("GET {path}"), "");
        assert!(
            [400, 404].contains(&refused.status),
            "{path}: {}",
            refused.status
        );
        for inside in ["a secret", "root:", "token", "[package]"] {
            assert!(!refused.body.contains(inside), "{path}: {}", refused.body);
        }
    }
}

#[test]
fn names_are_text_on_every_page() {
    let made = Made::start(SMALL);
    ready(&made);
    let tried = ours(
        &made,
        "POST /mend/try?class=0&neurons=1,2&method=probability_ratio",
        "{}",
    );
    assert_eq!(tried.status, 200, "{}", tried.body);
    let answer: serde_json::Value = serde_json::from_str(&tried.body).unwrap();
    let name = answer["id"].as_str().unwrap();
    let kept = ours(
        &made,
        &format!("POST /mend/edit/{name}/keep"),
        r#"{"keep":true}"#,
    );
    assert_eq!(kept.status, 200, "{}", kept.body);
    let escaped = "&lt;img src=x";
    for (path, named) in [
        ("/", true),
        ("/images", true),
        ("/class/0", true),
        ("/class/1?predicted=0", true),
        ("/images?label=1&predicted=0", true),
        ("/class/0/ranking", true),
        ("/image/0", true),
        ("/image/0/about", true),
        ("/mend", true),
        ("/mend?class=0&neurons=1", true),
        ("/mend/neurons?class=0", false),
        ("/mend/preview?class=0&neurons=1", true),
        ("/mend/edit/NAME", true),
        ("/mend/edit/NAME/measured", false),
        ("/mend/edit/NAME/flips", false),
        ("/mend/kept?now=NAME", false),
        ("/mend/compare?a=NAME&b=NAME", true),
        ("/export/NAME/report", true),
        ("/neuron", false),
        ("/neuron/1", true),
        ("/lab", true),
    ] {
        let path = path.replace("NAME", name);
        let page = ours(&made, &format!("GET {path}"), "");
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(
            !page.body.contains(EVIL) && !page.body.contains("<script>document"),
            "{path}"
        );
        assert!(!page.body.contains("<img src=x"), "{path}");
        assert!(
            !named || page.body.contains(escaped),
            "{path} does not name the class"
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(
            page.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }
    // Nor is what an address says.
    let refused = ours(
        &made,
        "GET /assets/%3Cimg%20src=x%20onerror=alert(1)%3E",
        "",
    );
    assert!(
        refused.status == 404 && !refused.body.contains("<img"),
        "{}",
        refused.body
    );
    let refused = ours(&made, "GET /mend?neurons=%3Cimg%20src=x%3E", "");
    let said = "neurons: '&lt;img' is no number";
    assert!(
        refused.status == 400 && refused.body.contains(said) && !refused.body.contains("<img"),
        "{}",
        refused.body
    );
}

#[test]
fn large_bodies_and_heads_are_refused() {
    let made = Made::start(SMALL);
    ready(&made);
    let large = format!(r#"{{"keep":true,"more":"{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(ours(&made, "POST /mend/edit/1/keep", &large).status, 413);
    let head = format!(
        "GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n",
        "x".repeat(1 << 20),
        made.host()
    );
    assert!([414, 431, 0].contains(&send(made.host(), head.as_bytes()).status));
    // And it still answers.
    assert_eq!(ours(&made, "GET /", "").status, 200);
}

#[test]
fn what_cannot_be_asked_is_refused_with_a_reason() {
    let made = Made::start(SMALL);
    ready(&made);
    for (start, status, reason) in [
        ("GET /class/99", 404, "no class 99"),
        ("GET /image/99999", 404, "no sample"),
        ("GET /mend/preview?neurons=99", 400, "99"),
        ("GET /mend/preview?neurons=1,1", 400, "1"),
        ("GET /mend/preview?neurons=1&class=77", 404, "77"),
        ("GET /mend?class=77", 404, "77"),
        (
            "GET /mend?class=star",
            400,
            "'class' of this address is to be a whole number",
        ),
        (
            "GET /mend?target=x&epochs=3",
            400,
            "'target' of this address is to be a number",
        ),
        (
            "GET /mend/neurons?class=1&epochs=1.5",
            400,
            "'epochs' of this address is to be a whole",
        ),
        ("GET /mend?method=magic", 400, "magic"),
        ("GET /mend/edit/77", 404, "not remembered"),
        ("POST /mend/try?neurons=1&method=magic", 400, "magic"),
        ("POST /mend/try?neurons=1&class=77", 404, "77"),
        ("POST /mend/first?neurons=1&class=77", 404, "77"),
        ("POST /mend/first?neurons=1&method=magic", 400, "magic"),
        ("POST /mend/try?neurons=1&rate=-1", 400, "learning_rate"),
        ("POST /mend/try?neurons=1&epochs=0", 400, "epochs"),
        (
            "POST /mend/try?neurons=1&epochs=18446744073709551615",
            400,
            "epochs",
        ),
        ("POST /mend/try?neurons=1&lambda=NaN", 400, "lambda"),
        ("GET /nowhere", 404, "no such page"),
        ("GET /class/star", 404, "go by their numbers"),
        (
            "GET /mend?lambda=x",
            400,
            "'lambda' of this address is to be a number",
        ),
        (
            "GET /mend/neurons?class=star",
            400,
            "'class' of this address",
        ),
    ] {
        let body = if start.starts_with("POST") { "{}" } else { "" };
        let refused = ours(&made, start, body);
        assert_eq!(refused.status, status, "{start}: {}", refused.body);
        assert!(refused.body.contains(reason), "{start}: {}", refused.body);
    }
    let taken = StudioConfig {
        port: made.host().rsplit(':').next().unwrap().parse().ok(),
        ..Default::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = neuroinspect::RunFolder::open(&folder, None).unwrap();
    let demo = neuroinspect_studio::Opened::demo(folder, Default::default(), Default::default());
    let error = neuroinspect_studio::Server::start(demo.unwrap(), &taken).unwrap_err();
    for part in ["cannot listen on 127.0.0.1", "--port", "--listen"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// No route without a request that fuzzing begins with.
#[test]
fn every_route_has_a_request() {
    fn routes(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                routes(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let named = text.split(".route(").skip(1);
            let named = named.map(|rest| rest.split('"').nth(1).unwrap().to_owned());
            found.extend(named);
        }
    }
    let mut found = BTreeSet::new();
    routes(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() > 30, "{found:?}");
    let asked = |request: &&str| {
        let path = request.split(' ').nth(1).unwrap();
        path.split(['?', '\n']).next().unwrap().to_owned()
    };
    let asked: Vec<String> = REQUESTS.iter().map(asked).collect();
    let is_of = |route: &str, path: &str| {
        let (route, path) = (route.split('/'), path.split('/'));
        let same = |(part, given): (&str, &str)| part.starts_with('{') || part == given;
        route.clone().count() == path.clone().count() && route.zip(path).all(same)
    };
    let lacking = found
        .iter()
        .filter(|route| !asked.iter().any(|path| is_of(route, path)));
    let lacking: Vec<_> = lacking.collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

/// What fuzzing begins with: a request that reaches nothing could find nothing.
#[test]
fn every_request_that_is_fuzzed_reaches_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let run = neuroinspect::RunFolder::open(&folder, None).unwrap();
    let demo = neuroinspect_studio::Opened::demo(run, Default::default(), Default::default());
    let server = neuroinspect_studio::Server::start(demo.unwrap(), &Default::default()).unwrap();
    let made = Made { server, folder };
    ready(&made);
    let mut name = None;
    for _ in 0..600 {
        let tried: serde_json::Value = serde_json::from_str(&ours(&made, EDIT, "").body).unwrap();
        name = tried["id"].as_str().map(str::to_owned);
        if name.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let name = name.unwrap();
    let mut lost = Vec::new();
    // That of events never ends.
    for request in REQUESTS.iter().filter(|it| !it.contains("/jobs/events")) {
        let request = request.replace("ID", &name);
        let (start, body) = request.split_once('\n').unwrap_or((&request, ""));
        let answer = ours(&made, start, body);
        // Pictures and jobs go by names that nobody knows before there are any: it is their pages that say so.
        let unknown = [
            ("/visualization/", "there is no such picture"),
            ("/jobs/1/cancel", "there is no job"),
        ];
        let mut unknown = unknown.iter();
        let reached = (200..400).contains(&answer.status)
            || unknown.any(|(path, it)| start.contains(path) && answer.body.contains(it));
        if !reached {
            let reason = answer.body.split("role=\"alert\">").nth(1);
            let reason = reason.map_or(&*answer.body, |it| it.split('<').next().unwrap());
            lost.push(format!("{request}: {} {reason}", answer.status));
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// Whoever listens on the port of before may have been sent the cookie by a page that was left open.
#[test]
fn another_port_is_another_token() {
    let made = Made::start(SMALL);
    let known = [made.host().to_owned(), made.token().to_owned()];
    let made = made.again(SMALL);
    assert_eq!([made.host(), made.token()], known);
    let any = StudioConfig {
        port: Some(0),
        ..StudioConfig::default()
    };
    let mut taken = None;
    let made = made.again_after(SMALL, &any, |_| {
        taken = Some(TcpListener::bind(&known[0]).unwrap());
    });
    assert!(made.host() != known[0] && made.token() != known[1]);
}

#[test]
fn a_server_starts_and_ends_within_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { drop(Made::start(SMALL)) });
}

/// Whoever lets others in lets in none without the token, nor by a name.
#[test]
fn beyond_this_machine_the_token_is_asked_for_too() {
    let config = StudioConfig {
        address: std::net::Ipv4Addr::UNSPECIFIED.into(),
        ..Default::default()
    };
    let made = Made::listening(SMALL, &config);
    ready(&made);
    let port = made.host().rsplit(':').next().unwrap();
    let status = |host: &str, lines: &[&str]| {
        let host = format!("Host: {host}:{port}");
        let lines: Vec<&str> = lines.iter().copied().chain([host.as_str()]).collect();
        request(&made, "GET /", &lines, "").status
    };
    let cookie = cookie(&made);
    assert_eq!(status("192.168.0.2", &[&cookie]), 200);
    assert_eq!(status("192.168.0.2", &[]), 401);
    assert_eq!(status("evil.example", &[&cookie]), 421);
}

#[test]
fn connections_beyond_a_hundred_wait() {
    let made = Made::start(SMALL);
    let connect = |_| TcpStream::connect(made.host()).unwrap();
    let held: Vec<_> = (0..100).map(connect).collect();
    let mut late = connect(100);
    let asked = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        made.host()
    );
    late.write_all(asked.as_bytes()).unwrap();
    let mut answer = String::new();
    let waits = Duration::from_millis(500);
    late.set_read_timeout(Some(waits)).unwrap();
    assert!(late.read_to_string(&mut answer).is_err(), "{answer}");

    drop(held);
    let answers = Duration::from_secs(60);
    late.set_read_timeout(Some(answers)).unwrap();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
