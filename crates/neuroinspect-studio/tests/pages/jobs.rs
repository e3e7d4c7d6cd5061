//! Work in the background, as a page asks for it and hears of it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use neuroinspect::core::DecisionLayer;
use neuroinspect_studio::StudioConfig;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    http::{Answer, cookie, ours, ready},
    made::{EVIL, Made, SMALL, Size},
};

/// More steps than there is time for in a test.
const MANY_STEPS: usize = 5000;

/// Something that the server told of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    id: String,
    name: String,
    pub(crate) data: Value,
}

/// Who listens.
pub(crate) struct Listener(BufReader<TcpStream>);

impl Listener {
    /// From the event on that was heard last; from now on without one.
    pub(crate) fn new(made: &Made, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(made.host()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let head = format!(
            "GET /jobs/events HTTP/1.1\r\nHost: {}\r\n{}\r\n{}\r\n",
            made.host(),
            cookie(made),
            last.unwrap_or_default()
        );
        stream.write_all(head.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn next(&mut self) -> Told {
        let mut told = [String::new(), String::new(), String::new()];
        loop {
            let mut line = String::new();
            assert_ne!(
                self.0.read_line(&mut line).unwrap(),
                0,
                "the server hung up"
            );
            for (name, value) in ["id", "event", "data"].iter().zip(&mut told) {
                if let Some(rest) = line.strip_prefix(&format!("{name}:")) {
                    rest.trim().clone_into(value);
                }
            }
            let [id, name, data] = &told;
            // The lines of an event come in any order; an empty one ends it.
            if line.trim().is_empty() && !data.is_empty() {
                return Told {
                    id: id.clone(),
                    name: name.clone(),
                    data: serde_json::from_str(data).unwrap(),
                };
            }
        }
    }

    /// The events up to the one by which a job stands so.
    pub(crate) fn until(&mut self, job: u64, state: &str) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            all.push(self.next());
            let Told { name, data, .. } = all.last().unwrap();
            if name == "job" && data["id"] == job && data["state"] == state {
                return all;
            }
        }
    }
}

/// Orders pictures of a neuron; the job's id.
fn order(made: &Made, neuron: usize, order: &Value) -> u64 {
    let start = format!("POST /neuron/{neuron}/pictures");
    let answer = ours(made, &start, &order.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    job_of(&answer)["id"].as_u64().unwrap()
}

fn job_of(answer: &Answer) -> Value {
    let json = answer.body.find('{').map(|start| &answer.body[start..]);
    let json = json.and_then(|json| json.rfind('}').map(|end| &json[..=end]));
    serde_json::from_str(json.unwrap()).unwrap()
}

/// Addresses of the pictures on a neuron's page.
fn pictures(made: &Made, neuron: usize) -> Vec<String> {
    let page = ours(made, &format!("GET /neuron/{neuron}/pictures"), "").body;
    let mut found: Vec<String> = page
        .split("src=\"")
        .filter_map(|rest| rest.split('"').next())
        .filter(|address| address.starts_with("/visualization/"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

#[test]
fn ordered_pictures_are_made_shown_and_not_made_again() {
    let made = Made::start(SMALL);
    ready(&made);
    let mut listener = Listener::new(&made, None);
    assert_eq!(listener.next().name, "jobs");
    let two = json!({ "classes": [2, 0], "seed": 7, "steps": 20 });
    let job = order(&made, 3, &two);
    let told = listener.until(job, "finished");
    let last = &told.last().unwrap().data;
    assert_eq!(
        (&last["made"], &last["page"]),
        (&json!(2), &json!("/neuron/3"))
    );
    let steps = told
        .iter()
        .filter(|told| told.data["stage"] == "visualizing");
    assert!(steps.count() > 0, "progress is told of");

    let there = pictures(&made, 3);
    assert_eq!(there.len(), 2);
    for address in &there {
        let answer = ours(&made, &format!("GET {address}"), "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("image/png"));
        // This network does not say where its neurons are active.
        let masked = ours(&made, &format!("GET {address}/masked"), "");
        assert_eq!(masked.status, 404);
    }
    // Nothing guides them, and the page does not say so.
    let page = ours(&made, "GET /neuron/3", "").body;
    let maximised = "maximises <code>neuron + 0.5 * logit</code>";
    assert!(page.contains(maximised), "{page}");
    // A class is called by a name that would be markup.
    let page = ours(&made, "GET /neuron/3/pictures", "").body;
    assert!(
        page.contains("&lt;img src=x") && !page.contains(EVIL),
        "{page}"
    );

    // The same again, and more: only what is not there is made.
    let more = json!({ "classes": [0, 1, 2], "seed": 7, "steps": 20 });
    let job = order(&made, 3, &more);
    listener.until(job, "finished");
    let now = pictures(&made, 3);
    assert_eq!(now.len(), 3);
    assert!(there.iter().all(|address| now.contains(address)));
    // Another server in this folder has them, too.
    let made = made.again(SMALL);
    ready(&made);
    assert_eq!(pictures(&made, 3), now);
}

#[test]
fn all_listeners_hear_the_same_and_who_comes_back_misses_nothing() {
    let made = Made::start(SMALL);
    ready(&made);
    let mut listeners = [(); 2].map(|()| Listener::new(&made, None));
    let starts = listeners.each_mut().map(Listener::next);
    let jobs = [4, 5].map(|neuron| {
        order(
            &made,
            neuron,
            &json!({ "classes": [1], "seed": 0, "steps": 15 }),
        )
    });
    let heard = listeners.map(|mut listener| listener.until(jobs[1], "finished"));
    assert_eq!(heard[0], heard[1]);
    assert!(heard[0].iter().any(|told| told.data["id"] == jobs[0]));

    // One that was away for all of it, and one for a part of it.
    assert_eq!(starts[0].name, "jobs");
    let mut back = Listener::new(&made, Some(&starts[0].id));
    assert_eq!(back.until(jobs[1], "finished"), heard[0]);
    let middle = heard[0].len() / 2;
    let mut back = Listener::new(&made, Some(&heard[0][middle].id));
    assert_eq!(back.until(jobs[1], "finished"), heard[0][middle + 1..]);
    // One that knows another server's events is told how all stands.
    let mut stranger = Listener::new(&made, Some("1-1"));
    let all = stranger.next();
    assert_eq!(
        (all.name.as_str(), &all.id),
        ("jobs", &heard[0].last().unwrap().id)
    );
    assert!(
        all.data
            .as_array()
            .unwrap()
            .iter()
            .any(|job| job["id"] == jobs[1])
    );
}

#[test]
fn a_job_is_cancelled_under_way_and_the_next_begins() {
    let made = Made::start(SMALL);
    ready(&made);
    let mut listener = Listener::new(&made, None);
    let long = json!({ "classes": [1], "seed": 0, "steps": MANY_STEPS });
    let job = order(&made, 1, &long);
    let next = order(&made, 2, &json!({ "classes": [1], "seed": 0, "steps": 5 }));
    // Asked for twice, it is one job.
    assert_eq!(order(&made, 1, &long), job);
    listener.until(job, "running");
    let answer = ours(&made, &format!("POST /jobs/{job}/cancel"), "{}");
    assert_eq!(answer.status, 204, "{answer:?}");
    listener.until(job, "cancelled");
    listener.until(next, "finished");
    assert_eq!((pictures(&made, 1).len(), pictures(&made, 2).len()), (0, 1));
    assert_eq!(ours(&made, "POST /jobs/4711/cancel", "{}").status, 404);

    assert_eq!(ours(&made, "POST /jobs/forget", "{}").status, 204);
    let all = Listener::new(&made, None).next();
    assert_eq!(all.data, json!([]));
}

/// A server that ends leaves the work that is under way to the next.
#[test]
fn work_goes_on_with_the_next_server_in_the_folder() {
    let made = Made::start(SMALL);
    ready(&made);
    let mut listener = Listener::new(&made, None);
    let job = order(
        &made,
        1,
        &json!({ "classes": [1], "seed": 0, "steps": MANY_STEPS }),
    );
    let waiting = order(&made, 2, &json!({ "classes": [0], "seed": 0, "steps": 5 }));
    loop {
        let told = listener.next();
        if told.data["id"] == job && told.data["done"].as_u64() > Some(60) {
            break;
        }
    }
    let made = made.again(SMALL);
    ready(&made);
    let mut listener = Listener::new(&made, None);
    let all = listener.next().data;
    let state = |id: u64| {
        let job = all.as_array().unwrap().iter().find(|job| job["id"] == id);
        job.unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert!(["queued", "running"].contains(&&*state(job)), "{all}");
    assert_eq!(state(waiting), "queued");
    // From where it was: the first that is told of its steps is not the first step.
    loop {
        let told = listener.next();
        let done = told.data["done"].as_u64().unwrap_or(0);
        if told.data["id"] == job && told.data["stage"] == "visualizing" && done > 0 {
            assert!(done >= 50, "{told:?}");
            break;
        }
    }
    ours(&made, &format!("POST /jobs/{job}/cancel"), "{}");
    listener.until(waiting, "finished");
    assert_eq!(pictures(&made, 2).len(), 1);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let made = Made::start(SMALL);
    ready(&made);
    let lab = |changes: Value| {
        let mut order = json!({
            "layer": "features", "channel": 0, "row": null, "column": null, "class": 0,
            "objective": "neuron", "seeds": "0, 1", "steps": 5, "size": null,
        });
        for (key, value) in changes.as_object().unwrap() {
            order[key] = value.clone();
        }
        ours(&made, "POST /lab/pictures", &order.to_string())
    };
    let neuron = |order: Value| ours(&made, "POST /neuron/3/pictures", &order.to_string());
    for (answer, status, reason) in [
        (
            neuron(json!({ "classes": [], "seed": 0, "steps": 5 })),
            400,
            "choose at least one",
        ),
        (
            neuron(json!({ "classes": [1], "seed": "-1", "steps": 5 })),
            400,
            "'-1' is no seed",
        ),
        (
            neuron(json!({ "classes": [9], "seed": "18446744073709551615", "steps": 5 })),
            400,
            "class 9 is out of range",
        ),
        (
            neuron(json!({ "classes": [1], "seed": 0, "steps": 0 })),
            400,
            "steps = 0",
        ),
        (
            neuron(json!({ "classes": [1], "seed": 0, "steps": 9999 })),
            400,
            "at most 5000 steps",
        ),
        (
            neuron(json!({ "classes": [1], "seed": 0, "steps": 5, "file": "x" })),
            422,
            "file",
        ),
        (
            lab(json!({ "layer": "feature" })),
            400,
            "did you mean 'features'?",
        ),
        (lab(json!({ "channel": 12 })), 400, "12 neurons"),
        (lab(json!({ "row": 1 })), 400, "a row and a column"),
        (lab(json!({ "seeds": "0, x" })), 400, "'x' is no seed"),
        (lab(json!({ "seeds": "" })), 400, "1 to 16 seeds"),
        (lab(json!({ "size": 7 })), 400, "size = 7"),
        (
            lab(json!({ "objective": "neuron +" })),
            400,
            "at character 9",
        ),
        (
            lab(json!({ "objective": "logit(class 9)" })),
            400,
            "the objective",
        ),
        (lab(json!({ "objective": "0.5" })), 400, "objective"),
        (
            lab(json!({ "objective": "-(1 + ".repeat(25) + "neuron" + &")".repeat(25) })),
            400,
            "within each other",
        ),
        (
            lab(json!({ "objective": "similarity" })),
            400,
            "--clip-weights",
        ),
        (
            ours(&made, "POST /labels", "{\"words\": \" \\n \"}"),
            400,
            "one a line",
        ),
        (ours(&made, "GET /neuron/12", ""), 404, "neuron 12"),
        (
            ours(&made, "GET /neuron/3/place/999", ""),
            404,
            "there is no image 999",
        ),
        (
            ours(&made, "GET /neuron/3/place/0", ""),
            404,
            "does not say where",
        ),
    ] {
        assert_eq!(answer.status, status, "{reason}: {answer:?}");
        let text = answer.body.replace("&#39;", "'");
        assert!(text.contains(reason), "'{reason}' is not in {text}");
    }
    // No name leads to a file.
    for key in [
        "..%2f..%2fjobs",
        "..",
        "%2e%2e%2f..%2fserver.json",
        "",
        &"0".repeat(64),
    ] {
        let answer = ours(&made, &format!("GET /visualization/{key}"), "");
        assert_eq!(answer.status, 404, "{key}");
    }
    // Nothing of it was queued, beside what a studio begins with.
    let all = Listener::new(&made, None).next().data;
    let queued = all.as_array().unwrap().iter();
    let titles: Vec<_> = queued.filter_map(|job| job["title"].as_str()).collect();
    let own = [
        "features of the images",
        "plain retraining, to compare edits with",
    ];
    assert_eq!(titles, own, "{all}");
}

#[test]
fn features_that_were_cancelled_are_told_of_and_computed_when_asked_for() {
    let made = Made::start(Size {
        samples: 60_000,
        ..SMALL
    });
    let mut listener = Listener::new(&made, None);
    let all = listener.next().data;
    assert_eq!(all[0]["of_features"], true);
    let job = all[0]["id"].as_u64().unwrap();
    let page = ours(&made, "GET /images", "");
    assert!(page.status == 503 && page.body.contains("is looking at the images"));
    let answer = ours(&made, &format!("POST /jobs/{job}/cancel"), "{}");
    assert_eq!(answer.status, 204);
    listener.until(job, "cancelled");
    let says = |text: &str| {
        let page = ours(&made, "GET /images", "");
        assert!(page.status == 503 && page.body.contains(text), "{page:?}");
        assert!(page.body.contains("id=\"features\""));
    };
    says("was cancelled");
    assert_eq!(ours(&made, "POST /jobs/forget", "{}").status, 204);
    says("nobody computes");
    assert_eq!(ours(&made, "POST /features", "{}").status, 204);
    ready(&made);
}

/// A page of another token says what is to be done, and not for ever that nobody answers.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_page_that_the_server_does_not_know_says_so() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.until("!document.querySelector('#jobs').hidden");
    let token = made.token().to_owned();
    let _made = made.again_after(SMALL, &StudioConfig::default(), |folder| {
        let path = folder.join("server.json");
        let secret = fs::read_to_string(&path).unwrap();
        fs::write(path, secret.replace(&token, &"0".repeat(64))).unwrap();
    });
    browser.until("document.querySelector('#connection').textContent.includes('printed')");
}

/// The pictures that a page comes with are not worked out a second time.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn what_a_page_comes_with_is_not_asked_for_again() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!("http://{}/neuron/3", made.host()));
    browser.until("!document.querySelector('#jobs').hidden");
    // Requests are told of once they are answered.
    browser.later("const done = arguments[0]; setTimeout(() => done(true), 1000);");
    let asked = "performance.getEntriesByType('resource').map(it => new URL(it.name).pathname)";
    let asked = browser.value(asked).to_string();
    assert!(asked.contains("/assets/jobs.js"), "{asked}");
    assert!(!asked.contains("/neuron/3/"), "{asked}");
    browser.press("g");
    browser.press("l");
    browser.until("location.pathname === '/lab'");
}

/// A neuron by itself is pictured within one class, and not within all of them.
#[test]
fn the_lab_tells_the_command_of_its_picture() {
    let guide = " --clip-weights guide";
    let made = Made::with(SMALL, |opened| opened.encoder_arguments = guide.to_owned());
    ready(&made);
    let told = |objective: &str, class: Option<usize>, steps: usize| {
        let order = json!({
            "layer": "features", "channel": 5, "row": null, "column": null, "class": class,
            "objective": objective, "seeds": "7", "steps": steps, "size": 16,
        });
        let answer = ours(&made, "POST /lab/pictures", &order.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = ours(&made, "GET /lab/pictures", "").body;
        let cancel = format!("POST /jobs/{}/cancel", job_of(&answer)["id"]);
        ours(&made, &cancel, "{}");
        let commands = page.split("neuroinspect visualize ").skip(1);
        let mut commands = commands.map(|rest| rest.split("</code>").next().unwrap().to_owned());
        let of_order = format!(" --iterations {steps} ");
        let found = commands.find(|command| command.contains(&of_order));
        found.unwrap()
    };
    let arguments = "--model made-up --data patches --clip-weights guide --neurons 5 --class=";
    // What asks for no class is the same within all.
    let orders = [
        ("neuron", None, 5000),
        ("neuron", Some(2), 4999),
        ("neuron + logit", Some(2), 4998),
    ];
    let classes = orders.map(|(objective, class, steps)| {
        let command = told(objective, class, steps);
        let rest = command.strip_prefix(arguments);
        let rest = rest.unwrap_or_else(|| panic!("{command}"));
        rest.split(" --objective").next().unwrap().to_owned()
    });
    assert_eq!(classes[0], classes[1]);
    assert_ne!(classes[0], classes[2]);
}

/// Seeds of one order are rows of one picture.
#[test]
fn the_lab_shows_seeds_side_by_side() {
    let made = Made::start(SMALL);
    ready(&made);
    let mut listener = Listener::new(&made, None);
    // It listens from now on.
    assert_eq!(listener.next().name, "jobs");
    let order = json!({
        "layer": "features", "channel": 5, "row": null, "column": null, "class": 0,
        "objective": "neuron - 0.5 * total_variation", "seeds": "2, 0 1", "steps": 5, "size": 16,
    });
    let answer = ours(&made, "POST /lab/pictures", &order.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    listener.until(job_of(&answer)["id"].as_u64().unwrap(), "finished");
    // An address holds what is filled in, be it markup.
    let form = ours(
        &made,
        "GET /lab?layer=features&channel=5&seeds=%22%3E%3Cb%3E&class=2",
        "",
    )
    .body;
    for part in [
        "value=\"features\"",
        "value=\"5\"",
        "value=\"&quot;&gt;&lt;b&gt;\"",
        "<option value=\"2\" selected",
    ] {
        assert!(form.contains(part), "{part} is not in {form}");
    }
    let page = ours(&made, "GET /lab/pictures", "").body;
    assert_eq!(page.matches("<section class=\"row\"").count(), 1, "{page}");
    let seeds = ["seed 0,", "seed 1,", "seed 2,"].map(|seed| page.find(seed).unwrap());
    assert!(seeds.is_sorted(), "{seeds:?}");
    assert!(page.contains("neuron + -0.5 * total_variation"), "{page}");

    // In the same folder there are none of other weights, nor of the same with another last layer.
    let shown = |made: &Made| {
        ready(made);
        let page = ours(made, "GET /lab/pictures", "").body;
        page.matches("class=\"picture\"").count()
    };
    assert_eq!(shown(&made), 3);
    let other = "1".repeat(64);
    let made = made.again_with(SMALL, |opened| opened.origin.classifier_sha256 = other);
    assert_eq!(shown(&made), 0);
    let made = made.again_with(SMALL, |opened| {
        let layer = opened.classifier.decision_layer().unwrap();
        let weight = layer.weight().to_owned() * 2.0;
        let other = DecisionLayer::new(weight, layer.bias().to_owned()).unwrap();
        opened.classifier.set_decision_layer(&other).unwrap();
    });
    assert_eq!(shown(&made), 0);
    assert_eq!(shown(&made.again(SMALL)), 3);
}

/// A page that is slow to listen shows what came to its end in between.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn what_ends_before_a_page_listens_is_shown_on_it() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!("http://{}/", made.host()));
    // The page as it stands before there is a picture, not begun yet.
    browser.later(
        "const done = arguments[0]; \
         fetch('/lab').then(page => page.text()).then(text => { window.before = text; done(true); });",
    );
    let mut listener = Listener::new(&made, None);
    // It listens from now on.
    assert_eq!(listener.next().name, "jobs");
    let order = json!({
        "layer": "features", "channel": 5, "row": null, "column": null, "class": 0,
        "objective": "neuron", "seeds": "0", "steps": 3, "size": 16,
    });
    let answer = ours(&made, "POST /lab/pictures", &order.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    listener.until(job_of(&answer)["id"].as_u64().unwrap(), "finished");
    browser.value(
        "document.body.replaceChildren(Object.assign(document.createElement('iframe'), { srcdoc: before }))",
    );
    browser.until(
        "document.querySelector('iframe').contentDocument.querySelectorAll('#pictures figure[data-key]').length === 1",
    );
}

/// What the lab makes of a neuron is shown on its page, too, which is open meanwhile.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_neurons_page_shows_the_labs_pictures_of_it() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!("http://{}/neuron/5", made.host()));
    browser.until("!document.querySelector('#jobs').hidden");
    let order = json!({
        "layer": "features", "channel": 5, "row": null, "column": null, "class": 0,
        "objective": "neuron", "seeds": "0", "steps": 3, "size": 16,
    });
    let answer = ours(&made, "POST /lab/pictures", &order.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    browser.until("document.querySelectorAll('#pictures figure[data-key]').length === 1");
}
