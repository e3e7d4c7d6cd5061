//! With what the program opens the studio.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::Duration,
};

use neuroinspect::quoted;
use serde_json::{Value, json};

use crate::{fixture::Fixture, program::Program};

/// Sends a request as our own page does, once it has come in.
fn ask(address: &str, start: &str) -> String {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, token) = rest.split_once("/?token=").unwrap();
    let send = |start: &str, more: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!("{start} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let entered = send(&format!("GET /?token={token}"), "");
    let (_, cookie) = entered.split_once("set-cookie: ").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let ours = format!("Cookie: {cookie}\r\nOrigin: http://{host}\r\n");
    for _ in 0..1200 {
        let answer = send(start, &ours);
        // The features are being computed.
        if !answer.starts_with("HTTP/1.1 503") {
            return answer;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the features do not come");
}

/// The options of `debug` are where the pages begin, and what their command lines say.
#[test]
fn the_folder_of_a_run_is_opened_with_the_options_of_the_run() {
    let fixture = Fixture::new();
    let path = |name: &str| quoted(fixture.path(name));
    let command = format!(
        "neuroinspect --seed 3 debug --class owl --model cifar_resnet20 --weights {} --data {} --lambda 0.3 \
         --epochs 5 --keep accuracy --patience 2 --iterations 7 --size 16 --objective neuron --neurons 9,2",
        path("model.safetensors"),
        path("images"),
    );
    let summary = json!({ "run": { "command": command } });
    fixture.write("out/summary.json", summary.to_string());
    let program = Program::start_with(&[fixture.path("out").as_os_str()]);
    let says = |start: &str, parts: &[&str]| {
        let answer = ask(&program.address, start);
        for part in parts {
            assert!(answer.contains(part), "{part} is not in {answer}");
        }
        answer
    };
    says(
        "GET /mend?class=2&neurons=1",
        &[
            "name=\"lambda\" value=\"0.3\"",
            "name=\"epochs\" value=\"5\"",
        ],
    );
    says(
        "GET /mend/neurons?class=2&epochs=5",
        &["data-ticked=\"9,2\""],
    );
    says(
        "GET /lab",
        &[
            "name=\"steps\" min=\"1\" step=\"1\" value=\"7\"",
            "name=\"size\" min=\"2\" step=\"2\" value=\"16\"",
            "required value=\"neuron\"",
        ],
    );
    let tried = says(
        "POST /mend/try?class=2&neurons=1&lambda=0.3&epochs=5",
        &["HTTP/1.1 200"],
    );
    let (_, json) = tried.split_once("\r\n\r\n").unwrap();
    let json: Value = serde_json::from_str(json).unwrap();
    let name = json["id"].as_str().unwrap();
    let line =
        "--lambda 0.3 --epochs 5 --learning-rate 0.001 --keep accuracy --patience 2 --seed 3";
    says(&format!("GET /mend/edit/{name}/more"), &[line]);
}

/// The line that makes the demo's edit again is told of what the configuration decides.
#[test]
fn the_demos_command_line_names_the_configuration() {
    let fixture = Fixture::new();
    fixture.write("options.toml", "[editing.training]\nbatch_size = 32\n");
    let config = fixture.path("options.toml");
    let out = fixture.path("demo");
    let [option, folder] = ["--config", "--out"].map(std::ffi::OsStr::new);
    let program = Program::start_with(&[option, config.as_os_str(), folder, out.as_os_str()]);
    let tried = ask(
        &program.address,
        "POST /mend/try?class=3&neurons=1&lambda=1&epochs=1",
    );
    let (_, json) = tried.split_once("\r\n\r\n").unwrap();
    let json: Value = serde_json::from_str(json).unwrap();
    let name = json["id"].as_str().unwrap();
    let page = ask(&program.address, &format!("GET /mend/edit/{name}/more"));
    let line = format!(" --config {} ", quoted(config));
    assert!(page.contains(&line), "{line} is not in {page}");
}

#[test]
fn options_that_would_do_nothing_are_refused_by_name() {
    for (words, parts) in [
        ("--seed 3 studio gone", &["of its run", "--seed"][..]),
        ("studio gone --out x --device flex", &["--out", "--device"]),
        ("studio gone --precision f16", &["--precision"]),
        ("studio gone --clip-weights x", &["--clip-weights"]),
        ("studio gone --port 0 --quiet", &["'gone' is no folder"]),
        ("studio --on-corrupt skip", &["the demo", "--on-corrupt"]),
        (
            "studio --clip-weights x --batch-size 2",
            &["--clip-weights", "--batch-size"],
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
        let output = command.args(words.split(' ')).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}: {message}");
        for part in parts {
            assert!(
                message.contains(part),
                "{words}: '{part}' is not in: {message}"
            );
        }
    }
}
