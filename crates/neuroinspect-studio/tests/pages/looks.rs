//! How pages look: light and dark, from a phone's width on, and what a screen reader is told.

use serde_json::json;

use crate::{
    browser::Browser,
    http::ready,
    made::{Made, SMALL},
};

/// Everything that can be operated, or that shows something, has a name.
const NAMELESS: &str = "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, img, svg[role=img], dialog, [role=group]')].filter(it => {\
    const by = (it.getAttribute('aria-labelledby') ?? '').split(' ').map(id => document.getElementById(id)?.textContent ?? '').join('');\
    const label = it.getAttribute('aria-label') || it.getAttribute('alt') || it.getAttribute('title') || by;\
    const labels = [...(it.labels ?? [])].map(one => one.textContent).join('');\
    return !(label + labels + it.textContent).trim();\
}).map(it => it.outerHTML.slice(0, 200))";

#[test]
fn pages_fit_a_phone_and_everything_has_a_name() {
    let made = Made::start(SMALL);
    ready(&made);
    let browser = Browser::open();
    browser.go(made.server.address());
    for (page, ready) in [
        ("", "document.querySelector('.confusions')"),
        ("class/0", "document.querySelector('.ranking tbody tr')"),
        ("images", "document.querySelector('.grid .cell')"),
        (
            "mend?class=0&neurons=1,2",
            "document.querySelector('#flips .thumbnails')",
        ),
        ("image/0", "document.querySelector('.image-details')"),
        ("neuron", "document.querySelector('#jobs')"),
        ("neuron/1", "document.querySelector('#jobs')"),
        ("lab", "document.querySelector('#jobs')"),
    ] {
        let name = match page.split('?').next() {
            Some("") | None => "overview".to_owned(),
            Some(name) => name.replace('/', "-"),
        };
        for (width, size) in [(390, "phone"), (1280, "desk"), (2200, "wide")] {
            browser.resize(width, 900);
            browser.go(&format!("http://{}/{page}", made.host()));
            browser.until(ready);
            // Nothing sticks out to the right.
            let over =
                "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            let over = browser.value(over);
            if over.as_f64().unwrap() > 1.0 || size == "phone" {
                browser.keep(&format!("{name}-{size}"));
            }
            assert!(over.as_f64().unwrap() <= 1.0, "/{page} at {width}: {over}");
            assert_eq!(browser.value(NAMELESS), json!([]), "/{page}");
        }
        let headings = browser.value("document.querySelectorAll('h1').length");
        assert_eq!(headings, json!(1), "/{page}");
        // The keys are listed by a key, and a name of the data ran nowhere.
        browser.press("?");
        browser.until("document.querySelector('dialog#keys').open");
        browser.press("\u{e00c}");
        browser.until("!document.querySelector('dialog#keys').open");
        assert_ne!(browser.title(), "hacked", "/{page}");
    }
    // From place to place by keys.
    browser.press("g");
    browser.press("o");
    browser.until("document.querySelector('.confusions')");
}

#[test]
fn colours_follow_who_prefers_the_dark() {
    let made = Made::start(SMALL);
    ready(&made);
    let colours = [1, 0].map(|scheme| {
        let option = format!("--blink-settings=preferredColorScheme={scheme}");
        let browser = Browser::open_with(&[&option]);
        browser.go(made.server.address());
        browser.until("document.querySelector('.confusions')");
        browser.keep(&format!("overview-scheme-{scheme}"));
        browser.value("getComputedStyle(document.body).backgroundColor")
    });
    assert_eq!(
        colours,
        [json!("rgb(247, 247, 245)"), json!("rgb(19, 20, 22)")]
    );
}
