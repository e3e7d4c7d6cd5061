//! How long edits are trained: epochs by size, first answers, and trainings that are work of the queue.

use std::fs;

use neuroinspect_studio::StudioConfig;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    edits::{attempt, keep},
    http::{ours, ready},
    jobs::Listener,
    made::{EVIL, Made, SMALL, Size},
};

/// Epochs of [`LONG`] that are trained in some seconds, by its size.
const SOON: usize = 452;

/// Samples and epochs enough for a training to be answered on a part first.
const LONG: (Size, &str) = (
    Size {
        samples: 2_000,
        ..SMALL
    },
    "class=0&neurons=1,2&epochs=1000",
);

/// A studio whose options have so many epochs.
fn with_epochs(epochs: usize) -> Made {
    Made::with(LONG.0, |opened| {
        opened.config.editing.training.epochs = epochs
    })
}

/// Of many samples an edit is trained for fewer epochs than the options have, its page says so, and it is one like any other.
#[test]
fn epochs_are_no_more_than_are_trained_at_once() {
    let made = with_epochs(1000);
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

/// What edits are held against is trained before one is asked for.
#[test]
fn a_control_is_trained_when_the_studio_is_opened() {
    let made = with_epochs(1000);
    let mut listener = Listener::new(&made, None);
    let job = loop {
        let event = listener.next().data;
        let jobs = event.as_array().cloned().unwrap_or_else(|| vec![event]);
        let control = jobs.into_iter().find(|it| it["page"] == "/mend");
        if let Some(job) = control {
            break job;
        }
    };
    let id = job["id"].as_u64().unwrap();
    let ended = match job["state"] == "finished" {
        true => job,
        false => listener.until(id, "finished").pop().unwrap().data,
    };
    // It is that of the epochs that are trained at once.
    assert_eq!(ended["total"], json!(SOON), "{ended}");
}

/// All epochs are a button away.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_button_trains_for_all_epochs() {
    let made = with_epochs(SOON + 1);
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

/// A training for which a page would wait too long is work of the queue: listed, taken up by the next program, cancelled.
#[test]
fn a_long_training_is_work_of_the_queue() {
    let made = Made::start(SMALL);
    ready(&made);
    let long = "class=0&neurons=1,2&epochs=1000000";
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
        first["page"].as_str().unwrap().contains("epochs=1000000"),
        "{first}"
    );

    // The next program takes it up; here one that is to train less.
    let made = made.again_after(SMALL, &StudioConfig::default(), |folder| {
        let path = folder.join("jobs.json");
        let list = fs::read_to_string(&path).unwrap();
        assert!(list.contains("\"epochs\": 1000000"), "{list}");
        fs::write(&path, list.replace("\"epochs\": 1000000", "\"epochs\": 3")).unwrap();
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

/// A page waits for a long training without being asked to, and cancels it when something else is asked for.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_page_waits_for_a_long_training_and_gives_it_up_for_another() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    browser.go(&format!(
        "http://{}/mend?class=0&neurons=1&epochs=1000000",
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
