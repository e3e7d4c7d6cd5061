//! Edits that are tried: what is remembered of them, and by what.

use std::{fs, io::Write, net::TcpStream, thread, time::Duration};

use neuroinspect_studio::StudioConfig;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    http::{cookie, ours, ready},
    jobs::Listener,
    made::{Division, EVIL, Made, SMALL, Size},
};

/// Tries an edit; its name. On a busy machine it may be a job, which is waited for.
fn attempt(made: &Made, query: &str) -> String {
    for _ in 0..600 {
        let tried = ours(made, &format!("POST /mend/try?{query}"), "{}");
        assert_eq!(tried.status, 200, "{}", tried.body);
        let answer: Value = serde_json::from_str(&tried.body).unwrap();
        if let Some(name) = answer["id"].as_str() {
            return name.to_owned();
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("{query} is never trained");
}

fn keep(made: &Made, name: &str, keep: bool) {
    let start = format!("POST /mend/edit/{name}/keep");
    let kept = ours(made, &start, &format!("{{\"keep\":{keep}}}"));
    assert_eq!(kept.status, 200, "{}", kept.body);
}

/// A page that asks for something else gives its request up; whoever asks again gets the edit with its control.
#[test]
fn a_request_that_is_given_up_leaves_no_half_an_edit() {
    let made = Made::start(Size {
        samples: 6_000,
        neurons: 64,
        classes: 10,
        ..SMALL
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
    keep(&made, &name, true);
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
    let other = attempt(&made, query);
    assert_ne!(other, name);
    // Of these samples it is the first.
    let measured = ours(&made, &format!("GET /mend/edit/{other}/measured"), "").body;
    assert!(!measured.contains("one of"), "{measured}");

    // And those of before.
    let made = made.again(SMALL);
    ready(&made);
    assert_eq!(kept(&made), 1);
    assert_eq!(
        ours(&made, &format!("GET /mend/edit/{name}"), "").body,
        shown
    );
    assert_eq!(attempt(&made, query), name);
    // Two more beside the one that is kept: the page says that there were others.
    attempt(&made, "class=0&neurons=3");
    attempt(&made, "class=0&neurons=4");
    let measured = ours(&made, &format!("GET /mend/edit/{name}/measured"), "").body;
    assert!(measured.contains("one of 3 edits"), "{measured}");
}

/// Those that are kept no longer are remembered as long as any other.
#[test]
fn of_edits_that_are_kept_no_longer_the_oldest_are_forgotten() {
    let made = Made::start(SMALL);
    ready(&made);
    let tried = |index: usize| {
        let name = attempt(&made, &format!("class=0&neurons=1&epochs=1&lambda={index}"));
        keep(&made, &name, true);
        name
    };
    let names: Vec<_> = (1..=27).map(tried).collect();
    for name in &names {
        keep(&made, name, false);
    }
    attempt(&made, "class=0&neurons=2&epochs=1");
    let statuses = [3, 4].map(|index| {
        let start = format!("GET /mend/edit/{}", names[index]);
        ours(&made, &start, "").status
    });
    assert_eq!(statuses, [404, 200]);
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

/// Features that memory is not to hold are read from their file, and what is made of them is the same.
#[test]
fn features_may_stay_in_their_file() {
    let [memory, file] = [Made::start(SMALL), Made::from_file(SMALL)];
    let query = "class=0&neurons=1,2&epochs=3";
    let pages = [&memory, &file].map(|made| {
        ready(made);
        let edit = format!("GET /mend/edit/{}", attempt(made, query));
        ["GET /neuron/4", "GET /class/1/ranking", &edit].map(|start| {
            let page = ours(made, start, "");
            assert_eq!(page.status, 200, "{start}: {}", page.body);
            page.body
        })
    });
    assert_eq!(pages[0][1..], pages[1][1..]);
    // In one of them only is the file still needed.
    let statuses = [&memory, &file].map(|made| {
        let path = made.folder.path().join("features.safetensors");
        let features = fs::OpenOptions::new().write(true).open(path).unwrap();
        features.set_len(1000).unwrap();
        let page = ours(made, "GET /neuron/5", "");
        assert!(page.status == 200 || page.body.contains("features.safetensors"));
        page.status
    });
    assert_eq!(statuses[0], 200);
    assert!(statuses[1] >= 400, "{statuses:?}");
}

/// A training for which a page would wait too long is work of the queue: listed, taken up by the next program, cancelled.
#[test]
fn a_long_training_is_work_of_the_queue() {
    let made = Made::start(SMALL);
    ready(&made);
    let long = "class=0&neurons=1,2&epochs=10000000";
    let tried = |made: &Made| -> Value {
        let tried = ours(made, &format!("POST /mend/try?{long}"), "{}");
        assert_eq!(tried.status, 200, "{}", tried.body);
        serde_json::from_str(&tried.body).unwrap()
    };
    let job = tried(&made)["job"].as_u64().unwrap();
    assert_eq!(tried(&made)["job"], job, "it is not queued twice");
    let mut listener = Listener::new(&made, None);
    let listed = |listener: &mut Listener| {
        let jobs = listener.next().data;
        let jobs = jobs.as_array().unwrap();
        jobs.iter().find(|it| it["id"] == job).unwrap().clone()
    };
    let first = listed(&mut listener);
    assert_eq!(
        first["title"],
        format!("probability ratio of 2 neurons for {EVIL}")
    );
    assert!(
        first["page"].as_str().unwrap().contains("epochs=10000000"),
        "{first}"
    );

    // The next program takes it up; here one that is to train less.
    let made = made.again_after(SMALL, &StudioConfig::default(), |folder| {
        let path = folder.join("jobs.json");
        let list = fs::read_to_string(&path).unwrap();
        assert!(list.contains("\"epochs\": 10000000"), "{list}");
        fs::write(&path, list.replace("\"epochs\": 10000000", "\"epochs\": 3")).unwrap();
    });
    let mut listener = Listener::new(&made, None);
    if listed(&mut listener)["state"] != "finished" {
        listener.until(job, "finished");
    }
    // It is there, under the name that the same edit has when a page waits for it.
    let name = attempt(&made, "class=0&neurons=1,2&epochs=3");
    assert_eq!(
        ours(&made, &format!("GET /mend/edit/{name}"), "").status,
        200
    );

    let job = tried(&made)["job"].as_u64().unwrap();
    ours(&made, &format!("POST /jobs/{job}/cancel"), "");
    listener.until(job, "cancelled");
}

/// Who looked at several edits is told so in the report that is sent, and what to try after one that did not help.
#[test]
fn a_report_says_how_many_edits_were_tried() {
    let made = Made::start(SMALL);
    ready(&made);
    let report = |name: &str| {
        let report = ours(&made, &format!("GET /export/{name}/report"), "");
        assert_eq!(report.status, 200, "{}", report.body);
        report.body
    };
    let first = attempt(&made, "class=0&neurons=1&epochs=1");
    assert!(!report(&first).contains("edits-tried"));
    let second = attempt(&made, "class=0&neurons=2&epochs=1");
    assert!(report(&second).contains("2 were looked at on the same samples"));

    // A rate of nearly nothing changes nothing.
    let idle = attempt(&made, "class=0&neurons=1&epochs=1&rate=1e-12");
    let page = ours(&made, &format!("GET /mend/edit/{idle}"), "").body;
    assert!(
        page.contains("did not help") && page.contains("To try next"),
        "{page}"
    );
}

/// Epochs of [`LONG`] that are trained in some seconds, by its size.
const SOON: usize = 452;

/// Of many samples an edit is trained for fewer epochs than the options have, its page says so, and it is one like any other.
#[test]
fn epochs_are_no_more_than_are_trained_at_once() {
    let made = Made::with_epochs(LONG.0, 1000);
    ready(&made);
    let form = ours(&made, "GET /mend?class=0&neurons=1,2", "").body;
    let field = format!("name=\"epochs\" value=\"{SOON}\"");
    assert!(form.contains(&field), "{form}");
    let name = attempt(&made, "class=0&neurons=1,2");
    let page = ours(&made, &format!("GET /mend/edit/{name}"), "").body;
    let note = format!("Trained for {SOON} epochs, as many");
    assert!(
        page.contains(&note) && page.contains("data-epochs=\"1000\""),
        "{page}"
    );
    keep(&made, &name, true);
    let more = ours(&made, &format!("GET /mend/edit/{name}/more"), "").body;
    assert!(more.contains(&format!("--epochs {SOON} ")), "{more}");
    // To ask for the same epochs is to ask for the same edit, to ask for others is heeded.
    let same = attempt(&made, &format!("class=0&neurons=1,2&epochs={SOON}"));
    assert_eq!(same, name);
    let fewer = attempt(&made, "class=0&neurons=1,2&epochs=2");
    let page = ours(&made, &format!("GET /mend/edit/{fewer}"), "").body;
    assert!(!page.contains("epochs-note"), "{page}");
    // What does not train has none.
    let untrained = attempt(&made, "class=0&method=single_weight");
    let page = ours(&made, &format!("GET /mend/edit/{untrained}"), "").body;
    assert!(!page.contains("epochs-note"), "{page}");
}

/// All epochs are a button away.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_button_trains_for_all_epochs() {
    let made = Made::with_epochs(LONG.0, SOON + 1);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!("http://{}/mend?class=0&neurons=1", made.host()));
    browser.until("document.querySelector('#all-epochs')");
    browser.keep("mend-epochs");
    browser.click("#all-epochs");
    browser.until("location.search.includes('epochs=453')");
    browser.until("document.querySelector('#keep') && !document.querySelector('#all-epochs')");
}

/// Samples and epochs enough for a training to be answered on a part first.
const LONG: (Size, &str) = (
    Size {
        samples: 2_000,
        ..SMALL
    },
    "class=0&neurons=1,2&epochs=1000",
);

/// What takes long on all samples is shown on a part of them, said to be so, and is never taken for the edit itself.
#[test]
fn a_first_answer_is_of_a_part_and_is_neither_kept_nor_taken_along() {
    let (size, query) = LONG;
    let made = Made::start(size);
    ready(&made);
    let first = |query: &str| -> Value {
        let first = ours(&made, &format!("POST /mend/first?{query}"), "{}");
        assert_eq!(first.status, 200, "{}", first.body);
        serde_json::from_str(&first.body).unwrap()
    };
    // What is answered soon has none.
    assert_eq!(first("class=0&neurons=1,2"), json!({}));
    let of_part = first(query)["id"].as_str().unwrap().to_owned();
    assert_eq!(first(query)["id"], json!(of_part), "it is remembered");
    let page = ours(&made, &format!("GET /mend/edit/{of_part}"), "").body;
    let said = page.split("A first answer, trained on ").nth(1).unwrap();
    let numbers: Vec<usize> = said
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .take(2)
        .collect();
    assert!(
        numbers[0] * 2 <= numbers[1] && (800..900).contains(&numbers[1]),
        "{numbers:?}"
    );
    assert!(page.contains("Measured on 1000 samples"), "{page}");
    assert!(page.contains("number control") && !page.contains("id=\"keep\""));
    let more = ours(&made, &format!("GET /mend/edit/{of_part}/more"), "").body;
    assert!(!more.contains("/export/"), "{more}");
    for start in [
        "GET /export/ID/edit",
        "GET /export/ID/report",
        "POST /mend/edit/ID/keep",
    ] {
        let refused = ours(&made, &start.replace("ID", &of_part), "{\"keep\":true}");
        assert_eq!(refused.status, 400, "{start}: {}", refused.body);
        assert!(refused.body.contains("a first answer"), "{}", refused.body);
    }

    let name = attempt(&made, query);
    assert_ne!(name, of_part);
    let page = ours(&made, &format!("GET /mend/edit/{name}"), "").body;
    assert!(page.contains("id=\"keep\"") && !page.contains("first answer"));
    assert_eq!(first(query), json!({}), "the edit itself is there");
    keep(&made, &name, true);
    // Nor is it beside another what it is not.
    let both = ours(
        &made,
        &format!("GET /mend/compare?a={of_part}&b={name}"),
        "",
    );
    let [samples, all] = [numbers[0], numbers[1]];
    let marked = format!(", on {samples} of {all} samples</h4>");
    assert_eq!(both.body.matches(&marked).count(), 1, "{}", both.body);
    // Both are one that was looked at.
    let measured = ours(&made, &format!("GET /mend/edit/{name}/measured"), "").body;
    assert!(!measured.contains("one of"), "{measured}");
}

/// A page shows the first answer, and then the edit itself.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_page_shows_a_first_answer_until_the_edit_is_there() {
    let (size, query) = LONG;
    let made = Made::start(size);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    // So long that the first answer is seen for sure; then one that ends.
    let long = query.replace("1000", "2500");
    browser.go(&format!("http://{}/mend?{long}", made.host()));
    browser.until("document.querySelector('#edit-result .part')");
    browser.until("document.querySelector('#flips .thumbnails')");
    browser.until("document.querySelector('#edit-status').textContent.includes('A first answer')");
    assert_eq!(
        browser.value("document.querySelectorAll('#keep, .exports').length"),
        json!(0)
    );
    browser.keep("mend-first");
    browser.until("document.querySelector('#keep') && document.querySelector('.exports')");
    assert_eq!(
        browser.value("document.querySelectorAll('#edit-result .part').length"),
        json!(0)
    );
    let status = browser.text("#edit-status");
    assert!(status.contains("Answered in"), "{status}");
}

/// Six strengths are drawn with their names, and the chart comes into view.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn six_strengths_are_told_apart() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    let query = "class=0&neurons=1,2&epochs=2";
    browser.go(&format!("http://{}/mend?{query}", made.host()));
    browser.until("document.querySelector('#keep')");
    browser.click("#sweep");
    browser.until("document.querySelectorAll('#kept .mark.sweep').length === 6");
    browser.until("document.querySelector('#sweep').textContent === 'Try six strengths'");
    // Names of points that lie close together are one.
    let names = "[...document.querySelectorAll('#kept .strength')].map(it => it.textContent.replace('λ ', '')).join(', ')";
    let names = browser.value(names);
    let mut named: Vec<&str> = names.as_str().unwrap().split(", ").collect();
    named.sort_unstable();
    assert_eq!(named, ["0.001", "0.01", "0.1", "0.3", "1", "3"]);
    let seen = "(() => { const at = document.querySelector('#kept svg').getBoundingClientRect(); \
                return at.top < innerHeight && at.bottom > 0; })()";
    assert_eq!(browser.value(seen), json!(true));
    browser.keep("mend-strengths");
}

/// What a part of the samples is refused, all of them may not be.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_first_answer_that_fails_keeps_nobody_from_the_edit() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!("http://{}/mend?class=0&neurons=1", made.host()));
    browser.until("document.querySelector('#keep')");
    let shown = "document.querySelector('#keep')?.dataset.id";
    let before = browser.value(shown);
    browser.value(
        "(() => { const send = window.fetch; window.refused = 0; \
         window.fetch = (path, options) => { \
           if (!path.startsWith('/mend/first')) return send(path, options); \
           window.refused += 1; \
           return Promise.resolve(new Response('it diverges', { status: 400 })); }; return true; })()",
    );
    browser.fill("input[name=epochs]", "3");
    browser.until(&format!("{shown} && {shown} !== {before}"));
    browser.until("document.querySelector('#edit-status').textContent.includes('Answered in')");
    assert_eq!(browser.value("window.refused"), json!(1));
    assert_eq!(
        browser.value("document.querySelectorAll('#edit-result .failure').length"),
        json!(0)
    );
}

