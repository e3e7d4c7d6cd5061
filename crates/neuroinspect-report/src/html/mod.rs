//! The page.

use maud::{DOCTYPE, Markup, html};

use crate::{Report, Result};

pub(crate) fn page(report: &Report) -> Result<Markup> {
    let summary = &report.summary;
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            body { (summary.name(summary.class)) }
        }
    })
}
