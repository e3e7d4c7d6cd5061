//! Neurons and the picture lab: what is made on demand, while it is made.

use std::{fs, time::Duration};

use crate::{
    browser::Browser,
    program::{Program, folder_with_features, run},
};

/// Steps that take a while.
const LONG: &str = "3000";

/// Starts the program on the demo and opens a page of it.
fn open(browser: &Browser, program: &Program, page: &str) {
    browser.go(&program.address);
    browser.until("document.querySelector('.confusions')");
    let address = browser.address();
    browser.go(&format!("{address}{page}"));
}

/// Orders what the neuron's page suggests.
fn order(browser: &Browser, steps: &str) {
    browser.fill("input[name=steps]", steps);
    browser.click("form.order button");
}

const PICTURES: &str = "[...document.querySelectorAll('#pictures figure[data-key] img')]";

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_neuron_is_pictured_and_labelled_while_one_looks_on() {
    let browser = Browser::open();
    let folder = folder_with_features();
    let program = Program::start(folder.path());
    open(&browser, &program, "neuron/12");
    // Real images and where the neuron is active in them.
    let real = "[...document.querySelectorAll('.real img')]";
    browser.until(&format!("{real}.length >= 16"));
    browser.value(&format!("{real}.at(-1).scrollIntoView()"));
    browser.until(&format!("{real}.every(it => it.complete)"));
    browser.until(&format!(
        "{real}.filter(it => it.naturalWidth).length >= 16"
    ));
    let histograms = browser.value("document.querySelectorAll('svg.histogram').length");
    let classes = browser.value("document.querySelectorAll('.choices input').length");
    assert_eq!(histograms, classes);

    order(&browser, "60");
    browser.until("document.querySelector('#pictures progress')");
    browser.until("!document.querySelector('#jobs').hidden");
    browser.until(&format!("{PICTURES}.length === 6"));
    browser.until(&format!(
        "{PICTURES}.every(it => it.complete && it.naturalWidth)"
    ));
    browser.until("!document.querySelector('#pictures progress')");

    browser.click("details:has(form[data-post='/labels']) summary");
    browser.click("form[data-post='/labels'] button");
    browser.until("document.querySelector('.chips li')");
    browser.value("scrollTo(0, 0)");
    browser.keep("neuron");
    // From neuron to neuron by keys, and all of them by their words.
    browser.press("n");
    browser.until("location.pathname === '/neuron/13'");
    let word = browser.text(".chips li");
    let list = browser
        .address()
        .replace("/neuron/13", &format!("/neuron?q={word}"));
    browser.go(&list);
    browser.until("document.querySelector('a[href=\"/neuron/13\"]')");
    browser.keep("neurons");
}

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn work_is_cancelled_in_one_tab_and_seen_in_another() {
    let browser = Browser::open();
    let folder = folder_with_features();
    let program = Program::start(folder.path());
    open(&browser, &program, "neuron/3");
    order(&browser, LONG);
    browser.until("document.querySelector('#pictures progress')?.value > 0");
    let page = browser.address();
    let first = browser.tab();
    let second = browser.new_tab();
    browser.look_at(&second);
    browser.go(&page);
    browser.until("document.querySelector('#jobs li[data-state=running]')");
    browser.until("document.querySelector('#pictures progress')?.value > 0");
    // The part of the page may be fetched anew at any moment, and its buttons with it.
    browser.value("document.querySelector('#pictures [data-cancel]').click()");
    let cancelled = "document.querySelector('#jobs li[data-state=cancelled]') \
                         && !document.querySelector('#pictures progress')";
    browser.until(cancelled);
    browser.look_at(&first);
    browser.until(cancelled);
    assert_eq!(browser.value(&format!("{PICTURES}.length")), 0);
}

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn work_goes_on_by_itself_after_the_program_was_killed() {
    let browser = Browser::open();
    let folder = folder_with_features();
    let mut program = Program::start(folder.path());
    open(&browser, &program, "neuron/7");
    order(&browser, "300");
    browser.until("document.querySelector('#pictures progress')?.value > 120");
    program.kill();
    // Where it stood was kept by then.
    let under_way = fs::read_dir(folder.path().join("pictures/studio")).unwrap();
    let names = under_way.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(names.collect::<String>().contains(".state.safetensors"));
    browser.until("!document.querySelector('#connection').hidden");
    let _again = Program::start(folder.path());
    // Nobody touches the page.
    browser.until("document.querySelector('#connection').hidden");
    browser.until(&format!("{PICTURES}.length === 6"));
    browser.until("document.querySelector('#jobs li[data-state=finished] a[href=\"/neuron/7\"]')");
}

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn seeds_of_a_units_picture_stand_side_by_side() {
    let browser = Browser::open();
    let folder = folder_with_features();
    let program = Program::start(folder.path());
    open(&browser, &program, "lab");
    browser.fill("input[name=layer]", "layer9");
    browser.click("form.order button.primary");
    browser.until("document.querySelector('form .failure')?.textContent.includes('layer9')");
    browser.fill("input[name=layer]", "layer2");
    browser.fill("input[name=channel]", "5");
    browser.fill("input[name=objective]", "neuron");
    browser.fill("input[name=steps]", "40");
    browser.click("form.order button.primary");
    browser.until("document.querySelectorAll('section.row').length === 1");
    browser.until(&format!(
        "{PICTURES}.length === 6 && {PICTURES}.every(it => it.naturalWidth)"
    ));
    assert!(
        browser
            .text("section.row h3")
            .contains("channel 5 of layer layer2")
    );
    // What is filled in stands in the address.
    let address = browser.address();
    assert!(
        address.contains("layer=layer2") && address.contains("channel=5"),
        "{address}"
    );
    browser.keep("lab");
}

/// Of the demo's run: five neurons within the class debugged, or the one that it is taken for.
#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn pictures_that_an_earlier_run_kept_are_taken() {
    let browser = Browser::open();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap().to_owned();
    let demo = ["demo", "--iterations", "3", "--quiet", "--out", &out].map(str::to_owned);
    let printed = String::from_utf8(run(&demo).stdout).unwrap();
    assert!(
        printed.contains(&format!("neuroinspect studio {out}\n")),
        "{printed}"
    );
    let written = |file: &str| fs::metadata(folder.path().join(file)).unwrap().modified();
    let features = ["features.safetensors", "train-features.safetensors"];
    let before = features.map(|file| written(file).unwrap());
    // By the folder alone.
    let program = Program::start_with(&[folder.path().as_os_str()]);
    open(&browser, &program, "lab");
    // So are the features.
    assert_eq!(features.map(|file| written(file).unwrap()), before);
    // Other work on the same cores draws it out.
    let pictures = "document.querySelectorAll('#pictures figure[data-key]').length === 5";
    browser.until_within(pictures, Duration::from_secs(600));
    browser.until("document.querySelector('#jobs li[data-state=finished] a[href=\"/lab\"]')");
    assert!(browser.text("#pictures .soft").contains("3 steps"));
}