/// What turns over is counted on the very samples that the accuracies are of, however they are divided.
#[test]
fn what_turns_over_agrees_with_the_accuracies() {
    for division in [Division::Halves, Division::Training(120), Division::Split] {
        let made = Made::start(Size { division, ..SMALL });
        ready(&made);
        let name = attempt(&made, "class=0&neurons=1,2,3&rate=0.02&epochs=30");
        let flips = ours(&made, &format!("GET /mend/edit/{name}/flips"), "").body;
        let count = |title: &str| -> f64 {
            let (_, rest) = flips.split_once(title).unwrap();
            rest.split('<').next().unwrap().trim().parse().unwrap()
        };
        let page = ours(&made, &format!("GET /mend/edit/{name}"), "").body;
        let samples = page
            .split("Measured on ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .and_then(|count| count.parse::<f64>().ok())
            .unwrap();
        let expected = match division {
            Division::Halves => 120.0,
            Division::Training(_) => 240.0,
            Division::Split => 56.0,
        };
        assert_eq!(samples, expected);
        let average = page.split(">Average<").nth(1).unwrap();
        let percents: Vec<f64> = average
            .split(['>', '<'])
            .filter_map(|text| text.strip_suffix('%')?.parse().ok())
            .collect();
        let change = (count("Now right: ") - count("Now wrong: ")) / samples * 100.0;
        assert!(count("Now right: ") + count("Now wrong: ") > 0.0, "{flips}");
        assert!(
            (percents[1] - percents[0] - change).abs() < 0.11,
            "{percents:?}, {change}"
        );
        if division == Division::Split {
            let rows = flips.split("/image/").skip(1);
            let rows = rows.map(|rest| rest.split('"').next().unwrap().parse::<usize>().unwrap());
            for row in rows {
                assert_eq!(row / (2 * SMALL.classes) % 4, 3, "{row} is not measured on");
            }
        }
    }
}

/// A page waits for a long training without being asked to, and cancels it when something else is asked for.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_page_waits_for_a_long_training_and_gives_it_up_for_another() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!(
        "http://{}/mend?class=0&neurons=1&epochs=10000000",
        made.host()
    ));
    browser
        .until("document.querySelector('#edit-status').textContent.includes('in the background')");
    browser.until("document.querySelector('#jobs li[data-state=running]')");
    // A name of a class is text in the list, too.
    let title = browser.text("#jobs li a");
    assert!(title.contains(EVIL), "{title}");
    browser.fill("input[name=epochs]", "2");
    browser.until("document.querySelector('#jobs li[data-state=cancelled]')");
    browser.until("document.querySelector('#edit-status').textContent.includes('Answered')");
    assert_ne!(browser.title(), "hacked");
}

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
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
    // What there is to do first is said, and is no failure; then all that are listed at once.
    browser.until("document.querySelector('#edit-result').textContent.startsWith('Tick a neuron')");
    browser.until("!document.querySelector('#edit-result .failure, #kept .now')");
    let listed = "document.querySelectorAll('input[name=neuron]').length";
    let ticked = "document.querySelectorAll('input[name=neuron]:checked').length";
    browser.click("[data-tick='5']");
    browser.until(&format!("{ticked} === Math.min(5, {listed})"));
    browser.click("[data-tick='24']");
    browser.until(&format!("{ticked} === {listed}"));
    browser.click("#none");
    browser.until(&format!("{ticked} === 0"));
    // Of an edit that there is not, nothing can be taken along.
    browser.fill("input[name=others]", "3");
    browser.until("document.querySelector('#more-result .exports')");
    browser.fill("input[name=others]", "99");
    browser.until("document.querySelector('#edit-result .failure')");
    browser.until("!document.querySelector('#more-result .exports, #kept .now')");
}
