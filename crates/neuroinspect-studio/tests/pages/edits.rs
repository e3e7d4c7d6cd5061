//! Edits that are tried: what is remembered of them, and by what.

use std::{io::Write, net::TcpStream, thread, time::Duration};

use serde_json::Value;

use crate::{
    browser::Browser,
    http::{cookie, ours, ready},
    made::{Made, SMALL, Size},
};

/// Tries an edit; its name.
fn attempt(made: &Made, query: &str) -> String {
    let tried = ours(made, &format!("POST /mend/try?{query}"), "{}");
    assert_eq!(tried.status, 200, "{}", tried.body);
    let answer: Value = serde_json::from_str(&tried.body).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

fn keep(made: &Made, name: &str) {
    let kept = ours(
        made,
        &format!("POST /mend/edit/{name}/keep"),
        r#"{"keep":true}"#,
    );
    assert_eq!(kept.status, 200, "{}", kept.body);
}

/// A page that asks for something else gives its request up; whoever asks again gets the edit with its control.
#[test]
fn a_request_that_is_given_up_leaves_no_half_an_edit() {
    let made = Made::start(Size {
        samples: 6_000,
        neurons: 64,
        classes: 10,
    });
    ready(&made);
    let query = "class=2&neurons=1,2,3&epochs=40";
    for pause in [20, 100, 400, 900] {
        let mut stream = TcpStream::connect(made.host()).unwrap();
        let host = made.host();
        write!(
            stream,
            "POST /mend/try?{query} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{}\r\n\
             Content-Length: 0\r\n\r\n",
            cookie(&made)
        )
        .unwrap();
        thread::sleep(Duration::from_millis(pause));
    }
    let name = attempt(&made, query);
    let page = ours(&made, &format!("GET /mend/edit/{name}"), "");
    assert!(page.body.contains("number control"), "{}", page.body);
}

/// An edit is named by what decides it, so that a page that is open speaks of the same after a restart.
#[test]
fn kept_edits_are_of_their_data_and_keep_their_names() {
    let made = Made::start(SMALL);
    ready(&made);
    let query = "class=0&neurons=1,2";
    let name = attempt(&made, query);
    assert_eq!(attempt(&made, query), name);
    // What a method does not have makes no other edit of it.
    let plain = "class=0&neurons=1&method=retrain";
    let retrained = attempt(&made, plain);
    assert_eq!(attempt(&made, &format!("{plain}&lambda=7")), retrained);
    assert_ne!(attempt(&made, &format!("{plain}&epochs=3")), retrained);
    keep(&made, &name);
    let kept = |made: &Made| {
        ours(made, "GET /mend/kept", "")
            .body
            .matches("class=\"forget\"")
            .count()
    };
    assert_eq!(kept(&made), 1);
    let shown = ours(&made, &format!("GET /mend/edit/{name}"), "").body;

    // Other samples, in the same folder.
    let made = made.again(Size {
        samples: 200,
        ..SMALL
    });
    ready(&made);
    assert_eq!(kept(&made), 0);
    assert_eq!(
        ours(&made, &format!("GET /mend/edit/{name}"), "").status,
        404
    );
    assert_ne!(attempt(&made, query), name);

    // And those of before.
    let made = made.again(SMALL);
    ready(&made);
    assert_eq!(kept(&made), 1);
    assert_eq!(
        ours(&made, &format!("GET /mend/edit/{name}"), "").body,
        shown
    );
    assert_eq!(attempt(&made, query), name);
    // The last one that was looked at, of two: the page says that there were others.
    attempt(&made, "class=0&neurons=3");
    attempt(&made, "class=0&neurons=4");
    let measured = ours(&made, &format!("GET /mend/edit/{name}/measured"), "").body;
    assert!(measured.contains("one of 2 edits"), "{measured}");
}

/// The neurons of a ranking are said to be chosen by samples that are measured on, whichever comes first.
#[test]
fn what_chose_the_neurons_is_said() {
    let made = Made::start(SMALL);
    ready(&made);
    let ranking = ours(&made, "GET /mend/neurons?class=1", "").body;
    let listed = ranking
        .split("value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let made = made.again(SMALL);
    ready(&made);
    let name = attempt(&made, &format!("class=1&neurons={listed}"));
    let measured = ours(&made, &format!("GET /mend/edit/{name}/measured"), "").body;
    assert!(
        measured.contains("mistakes that the neurons were chosen from"),
        "{measured}"
    );
}

#[test]
fn neurons_are_ticked_and_undone_by_keys() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!("http://{}/mend?class=1", made.host()));
    browser.until("document.querySelector('input[name=neuron]')");
    browser.press("t");
    browser.until("document.activeElement.name === 'neuron'");
    browser.press(" ");
    browser.until("document.querySelectorAll('input[name=neuron]:checked').length === 1");
    browser.until("document.querySelector('#keep') && !document.querySelector('#undo').disabled");
    browser.press("u");
    browser.until("document.querySelectorAll('input[name=neuron]:checked').length === 0");
    assert!(
        browser.address().ends_with("neurons="),
        "{}",
        browser.address()
    );
}
