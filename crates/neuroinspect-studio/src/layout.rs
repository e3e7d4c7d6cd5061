//! What all pages have in common.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

use crate::{jobs, studio::Studio};

/// A page.
pub(crate) struct Page<'a> {
    /// Its address without a query: where the navigation stands.
    pub(crate) path: &'a str,
    pub(crate) title: &'a str,
    /// Scripts of its own, by their names among the assets.
    pub(crate) scripts: &'a [&'a str],
}

/// The pages that the navigation leads to, and the key that does so after `g`.
const PLACES: &[(&str, &str, &str)] = &[
    ("/", "Overview", "o"),
    ("/images", "Images", "i"),
    ("/class", "Classes", "c"),
    ("/neuron", "Neurons", "n"),
    ("/mend", "Mend", "m"),
    ("/lab", "Picture lab", "l"),
];

/// What is done by a key, on every page; a page of its own adds to these in its script.
const KEYS: &[(&str, &str)] = &[
    ("?", "show or hide this list"),
    ("arrows", "move through a grid of images"),
    ("Enter", "open what is focused"),
    ("Escape", "close what is open"),
];

/// A page around its content.
pub(crate) fn page(studio: &Studio, page: &Page<'_>, content: &Markup) -> Html<String> {
    let run = &studio.opened.run;
    let overline = format!("{} on {}", run.model, run.data);
    Html(around(Some(&overline), page, content).into_string())
}

/// What stands around the content of a page, and of a refusal, which says nothing of what is looked at.
pub(crate) fn around(overline: Option<&str>, page: &Page<'_>, content: &Markup) -> Markup {
    let is_at = |place: &str| match place {
        "/" => page.path == "/",
        _ => {
            let below = page.path.strip_prefix(place);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        }
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) " \u{b7} neuroinspect studio" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/assets/report.css";
                link rel="stylesheet" href="/assets/studio.css";
                script type="module" src="/assets/studio.js" {}
                script type="module" src="/assets/jobs.js" {}
                @for script in page.scripts { script type="module" src={ "/assets/" (script) } {} }
            }
            body {
                a class="skip" href="#content" { "To the content" }
                header class="bar" {
                    @if let Some(overline) = overline { p class="overline" { (overline) } }
                    nav aria-label="Pages" {
                        ul {
                            @for (place, name, key) in PLACES {
                                li {
                                    a href=(place) data-go=(key) aria-current=[is_at(place).then_some("page")] { (name) }
                                }
                            }
                        }
                    }
                    button type="button" id="keys-button" aria-haspopup="dialog" { "Keys (?)" }
                }
                main id="content" tabindex="-1" {
                    h1 { (page.title) }
                    (content)
                }
                (jobs::panel())
                dialog id="keys" aria-labelledby="keys-title" {
                    h2 id="keys-title" { "Keys" }
                    dl {
                        @for (_, name, key) in PLACES { dt { kbd { "g " (key) } } dd { (name) } }
                        @for (key, what) in KEYS { dt { kbd { (key) } } dd { (what) } }
                    }
                    form method="dialog" { button { "Close" } }
                }
                p id="connection" role="status" aria-live="polite" hidden {
                    "The server does not answer. This page goes on by itself as soon as it does."
                }
            }
        }
    }
}
