//! How pages look: light and dark, from a phone's width on, and what a screen reader is told.

use serde_json::json;

use crate::{
    browser::{Browser, Scheme},
    http::ready,
    made::{Made, SMALL},
};

/// Everything that can be operated, or that shows something, has a name; an image within a link may leave it to the link.
const NAMELESS: &str = "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, img, svg[role=img], dialog, [role=group]')].filter(it => {\
    const by = (it.getAttribute('aria-labelledby') ?? '').split(' ').map(id => document.getElementById(id)?.textContent ?? '').join('');\
    const label = it.getAttribute('aria-label') || it.getAttribute('alt') || it.getAttribute('title') || by;\
    const labels = [...(it.labels ?? [])].map(one => one.textContent).join('');\
    const within = [...it.querySelectorAll('img')].map(one => one.alt).join('');\
    const link = it.alt === '' ? it.closest('a[aria-label]')?.getAttribute('aria-label') ?? '' : '';\
    return !(label + labels + within + link + it.textContent).trim();\
}).map(it => it.outerHTML.slice(0, 200))";

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
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
        (
            "neuron",
            "document.querySelector('main a[href^=\"/neuron/\"]')",
        ),
        ("neuron/1", "document.querySelector('.real img')"),
        ("lab", "document.querySelector('form.lab')"),
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
            // Accuracies are bars at every width.
            if page.is_empty() {
                let bar =
                    "document.querySelector('.shares svg.share').getBoundingClientRect().width";
                let bar = browser.value(bar).as_f64().unwrap();
                assert!(bar > 50.0, "{bar} at {width}");
            }
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

/// Text of less contrast to what is behind it than WCAG 2's level AA asks for (1.4.3): 4.5, or 3 where it is large. What is
/// disabled is left out, as there.
const FAINT: &str = "(() => {\
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });\
    const rgba = color => { context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);\
        return [...context.getImageData(0, 0, 1, 1).data]; };\
    const light = color => { const [r, g, b] = color.map(it => it / 255).map(it => it <= .04045 ? it / 12.92 : ((it + .055) / 1.055) ** 2.4);\
        return .2126 * r + .7152 * g + .0722 * b; };\
    const behind = it => { for (; it; it = it.parentElement) { const color = rgba(getComputedStyle(it).backgroundColor); if (color[3] > 250) return color; }\
        return [255, 255, 255, 255]; };\
    const own = it => [...it.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());\
    return [...document.querySelectorAll('body *')].filter(it => own(it) && it.checkVisibility() && !it.closest('script, :disabled, .hidden, svg')).map(it => {\
        const style = getComputedStyle(it); const size = parseFloat(style.fontSize);\
        const [a, b] = [light(rgba(style.color)), light(behind(it))].sort((x, y) => y - x);\
        const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;\
        return [(a + .05) / (b + .05), least, it.outerHTML.slice(0, 120)];\
    }).filter(([found, least]) => found < least).slice(0, 5); })()";

/// The colours of right and wrong, and of too weak and too strong, as they are drawn. (Those of better and worse stand on numbers
/// that have a sign.)
const COLOURS: &str = "(() => {\
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');\
    return ['--insufficient', '--excessive'].map(name => {\
        context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name); context.fillRect(0, 0, 1, 1);\
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); }); })()";

/// What is seen of a linear colour without the cones for red, green or blue: Machado, Oliveira and Fernandes, A
/// Physiologically-based Model for Simulation of Color Vision Deficiency, 2009, severity 1.
const DEFICIENCIES: [(&str, [[f64; 3]; 3]); 3] = [
    (
        "protanopia",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

/// How far apart two sRGB colours look through a deficiency: CIE 1976, 2.3 being what is just noticed.
fn difference(colours: [[f64; 3]; 2], seen: &[[f64; 3]; 3]) -> f64 {
    let lab = |colour: [f64; 3]| {
        let linear = colour.map(|it| match it / 255.0 {
            it if it <= 0.04045 => it / 12.92,
            it => ((it + 0.055) / 1.055).powf(2.4),
        });
        let through = |matrix: &[[f64; 3]; 3], colour: [f64; 3]| {
            matrix.map(|row| row.iter().zip(colour).map(|(a, b)| a * b).sum::<f64>())
        };
        let seen = through(seen, linear).map(|it| it.clamp(0.0, 1.0));
        let to_xyz = [
            [0.4124, 0.3576, 0.1805],
            [0.2126, 0.7152, 0.0722],
            [0.0193, 0.1192, 0.9505],
        ];
        let [x, y, z] = through(&to_xyz, seen);
        let [x, y, z] = [x / 0.9505, y, z / 1.089].map(|it| match it > 0.008856 {
            true => it.cbrt(),
            false => 7.787 * it + 16.0 / 116.0,
        });
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    };
    let [a, b] = colours.map(lab);
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn colours_can_be_read_and_told_apart_in_the_light_and_in_the_dark() {
    let made = Made::start(SMALL);
    ready(&made);
    let backgrounds = [(Scheme::Light, "light"), (Scheme::Dark, "dark")].map(|(scheme, called)| {
        let browser = Browser::open_in(scheme);
        browser.go(made.server.address());
        browser.until("document.querySelector('.confusions')");
        let background = browser.value("getComputedStyle(document.body).backgroundColor");
        let colours: [[f64; 3]; 2] = serde_json::from_value(browser.value(COLOURS)).unwrap();
        for (name, seen) in &DEFICIENCIES {
            let difference = difference(colours, seen);
            assert!(difference > 50.0, "{colours:?} by {name}: {difference:.1}");
        }
        for (page, ready) in [
            ("", "document.querySelector('.confusions')"),
            ("class/0", "document.querySelector('.ranking tbody tr')"),
            ("images", "document.querySelector('.grid .cell')"),
            (
                "mend?class=0&neurons=1,2",
                "document.querySelector('#flips .thumbnails') && !document.querySelector('[aria-busy]')",
            ),
            ("image/0", "document.querySelector('.image-details')"),
            ("neuron/1", "document.querySelector('.real img')"),
            ("lab", "document.querySelector('form.lab')"),
            ("nowhere", "document.querySelector('[role=alert]')"),
        ] {
            browser.go(&format!("http://{}/{page}", made.host()));
            browser.until(ready);
            let name = page.split(['?', '/']).next().unwrap_or_default();
            let name = if name.is_empty() { "overview" } else { name };
            browser.keep(&format!("{name}-{called}"));
            assert_eq!(browser.value(FAINT), json!([]), "/{page}, {called}");
        }
        background
    });
    assert_eq!(
        backgrounds,
        [json!("rgb(247, 247, 245)"), json!("rgb(19, 20, 22)")]
    );
}
