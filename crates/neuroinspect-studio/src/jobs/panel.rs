//! The panel that every page shows the jobs in.

use maud::{Markup, html};

/// The panel, empty: `jobs.js` fills it, so that there is one place where a job is drawn.
pub(crate) fn panel() -> Markup {
    html! {
        section id="jobs" aria-label="Work in the background" hidden {
            details {
                summary {}
                ol {}
                button type="button" class="forget" { "Forget what has ended" }
            }
            div class="spoken hidden" role="status" aria-live="polite" {}
            template {
                li {
                    a {}
                    " "
                    span class="state soft" {}
                    progress max="1" value="0" {}
                    span class="note" {}
                    button type="button" class="cancel" { "Cancel" }
                }
            }
        }
    }
}
